"""A map made by two processes of this machine against one: `geodl predict --cluster local:2`.

    python benchmarks/cluster.py [--quick] [--busy] [--workers 2]

A scene of 8192 x 8192 pixels (4 bands, uint16, COG) as a command, start of Python and of the workers included, map
written. In turn, two rounds. Beside the seconds on the clock those of processors, of the command with all its children:
they tell what the workers cost where other work shares the machine. All maps are checked to be the same bytes.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from apart import apart
from harness import Check, begin, measure, parser, report, store
from predict import command, write_run, write_scene


def counted(run: Callable[[], None], seconds: list[float]) -> Callable[[], None]:
    """The same, which notes the processor time of the command."""

    def noting() -> None:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    return noting


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--workers", type=int, default=2, help="processes")
    chosen = options.parse_args()
    origin = begin(chosen)
    side = 1024 if chosen.quick else 8192
    os.environ["KERAS_BACKEND"] = "tensorflow"
    where = f"local:{chosen.workers}"
    with tempfile.TemporaryDirectory() as folder:
        run, scene = Path(folder) / "run", Path(folder) / "scene.tif"
        os.environ["GEODL_CACHE"] = str(Path(folder) / "cache")
        apart(write_run, run, 256)
        write_scene(scene, side)
        maps = {name: Path(folder) / f"{k}.tif" for k, name in enumerate(("one process", where))}
        processor: dict[str, list[float]] = {name: [] for name in maps}
        geodl = [str(Path(sys.executable).with_name("geodl")), "predict", str(run)]
        # The network is converted once, into the cache.
        warm = Path(folder) / "warm.tif"
        write_scene(warm, 256)
        subprocess.run([*geodl, str(warm), str(warm.with_name("map.tif")), "--quiet", "--runtime", "auto"], check=True)
        contenders = {
            "one process": counted(command(run, scene, maps["one process"]), processor["one process"]),
            where: counted(command(run, scene, maps[where], "--cluster", where), processor[where]),
        }
        timings = measure(contenders, amounts=side**2 / 1e6, repeat=1 if chosen.quick else 2)
        one, many = (path.read_bytes() for path in maps.values())
        assert one == many, "the maps differ"
    best = {name: max(timing.amount / seconds for seconds in timing.seconds) for name, timing in timings.items()}
    spent = {name: min(each) for name, each in processor.items()}
    checks = [
        Check(f"geodl predict --cluster {where} / one process", best[where] / best["one process"], at_least=0.9),
        Check("the same by processor time", spent["one process"] / spent[where]),
    ]
    protocol = (
        f"U-Net of width 16 and depth 4, 4 bands, 5 classes; scene {side} x {side} uint16, COG, deflate; whole commands, "
        "the better of two rounds; maps the same to the last bit"
    )
    result = report(
        "Mapping on a cluster",
        protocol=protocol,
        timings=list(timings.values()),
        checks=checks,
        processor_seconds={name: [round(each, 2) for each in every] for name, every in processor.items()},
    )
    store("cluster", result, origin, quick=chosen.quick)


if __name__ == "__main__":
    main()
