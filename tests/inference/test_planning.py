from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.errors import OptionError
from geodl.inference.blocks import round_up
from geodl.inference.planning import DEFAULT_MEMORY, Cost, plan_tiling
from tests.inference.fakes import make_contract

COST = Cost(bands=6, channels=6, activations=768)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 60_000),
    st.integers(1, 60_000),
    st.sampled_from([0, 5, 51, 107, 215]),
    st.sampled_from([1, 8, 16, 32]),
    st.sampled_from(["auto", "exact", 0, 64, 256]),
    st.sampled_from([600 << 20, 1 << 30, 2 << 30, 8 << 30]),
)
def test_tiles_fit_the_memory_and_lie_on_the_lattice(
    height: int, width: int, margin: int, lattice: int, overlap: int | str, memory: int
) -> None:
    contract = make_contract(margin=margin, lattice=lattice)
    tiling = plan_tiling((height, width), contract, cost=COST, overlap=overlap, memory=memory)
    high, wide = tiling.tile
    assert high * wide * COST.per_pixel() <= memory
    assert all(span.start % lattice == 0 for span in (*tiling.rows, *tiling.columns))
    kept = min(tiling.panel, width) * COST.per_column(tiling.ramp)
    assert kept <= memory // 16 or tiling.panel <= wide
    if overlap == "exact":
        for spans, length in ((tiling.rows, height), (tiling.columns, width)):
            assert all(span.start == 0 or span.first - span.start >= margin for span in spans)
            assert all(span.stop == length or span.stop - span.last >= margin for span in spans)


def test_auto_is_exact_where_that_costs_no_more() -> None:
    small = plan_tiling((5000, 5000), make_contract(margin=51, lattice=8), cost=COST)
    assert small.ramp == 0 and small.rows[1].first - small.rows[1].start >= 51
    large = plan_tiling((5000, 5000), make_contract(margin=107, lattice=16), cost=COST)
    assert 64 <= large.ramp < 64 + 16


