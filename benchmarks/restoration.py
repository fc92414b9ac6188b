"""Real data of restoration: trains, scores and stores the figures as small JSON in benchmarks/results/.

    python benchmarks/restoration.py bsd68       # DnCNN's protocol: train400, sigma 25, PSNR of BSD68
    python benchmarks/restoration.py set5        # twice as fine: train400, PSNR of the luma of Set5
    python benchmarks/restoration.py sentinel2   # 20 m bands by 10 m bands, T33UUB, Wald's protocol, half of it unseen
    python benchmarks/restoration.py speckle     # one look simulated on ten images of BSD68
    python benchmarks/restoration.py radar       # E-SAR over Munich and Sentinel-1 chips, which have no truth

Each is `geodl train` with a shipped recipe, unless it is done, then `geodl evaluate`. CPU minutes are the training command's
user and system time. Data: the folder named by GEODL_DATA, default ../shared/data.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from harness import provenance, store
from recipes import DATA, evaluate_run, train_run

TRAIN = f"data.images={DATA / 'denoise' / 'train400'}"
FINE, COARSE = ("B04", "B03", "B02", "B08"), ("B05", "B06", "B07", "B8A", "B11", "B12")


def bsd68(runs: Path) -> dict[str, Any]:
    trained = train_run(runs / "denoise", "denoising", [TRAIN, "scoring.whole_numbers=true"])
    found = evaluate_run(runs / "denoise", [f"data.images={DATA / 'denoise' / 'bsd68'}"])
    return {**_short(found), "cpu_minutes": trained["cpu_minutes"]}


def set5(runs: Path) -> dict[str, Any]:
    trained = train_run(runs / "sr", "superresolution", [TRAIN, "data.bands=[luma]"])
    images = f"data.images={DATA / 'superres' / 'set5' / '*_HR.png'}"
    found = evaluate_run(runs / "sr", [images, "scoring.crop=2"], baselines=True)
    return {**_short(found), "cpu_minutes": trained["cpu_minutes"]}


def sentinel2(runs: Path) -> dict[str, Any]:
    """Writes the bands as GeoTIFFs first; their place is made up, their pixel sizes are not."""
    import h5py

    folder = runs / "t33uub"
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(next((DATA / "superres").glob("S2A_*.mat"))) as file:
        for key, names, size in (("im10", FINE, 10), ("im20", COARSE, 20)):
            for name, band in zip(names, np.array(file[key]), strict=True):
                write_band(folder / f"{name}.tif", np.rint(band.T).astype(np.uint16), name, size=size)
    images = ", ".join(f"{name}: {folder / name}.tif" for name in (*FINE, *COARSE))
    split = "data.split={by: blocks, validation: 0, test: 0.5, block: 150, buffer: 8}"
    return _short(train_run(runs / "guided", "superresolution-guided", [f"data.images={{{images}}}", split]))


def speckle(runs: Path) -> dict[str, Any]:
    """The noise of the recipe is made that of the test: one look, white, brightness as it is; and the loss that of PSNR."""
    plain = ["noise.looks=1", "noise.correlation=0", "noise.level=0", "noise.contrast=1", "train.epochs=10"]
    plain += ["loss=[{name: l2, unit: null, scale: [40]}]"]
    trained = train_run(runs / "sar1", "denoising-sar", [TRAIN, "noise.unit=amplitude", *plain])
    images = ", ".join(str(DATA / "denoise" / "bsd68" / f"test{k:03}.png") for k in range(1, 11))
    found = evaluate_run(runs / "sar1", [f"data.images=[{images}]"], baselines=True)
    return {**_short(found), "cpu_minutes": trained["cpu_minutes"]}


def radar(runs: Path) -> dict[str, Any]:
    """Looks and correlation are what the scores take the scenes to have; the network is not told."""
    trained = train_run(runs / "sar", "denoising-sar", [TRAIN, "noise.unit=amplitude"])
    folder = runs / "radar"
    folder.mkdir(parents=True, exist_ok=True)
    write_band(folder / "munich.tif", np.load(DATA / "sar" / "munich.npy"), "HH", unit="intensity")
    chips = folder / "sentinel1"
    chips.mkdir(exist_ok=True)
    for path in sorted((DATA / "segmentation" / "sen1floods11" / "S1").glob("*.tif")):
        # The network learnt from pictures of one band: one polarisation at a time.
        with rasterio.open(path) as file:
            write_band(chips / path.name, file.read(1), "VV", unit="dB")
    found = {}
    for name, images, looks in (("munich", folder / "munich.tif", 3), ("sentinel1", chips, 4.4)):
        asked = [f"data.images={images}", "scoring.reference=none", f"noise.looks={looks}", "noise.correlation=0.7"]
        found[name] = _short(evaluate_run(runs / "sar", asked, baselines=True))
    return {**found, "cpu_minutes": trained["cpu_minutes"]}


def write_band(path: Path, values: np.ndarray, name: str, *, size: int | None = None, unit: str = "") -> None:
    """Writes one band; with a pixel size in metres also a place."""
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(size, 0, 300_000, 0, -size, 5_900_000)} if size else {}
    shape = {"height": values.shape[0], "width": values.shape[1], "dtype": values.dtype}
    with rasterio.open(path, "w", driver="GTiff", count=1, **shape, **place) as file:
        file.write(values, 1)
        file.descriptions, file.units = (name,), (unit,)


def _short(found: dict[str, Any]) -> dict[str, Any]:
    """What is worth keeping of an evaluation."""
    kept = {key: found[key] for key in ("metrics", "protocol", "cpu_minutes") if key in found}
    kept["protocol"] = {key: value for key, value in kept["protocol"].items() if key != "scenes"}
    return {**kept, "baselines": {name: scores["metrics"] for name, scores in found.get("baselines", {}).items()}}


def main() -> None:
    functions = {function.__name__: function for function in (bsd68, set5, sentinel2, speckle, radar)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_set", choices=functions)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks"), help="where the runs are kept")
    arguments = parser.parse_args()
    result = functions[arguments.data_set](arguments.runs.absolute())
    store(f"restoration-{arguments.data_set}", {"data_set": arguments.data_set, **result}, provenance())


if __name__ == "__main__":
    main()
