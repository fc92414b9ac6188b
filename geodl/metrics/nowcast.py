"""Scores of nowcasts: what a forecast of rain is worth, by threshold, lead time and scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from geodl.errors import OptionError
from geodl.metrics.contingency import contingency
from geodl.metrics.ensemble import crps_of_ranked, reliability_counts
from geodl.metrics.fractions import fraction_sums
from geodl.metrics.pooling import nowcast_scores, spectra_of, with_scores
from geodl.metrics.rainerrors import error_sums
from geodl.metrics.rainspectra import pooled_spectra, radial_spectrum
from geodl.metrics.spread import Spread
from geodl.physics.rain import Transform

__all__ = ("Missing", "NowcastMetrics")

Missing = Literal["dry", "skip"]
"""What a pixel without a forecast is: one with a forecast of 0 mm/h, or one that does not count."""


class NowcastMetrics:
    """Streaming scores of forecasts of rain rates in mm/h; all sums run over the whole data set and are divided at the end.

    A pixel counts where the truth is finite and its weight is above 0. Where it counts but there is no finite forecast
    (an extrapolation knows nothing of what comes in from outside), it is taken as a forecast of no rain, so that all
    methods face the same pixels; `outside` is the share of such pixels.

    Thresholds are pysteps': contingency tables take rates above the threshold for rain, FSS and reliability also the
    threshold itself.

    - `csi`, `pod`, `far`, `frequency_bias`, `hss`: see `geodl.metrics.contingency.table_scores`.
    - `fss_<scale>`: fractions skill score, see `geodl.metrics.fractions`. Pixels that do not count are no rain, in the
      forecast too, as beyond the sides of the domain.
    - `mae`, `rmse`, `correlation`, `mean_rate_bias`: see `geodl.metrics.rainerrors.error_scores`.
    - `crps`: continuous ranked probability score in mm/h, of members that stand for the spread; of forecasts without a
      spread it is `mae`. Only where `spread` is given.
    - Spectra are the means of `geodl.metrics.rainspectra.radial_spectrum` of whole samples in (mm/h)², where pixels that
      do not count are 0 mm/h in forecast and truth alike.

    Args:
        thresholds: rain rates in mm/h, above 0.
        lead_minutes: minutes from the last observed frame to each forecast frame.
        scales: sides of the neighbourhoods of `fss`, in pixels.
        pixel_km: side of a pixel in km, for the names of scales and the wavelengths of spectra; None: they are in pixels.
        block: consecutive samples of a scene that form a block of the bootstrap, as they are not independent.
        spread: in what the second channel of a prediction is the log-variance of rain; None: there is no second channel.
        members: how many quantiles stand for the spread in `crps`.
        bins: of probability, in the reliability diagram.
        missing: "dry" as above; "skip": pixels without a forecast do not count.

    Raises:
        OptionError: no thresholds or lead times, thresholds or scales that are not positive.

    Example:
        >>> scores = NowcastMetrics([1.0], lead_minutes=[10], scales=[1])
        >>> rain = np.array([0.0, 2.0, 3.0, 0.0]).reshape(1, 1, 2, 2, 1)
        >>> scores.update(rain, rain[:, :, ::-1])
        >>> scores.result()["csi"]
        0.0
    """

    def __init__(
        self,
        thresholds: Sequence[float] = (0.5, 1.0, 5.0),
        *,
        lead_minutes: Sequence[float],
        scales: Sequence[int] = (1, 5, 20),
        pixel_km: float | None = None,
        block: int = 6,
        spread: Transform | None = None,
        members: int = 20,
        bins: int = 10,
        missing: Missing = "dry",
    ) -> None:
        if not len(thresholds) or not all(0 < threshold < np.inf for threshold in thresholds):
            raise OptionError("thresholds", expected="rain rates above 0 mm/h", received=list(thresholds))
        if not len(lead_minutes):
            raise OptionError("lead_minutes", expected="at least one lead time", received=list(lead_minutes))
        if not all(scale >= 1 and scale == int(scale) for scale in scales):
            raise OptionError("scales", expected="whole numbers of pixels, 1 or more", received=list(scales))
        if pixel_km is not None and not 0 < pixel_km < np.inf:
            raise OptionError("pixel_km", expected="a number above 0, or None", received=pixel_km)
        for name, value in (("block", block), ("members", members), ("bins", bins)):
            if value < 1:
                raise OptionError(name, expected="1 or more", received=value)
        if missing not in get_args(Missing):
            raise OptionError("missing", expected="dry or skip", received=missing)
        self.thresholds = tuple(map(float, thresholds))
        self.lead_minutes = tuple(map(float, lead_minutes))
        self.scales = tuple(map(int, scales))
        self.pixel_km = pixel_km
        self.block = block
        self.spread = None if spread is None else Spread(spread)
        self.members = members
        self.bins = bins
        self.missing = missing
        self.reset()

    def reset(self) -> None:
        """Forgets all that was counted."""
        rates, leads = len(self.thresholds), len(self.lead_minutes)
        self._tables = np.zeros((rates, leads, 4), np.int64)
        self._fractions = np.zeros((rates, leads, len(self.scales), 3))
        self._errors = np.zeros((leads, 8))
        self._outside = np.zeros(leads, np.int64)
        self._crps = np.zeros(leads)
        self._reliability = np.zeros((rates, self.bins, 3))
        self._probable = False
        self._spectra: dict[int, np.ndarray] = {}
        self._blocks: dict[tuple[str, int], np.ndarray] = {}
        self._seen: dict[str, int] = {}

    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weight: np.ndarray | None = None,
        *,
        x: np.ndarray | None = None,
        scenes: Sequence[str] = (),
    ) -> None:
        """Counts a batch; the samples of a scene come in the order of time.

        Args:
            y: observed rain rates in mm/h, of shape (batch, lead, height, width, 1), not-a-number where nodata.
            prediction: forecast rain rates in mm/h, shape of `y`; with a spread its last axis is 2: median and
                log-variance. Not-a-number where there is no forecast.
            weight: (batch, lead, height, width); pixels of weight 0 do not count. Other weights all count as one pixel.
            x: the input; not looked at.
            scenes: name of the scene of each sample; without, each sample is a scene of its own.

        Raises:
            OptionError: shapes do not fit.
        """
        leads = len(self.lead_minutes)
        if y.ndim != 5 or y.shape[1] != leads or y.shape[-1] != 1:
            raise OptionError("y", expected=f"shape (batch, {leads}, height, width, 1)", received=y.shape)
        channels = (1,) if self.spread is None else (1, 2)
        if prediction.shape[:-1] != y.shape[:-1] or prediction.shape[-1] not in channels:
            expected = f"shape {y.shape}" + ("" if self.spread is None else ", or 2 channels")
            raise OptionError("prediction", expected=expected, received=prediction.shape)
        if weight is not None and weight.shape != y.shape[:-1]:
            raise OptionError("weight", expected=f"shape {y.shape[:-1]}", received=weight.shape)
        if scenes and len(scenes) != len(y):
            raise OptionError("scenes", expected=f"{len(y)} names", received=scenes)
        for index in range(len(y)):
            scene = scenes[index] if scenes else str(sum(self._seen.values()))
            number = self._seen.get(scene, 0)
            self._seen[scene] = number + 1
            empty = np.zeros((len(self.thresholds), leads, 3), np.int64)
            block = self._blocks.setdefault((scene, number // self.block), empty)
            for lead in range(leads):
                kept = np.isfinite(y[index, lead, ..., 0])
                if weight is not None:
                    kept &= weight[index, lead] > 0
                tables = self._count(lead, y[index, lead, ..., 0], prediction[index, lead], kept)
                self._tables[:, lead] += tables
                block[:, lead] += tables[:, :3]

    def result(self) -> dict[str, float]:
        """Returns all scores of all lead times together; `details()` has each.

        Returns:
            `csi` (mean over thresholds), `mae`, `rmse`, `correlation`, `mean_rate_bias`, `crps` where there is a spread,
            `outside`; then by threshold `csi/0.5 mm/h`, `pod/…`, `far/…`, `frequency_bias/…`, `hss/…`, and by scale too
            `fss_5km/…` (`fss_5px/…` where the size of a pixel is unknown). Not-a-number where undefined.
        """
        return nowcast_scores(self.details())

    def details(self) -> dict[str, Any]:
        """Returns what stands behind the scores, as JSON takes it (undefined is None); see `geodl.metrics.pooling`."""
        sums: dict[str, Any] = {
            "errors": self._errors.tolist(),
            "fractions": self._fractions.tolist(),
            "outside": self._outside.tolist(),
        }
        if self.spread is not None:
            sums["crps"] = self._crps.tolist()
            if self._probable:
                sums["reliability"] = self._reliability.tolist()
        return with_scores(
            {
                "unit": "mm/h",
                "thresholds": list(self.thresholds),
                "lead_minutes": list(self.lead_minutes),
                "scales": list(self.scales),
                "pixel_km": self.pixel_km,
                "missing": self.missing,
                "samples": sum(self._seen.values()),
                "tables": self._tables.tolist(),
                "sums": sums,
                "spectra": self._mean_spectra(),
                "blocks": {
                    "samples": self.block,
                    "names": [f"{scene}/{number}" for scene, number in self._blocks],
                    "tables": [table.tolist() for table in self._blocks.values()],
                },
            }
        )

    def _mean_spectra(self) -> dict[str, Any]:
        parts = [
            (np.arange(1, sums.shape[-1]) / side, sums[0, :, 0], sums[1:, :, 1:])
            for side, sums in sorted(self._spectra.items())
        ]
        leads = len(self.lead_minutes)
        nothing = (np.zeros(0), np.zeros(leads), np.zeros((2, leads, 0)))
        return spectra_of(*pooled_spectra(parts or [nothing]), pixel_km=self.pixel_km)

    def _count(self, lead: int, truth: np.ndarray, prediction: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Counts one frame, all but its place among the blocks, and returns its contingency tables."""
        given = np.isfinite(prediction[..., 0])
        if prediction.shape[-1] == 2:
            given &= np.isfinite(prediction[..., 1])
        if self.missing == "skip":
            kept = kept & given
        given &= kept
        pixels, forecast_pixels = int(np.count_nonzero(kept)), int(np.count_nonzero(given))
        if not pixels:
            return np.zeros((len(self.thresholds), 4), np.int64)
        zero = np.zeros((), truth.dtype)
        truth = np.where(kept, truth, zero)
        guess = np.where(given, prediction[..., 0], np.zeros((), prediction.dtype))

        self._outside[lead] += pixels - forecast_pixels
        errors = error_sums(truth, guess, pixels=pixels)
        self._errors[lead] += errors
        self._fractions[:, lead] += fraction_sums(truth, guess, self.thresholds, self.scales)
        self._count_spectra(lead, truth, guess)
        if self.spread is not None and prediction.shape[-1] == 1:
            self._crps[lead] += errors[1]
        elif self.spread is not None:
            certain = np.where(given, prediction[..., 1], np.asarray(-np.inf, prediction.dtype))
            self._count_spread(lead, self.spread, truth[kept], guess[kept], certain[kept])
        return contingency(truth, guess, self.thresholds, pixels=pixels)

    def _count_spectra(self, lead: int, truth: np.ndarray, guess: np.ndarray) -> None:
        powers = radial_spectrum(truth), radial_spectrum(guess)
        empty = np.zeros((3, len(self.lead_minutes), powers[0].size))
        found = self._spectra.setdefault(max(truth.shape), empty)
        found[:, lead] += np.stack([np.ones_like(powers[0]), *powers])

    def _count_spread(
        self, lead: int, spread: Spread, truth: np.ndarray, median: np.ndarray, log_variance: np.ndarray
    ) -> None:
        members = spread.quantiles(median, log_variance, self.members)
        self._crps[lead] += crps_of_ranked(members, self.members, truth).sum(dtype=np.float64)
        for counts, threshold in zip(self._reliability, self.thresholds, strict=True):
            counts += reliability_counts(
                spread.exceedance(median, log_variance, threshold), truth, threshold, bins=self.bins
            )
        self._probable = True
