"""Radar files that pysteps reads (Pulkkinen et al. 2019): MeteoSwiss GIF, FMI PGM, MRMS GRIB, and others by name.

pysteps is imported when such a file is met and not before; nothing else needs it.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import sys
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from affine import Affine
from rasterio.transform import from_bounds

from geodl.data.radar.frames import Frame, in_metres
from geodl.data.radar.kinds import Kind, find_kind
from geodl.data.radar.projection import crs_of
from geodl.data.source import Grid
from geodl.errors import BackendUnavailable, GridMismatch, OptionError, SourceUnreadable
from geodl.physics.rain import ZR, Quantity, quantity_of

__all__ = ("find_kind", "read_frames")

_NO_ECHO = -30.0
"""dBZ; at or below it importers put pixels without an echo, and no radar sees rain of 0.0005 mm/h."""
_UNITS = {"m": 1.0, "km": 1000.0, "degrees": 1.0}
_DAMAGE = (
    OSError, EOFError, zlib.error, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError,
    NameError, RuntimeError, SyntaxError,
)  # fmt: skip
"""What importers, and what reads images for them, raise over a damaged file."""


@dataclass(frozen=True)
class _Layout:
    """What the files of one kind in one folder have in common."""

    path: str
    grid: Grid
    quantity: Quantity


_MOST_LAYOUTS = 256
_IMPORTING = threading.Lock()
_LAYOUTS: dict[tuple[Any, ...], _Layout] = {}


def read_frames(
    path: str, *, zr: ZR | None = None, minutes: float | None = None, kind: Kind | str | None = None
) -> list[Frame]:
    """Lists the frame of a file. Of the files of one kind in a folder the first alone is decoded; it tells the grid.

    Args:
        path: of the file. Its name states the time.
        zr: how a reflectivity becomes a rain rate; the importer's own relation where None.
        minutes: in which a depth fell where neither the file nor its importer says.
        kind: what kind of file it is, or the name of pysteps' importer; known by the file's name where None.

    Returns:
        One frame. Its `load` raises `GridMismatch` where the file is on another grid than the first of its folder.

    Raises:
        BackendUnavailable: pysteps, or what its importer needs, is not installed.
        OptionError: there is no such importer.
        SourceUnreadable: the kind is not known, the name states no time, or the file is damaged.
    """
    wanted = find_kind(path) if kind is None else Kind(kind) if isinstance(kind, str) else kind
    if wanted is None:
        raise SourceUnreadable(
            path,
            "it is of no known kind",
            advice="Expected NetCDF, GeoTIFF, npz, HDF5 of ODIM or KNMI, or what pysteps reads (MeteoSwiss GIF, FMI PGM, "
            "MRMS GRIB).",
        )
    time, options = wanted.read_name(path)
    wanted = replace(wanted, options=tuple(options.items()))
    folder, name = os.path.split(os.path.abspath(path))
    key = (
        wanted,
        folder,
        os.stat(folder).st_mtime_ns if os.path.isdir(folder) else 0,
        re.sub(r"\d", "", name),
        zr,
        minutes,
    )
    layout = _LAYOUTS.get(key)
    if layout is None:
        values, metadata = _decoded(path, wanted)
        quantity = _quantity(path, wanted, metadata, zr=zr, minutes=minutes)
        layout = _Layout(path, _grid(path, metadata, values.shape), quantity)
        if len(_LAYOUTS) >= _MOST_LAYOUTS:
            _LAYOUTS.clear()
        _LAYOUTS[key] = layout
    return [Frame(path, time, layout.grid, layout.quantity, _File(path, wanted, layout, zr, minutes))]


@dataclass(frozen=True)
class _File:
    """One file; called, it is decoded to rain rates."""

    path: str
    kind: Kind
    layout: _Layout
    zr: ZR | None
    minutes: float | None

    def __call__(self) -> np.ndarray:
        values, metadata = _decoded(self.path, self.kind)
        if found := self.layout.grid.differs(_grid(self.path, metadata, values.shape)):
            differs, expected, received = found
            raise GridMismatch(
                self.layout.path, self.path, differs=differs, expected=expected, received=received,
                advice="Put files on different grids into folders of their own.",
            )  # fmt: skip
        quantity = _quantity(self.path, self.kind, metadata, zr=self.zr, minutes=self.minutes)
        if metadata.get("yorigin") == "lower":
            values = values[::-1]
        rate = quantity.to_rate(values)
        if quantity.unit == "dBZ":
            rate[values <= _NO_ECHO] = 0
        return rate


def _decoded(path: str, kind: Kind) -> tuple[np.ndarray, Mapping[str, Any]]:
    """Values `(h, w)` in the importer's unit, and its metadata."""
    importer, missing = _importer(kind.importer, path)
    try:
        values, _, metadata = importer(path, **dict(kind.options))
        return np.asarray(values), metadata
    except missing as error:
        raise BackendUnavailable(
            f"The radar file {path}", str(error).rstrip("."), advice="Install that package, or convert the file."
        ) from error
    except _DAMAGE as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise SourceUnreadable(
            path,
            f"it is damaged, or no file of {kind.importer} ({cause})"
            if os.path.exists(path)
            else "there is no such file",
        ) from error


