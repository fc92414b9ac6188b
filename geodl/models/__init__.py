"""Networks: tensors in, tensors out. Written in keras.ops only, so that each runs on every backend of Keras.

    network = geodl.models.UNet(channels=4, classes=5)   # a plain keras.Model
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geodl.models.blocks import CropLike, Normalisation, PadToMultiple, PixelShuffle, PixelUnshuffle
    from geodl.models.receptive import receptive_margin, total_stride
    from geodl.models.unet import UNet

__all__ = (
    "CropLike",
    "Normalisation",
    "PadToMultiple",
    "PixelShuffle",
    "PixelUnshuffle",
    "UNet",
    "receptive_margin",
    "total_stride",
)

_MODULES = {
    **dict.fromkeys(("CropLike", "Normalisation", "PadToMultiple", "PixelShuffle", "PixelUnshuffle"), "blocks"),
    **dict.fromkeys(("receptive_margin", "total_stride"), "receptive"),
    "UNet": "unet",
}


def __getattr__(name: str) -> Any:
    """Imports what is asked for on first use: Keras takes seconds to load."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
