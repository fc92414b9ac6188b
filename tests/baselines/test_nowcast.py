"""Baselines of nowcasting that need nothing installed; those of pysteps are compared with it in `tests/peers`."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from geodl.baselines import ANVIL, SPROG, Advection, Baseline, Extrapolation, Persistence
from geodl.errors import BackendUnavailable, OptionError
from geodl.physics.advection import advected


@pytest.fixture
def x() -> np.ndarray:
    """Two clips of four frames in which a cell moves two pixels down and one to the left; a corner is nodata."""
    down, right = np.mgrid[:48, :56]
    cells = [20 * np.exp(-((down - 16 - 2 * k) ** 2 + (right - 30 + k) ** 2) / 50) for k in range(4)]
    frames = np.stack(cells).astype(np.float32)
    frames[:, :3, :3] = np.nan
    return np.stack([frames, 0.5 * frames])[..., None]


def test_persistence_keeps_the_last_frame(x: np.ndarray) -> None:
    forecast = Persistence(3).fit(None)(x)  # type: ignore[arg-type]
    assert forecast.shape == (2, 3, 48, 56, 1) and forecast.dtype == np.float32
    for lead in range(3):
        np.testing.assert_array_equal(forecast[:, lead], x[:, -1])


def test_advection_carries_it_on(x: np.ndarray) -> None:
    forecast = Advection(3).fit(None)(x)  # type: ignore[arg-type]
    assert forecast.shape == (2, 3, 48, 56, 1) and forecast.dtype == np.float32
    for k in range(2):
        np.testing.assert_array_equal(forecast[k, ..., 0], advected(x[k, ..., 0], 3))
    for lead in range(3):
        peak = np.unravel_index(np.nanargmax(forecast[0, lead, ..., 0]), (48, 56))
        assert np.abs(np.array(peak) - (22 + 2 * (lead + 1), 27 - (lead + 1))).max() <= 1


def test_frames_that_were_carried_on_are_not_taken_for_observed_ones(x: np.ndarray) -> None:
    carried = np.full((2, 3, 48, 56, 1), 7, np.float32) * np.arange(1, 4).reshape(1, 3, 1, 1, 1)
    longer = np.concatenate([x, carried], axis=1)
    np.testing.assert_array_equal(Persistence(3, advected=3)(longer), Persistence(3)(x))
    np.testing.assert_array_equal(Advection(3, advected=3)(longer), carried)
    # Too few for all lead times: it is done anew.
    np.testing.assert_array_equal(Advection(4, advected=3)(longer), Advection(4)(x))


@pytest.mark.parametrize("kind", [Persistence, Advection])
def test_no_rain_and_nodata(kind: type[Persistence]) -> None:
    forecast = kind(2)(np.stack([np.zeros((4, 20, 20, 1)), np.full((4, 20, 20, 1), np.nan)]))
    np.testing.assert_array_equal(forecast[0], 0)
    assert np.isnan(forecast[1]).all()
    assert isinstance(kind(2), Baseline)


@pytest.mark.parametrize(
    "x",
    [np.zeros((1, 2, 8, 8, 1)), np.zeros((4, 8, 8, 1)), np.zeros((1, 4, 8, 8, 2))],
    ids=["too few frames", "no batch", "two bands"],
)
def test_a_batch_of_another_form_is_refused(x: np.ndarray) -> None:
    with pytest.raises(OptionError, match="x"):
        Persistence(2, advected=2)(x)


@pytest.mark.parametrize("options", [{"leads": 0}, {"leads": 2, "advected": -1}], ids=["leads", "advected"])
def test_options_that_cannot_be_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(OptionError):
        Advection(**options)


@pytest.mark.parametrize("kind", [Extrapolation, SPROG, ANVIL])
def test_without_pysteps_its_methods_say_what_to_install(
    kind: type[Extrapolation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not kind.available()
    with pytest.raises(BackendUnavailable, match=r"pip install 'geodl\[nowcasting\]'"):
        kind(2)
