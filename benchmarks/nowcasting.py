"""Nowcasting on real radar: trains, verifies, and stores the figures as small JSON in benchmarks/results/.

    python benchmarks/nowcasting.py

The first halves of four events are learnt from, their second halves and a fifth event are scored: `geodl train` with the
shipped recipe, unless it is done, then `geodl evaluate` twice, and the sum of both. It needs pysteps, for two of the radar
formats and three of the baselines. CPU minutes are the training command's user and system time. Data: the folder named by
GEODL_DATA, default ../shared/data.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from harness import provenance, store
from recipes import DATA, evaluate_run, train_run

from geodl.metrics.bootstrap import intervals, paired_difference
from geodl.metrics.pooling import combine

RADAR = DATA / "radar"
EVENTS = ("bom_2020", "knmi_2010", "fmi_2016", "mch_2015")
UNSEEN = "mch_2016"
COMMON = [
    "data.step=10",
    "data.resolution=1000",
    "data.resample=average",
    "verification.complete=false",
    "verification.stride=4",
]
LEAD = 2
"""Position of +30 minutes."""


def real(runs: Path, settings: list[str]) -> dict[str, Any]:
    events = f"data.sequences=[{', '.join(str(RADAR / event) for event in EVENTS)}]"
    halves = "data.split={by: time, validation: 0.15, test: 0.5}"
    trained = train_run(runs / "now", "nowcasting", [events, halves, *COMMON, *settings])
    halves_scored = evaluate_run(runs / "now", [])
    unseen_scored = evaluate_run(runs / "now", [f"data.sequences={RADAR / UNSEEN}", *COMMON])
    found: dict[str, Any] = {"cpu_minutes": trained["cpu_minutes"], "lead_minutes": 10 * (LEAD + 1)}
    for name, scored in (
        ("second halves", [halves_scored]),
        (UNSEEN, [unseen_scored]),
        ("all", [halves_scored, unseen_scored]),
    ):
        methods = {"nowcasting": combine(*(one["details"] for one in scored))}
        for method in scored[0]["baselines"]:
            methods[method] = combine(*(one["baselines"][method]["details"] for one in scored))
        found[name] = {method: csi(details) for method, details in methods.items()}
        own = methods["nowcasting"]
        found[name]["nowcasting"]["interval"] = [rates[LEAD][1:] for rates in intervals(own)["leads"]]
        for method, details in methods.items():
            if method != "nowcasting":
                ahead = paired_difference(own, details)["leads"]
                found[name][method]["nowcasting ahead by"] = [rates[LEAD] for rates in ahead]
        found[name]["forecasts"] = own["samples"]
    return found


def csi(details: dict[str, Any]) -> dict[str, Any]:
    """Critical success index of each threshold, and their mean, at one lead time."""
    values = details["leads"][LEAD]["csi"]
    return {"thresholds": details["thresholds"], "csi": values, "mean": sum(values) / len(values)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks"), help="where the runs are kept")
    parser.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="of the training"
    )
    arguments = parser.parse_args()
    result = real(arguments.runs.absolute(), arguments.settings)
    store("nowcasting-radar", {"data_set": "radar", **result}, provenance())


if __name__ == "__main__":
    main()
