"""How arrays under CF conventions mark what is missing: several fill values, valid ranges, unsigned bytes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from geodl.contract import Band
from geodl.data.source import decode, is_nodata

__all__ = ("Packing",)

_MISSING = ("_FillValue", "missing_value", "fill_value", "nodata")


@dataclass(frozen=True)
class Packing:
    """What the attributes of a variable say of its stored values, besides scale and offset.

    Follows the CF conventions 1.11, sections 2.2 (`_Unsigned` after the NetCDF user guide) and 2.5.1 (missing data).
    """

    dtype: np.dtype[Any]
    """Type of the stored values: the unsigned one where signed integers stand for unsigned ones."""
    missing: tuple[float, ...] = ()
    """Stored values that mean nodata; the first one is the band's."""
    lowest: float | None = None
    """Smallest stored value that is valid."""
    highest: float | None = None
    """Largest stored value that is valid."""

    @classmethod
    def of(cls, attrs: Mapping[Hashable, Any], dtype: np.dtype[Any], *, limits: bool) -> Self:
        """Reads attributes.

        Args:
            attrs: of a variable whose values are as stored.
            dtype: of these values.
            limits: whether `valid_min`, `valid_max` and `valid_range` count. Not where the values may be results of
                a computation that kept the attributes of what it was made from.
        """
        wide = _unsigned(attrs, dtype)
        # Only missing_value may be several values by the conventions; others that are several are one for each band.
        stated = [
            _numbers(attrs.get(key)) for key in _MISSING if key == "missing_value" or np.size(attrs.get(key, "")) == 1
        ]
        missing = [_as_type(value, dtype, wide) for values in stated for value in values]
        finite = tuple(dict.fromkeys(float(value) for value in missing if np.isfinite(value)))
        if not limits:
            return cls(wide, finite)
        low, high = (_numbers(attrs.get(f"valid_{end}")) for end in ("min", "max"))
        span = _numbers(attrs.get("valid_range"))
        if len(span) == 2:
            low, high = low or span[:1], high or span[1:]
        ends = [_as_type(values[0], dtype, wide) if len(values) == 1 else None for values in (low, high)]
        limits_stated = [value for key in ("min", "max", "range") for value in np.ravel(attrs.get(f"valid_{key}", []))]
        if wide.kind in "iu" and any(isinstance(value, float | np.floating) for value in limits_stated):
            ends = _packed(ends, attrs)
        return cls(wide, finite, *ends)

    def decode(self, stored: np.ndarray, band: Band) -> np.ndarray:
        """Turns stored values of one band into physical ones, float32, not-a-number where missing or not valid."""
        stored = stored.view(self.dtype) if stored.dtype != self.dtype else stored
        values = decode(stored, band)
        for value in self.missing:
            found = is_nodata(stored, value)
            if found is not None:
                values[found] = np.nan
        kind = stored.dtype.type if stored.dtype.kind == "f" else float
        if self.lowest is not None:
            values[stored < kind(self.lowest)] = np.nan
        if self.highest is not None:
            values[stored > kind(self.highest)] = np.nan
        return values


def _unsigned(attrs: Mapping[Hashable, Any], dtype: np.dtype[Any]) -> np.dtype[Any]:
    told = str(attrs.get("_Unsigned", "")).lower()
    if (dtype.kind, told) in (("i", "true"), ("u", "false")):
        return np.dtype(f"{dtype.byteorder}{'u' if told == 'true' else 'i'}{dtype.itemsize}")
    return dtype


def _as_type(value: float, stored: np.dtype[Any], wide: np.dtype[Any]) -> float:
    """Reads a value that is written in the stored type as one of the type that it stands for."""
    if stored == wide or not np.isfinite(value) or value != int(value):
        return value
    bits = 8 * stored.itemsize
    wrapped = int(value) % 2**bits
    return wrapped - 2**bits if wide.kind == "i" and wrapped >= 2 ** (bits - 1) else wrapped


def _packed(ends: list[float | None], attrs: Mapping[Hashable, Any]) -> list[float | None]:
    """Turns limits in physical units into stored ones; they are in physical units where their type is wider."""
    scale, offset = (_numbers(attrs.get(key)) for key in ("scale_factor", "add_offset"))
    if not scale and not offset:
        return ends
    factor, shift = (scale or [1.0])[0], (offset or [0.0])[0]
    low, high = (None if end is None else (end - shift) / factor for end in ends)
    if factor < 0:
        low, high = high, low
    # Stored values are whole numbers; the division must not push a limit past the one it means.
    return [None if low is None else float(np.ceil(low - 1e-6)), None if high is None else float(np.floor(high + 1e-6))]


def _numbers(value: Any) -> list[float]:
    """The numbers of an attribute, which may be one, several, or text."""
    if value is None:
        return []
    try:
        return [float(one) for one in np.ravel(value)]
    except (TypeError, ValueError):
        return []
