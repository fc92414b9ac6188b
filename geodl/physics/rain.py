"""Rain rates and what radars and their files hold instead: reflectivity, depths, and logarithms for networks.

Everything meets in the rain rate, mm/h. Not-a-number is nodata and stays so; no rain is 0 mm/h and -inf dBZ.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from geodl.errors import OptionError

__all__ = (
    "DRY",
    "FAINT",
    "FAINTEST",
    "LOG_OFFSET",
    "ZR",
    "Quantity",
    "Transform",
    "from_decibel",
    "from_log",
    "from_transformed",
    "quantity_of",
    "rain_rate",
    "reflectivity",
    "to_decibel",
    "to_log",
    "to_transformed",
)

LOG_OFFSET = 0.01
"""mm/h; what `to_log` adds, so that no rain has a logarithm."""

_ROUNDED_ZERO = -0.01
"""mm/h; lower than what packing makes of no rain, higher than any code for a missing value."""

_MILLIMETRES = {
    **dict.fromkeys(("mm", "millimetre", "millimetres", "millimeter", "millimeters"), 1.0),
    **{"cm": 10.0, "m": 1000.0, "in": 25.4, "inch": 25.4, "inches": 25.4},
}
_HOURS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1 / 3600),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 1 / 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 1.0),
    **dict.fromkeys(("d", "day", "days"), 24.0),
}
_PER_AREA = re.compile(r"\b(kg|l)\s*(?:/\s*m\s*\^?2|m\s*\^?-2)(?!\d)")  # 1 kg, or 1 l, of water on 1 m² is 1 mm deep.
_NUMBER = r"\d*\.?\d+(?:e-?\d+)?"
_PERIOD = rf"\(?\s*({_NUMBER})?\s*({'|'.join(_HOURS)})\s*\)?"
_DEPTH = re.compile(
    rf"(?:({_NUMBER})(?:\s*/\s*(\d+))?\s*\*?\s*)?({'|'.join(_MILLIMETRES)})"
    rf"\s*(?:(?:/|per\b)\s*{_PERIOD}|{_PERIOD}\s*\^?-1)?"
)


@dataclass(frozen=True)
class ZR:
    """The relation of radar reflectivity and rain rate, `Z = a * R**b` (Marshall and Palmer 1948, with a = 200, b = 1.6).

    Z is in mm⁶/m³, R in mm/h.

    Args:
        a: above 0.
        b: above 0.

    Raises:
        OptionError: `a` or `b` is not a finite number above 0.
    """

    a: float = 200.0
    """mm⁶ m⁻³ (mm/h)⁻ᵇ."""
    b: float = 1.6
    """The exponent."""

    def __post_init__(self) -> None:
        for name, value in (("a", self.a), ("b", self.b)):
            if not 0 < value < np.inf:
                raise OptionError(f"zr.{name}", expected="a finite number above 0", received=value)


MARSHALL_PALMER = ZR()


def rain_rate(dbz: ArrayLike, zr: ZR = MARSHALL_PALMER) -> np.ndarray:
    """Gives the rain rate of a reflectivity.

    Args:
        dbz: dBZ, of any shape; -inf is no rain.
        zr: the relation.

    Returns:
        mm/h, of the same shape; float64 where `dbz` is, else float32. NaN where `dbz` is.

    Example:
        >>> rain_rate([-np.inf, 23.0103]).round(3)
        array([0., 1.])
    """
    # (10^(dBZ/10) / a)^(1/b) in one power, which also keeps float32 from overflowing on the way.
    exponent = (_floating(dbz) - 10 * math.log10(zr.a)) / (10 * zr.b)
    with np.errstate(over="ignore"):
        return np.asarray(np.power(10, exponent, dtype=exponent.dtype))


def reflectivity(rate: ArrayLike, zr: ZR = MARSHALL_PALMER) -> np.ndarray:
    """Gives the reflectivity of a rain rate.

    Args:
        rate: mm/h, at least 0, of any shape.
        zr: the relation.

    Returns:
        dBZ, of the same shape; float64 where `rate` is, else float32. -inf where there is no rain, NaN where `rate` is.

    Example:
        >>> reflectivity([0.0, 1.0]).round(3)
        array([ -inf, 23.01])
    """
    with np.errstate(divide="ignore"):
        return np.asarray(10 * (math.log10(zr.a) + zr.b * np.log10(_floating(rate))))


@dataclass(frozen=True)
class Quantity:
    """What the numbers of a radar file are, and how they become rain rates.

    Raises:
        OptionError: a depth without the minutes in which it fell, or a scale that is not above 0.

    Example:
        >>> Quantity("mm", minutes=5).to_rate([0.5])
        array([6.], dtype=float32)
    """

    unit: Literal["mm/h", "mm", "dBZ"]
    """Rain rate, depth of rain in `minutes`, or reflectivity."""
    minutes: float | None = None
    """Of a depth: the minutes in which it fell."""
    zr: ZR = MARSHALL_PALMER
    """Of a reflectivity: how it becomes a rain rate."""
    scale: float = 1.0
    """Stored numbers times this are in `unit`: 3600 for a file in kg m⁻² s⁻¹."""

    def __post_init__(self) -> None:
        if self.unit not in ("mm/h", "mm", "dBZ"):
            raise OptionError("unit", expected="mm/h, mm or dBZ", received=self.unit)
        if self.unit == "mm" and (self.minutes is None or not 0 < self.minutes < np.inf):
            raise OptionError("minutes", expected="the minutes in which a depth in mm fell", received=self.minutes)
        if not 0 < self.scale < np.inf:
            raise OptionError("scale", expected="a finite number above 0", received=self.scale)

    def __str__(self) -> str:
        match self.unit:
            case "dBZ":
                return f"dBZ, Z = {self.zr.a:g} R^{self.zr.b:g}"
            case "mm":
                return f"mm in {self.minutes:g} min"
            case _:
                return self.unit

    def to_rate(self, values: ArrayLike) -> np.ndarray:
        """Gives the rain rate.

        Args:
            values: the file's numbers, of any shape, NaN where nodata.

        Returns:
            mm/h, float32, at least 0, of the same shape. NaN where `values` is, is infinite, or states less than no rain
            (a code for a missing value that the file does not name); the little below 0 that packing leaves is 0.
        """
        numbers = np.asarray(values, np.float32)
        if self.scale != 1:
            numbers = numbers * np.float32(self.scale)
        match self.unit:
            case "dBZ":
                rate = rain_rate(numbers, self.zr)
            case "mm":
                rate = numbers * np.float32(60 / (self.minutes or np.nan))
            case _:
                rate = numbers.copy()
        rate = np.asarray(rate)
        rate[(rate < _ROUNDED_ZERO) | (rate == np.inf)] = np.nan
        return np.maximum(rate, 0, out=rate)


def quantity_of(unit: str, *, minutes: float | None = None, zr: ZR | None = None) -> Quantity:
    """Reads the text with which a file states its unit.

    Args:
        unit: a reflectivity (`dBZ`), a depth (`mm`, `kg m-2`, `0.01 mm`, `m`) or a depth over a time (`mm/h`, `mm hr-1`,
            `kg m-2 s-1`, `mm/5min`, `m s-1`), in any case.
        minutes: for a depth alone: the minutes in which it fell.
        zr: for a reflectivity: how it becomes a rain rate; Marshall–Palmer where None.

    Raises:
        OptionError: the unit is none of rain, or it is a depth and `minutes` is None.

    Example:
        >>> quantity_of("kg m-2 s-1").to_rate([0.5])
        array([1800.], dtype=float32)
    """
    text = " ".join(unit.lower().replace("**", "^").replace("⁻", "-").replace("¹", "1").replace("²", "2").split())
    if text in ("dbz", "dbzh"):
        return Quantity("dBZ", zr=zr or MARSHALL_PALMER)
    text = _PER_AREA.sub("mm ", re.sub(r"\.(?!\d)", " ", text)).strip()
    found = _DEPTH.fullmatch(text)
    if found is None:
        raise OptionError("unit", expected="mm/h, mm, dBZ or another unit of rain", received=unit)
    number, divisor, depth, every, time, every_other, other = found.groups()
    scale = float(number or 1) / float(divisor or 1) * _MILLIMETRES[depth]
    if time or other:
        return Quantity("mm/h", scale=scale / (float(every or every_other or 1) * _HOURS[time or other]))
    return Quantity("mm", minutes=minutes, scale=scale)


def to_log(rate: ArrayLike) -> np.ndarray:
    """Gives `ln(rate + 0.01)` of a rain rate in mm/h, of any shape: about -4.6 where there is no rain, NaN where nodata."""
    return np.asarray(np.log(_floating(rate) + LOG_OFFSET))


def from_log(values: ArrayLike) -> np.ndarray:
    """Undoes `to_log`: rain rates in mm/h, at least 0."""
    return np.asarray(np.maximum(np.exp(_floating(values)) - LOG_OFFSET, 0))


def to_decibel(rate: ArrayLike, *, threshold: float = 0.1, zero: float = -15.0) -> np.ndarray:
    """Gives a rain rate in decibels of mm/h.

    Args:
        rate: mm/h, of any shape, NaN where nodata.
        threshold: mm/h, above 0: less is no rain.
        zero: dB that stand for no rain; 5 dB below the threshold, as pysteps has it.

    Returns:
        dB, of the same shape, NaN where `rate` is.

    Example:
        >>> to_decibel([0.05, 0.1, 100.0])
        array([-15., -10.,  20.])
    """
    numbers = _floating(rate)
    decibel = 10 * np.log10(np.maximum(numbers, threshold))
    return np.asarray(np.where(numbers < threshold, np.asarray(zero, decibel.dtype), decibel))


def from_decibel(values: ArrayLike, *, threshold: float = 0.1) -> np.ndarray:
    """Undoes `to_decibel`: rain rates in mm/h, 0 where `values` lie below the threshold (in mm/h)."""
    rate = np.power(10, _floating(values) / 10)
    # The threshold itself comes back as rain although its decibels are rounded.
    return np.asarray(np.where(rate < threshold * (1 - 1e-5), np.zeros((), rate.dtype), rate))


Transform = Literal["log", "db"]
"""ln(R + 0.01) of a rain rate R in mm/h; or 10 log10(R), of which -15 is no rain."""

FAINTEST, FAINT, DRY = 0.1, -10.0, -15.0
"""Of "db": the rate in mm/h from which on it is a logarithm, its value there, and that of no rain."""


def to_transformed(rate: ArrayLike, transform: Transform) -> np.ndarray:
    """Returns rain rates as networks compute in them.

    "db" is 10 log10(R) from 0.1 mm/h on. Below, where `to_decibel` (as pysteps) gives -15 to all, a straight line leads
    from -10 to -15 at 0 mm/h: so it has an inverse, and losses a slope.

    Args:
        rate: in mm/h, at least 0; not-a-number stays.
        transform: see `Transform`.
    """
    if transform == "log":
        return to_log(rate)
    rate = _floating(rate)
    faint = DRY + rate * ((FAINT - DRY) / FAINTEST)
    return np.where(rate < FAINTEST, faint, 10 * np.log10(np.maximum(rate, FAINTEST)))


def from_transformed(values: ArrayLike, transform: Transform) -> np.ndarray:
    """Returns the rain rates, in mm/h and at least 0, whose `to_transformed` is given."""
    if transform == "log":
        return from_log(values)
    values = _floating(values)
    faint = np.maximum(values - DRY, 0) * (FAINTEST / (FAINT - DRY))
    return np.where(values < FAINT, faint, np.exp(values * (np.log(10) / 10).astype(values.dtype)))


def _floating(values: ArrayLike) -> np.ndarray:
    array = np.asarray(values)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)
