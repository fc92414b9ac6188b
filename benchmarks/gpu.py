"""How fast networks are trained on an accelerator, what share of its peak that is, and whether the input keeps up.

    python benchmarks/gpu.py [--toolkits jax plain torch] [--cases unet-256 …] [--minutes 8] [--json FILE] [--tiny]

A U-Net of width 64 (4 bands, 256²; 10 bands, 512²) and the encoder–forecaster of `convlstm.py`, in float32 (with TF32,
which JAX uses by itself and torch is allowed) and with 16-bit layers, by `geodl.training.fit` on JAX and on torch, and by
a plain loop in torch: `channels_last`, fused AdamW, as it is and through `torch.compile`.

Share of the peak: the arithmetic that `flops.py` counts, by the time of a step, by what products of large matrices reach
on the same device in the same type. Input: batches that lie on the device; batches in the machine's memory; and those that
`Batches` cuts out of a GeoTIFF scene with the shipped recipe's augmentation, by as many threads as it takes by default, and
by one for each core. Where the last are slower than the first by more than 5 per cent, the input is what limits.

Each toolkit and network has a process of its own, one after the other, on a device that does nothing else; median of three
rounds, in which the kinds of input take turns. Lines are printed as they are found, and FILE is written after each process.
Nothing is begun that would end after so many minutes; what is left out is named.

TensorFlow is not needed, nor is geodl installed: from the repository's root, on a machine with a GPU that has JAX and
torch, and keras, pydantic, pyyaml, rich, scipy, rasterio, pyproj, shapely, geopandas and pyogrio:

    python3 benchmarks/gpu.py --minutes 8 --json gpu.json

`--tiny` takes networks and images so small that it runs on processors, to see that it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gpu_cases import CASES, tiny
from gpu_work import ROUNDS, TOOLKITS, found_peaks, work
from harness import RESULTS, Check, Timing, provenance, report

LIMITED = 1.05
"""By how much slower than from the device a step must be to be called limited by its input."""
_ROOT = Path(__file__).resolve().parents[1]


def child(toolkit: str, case: str, *, until: float, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Runs a part of this file in a process of its own and yields the lines that it prints."""
    words = [sys.executable, __file__, "--worker", toolkit, "--until", str(until), "--cases", case]
    words += ["--tiny"] * options.tiny + ["--toolkits", *options.toolkits]
    paths = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax" if toolkit == "jax" else "torch",
        "PYTHONPATH": paths,
        "PYTHONUNBUFFERED": "1",
    }
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                yield json.loads(line)
    if process.returncode:
        yield {"left_out": f"{toolkit}, {case}: its process ended with {process.returncode}; see above"}


def summary(rows: Sequence[Mapping[str, Any]], left_out: Sequence[str], device: str, peaks: Any) -> dict[str, Any]:
    """Returns the result as `harness` stores it."""
    timings = [
        Timing(
            f"{row['case']}, {row['precision']}, {row['toolkit']}, input from {row['input']}",
            tuple(row["seconds"]),
            row["batch"],
            "samples",
        )
        for row in rows
    ]
    medians = {
        (row["case"], row["precision"], row["toolkit"], row["input"]): statistics.median(row["seconds"]) for row in rows
    }
    checks = []
    for (case, precision, toolkit, feed), seconds in medians.items():
        compiled = medians.get((case, precision, "torch, compiled", "device"))
        held = medians.get((case, precision, toolkit, "device"))
        if feed == "device" and toolkit.startswith("geodl") and compiled:
            checks.append(Check(f"{case}, {precision}: {toolkit} / torch, compiled", compiled / seconds, aim=1.0))
        if feed.startswith("scene") and held:
            checks.append(
                Check(f"{case}, {precision}, {toolkit}: a step fed by {feed} / from the device", seconds / held)
            )
    protocol = f"{device}; medians of {ROUNDS}; float32 with TF32; peaks measured by products of matrices"
    shares = {"peaks": peaks, "rows": list(rows), "left_out": list(left_out)}
    return report("Training on an accelerator", protocol=protocol, timings=timings, checks=checks, **shares)


