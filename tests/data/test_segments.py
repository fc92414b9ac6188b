"""Segments against the rows they are made of; starts, padding, past states and growing horizons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.data.batches import Batches
from geodl.data.places import check_leakage
from geodl.data.samples import Samples
from geodl.data.segments import SegmentSamples
from geodl.data.trajectories import Trajectory, split_trajectories
from geodl.errors import BandMismatch, OptionError, SplitLeakage, TrajectoryUnusable

RNG = np.random.default_rng(0)
NAN = float("nan")


def make(
    rows: int = 30, *, name: str = "a", seed: int = 0, missing: float = 0.0, irregular: bool = False
) -> Trajectory:
    rng = np.random.default_rng(seed)
    times = 3 + np.cumsum(rng.uniform(0.5, 1.5, rows) if irregular else np.ones(rows)) * 0.1
    states = rng.normal(size=(rows, 2))
    states[rng.random(states.shape) < missing] = np.nan
    return Trajectory(name, times, states, ("x", "y"))


@given(
    st.lists(st.integers(5, 25), min_size=1, max_size=4),
    st.integers(1, 30),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.3]),
    st.integers(0, 100),
)
def test_a_segment_is_the_rows_that_it_says(
    lengths: list[int], horizon: int, stride: int, missing: float, seed: int
) -> None:
    trajectories = [
        make(rows, name=str(k), seed=seed + k, missing=missing, irregular=True) for k, rows in enumerate(lengths)
    ]
    try:
        samples = SegmentSamples(trajectories, horizon=horizon, stride=stride, dtype="float64")
    except TrajectoryUnusable:
        assert missing
        return
    assert isinstance(samples, Samples)
    by_name = {each.name: each for each in trajectories}
    seen = set()
    for k in range(len(samples)):
        x, y, weight = samples.read(k, RNG)
        place = samples.place(k)
        source = by_name[place.space]
        start = int(np.flatnonzero(source.times == place.time[0])[0])
        seen.add((source.name, start))
        stop = min(start + horizon + 1, len(source))
        assert start % stride == 0 and place.time[1] == source.times[stop - 1] and place.footprint is None
        count = stop - start
        np.testing.assert_array_equal(x["state"], source.states[start])
        assert np.isfinite(x["state"]).all() and weight[0] == 0 and weight.any()
        np.testing.assert_array_equal(y[:count], source.states[start:stop])
        np.testing.assert_allclose(x["times"][:count], source.times[start:stop] - source.times[start], atol=1e-12)
        np.testing.assert_array_equal(weight[1:count], source.observed[start + 1 : stop].any(1))
        assert np.isnan(y[count:]).all() and not weight[count:].any()
        assert x["times"][0] == 0 and (np.diff(x["times"]) > 0).all()
        assert len(y) == len(weight) == len(x["times"]) == horizon + 1
    assert len(seen) == len(samples)
    # All that could start one is there, and short ones only where the trajectory has no whole one.
    for source in trajectories:
        whole, some = source.observed.all(1), source.observed.any(1)
        can = [
            k for k in range(0, len(source), stride) if whole[k] and some[k + 1 : k + 1 + horizon].any()
        ]  # fmt: skip
        expected = [k for k in can if k + horizon < len(source)] or can
        assert sorted(start for name, start in seen if name == source.name) == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_arrays_have_the_dtype_and_a_batch_is_its_samples(dtype: str) -> None:
    samples = SegmentSamples([make(9), make(30, name="b", missing=0.2)], horizon=12, dtype=dtype, past=2)
    indices = np.array([0, len(samples) - 1, 3, 3])
    x, y, weight = samples.read_batch(indices, RNG)
    assert {array.dtype for array in (*x.values(), y, weight)} == {np.dtype(dtype)}
    for n, k in enumerate(indices):
        one_x, one_y, one_weight = samples.read(int(k), RNG)
        for key in ("state", "times", "past"):
            np.testing.assert_array_equal(x[key][n], one_x[key])
        np.testing.assert_array_equal(y[n], one_y)
        np.testing.assert_array_equal(weight[n], one_weight)
    x["state"][:], y[:] = 0, 0
    assert samples.read(0, RNG)[1].any()


def test_times_stay_exact_in_single_precision_late_in_a_trajectory() -> None:
    late = Trajectory("late", 1e6 + np.arange(50) * 0.01, np.ones((50, 1)), ("x",))
    x, *_ = SegmentSamples([late], horizon=10).read(20, RNG)
    np.testing.assert_allclose(x["times"], np.arange(11) * 0.01, atol=2e-9)


def test_past_states_are_those_before_at_the_step() -> None:
    samples = SegmentSamples([make(30)], horizon=5, past=4, dtype="float64")
    assert len(samples) == 30 - 5 - 4
    x, *_ = samples.read(0, RNG)
    np.testing.assert_array_equal(x["past"], make(30).states[:4])
    np.testing.assert_array_equal(x["state"], make(30).states[4])

    whole = make(12)
    kept = np.delete(np.arange(12), 3)
    gap = Trajectory("gap", whole.times[kept], whole.states[kept], ("x", "y"))
    assert [samples.place(0).time[0]] == [pytest.approx(whole.times[4])]
    x, *_ = SegmentSamples([gap], horizon=9, past=4, dtype="float64").read(1, RNG)
    # None has all four states before; of the second start one is there, and three are before the beginning.
    np.testing.assert_array_equal(x["past"], [[NAN] * 2] * 3 + [whole.states[0]])
    short = Trajectory("gap", whole.times[kept][:6], whole.states[kept][:6], ("x", "y"))
    x, *_ = SegmentSamples([short], horizon=1, past=4, dtype="float64", stride=4).read(1, RNG)
    np.testing.assert_array_equal(x["past"], [whole.states[1], whole.states[2], [NAN] * 2, whole.states[4]])


def test_starts_are_spread_evenly_or_drawn() -> None:
    trajectories = [make(100), make(50, name="b")]
    every = SegmentSamples(trajectories, horizon=10)
    even = SegmentSamples(trajectories, horizon=10, starts=5)
    firsts = [every.place(k) for k in np.linspace(0, len(every) - 1, 5).round().astype(int)]
    assert [even.place(k) for k in range(5)] == firsts
    drawn, same, other = (SegmentSamples(trajectories, horizon=10, starts=20, seed=seed) for seed in (1, 1, 2))
    places = [[samples.place(k).name for k in range(20)] for samples in (drawn, same, other)]
    assert places[0] == places[1] != places[2] and len(set(places[0])) == 20
    assert len(SegmentSamples(trajectories, horizon=10, starts=1000)) == len(every)


def test_horizons_grow_with_the_global_step() -> None:
    samples = SegmentSamples([make(30)], horizon=2, horizons=[(20, 9), (10, 5)])
    assert [samples.at(step).horizon for step in (0, 9, 10, 19, 20, 10**9)] == [2, 2, 5, 5, 9, 9]
    x, y, weight = samples.at(10).read(3, RNG)
    assert y.shape == (6, 2) and len(x["times"]) == len(weight) == 6
    assert samples.at(0) is samples and len(samples.at(20)) == 21
    np.testing.assert_array_equal(samples.at(20).read(3, RNG)[1], make(30).states[3:13].astype(np.float32))


def test_they_are_batched() -> None:
    batches = Batches(SegmentSamples([make(40)], horizon=4), batch_size=6, seed=0, workers=0)
    x, y, weight = batches[3]
    assert x["state"].shape == (6, 2) and x["times"].shape == weight.shape == (6, 5) and y.shape == (6, 5, 2)
    assert weight.mean() == pytest.approx(1)
    np.testing.assert_array_equal(y[:, 0], x["state"])


def test_leakage_is_found_in_time_and_by_group() -> None:
    whole = make(100)
    parts = split_trajectories([whole], validation=0.3)
    train, held, all_of_it = (
        [samples.place(k) for k in range(len(samples))]
        for samples in (SegmentSamples(given, horizon=8) for given in (parts["train"], parts["validation"], [whole]))
    )
    check_leakage(train, held)
    with pytest.raises(SplitLeakage, match=r"training sample a \(.* overlap \(in a\)"):
        check_leakage(all_of_it, held)


def test_what_has_no_segment_is_refused() -> None:
    never_together = np.where(np.arange(20)[:, None] % 2 == [[0, 1]], 1.0, NAN)
    with pytest.raises(TrajectoryUnusable, match="a cannot be .*no state of which all variables were observed"):
        SegmentSamples([Trajectory("a", np.arange(20), never_together, ("x", "y"))], horizon=3)
    with pytest.raises(TrajectoryUnusable, match="This part"):
        SegmentSamples([], horizon=3)
    with pytest.raises(BandMismatch, match="b: the bands do not fit"):
        SegmentSamples([make(), make(name="b").select(["y", "x"])], horizon=3)
    for options in ({"horizon": 0}, {"stride": 0}, {"past": -1}, {"starts": 0}, {"horizons": [(0, 0)]}):
        with pytest.raises(OptionError):
            SegmentSamples([make()], **{"horizon": 3} | options)
