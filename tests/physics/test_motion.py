"""Motion against fields whose motion is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from geodl.errors import OptionError
from geodl.physics.motion import motion


def cells(shape: tuple[int, int], origin: np.ndarray) -> np.ndarray:
    """Rain in mm/h of a smooth, irregular field, at the places (2, h, w) where it came from."""
    rng = np.random.default_rng(0)
    field = np.full(shape, -1.0)
    for _ in range(150):
        at, width = rng.uniform(-40, max(shape) + 40, 2), rng.uniform(4, 9)
        field += 2.5 * np.exp(-((origin[0] - at[0]) ** 2 + (origin[1] - at[1]) ** 2) / (2 * width**2))
    return np.where(field > 0, np.exp(field) - 0.9, 0)


def moving(shape: tuple[int, int], shift: tuple[float, float], frames: int = 4) -> np.ndarray:
    here = np.mgrid[: shape[0], : shape[1]].astype(float)
    return np.stack([cells(shape, here - k * np.array(shift)[:, None, None]) for k in range(frames)])


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.0, -2.0), (-1.5, 7.25), (12.0, 9.0)])
@pytest.mark.parametrize("shape", [(128, 160), (97, 131)])
def test_a_translation_is_found(shape: tuple[int, int], shift: tuple[float, float]) -> None:
    frames = moving(shape, shift)
    found = motion(frames)
    assert found.dtype == np.float32 and found.shape == (2, *shape)
    inner = found[:, 24:-24, 24:-24]
    assert np.abs(inner.mean(axis=(1, 2)) - shift).max() < 0.1
    assert np.abs(inner - np.array(shift)[:, None, None]).max() < 0.3 + 0.04 * np.abs(shift).max()


def test_a_lone_blob_is_followed() -> None:
    down, right = np.mgrid[:96, :96]
    frames = [20 * np.exp(-((down - 40 - 1.7 * k) ** 2 + (right - 45 + 4.2 * k) ** 2) / (2 * 5.0**2)) for k in range(4)]
    found = motion(np.stack(frames))
    wet = frames[-1] > 1
    np.testing.assert_allclose(found[:, wet].mean(axis=1), [1.7, -4.2], atol=0.1)


def test_a_rotation_is_found() -> None:
    shape, angle = (160, 160), 0.03
    here = np.mgrid[: shape[0], : shape[1]].astype(float) - 79.5
    frames = []
    for k in range(4):
        cosine, sine = np.cos(k * angle), np.sin(k * angle)
        frames.append(
            cells(shape, np.stack([cosine * here[0] - sine * here[1], sine * here[0] + cosine * here[1]]) + 79.5)
        )
    found = motion(np.stack(frames))
    true = angle * np.stack([here[1], -here[0]])
    inside = np.hypot(*here) < 55
    assert np.hypot(*(found - true))[inside].mean() < 0.25


def test_the_edge_of_the_coverage_is_no_rain_that_stands_still() -> None:
    frames = moving((128, 128), (5.0, 3.0))
    down, right = np.mgrid[:128, :128] - 64
    seen = np.hypot(down, right) < 50
    frames[:, ~seen] = np.nan
    found = motion(frames)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:, seen].mean(axis=1), (5, 3), atol=0.2)
    assert np.abs(found[0, seen] - 5).max() < 1


@pytest.mark.parametrize("value", [0.0, 0.05, np.nan])
def test_without_rain_nothing_moves(value: float) -> None:
    np.testing.assert_array_equal(motion(np.full((4, 40, 50), value)), np.zeros((2, 40, 50)))


def test_one_frame_shows_no_motion() -> None:
    np.testing.assert_array_equal(motion(moving((40, 50), (2.0, 2.0), 1)), np.zeros((2, 40, 50)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (7, 5), (33, 300)])
def test_any_size_gives_a_finite_motion(shape: tuple[int, int]) -> None:
    found = motion(np.random.default_rng(0).gamma(0.3, 3.0, (4, *shape)))
    assert found.shape == (2, *shape) and np.isfinite(found).all()


def test_the_frames_before_one_that_is_all_nodata_tell() -> None:
    frames = moving((96, 96), (2.0, 1.0))
    frames[-1] = np.nan
    np.testing.assert_allclose(motion(frames).mean(axis=(1, 2)), (2, 1), atol=0.1)


@pytest.mark.parametrize(
    "frames", [np.zeros((4, 4)), np.zeros((1, 2, 4, 4)), np.zeros((0, 4, 4))], ids=lambda a: str(a.shape)
)
def test_another_shape_is_refused(frames: np.ndarray) -> None:
    with pytest.raises(OptionError, match="frames"):
        motion(frames)
