"""How everything here is measured: contenders in turn, in one run, on a machine that does nothing else.

A ratio is always one of medians from the same run. Results are JSON files in benchmarks/results/, each with the machine,
the versions and the commit; `python benchmarks/table.py` makes the tables of docs/benchmarks.md of them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ("RESULTS", "Check", "Timing", "begin", "measure", "parser", "provenance", "report", "store")

RESULTS = Path(__file__).parent / "results"
_QUIET = 0.5
"""Greatest load (runnable processes, mean of a minute) at which measuring may begin."""
_PATIENCE = 300
"""Seconds to wait for that: what ran before leaves a load that takes minutes to fade."""
_PACKAGES = (
    "geodl", "keras", "tensorflow", "numpy", "rasterio", "onnxruntime", "openvino", "torch", "torchgeo",
    "torchdiffeq", "diffrax", "jax",
)  # fmt: skip


@dataclass(frozen=True)
class Timing:
    """What was measured of one contender."""

    name: str
    seconds: tuple[float, ...]
    """One for each round."""
    amount: float | None = None
    """Work done in each round, in `unit`; None: the time itself is what matters."""
    unit: str = "Mpx"

    @property
    def median(self) -> float:
        """Median of the seconds."""
        return statistics.median(self.seconds)

    @property
    def rate(self) -> float:
        """Work per second, by the median."""
        assert self.amount is not None
        return self.amount / self.median

    def to_json(self) -> dict[str, Any]:
        """Returns the fields, the median and, where there is an amount, the rate."""
        rate = {} if self.amount is None else {"rate": round(self.rate, 4)}
        seconds = [round(value, 4) for value in self.seconds]
        return {**asdict(self), "seconds": seconds, "median": round(self.median, 4), **rate}


@dataclass(frozen=True)
class Check:
    """A figure that was asked for beforehand, and what was found."""

    name: str
    value: float
    at_least: float | None = None
    at_most: float | None = None
    aim: float | None = None
    """What is hoped for beyond that."""
    unit: str = ""

    @property
    def passes(self) -> bool:
        """Whether the value lies within the limits."""
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the fields and whether it passes."""
        return {**asdict(self), "value": round(self.value, 4), "passes": self.passes}


def measure(
    contenders: Mapping[str, Callable[[], float | None]],
    *,
    repeat: int = 3,
    amounts: Mapping[str, float] | float | None = None,
    unit: str = "Mpx",
) -> dict[str, Timing]:
    """Runs contenders in turn, A B C A B C …, so that a slow minute of the machine falls on all of them.

    Args:
        contenders: what to run; one that returns seconds has measured itself (such as `Apart`). They are warm already.
        repeat: rounds.
        amounts: work that each does in a round, in `unit`; None: no rates.
        unit: of the amounts.

    Returns:
        Timings by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repeat):
        for name, run in contenders.items():
            begin = time.perf_counter()
            own = run()
            seconds[name].append(time.perf_counter() - begin if own is None else own)
            print(f"  {turn + 1}/{repeat} {name}: {seconds[name][-1]:.2f} s", file=sys.stderr, flush=True)
    given = {name: amounts[name] if isinstance(amounts, Mapping) else amounts for name in contenders}
    return {name: Timing(name, tuple(taken), given[name], unit) for name, taken in seconds.items()}


def parser(description: str | None) -> argparse.ArgumentParser:
    """Returns the command line that all benchmarks have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs; nothing is stored")
    made.add_argument("--busy", action="store_true", help="measure although the machine has other work; it is noted")
    return made


def begin(options: argparse.Namespace) -> dict[str, Any]:
    """Waits until the machine is quiet and returns the `provenance` of what is measured from then on.

    Raises:
        SystemExit: it does not get quiet, and neither `--busy` nor `--quick` was given.
    """
    deadline = time.monotonic() + _PATIENCE
    while os.getloadavg()[0] > _QUIET and not (options.quick or options.busy):
        if time.monotonic() > deadline:
            raise SystemExit(
                f"This machine has other work: its load is {os.getloadavg()[0]:.2f}, expected at most {_QUIET}. "
                "Stop that work, or measure all the same with --busy."
            )
        print(f"Waiting for a load of {_QUIET}; it is {os.getloadavg()[0]:.2f}.", file=sys.stderr, flush=True)
        time.sleep(15)
    return provenance()


def provenance() -> dict[str, Any]:
    """Returns what a figure depends on besides the benchmark: date, commit, machine, versions."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": _commit(),
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "system": f"{platform.system()} {platform.machine()}",
            "load_before": round(os.getloadavg()[0], 2),
        },
        "versions": {"python": platform.python_version(), **dict(_versions())},
    }


def report(
    title: str, *, protocol: str, timings: Sequence[Timing], checks: Sequence[Check], **more: Any
) -> dict[str, Any]:
    """Returns a result as it is stored and made into tables.

    Args:
        title: heading of its table.
        protocol: how it was measured.
        timings: of all contenders.
        checks: figures that were asked for beforehand.
        more: whatever else is to be kept, such as sizes; JSON-serialisable.
    """
    return {
        "title": title,
        "protocol": protocol,
        **more,
        "timings": [timing.to_json() for timing in timings],
        "checks": [check.to_json() for check in checks],
    }


def store(name: str, result: Mapping[str, Any], origin: Mapping[str, Any], *, quick: bool = False) -> None:
    """Prints a result with its `provenance` as JSON and, unless it was a quick look, keeps it as results/NAME.json."""
    text = json.dumps({"benchmark": name, **origin, **result}, indent=2, ensure_ascii=False)
    print(text)
    if not quick:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _commit() -> str:
    """The commit that is checked out, with a plus where files of it were changed; empty outside a repository."""

    def git(*words: str) -> str:
        run = subprocess.run(["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
        return run.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + "+" * bool(git("status", "--porcelain", "--untracked-files=no"))


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", described.read_text(), re.M) if described.is_file() else None
    return found[1] if found else platform.processor()


def _versions() -> Iterator[tuple[str, str]]:
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue
