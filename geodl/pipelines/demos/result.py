"""What a demonstration returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from geodl.pipelines.evaluation import Evaluation

__all__ = ("DemoResult",)


@dataclass(frozen=True)
class DemoResult:
    """What a demonstration made."""

    paths: dict[str, Path]
    """What it is → where it lies."""
    evaluation: Evaluation
    """Scores on the unseen data, beside the baselines."""
