"""A held-out place as layers for the map viewer of a report: input, truth, prediction and what differs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Protocol, cast, get_args, runtime_checkable

import numpy as np

from geodl.contract import ClassInfo, Contract
from geodl.data.clips import DomainClips
from geodl.data.samples import Samples
from geodl.data.source import Grid
from geodl.inference.runtime import Call
from geodl.physics.speckle import Unit, to_intensity
from geodl.pipelines.examples import counted
from geodl.report.comparison import colours, shared_ends
from geodl.report.layers import Layer, Swatches, Viewer, class_layer, picture_layer, ramp_layer
from geodl.report.mapreading import pixel_metres
from geodl.report.palette import PROBABILITY, RAIN, RIGHT, SIGNED, WRONG
from geodl.report.picture import paint, picture
from geodl.report.rain import LEVELS
from geodl.report.scalebar import north_angle
from geodl.report.speckle import decibels, radar_ends

__all__ = ("class_viewer", "forecast_viewer", "rain_layer", "restored_viewer")

_LOOKED = 6
"""Held-out samples of which the richest is shown."""
_LEAST = 128
"""Rows and columns shown at least: what little is labelled is seen in its surroundings."""
_MOST = 1200
"""Rows and columns shown at most, of maps of classes."""
_MOST_PICTURE = 640
"""Rows and columns shown at most, of pictures: noise takes a byte per pixel, and there are five of them."""
_LEADS = 4
"""Lead times shown at most."""
_JUDGED = (ClassInfo(0, "told right", RIGHT), ClassInfo(1, "told wrong", WRONG))


@runtime_checkable
class Gridded(Protocol):
    """Samples that know where the pixels of each lie."""

    def grid(self, index: int) -> Grid | None:
        """Returns the grid of all that `read(index, …)` gives, context included; None where that is not known."""
        ...


def class_viewer(contract: Contract, call: Call, samples: Samples, *, seed: int) -> Viewer:
    """Makes layers of a map of classes: input, truth, prediction, error and confidence.

    Args:
        contract: of the network.
        call: the network.
        samples: that are held out; of a few, drawn by the seed, the one with most classes and labelled pixels is shown.
        seed: of the recipe.
    """
    rng = np.random.default_rng(seed)
    drawn = [int(k) for k in np.sort(rng.permutation(len(samples))[:_LOOKED])]
    classes = contract.output.classes

    def worth(index: int) -> float:
        _, y, weight = samples.read(index, rng)
        return len(np.unique(y[weight > 0])) * float((weight > 0).sum())

    index = max(drawn, key=worth)
    x, y, weight = samples.read(index, rng)
    cut, _ = counted(weight, least=_LEAST, most=_MOST)
    logits = call(x[None])[0][cut]
    columns = x.shape[1]
    x, y, weight = x[cut], y[cut], weight[cut]
    valid = np.isfinite(x).all(-1)
    told = np.where(valid, logits.argmax(-1), -1)
    spread = np.exp(logits - logits.max(-1, keepdims=True))
    confidence = np.where(valid, spread.max(-1) / spread.sum(-1), np.nan)
    known = (y >= 0) & (told >= 0) & (weight > 0)
    error = np.where(known, (told != y).astype(np.int32), -1)
    layers = (
        picture_layer("input", picture(x, [band.name for band in contract.input.bands])),
        class_layer("truth", np.where(weight > 0, y, -1), classes),
        class_layer("prediction", told, classes),
        class_layer("error", error, _JUDGED),
        ramp_layer("confidence", confidence, ends=(0, 1), label="probability of the class chosen", colours=PROBABILITY),
    )
    return _placed(samples.place(index).name, layers, samples, index, (columns, cut), left=1, right=2)


def restored_viewer(
    contract: Contract,
    call: Call,
    samples: Samples,
    *,
    others: Mapping[str, Call],
    known: bool,
    names: tuple[str, str],
    seed: int,
) -> Viewer:
    """Makes layers of a restored scene: input, what others make of it, the network, truth and what differs.

    Args:
        contract: of the network.
        call: the network.
        samples: that are held out.
        others: what else to show of the same input, by name.
        known: whether there is a truth.
        names: what to call the input and the output.
        seed: of the recipe.
    """
    rng = np.random.default_rng(seed)
    index = int(rng.integers(len(samples)))
    x, y, weight = samples.read(index, rng)
    scale = max(y.shape[0] // x.shape[0], 1)
    seen, whole = counted(weight, scale, least=_LEAST, most=_MOST_PICTURE)
    bands, unit = [band.name for band in contract.output.bands], contract.output.bands[0].unit
    images: dict[str, np.ndarray] = {}
    # What is coarser, or has other bands, has no place among the layers.
    if x.shape[:2] == y.shape[:2] and not others:
        images[names[0]] = x[seen][..., : len(bands)]
    images |= {name: other(x[None])[0][whole] for name, other in others.items()}
    images[names[1]] = call(x[None])[0][whole]
    if known:
        images["truth"] = y[whole]
    radar = unit in get_args(Unit)
    shown = {name: colours(image, bands) for name, image in images.items()}
    if radar:
        shown = {name: image[..., :1] for name, image in shown.items()}
        if unit != "dB":
            shown = {name: decibels(to_intensity(image, cast("Unit", unit))) for name, image in shown.items()}
    ends = radar_ends(shown.values()) if radar else shared_ends(reversed(shown.values()))
    layers = [
        picture_layer(name, paint(np.maximum(image, ends[0]) if radar else image, ends))
        for name, image in shown.items()
    ]
    first, restored = next(iter(shown)), shown[names[1]]
    told = "dB" if radar else unit or "units of the scene"
    what = ("truth", f"{names[1]} − truth") if known else (first, f"{first} − {names[1]}")
    difference = (restored - shown["truth"] if known else shown[first] - restored).mean(-1)
    layers.append(_difference(what[1], difference, told))
    right = list(shown).index(names[1])
    place = samples.place(index).name
    return _placed(place, tuple(layers), samples, index, (y.shape[1], whole), left=0, right=right)


def forecast_viewer(
    contract: Contract, call: Call, samples: DomainClips, *, minutes: Sequence[float], seed: int
) -> Viewer:
    """Makes layers of a forecast of rain: the last frame, and what was observed and forecast at some lead times.

    Args:
        contract: of the network.
        call: the network.
        samples: that are held out; of a few, drawn by the seed, the one with most rain to come is shown.
        minutes: lead times.
        seed: of the recipe.
    """
    rng = np.random.default_rng(seed)
    drawn = [int(k) for k in rng.permutation(len(samples))[:_LOOKED]]
    index = max(drawn, key=lambda k: float(np.nansum(samples.read(k, rng)[1])))
    x, y, _ = samples.read(index, rng)
    last = x[(contract.input.dim("time").size or len(x)) - 1, ..., 0]
    made = np.where(np.isfinite(last), call(x[None])[0, ..., 0], np.nan)
    leads = np.unique(np.linspace(0, len(minutes) - 1, _LEADS).round().astype(int))
    layers = [rain_layer("last observed frame", last)]
    for lead in leads:
        layers.append(rain_layer(f"observed +{minutes[lead]:g} min", y[lead, ..., 0]))
        layers.append(rain_layer(f"forecast +{minutes[lead]:g} min", made[lead]))
    grid = samples.clips[index].sequence.grid
    viewer = Viewer(samples.place(index).name, tuple(layers), last.shape[1], last.shape[0], left=1, right=2)
    return dataclasses.replace(viewer, pixel=pixel_metres(grid), north=north_angle(grid, pixels=True))


def rain_layer(name: str, rate: np.ndarray) -> Layer:
    """Makes a layer of rain rates in mm/h, shape (height, width); not-a-number is transparent."""
    words = [f"{low:g}–{high:g}" for low, high in pairwise(LEVELS)] + [f"≥ {LEVELS[-1]:g}"]
    entries = (("#ffffff", f"below {LEVELS[0]:g}"), *zip(RAIN, words, strict=True))
    classes = [ClassInfo(k, word, colour) for k, (colour, word) in enumerate(entries)]
    layer = class_layer(name, np.where(np.isnan(rate), -1, np.digitize(rate, LEVELS)), classes)
    return dataclasses.replace(layer, legend=Swatches((*entries[:-1], (entries[-1][0], f"{entries[-1][1]} mm/h"))))


def _difference(name: str, difference: np.ndarray, unit: str) -> Layer:
    known = np.abs(difference[np.isfinite(difference)])
    limit = float(np.percentile(known, 99)) if known.size else 1.0
    return ramp_layer(name, difference, ends=(-limit or -1.0, limit or 1.0), label=f"{name} ({unit})", colours=SIGNED)


def _placed(
    title: str,
    layers: tuple[Layer, ...],
    samples: Samples,
    index: int,
    output: tuple[int, tuple[slice, slice]],
    *,
    left: int,
    right: int,
) -> Viewer:
    """Puts layers together, with their place on the ground where the samples know it.

    Args:
        title: of the viewer.
        layers: of the window.
        samples: that are held out.
        index: which one is shown.
        output: columns of the whole sample as the network gives it, and the window of them that is shown.
        left: the layer seen first on the left.
        right: that on the right.
    """
    columns, window = output
    height, width = (int(part.stop - part.start) for part in window)
    viewer = Viewer(title, layers, width, height, left=left, right=right)
    grid = samples.grid(index) if isinstance(samples, Gridded) else None
    if grid is None:
        return viewer
    pixel, finer = pixel_metres(grid), columns / grid.width
    size = None if pixel is None else (pixel[0] / finer, pixel[1] / finer)
    return dataclasses.replace(viewer, pixel=size, north=north_angle(grid, pixels=True))