def _importer(name: str, path: str) -> tuple[Callable[..., Any], type[Exception]]:
    """pysteps' importer, and what it raises where a package that it needs is missing."""
    try:
        if "pysteps.io.interface" not in sys.modules:
            # It prints where its configuration is.
            with _IMPORTING, contextlib.redirect_stdout(io.StringIO()):
                importlib.import_module("pysteps.io.interface")
        interface = importlib.import_module("pysteps.io.interface")
        missing = importlib.import_module("pysteps.exceptions").MissingOptionalDependency
    except ImportError as error:
        raise BackendUnavailable(
            f"Radar files of this kind ({os.path.basename(path)}: {name})",
            f"they are read with pysteps, which cannot be imported ({error})",
            advice="Install with: pip install 'geodl[nowcasting]'",
        ) from error
    try:
        return interface.get_method(name, "importer"), missing
    except ValueError as error:
        raise OptionError("importer", expected="one of pysteps' importers, such as mch_gif", received=name) from error


def _quantity(path: str, kind: Kind, metadata: Mapping[str, Any], *, zr: ZR | None, minutes: float | None) -> Quantity:
    unit = kind.unit or str(metadata.get("unit") or "no unit")
    transform = metadata.get("transform")
    if transform is not None and (transform, unit) != ("dB", "dBZ"):
        raise SourceUnreadable(
            path, f"its values are transformed ({transform} of {unit})", advice="Expected rain or dBZ."
        )
    if zr is None and metadata.get("zr_a") and metadata.get("zr_b"):
        zr = ZR(float(metadata["zr_a"]), float(metadata["zr_b"]))
    stated = next((m for m in (kind.minutes, metadata.get("accutime"), minutes) if m is not None), None)
    try:
        return quantity_of(unit, minutes=None if stated is None else float(stated), zr=zr)
    except OptionError as error:
        raise SourceUnreadable(path, f"what its values are is not clear ({str(error).rstrip('.')})") from error


def _grid(path: str, metadata: Mapping[str, Any], shape: tuple[int, ...]) -> Grid:
    lacking = [key for key in ("projection", "x1", "y1", "x2", "y2") if metadata.get(key) is None]
    unit = _UNITS.get(str(metadata.get("cartesian_unit", "m")))
    if lacking or unit is None or len(shape) != 2:
        raise SourceUnreadable(path, "its importer does not say where its pixels lie")
    height, width = shape
    crs = in_metres(Grid(crs_of(str(metadata["projection"]), where=path), Affine.identity(), 1, 1)).crs
    bounds = [float(metadata[key]) * unit for key in ("x1", "y1", "x2", "y2")]
    return Grid(crs, from_bounds(*bounds, width, height), height, width)
