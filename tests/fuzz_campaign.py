"""Reads thousands of damaged files and reports what was neither read nor refused by a sentence.

python -m tests.fuzz_campaign --mutants 2000 --seed 1 --keep findings/ shared/data/scenes/cog_cases/*.tif
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random

from tests.data.fuzz import Specimen, crafted, mutate, specimens
from tests.data.fuzz_child import Child, Outcome

__all__ = ("campaign", "is_finding", "mutants")

_TASKS = ("read", "info", "predict")


def campaign(
    files: Iterable[Specimen], folder: Path, *, child: Child | None = None, tasks: Sequence[str] = _TASKS
) -> Iterator[tuple[Specimen, str, Outcome]]:
    """Does every task with every file, in a process apart.

    Args:
        files: damaged (or not).
        folder: for the files; each is removed after its turn.
        child: the process; default: one of its own.
        tasks: of `fuzz_child`.

    Yields:
        The file, the task and what came of it.
    """
    if child is None:
        with Child(folder) as child:
            yield from campaign(files, folder, child=child, tasks=tasks)
        return
    for specimen in files:
        # Another folder for each: what is cached by path must not answer for the next one.
        place = Path(tempfile.mkdtemp(dir=folder))
        path = specimen.write(place)
        for task in tasks:
            yield specimen, task, child.run(task, path)
        shutil.rmtree(place)


def is_finding(outcome: Outcome) -> bool:
    """Says whether an outcome is neither values nor a sentence."""
    return outcome["kind"] not in ("values", "refused")


def mutants(originals: Sequence[Specimen], number: int, *, seed: int) -> Iterator[Specimen]:
    """Damages originals in turn, reproducibly."""
    for k in range(number):
        yield mutate(originals[k % len(originals)], Random(f"{seed} {k}"))


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="originals; default: small ones that are written here")
    parser.add_argument("--mutants", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=20, help="seconds for a task")
    parser.add_argument("--tasks", default=",".join(_TASKS))
    parser.add_argument("--keep", type=Path, help="folder for the files that were findings")
    parser.add_argument("--crafted", action="store_true", help="the files made by hand, instead of mutants")
    asked = parser.parse_args()
    counts: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    slowest = (0.0, "")
    with tempfile.TemporaryDirectory() as scratch, Child(Path(scratch), limit=asked.limit) as child:
        files: Iterable[Specimen] = crafted()
        if not asked.crafted:
            originals = [Specimen(path.name, path.name, {path.name: path.read_bytes()}) for path in asked.files]
            files = mutants(originals or specimens(Path(scratch)), asked.mutants, seed=asked.seed)
        for specimen, task, outcome in campaign(files, Path(scratch), child=child, tasks=asked.tasks.split(",")):
            counts[f"{task}: {outcome['kind']}"] += 1
            slowest = max(slowest, (outcome["seconds"], f"{task} {specimen.label}"))
            if is_finding(outcome):
                text = f"{outcome['detail']}\n{outcome['noise']}".strip()
                key = re.sub(r"/\S+|0x[0-9a-f]+|\d+", "#", " ".join(text.splitlines()[-8:]))[-400:]
                seen[key] += 1
                if seen[key] <= 2:
                    print(
                        f"--- {task}, {outcome['kind']}, {outcome['seconds']} s: {specimen.label}\n{text[-2500:]}",
                        flush=True,
                    )
                    if asked.keep:
                        specimen.write(asked.keep / f"{sum(seen.values()):05d}")
    for name, count in sorted(counts.items()):
        print(f"{count:7d} {name}")
    print(f"{sum(counts.values())} tasks, {sum(seen.values())} findings of {len(seen)} kinds; slowest: {slowest}")


if __name__ == "__main__":
    _main()
