"""Maps a raster with the network in this folder: python example.py scene.tif map.tif

Needs numpy, rasterio and what runs the network (onnxruntime, openvino or tensorflow). The rules that it follows stand
in README.md, bands and classes in contract.json.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.windows import Window

__all__ = ("load_network", "main", "map_raster")

TILE = 1024
"""Side of the squares that are mapped one after the other, in pixels."""

Network = Callable[[np.ndarray], np.ndarray]
"""float32 (1, height, width, band) to float32 (1, height * scale, width * scale, channel)."""


def load_network(folder: Path) -> Network:
    """Loads the network of an export, whatever its format."""
    if (folder / "network.onnx").is_file():
        import onnxruntime

        session = onnxruntime.InferenceSession(folder / "network.onnx", providers=["CPUExecutionProvider"])
        return lambda image: session.run(["output"], {"image": image})[0]
    if (folder / "network.xml").is_file():
        import openvino

        # Some processors would compute in bfloat16 otherwise, which keeps three digits.
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.Core().compile_model(folder / "network.xml", "CPU", settings)
        return lambda image: compiled({"image": image})["output"]
    import tensorflow

    loaded = tensorflow.saved_model.load(os.fspath(folder / "network"))
    return lambda image: loaded.serve(tensorflow.constant(image))["output"].numpy()


def map_raster(network: Network, contract: dict[str, Any], scene: str, target: str, *, tile: int = TILE) -> None:
    """Maps a raster square by square; each is read with so much around it that it is as if mapped in one piece.

    Args:
        network: from `load_network`.
        contract: content of contract.json.
        scene: raster file with the network's bands.
        target: GeoTIFF to write: class values, or the network's bands.
        tile: side of the squares in pixels.
    """
    output, scale = contract["output"], contract["output"]["scale"]
    values = np.array([c["value"] for c in output["classes"]])
    with rasterio.open(scene) as file:
        nodata, t = _nodata(output), file.transform
        dtype = "float32" if not len(values) else "uint8" if max(nodata, *values) <= 255 else "uint16"
        profile = {
            "driver": "GTiff",
            "height": file.height * scale,
            "width": file.width * scale,
            "count": 1 if len(values) else len(output["bands"]),
            "dtype": dtype,
            "nodata": nodata,
            "crs": file.crs,
            "transform": rasterio.Affine(t.a / scale, t.b / scale, t.c, t.d / scale, t.e / scale, t.f),
            "tiled": True,
            "compress": "deflate",
            "bigtiff": "if_safer",
        }
        indexes = _find_bands(file, contract["input"]["bands"])
        with rasterio.open(target, "w", **profile) as made:
            for read, wanted in _squares(file.height, file.width, contract, tile):
                image = _read(file, indexes, contract["input"]["bands"], read)
                given = network(_enlarged(image, contract)[None])[0]
                valid = np.isfinite(image).all(axis=-1).repeat(scale, axis=0).repeat(scale, axis=1)
                top, left = (wanted.row_off - read.row_off) * scale, (wanted.col_off - read.col_off) * scale
                part = (slice(top, top + wanted.height * scale), slice(left, left + wanted.width * scale))
                found = values[given[part].argmax(axis=-1)][..., None] if len(values) else given[part]
                found = np.where(valid[part][..., None], found, nodata).astype(dtype)
                place = Window(
                    wanted.col_off * scale, wanted.row_off * scale, wanted.width * scale, wanted.height * scale
                )
                made.write(np.moveaxis(found, -1, 0), window=place)
            for index, name in enumerate([band["name"] for band in output["bands"]] or ["class"], 1):
                made.set_band_description(index, name)
            if dtype == "uint8":
                colours = {c["value"]: (*bytes.fromhex(c["colour"][1:]), 255) for c in output["classes"]}
                made.write_colormap(1, {**colours, int(nodata): (0, 0, 0, 0)})


def _nodata(output: dict[str, Any]) -> float:
    """What invalid pixels become: for classes 255, or the greatest value below that is no class."""
    if output["nodata"] is not None:
        return output["nodata"]
    taken = {c["value"] for c in output["classes"]}
    return next((value for value in range(255, -1, -1) if value not in taken), 65535) if taken else math.nan


def _find_bands(file: Any, bands: list[dict[str, Any]]) -> list[int]:
    """Numbers of the file's bands that the network wants: by their descriptions, or by order where there are none."""
    indexes = [i for i, colour in zip(file.indexes, file.colorinterp) if colour != ColorInterp.alpha]
    named = {(file.descriptions[i - 1] or "").casefold(): i for i in indexes}
    wanted = [band["name"] for band in bands]
    if all(name.casefold() in named for name in wanted):
        return [named[name.casefold()] for name in wanted]
    nameless = set(named) == {""} or wanted == [f"band_{k}" for k in range(1, len(wanted) + 1)]
    if nameless and len(indexes) == len(wanted):
        return indexes
    found = [file.descriptions[i - 1] or f"band {i}" for i in indexes]
    sys.exit(f"{file.name}: expected the bands {', '.join(wanted)}. Found: {', '.join(found)}.")


