"""Dates that numpy archives hold as pickled objects: read without running anything that a file may ask for."""

from __future__ import annotations

import io
import pickle
from datetime import datetime
from typing import Any

import numpy as np

__all__ = ("ForeignObject", "read_dates")

_NUMPY = {"_reconstruct", "ndarray", "dtype"}
_NUMPY_MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")


class ForeignObject(ValueError):
    """A pickle wants something made that is no date, and is not made."""


class _DatesOnly(pickle.Unpickler):
    """Makes arrays of `datetime.datetime` and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("datetime", "datetime"):
            return datetime
        if module in _NUMPY_MODULES and name in _NUMPY:
            return super().find_class(module, name)
        if (module, name) == ("_codecs", "encode"):
            return _latin  # How pickles of Python 2's protocols write bytes.
        raise ForeignObject(f"{module}.{name}")


def _latin(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ForeignObject(f"text in {encoding}")
    return text.encode("latin-1")


def read_dates(content: bytes) -> np.ndarray:
    """Reads a `.npy` array of dates: datetime64, ISO 8601 text, or `datetime.datetime` objects (in UTC).

    Args:
        content: of the file.

    Returns:
        datetime64[ns] of the array's shape.

    Raises:
        ForeignObject: it holds other objects, which making could run any code.
        ValueError: it is damaged, or holds numbers.
    """
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        try:
            values = np.asarray(_DatesOnly(stream).load(), object).ravel()
        except (pickle.UnpicklingError, EOFError, TypeError, AttributeError, LookupError, MemoryError) as error:
            raise ValueError(f"its dates are damaged ({error})") from error
        if not all(type(value) is datetime and value.tzinfo is None for value in values):
            raise ValueError("its dates are objects of another kind; expected datetime.datetime")
        return np.array(values.tolist(), "datetime64[ns]").reshape(shape)
    values = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    if values.dtype.kind == "S":
        values = np.char.decode(values, "ascii")
    if values.dtype.kind not in "MU":
        raise ValueError(f"its times are {values.dtype}; expected datetime64, or text like 2016-01-01T01:05")
    if values.dtype.kind == "U":
        values = np.char.rstrip(values, "Z")
    return values.astype("datetime64[ns]")
