"""Names for what is made of texts: equal only where everything it was made of is equal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def digest(made_by: str, texts: Iterable[str]) -> str:
    """A hash of what makes something and of the texts that it is made of, in order."""
    whole = hashlib.sha256(made_by.encode())
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        whole.update(b"%d " % len(data) + data)
    return whole.hexdigest()[:40]
