"""From a network's output to what is written: one class per kind of output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from geodl.contract import Band, ClassInfo, ModelOutput
from geodl.errors import ContractError, OptionError

__all__ = ("Layer", "Products", "make_products")

_RESIDUAL = "residual (--residual)"
_MULTIPLICATIVE = ("intensity", "amplitude")
"""Units of what speckle multiplies."""


@dataclass(frozen=True)
class Layer:
    """One raster that a map consists of."""

    name: str
    """`classes`, `probabilities`, `confidence` or `entropy`; `bands` or `residual`."""
    bands: tuple[Band, ...]
    dtype: str
    nodata: float
    """Value of invalid pixels."""
    resampling: Literal["mode", "average"]
    """How its overviews are made."""
    classes: tuple[ClassInfo, ...] = ()
    """What the values mean, where they are classes."""
    description: str = ""
    """What the values mean, where names and units do not say it."""


class Products(Protocol):
    """Turns the output of a network into layers; the first one is the map itself."""

    layers: tuple[Layer, ...]
    compared: tuple[int, ...]
    """Positions of the input's bands that the output is compared with; empty: none."""

    def __call__(self, output: np.ndarray, valid: np.ndarray, seen: np.ndarray | None = None) -> list[np.ndarray]:
        """Computes the layers of a block.

        Args:
            output: float32 of shape (height, width, channels); of any value where invalid.
            valid: bool of shape (height, width).
            seen: the bands `compared` of the input there, float32 of shape (height, width, band); None where there are
                none, or where no pixel is valid.

        Returns:
            One array of shape (band, height, width) per layer.
        """
        ...


class ClassProducts:
    """Class map, and on request class probabilities, confidence (the largest probability) and entropy (0 to 1)."""

    compared: tuple[int, ...] = ()

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

    def __call__(self, output: np.ndarray, valid: np.ndarray, seen: np.ndarray | None = None) -> list[np.ndarray]:
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
    """Physical quantities as they come from the network, such as denoised or sharpened reflectances.

    On request also what the network took away, the residual: input minus output. Of bands in the units `intensity` and
    `amplitude`, whose noise is a factor, it is input over output: the ratio image, 1 on average where nothing but speckle
    was taken away. In dB that is a difference again.
    """

    def __init__(self, output: ModelOutput, compared: Sequence[int] = ()) -> None:
        self.compared = tuple(compared)
        nodata = np.nan if output.nodata is None else output.nodata
        self.layers: tuple[Layer, ...] = (Layer("bands", output.bands, "float32", nodata, "average"),)
        self._ratio = np.array([band.unit.casefold() in _MULTIPLICATIVE for band in output.bands])
        if compared:
            residual = tuple(
                Band(band.name, "1" if ratio else band.unit, nodata=np.nan)
                for band, ratio in zip(output.bands, self._ratio, strict=True)
            )
            words = dict.fromkeys("input / output" if ratio else "input - output" for ratio in self._ratio)
            described = f"what the network took away: {' or '.join(words)}"
            self.layers += (Layer("residual", residual, "float32", np.nan, "average", description=described),)

    def __call__(self, output: np.ndarray, valid: np.ndarray, seen: np.ndarray | None = None) -> list[np.ndarray]:
        """See `Products`."""
        given = np.where(valid[..., None], output, np.float32(self.layers[0].nodata))
        found = [given]
        if self.compared:
            residual = np.full(output.shape, np.nan, np.float32)
            if seen is not None:
                ratio = self._ratio
                residual[..., ~ratio] = seen[..., ~ratio] - output[..., ~ratio]
                positive = output[..., ratio] > 0
                with np.errstate(divide="ignore", invalid="ignore"):
                    residual[..., ratio] = np.where(positive, seen[..., ratio] / output[..., ratio], np.nan)
                residual[~valid] = np.nan
            found.append(residual)
        return [np.ascontiguousarray(np.moveaxis(values, -1, 0), np.float32) for values in found]


def make_products(
    output: ModelOutput,
    *,
    probabilities: bool = False,
    confidence: bool = False,
    entropy: bool = False,
    residual_of: Sequence[Band] | None = None,
) -> Products:
    """Chooses what to write for a kind of output.

    Args:
        output: of the network.
        probabilities: of each class.
        confidence: the largest probability.
        entropy: of the probabilities.
        residual_of: bands of the network's input, where the residual is asked for; see `BandProducts`.

    Raises:
        OptionError: something was asked for that this kind of output has not.
        ContractError: the kind of output is no raster.
    """
    wanted = {"probabilities": probabilities, "confidence": confidence, "entropy": entropy}
    extras = [name for name, asked in wanted.items() if asked]
    if output.kind == "classes":
        if residual_of is not None:
            raise OptionError(_RESIDUAL, expected="a network that gives bands", received="output of kind 'classes'")
        return ClassProducts(output, extras)
    if output.kind != "bands":
        raise ContractError(f"An output of kind {output.kind!r} is no raster. Expected one of: classes, bands.")
    if extras:
        expected = "a network that tells classes apart"
        raise OptionError(extras[0], expected=expected, received=f"output of kind {output.kind!r}")
    return BandProducts(output, () if residual_of is None else _compared(output, residual_of))


def _compared(output: ModelOutput, bands: Sequence[Band]) -> list[int]:
    """Positions of the output's bands in the input."""
    names = [band.name for band in bands]
    if output.scale != 1:
        received = f"one of pixels {output.scale} times as fine"
        raise OptionError(_RESIDUAL, expected="a network whose output is on the grid of its input", received=received)
    missing = [band.name for band in output.bands if band.name not in names]
    if missing:
        expected = f"a network that gives bands of its input ({', '.join(names)})"
        raise OptionError(_RESIDUAL, expected=expected, received=", ".join(missing))
    return [names.index(band.name) for band in output.bands]


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
