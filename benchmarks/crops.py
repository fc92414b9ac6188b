"""Real crop sequences: trains by the shipped recipe, scores and maps, and stores the figures as JSON in benchmarks/results/.

    python benchmarks/crops.py ucr          # UCR Crop, official test: mean and spread over seeds, and their mean probability
    python benchmarks/crops.py mato-grosso  # five folds by 0.5 degree blocks, and five by year: macro F1, pooled
    python benchmarks/crops.py formosat     # 20 series a class, unseen polygons
    python benchmarks/crops.py cbers        # NDVI of 850 points → a map of 1000 × 1000 pixels × 12 dates

Each run is `geodl train crops` in a process of its own; CPU minutes are that process's user and system time. A finished run
is not made again and an interrupted one continues. With aeon installed (the peers' environment) MiniRocket stands beside.
Data: the folder named by GEODL_DATA, default ../shared/data.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
from harness import provenance, store
from recipes import DATA, GEODL, train_run

_SEEDS = 5
_FOLDS = 5
_BRIEF = ["verification.early_season=0", "verification.importance=0"]
_CBERS_DATES = (
    "[2018-08-29,2018-09-30,2018-11-01,2018-12-03,2019-01-01,2019-02-02,"
    "2019-03-06,2019-04-07,2019-05-09,2019-06-10,2019-07-12,2019-08-13]"
)


def ucr(runs: Path, settings: list[str], seeds: int) -> dict[str, Any]:
    """The official test part; the training part holds 80 % of the archive's, the rest chooses the epoch."""
    import geodl
    from geodl.data.series import open_series

    path = DATA / "crops" / "ucr_crop" / "ucr_crop.npz"
    table = open_series(path)
    assert table.parts is not None and table.labels is not None
    test = table.take(table.parts == "test")
    each, told = [], []
    for seed in range(seeds):
        folder = runs / f"ucr-seed{seed}"
        given = [f"data.series={path}", f"seed={seed}", *_BRIEF, *settings]
        if seed:
            given.append("verification.baselines=[nearest]")
        result = train_run(folder, "crops", given)
        each.append({"seed": seed, "accuracy": result["metrics"]["accuracy"], "cpu_minutes": result["cpu_minutes"]})
        if not seed:
            baselines = {name: scores["metrics"]["accuracy"] for name, scores in result["baselines"].items()}
        said = geodl.load(folder, runtime="keras").predict(test, probabilities=True)
        told.append(said.filter(regex="^probability_").to_numpy())
    found = np.array([run["accuracy"] for run in each])
    together = np.mean(told, axis=0).argmax(1) == test.labels
    return {
        "protocol": "fitted on 80 % of the official training part, best epoch on the rest; 12600 series of the official test",
        "mean_accuracy": float(found.mean()),
        "std_accuracy": float(found.std(ddof=1)) if seeds > 1 else None,
        "ensemble_accuracy": float(together.mean()),
        "baselines": baselines,
        "seeds": each,
    }


def mato_grosso(runs: Path, settings: list[str], seeds: int) -> dict[str, Any]:
    """Macro F1 of the confusion matrices summed over the folds, by blocks and by years."""
    found: dict[str, Any] = {
        "protocol": "5 folds each, reported only; 1500 steps; macro F1 of the summed confusion matrix"
    }
    for by in ("blocks", "year"):
        totals: dict[str, np.ndarray] = {}
        for fold in range(_FOLDS):
            given = [
                f"data.series={DATA / 'crops' / 'modis_mato_grosso.npz'}",
                f"data.split.by={by}",
                "train.epochs=10",
                *_BRIEF,
                *settings,
            ]
            result = train_run(runs / f"mato-grosso-{by}-fold{fold}", "crops", given, fold)
            for name, scores in [("network", result), *result["baselines"].items()]:
                totals[name] = totals.get(name, 0) + np.array(scores["details"]["confusion"])
        found[by] = {
            name: {"macro_f1": _macro_f1(total), "accuracy": _accuracy(total)} for name, total in totals.items()
        }
    return found


def formosat(runs: Path, settings: list[str], seeds: int) -> dict[str, Any]:
    """A few series of many dates."""
    given = [
        f"data.series={DATA / 'crops' / 'formosat_csv'}",
        "data.label_column=column_1",
        "data.columns=[column_2]",
        "data.bands=[green, red, nir]",
        "train.epochs=10",
        *_BRIEF,
        *settings,
    ]
    result = train_run(runs / "formosat", "crops", given)
    return {
        "protocol": "official files, which share no polygon; best epoch on a fifth of the training file's polygons",
        **{key: result[key] for key in ("metrics", "baselines", "cpu_minutes")},
    }


def cbers(runs: Path, settings: list[str], seeds: int) -> dict[str, Any]:
    """Points of one table, a map of another source: the files state no scale, the table holds NDVI."""
    given = [
        f"data.series={DATA / 'crops' / 'cbers_bahia_points.npz'}",
        "data.bands=[NDVI]",
        f"data.dates={_CBERS_DATES}",
        "train.epochs=10",
        *_BRIEF,
        *settings,
    ]
    result = train_run(runs / "cbers", "crops", given)
    cube, target = DATA / "timeseries" / "cbers_ndvi_cube", runs / "cbers-map.tif"
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        command = [GEODL, "predict", str(runs / "cbers"), str(cube), str(target)]
        subprocess.run([*command, "--scale", "0.0001", "--confidence", "--overwrite"], check=True)
        seconds.append(round(time.perf_counter() - begin, 1))
    return {
        "protocol": "whole command, first with the conversion of the network, then without; 1000 × 1000 pixels, 12 dates",
        "seconds": seconds,
        **{key: result[key] for key in ("metrics", "baselines", "cpu_minutes")},
    }


def _macro_f1(confusion: np.ndarray) -> float:
    hit, total = np.diagonal(confusion), confusion.sum(0) + confusion.sum(1)
    return float(np.mean(2 * hit[total > 0] / total[total > 0]))


def _accuracy(confusion: np.ndarray) -> float:
    return float(np.trace(confusion) / confusion.sum())


def main() -> None:
    """Runs one of them."""
    functions = {"ucr": ucr, "mato-grosso": mato_grosso, "formosat": formosat, "cbers": cbers}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_set", choices=tuple(functions))
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks"), help="where the runs are kept")
    parser.add_argument("--seeds", type=int, default=_SEEDS, help="of ucr")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="overrides of the shipped recipe")
    arguments = parser.parse_args()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    result = functions[arguments.data_set](arguments.runs, arguments.settings, arguments.seeds)
    content = {"data_set": arguments.data_set, "overrides": arguments.settings, **result}
    store(f"crops-{arguments.data_set}", content, provenance())


if __name__ == "__main__":
    main()
