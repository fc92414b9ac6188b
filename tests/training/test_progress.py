from __future__ import annotations

import io
import itertools
from pathlib import Path

import pytest
from rich.console import Console

from geodl.training import progress
from geodl.training.progress import Progress


def _progress(folder: Path, *, terminal: bool, shown: bool = True) -> tuple[Progress, io.StringIO]:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120, color_system=None)
    display = Progress(
        epochs=3,
        steps_per_epoch=2,
        batch_size=8,
        monitor="val_miou",
        log=folder / "training.log",
        shown=shown,
        console=console,
    )
    return display, text


def _walk(display: Progress) -> None:
    with display:
        display.note("Starts.")
        display.begin_epoch()
        display.step(1, 0.5)
        display.step(2, 0.25)
        display.end_epoch({"epoch": 1, "step": 2, "loss": 0.25, "val_miou": 0.75}, best=True)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock is two seconds after the last."""
    ticks = itertools.count(step=2.0)
    monkeypatch.setattr(progress, "monotonic", lambda: next(ticks))


def test_lines_in_a_pipe(tmp_path: Path) -> None:
    display, text = _progress(tmp_path, terminal=False)
    _walk(display)
    # Four steps of 2 s and two validations of 2 s are left; the first step, which compiles, does not count.
    line = "epoch 1/3 · loss 0.2500 · val_miou 0.7500 (best) · 12 s left"
    assert text.getvalue() == f"Starts.\n{line}\n"
    logged = (tmp_path / "training.log").read_text().splitlines()
    assert [each.split(" ", 1)[1] for each in logged] == ["Starts.", line]


def test_a_bar_on_a_terminal(tmp_path: Path) -> None:
    display, text = _progress(tmp_path, terminal=True)
    _walk(display)
    assert "epoch 1/3" in text.getvalue()
    assert "━" in text.getvalue()
    assert "validates" in text.getvalue()


def test_the_rate_is_that_of_the_steps_but_the_first(tmp_path: Path) -> None:
    display, _ = _progress(tmp_path, terminal=False)
    assert display.rate == ""
    _walk(display)
    assert display.rate == "4 samples/s"


def test_lines_are_broken_between_words_on_a_narrow_terminal(tmp_path: Path) -> None:
    text = io.StringIO()
    display = Progress(
        epochs=100,
        steps_per_epoch=2,
        batch_size=8,
        monitor="val_boundary_f1",
        log=None,
        console=Console(file=text, force_terminal=True, width=40, color_system=None),
    )
    display.end_epoch({"epoch": 100, "step": 200, "loss": 0.25, "val_boundary_f1": 0.75}, best=True)
    assert text.getvalue().split() == [
        "epoch",
        "100/100",
        "·",
        "loss",
        "0.2500",
        "·",
        "val_boundary_f1",
        "0.7500",
        "(best)",
    ]
    assert max(map(len, text.getvalue().splitlines())) <= 40


def test_quiet_still_logs(tmp_path: Path) -> None:
    display, text = _progress(tmp_path, terminal=True, shown=False)
    _walk(display)
    assert text.getvalue() == ""
    assert len((tmp_path / "training.log").read_text().splitlines()) == 2
