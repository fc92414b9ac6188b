"""Domains of any size: one pass, or tiles that give the same."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from geodl.data.source import Grid
from geodl.errors import OptionError
from geodl.inference.converted import Converted
from geodl.inference.domain import run_domain
from geodl.physics.advection import advected
from tests.inference.fakes import TRANSFORM, UTM
from tests.inference.rainfakes import FRAMES, LEADS, WeightedFrames, make_contract, moving_rain


def grid(frames: np.ndarray) -> Grid:
    return Grid(UTM, TRANSFORM, *frames.shape[1:])


def test_one_pass_sees_the_frames_as_they_are() -> None:
    frames = moving_rain(FRAMES)
    frames[0, 3, 4] = np.nan
    network = WeightedFrames(channels=2)
    given = run_domain(Converted(network, "keras", 64), make_contract(spread="log"), frames, grid=grid(frames))
    (seen,) = network.inputs
    np.testing.assert_array_equal(seen[0, ..., 0], frames)
    assert given.shape == (LEADS, 2, *frames.shape[1:]) and given.dtype == np.float32
    np.testing.assert_array_equal(given, np.moveaxis(network(seen)[0], -1, 1))


def test_the_forecast_is_nodata_where_the_last_frame_is() -> None:
    frames = moving_rain(FRAMES)
    frames[:-1, :5] = np.nan
    frames[-1, :, 7] = np.nan
    given = run_domain(Converted(WeightedFrames(), "keras", 64), make_contract(), frames, grid=grid(frames))
    np.testing.assert_array_equal(np.isnan(given), np.broadcast_to(np.isnan(frames[-1]), given.shape))


@pytest.mark.parametrize("carried", [False, True], ids=["observed", "advected"])
def test_tiles_give_what_one_pass_gives_and_are_told_of(carried: bool, caplog: pytest.LogCaptureFixture) -> None:
    frames = moving_rain(FRAMES, 90, 130)
    frames[-1, 40:50, 60:80] = np.nan
    contract = make_contract(advected=carried)
    network = WeightedFrames()
    running = Converted(network, "keras", 64)
    progress: list[tuple[int, int]] = []
    whole = run_domain(running, contract, frames, grid=grid(frames))
    assert len(network.inputs) == 1 and not caplog.records
    with caplog.at_level(logging.WARNING):
        tiled = run_domain(
            running, contract, frames, grid=grid(frames), memory=1 << 20, progress=lambda *done: progress.append(done)
        )
    assert len(network.inputs) > 4 and progress[-1] == (90 * 130, 90 * 130)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)
    (record,) = caplog.records
    assert "130 x 90 pixels" in record.getMessage() and "--memory" in record.getMessage()


def test_a_memory_that_holds_no_tile_is_refused() -> None:
    frames = moving_rain(FRAMES, 90, 130)
    running = Converted(WeightedFrames(), "keras", 1 << 20)
    with pytest.raises(OptionError, match="memory: expected at least"):
        run_domain(running, make_contract(), frames, grid=grid(frames), memory=1 << 20)


def test_the_last_frame_is_carried_on_behind_the_observed_ones() -> None:
    frames = moving_rain(FRAMES, 64, 64)
    network = WeightedFrames()
    contract = make_contract(advected=True)
    run_domain(Converted(network, "keras", 64), contract, frames, grid=grid(frames))
    seen = network.inputs[0][0, ..., 0]
    np.testing.assert_array_equal(seen[:FRAMES], frames)
    np.testing.assert_array_equal(seen[FRAMES:], advected(frames, LEADS))
    velocity = np.zeros((2, 64, 64), np.float32)
    velocity[0] = 1
    run_domain(Converted(network, "keras", 64), contract, frames, grid=grid(frames), velocity=velocity)
    np.testing.assert_allclose(network.inputs[1][0, FRAMES + 1, 2:, :, 0], frames[-1, :-2], atol=1e-5)
