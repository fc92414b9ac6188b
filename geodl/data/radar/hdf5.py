"""Radar images in HDF5: attributes as texts and numbers, pixels with codes, and what is wrong with a damaged file."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from geodl.errors import SourceUnreadable
from geodl.physics.rain import Quantity

__all__ = ("Image", "attributes", "natural", "number", "opened", "text")


@contextlib.contextmanager
def opened(path: str) -> Iterator[h5py.File]:
    """Opens a file for reading.

    Raises:
        SourceUnreadable: it is missing, damaged, no HDF5, or what is looked for within the block is not in it.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, LookupError, RuntimeError, ValueError, TypeError) as error:
        raise SourceUnreadable(path, _cause(path, error)) from error


def _cause(path: str, error: Exception) -> str:
    if not os.path.exists(path):
        return "there is no such file"
    told = " ".join(str(error).split())
    if whole := re.search(r"truncated file.*stored_eof = (\d+)", told):
        return f"it is cut off: {os.path.getsize(path)} of {whole[1]} bytes are there"
    if "file signature not found" in told:
        return "it is not an HDF5 file"
    return f"it is damaged, or not laid out as such files are ({told.strip(chr(34))})"


def attributes(group: h5py.Group, path: str) -> Mapping[str, Any]:
    """Returns the attributes of the group at `path` below `group`; empty where there is no such group."""
    return dict(group[path].attrs) if path in group else {}


def text(attrs: Mapping[str, Any], key: str) -> str:
    """Returns an attribute as text, empty where it is missing. Files hold bytes, texts, and arrays of one of them."""
    values = np.ravel(attrs.get(key, ""))
    value = values[0] if len(values) else ""
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip("\0 ")


def number(attrs: Mapping[str, Any], key: str) -> float | None:
    """Returns an attribute as a number, None where it is missing.

    Raises:
        ValueError: it is no number.
    """
    stated = text(attrs, key)
    return float(stated) if stated else None


def natural(names: Iterator[str] | list[str], word: str) -> list[str]:
    """Returns those of `names` that are `word` and a number, by that number."""
    numbered = {name: re.fullmatch(rf"{word}(\d+)", name) for name in names}
    return sorted((name for name, found in numbered.items() if found), key=lambda name: int(name[len(word) :]))


@dataclass(frozen=True)
class Image:
    """The pixels of one image of a file; called, it reads them as rain rates."""

    path: str
    """Of the file."""
    name: str
    """Of the array in the file."""
    shape: tuple[int, int]
    """Rows and columns that are expected."""
    quantity: Quantity
    """What `gain * code + offset` is."""
    gain: float
    offset: float
    nodata: tuple[float, ...] = ()
    """Codes of pixels that nothing is known of."""
    dry: tuple[float, ...] = ()
    """Codes of pixels without an echo: no rain."""

    def __call__(self) -> np.ndarray:
        """Reads the image.

        Returns:
            `(h, w)` float32, mm/h; NaN where nodata, which goes before no rain where both have one code.

        Raises:
            SourceUnreadable: the file is gone, damaged, or the image is not of the expected size.
        """
        with opened(self.path) as file:
            codes = file[self.name][()]
        if codes.shape != self.shape:
            raise SourceUnreadable(
                self.path, f"its image {self.name} has shape {codes.shape}; expected {self.shape}, as the file states"
            )
        rate = self.quantity.to_rate(codes.astype(np.float32) * np.float32(self.gain) + np.float32(self.offset))
        rate[_is(codes, self.dry)] = 0
        rate[_is(codes, self.nodata)] = np.nan
        return rate


def _is(codes: np.ndarray, wanted: tuple[float, ...]) -> np.ndarray:
    """A code that the array's type cannot hold exactly is compared as that type has it."""
    exact = codes.dtype.type if codes.dtype.kind == "f" else float
    return np.isin(codes, [exact(code) for code in wanted])
