"""What every module of a chain is: what it takes and gives, how its folder is read and written.

A class that keeps its state in one JSON file and a table of tensors inherits all of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from torch import nn

from sbert_cli.encoder.features import Features
from sbert_cli.encoder.json_file import read_object, write_json
from sbert_cli.encoder.weights import read_weights, write_weights
from sbert_cli.errors import ModelError, UsageError

if TYPE_CHECKING:
    from typing_extensions import Self

Level = Literal["texts", "tokens", "sentence"]


class Part(nn.Module):
    """A module of a chain; most change sentence vectors and leave their width as it is.

    A class whose vectors have another width than those before it has a property `dim`.
    """

    takes: ClassVar[Level] = "sentence"  # texts: only a first module, with a `tokenizer`
    gives: ClassVar[Level] = "sentence"
    config_file: ClassVar[str] = "config.json"
    needs_layers: ClassVar[bool] = False  # the vectors of every layer of the transformer
    gives_layers: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()

    @property
    def in_dim(self) -> int | None:
        """Width of the vectors it takes; None: any."""
        return None

    def describe(self) -> str:
        """The module in words."""
        return type(self).__name__.lower()

    def forward(self, features: Features) -> Features:
        """Set or replace a field of `features`."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The module that its configuration file describes; its tensors come after."""
        return cls()

    def to_config(self) -> dict[str, Any]:
        """The configuration file that sentence-transformers 2 and later read."""
        return {}

    @classmethod
    def read(cls, folder: Path, *, allow_bin: bool) -> Self:
        """The module in `folder`.

        Raises ModelError for what cannot be read, UnsafeError for a .bin without `allow_bin`.
        """
        path = folder / cls.config_file
        try:
            module = cls.from_config(read_object(path))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"bad value for {error}", where=str(path)) from None
        except UsageError as error:  # what would be a wrong key on a command line
            raise ModelError(error.what, where=str(path), fix=error.fix) from None
        if module.state_dict():
            load_tensors(module, folder, allow_bin=allow_bin)
        return module

    def save(self, folder: Path) -> None:
        """Write the module into `folder`."""
        config = self.to_config()
        if config:
            write_json(folder / self.config_file, config)
        tensors = self.state_dict()
        if tensors:
            write_weights(folder, tensors)


def load_tensors(module: nn.Module, folder: Path, *, allow_bin: bool) -> None:
    """Fill a module with the tensors in its folder; raises ModelError where they do not fit."""
    tensors = read_weights(folder, allow_bin=allow_bin)
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"weights do not fit: {reason}", where=str(folder)) from None
