"""A network for series of numpy, its contract, and cubes and parcels in memory: what classification needs, without Keras."""

from __future__ import annotations

import dataclasses

import geopandas
import numpy as np
import rioxarray  # noqa: F401 - registers .rio
import shapely
import xarray as xr
from pyproj import CRS

from geodl.contract import Band, ClassInfo, Contract, Dim, ModelInput, ModelOutput
from geodl.inference.converted import Call, Converted
from geodl.inference.series import SeriesClassifier

CLASSES = (ClassInfo(1, "soy", "#e69f00"), ClassInfo(4, "maize", "#009e73"), ClassInfo(7, "bare soil", "#0072b2"))
DATES = np.array(["2020-05-01", "2020-05-11", "2020-06-20", "2020-08-01"], "datetime64[ns]")
DAYS = (122.0, 132.0, 172.0, 214.0)


def make_contract(
    *,
    bands: tuple[str, ...] = ("red", "nir"),
    size: int | None = None,
    unit: str = "day",
    days: tuple[float, ...] = (),
    cloud_band: str = "",
    cloud_values: tuple[float, ...] = (),
) -> Contract:
    dims = (Dim("time", size, step=10.0, unit=unit), Dim("band", len(bands)))
    eaten = ModelInput(
        dims, tuple(Band(name) for name in bands), days=days, cloud_band=cloud_band, cloud_values=cloud_values
    )
    return Contract("crops", eaten, ModelOutput("series_label", CLASSES))


def logits_of(values: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Three numbers of each series (…, time, band), which change with any value and any day of an observed date."""
    seen = np.isfinite(values).any(-1)
    red, nir = values[..., 0].astype(np.float64), values[..., -1].astype(np.float64)
    with np.errstate(invalid="ignore"):
        count = np.maximum(seen.sum(-1), 1)
        late = np.where(seen, days / 100, 0).sum(-1) / count
        found = np.nansum(red, -1) / count, np.nansum(nir, -1) / count * late, 0.3 * late
    return np.stack(found, -1).astype(np.float32)


class WeighingNetwork:
    """The same as a network; keeps the shapes that it was given."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        values, days = inputs["values"], inputs["days"]
        self.shapes.append(values.shape)
        assert values.shape[:2] == days.shape and np.isfinite(days).all() and (np.diff(days, axis=1) > 0).all()
        assert np.isfinite(values).any((1, 2)).all(), "it was given a series without an observation"
        return logits_of(values, days)


def make_classifier(network: Call | None = None, contract: Contract | None = None) -> SeriesClassifier:
    class Fake(SeriesClassifier):
        @property
        def call(self) -> Call:
            return self._run().call

        def _run(self) -> Converted:
            return Converted(network or WeighingNetwork(), "keras", 1024)

    return Fake(None, contract or make_contract(), "memory")


def make_cube(height: int = 6, width: int = 7, *, holes: bool = True, seed: int = 0) -> xr.Dataset:
    """Two bands on four dates in UTM; `holes`: gaps, and no observation at all in the first two columns of the first row."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 1, (2, len(DATES), height, width)).astype(np.float32)
    if holes:
        values[:, rng.uniform(size=values.shape[1:]) < 0.3] = np.nan
        values[:, :, 0, :2] = np.nan
    y, x = 5_000_000 - 10 * (np.arange(height) + 0.5), 500_000 + 10 * (np.arange(width) + 0.5)
    dims = ("time", "y", "x")
    cube = xr.Dataset(
        {name: (dims, plane) for name, plane in zip(("red", "nir"), values, strict=True)},
        {"time": DATES, "y": y, "x": x},
    )
    return cube.rio.write_crs(CRS.from_epsg(32633))


def series_of(cube: xr.Dataset) -> np.ndarray:
    """(y, x, time, band)."""
    return np.stack([cube.red.values, cube.nir.values], -1).transpose(1, 2, 0, 3)


def with_clouds(cube: xr.Dataset, *, seed: int = 5) -> xr.Dataset:
    """The same with a band `scl` of codes, in which 8 and 9 mean cloud."""
    codes = np.random.default_rng(seed).choice([4, 5, 8, 9], cube.red.shape, p=[0.4, 0.3, 0.2, 0.1])
    return cube.assign(scl=(cube.red.dims, codes.astype(np.uint8)))


def make_parcels(crs: int = 32633) -> geopandas.GeoDataFrame:
    """Two parcels and one outside of the cube of `make_cube`; pixels rows 1–3, columns 1–2, and rows 2–5, columns 4–6."""
    shapes = [
        shapely.box(500_010, 4_999_960, 500_030, 4_999_990),
        shapely.box(500_040, 4_999_940, 500_070, 4_999_980),
        shapely.box(0, 0, 10, 10),
    ]
    frame = geopandas.GeoDataFrame({"name": ["a", "b", "c"], "size": [1, 2, 3]}, geometry=shapes, crs=32633)
    return frame if crs == 32633 else frame.to_crs(crs)


def other_dates(contract: Contract, **changes: object) -> Contract:
    return dataclasses.replace(contract, input=dataclasses.replace(contract.input, **changes))
