"""Spinner and bars: on a terminal one line, in a pipe nothing."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from geodl.activity import shown_by, stage
from geodl.cli import activity
from geodl.cli.activity import progress_bar, spinner


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    text = _Terminal()
    monkeypatch.setattr(
        activity,
        "console",
        lambda *, stderr: Console(file=text, force_terminal=True, width=80, color_system=None, legacy_windows=False),
    )
    return text


def test_stages_are_shown_on_a_terminal_the_inner_one_in_the_outer_ones_line(terminal: io.StringIO) -> None:
    with shown_by(spinner()), stage("Reading the data"), stage("Opening [b]a.tif[/b]"):
        assert [text for text, _ in activity._SHOWN] == ["Reading the data", "Opening [b]a.tif[/b]"]
    assert activity._SHOWN == []
    assert "Reading the data" in terminal.getvalue()


def test_in_a_pipe_there_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_by(spinner()), stage("Reading the data"), progress_bar("map.tif") as told:
        told(1, 2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Reading" not in captured.err


def test_a_bar_tells_rate_and_time_left_within_80_columns(
    terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    timed = Console(file=terminal, force_terminal=True, width=80, color_system=None, get_time=lambda: clock[0])
    monkeypatch.setattr(activity, "console", lambda *, stderr: timed)
    with progress_bar("a-very-long-name-of-a-scene.tif") as told:
        for done in range(1, 6):
            clock[0] += 2.0
            told(done * 1_000_000, 10_000_000)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()).replace("\r", "\n")
    lines = [line.rstrip() for line in plain.splitlines()]
    assert max(map(len, lines)) <= 80
    # A million pixels every two seconds, and five million to go.
    assert any("50%" in line and "500 kpixels/s · 10 s left" in line for line in lines), lines
    assert any("…" in line and "scene.tif" in line for line in lines)


@pytest.mark.parametrize(
    ("speed", "text"), [(2_340_000.0, "2.34 M"), (999.0, "999 "), (12_345.0, "12.3 k"), (0.51, "0.51 "), (3e9, "3 G")]
)
def test_rates_have_three_digits_and_a_prefix(speed: float, text: str) -> None:
    assert activity._rate(speed) == text
