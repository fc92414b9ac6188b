"""The nowcasting pipeline on small simulated rain: the walk, its scores, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import rioxarray  # noqa: F401
import xarray as xr

import geodl
from geodl.data.radar import open_sequence
from geodl.errors import FramesMissing, RecipeError, ResolutionMismatch, SplitError, StepMismatch
from geodl.losses import RainLikelihood
from geodl.pipelines.nowcasting import Nowcasting
from geodl.pipelines.task import Parts, open_pipeline
from tests.pipeline_case import PipelineCase

SMALL: dict[str, Any] = {
    "data.patch": 16,
    "data.split": {"by": "time", "validation": 0, "test": 0.5},
    "clip": {"frames": 3, "leads": 2},
    "network": {"name": "rainnet", "width": 4, "depth": 1},
    "verification": {"thresholds": [0.5, 2.0], "scales": [1, 5], "baselines": ["persistence", "advection"]},
    "train.epochs": 1,
    "train.steps_per_epoch": 2,
    "train.batch_size": 2,
}


def rain(
    frames: int = 16, height: int = 33, width: int = 45, *, minutes: int = 10, pixel: float = 1000.0
) -> xr.DataArray:
    """A few cells that move and grow, in mm/h, with a corner that the radar does not see."""
    rows, columns = np.mgrid[:height, :width]
    values = np.zeros((frames, height, width), np.float32)
    for k in range(frames):
        for row, column, size in ((8, 6, 3), (20, 14, 5), (14, 30, 2)):
            distance = (rows - row - 0.4 * k) ** 2 + (columns - column - 0.9 * k) ** 2
            values[k] += (3 + 0.3 * k) * np.exp(-distance / (2 * size**2))
    values[values < 0.1] = 0
    values[:, :5, :7] = np.nan
    times = np.datetime64("2020-10-31T00:00", "ns") + np.arange(frames) * np.timedelta64(60 * minutes, "s")
    coordinates = {"time": times, "y": pixel * np.arange(height)[::-1] + 3e6, "x": pixel * np.arange(width) + 4e6}
    return xr.DataArray(values, coordinates, ("time", "y", "x"), name="rain", attrs={"units": "mm/h"}).rio.write_crs(
        "EPSG:3035"
    )


def write(path: Path, **options: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    rain(**options).to_netcdf(path, engine="h5netcdf")
    return str(path)


def pipeline(sequences: Any, **changes: Any) -> Nowcasting:
    settings = {
        **SMALL,
        "data.sequences": sequences,
        **{key.replace("__", "."): value for key, value in changes.items()},
    }
    found = open_pipeline("nowcasting", settings)
    assert isinstance(found, Nowcasting)
    return found


class TestWalk(PipelineCase):
    """Train, resume, save, load and predict; a forecast is no map, so what is asked of it is other."""

    recipe: ClassVar[str] = "nowcasting"
    quick: ClassVar[dict[str, Any]] = {**SMALL, **PipelineCase.quick}

    def data(self, folder: Path) -> dict[str, Any]:
        return {"data.sequences": write(folder / "storm.nc")}

    def test_loaded_bundle_predicts_the_same(self, run: Any, tmp_path: Path) -> None:
        given = rain()
        one, other = run[0].predictor.predict(given), geodl.load(run[0].path).predict(given)
        xr.testing.assert_equal(one, other)

    def test_map_lies_on_the_scene_and_keeps_nodata(self, run: Any, tmp_path: Path) -> None:
        given = rain()
        forecast = geodl.load(run[0].path).predict(given)
        assert forecast.dims == ("lead_time", "y", "x")
        np.testing.assert_array_equal(forecast.lead_time / np.timedelta64(60, "s"), [10, 20])
        np.testing.assert_array_equal(forecast.y, given.y)
        np.testing.assert_array_equal(forecast.x, given.x)
        assert forecast.rio.crs == given.rio.crs
        np.testing.assert_array_equal(np.isnan(forecast), np.broadcast_to(np.isnan(given[-1]), forecast.shape))
        assert forecast.min() >= 0

    def test_baselines_are_always_beside_the_network(self, run: Any) -> None:
        again = geodl.evaluate(run[0].path)
        assert again.baselines.keys() == run[0].evaluation.baselines.keys() == {"persistence", "advection"}
        assert any("0.5" in table.title for table in again.tables)

    def test_another_event_is_scored_whole(self, run: Any, tmp_path: Path) -> None:
        half_step = write(tmp_path / "other.nc", frames=20, minutes=5)
        evaluation = geodl.evaluate(run[0].path, {"data.sequences": half_step})
        # Two phases of ten frames each hold six clips of three frames and two lead times.
        assert evaluation.protocol["part"] == "all"
        assert evaluation.protocol["samples"] == 12
        # One sequence cannot be split by file; it need not be.
        again = geodl.evaluate(run[0].path, {"data.sequences": half_step, "data.split": {"by": "file"}})
        assert again.metrics == pytest.approx(evaluation.metrics, nan_ok=True)

    def test_other_steps_and_pixels_are_refused_or_averaged(self, run: Any, tmp_path: Path) -> None:
        odd = write(tmp_path / "odd.nc", minutes=4)
        with pytest.raises(StepMismatch, match="Expected 10 minutes. Received: 4 minutes"):
            geodl.evaluate(run[0].path, {"data.sequences": odd})
        fine = write(tmp_path / "fine.nc", pixel=500.0, height=66, width=90)
        with pytest.raises(ResolutionMismatch, match="Expected 1000 m. Received: 500 m.*average"):
            geodl.evaluate(run[0].path, {"data.sequences": fine})
        averaged = geodl.evaluate(run[0].path, {"data.sequences": fine, "data.resample": "average"})
        assert averaged.protocol["samples"] == 12

    def test_other_programs_are_told_of_lead_times(self, run: Any) -> None:
        properties = json.loads((run[0].path / "mlm.json").read_text())["properties"]
        (eaten,), (given,) = (properties[f"mlm:{way}"] for way in ("input", "output"))
        assert eaten["input"]["shape"] == [-1, 5, -1, -1, 1]
        assert given["result"]["shape"] == [-1, 2, -1, -1, 1]
        assert given["result"]["dim_order"] == ["batch", "lead_time", "y", "x", "channel"]

    def test_what_a_clip_is_cannot_be_changed(self, run: Any) -> None:
        with pytest.raises(RecipeError, match=r"clip.leads.*cannot be changed"):
            geodl.evaluate(run[0].path, {"clip.leads": 3})


def test_the_untrained_network_is_the_advection(tmp_path: Path) -> None:
    tried = pipeline(write(tmp_path / "storm.nc"))
    parts = tried.samples()
    assert parts.test is not None
    x, y, weight = parts.test.read(0, np.random.default_rng(0))
    forecast = np.asarray(tried.network(parts)(x[None]))[0]
    known = np.isfinite(x[3:])
    np.testing.assert_allclose(forecast[known], np.maximum(x[3:][known], 0), atol=2e-2, rtol=1e-3)
    assert x.shape == (5, 33, 45, 1)
    assert y.shape == (2, 33, 45, 1)
    assert not weight[:, :5, :7].any()


def test_both_phases_of_a_finer_step_are_learnt_from(tmp_path: Path) -> None:
    five = pipeline(write(tmp_path / "five.nc", frames=24, minutes=5), data__step=10)
    parts = five.samples()
    times = {parts.train.place(k).time for k in range(len(parts.train))}
    starts = sorted(time[0] for time in times if time is not None)
    assert np.diff(starts).min() == np.timedelta64(300, "s")
    assert parts.input.dim("time").step == 600


def test_the_contract_says_what_a_forecast_needs(tmp_path: Path) -> None:
    parts = pipeline(write(tmp_path / "storm.nc")).samples()
    assert (parts.input.dim("time").size, parts.input.advected, parts.output.leads) == (3, 2, 2)
    assert (parts.input.dim("y").step, parts.input.dim("y").unit) == (1000, "metre")
    assert parts.output.bands[0].unit == "mm/h"
    plain = pipeline(write(tmp_path / "other.nc"), clip={"frames": 3, "leads": 2, "advected": False}).samples()
    assert plain.input.advected == 0
    assert plain.train.read(0, np.random.default_rng(0))[0].shape == (3, 16, 16, 1)


def test_tables_say_what_the_sequences_are(tmp_path: Path) -> None:
    sequences, places, split = pipeline(write(tmp_path / "storm.nc")).samples().tables
    assert sequences.rows == (("storm", 16, 0, "10 min", "33 × 45", "1000 metre", "mm/h"),)
    assert places.rows == (("storm", "2020-10-31 00:00", "2020-10-31 02:30", "EPSG:3035"),)
    assert split.title == "Split (by time)"
    assert split.rows == (("train", 1, 5), ("test", 1, 4))


def test_no_clip_crosses_from_training_into_test(tmp_path: Path) -> None:
    parts = pipeline(
        write(tmp_path / "storm.nc", frames=24), data__split={"by": "time", "validation": 0.25, "test": 0.25}
    ).samples()

    def span(samples: Any) -> tuple[Any, Any]:
        times = [samples.place(k).time for k in range(len(samples))]
        return min(time[0] for time in times), max(time[1] for time in times)

    assert span(parts.train)[1] < span(parts.validation)[0]
    assert span(parts.validation)[1] < span(parts.test)[0]


def test_a_spread_is_learnt_by_its_likelihood(tmp_path: Path) -> None:
    storm = write(tmp_path / "storm.nc")
    gaussian = {"name": "rainnet", "width": 4, "head": "gaussian"}
    spread = pipeline(storm, network=gaussian, loss="rain_likelihood")
    assert isinstance(spread.loss(), RainLikelihood)
    assert [band.name for band in spread.samples().output.bands] == ["rain_rate", "log_variance"]
    for changes in ({"network": gaussian, "loss": "balanced"}, {"loss": ["balanced", "rain_likelihood"]}):
        with pytest.raises(RecipeError, match="network.head gaussian is learnt by rain_likelihood alone"):
            pipeline(storm, **changes).loss()


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"data__sequences": None}, RecipeError, "no radar sequences given"),
        ({"data__step": 15}, StepMismatch, "Expected 15 minutes. Received: 10 minutes"),
        ({"clip": {"frames": 12, "leads": 6}}, FramesMissing, "training part.*clip.frames"),
        ({"data__augment": {"noise": 0.1}}, RecipeError, "mirrored and turned only"),
        ({"data__split": {"by": "blocks"}}, SplitError, "sequences are not split by blocks"),
        ({"data__resolution": 1500.0, "data__resample": "average"}, ResolutionMismatch, "1500 m, or a whole part"),
        ({"network": {"name": "rainnet", "transform": "sqrt"}}, RecipeError, "log, db"),
    ],
    ids=["no data", "step", "short", "augment", "blocks", "pixels", "transform"],
)
def test_what_cannot_be_learnt_from_is_refused(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    changes = {"data__sequences": write(tmp_path / "storm.nc"), **changes}
    with pytest.raises(error, match=sentence):
        pipeline(changes.pop("data__sequences"), **changes).samples()


def test_a_single_frame_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FramesMissing, match="one: frames are missing. Expected at least 4 frames. Received: 1"):
        pipeline(write(tmp_path / "one.nc", frames=1)).samples()


def test_no_rain_at_all_is_forecast_as_none(tmp_path: Path) -> None:
    dry = tmp_path / "dry.nc"
    (rain() * 0).assign_attrs(units="mm/h").to_netcdf(dry, engine="h5netcdf")
    run = geodl.train("nowcasting", {**SMALL, "data.sequences": str(dry)}, output=tmp_path / "run")
    assert np.nanmax(run.predictor.predict(open_sequence(dry))) < 0.1
    assert np.isnan(run.metrics["csi"])


def parts_of(samples: Parts) -> list[str]:
    return [name for name in ("train", "validation", "test") if getattr(samples, name) is not None]


def test_folds_are_reported_only(tmp_path: Path) -> None:
    folds = pipeline(write(tmp_path / "storm.nc", frames=24), data__split={"by": "time", "folds": 3, "fold": 1})
    parts = folds.samples()
    assert parts_of(parts) == ["train", "test"]
