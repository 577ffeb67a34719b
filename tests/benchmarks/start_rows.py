"""Rows about whole processes: from the command line to one vector."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np

from tests.benchmarks import material
from tests.benchmarks.row import Contest, Plan, Row, largest_difference

TEXT = "A man is playing a guitar on the street."
SCRIPT = """
import json, sys
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(sys.argv[1], device="cpu")
texts = [line.rstrip("\\n") for line in sys.stdin]
for text, vector in zip(texts, model.encode(texts)):
    print(json.dumps({"text": text, "vector": vector.tolist()}))
"""


def cold_start(plan: Plan) -> Contest:
    """`sbert encode -` for one text against a script that does the same."""
    folder = str(material.model_folder())
    entry = "import sys; from sbert_cli.cli import main; sys.exit(main())"
    words = ["encode", "-", f"model={folder}", "output=-", "engine=cpu"]

    def ours() -> Any:
        return vector([sys.executable, "-c", entry, *words])

    def theirs() -> Any:
        return vector([sys.executable, "-c", SCRIPT, folder])

    return Contest(
        ours, {"ST script": theirs}, lambda: largest_difference(ours(), theirs()), 1, "processes"
    )


def vector(line: list[str]) -> Any:
    """The vector in the JSON line that a process prints for TEXT."""
    done = subprocess.run(line, input=f"{TEXT}\n", capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return np.array(next(value for value in found.values() if isinstance(value, list)))


ROWS = (Row("cold_start", "a process that encodes one text, fp32", cold_start),)
