"""Checks of the arguments that networks have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence

from geodl.errors import OptionError

__all__ = ("check_counts", "check_factor", "check_norm", "check_scaling", "statistics")


def check_counts(least: int = 1, **counts: object) -> None:
    """Raises OptionError for the first argument that is no whole number of at least `least`."""
    for option, count in counts.items():
        if not isinstance(count, int) or count < least:
            raise OptionError(option, expected=f"a whole number of at least {least}", received=count)


def check_norm(norm: object) -> None:
    """Raises OptionError for what is no `Norm`."""
    if norm not in ("batch", "group", None):
        raise OptionError("norm", expected="'batch', 'group' or None", received=norm)


def check_factor(option: str, factor: object, among: Sequence[int]) -> None:
    """Raises OptionError for a factor that is not among those that a network can be built for."""
    if isinstance(factor, bool) or factor not in among:
        names = [str(number) for number in among]
        raise OptionError(option, expected=f"{', '.join(names[:-1])} or {names[-1]}", received=factor)


def check_scaling(scaling: object) -> None:
    """Raises OptionError for a factor of residuals that is no positive number."""
    if not isinstance(scaling, int | float) or not 0 < scaling < math.inf:
        raise OptionError("scaling", expected="a number greater than 0", received=scaling)


def statistics(
    mean: Sequence[float] | None, std: Sequence[float] | None, channels: int
) -> tuple[list[float], list[float]]:
    """Returns mean and standard deviation per band: 0 and 1 where they are not given.

    Raises:
        OptionError: not one number per band.
    """
    values = [0.0] * channels if mean is None else list(mean), [1.0] * channels if std is None else list(std)
    for option, numbers in zip(("mean", "std"), values):
        if len(numbers) != channels:
            raise OptionError(option, expected=f"{channels} numbers, one per channel", received=numbers)
    return values
