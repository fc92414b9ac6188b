from __future__ import annotations

import json
from pathlib import Path

import pytest

from geodl.errors import OutputUnwritable
from geodl.training.history import History


def test_better() -> None:
    history = History()
    assert history.improves(0.5, "max")
    assert not history.improves(float("nan"), "max")
    history.best_value = 0.5
    assert history.improves(0.6, "max")
    assert not history.improves(0.5, "max")
    assert history.improves(0.4, "min")
    assert not history.improves(0.5, "min")


def test_continued() -> None:
    history = History(rows=[{"epoch": 1, "val_iou/water": float("nan")}], step=12, first_step=3, best_epoch=1, waited=2)
    history.interrupted = True
    again = History.from_state(json.loads(json.dumps(history.to_state())))
    assert (again.step, again.first_step, again.executed, again.interrupted) == (12, 12, 0, False)
    assert (again.best_epoch, again.waited, list(again.rows[0])) == (1, 2, ["epoch", "val_iou/water"])


def test_columns_of_all_rows(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    History(rows=[{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "val_iou/water, deep": 0.125}]).write_csv(path)
    assert path.read_text() == 'epoch,loss,"val_iou/water, deep"\n1,0.5,\n2,0.25,0.125\n'
    assert [each.name for each in tmp_path.iterdir()] == ["log.csv"]


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(OutputUnwritable, match="Cannot write"):
        History().write_csv(tmp_path / "gone" / "log.csv")
