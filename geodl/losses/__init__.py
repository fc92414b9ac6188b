"""Losses: mask-aware, one value per pixel, never normalised over a batch.

`call` of every loss gives `(batch, height, width)`, of sequences `(batch, lead, height, width)`, of
trajectories `(batch, time)`, of series `(batch,)`; 0 at ignored pixels.
With weights `valid × valid.size / valid.sum()` Keras' reduction is the mean over valid pixels.

Example:
    >>> loss = geodl.losses.build("charbonnier", defaults={"scale": [0.1, 0.2]})
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from geodl.errors import RecipeError
from geodl.losses.classification import CrossEntropy, Dice, Focal, Lovasz, Tversky
from geodl.losses.dynamics import StateLikelihood, StateNorm
from geodl.losses.members import PerMember
from geodl.losses.nowcast import Balanced, RainL1, RainL2, RainLikelihood, SoftCSI
from geodl.losses.restoration import L1, L2, Charbonnier, GammaLikelihood
from geodl.losses.similarity import SSIMLoss
from geodl.losses.total import Sum

__all__ = (
    "L1",
    "L2",
    "CLASSIFICATION",
    "DYNAMICS",
    "LOSSES",
    "NOWCAST",
    "RESTORATION",
    "Balanced",
    "Charbonnier",
    "CrossEntropy",
    "Dice",
    "Focal",
    "GammaLikelihood",
    "Lovasz",
    "PerMember",
    "RainL1",
    "RainL2",
    "RainLikelihood",
    "SERIES",
    "SSIMLoss",
    "SoftCSI",
    "StateLikelihood",
    "StateNorm",
    "Sum",
    "Tversky",
    "build",
)

CLASSIFICATION: dict[str, type[keras.losses.Loss]] = {
    "cross_entropy": CrossEntropy,
    "dice": Dice,
    "focal": Focal,
    "lovasz": Lovasz,
    "tversky": Tversky,
}
"""Losses of class indices and logits, by the names that recipes use."""

SERIES: dict[str, type[keras.losses.Loss]] = {"cross_entropy": CrossEntropy, "focal": Focal}
"""Losses of one class per series, by the names that recipes use."""

RESTORATION: dict[str, type[keras.losses.Loss]] = {
    "l1": L1,
    "l2": L2,
    "charbonnier": Charbonnier,
    "gamma": GammaLikelihood,
    "ssim": SSIMLoss,
}
"""Losses of values in physical units, by the names that recipes use."""

NOWCAST: dict[str, type[keras.losses.Loss]] = {
    "balanced": Balanced,
    "soft_csi": SoftCSI,
    "rain_likelihood": RainLikelihood,
    "rain_l1": RainL1,
    "rain_l2": RainL2,
}
"""Losses of rain rates ahead, by the names that recipes use."""

DYNAMICS: dict[str, type[keras.losses.Loss]] = {"state_norm": StateNorm, "state_likelihood": StateLikelihood}
"""Losses of states over time, by the names that recipes use."""

LOSSES = CLASSIFICATION | RESTORATION | NOWCAST | DYNAMICS
"""All losses by the names that recipes use."""


def build(
    spec: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]],
    *,
    among: Mapping[str, type[keras.losses.Loss]] = LOSSES,
    defaults: Mapping[str, Any] | None = None,
) -> keras.losses.Loss:
    """Makes the loss that a recipe names.

    Args:
        spec: a name; or a mapping with `name`, arguments of the loss, and optionally `weight` (default 1);
            or a list of these, which are summed.
        among: losses that may be named, those that fit the task.
        defaults: what the data tells (`scale`, `unit`, …): arguments for those losses that take them, where `spec`
            does not give them itself.

    Raises:
        RecipeError: a name or an option does not exist, or nothing is named.
        OptionError: an option's value is out of range.

    Example:
        >>> build([{"name": "cross_entropy", "label_smoothing": 0.1}, {"name": "dice", "weight": 0.5}])
    """
    listed = [spec] if isinstance(spec, str | Mapping) else list(spec)
    if not listed:
        raise RecipeError("loss", f"expected at least one of {', '.join(among)}. Received: none.")
    terms = [_term(entry, among, defaults or {}) for entry in listed]
    return terms[0][1] if len(terms) == 1 and terms[0][0] == 1 else Sum(terms)


def _term(
    entry: str | Mapping[str, Any], among: Mapping[str, type[keras.losses.Loss]], defaults: Mapping[str, Any]
) -> tuple[float, keras.losses.Loss]:
    options = {"name": entry} if isinstance(entry, str) else dict(entry)
    name: Any = options.pop("name", None)
    weight = options.pop("weight", 1.0)
    if name not in among:
        problem = f"expected one of {', '.join(among)}. Received: {name!r}."
        raise RecipeError("loss.name", problem, valid=among, nearest_to=str(name))
    if not isinstance(weight, int | float) or not weight > 0:
        raise RecipeError(f"loss.{name}.weight", f"expected a number greater than 0. Received: {weight!r}.")
    allowed = [option for option in inspect.signature(among[name]).parameters if option not in ("name", "kwargs")]
    for option in options:
        if option not in allowed:
            problem = f"no such option. Options of {name}: {', '.join([*allowed, 'weight'])}."
            raise RecipeError(f"loss.{name}.{option}", problem, valid=[*allowed, "weight"])
    told = {option: value for option, value in defaults.items() if option in allowed}
    try:
        return float(weight), among[name](**{**told, **options})
    except (TypeError, ValueError) as error:
        raise RecipeError(f"loss.{name}", f"an option has a value of the wrong kind: {error}.") from error