def line(row: Mapping[str, Any], peaks: Mapping[str, float]) -> str:
    """Returns a row of the table."""
    seconds = statistics.median(row["seconds"])
    cells = [row["case"], row["toolkit"], row["precision"], row["input"]]
    cells += [f"{1e3 * seconds:.2f}", f"{row['batch'] / seconds:.1f}"]
    if "flops" in row:
        rate = row["flops"] / seconds
        cells += [f"{rate / 1e12:.3g}", f"{100 * rate / peaks[row['precision']]:.1f} %"]
    return "| " + " | ".join(cells) + " |"


HEADER = (
    "| case | toolkit | precision | input from | ms/step | samples/s | TFLOP/s | of the peak |\n"
    "|---|---|---|---|---:|---:|---:|---:|"
)


def drive(options: argparse.Namespace) -> None:
    """Measures everything, prints it as it comes, and stores it."""
    deadline = time.time() + 60 * options.minutes
    origin = _origin()
    found: list[dict[str, Any]] = []
    left_out: list[str] = []
    device, peaks = "unknown device", {}
    for told in child("peak", "", until=deadline, options=options):
        device, peaks = told.get("device", device), told.get("peaks", peaks)
    print(f"{device}: " + ", ".join(f"{name} {rate / 1e12:.3g} TFLOP/s" for name, rate in peaks.items()), flush=True)
    for name in options.cases:
        case = tiny(CASES[name]) if options.tiny else CASES[name]
        for toolkit in options.toolkits:
            rows = []
            for told in child(toolkit, name, until=deadline - 20, options=options):
                if "left_out" in told:
                    left_out.append(told["left_out"])
                    print(f"left out: {told['left_out']}", flush=True)
                elif "flops" in told:
                    rows = [{**row, **told} for row in rows]
                else:
                    rows.append({"case": name, "batch": case.batch, **told})
                    print(line(rows[-1], peaks), flush=True)
            found += rows
            if options.json is not None:
                result = {"benchmark": "gpu", **origin, **summary(found, left_out, device, peaks)}
                options.json.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print("\n" + "\n".join([HEADER, *(line(row, peaks) for row in found)]))
    for check in summary(found, left_out, device, peaks)["checks"]:
        limited = " (limited by its input)" * ("fed by" in check["name"] and check["value"] > LIMITED)
        print(f"{check['name']}: {check['value']:.2f}{limited}")
    for sentence in left_out:
        print(f"left out: {sentence}")


def _origin() -> dict[str, Any]:
    """Says where and with what this runs; without git and without versions where there are none."""
    try:
        origin = provenance()
    except FileNotFoundError:
        origin = {"versions": {}}
    for package in ("jax", "jaxlib", "keras", "torch"):
        try:
            origin["versions"][package] = version(package)
        except PackageNotFoundError:
            continue
    return origin


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--toolkits", nargs="+", choices=TOOLKITS, default=list(TOOLKITS))
    options.add_argument("--cases", nargs="+", default=list(CASES), metavar="CASE", help=", ".join(CASES))
    options.add_argument("--minutes", type=float, default=8.0, help="after which nothing is begun")
    options.add_argument("--json", type=Path, help="file for the result (default: results/gpu.json; none with --tiny)")
    options.add_argument("--tiny", action="store_true", help="so small that processors will do, to see that it runs")
    options.add_argument("--worker", help=argparse.SUPPRESS)
    options.add_argument("--until", type=float, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.worker is None:
        unknown = set(chosen.cases) - set(CASES)
        if unknown:
            options.error(f"no such case: {', '.join(unknown)}")
        if chosen.json is None and not chosen.tiny:
            chosen.json = RESULTS / "gpu.json"
        drive(chosen)
    elif chosen.worker == "peak":
        print(json.dumps(found_peaks(256 if chosen.tiny else 8192)))
    else:
        (name,) = chosen.cases
        case = tiny(CASES[name]) if chosen.tiny else CASES[name]
        # What the input costs is the same whatever Keras' backend: once is enough.
        inputs = chosen.worker == next(kind for kind in chosen.toolkits if kind != "plain")
        for told in work(chosen.worker, case, chosen.until, inputs=inputs):
            print(json.dumps(told))


if __name__ == "__main__":
    main()
