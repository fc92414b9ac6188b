"""What examples in docstrings take as given: names for each module, and a folder of small files and untrained bundles."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cloudpickle
import keras
import numpy as np
import pandas as pd
import rasterio
import rioxarray
import shapely
import xarray as xr
from affine import Affine
from pyproj import CRS
from rasterio.windows import Window
from scipy.special import softmax

import geodl
from geodl.data.simulate.phenology import simulate_series
from geodl.data.simulate.trajectories import simulate_trajectories
from geodl.data.source import Grid

__all__ = ("given_names", "lay_out")

_GRID = Grid(CRS.from_epsg(32633), Affine(10, 0, 500_000, 0, -10, 5_000_000), 96, 80)
_BANDS = ("B02", "B03", "B04", "B08")


class Pairs:
    """Samples in memory: one (x, y) each."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def read(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One sample, all of it valid."""
        return self.x[index], self.y[index], np.ones(self.y[index].shape, np.float32)


def _everywhere() -> dict[str, Any]:
    return {
        **{"CRS": CRS, "Affine": Affine, "Grid": Grid, "Path": Path, "Window": Window, "geodl": geodl, "keras": keras},
        **{"np": np, "ops": keras.ops, "os": os, "pd": pd, "rioxarray": rioxarray, "shapely": shapely, "xr": xr},
        **{name: getattr(geodl.data, name) for name in ("open_source", "open_sequence")},
        **{"simulate_series": simulate_series, "simulate_trajectories": simulate_trajectories},
        **{"CrossEntropy": geodl.losses.CrossEntropy, "rng": np.random.default_rng(0)},
    }


def _images() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    clean = np.full((4, 24, 24, 1), 50.0, np.float32)
    noisy = clean * rng.gamma(4, 0.25, clean.shape).astype(np.float32)
    return {"samples": Pairs(noisy, clean), "x": noisy, "noisy": noisy}


def _pixels() -> dict[str, Any]:
    y = np.random.default_rng(0).integers(0, 3, (2, 24, 24))
    x = (y[..., None] + np.zeros(2)).astype(np.float32)
    return {"samples": Pairs(x, y), "x": x}


def _states() -> dict[str, Any]:
    from geodl.data.segments import SegmentSamples
    from geodl.models import BilinearODE
    from tests.inference.dynamicsfakes import SpiralNetwork

    trajectories = simulate_trajectories("lorenz63", seed=0, duration=3)
    samples = SegmentSamples(trajectories, horizon=4, past=2)
    x, _, _ = samples.read_batch(np.arange(2), np.random.default_rng(0))
    whole = trajectories[0]
    return {
        **{"samples": samples, "x": x, "times": whole.times, "states": whole.states, "call": SpiralNetwork()},
        "network": BilinearODE(3, mean=[0, 0, 23], std=[8, 9, 8.6]),
    }


def _rain() -> dict[str, Any]:
    from tests.inference.rainfakes import moving_rain

    return {"x": moving_rain(4)[None, ..., None]}


def _clips() -> dict[str, Any]:
    from geodl.data.clips import ClipReader, find_clips

    sequence = geodl.data.open_sequence("radar/bom_2020")
    return {
        "clips": find_clips([("bom_2020", sequence, None)], frames=3, leads=2),
        "reader": ClipReader(3, 2, advected=True),
    }


def _crops() -> dict[str, Any]:
    from tests.baselines.test_series import crops

    rows = crops(0)
    return {"samples": rows, **rows.x}


def _series(bands: int = 4) -> dict[str, Any]:
    from geodl.data.series.samples import SeriesSamples
    from geodl.models import TempCNN

    table = simulate_series(30, seed=0, irregular=False, revisit=16)
    labels = np.asarray(SeriesSamples(table).read_batch(np.arange(len(table)), np.random.default_rng(0))[1])
    model = SimpleNamespace(call=lambda inputs: np.zeros((len(inputs["values"]), 4), np.float32))
    return {
        **{"table": table, "samples": SeriesSamples(table), "values": table.values[..., :bands], "days": table.days},
        **{"mean": [0.3] * len(table.bands), "std": [0.2] * len(table.bands), "model": model},
        "network": TempCNN(bands=len(table.bands), classes=int(labels.max()) + 1, filters=8),
    }


def _scenes() -> dict[str, Any]:
    from geodl.data.samples import Scene, SceneSamples
    from geodl.data.splits import SceneSplit
    from tests.data.fakes import FakeLabels, FakeSource, utm_grid

    rng, grid = np.random.default_rng(0), utm_grid(256, 256)
    source = FakeSource(rng.normal(size=(256, 256, 2)), grid=grid)
    labels = FakeLabels(rng.integers(0, 3, (256, 256)), grid=grid)
    samples = SceneSamples([Scene(source, labels, SceneSplit())], patch=32)
    x, y, weight = samples.read(0, rng)
    network = keras.Sequential([keras.Input((None, None, 2)), keras.layers.Conv2D(3, 1)])
    network.compile("sgd", loss=geodl.losses.CrossEntropy())
    return {
        **{"source": source, "labels": labels, "split": SceneSplit(), "samples": samples, "grid": grid},
        **{"x": x, "y": y, "weight": weight, "network": network, "model": network},
    }