def test_networks_that_see_farther_share_more() -> None:
    shared = []
    for margin in (107, 215, 900):
        first, second = plan_tiling((9000, 9000), make_contract(margin=margin, lattice=32), cost=COST).rows[:2]
        shared.append((first.stop - second.start) // 32 * 32)
    assert shared == [128, 224, 256]


@given(st.integers(1, 30_000), st.sampled_from([1, 8, 16, 32]), st.sampled_from([0, 51, 107]))
def test_all_tiles_of_a_scene_have_one_size(length: int, lattice: int, margin: int) -> None:
    tiling = plan_tiling((length, 700), make_contract(margin=margin, lattice=lattice), cost=COST)
    assert len({span.size for span in tiling.rows}) == 1
    shared = min(128, round_up(2 * margin, lattice))
    for one, other in list(pairwise(tiling.rows))[:-1]:
        assert shared <= one.stop - other.start < shared + lattice
    # None too many: the last one reads what the others leave.
    assert len(tiling.rows) == 1 or tiling.rows[-2].stop < length


def test_networks_of_fixed_sizes_are_given_tiles_clipped_at_the_border() -> None:
    contract = make_contract(margin=20, lattice=4, multiple=8)
    tiling = plan_tiling((2000, 2001), contract, cost=COST)
    assert all(span.start % 8 == 0 for span in (*tiling.rows, *tiling.columns))
    assert tiling.columns[-1].size < tiling.columns[0].size == tiling.tile[1]


def test_a_scene_that_fits_one_tile_is_not_cut() -> None:
    tiling = plan_tiling((1024, 700), make_contract(margin=107, lattice=16), cost=COST)
    assert tiling.count == 1


def test_less_memory_means_smaller_tiles_not_another_overlap() -> None:
    contract = make_contract(margin=107, lattice=16)
    tilings = [plan_tiling((9000, 9000), contract, cost=COST, memory=m << 20) for m in (2048, 700, 300)]
    sides = [tiling.tile[0] for tiling in tilings]
    assert sides == sorted(sides, reverse=True) and sides[0] > sides[2]
    assert all(64 <= tiling.ramp < 64 + 16 for tiling in tilings)


def test_too_little_memory_says_how_much_is_needed() -> None:
    with pytest.raises(OptionError, match=r"memory: expected at least \d+ MiB, for tiles of \d+ pixels") as caught:
        plan_tiling((9000, 9000), make_contract(margin=107, lattice=16), cost=COST, memory=1 << 20)
    needed = int(str(caught.value).split("at least ")[1].split(" MiB")[0])
    plan_tiling((9000, 9000), make_contract(margin=107, lattice=16), cost=COST, memory=(needed + 1) << 20)


def test_networks_that_see_everything_run_whole_or_say_why_not() -> None:
    contract = make_contract(margin=None, lattice=16)
    assert plan_tiling((1500, 900), contract, cost=COST, overlap="exact").count == 1
    with pytest.raises(OptionError, match=r"depends on the whole scene.*memory of 2048 MiB"):
        plan_tiling((9000, 9000), contract, cost=COST, overlap="exact")
    assert 64 <= plan_tiling((9000, 9000), contract, cost=COST).ramp < 64 + 16


def test_fixed_input_sizes_are_the_tile() -> None:
    contract = make_contract(margin=20, lattice=4, size=128)
    tiling = plan_tiling((1000, 300), contract, cost=COST)
    assert tiling.tile == (128, 128) and tiling.rows[1].start % 4 == 0
    exact = plan_tiling((1000, 300), contract, cost=COST, overlap="exact")
    assert exact.rows[1].first - exact.rows[1].start >= 20
    with pytest.raises(OptionError, match="fixed input of 128 pixels is not larger than twice"):
        plan_tiling((1000, 300), make_contract(margin=64, size=128), cost=COST, overlap="exact")
    with pytest.raises(OptionError, match="up to 64"):
        plan_tiling((1000, 300), contract, cost=COST, overlap=65)


@pytest.mark.parametrize("overlap", [-1, "many"])
def test_other_overlaps_are_refused(overlap: int | str) -> None:
    with pytest.raises(OptionError, match="overlap: expected"):
        plan_tiling((100, 100), make_contract(), cost=COST, overlap=overlap)


def test_memory_does_not_grow_with_the_scene() -> None:
    contract = make_contract(margin=107, lattice=16)
    for shapes in ([(2000, 10_000), (2000, 40_000)], [(10_000, 2000), (40_000, 2000)]):
        taken = []
        for shape in shapes:
            tiling = plan_tiling(shape, contract, cost=COST)
            tile = tiling.tile[0] * tiling.tile[1] * COST.per_pixel()
            taken.append(tile + min(tiling.panel, shape[1]) * COST.per_column(tiling.ramp))
        assert taken[1] <= 1.1 * taken[0] <= 1.1 * DEFAULT_MEMORY


def blocks(rows: int, columns: int) -> int:
    """Of tiles of 512 pixels with 4 bands of 2 bytes, wherever the window lies."""
    high, wide = (-(-(n - 1) // 512) + 1 for n in (rows, columns))
    return high * wide * 512 * 512 * 8


def strips(rows: int, columns: int) -> int:
    """Of strips as wide as a scene of 20,000 pixels."""
    return rows * 20_000 * 8


def test_a_row_of_tiles_stays_in_the_cache_where_blocks_are_dear() -> None:
    contract = make_contract(margin=107, lattice=16)
    near = plan_tiling((9000, 20_000), contract, cost=COST)
    far = plan_tiling((9000, 20_000), contract, cost=COST, decoded=blocks)
    assert near.cache == 64 << 20
    assert far.cache >= blocks(far.tile[0], 20_000)
    assert far.panel == 20_000 <= near.panel
    striped = plan_tiling((9000, 20_000), contract, cost=COST, decoded=strips)
    assert strips(striped.tile[0], 1) <= striped.cache <= DEFAULT_MEMORY // 4


@pytest.mark.parametrize("memory", [1 << 30, 2 << 30])
def test_what_the_cache_takes_the_tiles_do_not(memory: int) -> None:
    contract = make_contract(margin=107, lattice=16)
    tiling = plan_tiling((60_000, 60_000), contract, cost=COST, decoded=blocks, memory=memory)
    assert tiling.cache == memory // 4
    assert tiling.tile[0] * tiling.tile[1] * COST.per_pixel() + tiling.cache <= memory + (64 << 20)
    assert blocks(tiling.tile[0], tiling.panel) <= tiling.cache < blocks(tiling.tile[0], tiling.panel + 512)


def test_strips_that_no_cache_holds_do_not_make_narrow_panels() -> None:
    contract = make_contract(margin=107, lattice=16)
    wide = plan_tiling((9000, 20_000), contract, cost=COST, decoded=lambda rows, columns: 10 * strips(rows, columns))
    assert wide.panel == plan_tiling((9000, 20_000), contract, cost=COST, decoded=strips).panel
