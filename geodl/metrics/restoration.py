"""Scores of restored images, denoised or super-resolved, against the truth: per scene, then averaged over scenes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geodl.errors import OptionError
from geodl.metrics.similarity import spectral_angles, structural_similarity, whole_windows

__all__ = ("RestorationMetrics",)


@dataclass
class _Sums:
    """What is known of one scene: arrays of shape (bands,), scalars for what is taken over all bands together."""

    pixels: np.ndarray
    unpredicted: np.ndarray
    error: np.ndarray
    squares: np.ndarray
    truth: np.ndarray
    low: np.ndarray
    high: np.ndarray
    similarity: np.ndarray
    windows: np.ndarray
    angle: float = 0.0
    angles: int = 0
    misfit: float = 0.0
    inputs: int = 0
    noise: Any = 0.0
    seen: Any = 0

    @classmethod
    def empty(cls, bands: int) -> _Sums:
        def zeros(kind: type) -> np.ndarray:
            return np.zeros(bands, kind)

        return cls(
            pixels=zeros(int),
            unpredicted=zeros(int),
            error=zeros(float),
            squares=zeros(float),
            truth=zeros(float),
            low=np.full(bands, np.inf),
            high=np.full(bands, -np.inf),
            similarity=zeros(float),
            windows=zeros(int),
        )


class RestorationMetrics:
    """Streaming scores of images with values, such as denoised or super-resolved ones.

    Sums are kept per scene, so that windows of a scene give what the whole scene gives, and memory grows with the number
    of scenes only. A score of a scene is the mean over its bands; a score is the mean over scenes, as denoising and
    super-resolution papers average the PSNRs of images. `rmse`, `bias` and `consistency` alone are pooled over all
    pixels of all scenes (and bands), where the largest scene counts most.

    Pixels whose truth is not-a-number, or whose weight is 0, are not counted. A prediction that is not finite where the
    truth counts is an error without a size: it makes not-a-number of the scores of its band, and of the means over
    bands and scenes, and `details()` tells how many there are.

    - `psnr`: 10 log10(peak² / mean squared error), in dB. Infinite where nothing differs.
    - `ssim`: structural similarity (Wang et al. 2004, "Image quality assessment", section III.B) with Gaussian windows
      of 11 × 11 pixels, averaged over counted pixels whose whole window lies in the sample and is valid: for whole
      images, scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)`.
      Pixels of weight 0 whose truth is finite (the context around a window) belong to windows, but are not counted;
      windows cut with 5 pixels of context or more give what the whole scene gives.
    - `rmse`, `bias`: root of the mean squared error, and mean error (prediction − truth), in units of the image.
    - `sre`: signal-to-reconstruction error, 10 log10(mean truth² / mean squared error), in dB (Lanaras et al. 2018,
      "Super-resolution of Sentinel-2 images").
    - `ergas`: 100 / ratio · √(mean over bands of (rmse / mean truth)²) (Wald 2000, "Quality of high resolution
      synthesised images: is there a simple criterion?").
    - `sam`: mean angle between true and predicted spectra, in degrees (Kruse et al. 1993), over pixels whose bands all
      count; of two bands or more. An all-zero truth has no angle and is left out, an all-zero prediction is 90° off.
    - `psnr_input`: that of the input itself, which is neither rounded nor clipped, where it lies on the grid of the truth
      and there is no forward model; of pixels whose input is valid.
    - `consistency`: root-mean-square difference of the prediction, degraded again, and the input it was made from.

    Args:
        bands: names of the bands, in the order of the last axis.
        peak: largest value that an image can have (255 for 8 bits), the range of PSNR and SSIM. None: each scene's own
            range, largest minus smallest truth, per band. SSIM cannot wait for a scene's range: it then takes that of
            each sample, which is the same where samples are whole scenes, and leaves out samples of range 0.
        ratio: how many times finer the prediction is than the input; 1 in denoising.
        crop: pixels left out along each side of each sample, which is a whole image then.
        quantise: the two ends of a range of whole numbers that predictions are rounded and clipped to, as in protocols
            that write 8-bit files: (0, 255). `consistency` is measured before both, on what the network gives.
        degrade: forward model, from a prediction (height, width, bands) to the input's grid; gives `consistency`.
        inputs: which bands of the input are those of the truth. Defaults to the first ones.
        unit: unit of the image, for `details()`.

    Raises:
        OptionError: no bands, a `peak` or `ratio` that is not positive, a negative `crop`.

    Example:
        >>> scores = RestorationMetrics(("grey",), peak=255)
        >>> scores.update(np.zeros((1, 16, 16, 1)), np.full((1, 16, 16, 1), 25.5))
        >>> scores.result()["psnr"]
        20.0
    """

    def __init__(
        self,
        bands: Sequence[str],
        *,
        peak: float | None,
        ratio: int = 1,
        crop: int = 0,
        quantise: tuple[float, float] | None = None,
        degrade: Callable[[np.ndarray], np.ndarray] | None = None,
        inputs: slice | None = None,
        unit: str = "",
    ) -> None:
        if not bands:
            raise OptionError("bands", expected="at least one band name", received=bands)
        if peak is not None and not peak > 0:
            raise OptionError("peak", expected="a number above 0, or None", received=peak)
        if ratio < 1:
            raise OptionError("ratio", expected="1 or more", received=ratio)
        if crop < 0:
            raise OptionError("crop", expected="0 pixels or more", received=crop)
        if quantise is not None and not quantise[0] < quantise[1]:
            raise OptionError("quantise", expected="two numbers, the lower one first", received=quantise)
        self.bands = tuple(bands)
        self.peak = peak
        self.ratio = ratio
        self.crop = crop
        self.quantise = quantise
        self.degrade = degrade
        self.inputs = slice(len(self.bands)) if inputs is None else inputs
        self.unit = unit
        self.reset()

    def reset(self) -> None:
        """Forgets all that was counted."""
        self._scenes: dict[str | int, _Sums] = {}

    def update(
        self,
        y: np.ndarray,
        prediction: np.ndarray,
        weight: np.ndarray | None = None,
        *,
        x: np.ndarray | None = None,
        scenes: Sequence[str] = (),
    ) -> None:
        """Counts a batch.

        Args:
            y: truth of shape (batch, height, width, bands), not-a-number where unknown.
            prediction: shape of `y`.
            weight: (batch, height, width); pixels of weight 0 do not count. Other weights all count as one pixel.
            x: what the prediction was made from, of shape (batch, height / ratio, width / ratio, bands or more), or the
                full height and width if `degrade` returns them. Input pixels of which a part has weight 0 are not
                counted.
            scenes: name of the scene of each sample; without, each sample is a scene of its own.

        Raises:
            OptionError: shapes do not fit, samples are no larger than the crop, or `x` is missing.
        """
        if y.ndim != 4 or y.shape[-1] != len(self.bands):
            raise OptionError("y", expected=f"shape (batch, height, width, {len(self.bands)})", received=y.shape)
        if prediction.shape != y.shape:
            raise OptionError("prediction", expected=f"shape {y.shape}", received=prediction.shape)
        if weight is not None and weight.shape != y.shape[:-1]:
            raise OptionError("weight", expected=f"shape {y.shape[:-1]}", received=weight.shape)
        if scenes and len(scenes) != len(y):
            raise OptionError("scenes", expected=f"{len(y)} names", received=scenes)
        if min(y.shape[1:3]) <= 2 * self.crop:
            raise OptionError("crop", expected=f"less than half of samples of {y.shape[1:3]}", received=self.crop)
        if self.degrade is not None and x is None:
            raise OptionError("x", expected="the input, as consistency is to be measured", received=x)
        inside = slice(self.crop, -self.crop or None)
        for index, (truth, guess) in enumerate(zip(y, prediction, strict=True)):
            sums = self._scenes.setdefault(scenes[index] if scenes else len(self._scenes), _Sums.empty(len(self.bands)))
            counted = np.ones(truth.shape[:2], bool) if weight is None else weight[index] > 0
            if x is not None:
                self._count_consistency(sums, x[index], np.where(np.isfinite(truth), guess, np.nan), counted)
            self._count(sums, truth[inside, inside], guess[inside, inside], counted[inside, inside])
            if x is not None and self.degrade is None and x.shape[1:3] == truth.shape[:2]:
                noise = np.subtract(x[index][..., self.inputs], truth, dtype=np.float64)
                kept = (counted[..., None] & np.isfinite(noise))[inside, inside]
                squares = np.square(noise[inside, inside])
                sums.noise += squares.sum(axis=(0, 1), where=kept)
                sums.seen += kept.sum(axis=(0, 1))

    def result(self) -> dict[str, float]:
        """Returns all scores.

        Returns:
            `psnr`, `ssim`, `psnr_input` where the input was given and lies on the truth's grid, `rmse`, `bias`, `sre`,
            `ergas`; `sam` of two bands or more; `consistency` where there is a forward model; then, of two bands or
            more, `psnr/<band>`, `ssim/<band>`, `rmse/<band>`, `bias/<band>` and `sre/<band>`. Not-a-number where nothing
            was counted.
        """
        scenes, n = list(self._scenes.values()), len(self.bands)
        pixels, unpredicted, error, squares = (
            np.sum([getattr(sums, name) for sums in scenes] or np.zeros((1, n)), axis=0)
            for name in ("pixels", "unpredicted", "error", "squares")
        )
        # What was not predicted at all cannot be averaged away: adding this makes not-a-number of a band, or of all.
        spoilt = np.where(unpredicted > 0, np.nan, 0.0)
        tables = [self._scores(sums) for sums in scenes]
        scores = {name: _mean([_mean(table[name]) for table in tables]) for name in ("psnr", "ssim")}
        if any(np.any(sums.seen) for sums in scenes):
            scores["psnr_input"] = _mean([_mean(table["psnr_input"]) for table in tables])
        scores["rmse"] = float(np.sqrt(_ratio(squares.sum(), pixels.sum())))
        scores["bias"] = float(_ratio(error.sum(), pixels.sum()))
        scores |= {name: _mean([_mean(table[name]) for table in tables]) for name in ("sre", "ergas", "sam")}
        if n == 1:
            del scores["sam"]
        if self.degrade is not None:
            misfit, inputs = (sum(getattr(sums, name) for sums in scenes) for name in ("misfit", "inputs"))
            scores["consistency"] = float(np.sqrt(_ratio(misfit, inputs)))
        found = {name: value + float(spoilt.sum()) for name, value in scores.items()}
        if n > 1:
            per_band = {
                "psnr": [_mean([table["psnr"][band] for table in tables]) for band in range(n)],
                "ssim": [_mean([table["ssim"][band] for table in tables]) for band in range(n)],
                "rmse": np.sqrt(_ratio(squares, pixels)),
                "bias": _ratio(error, pixels),
                "sre": [_mean([table["sre"][band] for table in tables]) for band in range(n)],
            }
            for name, values in per_band.items():
                found |= {f"{name}/{band}": float(v) for band, v in zip(self.bands, values + spoilt, strict=True)}
        return found

    def details(self) -> dict[str, Any]:
        """Returns what was measured how, and the scores of each scene, as JSON takes them (undefined is None).

        Returns:
            `bands`, `unit`, `peak` (`"scene"`: each scene's own range), `crop`, `quantise`, `ratio`, `mean` (how scores
            are averaged), `unpredicted` (values without a finite prediction) and `scenes`, a list of `scene` (name, or
            number), `pixels` (of all bands), `psnr`, `ssim`, `rmse`, `sre`, `ergas` and, of two bands or more, `sam`.
        """
        table = []
        for name, sums in self._scenes.items():
            scores, spoilt = self._scores(sums), sums.unpredicted.any()
            scores["rmse"] = np.sqrt(_ratio(sums.squares.sum(), sums.pixels.sum()))
            if len(self.bands) == 1:
                del scores["sam"]
            if not np.any(sums.seen):
                del scores["psnr_input"]
            row: dict[str, Any] = {"scene": name, "pixels": int(sums.pixels.sum())}
            table.append(row | {key: None if spoilt else _finite(_mean(v)) for key, v in scores.items()})
        return {
            "bands": list(self.bands),
            "unit": self.unit,
            "peak": "scene" if self.peak is None else self.peak,
            "crop": self.crop,
            "quantise": None if self.quantise is None else list(self.quantise),
            "ratio": self.ratio,
            "mean": "over bands, then over scenes; rmse, bias and consistency over all pixels",
            "unpredicted": int(sum(sums.unpredicted.sum() for sums in self._scenes.values())),
            "scenes": table,
        }

    def _count(self, sums: _Sums, truth: np.ndarray, guess: np.ndarray, counted: np.ndarray) -> None:
        known, given = np.isfinite(truth), np.isfinite(guess)
        kept = known & counted[..., None]
        both = kept & given
        truth = np.where(known, truth, 0.0).astype(np.float64)
        guess = np.where(given, guess, 0.0).astype(np.float64)
        if self.quantise is not None:
            truth, guess = np.rint(truth), np.clip(np.rint(guess), *self.quantise)
        difference = np.where(both, guess - truth, 0.0)
        low, high = (
            pick(truth, axis=(0, 1), where=kept, initial=start) for pick, start in ((np.min, np.inf), (np.max, -np.inf))
        )
        sums.pixels += kept.sum(axis=(0, 1))
        sums.unpredicted += (kept & ~given).sum(axis=(0, 1))
        sums.error += difference.sum(axis=(0, 1))
        sums.squares += np.square(difference).sum(axis=(0, 1))
        sums.truth += truth.sum(axis=(0, 1), where=kept)
        sums.low, sums.high = np.minimum(sums.low, low), np.maximum(sums.high, high)
        for band in range(len(self.bands)):
            peak = high[band] - low[band] if self.peak is None else self.peak
            if 0 < peak < np.inf:
                # A window's pixels must be valid, whether they are counted or not; its centre must be counted too.
                centres = whole_windows((known & given)[..., band]) & kept[..., band]
                similarity = structural_similarity(truth[..., band], guess[..., band], peak)
                sums.similarity[band] += similarity.sum(where=centres)
                sums.windows[band] += int(np.count_nonzero(centres))
        if len(self.bands) > 1:
            angles = spectral_angles(truth[both.all(axis=-1)], guess[both.all(axis=-1)])
            sums.angle += float(angles.sum())
            sums.angles += angles.size

    def _count_consistency(self, sums: _Sums, x: np.ndarray, guess: np.ndarray, counted: np.ndarray) -> None:
        if self.degrade is None:
            return
        again, x = np.asarray(self.degrade(guess), np.float64), x[..., self.inputs]
        if again.shape != x.shape:
            raise OptionError("x", expected=f"the shape that degrade returns, {again.shape}", received=x.shape)
        if x.shape[:2] != counted.shape:
            height, width = x.shape[:2]
            if (height * self.ratio, width * self.ratio) != counted.shape:
                raise OptionError(
                    "ratio", expected=f"to lead from {x.shape[:2]} to {counted.shape}", received=self.ratio
                )
            counted = counted.reshape(height, self.ratio, width, self.ratio).min(axis=(1, 3))
        both = counted[..., None] & np.isfinite(again) & np.isfinite(x)
        sums.misfit += float(np.square(again[both] - x[both]).sum())
        sums.inputs += int(both.sum())

    def _scores(self, sums: _Sums) -> dict[str, np.ndarray]:
        """Returns a scene's scores from what was predicted: of shape (bands,), or () where bands go together."""
        squares, truth = _ratio(sums.squares, sums.pixels), _ratio(sums.truth, sums.pixels)
        noise = _ratio(np.broadcast_to(sums.noise, squares.shape), sums.seen)
        peak = np.where(sums.pixels > 0, sums.high - sums.low, 0.0) if self.peak is None else np.float64(self.peak)
        power = np.where(peak > 0, np.square(peak), np.nan)
        with np.errstate(divide="ignore"):
            return {
                "psnr": 10 * np.log10(_ratio(power, squares, np.inf)),
                "psnr_input": 10 * np.log10(_ratio(power, noise, np.inf)),
                "ssim": _ratio(sums.similarity, sums.windows),
                "rmse": np.sqrt(squares),
                "sre": 10 * np.log10(_ratio(np.square(truth), squares, np.inf)),
                "ergas": np.asarray(100 / self.ratio * np.sqrt(_mean(_ratio(squares, np.square(truth))))),
                "sam": _ratio(sums.angle, sums.angles),
            }


def _ratio(part: Any, whole: Any, none: float = np.nan) -> np.ndarray:
    """Divides, with `none` where the divisor is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.divide(part, whole, out=np.full(part.shape, none), where=whole != 0)


def _mean(values: Any) -> float:
    """Mean of what is known, that is, of what is a number."""
    values = np.asarray(values, np.float64)
    present = ~np.isnan(values)
    return float(values[present].mean()) if present.any() else float("nan")


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
