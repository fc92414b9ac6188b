"""Networks of numpy and moving rain in memory: what forecasts need, without Keras and without files."""

from __future__ import annotations

import math

import numpy as np
import rioxarray  # noqa: F401 - registers .rio
import xarray as xr
from scipy import ndimage

from geodl.contract import Band, Contract, Dim, ModelInput, ModelOutput
from geodl.inference.converted import Call, Converted
from geodl.inference.forecaster import Forecaster

FRAMES, LEADS = 4, 3


def make_contract(
    *, advected: bool = False, spread: str | None = None, margin: int | None = 2, step: float = 600.0
) -> Contract:
    """Of a network for frames of 10 minutes and 1 km; `spread`: its transform, where it tells its spread."""
    axes = (Dim(axis, margin=margin, step=1000.0, unit="metre") for axis in "yx")
    dims = (Dim("time", FRAMES, step=step, unit="s"), *axes, Dim("band", 1))
    rain = Band("rain_rate", "mm/h")
    bands = (rain,) if spread is None else (rain, Band("log_variance", spread))
    eaten = ModelInput(dims, (rain,), advected=LEADS if advected else 0)
    return Contract("nowcasting", eaten, ModelOutput("sequence", bands=bands, nodata=math.nan, leads=LEADS))


class WeightedFrames:
    """Each lead time another mixture of all frames, each a mean over 5 × 5 pixels: of margin 2."""

    def __init__(self, channels: int = 1, log_variance: float = -1.0) -> None:
        self.channels, self.log_variance = channels, log_variance
        self.inputs: list[np.ndarray] = []

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        self.inputs.append(inputs)
        assert inputs.dtype == np.float32 and inputs.ndim == 5 and inputs.shape[-1] == 1
        seen = ndimage.uniform_filter(np.nan_to_num(inputs), (1, 1, 5, 5, 1), mode="constant")
        weights = np.array([[1 + lead + 0.1 * k for k in range(seen.shape[1])] for lead in range(LEADS)], np.float32)
        rate = np.einsum("lt,bthwc->blhwc", weights, seen)
        return np.concatenate([rate, np.full_like(rate, self.log_variance)], -1) if self.channels == 2 else rate


def make_forecaster(call: Call, contract: Contract, *, activations: int = 64) -> Forecaster:
    """A forecaster whose network is a function."""
    model = Forecaster(None, contract, "nowhere")
    model._running = Converted(call, "keras", activations)
    return model


def moving_rain(count: int, height: int = 24, width: int = 30, *, shift: int = 2, seed: int = 0) -> np.ndarray:
    """Smooth rain that moves to the right, (count, height, width) in mm/h; half of it dry."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(height, width)), 2, mode="wrap")
    first = np.maximum(noise / noise.std(), 0).astype(np.float32) * 5
    return np.stack([np.roll(first, k * shift, axis=1) for k in range(count)])


def rain_array(values: np.ndarray, *, minutes: float = 10, size: float = 1000, unit: str = "mm/h") -> xr.DataArray:
    """Frames from midnight on, as an array in EPSG:32633."""
    count, height, width = values.shape
    coordinates = {
        "time": np.datetime64("2020-01-01", "ns") + np.arange(count) * np.timedelta64(round(minutes * 60), "s"),
        "y": 5_000_000 - (np.arange(height) + 0.5) * size,
        "x": 500_000 + (np.arange(width) + 0.5) * size,
    }
    array = xr.DataArray(values, dims=("time", "y", "x"), coords=coordinates, name="rain", attrs={"units": unit})
    return array.rio.write_crs(32633)
