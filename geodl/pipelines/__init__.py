"""The pipelines: name → module, loaded when first asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from geodl.errors import RecipeError

if TYPE_CHECKING:
    from geodl.pipelines.base import train
    from geodl.pipelines.demos import demo
    from geodl.pipelines.dry_run import check
    from geodl.pipelines.evaluation import evaluate
    from geodl.pipelines.task import Pipeline

__all__ = ("check", "demo", "evaluate", "find", "names", "train")

_NAMES = ("segmentation", "denoising", "superresolution", "nowcasting", "dynamics", "crops")
_MODULES = {name: f"geodl.pipelines.{name}" for name in _NAMES}
_WALK = {"train": "base", "evaluate": "evaluation", "check": "dry_run", "demo": "demos"}


def names() -> tuple[str, ...]:
    """Returns the names of all pipelines."""
    return tuple(_MODULES)


def find(name: str) -> type[Pipeline]:
    """Returns the pipeline called `name`. Raises `RecipeError` that names the nearest one if there is none."""
    if name not in _MODULES:
        raise RecipeError(
            "pipeline", f"expected one of: {', '.join(_MODULES)}. Received: {name!r}.", nearest_to=name, valid=_MODULES
        )
    return importlib.import_module(_MODULES[name]).PIPELINE


def __getattr__(name: str) -> Any:
    if name in _WALK:
        return getattr(importlib.import_module(f"geodl.pipelines.{_WALK[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
