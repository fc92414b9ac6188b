"""How long geodl takes to answer: `geodl --help` and `import geodl`.

    python benchmarks/startup.py [--quick] [--busy]

Each is a process of its own, five times in turn, files warm in the system's cache. Beside them the bare interpreter, and
the ten imports that cost `geodl --help` most.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from harness import Check, begin, measure, parser, report, store

GEODL = str(Path(sys.executable).with_name("geodl"))
CONTENDERS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import geodl": [sys.executable, "-c", "import geodl"],
    "geodl --help": [GEODL, "--help"],
    "geodl predict --help": [GEODL, "predict", "--help"],
}


def run(command: list[str]) -> Callable[[], None]:
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL) and None


def slowest_imports(command: list[str], most: int = 10) -> list[tuple[str, float]]:
    """Returns the modules whose own code took longest to import, with their milliseconds."""
    words = [sys.executable, "-X", "importtime", *command]
    text = subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True).stderr
    found = re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$", text, re.M)
    return sorted(((name, int(own) / 1000) for own, name in found), key=lambda item: -item[1])[:most]


def main() -> None:
    chosen = parser(__doc__).parse_args()
    contenders = {name: run(command) for name, command in CONTENDERS.items()}
    for warm in contenders.values():
        warm()
    origin = begin(chosen)
    timings = measure(contenders, repeat=2 if chosen.quick else 5)
    checks = [
        Check("geodl --help", timings["geodl --help"].median, at_most=0.5, unit="s"),
        Check("import geodl", timings["import geodl"].median, at_most=0.2, unit="s"),
    ]
    protocol = "a process of its own each time, warm; seconds with the start of Python"
    result = report(
        "Starting",
        protocol=protocol,
        timings=list(timings.values()),
        checks=checks,
        slowest_imports_ms=dict(slowest_imports([GEODL, "--help"])),
    )
    store("startup", result, origin, quick=chosen.quick)


if __name__ == "__main__":
    main()