def _parts() -> dict[str, Any]:
    samples = _scenes()["samples"]
    return {"parts": SimpleNamespace(train=samples, validation=samples)}


def _tiles() -> dict[str, Any]:
    from tests.data.fakes import utm_grid

    return {"scenes": [(f"OAM-{k}-{k}", utm_grid(64, 64, east=1000 * k)) for k in range(0, 40, 4)]}


def _run(name: str) -> dict[str, Any]:
    return {"model": geodl.load(f"runs/{name}", runtime="keras"), "run": Path("runs") / name}


def _map() -> dict[str, Any]:
    given = _run("a")
    given["model"].predict_file("scene.tif", "map.tif")
    return given


def _flow() -> dict[str, Any]:
    from tests.inference.dynamicsfakes import Spiral, spiral

    times = np.arange(12) * 0.1
    seen, spiralling = spiral(np.array([1.0, -0.5]), times), Spiral(dtype="float64")
    given = {"seen": seen, "times": times, "mean": np.zeros(2), "std": np.ones(2)}
    return {**given, "flow": lambda state, times: spiralling([state, times])}


def _networks() -> dict[str, Any]:
    from geodl.models import LTAE, TempCNN
    from geodl.models.attention import attention_network

    return {
        **{"LTAE": LTAE, "TempCNN": TempCNN, "attention_network": attention_network},
        **{"noisy": np.zeros((32, 32), np.float32), "constant": np.zeros(3), "linear": np.eye(3)},
        "quadratic": np.zeros((3, 6)),
    }


def _transferred() -> dict[str, Any]:
    from geodl.models import UNet

    names = ["water", "forest", "soil"]
    trained, network = (UNet(channels=2, classes=3, width=4, depth=2) for _ in range(2))
    return {"bundle": SimpleNamespace(network=trained), "network": network, "old": names, "new": names}


_GIVEN: Mapping[str, Callable[[], dict[str, Any]]] = {
    "geodl.baselines.dynamics": _states,
    "geodl.baselines.filters": _images,
    "geodl.baselines.forest": _pixels,
    "geodl.baselines.lee": _images,
    "geodl.baselines.lstm": _states,
    "geodl.baselines.majority": _pixels,
    "geodl.baselines.minirocket": _crops,
    "geodl.baselines.ngrc": _states,
    "geodl.baselines.nowcast": _rain,
    "geodl.baselines.series": _crops,
    "geodl.baselines.sindy": _states,
    "geodl.data.augment": _scenes,
    "geodl.data.batches": _scenes,
    "geodl.data.clips": _clips,
    "geodl.data.lattice": lambda: {"grid": _GRID},
    "geodl.data.mosaic": lambda: _run("a"),
    "geodl.data.samples": _scenes,
    "geodl.report.splitmap": _parts,
    "geodl.data.series": _series,
    "geodl.data.series.augmentation": lambda: _series(2),
    "geodl.data.splits": _tiles,
    "geodl.inference.assimilation": _flow,
    "geodl.inference.emulator": lambda: _run("l63"),
    "geodl.inference.forecaster": lambda: _run("now"),
    "geodl.inference.importance": _series,
    "geodl.inference.portable": lambda: {**_run("a"), "call": abs, "cloudpickle": cloudpickle},
    "geodl.inference.predictor": lambda: _run("a"),
    "geodl.inference.rollout": lambda: {**_states(), "states": np.ones((2, 2))},
    "geodl.inference.scratch": lambda: {"write": Path.touch},
    "geodl.inference.series": lambda: _run("crops"),
    "geodl.inference.seriesbatches": _series,
    "geodl.inference.turns": lambda: {**_run("a"), "softmax": softmax, "tile": np.zeros((32, 32, 4), "float32")},
    "geodl.inference.vectorise": _map,
    "geodl.models": _networks,
    "geodl.models.identification": _states,
    "geodl.models.pretraining.MaskedSeries": lambda: _series(1),
    "geodl.models.pretraining.pretrain": _series,
    "geodl.report.relief": lambda: {"grid": Grid(_GRID.crs, _GRID.transform, 20, 30)},
    "geodl.training.accumulation": _scenes,
    "geodl.training.transfer": _transferred,
}


def given_names(example: str) -> dict[str, Any]:
    """Returns what the examples of a docstring, such as `geodl.data.batches.Batches`, may use without making it."""
    fitting = [prefix for prefix in _GIVEN if f"{example}.".startswith(f"{prefix}.")]
    return {**_everywhere(), **(_GIVEN[max(fitting, key=len)]() if fitting else {})}


