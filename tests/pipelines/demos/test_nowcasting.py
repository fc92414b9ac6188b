"""The demonstration of nowcasting: quickly with hardly any training, slowly as users see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib import image
from PIL import Image

from geodl.data.radar import find_sequences, open_sequence
from geodl.errors import OutputExists, OutputUnwritable
from geodl.pipelines import base, demo
from geodl.pipelines.demos import events as simulated
from geodl.pipelines.demos import nowcasting
from geodl.pipelines.demos.events import events


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few and small events."""
    monkeypatch.setattr(simulated, "_KNOWN", 5)
    monkeypatch.setattr(simulated, "_SHAPE", (40, 48))
    monkeypatch.setattr(simulated, "_FRAMES", 14)


@pytest.mark.usefixtures("small")
def test_events_are_read_back_as_they_were_simulated_each_on_its_own_day(tmp_path: Path) -> None:
    known, unknown = events(tmp_path)
    found = [open_sequence(spec) for _, spec in find_sequences(str(known))]
    assert [sequence.name for sequence in found] == [f"event_{k:02d}" for k in range(1, 6)]
    days = {str(sequence.times[0])[:10] for sequence in (*found, open_sequence(str(unknown)))}
    assert len(days) == 6
    rain = simulated.simulate_rain((40, 48), 14, seed=1, step_minutes=5, pixel_km=2.0)
    values = found[0].read(None, None)[0][..., 0]
    # Hundredths of mm/h are kept.
    np.testing.assert_allclose(values, rain.values, atol=0.00501)
    assert found[0].grid.crs.to_epsg() == 3035
    assert found[0].grid.resolution == (2000, 2000)
    assert found[0].step == np.timedelta64(5, "m")


@pytest.mark.usefixtures("small")
def test_events_are_written_once_and_whole(tmp_path: Path) -> None:
    events(tmp_path)
    first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nc")}
    assert len(first) == 6
    events(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == first


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputUnwritable):
        events(tmp_path / "file")


@pytest.mark.usefixtures("small")
def test_what_is_shown_is_the_forecast_of_the_event_that_was_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    less = {
        "train.epochs": 1,
        "train.steps_per_epoch": 2,
        "train.batch_size": 2,
        "data.patch": 32,
        "network": {"name": "rainnet", "width": 4, "depth": 1},
    }

    def train(recipe: str, overrides: dict[str, Any], **options: Any) -> base.Run:
        return base.train(recipe, {**overrides, **less}, **options)

    monkeypatch.setattr(nowcasting, "train", train)
    result = demo("nowcasting", output=tmp_path)
    event = open_sequence(str(tmp_path / "nowcasting" / "data" / "test" / "event.nc"))

    with xr.open_dataset(result.paths["forecast"]) as made:
        assert made.rain_rate.dims == ("lead_time", "y", "x")
        assert made.rain_rate.shape == (6, 40, 48)
        analysis = made.time.values
    assert analysis in event.times
    with Image.open(result.paths["animation"]) as moving:
        assert moving.n_frames == 4 + 6
    assert result.paths["animation"].stat().st_size < 1_500_000
    assert image.imread(result.paths["picture"]).shape[1] > 1000

    scores = json.loads(result.paths["metrics"].read_text())
    assert set(scores["baselines"]) == {"persistence", "advection"}
    assert scores["protocol"]["part"] == "all"
    # Every frame of the event from which a whole forecast can be verified.
    assert scores["details"]["samples"] == len(event.times) - 4 - 6 + 1
    with pytest.raises(OutputExists):
        demo("nowcasting", output=tmp_path)


@pytest.mark.slow
def test_the_network_beats_persistence_and_advection_at_each_threshold(tmp_path: Path) -> None:
    evaluation = demo("nowcasting", output=tmp_path).evaluation
    for rate in ("0.5", "1", "5"):
        own = evaluation.metrics[f"csi/{rate} mm/h"]
        for baseline in evaluation.baselines.values():
            assert own > baseline.metrics[f"csi/{rate} mm/h"]
        assert 0.6 < evaluation.metrics[f"frequency_bias/{rate} mm/h"] < 2
