from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from geodl.contract import Band
from geodl.data.packing import Packing


def unpack(stored: np.ndarray, attrs: dict[str, Any]) -> np.ndarray:
    packing = Packing.of(attrs, stored.dtype, limits=True)
    nodata = packing.missing[0] if packing.missing else None
    band = Band("a", scale=attrs.get("scale_factor", 1.0), offset=attrs.get("add_offset", 0.0), nodata=nodata)
    return packing.decode(stored, band)


@pytest.mark.parametrize("scaled", [{}, {"scale_factor": 0.05}, {"scale_factor": 0.5, "add_offset": -3.0}])
@pytest.mark.parametrize(
    ("dtype", "attrs"),
    [
        ("i2", {"_FillValue": np.int16(5)}),
        ("i2", {"_FillValue": np.int16(5), "missing_value": np.array([7, -9], "i2")}),
        ("u1", {"missing_value": np.uint8(250)}),
        ("f4", {"_FillValue": np.float32(3.1)}),
        ("f4", {"_FillValue": np.float32(np.nan)}),
        ("i1", {"_FillValue": np.int8(-1), "_Unsigned": "true"}),
        ("u1", {"_FillValue": np.uint8(255), "_Unsigned": "false"}),
        (">i2", {"_FillValue": np.int16(5)}),
    ],
)
@pytest.mark.filterwarnings("ignore::xarray.SerializationWarning")
def test_values_are_those_of_xarrays_decoding(dtype: str, attrs: dict[str, Any], scaled: dict[str, float]) -> None:
    stored = np.arange(-12, 12).astype(dtype).reshape(4, 6)
    if dtype == "f4":
        stored[1, 2], stored[3, 3] = 3.1, np.nan
    raw = xr.Dataset({"a": (("y", "x"), stored, attrs | scaled)})
    expected = xr.decode_cf(raw).a.values.astype(np.float32)
    np.testing.assert_allclose(unpack(stored, attrs | scaled), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "attrs", "valid"),
    [
        ("i2", {"valid_min": np.int16(-2), "valid_max": np.int16(3)}, (-2, 3)),
        ("i2", {"valid_range": np.array([-2, 3], "i2")}, (-2, 3)),
        ("i2", {"valid_range": [-2, 3], "scale_factor": 0.1, "add_offset": 50.0}, (-2, 3)),
        # Limits of a wider type than the packed values are in physical units.
        ("i2", {"valid_range": np.array([-0.2, 0.3]), "scale_factor": 0.1}, (-2, 3)),
        ("i2", {"valid_min": 9.7, "valid_max": 10.2, "scale_factor": -0.1, "add_offset": 10.0}, (-2, 3)),
        ("f4", {"valid_max": 3.0}, (-np.inf, 3)),
        ("f4", {"valid_min": np.float64(0.1)}, (np.float32(0.1), np.inf)),
    ],
)
def test_valid_ranges(dtype: str, attrs: dict[str, Any], valid: tuple[float, float]) -> None:
    stored = np.concatenate([np.arange(-5, 6), [0.1] if dtype == "f4" else []]).astype(dtype)
    values = unpack(stored, attrs)
    np.testing.assert_array_equal(np.isfinite(values), (stored >= valid[0]) & (stored <= valid[1]))


def test_valid_ranges_of_unsigned_bytes_are_written_as_signed_ones() -> None:
    stored = np.array([0, 10, 200, 250], "u1").view("i1")
    values = unpack(stored, {"_Unsigned": "true", "valid_range": np.array([1, -56], "i1")})
    np.testing.assert_array_equal(values, [np.nan, 10, 200, np.nan])


def test_unsigned_integers_of_any_byte_order() -> None:
    stored = np.array([1, -2, -1], ">i2")
    values = unpack(stored, {"_FillValue": np.int16(-2), "_Unsigned": "true"})
    np.testing.assert_array_equal(values, [1, np.nan, 65535])


def test_limits_count_only_where_values_are_as_stored() -> None:
    assert Packing.of({"valid_max": 3}, np.dtype("f4"), limits=False).highest is None


def test_attributes_that_are_no_numbers_are_passed_over() -> None:
    attrs = {"missing_value": "none", "valid_range": "0-1", "_FillValue": None, "valid_min": "low"}
    assert Packing.of(attrs, np.dtype("f4"), limits=True) == Packing(np.dtype("f4"))
