from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geodl.errors import CheckpointMismatch, OutputUnwritable
from geodl.training.checkpoint import Checkpoints

_STATE = {"identity": {"seed": 1, "data.bands": ["B02", "B03"]}, "history": {"step": 3}}
_ARRAYS = {
    "model/0": np.arange(6, dtype="float32").reshape(2, 3),
    "model/1": np.array([1, 2], "uint32"),
    "optimizer/0": np.array(7, "int64"),
}


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    """The system refuses to let a file grow beyond `size` bytes, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_round_trip(tmp_path: Path) -> None:
    with Checkpoints(tmp_path / "new" / "checkpoints") as store:
        path = store.save(12, _ARRAYS, _STATE)
    assert path.name == "step-00000012.npz"
    found = Checkpoints(tmp_path / "new" / "checkpoints").latest()
    assert found is not None
    assert (found.step, found.state, found.path) == (12, _STATE, path)
    assert found.arrays.keys() == _ARRAYS.keys()
    for name, value in _ARRAYS.items():
        assert found.arrays[name].dtype == value.dtype
        np.testing.assert_array_equal(found.arrays[name], value)


def test_no_checkpoint(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "nowhere").latest() is None


def test_the_last_few_are_kept_by_step_not_by_name(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path, keep=2)
    for step in (99_999_999, 5, 100_000_000):
        store.save(step, {}, _STATE)
    store.wait()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-100000000.npz", "step-99999999.npz"]
    store.clear()
    assert not list(tmp_path.iterdir())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.999))
def test_a_file_cut_anywhere_is_passed_over(tmp_path: Path, share: float) -> None:
    store = Checkpoints(tmp_path)
    store.save(1, _ARRAYS, _STATE)
    path = store.save(2, _ARRAYS, _STATE)
    store.wait()
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.warns(UserWarning, match="step-00000002.npz is damaged"):
        found = store.latest()
    assert found is not None
    assert found.step == 1


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path)
    path = store.save(2, {"model/0": np.zeros(1000)}, _STATE)
    store.wait()
    content = bytearray(path.read_bytes())
    content[content.index(b"\0" * 4000) + 2000] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="damaged"):
        assert store.latest() is None


def test_a_disk_that_fills_up_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path, keep=1)
    store.save(1, _ARRAYS, _STATE)
    store.wait()
    with (
        _files_of_at_most(2000),
        pytest.raises(OutputUnwritable, match="Cannot write .*step-00000002.npz: File too large"),
    ):
        store.save(2, {"model/0": np.ones(10_000)}, _STATE)
        store.wait()
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001.npz"]
    found = store.latest()
    assert found is not None
    assert found.step == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputUnwritable), Checkpoints(tmp_path / "file" / "checkpoints") as store:
        store.save(1, _ARRAYS, _STATE)


def test_a_write_that_was_killed_is_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a kill between the writing and the renaming."""
    store = Checkpoints(tmp_path)
    store.save(1, _ARRAYS, _STATE)
    store.wait()

    def killed(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        store.save(2, _ARRAYS, _STATE)
        store.wait()
    (tmp_path / ".step-00000003.npz.partial").write_bytes(b"half")
    found = store.latest()
    assert found is not None
    assert found.step == 1


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        ({"seed": 2, "data.bands": ["B02", "B03"]}, r"seed has changed\. Expected 1\. Received: 2\."),
        (
            {"seed": 1, "data.bands": ["B02"]},
            r"data\.bands has changed\. Expected \['B02', 'B03'\]\. Received: \['B02'\]\.",
        ),
        ({"seed": 1}, r"data\.bands has changed\. Expected \['B02', 'B03'\]\. Received: 'nothing'\."),
        ({"seed": 1, "data.bands": ["B02", "B03"], "new": 0}, r"new has changed\. Expected 'nothing'\. Received: 0\."),
    ],
)
def test_what_changed_is_named(tmp_path: Path, identity: dict, message: str) -> None:
    store = Checkpoints(tmp_path)
    store.save(1, _ARRAYS, _STATE)
    found = store.latest()
    assert found is not None
    found.require({"data.bands": ("B02", "B03"), "seed": 1})
    with pytest.raises(CheckpointMismatch, match=message):
        found.require(identity)
