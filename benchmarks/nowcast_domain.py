"""A forecast of a large domain: seconds and memory.

    python benchmarks/nowcast_domain.py [--busy]

1226 x 760 pixels, 12 lead times, the network of the shipped recipe after one step, in a process of its own, after the
network was loaded (and converted, where a faster runtime is installed). Each of three forecasts is timed from frames in
memory to the forecast in memory, the motion of the rain included; the peak is that of the whole process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import Check, Timing, begin, parser, report, store
from memory import peak_bytes

FRAMES, LEADS, HEIGHT, WIDTH = 4, 12, 1226, 760


def write_run(folder: Path) -> None:
    """Leaves simulated rain and a bundle."""
    import geodl
    from geodl.data.simulate.rain import simulate_rain

    rain = simulate_rain((HEIGHT, WIDTH), FRAMES + LEADS, seed=0)
    rain.to_netcdf(folder / "rain.nc", engine="h5netcdf")
    settings = {
        "data.sequences": str(folder / "rain.nc"), "clip": {"frames": FRAMES, "leads": LEADS}, "data.split": {"by": "none"},
        "train.epochs": 1, "train.steps_per_epoch": 1, "train.batch_size": 1,
    }  # fmt: skip
    geodl.train("nowcasting", settings, output=folder / "run")


def forecast(folder: Path) -> dict[str, object]:
    """Forecasts four times; the first one is not counted."""
    import xarray as xr

    import geodl

    rain = xr.open_dataarray(folder / "rain.nc", engine="h5netcdf").load()
    model = geodl.load(folder / "run")
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        found = model.predict(rain)
        seconds.append(time.perf_counter() - start)
        assert found.shape == (LEADS, HEIGHT, WIDTH)
    return {"seconds": seconds[1:], "peak_gib": peak_bytes() / 2**30, "runtime": model.runtime}


def main() -> None:
    if sys.argv[1:2] == ["--write"]:
        return write_run(Path(sys.argv[2]))
    if sys.argv[1:2] == ["--forecast"]:
        return print(json.dumps(forecast(Path(sys.argv[2]))))
    chosen = parser(__doc__).parse_args()
    origin = begin(chosen)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GEODL_CACHE"] = str(Path(folder) / "cache")
        subprocess.run([sys.executable, __file__, "--write", folder], check=True, stdout=sys.stderr)
        run = subprocess.run(
            [sys.executable, __file__, "--forecast", folder], check=True, capture_output=True, text=True
        )
    found = json.loads(run.stdout.splitlines()[-1])
    timing = Timing(f"Forecaster.predict ({found['runtime']})", tuple(found["seconds"]))
    checks = [
        Check("seconds for 1226 x 760 pixels, 12 lead times", timing.median, at_most=10, unit="s"),
        Check("peak memory of the whole process", found["peak_gib"], at_most=3, unit="GiB"),
    ]
    protocol = f"{FRAMES} frames of simulated rain in memory; network of the shipped recipe; {found['runtime']}"
    text = report("Forecasting a large domain", protocol=protocol, timings=[timing], checks=checks)
    store("nowcast-domain", text, origin, quick=chosen.quick)


if __name__ == "__main__":
    main()
