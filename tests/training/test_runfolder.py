"""Runs on object storage: another machine goes on where one was taken away. The bucket is fsspec's memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from geodl.errors import CheckpointMismatch, OutputExists, OutputUnwritable
from geodl.storage import Storage
from geodl.training.checkpoint import Checkpoints
from geodl.training.fit import is_unfinished
from geodl.training.runfolder import RunFolder
from tests.data.buckets import uploaded
from tests.training.tiny_run import At, arrays, run

_STATE = {"identity": {}, "finished": False}


class _Killed(BaseException):
    pass


def _kill() -> None:
    raise _Killed


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own").mkdir()
    return uploaded(tmp_path / "own", monkeypatch) + "run"


def test_another_machine_goes_on(tmp_path: Path, bucket: str) -> None:
    storage, first = Storage(bucket), tmp_path / "first"
    with pytest.raises(_Killed):
        run(first, callbacks=[At(8, _kill)], storage=storage)
    assert [name for name in storage.names() if name.startswith("checkpoints/")] == [
        "checkpoints/step-00000005.npz",
        "checkpoints/step-00000006.npz",
    ]
    assert {"log.csv", "training.log"} <= set(storage.names())
    shutil.rmtree(first)
    assert is_unfinished(tmp_path / "other", storage=storage)
    with pytest.raises(CheckpointMismatch, match="seed has changed"):
        run(tmp_path / "other", storage=storage, identity={"seed": 4})
    model, history = run(tmp_path / "other", storage=storage, keep="last")
    assert (history.first_step, history.executed) == (6, 9)
    whole, _ = run(tmp_path / "whole", keep="last")
    for one, other in zip(arrays(model), arrays(whole), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_lies_there_counts(tmp_path: Path, bucket: str) -> None:
    """Not what an older run at the same address left here, nor what never arrived."""
    storage = Storage(bucket)
    with Checkpoints(tmp_path / "a" / "checkpoints", keep=2, storage=storage) as store:
        for step in (1, 2, 3):
            store.save(step, {"model/0": np.full(3, step)}, _STATE)
    assert sorted(storage.names()) == ["checkpoints/step-00000002.npz", "checkpoints/step-00000003.npz"]
    with Checkpoints(tmp_path / "b" / "checkpoints") as store:
        store.save(9, {}, _STATE)
    here = Checkpoints(tmp_path / "b" / "checkpoints", storage=storage)
    found = here.latest()
    assert found is not None
    assert (found.step, found.arrays["model/0"].tolist()) == (3, [3, 3, 3])
    assert [path.name for path in here.folder.iterdir()] == ["step-00000003.npz"]
    here.clear()
    assert storage.names() == [] == list(here.folder.iterdir())


def test_a_damaged_one_there_is_passed_over(tmp_path: Path, bucket: str) -> None:
    storage = Storage(bucket)
    with Checkpoints(tmp_path / "a" / "checkpoints", storage=storage) as store:
        first = store.save(1, {"model/0": np.zeros(3)}, _STATE)
    (tmp_path / "half.npz").write_bytes(first.read_bytes()[:-100])
    storage.store(tmp_path / "half.npz", "checkpoints/step-00000002.npz")
    with pytest.warns(UserWarning, match="step-00000002.npz is damaged"):
        found = Checkpoints(tmp_path / "b" / "checkpoints", storage=storage).latest()
    assert found is not None
    assert found.step == 1


def test_an_upload_that_fails_ends_training_and_leaves_the_last_good_one(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, whole = Storage(bucket), Storage.store

    def full(self: Storage, path: Path, name: str) -> None:
        if name.endswith("step-00000006.npz"):
            raise OutputUnwritable(name, "the bucket is full")
        whole(self, path, name)

    monkeypatch.setattr(Storage, "store", full)
    with pytest.raises(OutputUnwritable, match=r"step-00000006.npz: the bucket is full"):
        run(tmp_path / "a", storage=storage)
    found = Checkpoints(tmp_path / "b" / "checkpoints", storage=storage).latest()
    assert found is not None
    assert found.step == 5


def test_a_finished_run_there_is_not_overwritten_unasked(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, sent = RunFolder(bucket), []
    place.prepare(overwrite=False)
    place.local.mkdir(parents=True)
    for name in ("network.keras", "contract.json", "log.csv", "training.log", ".half"):
        (place.local / name).write_text(name)
    assert place.storage is not None
    monkeypatch.setattr(
        Storage, "store", lambda self, path, name, store=Storage.store: (sent.append(name), store(self, path, name))
    )
    place.publish()
    assert sorted(sent) == ["contract.json", "log.csv", "network.keras", "training.log"]
    assert sent[-1] == "network.keras"
    with pytest.raises(OutputExists, match="memory://.*run"):
        RunFolder(bucket).prepare(overwrite=False)
    (place.local / "training.log").write_text("of another run")
    place.fetch_logs()
    assert (place.local / "training.log").read_text() == "training.log"
    again = RunFolder(bucket)
    again.prepare(overwrite=True)
    again.clear()
    assert place.storage.names() == []
    RunFolder(bucket).prepare(overwrite=False)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputUnwritable, match=r"file.run"):
        RunFolder(tmp_path / "file" / "run").prepare(overwrite=False)
    assert RunFolder(tmp_path / "run").local == tmp_path / "run"
    RunFolder(tmp_path / "a" / "run").prepare(overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
