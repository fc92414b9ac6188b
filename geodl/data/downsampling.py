"""Coarse samples made of finer scenes: what super-resolution learns from and is scored on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geodl.data.augment import Augmentation
from geodl.data.stacked import unfold
from geodl.physics.sensor import Blur, crop_to_multiple, degrade, enlarge

__all__ = ("Downsampling", "GuidedDownsampling")

_Sample = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Downsampling:
    """A window made coarser. See `Degradation`."""

    scale: int
    blur: Blur = "bicubic"
    whole_numbers: bool = False
    """Whether coarse values are rounded and kept to 0-255, as in 8-bit files."""

    def __call__(self, values: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> _Sample:
        """Gives the coarse window and the fine one, cropped to a multiple of the scale."""
        fine, counted = crop_to_multiple(values, self.scale), crop_to_multiple(weight, self.scale)
        coarse = degrade(fine, self.scale, blur=self.blur)
        if self.whole_numbers:
            coarse = np.clip(np.rint(coarse), 0, 255)
        return coarse.astype(np.float32), fine, _where_seen(counted, coarse, self.scale)


@dataclass(frozen=True)
class GuidedDownsampling:
    """Coarse bands beside finer ones, all made coarser by their ratio (Wald et al. 1997): the coarse bands are the truth.

    What is learnt from 40 m to 20 m is used from 20 m to 10 m: that the two are alike is Wald's assumption.
    """

    scale: int
    coarse: int
    """Number of coarse bands, in front of the folded ones; see `FoldedSource`."""
    blur: Blur = "mtf"
    augment: Augmentation | None = None
    """Turns fine and coarse bands alike."""

    def __call__(self, values: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> _Sample:
        """Gives the finer bands, then the coarse ones enlarged, and the coarse ones as they are."""
        s = self.scale
        height, width = (length // s * s for length in weight.shape)
        coarse, fine = unfold(values[:height, :width], coarse=self.coarse, factor=s)
        counted = weight[:height, :width]
        if self.augment is not None:
            coarse, fine, counted = self.augment.turn((coarse, fine, counted), rng)
        guide = degrade(fine, s, blur=self.blur)
        enlarged = enlarge(degrade(coarse, s, blur=self.blur), s)
        seen = np.concatenate([guide, enlarged], -1).astype(np.float32)
        return seen, coarse, np.where(np.isfinite(seen).all(-1), counted, 0).astype(np.float32)


def _where_seen(weight: np.ndarray, coarse: np.ndarray, scale: int) -> np.ndarray:
    """Sets weights to 0 where the coarse pixel is nodata."""
    known = np.isfinite(coarse).all(-1)
    if known.all():
        return weight
    return np.where(known.repeat(scale, 0).repeat(scale, 1), weight, 0).astype(np.float32)
