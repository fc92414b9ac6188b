"""How many bytes mapping a remote file takes, with a connection cut twice, and how long beside the same local file.

    python benchmarks/remote.py [--size 1000] [--json figures.json] [--cache ~/.cache/geodl/benchmarks]

Writes a COG of about --size megabytes (4 bands of uint16 noise, which deflate leaves as large as it is; no overviews,
which would only make the ratio smaller) into --cache once, serves it from a server of this machine that answers ranges
and breaks off two of its answers half-way, and maps it with `geodl predict` from there and from the disk, with a small
untrained U-Net. Prints, as JSON, the bytes requested, their ratio to the bytes of the file, the number of requests, the
seconds of both, and whether both maps are equal.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

BANDS = 4
BLOCK = 512


def write_scene(path: Path, megabytes: int) -> None:
    """Writes the COG, block by block through a plain GeoTIFF: memory stays small."""
    import numpy as np
    import rasterio
    from rasterio.shutil import copy
    from rasterio.windows import Window

    side = max(BLOCK, round((megabytes * 1e6 / (2 * BANDS)) ** 0.5 / BLOCK) * BLOCK)
    rng = np.random.default_rng(0)
    tiled = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "BIGTIFF": "IF_SAFER"}
    profile = {"width": side, "height": side, "count": BANDS, "dtype": "uint16", "nodata": 0, "crs": "EPSG:32633"}
    transform = rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        plain, cog = Path(folder, "plain.tif"), Path(folder, "cog.tif")
        with rasterio.open(plain, "w", driver="GTiff", transform=transform, **profile, **tiled) as scene:
            for row in range(0, side, BLOCK):
                for column in range(0, side, BLOCK):
                    values = rng.integers(1, 2**16, (BANDS, BLOCK, BLOCK), dtype=np.uint16)
                    scene.write(values, window=Window(column, row, BLOCK, BLOCK))
        copy(plain, cog, driver="COG", compress="deflate", level=1, blocksize=BLOCK, overviews="none", num_threads=2)
        cog.replace(path)


def write_network(folder: Path) -> None:
    """Writes a bundle of an untrained network."""
    import keras

    from geodl import bundle
    from geodl.contract import Band, ClassInfo, Contract, Dim, ModelInput, ModelOutput
    from geodl.models import UNet
    from geodl.models.receptive import receptive_margin, total_stride

    keras.utils.set_random_seed(0)
    network = UNet(BANDS, 3, width=4, depth=2, mean=[32768.0] * BANDS, std=[18918.0] * BANDS)
    margin, lattice = receptive_margin(network), total_stride(network)
    axes = [Dim(axis, margin=margin, lattice=lattice, step=10.0, unit="metre") for axis in "yx"]
    contract = Contract(
        "segmentation",
        ModelInput((*axes, Dim("band", BANDS)), tuple(Band(f"band_{k}") for k in range(1, BANDS + 1))),
        ModelOutput("classes", tuple(ClassInfo(k, f"class {k}", "#0072b2") for k in range(1, 4))),
    )
    bundle.write_bundle(folder, network=network, contract=contract, recipe="pipeline: segmentation\n", metrics={})


def predict(bundle: Path, scene: str, target: Path) -> float:
    """Maps a scene in a process of its own; returns seconds."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "geodl", "predict", str(bundle), scene, str(target), "--quiet"]
    subprocess.run(command, check=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    return time.perf_counter() - begin


def measure(scene: Path) -> dict[str, Any]:
    """Maps the scene from the server and from the disk."""
    import numpy as np
    import rasterio

    from tests.data.servers import Fault, serve_files

    size = scene.stat().st_size
    # Two of the requests for pixels, in the first third and in the last.
    half = {"share": 0.5, "then": "reset", "least": 100_000}
    requests = size // (4 << 20)
    cuts = [Fault(skip=requests // 4, **half), Fault(skip=requests * 3 // 4, **half)]
    with tempfile.TemporaryDirectory() as folder:
        bundle, near, far = Path(folder, "bundle"), Path(folder, "near.tif"), Path(folder, "far.tif")
        write_network(bundle)
        local = predict(bundle, str(scene), near)
        with serve_files(scene.parent, cuts) as server:
            remote = predict(bundle, server.url(scene.name), far)
            log = server.requests()
        with rasterio.open(near) as one, rasterio.open(far) as other:
            equal = all(
                np.array_equal(one.read(window=window), other.read(window=window)) for _, window in one.block_windows(1)
            )
    requested = sum(request.length for request in log)
    return {
        "file_bytes": size,
        "requested_bytes": requested,
        "ratio": round(requested / size, 4),
        "requests": len(log),
        "cuts": len(cuts),
        "equal": equal,
        "local_seconds": round(local, 1),
        "remote_seconds": round(remote, 1),
    }


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1000, help="megabytes of the file")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "geodl", "benchmarks")
    parser.add_argument("--cache", type=Path, default=cache, help="folder in which the file is kept")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    scene = options.cache / f"noise-{options.size}.tif"
    if not scene.exists():
        write_scene(scene, options.size)
    text = json.dumps(measure(scene), indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
