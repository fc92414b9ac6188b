"""Trying again what may pass, and refusing at once what does not."""

from __future__ import annotations

import itertools
import logging
import os
import random
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ("Changed", "Failure", "no_bucket", "number", "of_status", "persist")

_DEFAULTS = {
    "GDAL_HTTP_MAX_RETRY": 3.0,
    "GDAL_HTTP_RETRY_DELAY": 0.5,
    "GDAL_HTTP_CONNECTTIMEOUT": 10.0,
    "GDAL_HTTP_LOW_SPEED_TIME": 15.0,
}
"""The variables by which rasters are read, so that one set serves both; see docs/remote.md."""
_PATIENCE = 60.0
"""Seconds after which nothing is tried again."""
_PASSING = frozenset({408, 425, 429})
_LATER = "Try again later."

_LOG = logging.getLogger("geodl")
_Result = TypeVar("_Result")


class Failure(Exception):
    """Why something remote could not be had, in words that may be shown: no keys, no queries of signed addresses."""

    def __init__(self, cause: str, *, advice: str = _LATER, passes: bool = False, missing: bool = False) -> None:
        super().__init__(cause)
        self.cause = cause
        self.advice = advice
        self.passes = passes
        """Whether it may go well another time."""
        self.missing = missing
        """Whether all is well but for the file, which is not there."""


class Changed(Failure):
    """The file became another one between two looks at it: all of it must be read again."""

    def __init__(self) -> None:
        super().__init__("it was changed while it was read", advice="Is something still writing it? Try again later.")


def number(name: str) -> float:
    """A setting in seconds, or a count: the environment variable `name`, else geodl's default."""
    try:
        return max(0.0, float(os.environ.get(name) or _DEFAULTS[name]))
    except ValueError:
        return _DEFAULTS[name]


def persist(
    attempt: Callable[[], _Result], errors: tuple[type[Exception], ...], *, explained: Callable[[Exception], Failure]
) -> _Result:
    """Makes an attempt, and a few more where it fails for a reason that passes.

    The pause doubles each time, and is of random length around that, so that many workers do not come back together.

    Args:
        attempt: reads or writes; called again after it failed. It may raise `Failure` itself.
        errors: what it raises where something remote fails.
        explained: says what such an exception means.

    Raises:
        Failure: it still fails, or for a reason that does not pass.
    """
    begin = time.monotonic()
    tries = 1 + int(number("GDAL_HTTP_MAX_RETRY"))
    pause = number("GDAL_HTTP_RETRY_DELAY")
    caught: tuple[type[Exception], ...] = (Failure, *errors)
    for count in itertools.count(1):
        try:
            return attempt()
        except caught as error:
            failure = error if isinstance(error, Failure) else explained(error)
            _LOG.debug("try %d failed: %s: %s", count, type(error).__name__, failure)
            seconds = time.monotonic() - begin
            if not failure.passes or count >= tries or seconds > _PATIENCE:
                if failure.passes and count > 1:
                    failure.cause += f" (tried {count} times in {seconds:.0f} s)"
                raise failure from (None if failure is error else error)
        time.sleep(pause * 2 ** (count - 1) * random.uniform(0.75, 1.25))
    raise AssertionError  # The loop ends by return or raise.


def no_bucket(also: str) -> Failure:
    """Says that there is no such bucket, and what to check besides the address."""
    return Failure("there is no such bucket", advice=f"Make it first, or check the address{also}.")


def of_status(status: int, *, credentials: str) -> Failure:
    """Says what an HTTP status means of a file that was asked for."""
    if status in (404, 410):
        return Failure("there is no such file", advice="Check the address.", missing=True)
    if status in (401, 403, 407):
        return Failure(f"access is denied (HTTP status {status})", advice=credentials)
    passes = status >= 500 or status in _PASSING
    advice = _LATER if passes else "Check the address."
    return Failure(f"the server answered with HTTP status {status}", advice=advice, passes=passes)
