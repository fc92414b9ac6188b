"""What scikit-learn's threads do to the warnings of the process, and how to keep it from the user."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ("own_warnings",)

_RACE = "sklearn.utils.parallel"


@contextmanager
def own_warnings() -> Iterator[None]:
    """Puts the filters of warnings back as they were before scikit-learn worked in threads.

    Each of its threads resets the filters, which belong to the whole process, and puts back what it found: now and then
    what another thread had reset. From then on warnings would be shown that nobody asked for, and one that says that
    scikit-learn is misused. Warnings of the block itself are told when it ends.

    Example:
        >>> with own_warnings():
        ...     warnings.resetwarnings()
        >>> warnings.filters != []
        True
    """
    with warnings.catch_warnings(record=True) as told:
        yield
    for warning in told:
        if _RACE not in str(warning.message):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
