"""Scores of a speckle filter that need no clean reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from geodl.errors import OptionError
from geodl.metrics.edges import edge_contrasts, mean_quotient, neighbour_ratios
from geodl.metrics.speckle import co_occurrences, enl, homogeneous_areas, ratio_image, speckle_octiles, structure
from geodl.physics.speckle import Unit, to_intensity

__all__ = ("DespecklingMetrics",)


class DespecklingMetrics:
    """Streaming scores of despeckled images, against the noisy images they were made from; all are of intensities.

    Pixels whose input is not a positive number, or whose weight is 0, are not counted. A prediction that is not a
    positive, finite intensity where the input counts is an error without a size: it makes not-a-number of the scores of
    its band and of the means over bands, and `details()` tells how many there are.

    - `enl_input`, `enl`: equivalent number of looks before and after, the median over homogeneous areas, which are
      found on the input of each sample (`geodl.metrics.speckle.homogeneous_areas`); `enl_gain`, their quotient.
    - `ratio_mean`, `ratio_variance`: of input / prediction; of an ideal filter 1 and 1 / looks.
    - `ratio_structure`: percent, ideally 0; see `geodl.metrics.speckle.ratio_structure`.
    - `edge_preservation`: share of the contrast of edges that is kept, ideally 1; see
      `geodl.metrics.edges.edge_preservation`.
    - `epd_roa`: what papers print; see `geodl.metrics.edges.edge_preservation_degree`.

    Args:
        bands: names of the bands, in the order of the last axis.
        unit: "intensity", "amplitude" or "dB", of inputs and predictions.
        looks: number of looks of the input.
        size: side of the homogeneous areas, in pixels; samples must be larger.
        count: how many areas per sample and band, at most.
        spacing: pixels at which speckle is independent; see `geodl.metrics.edges.edge_preservation`.

    Raises:
        OptionError: no bands, or `looks` that are not positive.

    Example:
        >>> noisy = np.random.default_rng(0).gamma(4, 1 / 4, (1, 100, 100, 1))
        >>> scores = DespecklingMetrics(("VV",), unit="intensity", looks=4)
        >>> scores.update(noisy, np.ones_like(noisy), x=noisy)
        >>> round(scores.result()["ratio_variance"], 2)
        0.25
    """

    def __init__(
        self, bands: Sequence[str], *, unit: Unit, looks: float, size: int = 25, count: int = 8, spacing: int = 2
    ) -> None:
        if not bands:
            raise OptionError("bands", expected="at least one band name", received=bands)
        if not looks > 0:
            raise OptionError("looks", expected="a number above 0", received=looks)
        self.bands = tuple(bands)
        self.unit = unit
        self.looks = looks
        self.size = size
        self.count = count
        self.spacing = spacing
        self._octiles = speckle_octiles(looks)
        self.reset()

    def reset(self) -> None:
        """Forgets all that was counted."""
        n, levels = len(self.bands), len(self._octiles) + 1
        self._areas: list[dict[str, Any]] = []
        self._samples = 0
        self._pixels = np.zeros(n, np.int64)
        self._unknown = np.zeros(n, np.int64)
        self._unpredicted = np.zeros(n, np.int64)
        self._ratio = np.zeros((n, 2))
        self._pairs = np.zeros((n, levels, levels), np.int64)
        self._grey = np.zeros((n, levels), np.int64)
        self._contrasts = np.zeros((n, 3))
        self._neighbours = np.zeros((n, 2, 2))

    def update(
        self,
        y: np.ndarray | None,
        prediction: np.ndarray,
        weight: np.ndarray | None = None,
        *,
        x: np.ndarray,
        scenes: Sequence[str] = (),
    ) -> None:
        """Counts a batch.

        Args:
            y: not looked at: there is no truth.
            prediction: despeckled images of shape (batch, height, width, bands), in `unit`.
            weight: (batch, height, width); pixels of weight 0 do not count.
            x: noisy images, of the shape of `prediction` or with more bands behind, in `unit`.
            scenes: name of the scene of each sample, for `details()`.

        Raises:
            OptionError: shapes do not fit.
        """
        n = len(self.bands)
        if prediction.ndim != 4 or prediction.shape[-1] != n:
            raise OptionError("prediction", expected=f"shape (batch, height, width, {n})", received=prediction.shape)
        if x.shape[:-1] != prediction.shape[:-1] or x.shape[-1] < n:
            raise OptionError("x", expected=f"shape {prediction.shape}", received=x.shape)
        if weight is not None and weight.shape != prediction.shape[:-1]:
            raise OptionError("weight", expected=f"shape {prediction.shape[:-1]}", received=weight.shape)
        if scenes and len(scenes) != len(x):
            raise OptionError("scenes", expected=f"{len(x)} names", received=scenes)
        for index in range(len(x)):
            counted = np.ones(x.shape[1:3], bool) if weight is None else weight[index] > 0
            place = {"scene": scenes[index] if scenes else self._samples, "sample": self._samples}
            for band in range(n):
                noisy, found = (to_intensity(image[index, ..., band], self.unit) for image in (x, prediction))
                self._count(band, noisy, found, counted, place)
            self._samples += 1

    def result(self) -> dict[str, float]:
        """Returns all scores: the means over bands, then, of two bands or more, `<score>/<band>`.

        Returns:
            `enl_input`, `enl`, `enl_gain`, `ratio_mean`, `ratio_variance`, `ratio_structure` (percent),
            `edge_preservation` and `epd_roa`; not-a-number where nothing was counted, or no area or edge was found.
        """
        tables = [self._scores(band) for band in range(len(self.bands))]
        scores = {name: float(np.mean([table[name] for table in tables])) for name in tables[0]}
        if len(self.bands) > 1:
            scores |= {
                f"{name}/{band}": table[name]
                for name in tables[0]
                for band, table in zip(self.bands, tables, strict=True)
            }
        return scores

    def details(self) -> dict[str, Any]:
        """Returns what was measured where, as JSON takes it.

        Returns:
            `bands`, `unit`, `looks`, `size`, `spacing`; `pixels` counted, `unknown` (of weight above 0, without a positive input)
            and `unpredicted`, all bands together; `edges`, boundaries that `edge_preservation` was measured at, per band
            (fewer than a thousand mean little); and `areas`, a list of `scene`, `sample` (its number), `band`, `row`,
            `col`, `height`, `width` (pixels, from the sample's upper left corner), `mean` (input), `enl_input`, `enl`.
        """
        return {
            "bands": list(self.bands),
            "unit": self.unit,
            "looks": self.looks,
            "size": self.size,
            "spacing": self.spacing,
            "pixels": int(self._pixels.sum()),
            "unknown": int(self._unknown.sum()),
            "unpredicted": int(self._unpredicted.sum()),
            "edges": [int(count) for count in self._contrasts[:, 2]],
            "areas": [
                {key: None if isinstance(v, float) and not np.isfinite(v) else v for key, v in area.items()}
                for area in self._areas
            ],
        }

    def _count(
        self, band: int, noisy: np.ndarray, found: np.ndarray, counted: np.ndarray, place: dict[str, Any]
    ) -> None:
        with np.errstate(invalid="ignore"):
            known = counted & (noisy > 0) & np.isfinite(noisy)
            given = (found > 0) & np.isfinite(found)
        self._pixels[band] += np.count_nonzero(known)
        self._unknown[band] += np.count_nonzero(counted & ~known)
        self._unpredicted[band] += np.count_nonzero(known & ~given)
        ratio = ratio_image(np.where(known, noisy, np.nan), found)
        self._ratio[band] += [np.nansum(ratio), np.nansum(np.square(ratio))]
        pairs, grey = co_occurrences(ratio, self._octiles)
        self._pairs[band] += pairs
        self._grey[band] += grey
        self._contrasts[band] += edge_contrasts(noisy, found, known, looks=self.looks, spacing=self.spacing)
        self._neighbours[band] += neighbour_ratios(noisy, found, known)
        areas = homogeneous_areas(np.where(known, noisy, np.nan), size=self.size, count=self.count, looks=self.looks)
        before, after = enl(noisy, areas), enl(found, areas)
        for area, one, other in zip(areas, before, after, strict=True):
            mean = float(area.of(noisy).mean())
            where = {**place, "band": self.bands[band], **area._asdict()}
            self._areas.append({**where, "mean": mean, "enl_input": float(one), "enl": float(other)})

    def _scores(self, band: int) -> dict[str, float]:
        areas = [area for area in self._areas if area["band"] == self.bands[band]]
        before, after = (
            float(np.median([area[key] for area in areas])) if areas else float("nan") for key in ("enl_input", "enl")
        )
        seen = int(self._grey[band].sum())
        mean, square = self._ratio[band] / seen if seen else (float("nan"), float("nan"))
        kept, true, _ = self._contrasts[band]
        scores = {
            "enl_input": before,
            "enl": after,
            "enl_gain": after / before,
            "ratio_mean": float(mean),
            "ratio_variance": float(square - mean**2),
            "ratio_structure": structure(self._pairs[band], self._grey[band]),
            "edge_preservation": float(kept / true) if true > 0 else float("nan"),
            "epd_roa": mean_quotient(self._neighbours[band]),
        }
        return scores if not self._unpredicted[band] else dict.fromkeys(scores, float("nan"))
