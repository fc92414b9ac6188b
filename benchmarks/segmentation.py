"""Real segmentation data: trains, scores and maps, and stores the figures as small JSON in benchmarks/results/.

    python benchmarks/segmentation.py kampala        # 5 folds by parent block; building IoU
    python benchmarks/segmentation.py sen1floods11   # leave one chip out; water IoU pooled over India, Nigeria and Spain
    python benchmarks/segmentation.py carolina       # polygons in another CRS → a map of the whole scene

Each fold is `geodl train` with the shipped recipe in a process of its own; CPU minutes are that process's user and system
time. A finished fold is not run again and an interrupted one continues, so the same command can be repeated.
Data: the folder named by GEODL_DATA, default ../shared/data.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from harness import provenance, store
from recipes import DATA, GEODL, train_run

FLOOD_POOL = ("India", "Nigeria", "Spain")


def train_fold(runs: Path, name: str, fold: int | None, settings: list[str]) -> dict[str, Any]:
    """Runs `geodl train segmentation` for one fold; see `train_run`."""
    return train_run(runs / (name if fold is None else f"{name}-fold{fold}"), "segmentation", settings, fold)


def pooled_iou(confusions: list[list[list[int]]], index: int) -> float:
    """Intersection over union of one class from summed confusion matrices."""
    total = np.sum(confusions, axis=0)
    return float(total[index, index] / (total[index].sum() + total[:, index].sum() - total[index, index]))


def kampala(runs: Path, settings: list[str]) -> dict[str, Any]:
    """Five folds, each an unseen block of 4 × 4 chips."""
    folder = DATA / "segmentation" / "kampala_buildings"
    common = [
        f"data.images={folder / 'images'}",
        f"data.labels={folder / 'labels'}",
        "data.classes=[background, building]",
        r"data.split={by: group, pattern: 'OAM-(\d+)-(\d+)', divide: 4, folds: 5}",
        *settings,
    ]
    folds = []
    for fold in range(5):
        result = train_fold(runs, "kampala", fold, common)
        folds.append(
            {
                "fold": fold,
                "iou_building": result["metrics"]["iou/building"],
                "f1_building": result["metrics"]["f1/building"],
                "forest_iou_building": result["baselines"]["forest"]["metrics"]["iou/building"],
                "cpu_minutes": result["cpu_minutes"],
            }
        )
    return {
        "protocol": "5 folds by parent block (x>>2, y>>2), 64 chips to train on, 16 unseen; data-set-level IoU; last epoch",
        "mean_iou_building": float(np.mean([fold["iou_building"] for fold in folds])),
        "mean_forest_iou_building": float(np.mean([fold["forest_iou_building"] for fold in folds])),
        "folds": folds,
    }


def sen1floods11(runs: Path, settings: list[str]) -> dict[str, Any]:
    """Nine folds, each one chip."""
    folder = DATA / "segmentation" / "sen1floods11"
    common = [
        f"data.images={folder / 'S1'}",
        f"data.labels={folder / 'labels'}",
        r"data.match=^(.+_\d+)_",
        "data.classes=[land, water]",
        "data.split={by: file, folds: 9}",
        *settings,
    ]
    names = sorted(path.name.removesuffix("_S1Hand.tif") for path in (folder / "S1").glob("*.tif"))
    chips = []
    for fold, name in enumerate(names):
        result = train_fold(runs, "sen1floods11", fold, common)
        chips.append(
            {
                "chip": name,
                "iou_water": result["metrics"]["iou/water"],
                "forest_iou_water": result["baselines"]["forest"]["metrics"]["iou/water"],
                "confusion": result["details"]["confusion"],
                "forest_confusion": result["baselines"]["forest"]["details"]["confusion"],
                "cpu_minutes": result["cpu_minutes"],
            }
        )
    pool = [chip for chip in chips if chip["chip"].startswith(FLOOD_POOL)]
    return {
        "protocol": "leave one chip out, Sentinel-1 VV and VH; last epoch; pooled over the chips of India, Nigeria and Spain",
        "pooled_iou_water": pooled_iou([chip["confusion"] for chip in pool], 1),
        "pooled_forest_iou_water": pooled_iou([chip["forest_confusion"] for chip in pool], 1),
        "chips": chips,
    }


def carolina(runs: Path, settings: list[str]) -> dict[str, Any]:
    """One scene of eight files, 23 polygons in another CRS, a map of all of it."""
    folder = DATA / "scenes" / "carolina_sentinel2"
    common = [
        f"data.images={folder / 'B0?.tif'}",
        "data.stack=bands",
        f"data.labels={folder / 'landcover' / 'rcr_landcover.shp'}",
        *settings,
    ]
    result = train_fold(runs, "carolina", None, common)
    target = runs / "carolina-map.tif"
    if not target.is_file():
        command = [
            GEODL,
            "predict",
            str(runs / "carolina"),
            str(folder / "B0?.tif"),
            str(target),
        ]
        subprocess.run([*command, "--stack", "--confidence"], check=True)
    return {
        "protocol": "held-out polygons, stratified by class; scores on their pixels",
        **{key: result[key] for key in ("metrics", "baselines", "details", "cpu_minutes")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_set", choices=("kampala", "sen1floods11", "carolina"))
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks"), help="where the runs are kept")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="overrides of the shipped recipe")
    arguments = parser.parse_args()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    functions = {"kampala": kampala, "sen1floods11": sen1floods11, "carolina": carolina}
    result = functions[arguments.data_set](arguments.runs, arguments.settings)
    name = f"segmentation-{arguments.data_set}"
    store(name, {"data_set": arguments.data_set, "overrides": arguments.settings, **result}, provenance())


if __name__ == "__main__":
    main()
