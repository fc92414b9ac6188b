"""Forecasts from arrays and files to arrays and files."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import rasterio
import xarray as xr
from pyproj import CRS

import geodl
from geodl.bundle import write_bundle
from geodl.errors import FramesMissing, OptionError, OutputExists, OutputUnwritable
from geodl.inference.forecaster import Forecaster
from geodl.inference.opening import open_predictor
from geodl.inference.predictor import Predictor
from tests.inference import fakes
from tests.inference.rainfakes import (
    FRAMES,
    LEADS,
    WeightedFrames,
    make_contract,
    make_forecaster,
    moving_rain,
    rain_array,
)

ANALYSIS = np.datetime64("2020-01-01T00:50", "ns")
TEN = np.timedelta64(10, "m")


@pytest.fixture
def model() -> Forecaster:
    return make_forecaster(WeightedFrames(), make_contract())


@pytest.fixture
def spread() -> Forecaster:
    return make_forecaster(WeightedFrames(channels=2), make_contract(spread="log"))


def rain() -> xr.DataArray:
    values = moving_rain(6)
    values[-1, :4, :5] = np.nan
    return rain_array(values)


def expected(array: xr.DataArray) -> np.ndarray:
    given = WeightedFrames()(array.values[None, -FRAMES:, ..., None])[0, ..., 0]
    return np.where(np.isnan(array.values[-1]), np.nan, given)


def test_forecasts_lie_on_the_grid_of_the_rain_at_their_times(model: Forecaster) -> None:
    array = rain()
    forecast = model.predict(array)
    assert isinstance(forecast, xr.DataArray) and forecast.dims == ("lead_time", "y", "x")
    np.testing.assert_allclose(forecast.values, expected(array), rtol=1e-6)
    assert forecast.dtype == np.float32
    assert forecast.time.values == ANALYSIS
    np.testing.assert_array_equal(forecast.lead_time.values, [TEN, 2 * TEN, 3 * TEN])
    np.testing.assert_array_equal(forecast.valid_time.values, ANALYSIS + np.array([TEN, 2 * TEN, 3 * TEN]))
    for axis in ("y", "x"):
        np.testing.assert_array_equal(forecast[axis].values, array[axis].values)
    assert forecast.rio.crs == array.rio.crs and forecast.rio.transform() == array.rio.transform()
    assert forecast.attrs == {"long_name": "rain rate", "standard_name": "rainfall_rate", "units": "mm/h"}


def test_an_earlier_analysis_is_one_from_earlier_frames(model: Forecaster) -> None:
    array = rain()
    forecast = model.predict(array, at=array.time.values[-2])
    np.testing.assert_allclose(forecast.values, expected(array.isel(time=slice(-1))), rtol=1e-6)
    assert forecast.time.values == ANALYSIS - TEN


def test_no_rain_is_forecast_to_stay_away(model: Forecaster) -> None:
    forecast = model.predict(rain_array(np.zeros((FRAMES, 8, 9), np.float32)))
    assert (forecast.values == 0).all()


def test_probabilities_come_beside_the_rain(spread: Forecaster) -> None:
    forecast = spread.predict(rain(), probabilities=[0.5, 5])
    assert isinstance(forecast, xr.Dataset)
    assert forecast.exceedance.dims == ("threshold", "lead_time", "y", "x")
    assert forecast.threshold.values.tolist() == [0.5, 5]
    inside = forecast.exceedance.values[:, :, 4:]
    assert ((inside >= 0) & (inside <= 1)).all() and (inside[0] >= inside[1]).all()
    # The median is exceeded half of the time.
    np.testing.assert_array_equal(forecast.exceedance.sel(threshold=5) > 0.5, forecast.rain_rate > 5)


def test_members_are_the_same_in_memory_and_in_files(spread: Forecaster, tmp_path: Path) -> None:
    ensemble = spread.predict(rain(), members=3, seed=7)
    assert ensemble.dims == ("member", "lead_time", "y", "x") and ensemble.shape[0] == 3
    assert float(ensemble.std("member").max()) > 0.1
    spread.predict_file(rain(), tmp_path / "f.nc", members=3, seed=7, geotiff=tmp_path / "maps")
    with xr.open_dataset(tmp_path / "f.nc") as written:
        np.testing.assert_array_equal(written.rain_rate.values, ensemble.values)
        assert written.member.attrs["standard_name"] == "realization"
        assert written.rain_rate.encoding["chunksizes"] == (1, 1, 24, 30)
    with rasterio.open(tmp_path / "maps" / "f_+020min.tif") as made:
        assert made.descriptions == ("member_0", "member_1", "member_2")
        np.testing.assert_array_equal(made.read(), ensemble.values[:, 1])
    arrays = spread.forecast(rain().values, members=3, seed=7)
    np.testing.assert_array_equal(arrays, ensemble.values)


def test_what_a_network_does_not_tell_is_refused_before_anything_is_read(model: Forecaster, spread: Forecaster) -> None:
    for options, told in (({"members": 4}, "members"), ({"probabilities": [1.0]}, "probabilities")):
        with pytest.raises(OptionError, match=f"{told} .*network.head=gaussian"):
            model.predict("nowhere", **options)
    with pytest.raises(OptionError, match="1 or more"):
        spread.predict("nowhere", members=0)


def test_files_are_cf_netcdf_and_say_what_they_hold(model: Forecaster, tmp_path: Path) -> None:
    array = rain()
    target = tmp_path / "made" / "forecast.nc"
    assert model.predict_file(array, target) == [target]
    assert os.listdir(target.parent) == ["forecast.nc"]
    with xr.open_dataset(target, decode_coords="all") as written:
        xr.testing.assert_equal(written.rain_rate, model.predict(array))
        assert written.rio.crs == array.rio.crs and written.rio.transform() == array.rio.transform()
        assert written.attrs["Conventions"].startswith("CF-1.")
        assert written.rain_rate.encoding["chunksizes"] == (1, 24, 30) and written.rain_rate.encoding["zlib"]
    with xr.open_dataset(target, decode_times=False, decode_coords=False, mask_and_scale=False) as raw:
        # CF 1.11, sections 4.3 to 5.7 and appendix F.
        assert raw.rain_rate.attrs["units"] == "mm/h" and raw.rain_rate.attrs["grid_mapping"] == "spatial_ref"
        assert set(raw.rain_rate.attrs["coordinates"].split()) == {"time", "valid_time"}
        assert raw.lead_time.attrs["standard_name"] == "forecast_period" and raw.lead_time.attrs["units"] == "minutes"
        assert raw.lead_time.values.tolist() == [10, 20, 30]
        assert raw.time.attrs["standard_name"] == "forecast_reference_time" and raw.time.ndim == 0
        assert raw.valid_time.attrs["standard_name"] == "time" and raw.valid_time.attrs["units"].startswith(
            "seconds since"
        )
        assert raw.x.attrs["standard_name"] == "projection_x_coordinate" and raw.x.attrs["axis"] == "X"
        assert "_FillValue" not in raw.x.attrs
        assert raw.spatial_ref.attrs["grid_mapping_name"] == "transverse_mercator"
        assert CRS.from_cf(raw.spatial_ref.attrs) == CRS.from_epsg(32633)


def test_each_lead_time_becomes_a_geotiff(model: Forecaster, tmp_path: Path) -> None:
    array = rain()
    made = model.predict_file(array, tmp_path / "forecast.nc", geotiff=tmp_path / "maps")
    names = [f"forecast_+{minutes:03d}min.tif" for minutes in (10, 20, 30)]
    assert made == [tmp_path / "forecast.nc", *(tmp_path / "maps" / name for name in names)]
    assert sorted(os.listdir(tmp_path / "maps")) == names
    for k, path in enumerate(made[1:]):
        with rasterio.open(path) as file:
            assert file.crs.to_epsg() == 32633 and file.transform == array.rio.transform()
            np.testing.assert_allclose(file.read(1), expected(array)[k], rtol=1e-6)
            assert np.isnan(file.nodata) and file.units == ("mm/h",)
            assert file.tags()["valid_time"] == f"2020-01-01T01:{10 * k:02d}:00Z"
            assert file.tags()["analysis_time"] == "2020-01-01T00:50:00Z"
            assert file.tags()["lead_time_minutes"] == str(10 * (k + 1))


def test_what_a_file_gives_is_what_its_array_gives(model: Forecaster, tmp_path: Path) -> None:
    array = rain()
    array.to_netcdf(tmp_path / "rain.nc")
    xr.testing.assert_allclose(model.predict(tmp_path / "rain.nc"), model.predict(array))


def test_existing_files_are_replaced_only_on_demand(model: Forecaster, tmp_path: Path) -> None:
    target, maps = tmp_path / "forecast.nc", tmp_path / "maps"
    for there in (target, maps / "forecast_+020min.tif"):
        there.parent.mkdir(exist_ok=True)
        there.write_text("mine")
        with pytest.raises(OutputExists, match=r"forecast.*--overwrite"):
            model.predict_file("nowhere", target, geotiff=maps)
        assert there.read_text() == "mine"
        assert len(model.predict_file(rain(), target, geotiff=maps, overwrite=True)) == 1 + LEADS
        target.unlink()


def test_targets_that_cannot_be(model: Forecaster, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"target: expected a file name that ends in \.nc"):
        model.predict_file(rain(), tmp_path / "forecast.tif")
    (tmp_path / "folder.nc").mkdir()
    with pytest.raises(OutputUnwritable, match="it is a folder"):
        model.predict_file(rain(), tmp_path / "folder.nc")
    rain().to_netcdf(tmp_path / "rain.nc")
    with pytest.raises(OptionError, match="another file than the radar's own"):
        model.predict_file(tmp_path / "rain.nc", tmp_path / "rain.nc", overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(OutputUnwritable, match="Cannot write"):
        model.predict_file(rain(), tmp_path / "file" / "forecast.nc")


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system reserves no disk space")
def test_a_full_disk_is_told_before_hdf5_meets_it(
    model: Forecaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def full(descriptor: int, offset: int, size: int) -> None:
        sizes.append(size)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OutputUnwritable, match="No space left on device. Nothing half-written"):
        model.predict_file(rain(), tmp_path / "forecast.nc")
    assert os.listdir(tmp_path) == [] and sizes[0] > 4 * LEADS * 24 * 30


@pytest.mark.parametrize(
    "error",
    [OSError("Can't write data"), RuntimeError("Can't decrement id ref count\n…")],
    ids=["OSError", "RuntimeError"],
)
def test_what_hdf5_cannot_write_leaves_nothing(
    model: Forecaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(dataset: xr.Dataset, path: Path, **options: Any) -> None:
        path.write_text("half")
        raise error

    monkeypatch.setattr(xr.Dataset, "to_netcdf", fail)
    with pytest.raises(OutputUnwritable, match="Can't"):
        model.predict_file(rain(), tmp_path / "forecast.nc")
    assert os.listdir(tmp_path) == []


def test_plain_arrays_need_no_grid(model: Forecaster) -> None:
    values = rain().values
    given = model.forecast(values)
    np.testing.assert_allclose(given, expected(rain()), rtol=1e-6)
    with pytest.raises(OptionError, match=r"frames: expected an array \(frame, height, width\)"):
        model.forecast(values[0])
    with pytest.raises(FramesMissing, match="Expected 4 frames. Received: 3"):
        model.forecast(values[:3])
    with pytest.raises(OptionError, match=r"velocity: expected a velocity of shape \(2, 24, 30\)"):
        model.forecast(values, velocity=np.zeros((2, 3, 3)))


def test_the_contract_says_what_a_network_is_opened_as(model: Forecaster) -> None:
    assert isinstance(open_predictor(None, make_contract(), "nowhere"), Forecaster)
    assert isinstance(open_predictor(None, fakes.make_contract(), "nowhere"), Predictor)
    assert repr(model) == "<Forecaster nowcasting: 4 frames to 3 lead times of 600 s>"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Callable[[np.ndarray], Any]]:
    """A bundle whose network gives weighted means of the frames, and the network."""
    clip = keras.Input((FRAMES, None, None, 1))
    weighted = keras.layers.Conv3D(LEADS, (FRAMES, 1, 1), use_bias=False, kernel_initializer="ones")(clip)
    network = keras.Model(clip, keras.layers.Permute((4, 2, 3, 1))(weighted))
    folder = tmp_path_factory.mktemp("now") / "run"
    metrics: dict[str, Any] = {"pipeline": "nowcasting", "metrics": {}, "protocol": {}}
    write_bundle(folder, network=network, contract=make_contract(), recipe="", metrics=metrics, report="")
    return folder, network


def test_a_bundle_is_loaded_as_a_forecaster(bundle: tuple[Path, Any]) -> None:
    model = geodl.load(bundle[0])
    assert isinstance(model, Forecaster)
    values = moving_rain(6)
    forecast = model.predict(rain_array(values))
    np.testing.assert_allclose(forecast.values, np.broadcast_to(values[-FRAMES:].sum(0), forecast.shape), rtol=1e-4)
    assert (model.runtime, model.path) == ("keras", bundle[0])
