"""The loss of structural similarity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from geodl.losses.restoration import Comparison, per_band, positive
from geodl.physics.speckle import Unit

__all__ = ("SSIMLoss",)

_SIGMA = 1.5
_RADIUS = 5


@keras.saving.register_keras_serializable(package="geodl")
class SSIMLoss(Comparison):
    """1 − SSIM of each pixel's surroundings: an 11 × 11 Gaussian window of σ = 1.5 pixels (Wang et al. 2004, eq. 13).

    Means and variances are those of the window's valid pixels inside the sample; none are made up.

    Args:
        peak: range of the values, one number or one per band, in the bands' units or, with `unit`, in nepers of
            intensity. Defaults to 6 times `scale`, or else 1.
        scale: standard deviation per band, where the range is not known; see `Comparison`.
        unit: see `Comparison`.
        floor: see `Comparison`.

    Example:
        >>> loss = SSIMLoss(255.0)
    """

    def __init__(
        self,
        peak: float | Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        *,
        unit: Unit | None = None,
        floor: float = 1e-6,
        name: str = "ssim",
        **kwargs: Any,
    ) -> None:
        super().__init__(scale, unit=unit, floor=floor, name=name, **kwargs)
        if peak is not None:
            peak = positive("peak", [peak] if isinstance(peak, int | float) else peak)
        self.peak = peak

    def compare(self, truth: Any, prediction: Any, mask: Any) -> Any:
        """See `Comparison`."""
        peak = self._peak(truth)
        # Far from 0 the squares below would lose all digits of the variance, more so in the TF32 of GPUs.
        centre = ops.sum(truth * mask, axis=(1, 2), keepdims=True)
        centre = centre / ops.maximum(ops.sum(mask, axis=(1, 2), keepdims=True), 1)
        t, p = (truth - centre) * mask, (prediction - centre) * mask
        moments = _blur(ops.concatenate([mask, t, p, t * t, p * p, t * p], axis=-1))
        weight, *moments = ops.split(moments, 6, axis=-1)
        mean_t, mean_p, tt, pp, tp = (moment / ops.maximum(weight, 1e-6) for moment in moments)
        c1, c2 = ops.square(0.01 * peak), ops.square(0.03 * peak)
        contrast = (2 * (tp - mean_t * mean_p) + c2) / (tt - mean_t**2 + pp - mean_p**2 + c2)
        mean_t, mean_p = mean_t + centre, mean_p + centre
        return 1 - contrast * (2 * mean_t * mean_p + c1) / (mean_t**2 + mean_p**2 + c1)

    def _peak(self, like: Any) -> Any:
        """Returns the range of what is compared: scaled values."""
        bands = like.shape[-1]
        if self.peak is None:
            return ops.convert_to_tensor(1.0 if self.scale is None else 6.0, dtype=like.dtype)
        peak = per_band("peak", self.peak * bands if len(self.peak) == 1 else self.peak, like)
        return peak if self.scale is None else peak / per_band("scale", self.scale, like)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "peak": self.peak}


def _blur(values: Any) -> Any:
    """Convolves each channel of (batch, height, width, channel) with the Gaussian window; outside lie zeros."""
    line = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
    line = np.tile((line / line.sum())[:, None, None, None], (1, 1, values.shape[-1], 1))
    for kernel in (line, line.transpose(1, 0, 2, 3)):
        values = ops.depthwise_conv(values, ops.convert_to_tensor(kernel, dtype=values.dtype), padding="same")
    return values
