import json
import math

import numpy as np
import pytest
from scipy import ndimage

from geodl.errors import OptionError
from geodl.metrics import DespecklingMetrics
from geodl.metrics.edges import edge_preservation, edge_preservation_degree
from geodl.metrics.speckle import enl, homogeneous_areas, ratio_image, ratio_statistics, ratio_structure
from geodl.physics.speckle import Unit, from_intensity

SCORES = {
    "enl_input",
    "enl",
    "enl_gain",
    "ratio_mean",
    "ratio_variance",
    "ratio_structure",
    "edge_preservation",
    "epd_roa",
}


def images(bands: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clean and noisy intensity of shape (1, 120, 120, bands), and the noisy one through a mean filter."""
    rng = np.random.default_rng(0)
    clean = np.kron(10 ** rng.uniform(0, 2, (3, 3, bands)), np.ones((40, 40, 1)))[None]
    noisy = clean * rng.gamma(4, 1 / 4, clean.shape)
    return clean, noisy, ndimage.uniform_filter(noisy, (1, 5, 5, 1))


def scored(noisy: np.ndarray, found: np.ndarray, unit: Unit = "intensity", **options: object) -> DespecklingMetrics:
    metrics = DespecklingMetrics(("VV", "VH")[: noisy.shape[-1]], unit=unit, looks=4)
    metrics.update(None, found, x=noisy, **options)
    return metrics


def test_scores_are_those_of_the_functions() -> None:
    _, noisy, found = images()
    result, one, other = scored(noisy, found).result(), noisy[0, ..., 0], found[0, ..., 0]
    areas = homogeneous_areas(one, looks=4)
    assert result.keys() == SCORES
    assert result["enl_input"] == pytest.approx(np.median(enl(one, areas)))
    assert result["enl"] == pytest.approx(np.median(enl(other, areas)))
    assert result["enl_gain"] == pytest.approx(result["enl"] / result["enl_input"])
    mean, variance = ratio_statistics(ratio_image(one, other))
    assert (result["ratio_mean"], result["ratio_variance"]) == pytest.approx((mean, variance))
    assert result["ratio_structure"] == pytest.approx(ratio_structure(ratio_image(one, other), looks=4))
    assert result["edge_preservation"] == pytest.approx(edge_preservation(one, other, looks=4))
    assert result["epd_roa"] == pytest.approx(edge_preservation_degree(one, other))


def test_truth_is_ideal() -> None:
    clean, noisy, _ = images()
    result = scored(noisy, clean).result()
    assert result["ratio_mean"] == pytest.approx(1, abs=0.02)
    assert result["ratio_variance"] == pytest.approx(1 / 4, rel=0.05)
    assert result["ratio_structure"] < 160 / 120
    assert result["edge_preservation"] == pytest.approx(1, abs=0.05)
    assert result["enl"] > 1e6


@pytest.mark.parametrize("unit", ["amplitude", "dB"])
def test_units_come_to_the_same(unit: Unit) -> None:
    _, noisy, found = images()
    expected = scored(noisy, found).result()
    result = scored(from_intensity(noisy, unit), from_intensity(found, unit), unit).result()
    assert result == pytest.approx(expected, rel=1e-5)


def test_bands_are_averaged() -> None:
    _, noisy, found = images(bands=2)
    result = scored(noisy, found).result()
    for name in SCORES:
        assert result[name] == pytest.approx((result[f"{name}/VV"] + result[f"{name}/VH"]) / 2)
    assert result["enl/VH"] == pytest.approx(scored(noisy[..., 1:], found[..., 1:]).result()["enl"])


def test_unknown_and_hidden_pixels_do_not_count() -> None:
    _, noisy, found = images()
    expected = scored(noisy[:, 40:], found[:, 40:]).result()
    weight = np.ones(noisy.shape[:3])
    weight[:, :40] = 0
    holed = noisy.copy()
    holed[:, :20], holed[:, 20:40] = np.nan, 0.0
    for metrics in (scored(noisy, found, weight=weight), scored(holed, found)):
        result = metrics.result()
        for name in ("ratio_mean", "ratio_variance", "ratio_structure", "epd_roa"):
            assert result[name] == pytest.approx(expected[name], rel=1e-9), name
        assert all(area["row"] >= 40 for area in metrics.details()["areas"])
        assert metrics.details()["pixels"] == 80 * 120
    assert scored(holed, found).details()["unknown"] == 40 * 120


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_missing_prediction_spoils_its_band(bad: float) -> None:
    _, noisy, found = images(bands=2)
    found[0, 60, 60, 1] = bad
    metrics = scored(noisy, found)
    result = metrics.result()
    assert all(math.isnan(value) for name, value in result.items() if not name.endswith("/VV"))
    assert all(math.isfinite(value) for name, value in result.items() if name.endswith("/VV"))
    assert metrics.details()["unpredicted"] == 1


def test_a_negative_amplitude_is_no_prediction() -> None:
    _, noisy, found = images()
    amplitude = np.sqrt(found)
    amplitude[0, 60, 60] *= -1
    assert scored(np.sqrt(noisy), amplitude, "amplitude").details()["unpredicted"] == 1


def test_details_show_areas_as_strict_json() -> None:
    clean, noisy, _ = images()
    metrics = scored(noisy, clean, scenes=("town",))
    details = json.loads(json.dumps(metrics.details(), allow_nan=False))
    area = details["areas"][0]
    part = noisy[0, area["row"] : area["row"] + area["height"], area["col"] : area["col"] + area["width"], 0]
    assert (area["scene"], area["band"], area["height"], area["width"]) == ("town", "VV", 25, 25)
    assert area["mean"] == pytest.approx(part.mean())
    assert area["enl_input"] == pytest.approx(part.mean() ** 2 / part.var())
    assert details["edges"][0] > 100
    assert (details["unit"], details["looks"]) == ("intensity", 4)


def test_nothing_counted_is_not_a_number() -> None:
    empty = DespecklingMetrics(("VV",), unit="dB", looks=1)
    assert all(math.isnan(value) for value in empty.result().values())
    assert math.isnan(scored(np.ones((1, 8, 8, 1)), np.ones((1, 8, 8, 1))).result()["enl"])


def test_arguments_are_checked() -> None:
    for options in ({"bands": ()}, {"looks": 0}):
        with pytest.raises(OptionError, match=next(iter(options))):
            DespecklingMetrics(**{"bands": ("VV",), "unit": "intensity", "looks": 1, **options})
    _, noisy, found = images()
    metrics = scored(noisy, found)
    for name, call in {
        "prediction": lambda: metrics.update(None, found[0], x=noisy),
        "x": lambda: metrics.update(None, found, x=noisy[:, 1:]),
        "weight": lambda: metrics.update(None, found, np.ones(3), x=noisy),
        "scenes": lambda: metrics.update(None, found, x=noisy, scenes=("a", "b")),
    }.items():
        with pytest.raises(OptionError, match=f"^{name}: "):
            call()
