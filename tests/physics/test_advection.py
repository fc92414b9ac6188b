"""Advection against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.errors import OptionError
from geodl.physics.advection import advect, advected


def blob(at: tuple[float, float], shape: tuple[int, int] = (80, 90), width: float = 6.0) -> np.ndarray:
    down, right = np.mgrid[: shape[0], : shape[1]]
    return 10 * np.exp(-((down - at[0]) ** 2 + (right - at[1]) ** 2) / (2 * width**2))


def centre(field: np.ndarray) -> np.ndarray:
    field = np.nan_to_num(field)
    down, right = np.mgrid[: field.shape[0], : field.shape[1]]
    return np.array([np.sum(down * field), np.sum(right * field)]) / field.sum()


def uniform(shift: tuple[float, float], shape: tuple[int, int] = (80, 90)) -> np.ndarray:
    return np.broadcast_to(np.array(shift)[:, None, None], (2, *shape))


def test_whole_pixels_are_shifted_and_what_comes_from_outside_is_unknown() -> None:
    frame = np.random.default_rng(0).random((30, 41)).astype(np.float32)
    moved = advect(frame, uniform((3, -2), (30, 41)), 4)
    assert moved.shape == (4, 30, 41) and moved.dtype == np.float32
    for lead, found in enumerate(moved, 1):
        expected = np.full((30, 41), np.nan, np.float32)
        expected[3 * lead :, : 41 - 2 * lead] = frame[: 30 - 3 * lead, 2 * lead :]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_blob_is_followed_and_keeps_its_rain() -> None:
    frame = blob((40, 45))
    for lead, found in enumerate(advect(frame, uniform((1.3, -2.6)), 6), 1):
        np.testing.assert_allclose(centre(found), (40 + 1.3 * lead, 45 - 2.6 * lead), atol=0.05)
        assert np.nansum(found) == pytest.approx(frame.sum(), rel=0.01)


def test_a_rotation_carries_around_the_middle() -> None:
    angle, shape = 0.1, (121, 121)
    down, right = np.mgrid[:121, :121] - 60.0
    velocity = angle * np.stack([right, -down])
    # Displacements along the chord of each step, not along its tangent: the midpoint rule turns by 2 atan(angle / 2).
    turn = 2 * np.arctan(angle / 2)
    for lead, found in enumerate(advect(blob((60, 90), shape, 5.0), velocity, 8), 1):
        expected = 60 + 30 * np.array([np.sin(lead * turn), np.cos(lead * turn)])
        np.testing.assert_allclose(centre(found), expected, atol=0.15)


def test_without_motion_the_frame_stays_nodata_included() -> None:
    frame = blob((40, 45)).astype(np.float32)
    frame[10:20, 30:40] = np.nan
    frame[40, 45] = np.nan
    moved = advect(frame, np.zeros((2, 80, 90)), 2)
    np.testing.assert_array_equal(moved, np.stack([frame, frame]))


def test_nodata_travels_and_does_not_bleed_into_rain() -> None:
    frame = np.full((40, 40), 2.0)
    frame[:, :10] = np.nan
    moved = advect(frame, uniform((0.0, 2.5), (40, 40)), 2)[1]
    assert np.isnan(moved[:, :15]).all()
    np.testing.assert_allclose(moved[:, 15:], 2.0)
    assert np.isnan(advect(np.full((8, 9), np.nan), np.ones((2, 8, 9)), 3)).all()


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    cut=st.tuples(*[st.floats(0, 1)] * 4),
    seed=st.integers(0, 99),
)
def test_a_window_is_cut_from_the_whole(
    shape: tuple[int, int], cut: tuple[float, float, float, float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    frame = rng.random(shape)
    frame[rng.random(shape) < 0.1] = np.nan
    velocity = rng.normal(0, 3, (2, 1, 1)) + 0.1 * np.cumsum(rng.normal(0, 1, (2, *shape)), axis=1)
    rows, columns = (
        slice(int(min(ends) * size), max(int(np.ceil(max(ends) * size)), int(min(ends) * size)))
        for ends, size in zip((cut[:2], cut[2:]), shape, strict=True)
    )
    whole = advect(frame, velocity, 3)
    np.testing.assert_array_equal(advect(frame, velocity, 3, rows=rows, columns=columns), whole[:, rows, columns])


def test_advected_follows_what_moves() -> None:
    frames = np.stack([blob((30 + 2 * k, 30 + 3 * k)) for k in range(4)])
    moved = advected(frames, 3, rows=slice(20, 80))
    assert moved.shape == (3, 60, 90)
    for lead, found in enumerate(moved, 1):
        np.testing.assert_allclose(centre(found), (36 + 2 * lead - 20, 39 + 3 * lead), atol=0.4)


@pytest.mark.parametrize(
    ("option", "call"),
    [
        ("velocity", lambda: advect(np.zeros((8, 8)), np.zeros((2, 8, 9)), 2)),
        ("velocity", lambda: advect(np.zeros((2, 8, 8)), np.zeros((2, 8, 8)), 2)),
        ("velocity", lambda: advect(np.zeros((8, 8)), np.full((2, 8, 8), np.nan), 2)),
        ("leads", lambda: advect(np.zeros((8, 8)), np.zeros((2, 8, 8)), 0)),
        ("rows", lambda: advect(np.zeros((8, 8)), np.zeros((2, 8, 8)), 2, rows=slice(0, 8, 2))),
    ],
    ids=["sizes", "dimensions", "not finite", "leads", "step"],
)
def test_what_does_not_fit_is_refused(option: str, call) -> None:
    with pytest.raises(OptionError, match=option):
        call()
