"""Which held-out samples are shown: the worst, a middling and the best one, not those that look well."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import shapely
from pyproj import Geod

from geodl.contract import ModelInput
from geodl.data.places import Place

__all__ = ("Example", "counted", "metres_per_pixel", "telling")

_LOOKED = 12
"""Samples of which the telling ones are chosen, at most: each is one more run of the network."""
_AGREES = 0.1
"""Share by which the size of pixels on the ground may differ from what the contract says."""


@dataclass(frozen=True)
class Example:
    """A sample that is shown, and why."""

    index: int
    """Of the sample."""
    why: str
    """`worst of 12`, `median of 12`, `best of 12`."""


def telling(count: int, score: Callable[[int], float], *, seed: int, looked: int = _LOOKED) -> list[Example]:
    """Chooses the worst, the median and the best of some samples, the same ones each time.

    Args:
        count: of samples.
        score: tells how good the network is on a sample, by its index; more is better. Where it is not-a-number, nothing
            is to be seen there.
        seed: draws which are looked at, where there are more than `looked`.
        looked: samples to look at, at most.

    Returns:
        One to three examples, the worst first; where no score is known, the first that were looked at.

    Example:
        >>> [(example.index, example.why) for example in telling(5, lambda index: -index, seed=0)]
        [(4, 'worst of 5'), (2, 'median of 5'), (0, 'best of 5')]
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(count)[:looked])
    scores = {int(index): float(score(int(index))) for index in drawn}
    known = sorted(
        (index for index in scores if math.isfinite(scores[index])), key=lambda index: (scores[index], index)
    )
    if not known:
        return [Example(index, "") for index in list(scores)[:3]]
    among = f"of {len(known)}"
    places = {0: "worst", len(known) // 2: "median", len(known) - 1: "best"}
    if len(known) == 1:
        return [Example(known[0], "the only one")]
    if len(known) == 2:
        places = {0: "worst", 1: "best"}
    return [Example(known[place], f"{name} {among}") for place, name in places.items()]


def counted(
    weight: np.ndarray, scale: int = 1, *, least: int = 1, most: int | None = None
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Returns the least window of the input, and of the output, that holds all pixels that count.

    Args:
        weight: of the output, shape (height, width); all of it where nothing counts.
        scale: pixels of the output along one of the input.
        least: pixels of the output along y and x that the window has at least, with context around what counts, if
            there are as many.
        most: that it has at most, about the middle.

    Returns:
        The window of the input and that of the output, each along y and x.
    """
    spans = []
    for axis, size in enumerate(weight.shape):
        found = np.flatnonzero((weight > 0).any(1 - axis)) // scale
        first, last = (int(found[0]), int(found[-1]) + 1) if len(found) else (0, size // scale)
        length = min(max(last - first, -(-least // scale)), size // scale)
        if most is not None:
            length = min(length, max(most // scale, 1))
        start = min(max(0, (first + last - length) // 2), size // scale - length)
        spans.append((start, start + length))
    seen, whole = ([slice(start * step, end * step) for start, end in spans] for step in (1, scale))
    return (seen[0], seen[1]), (whole[0], whole[1])


def metres_per_pixel(eaten: ModelInput, place: Place, shape: tuple[int, int]) -> float | None:
    """Returns how wide a pixel of a sample is on the ground.

    The contract says it in units of the CRS, the footprint by its area. Only where both agree is it known: the metres of
    Mercator maps are shorter on the ground, and a footprint may be larger than what is shown.

    Args:
        eaten: what the network eats.
        place: of the sample.
        shape: height and width of what is shown of it, in pixels.

    Returns:
        Metres; None where it is not known.
    """
    dim = next((dim for dim in eaten.dims if dim.name == "x"), None)
    if dim is None or dim.step is None or place.footprint is None or place.space != "lonlat":
        return None
    ellipsoid = Geod(ellps="WGS84")
    area = abs(ellipsoid.geometry_area_perimeter(place.footprint)[0])
    if dim.unit == "degree":
        # Degrees are narrower than they are high: the width alone is what a bar needs.
        ((x, y),) = shapely.get_coordinates(shapely.centroid(place.footprint))
        step = float(ellipsoid.line_length([x, x + dim.step], [y, y]))
        high = float(ellipsoid.line_length([x, x], [y, y + dim.step]))
    elif dim.unit == "metre":
        step = high = float(dim.step)
    else:
        return None
    return step if abs(area / (shape[0] * shape[1] * step * high) - 1) <= _AGREES else None
