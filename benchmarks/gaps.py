"""What lost dates cost: a network that sees past gaps, and the same one on series whose gaps were filled.

    python benchmarks/gaps.py [--network ltae]

Both learn the same simulated series, one with gaps as they are, one interpolated over time. Then half of the dates of
unseen series are lost; for the second network these, too, are filled again. Three minutes on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import geodl
from geodl.data.folds import PARTS
from geodl.data.series import SeriesTable, fill_gaps
from geodl.data.simulate import simulate_series
from geodl.inference.series import SeriesClassifier
from geodl.pipelines.demos.crops import long_frame

_COUNTS = {"train": 1600, "validation": 400, "test": 1000}
_LOST = 0.5


def main() -> None:
    """Trains both and prints what each loses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="ltae", help="lstm, gru, tempcnn, inception, transformer or ltae")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    tables = {part: simulate_series(_COUNTS[part], seed=asked.seed, part=part) for part in PARTS}
    lost = np.random.default_rng(asked.seed).random(tables["test"].values.shape[:2]) < _LOST
    with tempfile.TemporaryDirectory() as folder:
        for name, prepared in (("sees past gaps", _as_it_is), ("gaps filled", _filled)):
            path = Path(folder) / f"{prepared.__name__}.parquet"
            _write(path, {part: prepared(table) for part, table in tables.items()})
            run = geodl.train(
                "crops-demo",
                {
                    "seed": asked.seed,
                    "data.series": str(path),
                    "data.clouds": None,
                    "network": {"name": asked.network},
                    "augment": {"noise": 0.1, "shift": 4},
                    "verification": {"early_season": 0, "importance": 0, "baselines": []},
                },
                output=Path(folder) / prepared.__name__,
            )
            test, model = tables["test"], run.predictor
            thinned = replace(test, values=np.where(lost[..., None], np.nan, test.values).astype(np.float32))
            whole, half = (_accuracy(model, prepared(table)) for table in (test, thinned))
            print(f"{name:16} all dates {whole:.4f}   half of them {half:.4f}   cost {whole - half:.4f}", flush=True)


def _as_it_is(table: SeriesTable) -> SeriesTable:
    return table


def _filled(table: SeriesTable) -> SeriesTable:
    filled = fill_gaps(table.values, table.days)
    return replace(table, values=np.where(np.isfinite(table.days)[..., None], filled, np.nan).astype(np.float32))


def _write(path: Path, tables: dict[str, SeriesTable]) -> None:
    import pandas as pd

    frames = [long_frame(table, part).drop(columns="cloud") for part, table in tables.items()]
    pd.concat(frames).to_parquet(path, index=False)


def _accuracy(model: SeriesClassifier, table: SeriesTable) -> float:
    said = model.predict(replace(table, labels=None, classes=()))["class"].to_numpy()
    assert table.labels is not None
    truth = np.array([info.name for info in table.classes])[table.labels]
    return float((said == truth).mean())


if __name__ == "__main__":
    main()
