"""Networks: tensors in, tensors out. Written in keras.ops only, so that each runs on every backend of Keras.

Example:
    >>> network = geodl.models.UNet(channels=4, classes=5)  # a plain keras.Model
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geodl.models.blocks import (
        BilinearUpsampling,
        CropLike,
        Normalisation,
        PadToMultiple,
        PixelShuffle,
        PixelUnshuffle,
    )
    from geodl.models.receptive import receptive_margin, total_stride
    from geodl.models.unet import UNet

__all__ = (
    "BilinearUpsampling",
    "CropLike",
    "Normalisation",
    "PadToMultiple",
    "PixelShuffle",
    "PixelUnshuffle",
    "UNet",
    "receptive_margin",
    "total_stride",
)

_MODULES = {"receptive_margin": "receptive", "total_stride": "receptive", "UNet": "unet"}
"""Where a public name is defined, if not in `blocks`."""


def __getattr__(name: str) -> Any:
    """Imports what is asked for on first use: Keras takes seconds to load."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, 'blocks')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
