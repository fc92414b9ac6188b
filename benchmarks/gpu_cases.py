"""What `gpu.py` trains: networks, and batches of noise for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

__all__ = ("CASES", "CLASSES", "FRAMES", "LEADS", "Batch", "Case", "tiny")

CLASSES, FRAMES, LEADS = 5, 6, 12

Batch = tuple[Any, Any, Any]


@dataclass(frozen=True)
class Case:
    """A network and what it is trained on."""

    name: str
    batch: int
    shape: tuple[int, ...]
    """Of a sample."""
    size: tuple[int, ...]
    """Width and depth of a U-Net; widths of the levels of a ConvLSTM."""
    seconds: float = 0.7
    """Of each turn."""

    @property
    def is_unet(self) -> bool:
        """Whether it maps images, rather than forecasts rain."""
        return len(self.shape) == 3

    def network(self) -> Any:
        """Builds geodl's network on the backend of Keras."""
        from geodl.models import EncoderForecaster, UNet

        if self.is_unet:
            width, depth = self.size
            return UNet(self.shape[-1], CLASSES, width=width, depth=depth)
        return EncoderForecaster(FRAMES, LEADS, advected=True, widths=self.size, stem=4, scales=0)

    def loss(self) -> Any:
        """Builds geodl's loss for it."""
        from geodl.losses import CrossEntropy, RainL2

        return CrossEntropy() if self.is_unet else RainL2()

    def random_batch(self, seed: int) -> Batch:
        """Draws x, y and weight."""
        rng = np.random.default_rng(seed)
        if self.is_unet:
            shape = (self.batch, *self.shape[:2])
            x = rng.standard_normal((self.batch, *self.shape), np.float32)
            return x, rng.integers(0, CLASSES, shape).astype(np.int32), np.ones(shape, np.float32)
        height, width = self.shape[1:3]
        x, y = (
            rng.gamma(0.5, 2.0, (self.batch, steps, height, width, 1)).astype(np.float32)
            for steps in (FRAMES + LEADS, LEADS)
        )
        return x, y, np.ones(y.shape, np.float32)


CASES = {
    case.name: case
    for case in (
        Case("unet-256", batch=32, shape=(256, 256, 4), size=(64, 4)),
        Case("convlstm-128", batch=32, shape=(FRAMES + LEADS, 128, 128, 1), size=(32, 48, 64)),
        Case("unet-512", batch=16, shape=(512, 512, 10), size=(64, 4)),
    )
}


def tiny(case: Case) -> Case:
    """The same case, for processors."""
    shape = (32, 32, case.shape[-1]) if case.is_unet else (FRAMES + LEADS, 32, 32, 1)
    return replace(case, batch=2, shape=shape, size=(4, 2) if case.is_unet else (4, 6), seconds=0.02)
