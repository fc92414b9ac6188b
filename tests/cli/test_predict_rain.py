"""`geodl predict` with a network for nowcasting: from radar frames to a forecast."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import geodl
from tests.inference import fakes
from tests.inference.rainfakes import WeightedFrames, make_contract, make_forecaster, moving_rain, rain_array


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A folder with a file for each of six frames."""
    folder = tmp_path / "radar"
    folder.mkdir()
    rain = rain_array(moving_rain(6))
    for k in range(6):
        rain.isel(time=[k]).to_netcdf(folder / f"{k}.nc")
    return folder


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replaces what is loaded."""
    return lambda model: monkeypatch.setattr(geodl, "load", lambda run, *, runtime: model)


@pytest.fixture
def spread(loaded: Callable[..., None]) -> None:
    loaded(make_forecaster(WeightedFrames(channels=2), make_contract(spread="log")))


def test_a_folder_of_frames_becomes_a_forecast(geodl_cli: Callable[..., Any], spread: None, frames: Path) -> None:
    target, maps = frames.parent / "forecast.nc", frames.parent / "maps"
    result = geodl_cli("predict", "runs/now", frames, target, "--geotiff", maps)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "From 4 frames of radar, 2020-01-01 00:20 to 00:50 UTC.",
        f"Forecast: {target} (3 lead times, +10 to +30 minutes)",
        f"GeoTIFFs: {maps} (3 files)",
    ]
    with xr.open_dataset(target) as made:
        assert made.rain_rate.dims == ("lead_time", "y", "x")
    result = geodl_cli("predict", "runs/now", frames, target, "--geotiff", maps, "--overwrite", "--quiet")
    assert result.output.splitlines() == [str(target), *map(str, sorted(maps.iterdir()))]
    again = geodl_cli("predict", "runs/now", frames, target)
    assert again.exit_code == 2 and "--overwrite" in again.stderr


def test_ensembles_probabilities_and_other_times(geodl_cli: Callable[..., Any], spread: None, frames: Path) -> None:
    target = frames.parent / "forecast.nc"
    options = "--ensemble", 2, "--seed", 3, "--thresholds", "0.5,5", "--at", "2020-01-01T00:40"
    result = geodl_cli("predict", "runs/now", frames, target, *options)
    assert result.exit_code == 0, result.output
    assert "00:10 to 00:40 UTC" in result.stdout and "2 members, probabilities above 0.5,5 mm/h" in result.stdout
    with xr.open_dataset(target) as made:
        assert made.rain_rate.shape == (2, 3, 24, 30) and made.exceedance.shape == (2, 3, 24, 30)
        assert made.time.values == np.datetime64("2020-01-01T00:40")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--confidence",), "--confidence: expected a network that maps scenes. Received: "),
        (("--overlap", "exact"), "--overlap: expected a network that maps scenes"),
        (("--stack",), "--stack: expected a network that maps scenes"),
        (("--resample", "cubic"), "--resample: expected average"),
        (("--thresholds", "much"), "--thresholds: expected rain rates in mm/h, such as 0.5,1,5. Received: 'much'"),
        (("--at", "noon"), "at (--at): expected a time"),
        (("--at", "2020-01-01T03:00"), "radar: frames are missing. Expected 4 frames, 10 minutes apart"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes(
    geodl_cli: Callable[..., Any], spread: None, frames: Path, options: tuple[str, ...], sentence: str
) -> None:
    result = geodl_cli("predict", "runs/now", frames, frames.parent / "forecast.nc", *options)
    assert result.exit_code == 2 and result.stderr.startswith(f"Error: {sentence}"), result.output
    assert not (frames.parent / "forecast.nc").exists()


def test_a_network_without_a_spread_says_how_to_train_one(
    geodl_cli: Callable[..., Any], loaded: Callable[..., None], frames: Path
) -> None:
    loaded(make_forecaster(WeightedFrames(), make_contract()))
    result = geodl_cli("predict", "runs/now", frames, frames.parent / "forecast.nc", "--ensemble", "5")
    assert result.exit_code == 2 and "network.head=gaussian" in result.stderr


@pytest.mark.parametrize("option", ["--geotiff", "--ensemble", "--seed", "--thresholds", "--at"])
def test_maps_have_no_use_for_options_of_forecasts(
    geodl_cli: Callable[..., Any], loaded: Callable[..., None], option: str
) -> None:
    loaded(fakes.make_predictor(lambda inputs: inputs, fakes.make_contract()))
    result = geodl_cli("predict", "runs/a", "scene.tif", "map.tif", option, "1")
    assert result.exit_code == 2
    network = "a network for nowcasting" + (" or for dynamics" if option in ("--ensemble", "--seed") else "")
    assert (
        result.stderr == f"Error: {option}: expected {network}. Received: \"one whose output is of kind 'classes'\".\n"
    )
