"""From a network's output to what is written: one entry per kind of output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from geodl.contract import Band, ClassInfo, ModelOutput, OutputKind
from geodl.errors import ContractError, OptionError

__all__ = ("Layer", "Products", "make_products")


@dataclass(frozen=True)
class Layer:
    """One raster that a map consists of."""

    name: str
    """`classes`, `probabilities`, `confidence`, `entropy` or `bands`."""
    bands: tuple[Band, ...]
    dtype: str
    nodata: float
    """Value of invalid pixels."""
    resampling: Literal["mode", "average"]
    """How its overviews are made."""
    classes: tuple[ClassInfo, ...] = ()
    """What the values mean, where they are classes."""


class Products(Protocol):
    """Turns the output of a network into layers; the first one is the map itself."""

    layers: tuple[Layer, ...]

    def __call__(self, output: np.ndarray, valid: np.ndarray) -> list[np.ndarray]:
        """Computes the layers of a block.

        Args:
            output: float32 of shape (height, width, channels); of any value where invalid.
            valid: bool of shape (height, width).

        Returns:
            One array of shape (band, height, width) per layer.
        """
        ...


class ClassProducts:
    """Class map, and on request class probabilities, confidence (the largest probability) and entropy (0 to 1)."""

    def __init__(self, output: ModelOutput, extras: Sequence[str]) -> None:
        self._values = np.array([c.value for c in output.classes])
        nodata = free_value(output.classes) if output.nodata is None else int(output.nodata)
        dtype = "uint8" if max(nodata, *self._values) <= 255 else "uint16"
        self._values = self._values.astype(dtype)
        available = {
            "probabilities": tuple(Band(c.name, "1", nodata=np.nan) for c in output.classes),
            "confidence": (Band("confidence", "1", nodata=np.nan),),
            "entropy": (Band("entropy", "1", nodata=np.nan),),
        }
        self.layers: tuple[Layer, ...] = (
            Layer("classes", (Band("class", dtype=dtype, nodata=nodata),), dtype, nodata, "mode", output.classes),
            *(Layer(name, available[name], "float32", np.nan, "average") for name in extras),
        )

    def __call__(self, output: np.ndarray, valid: np.ndarray) -> list[np.ndarray]:
        """See `Products`."""
        main, *extras = self.layers
        found = [np.where(valid, self._values[output.argmax(-1)], np.array(main.nodata, main.dtype))[None]]
        if not extras:
            return found
        from scipy.special import softmax

        # Several times faster with the classes first, where each step runs over long rows.
        p = softmax(np.ascontiguousarray(np.moveaxis(output, -1, 0), np.float32), axis=0)
        p[:, ~valid] = np.nan
        return [*found, *(_OF_PROBABILITIES[layer.name](p).astype(np.float32, copy=False) for layer in extras)]


class BandProducts:
    """Physical quantities as they come from the network, such as denoised or sharpened reflectances."""

    def __init__(self, output: ModelOutput, extras: Sequence[str]) -> None:
        if extras:
            expected = "a network that tells classes apart"
            raise OptionError(extras[0], expected=expected, received=f"output of kind {output.kind!r}")
        nodata = np.nan if output.nodata is None else output.nodata
        self.layers: tuple[Layer, ...] = (Layer("bands", output.bands, "float32", nodata, "average"),)

    def __call__(self, output: np.ndarray, valid: np.ndarray) -> list[np.ndarray]:
        """See `Products`."""
        values = np.where(valid[..., None], output, np.float32(self.layers[0].nodata))
        return [np.ascontiguousarray(np.moveaxis(values, -1, 0), np.float32)]


def make_products(
    output: ModelOutput, *, probabilities: bool = False, confidence: bool = False, entropy: bool = False
) -> Products:
    """Chooses what to write for a kind of output.

    Raises:
        OptionError: something was asked for that this kind of output has not.
        ContractError: the kind of output is no raster.
    """
    wanted = {"probabilities": probabilities, "confidence": confidence, "entropy": entropy}
    if output.kind not in _KINDS:
        raise ContractError(f"An output of kind {output.kind!r} is no raster. Expected one of: {', '.join(_KINDS)}.")
    return _KINDS[output.kind](output, [name for name, asked in wanted.items() if asked])


def _entropy(p: np.ndarray) -> np.ndarray:
    """Shannon entropy of probabilities (class, height, width) over that of equal ones; 0 for a single class."""
    logs = np.log(p, where=p > 0, out=np.zeros_like(p))
    return np.abs((p * logs).sum(0, keepdims=True)) / np.log(max(len(p), 2))


def free_value(classes: Sequence[ClassInfo]) -> int:
    """Returns the nodata value of a map: 255, or the greatest value below that is no class; 65535 where all are."""
    taken = {c.value for c in classes}
    return next((value for value in range(255, -1, -1) if value not in taken), 65535)


_OF_PROBABILITIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "probabilities": lambda p: p,
    "confidence": lambda p: p.max(0, keepdims=True),
    "entropy": _entropy,
}
_KINDS: dict[OutputKind, Callable[[ModelOutput, Sequence[str]], Products]] = {
    "classes": ClassProducts,
    "bands": BandProducts,
}
