from __future__ import annotations

import pytest

from geodl.storage import patience
from geodl.storage.patience import Failure, number, of_status, persist


def explained(error: Exception) -> Failure:
    return Failure(str(error), passes=isinstance(error, TimeoutError))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr(patience.time, "sleep", made.append)
    return made


def test_pauses_double_and_are_not_all_alike(pauses: list[float]) -> None:
    left = [TimeoutError("slow")] * 3

    def attempt() -> str:
        if left:
            raise left.pop()
        return "done"

    assert persist(attempt, (OSError,), explained=explained) == "done"
    assert all(0.75 * 0.5 * 2**k <= pause <= 1.25 * 0.5 * 2**k for k, pause in enumerate(pauses))
    assert len(pauses) == 3


@pytest.mark.parametrize(("error", "tries"), [(TimeoutError("slow"), 4), (PermissionError("no"), 1)])
def test_what_does_not_pass_is_tried_once(pauses: list[float], error: Exception, tries: int) -> None:
    made = []

    def attempt() -> None:
        made.append(1)
        raise error

    with pytest.raises(Failure, match=str(error)) as caught:
        persist(attempt, (OSError,), explained=explained)
    assert len(made) == tries
    assert ("(tried 4 times in 0 s)" in caught.value.cause) is (tries > 1)
    assert caught.value.__cause__ is error


def test_what_is_unknown_comes_through(pauses: list[float]) -> None:
    with pytest.raises(ZeroDivisionError):
        persist(lambda: 1 / 0, (OSError,), explained=explained)
    assert pauses == []


def test_nothing_is_tried_again_when_it_has_taken_long(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_PATIENCE", -1.0)

    def attempt() -> None:
        raise TimeoutError("slow")

    with pytest.raises(Failure, match="^slow$"):
        persist(attempt, (OSError,), explained=explained)
    assert pauses == []


@pytest.mark.parametrize(("text", "value"), [("7", 7.0), ("-1", 0.0), ("many", 3.0), ("", 3.0)])
def test_settings_that_say_nothing_are_the_defaults(text: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", text)
    assert number("GDAL_HTTP_MAX_RETRY") == value


@pytest.mark.parametrize(
    ("status", "passes", "missing"),
    [(404, False, True), (410, False, True), (403, False, False), (400, False, False), (429, True, False)]
    + [(status, True, False) for status in (408, 500, 502, 503, 504)],
)
def test_what_statuses_mean(status: int, passes: bool, missing: bool) -> None:
    failure = of_status(status, credentials="Log in.")
    assert (failure.passes, failure.missing) == (passes, missing)
    assert (failure.advice == "Log in.") is (status == 403)
