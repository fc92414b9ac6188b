"""Stages are told to whoever listens; time spans are said in words."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.activity import duration, shown_by, stage, unheard


@contextmanager
def _nobody_hears(text: str) -> Iterator[None]:
    raise AssertionError(text)
    yield


def test_a_listener_sees_stages_begin_and_end_also_when_they_fail() -> None:
    seen: list[str] = []

    @contextmanager
    def listener(text: str) -> Iterator[None]:
        seen.append(f"{text} begins")
        try:
            yield
        finally:
            seen.append(f"{text} ends")

    with shown_by(listener):
        with stage("a"), stage("b"):
            pass
        with pytest.raises(KeyError), stage("c"):
            raise KeyError
    with stage("d"):
        pass
    assert seen == ["a begins", "b begins", "b ends", "a ends", "c begins", "c ends"]


def test_a_quiet_command_tells_nobody() -> None:
    with shown_by(_nobody_hears):
        unheard()
        with stage("a"):
            pass
    with shown_by(None), stage("b"):
        pass


@given(st.floats(0, 1e7))
def test_durations_are_right_to_their_smaller_unit(seconds: float) -> None:
    text = duration(seconds)
    sizes = {"d": 86400, "h": 3600, "min": 60, "s": 1}
    found = re.findall(r"(\d+) (d|h|min|s)", text)
    told = datetime.timedelta(seconds=sum(int(count) * sizes[unit] for count, unit in found))
    assert 1 <= len(found) <= 2
    greatest = sizes[found[0][1]]
    assert abs(told.total_seconds() - seconds) <= max(0.5, greatest / 24 if greatest == 86400 else greatest / 60) + 0.5
