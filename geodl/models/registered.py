"""Registers every layer that a saved network may hold, so that Keras finds them by their names when it loads one."""

from __future__ import annotations

from geodl.models import cascade, convlstm, errorgrowth, fields, neural_ode, rain, resizing, scaling, steps, tangent

__all__ = (
    "cascade",
    "convlstm",
    "errorgrowth",
    "fields",
    "neural_ode",
    "rain",
    "resizing",
    "scaling",
    "steps",
    "tangent",
)