def _read(file: Any, indexes: list[int], bands: list[dict[str, Any]], window: Window) -> np.ndarray:
    """Physical values, float32 (height, width, band); not-a-number where invalid.

    What the file says of scale, offset and nodata counts. Where it says nothing but stores the type that the training
    data were stored in, it is taken to be stored as they were.
    """
    image = np.empty((window.height, window.width, len(bands)), np.float32)
    opaque = np.ones(image.shape[:2], bool)
    for index, colour in zip(file.indexes, file.colorinterp):
        if colour == ColorInterp.alpha:
            opaque &= file.read(index, window=window) > 0
    for axis, (index, band) in enumerate(zip(indexes, bands)):
        stored = file.read(index, window=window)
        valid = opaque & (file.read_masks(index, window=window) > 0)
        scale, offset = file.scales[index - 1], file.offsets[index - 1]
        if file.dtypes[index - 1] == band["dtype"]:
            if (scale, offset) == (1, 0):
                scale, offset = band["scale"], band["offset"]
            if file.nodatavals[index - 1] is None and band["nodata"] is not None:
                valid &= stored != band["nodata"]
        with np.errstate(over="ignore", invalid="ignore"):
            plane = (stored.astype(np.float64) * scale + offset).astype(np.float32)
        image[..., axis] = np.where(valid & np.isfinite(plane), plane, np.nan)
    return image


def _squares(height: int, width: int, contract: dict[str, Any], tile: int) -> Iterator[tuple[Window, Window]]:
    """Windows to read and, in each of them, the part to keep."""
    axes = [dim for dim in contract["input"]["dims"] if dim["name"] in ("y", "x")]
    step = math.lcm(*(dim[rule] for dim in axes for rule in ("lattice", "multiple")))
    fixed = axes[0]["size"]
    margins = [dim["margin"] for dim in axes]
    around = 0 if None in margins else -(-max(margins) // step) * step
    if fixed:
        around = around if 2 * around + step <= fixed else 0
        tile = (fixed - 2 * around) // step * step
    elif None in margins:
        tile = max(height, width)
    else:
        tile = -(-tile // step) * step
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            kept = Window(left, top, min(tile, width - left), min(tile, height - top))
            first = max(left - around, 0), max(top - around, 0)
            last = min(left + tile + around, width), min(top + tile + around, height)
            yield Window(*first, last[0] - first[0], last[1] - first[1]), kept


def _enlarged(image: np.ndarray, contract: dict[str, Any]) -> np.ndarray:
    """Adds invalid pixels below and to the right where the network asks for a size or a multiple."""
    rules = {dim["name"]: dim for dim in contract["input"]["dims"]}
    padding = []
    for name, size in zip(("y", "x"), image.shape):
        wanted = rules[name]["size"] or -(-size // rules[name]["multiple"]) * rules[name]["multiple"]
        padding.append((0, wanted - size))
    return np.pad(image, (*padding, (0, 0)), constant_values=np.nan)


def main(arguments: list[str]) -> None:
    """The command line."""
    if len(arguments) != 2:
        sys.exit("Expected two arguments: python example.py scene.tif map.tif")
    if Path(arguments[1]).exists():
        sys.exit(f"{arguments[1]} exists already.")
    folder = Path(__file__).parent
    contract = json.loads((folder / "contract.json").read_text(encoding="utf-8"))
    map_raster(load_network(folder), contract, *arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
