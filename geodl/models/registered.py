"""Registers every layer that a saved network may hold, so that Keras finds them by their names when it loads one."""

from __future__ import annotations

from geodl.models import (
    attention,
    cascade,
    committee,
    convlstm,
    dates,
    errorgrowth,
    fields,
    neural_ode,
    partialconv,
    rain,
    recurrent,
    resizing,
    scaling,
    steps,
    tangent,
)

__all__ = (
    "attention",
    "cascade",
    "committee",
    "convlstm",
    "dates",
    "errorgrowth",
    "fields",
    "neural_ode",
    "partialconv",
    "rain",
    "recurrent",
    "resizing",
    "scaling",
    "steps",
    "tangent",
)
