from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from geodl.data.radar.framecache import FrameCache
from geodl.errors import SourceUnreadable
from tests.data.radar.rainfiles import GRID, frames, times

BYTES = 4 * GRID.height * GRID.width


def test_a_frame_is_decoded_once_by_however_many_threads() -> None:
    decoded, begun = [], threading.Event()

    def load() -> np.ndarray:
        decoded.append(1)
        begun.wait(1)
        return np.ones(GRID.shape)

    frame = replace(frames(times(0))[0], load=load)
    cache = FrameCache()
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(cache.get, frame) for _ in range(4)]
        begun.set()
        results = [future.result() for future in waiting]
    assert len(decoded) == 1
    assert all(values is results[0] for values in results)
    assert results[0].dtype == np.float32
    assert not results[0].flags.writeable


def test_the_frames_used_last_are_kept_within_the_limit() -> None:
    counts = [0] * 3

    def counted(k: int) -> np.ndarray:
        counts[k] += 1
        return np.full(GRID.shape, k)

    several = [replace(frame, load=lambda k=k: counted(k)) for k, frame in enumerate(frames(times(0, 5, 10)))]  # type: ignore[misc]
    cache = FrameCache(2 * BYTES)
    for k in (0, 1, 0, 2, 0, 1):
        assert cache.get(several[k])[0, 0] == k
        assert cache.bytes <= 2 * BYTES
    assert counts == [1, 2, 1]


def test_more_threads_than_room_read_right_and_leave_the_count_right() -> None:
    several = frames(times(*range(12)))
    cache = FrameCache(3 * BYTES)
    order = np.random.default_rng(0).integers(0, 12, 600)
    with ThreadPoolExecutor(6) as pool:
        read = list(pool.map(lambda k: cache.get(several[k])[0, 0], order))
    np.testing.assert_array_equal(read, order)
    assert cache.bytes == 3 * BYTES


def test_what_fails_is_tried_again_and_another_size_is_refused() -> None:
    answers = iter([OSError("gone"), np.ones(GRID.shape), np.ones((2, 2))])

    def load() -> np.ndarray:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    cache = FrameCache()
    one, other = (replace(frame, load=load) for frame in frames(times(0, 5)))
    with pytest.raises(OSError, match="gone"):
        cache.get(one)
    assert cache.bytes == 0
    assert cache.get(one).all()
    with pytest.raises(SourceUnreadable, match=r"frame_1: it holds \(2, 2\) pixels, and \(6, 8\) when it was opened"):
        cache.get(other)
