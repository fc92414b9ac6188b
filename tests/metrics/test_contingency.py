import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import confusion_matrix, jaccard_score, precision_score, recall_score

from geodl.metrics.contingency import contingency, table_scores

RATES = hnp.arrays(np.float32, (2, 5, 4), elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 3.0]))


def test_scores_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    observed, forecast = rng.gamma(0.5, 2, (2, 900))
    table = contingency(observed, forecast, [1.0])[0]
    wet, said = observed > 1, forecast > 1
    assert table.tolist() == confusion_matrix(wet, said).ravel()[[3, 2, 1, 0]].tolist()
    scores = {name: float(value) for name, value in table_scores(table).items()}
    assert scores["csi"] == pytest.approx(jaccard_score(wet, said), abs=1e-12)
    assert scores["pod"] == pytest.approx(recall_score(wet, said), abs=1e-12)
    assert scores["far"] == pytest.approx(1 - precision_score(wet, said), abs=1e-12)
    assert scores["frequency_bias"] == pytest.approx(said.sum() / wet.sum(), abs=1e-12)


@given(RATES, st.sampled_from([0.25, 0.5, 1.0]))
def test_tables_sum_to_the_pixels_and_bounds_hold(rates: np.ndarray, threshold: float) -> None:
    table = contingency(*rates, [threshold])[0]
    assert table.min() >= 0 and table.sum() == rates[0].size
    scores = {name: float(value) for name, value in table_scores(table).items()}
    hits, misses, alarms, _ = table
    if hits + misses:
        assert scores["csi"] <= scores["pod"] <= 1
    if hits + misses and hits + alarms:
        assert scores["csi"] <= 1 - scores["far"]
        assert scores["frequency_bias"] == pytest.approx(scores["pod"] / (1 - scores["far"])) if hits else True
    assert not scores["hss"] > 1


def test_perfect_and_constant_forecasts() -> None:
    rain = np.array([0.0, 2.0, 3.0, 0.0])
    perfect = table_scores(contingency(rain, rain, [1.0])[0])
    assert {name: float(value) for name, value in perfect.items()} == {
        "csi": 1.0,
        "pod": 1.0,
        "far": 0.0,
        "frequency_bias": 1.0,
        "hss": 1.0,
    }
    dry = table_scores(contingency(rain, 0 * rain, [1.0])[0])
    assert dry["csi"] == dry["pod"] == dry["hss"] == 0 and np.isnan(dry["far"])
    assert all(np.isnan(value) for value in table_scores(np.array([0, 0, 0, 4])).values())


def test_the_threshold_itself_is_no_rain() -> None:
    assert contingency(np.array([1.0]), np.array([1.0]), [1.0]).tolist() == [[0, 0, 0, 1]]
