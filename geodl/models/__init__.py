"""Networks: tensors in, tensors out. Written in keras.ops only, so that each runs on every backend of Keras.

Example:
    >>> network = geodl.models.UNet(channels=4, classes=5)  # a plain keras.Model
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geodl.models.committee import Committee
    from geodl.models.convlstm import ConvLSTM2D, EncoderForecaster
    from geodl.models.fields import BilinearField, MLPField, ResidualField
    from geodl.models.inception import InceptionTime
    from geodl.models.ltae import LTAE
    from geodl.models.neural_ode import MLPODE, BilinearODE, NeuralODE, ResidualODE
    from geodl.models.rainnet import RainNet
    from geodl.models.receptive import receptive_margin, total_stride
    from geodl.models.recurrent import SeriesGRU, SeriesLSTM
    from geodl.models.residual import DnCNN, FFDNet, ResidualUNet
    from geodl.models.resizing import (
        BicubicUpsampling,
        BilinearUpsampling,
        CropLike,
        FillGaps,
        LocalDeviation,
        PadToMultiple,
        PixelShuffle,
        PixelUnshuffle,
    )
    from geodl.models.scaling import Denormalisation, ExpIntensity, LogIntensity, Normalisation, SelectBands
    from geodl.models.solvers import integrate
    from geodl.models.superres import EDSR, RCAN, SRCNN, VDSR, GuidedSR
    from geodl.models.tempcnn import TempCNN
    from geodl.models.transformer import SeriesTransformer
    from geodl.models.unet import UNet

_MODULES = {
    "committee": ("Committee",),
    "convlstm": ("ConvLSTM2D", "EncoderForecaster"),
    "fields": ("BilinearField", "MLPField", "ResidualField"),
    "inception": ("InceptionTime",),
    "ltae": ("LTAE",),
    "neural_ode": ("MLPODE", "BilinearODE", "NeuralODE", "ResidualODE"),
    "rainnet": ("RainNet",),
    "receptive": ("receptive_margin", "total_stride"),
    "recurrent": ("SeriesGRU", "SeriesLSTM"),
    "residual": ("DnCNN", "FFDNet", "ResidualUNet"),
    "resizing": (
        *("BicubicUpsampling", "BilinearUpsampling", "CropLike", "FillGaps", "LocalDeviation"),
        *("PadToMultiple", "PixelShuffle", "PixelUnshuffle"),
    ),
    "scaling": ("Denormalisation", "ExpIntensity", "LogIntensity", "Normalisation", "SelectBands"),
    "solvers": ("integrate",),
    "superres": ("EDSR", "RCAN", "SRCNN", "VDSR", "GuidedSR"),
    "tempcnn": ("TempCNN",),
    "transformer": ("SeriesTransformer",),
    "unet": ("UNet",),
}
"""Where the public names are defined."""

__all__ = (
    "EDSR",
    "LTAE",
    "MLPODE",
    "RCAN",
    "SRCNN",
    "VDSR",
    "BicubicUpsampling",
    "BilinearField",
    "BilinearODE",
    "BilinearUpsampling",
    "Committee",
    "ConvLSTM2D",
    "CropLike",
    "Denormalisation",
    "DnCNN",
    "EncoderForecaster",
    "ExpIntensity",
    "FFDNet",
    "FillGaps",
    "GuidedSR",
    "InceptionTime",
    "LocalDeviation",
    "LogIntensity",
    "MLPField",
    "NeuralODE",
    "Normalisation",
    "PadToMultiple",
    "PixelShuffle",
    "PixelUnshuffle",
    "RainNet",
    "ResidualField",
    "ResidualODE",
    "ResidualUNet",
    "SelectBands",
    "SeriesGRU",
    "SeriesLSTM",
    "SeriesTransformer",
    "TempCNN",
    "UNet",
    "integrate",
    "receptive_margin",
    "total_stride",
)


def __getattr__(name: str) -> Any:
    """Imports what is asked for on first use: Keras takes seconds to load."""
    module = next((module for module, names in _MODULES.items() if name in names), None)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
