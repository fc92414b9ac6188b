"""A whole `geodl predict` of a denoiser against the network alone.

    python benchmarks/denoising.py [--quick] [--busy]

Measured in turn, three rounds: the network of `denoising.yaml`, with random weights, alone on one tile of 1024 x 1024
pixels of one band in each runtime; and `geodl predict` of a band of 4096 x 4096 pixels (uint8, COG), as a command, start
of Python included, float32 map written; and `Predictor.predict_file` in a process that is already there.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from apart import Apart, apart
from harness import Check, begin, measure, parser, report, store
from predict import FORWARDS, RUNTIMES, command, prepare_forward, prepare_predictor

from geodl._quiet import load_backend

MEAN, STD = 114.0, 63.0


def write_run(folder: Path, side: int) -> None:
    """Writes a bundle with random weights, and a tile with the network's output."""
    load_backend()
    import keras

    from geodl.bundle import write_bundle
    from geodl.contract import Band, Contract, Dim, ModelInput, ModelOutput
    from geodl.models import ResidualUNet
    from geodl.models.receptive import receptive_margin, total_stride

    network = ResidualUNet(1, width=40, middle=3, mean=[MEAN], std=[STD])
    rng = np.random.default_rng(0)
    for variable in network.variables:
        variable.assign(variable + rng.normal(0, 0.01, variable.shape))
    margin, lattice = receptive_margin(network), total_stride(network)
    axes = [Dim(axis, margin=margin, lattice=lattice) for axis in "yx"]
    bands = (Band("grey"),)
    contract = Contract(
        "denoising", ModelInput((*axes, Dim("band", 1)), bands), ModelOutput("bands", bands=bands, nodata=float("nan"))
    )
    write_bundle(folder, network=network, contract=contract, recipe="pipeline: denoising\n", metrics={})
    tile = rng.normal(MEAN, STD, (1, side, side, 1)).astype(np.float32)
    np.savez(folder / "tile.npz", tile=tile, logits=keras.ops.convert_to_numpy(network(tile, training=False)))


def write_scene(path: Path, side: int) -> None:
    """Writes a noisy band."""
    import rasterio
    import rasterio.shutil
    from scipy import ndimage

    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(side, side)).astype(np.float32), 8)
    values = np.clip(MEAN + STD * smooth / smooth.std() + rng.normal(0, 25, (side, side)), 0, 255).astype(np.uint8)
    plain = path.with_suffix(".plain.tif")
    transform = rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)
    grid: dict[str, Any] = {"crs": "EPSG:32633", "transform": transform, "height": side, "width": side}
    with rasterio.open(plain, "w", driver="GTiff", count=1, dtype="uint8", **grid) as file:
        file.write(values, 1)
        file.descriptions = ("grey",)
    rasterio.shutil.copy(plain, path, driver="COG", compress="deflate", blocksize=512)
    plain.unlink()


def main() -> None:
    chosen = parser(__doc__).parse_args()
    origin = begin(chosen)
    side, tile = (512, 256) if chosen.quick else (4096, 1024)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with tempfile.TemporaryDirectory() as folder, ExitStack() as open_now:
        run, scene = Path(folder) / "run", Path(folder) / "scene.tif"
        os.environ["GEODL_CACHE"] = str(Path(folder) / "cache")
        apart(write_run, run, tile)
        write_scene(scene, side)
        typed = command(run, scene, Path(folder) / "typed.tif")
        typed()

        def start(*words: Any) -> Apart:
            return open_now.enter_context(Apart(*words))

        forwards = {name: start(prepare_forward, name, run) for name in RUNTIMES}
        contenders: dict[str, Callable[[], float | None]] = {
            **forwards,
            "geodl predict": typed,
            "Predictor.predict_file": start(prepare_predictor, run, scene, Path(folder) / "loaded.tif"),
        }
        amounts = {name: (FORWARDS * tile**2 if name in forwards else side**2) / 1e6 for name in contenders}
        timings = measure(contenders, amounts=amounts, repeat=1 if chosen.quick else 3)
    fastest = max(RUNTIMES, key=lambda name: timings[name].rate)
    check = Check(
        "whole geodl predict of a denoiser / fastest network alone",
        timings["geodl predict"].rate / timings[fastest].rate,
        at_least=0.75,
    )
    protocol = (
        f"residual U-Net of width 40, one band; scene {side} x {side} uint8, COG, deflate; map float32; network alone on "
        f"tiles of {tile} x {tile}, batch 1; Mpx: pixels of the scene, overlaps not counted; fastest: {fastest}"
    )
    text = report(
        "Denoising a band", protocol=protocol, timings=list(timings.values()), checks=[check], fastest=fastest
    )
    store("denoising", text, origin, quick=chosen.quick)


if __name__ == "__main__":
    main()
