"""The engine's settings, as configs/engine/*.yaml give them; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sbert_cli.errors import UsageError


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Where and how to compute; `auto` lets the engine choose and say why."""

    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "fp32", "bf16", "fp16"]
    threads: int | None
    token_budget: int | Literal["auto"]
    devices: int | Literal["auto"]
    compile: bool

    def __post_init__(self) -> None:
        for key in ("threads", "token_budget", "devices"):
            value = getattr(self, key)
            if isinstance(value, int) and value < 1:
                raise UsageError(
                    f"engine.{key} must be at least 1, not {value}",
                    where=f"config key engine.{key}={value}",
                )
