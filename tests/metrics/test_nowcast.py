import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.errors import OptionError
from geodl.metrics import NowcastMetrics
from geodl.metrics.ensemble import crps
from geodl.metrics.spread import Spread
from tests.fixtures.write_nowcast_scores import SCALES, THRESHOLDS

NAMES = ("csi", "pod", "far", "frequency_bias", "hss")


def rain(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(0.4, 3, shape).astype(np.float32)


def metrics(**options: object) -> NowcastMetrics:
    return NowcastMetrics([0.5, 1.0], **{"lead_minutes": [10, 20], "scales": [1, 3], **options})


def test_scores_are_those_of_pysteps(pysteps: dict[str, np.ndarray], scored: NowcastMetrics) -> None:
    result, details = scored.result(), scored.details()
    np.testing.assert_array_equal(details["tables"], pysteps["tables"][:, :2])
    for row, threshold in enumerate(THRESHOLDS):
        own = [result[f"{name}/{threshold:g} mm/h"] for name in NAMES]
        np.testing.assert_allclose(own, pysteps["categorical"][row, -1], rtol=1e-6)
        own = [result[f"fss_{2 * scale}km/{threshold:g} mm/h"] for scale in SCALES]
        np.testing.assert_allclose(own, pysteps["fss"][row, :, -1], rtol=1e-6)
    assert result["csi"] == pytest.approx(pysteps["categorical"][:, -1, 0].mean(), rel=1e-6)
    own = [result[name] for name in ("mae", "rmse", "correlation")]
    np.testing.assert_allclose(own, pysteps["continuous"][-1, :3], rtol=1e-6)


@pytest.mark.parametrize("lead", [0, 1])
def test_scores_of_a_lead_time_are_those_of_pysteps(
    pysteps: dict[str, np.ndarray], scored: NowcastMetrics, lead: int
) -> None:
    details = scored.details()
    found = details["leads"][lead]
    assert found["lead_minutes"] == 10 * (lead + 1)
    np.testing.assert_allclose([found[name] for name in NAMES], pysteps["categorical"][:, lead].T, rtol=1e-6)
    np.testing.assert_allclose(found["fss"], pysteps["fss"][:, :, lead], rtol=1e-6)
    own = [found[name] for name in ("mae", "rmse", "correlation")]
    np.testing.assert_allclose(own, pysteps["continuous"][lead, :3], rtol=1e-6)
    observed = np.nanmean(pysteps["observed"][lead], dtype=np.float64)
    assert found["mean_rate_bias"] == pytest.approx(1 + pysteps["continuous"][lead, 3] / observed, rel=1e-6)
    own = [details["spectra"][name][lead] for name in ("observed", "forecast")]
    np.testing.assert_allclose(own, pysteps["spectra"][:, lead, 1:], rtol=1e-6)
    np.testing.assert_allclose(details["spectra"]["wavelength_km"], 128 / np.arange(1, 32))


def test_a_pixel_without_forecast_is_dry_or_skipped() -> None:
    truth, guess = rain((1, 2, 8, 8, 1)), rain((1, 2, 8, 8, 1), 1)
    guess[..., :2, 0], guess[0, 0, 7, 7, 0] = np.nan, np.inf
    dry, skip = metrics(), metrics(missing="skip")
    for scores in (dry, skip):
        scores.update(truth, guess)
    again, cut = metrics(), metrics()
    again.update(truth, np.where(np.isfinite(guess), guess, 0))
    cut.update(np.where(np.isfinite(guess), truth, np.nan), guess)
    assert dry.result()["outside"] == (2 * 8 * 2 + 1) / 128
    assert skip.result()["outside"] == again.result()["outside"] == 0
    assert dry.result() | {"outside": 0} == again.result()
    assert skip.result() == cut.result()


def test_nodata_and_weights_of_nothing_do_not_count() -> None:
    truth, guess = rain((1, 2, 8, 8, 1)), rain((1, 2, 8, 8, 1), 1)
    weight = np.ones((1, 2, 8, 8), np.float32)
    weight[..., 5:] = 0
    hidden = np.where(weight[..., None] > 0, truth, np.nan)
    one, two = metrics(), metrics()
    one.update(truth, guess, weight)
    two.update(hidden, np.where(weight[..., None] > 0, guess, 9.0))
    assert one.details() == two.details()
    assert one.details()["leads"][0]["pixels"] == 40
    assert np.sum(one.details()["tables"], axis=-1).tolist() == [[40, 40], [40, 40]]


def test_a_lead_time_without_truth_is_undefined() -> None:
    truth = rain((1, 2, 8, 8, 1))
    truth[:, 1] = np.nan
    scores = metrics()
    scores.update(truth, truth)
    first, second = scores.details()["leads"]
    assert first["csi"] == [1.0, 1.0] and second["csi"] == [None, None] and second["mae"] is None
    assert scores.details()["spectra"]["forecast"][1] == [None, None, None]
    assert scores.result()["csi"] == 1.0


def test_blocks_are_consecutive_samples_of_a_scene() -> None:
    truth = rain((7, 2, 4, 4, 1))
    scores = metrics(block=2)
    scores.update(truth[:4], truth[:4], scenes=list("aaba"))
    scores.update(truth[4:], truth[4:], scenes=list("abc"))
    blocks = scores.details()["blocks"]
    assert blocks["names"] == ["a/0", "b/0", "a/1", "c/0"]
    assert np.sum(blocks["tables"], axis=0).tolist() == np.array(scores.details()["tables"])[..., :3].tolist()
    first = metrics()
    first.update(truth[:2], truth[:2])
    assert np.array(first.details()["tables"])[..., :3].tolist() == blocks["tables"][0]


def test_a_spread_is_scored_by_its_members_and_probabilities() -> None:
    truth, median = rain((2, 2, 8, 8, 1)), rain((2, 2, 8, 8, 1), 1)
    log_variance = np.random.default_rng(2).normal(0, 0.5, median.shape).astype(np.float32)
    truth[0, 0, :3] = np.nan
    scores = metrics(spread="log", members=8)
    scores.update(truth, np.concatenate([median, log_variance], axis=-1))
    members = np.stack(list(Spread("log").quantiles(median, log_variance, 8)))
    assert scores.result()["crps"] == pytest.approx(crps(members, truth), rel=1e-5)
    curve = scores.details()["reliability"]["0.5"]
    assert sum(curve["count"]) == np.isfinite(truth).sum()
    known = np.isfinite(truth)
    given = [0.0 if value is None else value for value in curve["frequency"]]
    assert np.dot(given, curve["count"]) == pytest.approx((truth[known] >= 0.5).sum())


def test_a_forecast_without_spread_has_its_mean_error_as_crps() -> None:
    scores = metrics(spread="db")
    scores.update(rain((1, 2, 8, 8, 1)), rain((1, 2, 8, 8, 1), 1))
    assert scores.result()["crps"] == scores.result()["mae"]
    assert "reliability" not in scores.details()
    certain = metrics(spread="db")
    guess = rain((1, 2, 8, 8, 1), 1)
    certain.update(rain((1, 2, 8, 8, 1)), np.concatenate([guess, np.full_like(guess, -40)], axis=-1))
    assert certain.result()["crps"] == pytest.approx(scores.result()["mae"], rel=1e-5)


def test_details_are_json_and_reset_forgets() -> None:
    scores = metrics(spread="log")
    empty = scores.details()
    scores.update(np.zeros((1, 2, 5, 5, 1)), np.zeros((1, 2, 5, 5, 2)))
    assert json.loads(json.dumps(scores.details(), allow_nan=False)) == scores.details()
    assert np.isnan(scores.result()["csi"]) and scores.result()["mae"] == 0
    scores.reset()
    assert scores.details()["sums"]["errors"] == empty["sums"]["errors"]
    assert all(np.isnan(value) for value in scores.result().values())


@settings(max_examples=20)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99), st.floats(0, 1))
def test_any_shape_and_share_of_nodata_counts_each_pixel_once(height: int, width: int, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    truth, guess = rain((2, 2, height, width, 1), seed), rain((2, 2, height, width, 1), seed + 1)
    truth[rng.random(truth.shape) < share] = np.nan
    guess[rng.random(truth.shape) < share / 2] = np.nan
    scores = metrics()
    scores.update(truth, guess)
    details = scores.details()
    pixels = np.isfinite(truth).sum(axis=(0, 2, 3, 4))
    assert [lead["pixels"] for lead in details["leads"]] == pixels.tolist()
    assert np.sum(details["tables"], axis=-1).tolist() == [pixels.tolist()] * 2
    for lead in details["leads"]:
        assert all(c is None or p is None or c <= p for c, p in zip(lead["csi"], lead["pod"]))
        assert all(value is None or -1e-6 <= value <= 1 + 1e-6 for row in lead["fss"] for value in row)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lead_minutes": []}, "lead_minutes"),
        ({"scales": [0]}, "scales"),
        ({"pixel_km": 0}, "pixel_km"),
        ({"block": 0}, "block"),
        ({"missing": "wet"}, "missing"),
        ({"spread": "root"}, "transform"),
    ],
    ids=["leads", "scales", "pixel", "block", "missing", "spread"],
)
def test_settings_that_mean_nothing_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        metrics(**options)
    with pytest.raises(OptionError, match="thresholds"):
        NowcastMetrics([0.0], lead_minutes=[10])


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"y": (1, 3, 4, 4, 1)}, "y: expected shape"),
        ({"prediction": (1, 2, 4, 4, 2)}, "prediction: expected shape"),
        ({"weight": (1, 2, 4, 4, 1)}, "weight: expected shape"),
    ],
    ids=["y", "prediction", "weight"],
)
def test_shapes_that_do_not_fit_are_refused(arrays: dict[str, tuple[int, ...]], words: str) -> None:
    shapes = {"y": (1, 2, 4, 4, 1), "prediction": (1, 2, 4, 4, 1), "weight": (1, 2, 4, 4), **arrays}
    with pytest.raises(OptionError, match=words):
        metrics().update(*(np.zeros(shape) for shape in shapes.values()))
    with pytest.raises(OptionError, match="1 names"):
        metrics().update(np.zeros((1, 2, 4, 4, 1)), np.zeros((1, 2, 4, 4, 1)), scenes=["a", "b"])