def lay_out(folder: Path) -> None:
    """Writes the files that examples name into a folder: scenes, frames, tables and cubes, and a bundle for each task."""
    _write_scenes(folder)
    _write_bundles(folder / "runs")
    _write_rain(folder)
    _write_series(folder)
    states = pd.DataFrame({name: np.linspace(k, k + 1, 8) for k, name in enumerate(("time", "x", "y", "z"))})
    states["time"] = np.arange(8) * 0.1
    states[["x", "y", "z"]].head(2).to_csv(folder / "states.csv", index=False)
    states.to_csv(folder / "observations.csv", index=False)


def _write_scenes(folder: Path) -> None:
    for name, east, bands in (
        ("scene", 0, _BANDS),
        ("T32TPS", 0, _BANDS),
        ("T32TPT", _GRID.width, _BANDS),
        ("T33_B04", 0, ("B04",)),
        ("T33_B08", 0, ("B08",)),
    ):
        values = np.random.default_rng(0).uniform(0, 1, (len(bands), _GRID.height, _GRID.width)).astype(np.float32)
        options = {"height": _GRID.height, "width": _GRID.width, "count": len(bands), "dtype": "float32"}
        place = _GRID.transform @ Affine.translation(east, 0)
        with rasterio.open(folder / f"{name}.tif", "w", crs=_GRID.crs, transform=place, **options) as file:
            file.write(values)
            file.descriptions = bands
    times = pd.date_range("1999-01-01", periods=4, freq="MS")
    x, y = 500_000 + 10 * (np.arange(12) + 0.5), 5_000_000 - 10 * (np.arange(10) + 0.5)
    rain = xr.DataArray(np.zeros((4, 10, 12), np.float32), {"time": times, "y": y, "x": x}, ("time", "y", "x"), "pr")
    rain.rio.write_crs(32633).to_netcdf(folder / "weather.nc")


def _write_bundles(folder: Path) -> None:
    from geodl.bundle import write_bundle
    from geodl.contract import Band, ClassInfo, Contract, Dim, ModelInput, ModelOutput
    from geodl.models import BilinearODE, RainNet, TempCNN, UNet
    from tests.inference import cropfakes, dynamicsfakes, rainfakes

    axes = tuple(Dim(axis, lattice=4, margin=None, step=10.0, unit="metre") for axis in "yx")
    classes = tuple(ClassInfo(k + 1, f"class {k + 1}", "#0072b2") for k in range(5))
    eaten = ModelInput((*axes, Dim("band", 4)), tuple(Band(name) for name in _BANDS))
    bundles = {
        "a": (
            UNet(channels=4, classes=5, width=4, depth=2),
            Contract("segmentation", eaten, ModelOutput("classes", classes)),
        ),
        "now": (
            RainNet(frames=rainfakes.FRAMES, leads=rainfakes.LEADS, width=4, depth=2, advected=False),
            rainfakes.make_contract(margin=None),
        ),
        "l63": (
            BilinearODE(3, mean=[0, 0, 23], std=[8, 9, 8.6]),
            dynamicsfakes.make_contract(("x", "y", "z")),
        ),
        "crops": (TempCNN(bands=2, classes=3, filters=4), cropfakes.make_contract()),
    }
    for name, (network, contract) in bundles.items():
        recipe = f"pipeline: {contract.pipeline}\n"
        write_bundle(folder / name, network=network, contract=contract, recipe=recipe, metrics={})


def _write_rain(folder: Path) -> None:
    from tests.inference.rainfakes import moving_rain, rain_array

    rain = rain_array(moving_rain(6))
    start = np.datetime64("2016-09-28T15:10", "ns")
    rain = rain.assign_coords(time=start + np.arange(6) * np.timedelta64(10, "m")).rename("rain_rate")
    rain.to_netcdf(folder / "rain.nc")
    for name in ("recent", "radar/bom_2020"):
        (folder / name).mkdir(parents=True)
        for frame in range(6):
            one = rain.isel(time=[frame])
            one.to_netcdf(folder / name / f"{pd.Timestamp(one.time.values[0]):%Y%m%d%H%M}.nc")


def _write_series(folder: Path) -> None:
    from tests.inference.cropfakes import DATES, make_cube, make_parcels

    cube = make_cube(holes=False)
    cube.to_zarr(folder / "cube.zarr")
    (folder / "sentinel2_cube").mkdir()
    for k, date in enumerate(pd.DatetimeIndex(DATES)):
        cube.isel(time=k, drop=True).rio.to_raster(folder / "sentinel2_cube" / f"{date:%Y%m%d}.tif")
    make_parcels().to_file(folder / "parcels.gpkg")
    red, nir = (cube[name].values.reshape(len(DATES), -1).T for name in ("red", "nir"))
    count = len(red)
    pd.DataFrame(
        {
            "series": np.repeat(np.arange(count), len(DATES)),
            **{"date": np.tile(DATES, count), "red": red.ravel(), "nir": nir.ravel()},
        }
    ).to_parquet(folder / "series.parquet")
