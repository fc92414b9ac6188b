"""How much memory mapping takes, whatever the height or width of the scene.

    python benchmarks/memory.py [--quick] [--busy] [--overlap exact] [--probabilities] [--width 16]

Maps scenes of 2,000 x 10,000, 2,000 x 40,000, 10,000 x 2,000 and 40,000 x 2,000 pixels (height x width, 6 bands of
uint16, GeoTIFF) with the default U-Net, each in a process of its own, and prints the peak resident memory of each (with
Python, TensorFlow and everything), that of the process before the first pixel was read, the seconds it took, and the
ratios of the long scenes to the short ones.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import Check, Timing, begin, parser, report, store

SHAPES = ((2_000, 10_000), (2_000, 40_000), (10_000, 2_000), (40_000, 2_000))
BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
CLASSES = ("water", "forest", "cropland", "grassland", "built-up", "bare soil")
_MIB = 2**20


def peak_bytes() -> int:
    """Peak resident memory of this process."""
    if sys.platform == "linux":
        # Of this process only: getrusage starts with what the parent took before it became this program.
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert found is not None
        return int(found[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def write_scene(path: Path, height: int, width: int) -> None:
    """A tiled, compressed GeoTIFF whose content repeats."""
    import numpy as np
    import rasterio
    from rasterio.windows import Window

    rng = np.random.default_rng(0)
    block = rng.integers(1, 4000, (len(BANDS), 256, 256), dtype=np.uint16).repeat(2, 1).repeat(2, 2)
    profile = {
        "count": len(BANDS), "dtype": "uint16", "nodata": 0, "crs": "EPSG:32633", "compress": "deflate", "zlevel": 1,
        "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6), "tiled": True, "blockxsize": 512, "blockysize": 512,
    }  # fmt: skip
    with rasterio.open(path, "w", driver="GTiff", height=height, width=width, **profile) as scene:
        scene.descriptions = BANDS
        for row in range(0, height, 512):
            for column in range(0, width, 512):
                part = block[:, : height - row, : width - column]
                scene.write(part, window=Window(column, row, part.shape[2], part.shape[1]))


def map_scene(folder: Path, height: int, width: int, options: argparse.Namespace) -> dict[str, Any]:
    """Maps one scene in this process."""
    import keras

    from geodl.contract import Band, ClassInfo, Contract, Dim, ModelInput, ModelOutput
    from geodl.inference.predictor import Predictor
    from geodl.models import UNet
    from geodl.models.receptive import receptive_margin, total_stride

    keras.utils.set_random_seed(0)
    network = UNet(len(BANDS), len(CLASSES), width=options.width, mean=[2000] * 6, std=[1000] * 6)
    margin, lattice = receptive_margin(network), total_stride(network)
    axes = [Dim(axis, margin=margin, lattice=lattice, step=10.0, unit="metre") for axis in "yx"]
    contract = Contract(
        "segmentation",
        ModelInput((*axes, Dim("band", len(BANDS))), tuple(Band(name) for name in BANDS)),
        ModelOutput("classes", tuple(ClassInfo(k + 1, name, "#0072b2") for k, name in enumerate(CLASSES))),
    )
    before, begin = peak_bytes(), time.perf_counter()
    Predictor(network, contract).predict_file(
        folder / "scene.tif",
        folder / "map.tif",
        overlap=int(options.overlap) if options.overlap.isdigit() else options.overlap,
        probabilities=options.probabilities,
    )
    return {
        "shape": f"{height} x {width}",
        "peak_mib": round(peak_bytes() / _MIB),
        "before_mib": round(before / _MIB),
        "seconds": round(time.perf_counter() - begin, 1),
    }


def main() -> None:
    """Measures all shapes."""
    command_line = parser(__doc__)
    command_line.add_argument("--overlap", default="auto", help="auto, exact or a number of pixels")
    command_line.add_argument("--probabilities", action="store_true", help="also write the probabilities")
    command_line.add_argument("--width", type=int, default=16, help="width of the U-Net")
    command_line.add_argument("--one", nargs=3, metavar=("FOLDER", "HEIGHT", "WIDTH"), help=argparse.SUPPRESS)
    options = command_line.parse_args()
    if options.one:
        folder, height, width = options.one
        print(json.dumps(map_scene(Path(folder), int(height), int(width), options)))
        return
    origin = begin(options)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    passed = [
        f"--overlap={options.overlap}",
        f"--width={options.width}",
        *(["--probabilities"] * options.probabilities),
    ]
    figures = []
    shapes = [(height // 20, width // 20) for height, width in SHAPES] if options.quick else SHAPES
    for height, width in shapes:
        with tempfile.TemporaryDirectory() as folder:
            write_scene(Path(folder) / "scene.tif", height, width)
            command = [sys.executable, __file__, *passed, "--one", folder, str(height), str(width)]
            run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
            figures.append(json.loads(run.stdout.splitlines()[-1]))
            print(json.dumps(figures[-1]), file=sys.stderr)
    peaks = [figure["peak_mib"] for figure in figures]
    ratios = {"wide_ratio": round(peaks[1] / peaks[0], 3), "high_ratio": round(peaks[3] / peaks[2], 3)}
    timings = [
        Timing(figure["shape"], (figure["seconds"],), height * width / 1e6)
        for figure, (height, width) in zip(figures, shapes, strict=True)
    ]
    names = [f"peak memory, {figures[long]['shape']} / {figures[short]['shape']}" for long, short in ((1, 0), (3, 2))]
    result = report(
        "Memory of mapping",
        protocol=f"U-Net of width {options.width}, {len(BANDS)} bands, peak of the whole process; "
        + ", ".join(f"{figure['shape']}: {figure['peak_mib']} MiB" for figure in figures),
        timings=timings,
        checks=[Check(name, ratio) for name, ratio in zip(names, ratios.values(), strict=True)],
        network=f"U-Net of width {options.width}",
        overlap=options.overlap,
        scenes=figures,
        **ratios,
    )
    store("memory", result, origin, quick=options.quick)


if __name__ == "__main__":
    main()
