"""Animations of forecasts, read with Pillow as a browser would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from matplotlib.colors import to_rgb
from PIL import Image
from pyproj import CRS

from geodl.data.source import Grid
from geodl.errors import OptionError, OutputUnwritable
from geodl.report.animation import animate
from geodl.report.palette import NODATA_COLOUR, RAIN

GRID = Grid(CRS.from_epsg(32633), Affine(1000, 0, 5e5, 0, -1000, 5e6), 30, 40)
TIMES = np.datetime64("2024-06-01T23:40") + np.arange(5) * np.timedelta64(10, "m")
STRONGEST = tuple(round(255 * part) for part in to_rgb(RAIN[-1]))
GREY = tuple(round(255 * part) for part in to_rgb(NODATA_COLOUR))


def block(count: int, column: int) -> np.ndarray:
    """Dry fields with a block of heavy rain in the north, from this column on."""
    fields = np.zeros((count, 30, 40), np.float32)
    fields[:, 3:9, column : column + 6] = 200.0
    return fields


def frames(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        found = []
        for k in range(image.n_frames):
            image.seek(k)
            found.append(np.asarray(image.convert("RGB")).astype(int))
    return found


def middle_of(picture: np.ndarray, colour: tuple[int, ...]) -> tuple[float, float] | None:
    """Mean (row, column) of a colour, in parts of the picture, left of the bar."""
    there = (picture == np.array(colour)).all(axis=-1)
    there[:, int(0.8 * picture.shape[1]) :] = False
    rows, columns = np.nonzero(there)
    return (rows.mean() / picture.shape[0], columns.mean() / picture.shape[1]) if rows.size > 30 else None


def halves(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    half = picture.shape[0] // 2
    return picture[:half], picture[half:]


def test_observed_stands_above_forecast_and_they_part_when_the_forecast_starts(tmp_path: Path):
    path = animate(block(5, 4), block(2, 26), times=TIMES, path=tmp_path / "a.gif", grid=GRID)
    shown = [tuple(middle_of(half, STRONGEST) for half in halves(picture)) for picture in frames(path)]
    assert len(shown) == 5
    for upper, lower in shown[:3]:
        assert upper[1] == pytest.approx(lower[1], abs=0.01)
    for upper, lower in shown[3:]:
        assert lower[1] - upper[1] == pytest.approx(22 / 40 * 0.8, abs=0.1)
    # North is up: rain in the first rows of the grid is in the upper part of its panel.
    assert all(upper[0] < 0.5 and lower[0] < 0.5 for upper, lower in shown)


def test_frames_last_as_long_as_asked_and_go_round(tmp_path: Path):
    path = animate(block(5, 4), block(2, 26), times=TIMES, path=tmp_path / "a.gif", seconds=0.3, pause=1)
    durations = []
    with Image.open(path) as image:
        assert image.info["loop"] == 0
        for k in range(image.n_frames):
            image.seek(k)
            durations.append(image.info["duration"])
    assert durations == [300, 300, 300, 300, 1300]


def test_what_has_not_come_yet_is_unknown(tmp_path: Path):
    upper = halves(frames(animate(block(3, 4), block(2, 26), times=TIMES, path=tmp_path / "a.gif"))[-1])[0]
    assert middle_of(upper, STRONGEST) is None
    assert (upper == np.array(GREY)).all(axis=-1).mean() > 0.5


def test_a_large_domain_makes_a_file_that_can_be_sent(tmp_path: Path):
    rng = np.random.default_rng(0)
    fields = rng.gamma(0.2, 8, (5, 613, 380)).repeat(2, 1).repeat(2, 2).astype(np.float32)
    path = animate(fields, fields[3:], times=TIMES, path=tmp_path / "a.gif")
    with Image.open(path) as image:
        assert image.size[0] < 800 and image.size[1] < 1000
    # Noise in every pixel is the worst that can come: real rain takes a tenth of it.
    assert path.stat().st_size < 1_500_000


@pytest.mark.parametrize("fill", [0.0, np.nan], ids=["dry", "unknown"])
def test_frames_alike_are_kept_apart_by_their_time(fill: float, tmp_path: Path):
    fields = np.full((5, 30, 40), fill, np.float32)
    assert len(frames(animate(fields, fields[3:], times=TIMES, path=tmp_path / "a.gif", title="nothing"))) == 5


def test_nothing_is_left_of_what_could_not_be_written(tmp_path: Path):
    (tmp_path / "a.gif").mkdir()
    with pytest.raises(OutputUnwritable):
        animate(block(5, 4), block(2, 26), times=TIMES, path=tmp_path / "a.gif")
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


@pytest.mark.parametrize(
    ("observed", "forecast", "words"),
    [
        (block(5, 4), block(5, 4), "times: expected those of 5 leads, and of one frame before"),
        (block(2, 4), block(2, 4), r"observed: expected an array of shape \(3 to 5, 30, 40\)"),
        (block(5, 4)[:, 1:], block(2, 4), "observed: expected an array of shape"),
        (block(5, 4), block(2, 4)[0], r"forecast: expected an array of shape \(leads, height, width\)"),
    ],
    ids=["no past", "too little observed", "other shape", "one field"],
)
def test_what_does_not_fit_together_is_refused(observed, forecast, words, tmp_path: Path):
    with pytest.raises(OptionError, match=words):
        animate(observed, forecast, times=TIMES, path=tmp_path / "a.gif")
