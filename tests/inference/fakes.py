"""Networks of numpy and scenes in memory: what the engine needs, without Keras and without files."""

from __future__ import annotations

import numpy as np
from affine import Affine
from pyproj import CRS
from scipy import ndimage

from geodl.contract import Band, ClassInfo, Contract, Dim, ModelInput, ModelOutput
from geodl.data.cube import ArraySource, open_array
from geodl.data.source import Source, Window
from geodl.inference.converted import Call, Converted
from geodl.inference.predictor import Predictor

CLASSES = (
    ClassInfo(1, "water", "#0072b2"),
    ClassInfo(4, "bare soil", "#e69f00"),
    ClassInfo(2, "forest", "#009e73"),
)
UTM = CRS.from_epsg(32633)
TRANSFORM = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def make_contract(
    *,
    bands: int = 2,
    margin: int | None = 0,
    lattice: int = 1,
    size: int | None = None,
    multiple: int = 1,
    scale: int = 1,
    kind: str = "classes",
    step: float | None = 10.0,
    unit: str = "metre",
    band_unit: str = "",
) -> Contract:
    axes = (Dim(a, size, multiple, lattice, margin, step, unit) for a in "yx")
    named = tuple(Band(f"B{k + 1:02d}", band_unit) for k in range(bands))
    if kind == "classes":
        output = ModelOutput("classes", classes=CLASSES, scale=scale)
    else:
        output = ModelOutput("bands", bands=tuple(Band(b.name, "reflectance") for b in named), scale=scale)
    return Contract("segmentation", ModelInput((*axes, Dim("band", bands)), named), output)


class BlurNetwork:
    """Three channels of blurred, coarsened input, with zeros beyond the border: margin and stride of a small U-Net.

    Margin: `radius` on the fine grid, and one cell of `stride` pixels (plus what is left of its own) on the coarse one.
    """

    def __init__(self, radius: int = 3, stride: int = 4, scale: int = 1, channels: int = 3) -> None:
        self.radius, self.stride, self.scale, self.channels = radius, stride, scale, channels
        self.shapes: list[tuple[int, ...]] = []

    @property
    def margin(self) -> int:
        return self.radius + 2 * self.stride - 1

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        self.shapes.append(inputs.shape)
        return np.stack([self._one(image) for image in inputs])

    def _one(self, image: np.ndarray) -> np.ndarray:
        x = np.nan_to_num(image, nan=0.0).astype(np.float32)
        height, width, _ = x.shape
        s = self.stride
        x = np.pad(x, ((0, -height % s), (0, -width % s), (0, 0)))
        size = (2 * self.radius + 1, 2 * self.radius + 1, 1)
        fine = ndimage.uniform_filter(x, size, mode="constant")
        cells = x.reshape(x.shape[0] // s, s, x.shape[1] // s, s, -1).max(axis=(1, 3))
        coarse = ndimage.uniform_filter(cells, (3, 3, 1), mode="constant").repeat(s, 0).repeat(s, 1)
        mixed = np.concatenate([fine, coarse, fine * coarse], axis=-1)
        out = mixed[:height, :width, : self.channels] * 3
        return out.repeat(self.scale, 0).repeat(self.scale, 1)


class RecordingSource(Source):
    """Hands on what another source gives, and keeps the windows that were asked for."""

    def __init__(self, inner: Source) -> None:
        self.inner, self.name, self.grid, self.bands = inner, inner.name, inner.grid, inner.bands
        self.windows: list[Window] = []

    def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
        self.windows.append(window)
        return self.inner.read(window)

    def select(self, names: tuple[str, ...]) -> RecordingSource:
        return self


def make_scene(height: int, width: int, bands: int = 2, *, seed: int = 0, holes: bool = False) -> ArraySource:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(height, width, bands)).astype(np.float32)
    if holes:
        values[rng.random((height, width)) < 0.1] = np.nan
        values[height // 3 : height // 2, width // 4 : width // 2, 0] = np.nan
    return open_array(values, bands=[f"B{k + 1:02d}" for k in range(bands)], crs=UTM, transform=TRANSFORM, name="scene")


def make_predictor(call: Call, contract: Contract) -> Predictor:
    """A predictor whose network is a function."""
    model = Predictor(None, contract, "nowhere")
    model._running = Converted(call, "keras", activations=64)
    return model
