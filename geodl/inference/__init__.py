"""Inference: from a scene to a map, from radar frames to a forecast, from a state to a trajectory, in bounded memory."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geodl.inference.emulator import Emulator
    from geodl.inference.forecaster import Forecaster
    from geodl.inference.predictor import Predictor

__all__ = ("Emulator", "Forecaster", "Predictor")


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(f"geodl.inference.{name.lower()}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
