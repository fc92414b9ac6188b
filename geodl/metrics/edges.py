"""How well edges survive a speckle filter, with a clean reference and without one.

With a clean reference: `edge_preservation_index`. Without: `edge_preservation`; and `edge_preservation_degree`, to
compare with papers that print it.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage, special

from geodl.errors import OptionError

__all__ = ("edge_preservation", "edge_preservation_degree", "edge_preservation_index")


def edge_preservation_index(clean: np.ndarray, filtered: np.ndarray) -> float:
    """Returns the EPI of Sattar et al. (1997, "Image enhancement based on a nonlinear multiscale method").

    That is the correlation of both images after a Laplacian. It needs the clean image: against a noisy one it tells how
    much of the noise is left.

    Args:
        clean: truth of shape (height, width), any unit; not-a-number where unknown.
        filtered: shape and unit of `clean`.

    Returns:
        −1 to 1, 1 where all edges are kept; not-a-number without two pixels whose neighbours are known.
    """
    one, other = (ndimage.laplace(image.astype(np.float64), mode="nearest") for image in (clean, filtered))
    known = np.isfinite(one) & np.isfinite(other)
    one, other = one[known] - one[known].mean() if known.any() else one[known], other[known]
    other = other - other.mean() if other.size else other
    spread = np.sqrt((one @ one) * (other @ other))
    return float(one @ other / spread) if spread > 0 else float("nan")


def edge_preservation_degree(noisy: np.ndarray, filtered: np.ndarray) -> float:
    """Returns the EPD-ROA of Feng et al. (2011, "SAR image despeckling based on local homogeneous-region …").

    That is the sum of ratios of neighbouring pixels of the filtered image over that of the noisy one, down and across,
    averaged over both. It depends on the speckle that is left more than on edges: the true reflectivity of a one-look
    image has about 0.05, like every good filter and every bad one. `edge_preservation` has not that fault.

    Args:
        noisy: intensity of shape (height, width). Pairs with a value that is not positive, here or there, are left out.
        filtered: shape of `noisy`.

    Returns:
        0 or more, 1 for the noisy image itself; not-a-number without a pair.
    """
    return mean_quotient(neighbour_ratios(noisy, filtered, np.ones(noisy.shape, bool)))


def edge_preservation(
    noisy: np.ndarray,
    filtered: np.ndarray,
    *,
    looks: float,
    window: int = 3,
    spacing: int = 2,
    false_alarms: float = 1e-4,
) -> float:
    """Returns the share of the contrast of edges that a filter keeps, measured without a clean reference.

    The contrast across a pixel boundary is the logarithm of the ratio of averages of the windows on its two sides, and
    an edge is where the noisy image's contrast is one that speckle alone seldom has (Touzi et al. 1988, "A statistical
    and geometrical edge detector for SAR images"). Places chosen for their large contrast have a smaller one in truth:
    measured on the pixels that they were chosen by, the true reflectivity itself would seem to lose contrast. So two
    sets of lines across the boundary, `spacing` pixels apart, take turns: one finds edges, the other measures their
    contrast in both images. The result is the sum of contrasts of the filtered image over that of the noisy one.

    The true reflectivity then has 1 on average, as long as speckle is independent `spacing` pixels apart; where it is
    not, filters that leave no speckle score lower. Neighbouring boundaries share pixels: a thousand edges give a value
    within about 0.1, fewer mean little.

    Args:
        noisy: intensity of shape (height, width), not-a-number or 0 where unknown.
        filtered: shape of `noisy`.
        looks: number of looks of `noisy`.
        window: depth of the windows on each side of a boundary, in pixels; they are about 12 long.
        spacing: pixels at which speckle is independent: 2 for a correlation (of the complex image's point spread) with
            a standard deviation up to 0.5 pixels, 3 up to 0.7, 4 up to 1.
        false_alarms: share of boundaries in pure speckle that pass for edges.

    Returns:
        1 where edges are kept, 0 where they are gone, more than 1 where they are sharpened or where speckle is left;
        not-a-number without an edge.

    Raises:
        OptionError: `window` or `spacing` is below 1.
    """
    everywhere = np.ones(noisy.shape, bool)
    kept, true, _ = edge_contrasts(
        noisy, filtered, everywhere, looks=looks, window=window, spacing=spacing, false_alarms=false_alarms
    )
    return kept / true if true > 0 else float("nan")


def neighbour_ratios(noisy: np.ndarray, filtered: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Returns the sums of ratios of neighbours: rows are down and across, columns the filtered and the noisy image."""
    sums = np.zeros((2, 2))
    with np.errstate(invalid="ignore"):
        usable = counted & (noisy > 0) & (filtered > 0) & np.isfinite(noisy) & np.isfinite(filtered)
    for axis in (0, 1):
        one, other = (_along(axis, part) for part in (slice(None, -1), slice(1, None)))
        both = usable[one] & usable[other]
        for column, image in enumerate((filtered, noisy)):
            values = image.astype(np.float64)
            sums[axis, column] = (values[one][both] / values[other][both]).sum()
    return sums


def mean_quotient(sums: np.ndarray) -> float:
    """Returns the EPD-ROA that sums of `neighbour_ratios` make."""
    present = sums[:, 1] > 0
    return float((sums[present, 0] / sums[present, 1]).mean()) if present.any() else float("nan")


def edge_contrasts(
    noisy: np.ndarray,
    filtered: np.ndarray,
    counted: np.ndarray,
    *,
    looks: float,
    window: int = 3,
    spacing: int = 2,
    false_alarms: float = 1e-4,
) -> tuple[float, float, int]:
    """Returns the sums of edge contrasts of the filtered and the noisy image, and how many edges there are.

    See `edge_preservation`; `counted` (height, width) tells which pixels may lie before a boundary, while others serve as
    members of windows only.
    """
    if window < 1 or spacing < 1:
        raise OptionError("window, spacing", expected="1 pixel or more", received=(window, spacing))
    with np.errstate(invalid="ignore"):
        usable = (noisy > 0) & (filtered > 0) & np.isfinite(noisy) & np.isfinite(filtered)
    noisy, filtered = (np.where(usable, image, 0.0).astype(np.float64) for image in (noisy, filtered))
    length = 2 * spacing * max(round(6 / spacing), 1)
    degrees = looks * length * window / spacing
    threshold = float(np.log(special.fdtri(degrees, degrees, 1 - false_alarms / 2)))
    sums = np.zeros(3)
    for turned in (False, True):
        parts = [image.T if turned else image for image in (noisy, filtered, usable, counted)]
        sums += _contrasts(parts[0], parts[1], parts[2], parts[3], window, length, spacing, threshold)
    return float(sums[0]), float(sums[1]), int(sums[2])


def _contrasts(
    noisy: np.ndarray,
    filtered: np.ndarray,
    usable: np.ndarray,
    counted: np.ndarray,
    window: int,
    length: int,
    spacing: int,
    threshold: float,
) -> tuple[float, float, int]:
    """Sums of contrasts between windows side by side, of `length` rows and `window` columns."""
    height, width = noisy.shape[0] - length + 1, noisy.shape[1] - 2 * window + 1
    if height < 1 or width < 1:
        return 0.0, 0.0, 0
    whole = _boxes(usable, length, window) == length * window
    there = whole[:, :width] & whole[:, window:]
    # The pixel before a boundary is the last of its window across it, and the middle one along it.
    there &= counted[length // 2 : length // 2 + height, window - 1 : window - 1 + width]
    row = np.arange(noisy.shape[0])[:, None] % (2 * spacing)
    contrasts = []
    for lines in (row == 0, row == spacing):
        pair = []
        for image in (noisy, filtered):
            # Each window holds as many lines of one set as of the other: sums may stand for averages.
            with np.errstate(divide="ignore", invalid="ignore"):
                level = np.log(_boxes(np.where(lines, image, 0.0), length, window))
                pair.append(level[:, :width] - level[:, window:])
        contrasts.append(pair)
    kept, true, count = 0.0, 0.0, 0
    for finding, measuring in (contrasts, contrasts[::-1]):
        edges = there & (np.abs(finding[0]) > threshold)
        sign = np.sign(finding[0][edges])
        true += float(sign @ measuring[0][edges])
        kept += float(sign @ measuring[1][edges])
        count += sign.size
    return kept, true, count


def _boxes(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Sums over all whole windows of a size. Adding shifted copies beats filters and running sums at small sizes."""
    sums = image.astype(np.float64)
    for axis, size in enumerate((height, width)):
        steps = sums.shape[axis] - size + 1
        total = sums[_along(axis, slice(0, steps))].copy()
        for shift in range(1, size):
            total += sums[_along(axis, slice(shift, shift + steps))]
        sums = total
    return sums


def _along(axis: int, part: slice) -> tuple[slice, ...]:
    return (part, slice(None)) if axis == 0 else (slice(None), part)
