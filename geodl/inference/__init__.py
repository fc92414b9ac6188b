"""Inference: from a scene, a network and its contract to a map, or from radar frames to a forecast, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geodl.inference.forecaster import Forecaster
    from geodl.inference.predictor import Predictor

__all__ = ("Forecaster", "Predictor")


def __getattr__(name: str) -> Any:
    if name == "Predictor":
        from geodl.inference.predictor import Predictor

        return Predictor
    if name == "Forecaster":
        from geodl.inference.forecaster import Forecaster

        return Forecaster
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
