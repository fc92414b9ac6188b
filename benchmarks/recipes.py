"""Runs of shipped recipes, as commands, with the processor time they took."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("GEODL_DATA", Path(__file__).parents[2] / "shared" / "data"))
GEODL = str(Path(sys.executable).with_name("geodl"))


def train_run(folder: Path, recipe: str, settings: list[str], fold: int | None = None) -> dict[str, Any]:
    """Runs `geodl train`, unless it is done, and returns the run's metrics.json with CPU minutes.

    A run that was interrupted continues; its processor time adds up.
    """
    spent = folder.with_suffix(".cpu.json")
    if not (folder / "network.keras").is_file():
        command = [GEODL, "train", recipe, "--output", str(folder), *_set(settings)]
        command += [] if fold is None else ["--fold", str(fold)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        earlier = json.loads(spent.read_text())["cpu_minutes"] if spent.is_file() else 0.0
        spent.write_text(json.dumps({"cpu_minutes": earlier + seconds / 60}))
    result = json.loads((folder / "metrics.json").read_text())
    return {**result, "cpu_minutes": round(json.loads(spent.read_text())["cpu_minutes"], 1)}


def evaluate_run(folder: Path, settings: list[str], *, baselines: bool = False) -> dict[str, Any]:
    """Runs `geodl evaluate` and returns what it writes with `--json`."""
    target = folder.with_suffix(".evaluation.json")
    command = [GEODL, "evaluate", str(folder), "--json", str(target), *_set(settings)]
    subprocess.run(command + ["--baselines"] * baselines, check=True)
    return json.loads(target.read_text())


def _set(settings: list[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]
