"""Rain as pictures."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from pyproj import CRS
from skimage.color import rgb2lab

from geodl.data.source import Grid
from geodl.errors import OptionError
from geodl.report.palette import NODATA_COLOUR, RAIN
from geodl.report.rain import LEVELS, draw_rain, forecast_figure, paint_rain, redraw_rain

LEADS = (10, 20, 30)


def rain(count: int = 3, *, seed: int = 0) -> np.ndarray:
    fields = np.random.default_rng(seed).gamma(0.3, 4, (count, 20, 30)).astype(np.float32)
    fields[:, :4, :5] = np.nan
    return fields


def bytes_of(colour: str) -> list[int]:
    return [round(255 * part) for part in to_rgb(colour)]


def test_each_level_begins_its_colour():
    below = np.nextafter(np.array(LEVELS, np.float32), np.float32(0))
    assert paint_rain(np.array([LEVELS]))[0].tolist() == [bytes_of(colour) for colour in RAIN]
    assert paint_rain(below[None])[0].tolist() == [bytes_of(colour) for colour in ("white", *RAIN[:-1])]


def test_dry_is_white_and_the_unknown_is_neither_dry_nor_rain():
    dry, unknown = paint_rain(np.array([[0.0, np.nan]]))[0].tolist()
    assert dry == [255, 255, 255]
    assert unknown == bytes_of(NODATA_COLOUR) and NODATA_COLOUR not in RAIN


def test_more_rain_is_darker_by_even_steps():
    """CIELAB lightness does not depend on hue, so the order holds in grey print and for the colour-blind."""
    lightness = rgb2lab(np.array([to_rgb(colour) for colour in ("white", *RAIN)]))[:, 0]
    steps = -np.diff(lightness)
    assert (steps > 6).all()
    assert np.ptp(steps[1:]) < 2


@pytest.mark.parametrize("shape", [(20, 30), (1213, 7), (2402, 1100)])
def test_another_field_takes_the_place_of_the_first(shape):
    first, second = np.zeros(shape), np.zeros(shape)
    second[-1, -1] = second[shape[0] // 2 :, :] = 7
    (one, other) = Figure().subplots(2)
    image = draw_rain(one, first, None)
    redraw_rain(image, second)
    np.testing.assert_array_equal(image.get_array(), draw_rain(other, second, None).get_array())


@pytest.mark.parametrize("crs", [None, 32633])
def test_the_first_row_of_a_field_lies_where_its_grid_says(crs):
    grid = Grid(crs and CRS.from_epsg(crs), Affine(1000, 0, 5e5, 0, -1000, 5e6), 20, 30)
    axes = Figure().subplots()
    image = draw_rain(axes, rain()[0], grid)
    middle = axes.transData.transform(grid.transform @ (15, 0.5))
    assert image.get_transform().transform((15, 0.5)) == pytest.approx(middle)
    if crs:
        lowest = axes.transData.transform(grid.transform @ (15, 19.5))
        assert middle[1] > lowest[1]


def panels_of(figure: Figure) -> list[list]:
    """Axes with a field, row by row from above."""
    figure.draw_without_rendering()
    found = [axes for axes in figure.axes if axes.images]
    rows: dict[float, list] = {}
    for axes in found:
        rows.setdefault(round(axes.get_position().y0, 3), []).append(axes)
    return [sorted(rows[y], key=lambda axes: axes.get_position().x0) for y in sorted(rows, reverse=True)]


def test_rows_are_what_was_observed_and_what_was_forecast_columns_are_lead_times():
    observed, network, advection = (rain(seed=seed) for seed in range(3))
    start = np.datetime64("2024-06-01T23:45")
    figure = forecast_figure(
        observed,
        {"network": network, "advection": advection},
        lead_minutes=LEADS,
        last=observed[0] * 0 + 1,
        start=start,
        title="A day",
    )
    rows = panels_of(figure)
    assert [[axes.get_title() for axes in row] for row in rows] == [
        ["last frame\n23:45", "+10 min\n23:55", "+20 min\n00:05", "+30 min\n00:15"],
        ["", "", ""],
        ["", "", ""],
    ]
    assert [row[0].get_ylabel() for row in rows] == ["observed", "network", "advection"]
    for row, fields in zip(rows, (observed, network, advection), strict=True):
        for axes, field in zip(row[-3:], fields, strict=True):
            np.testing.assert_array_equal(axes.images[0].get_array(), paint_rain(field))
    # Columns stand below each other.
    for row in rows[1:]:
        assert [axes.get_position().x0 for axes in row] == pytest.approx([a.get_position().x0 for a in rows[0][1:]])


def test_of_many_lead_times_the_first_and_the_last_are_shown():
    fields = rain(12)
    rows = panels_of(forecast_figure(fields, {"network": fields}, lead_minutes=[5 * (k + 1) for k in range(12)]))
    titles = [axes.get_title() for axes in rows[0]]
    assert len(titles) == 8
    assert (titles[0], titles[-1]) == ("+5 min", "+60 min")


def test_a_field_without_any_data_is_drawn_all_the_same():
    fields = np.full((1, 20, 30), np.nan)
    grid = Grid(CRS.from_epsg(4326), Affine(0.01, 0, 10, 0, -0.01, 60), 20, 30)
    forecast_figure(fields, {"network": fields}, lead_minutes=(10,), grid=grid).draw_without_rendering()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"observed": rain()[0]}, "observed: expected an array of shape"),
        ({"forecasts": {"network": rain(2)}}, r"forecasts\['network'\]: expected an array of shape \(3, 20, 30\)"),
        ({"lead_minutes": (10, 20)}, "lead_minutes: expected 3 lead times"),
        ({"last": rain()}, r"last: expected an array of shape \(20, 30\)"),
    ],
    ids=["one field", "fewer leads", "fewer minutes", "several last frames"],
)
def test_what_does_not_fit_together_is_refused(changes, words):
    with pytest.raises(OptionError, match=words):
        forecast_figure(**{"observed": rain(), "forecasts": {"network": rain()}, "lead_minutes": LEADS, **changes})
