from typing import Any

import numpy as np
import pytest
from scipy.stats import bootstrap

from geodl.errors import OptionError
from geodl.metrics import intervals, paired_difference


def details(seed: int, *, blocks: int = 30, skill: float = 0.5) -> dict[str, Any]:
    """Blocks of one threshold and two lead times, in which `skill` of the rain is hit."""
    rng = np.random.default_rng(0)
    rain = rng.integers(50, 200, (blocks, 1, 2))
    hits = np.random.default_rng(seed).binomial(rain, skill)
    tables = np.stack([hits, rain - hits, rain // 3], axis=-1)
    names = [f"a/{k}" for k in range(blocks)]
    return {"thresholds": [1.0], "lead_minutes": [10, 20], "blocks": {"names": names, "tables": tables.tolist()}}


def csi(hits: np.ndarray, misses: np.ndarray, alarms: np.ndarray, axis: int = -1) -> np.ndarray:
    return hits.sum(axis) / (hits + misses + alarms).sum(axis)


def test_intervals_are_those_of_scipy() -> None:
    found = details(1)
    own = intervals(found, repeats=4000)
    tables = np.array(found["blocks"]["tables"])[:, 0]
    for lead in range(2):
        sample = tuple(tables[:, lead].T)
        other = bootstrap(
            sample, csi, paired=True, n_resamples=4000, confidence_level=0.9, method="percentile", rng=1
        ).confidence_interval
        value, low, high = own["leads"][0][lead]
        assert value == pytest.approx(csi(*sample))
        assert [low, high] == pytest.approx(list(other), abs=0.1 * (high - low))
    together = tables.sum(axis=1)
    assert own["thresholds"][0][0] == own["csi"][0] == pytest.approx(csi(*together.T))
    assert own["blocks"] == 30


def test_draws_are_repeatable() -> None:
    assert intervals(details(1), seed=3) == intervals(details(1), seed=3)
    assert intervals(details(1), seed=3) != intervals(details(1), seed=4)


def test_a_difference_is_sharper_than_the_scores_it_is_of() -> None:
    good, bad = details(1, skill=0.6), details(2, skill=0.5)
    value, low, high = paired_difference(good, bad)["csi"]
    assert 0 < low < value < high
    assert value == pytest.approx(intervals(good)["csi"][0] - intervals(bad)["csi"][0])
    assert paired_difference(bad, good)["csi"] == pytest.approx([-value, -high, -low])
    assert paired_difference(good, good)["csi"] == [0, 0, 0]


def test_one_block_has_no_interval_and_no_rain_no_score() -> None:
    assert intervals(details(1, blocks=1))["csi"][1:] == [None, None]
    dry = details(1)
    dry["blocks"]["tables"] = np.zeros((30, 1, 2, 3), int).tolist()
    assert intervals(dry)["csi"] == [None, None, None]
    once = np.zeros((30, 1, 2, 3), int)
    once[4, :, 0] = 3, 1, 0
    dry["blocks"]["tables"] = once.tolist()
    assert intervals(dry)["leads"] == [[[0.75, 0.75, 0.75], [None, None, None]]]


def test_only_the_same_samples_can_be_compared() -> None:
    with pytest.raises(OptionError, match="same 30 blocks"):
        paired_difference(details(1), details(1, blocks=29))
    with pytest.raises(OptionError, match="lead_minutes"):
        paired_difference(details(1), {**details(1), "lead_minutes": [5, 10]})
    with pytest.raises(OptionError, match="level"):
        intervals(details(1), level=1)
    with pytest.raises(OptionError, match="repeats"):
        intervals(details(1), repeats=0)
