from __future__ import annotations

import datetime as dt
import io
import pickle
from typing import Any

import numpy as np
import pytest

from geodl.data.radar.dates import ForeignObject, read_dates

DATES = [dt.datetime(2016, 8, 21, 0, 5), dt.datetime(2016, 8, 21, 0, 10, 30)]


def npy(values: Any, protocol: int | None = None) -> bytes:
    stream = io.BytesIO()
    array = np.array(values)
    if protocol is None:
        np.save(stream, array)
    else:
        header = {"descr": "|O", "fortran_order": False, "shape": array.shape}
        np.lib.format.write_array_header_1_0(stream, header)
        pickle.dump(array, stream, protocol=protocol)
    return stream.getvalue()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickled_dates_of_every_protocol(protocol: int) -> None:
    read = read_dates(npy(DATES, protocol))
    np.testing.assert_array_equal(read, np.array(DATES, "datetime64[ns]"))
    assert read.dtype == np.dtype("datetime64[ns]")


@pytest.mark.parametrize("kind", ["datetime64[m]", "datetime64[s]", "U19", "S19"])
def test_dates_without_pickles(kind: str) -> None:
    values = np.array(DATES, "datetime64[m]" if kind == "datetime64[m]" else "datetime64[s]")
    np.testing.assert_array_equal(read_dates(npy(values.astype(kind))), values.astype("datetime64[ns]"))


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "foreign",
    [dt.timedelta(1), dt.UTC, np.float64(1), complex(1), print, eval],
    ids=lambda value: type(value).__name__,
)
def test_anything_else_is_not_made(foreign: Any, protocol: int) -> None:
    content = npy(np.array([foreign, None], object), protocol)
    with pytest.raises(ForeignObject):
        read_dates(content)


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY", npy(np.array([1, "a"], object), 4), npy([1.5]), npy(DATES, 4)[:-20]]
)
def test_damaged_dates_and_other_values(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_dates(content)
