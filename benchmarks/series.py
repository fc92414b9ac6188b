"""How fast networks for series run, against torch, and what mapping a cube keeps of that.

    python benchmarks/series.py [--quick] [--busy] [--network lstm|tempcnn]

Measured in turn, three rounds, each in a process of its own, on complete series of 46 dates and 10 bands:

- the network alone on batches of 4096 series, once for each of them: a bidirectional LSTM of two layers of 128 units, and
  TempCNN as in its paper; each in Keras on TensorFlow and on JAX, in ONNX Runtime and OpenVINO, and as its twin in torch
  with the same weights, all checked to give the same logits. What geodl does for gaps it does here, too; the twins can't;
- `SeriesClassifier.predict_file` of a cube, a raster for each date (uint16, deflate) to a map, in a process that is already
  there; and `geodl predict` of it as a command, start of Python included.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from apart import Apart, apart
from harness import Check, Timing, begin, measure, parser, report, store
from predict import command, prepare_predictor

from geodl._quiet import load_backend

DATES, BANDS, CLASSES = 46, 10, 9
DAYS = tuple(float(day) for day in range(5, 5 + 8 * DATES, 8))
MEAN, STD = 0.25, 0.1
RUNTIMES = ("Keras on TensorFlow", "Keras on JAX", "ONNX Runtime", "OpenVINO")
"""What geodl may run a network with."""
TORCH = "torch"

Call = Callable[[dict[str, np.ndarray]], np.ndarray]


def write_run(name: str, folder: Path, batch: int) -> None:
    """Writes a bundle with random weights; its weights for the twin; a batch and its logits."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    load_backend()
    import keras

    from geodl.bundle import write_bundle
    from geodl.contract import Band, ClassInfo, Contract, Dim, ModelInput, ModelOutput
    from geodl.models import SeriesLSTM, TempCNN

    made = {"lstm": SeriesLSTM, "tempcnn": TempCNN}[name]
    network = made(BANDS, CLASSES, length=DATES, mean=[MEAN] * BANDS, std=[STD] * BANDS)
    rng = np.random.default_rng(0)
    for variable in network.trainable_variables:
        variable.assign(variable + rng.normal(0, 0.02, variable.shape))
    for variable in network.non_trainable_variables:
        if variable.name.startswith("moving"):
            variable.assign(rng.uniform(0.1, 1.0, variable.shape))
    eaten = ModelInput(
        (Dim("time", DATES, step=8.0, unit="day"), Dim("band", BANDS)),
        tuple(Band(f"B{k + 1:02d}", dtype="uint16", scale=1e-4) for k in range(BANDS)),
        days=DAYS,
    )
    classes = tuple(ClassInfo(k + 1, f"crop {k + 1}", "#0072b2") for k in range(CLASSES))
    contract = Contract("crops", eaten, ModelOutput("series_label", classes))
    write_bundle(folder, network=network, contract=contract, recipe="pipeline: crops\n", metrics={})
    np.savez(folder / "weights.npz", **{variable.path: np.asarray(variable) for variable in network.variables})
    values = rng.normal(MEAN, STD, (batch, DATES, BANDS)).astype(np.float32)
    days = np.tile(np.array(DAYS, np.float32), (batch, 1))
    few = {"values": values[:64], "days": days[:64]}
    logits = keras.ops.convert_to_numpy(network(few, training=False))
    np.savez(folder / "batch.npz", values=values, days=days, logits=logits)


def write_cube(folder: Path, side: int) -> None:
    """Writes a raster for each date: smooth reflectance times 10,000, its scale as a tag, that rises and falls by field."""
    import rasterio
    from scipy import ndimage

    rng = np.random.default_rng(0)
    folder.mkdir()
    field = ndimage.zoom(rng.uniform(0, 1, (side // 16, side // 16)), 16, order=0)
    own = ndimage.gaussian_filter(rng.normal(size=(BANDS, side, side)), (0, 4, 4))
    grid = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)}
    options = {"driver": "GTiff", "dtype": "uint16", "nodata": 0, "tiled": True, "compress": "deflate", "zlevel": 1}
    first = np.datetime64("2021-01-01")
    for day in DAYS:
        season = np.exp(-0.5 * ((day - 120 - 100 * field) / 40) ** 2)
        values = MEAN + STD * (season + own) + rng.normal(0, 0.005, own.shape)
        path = folder / f"{first + int(day) - 1}.tif"
        with rasterio.open(path, "w", count=BANDS, height=side, width=side, **grid, **options) as file:
            file.write(np.clip(np.rint(values * 10_000), 1, 60_000).astype(np.uint16))
            file.descriptions = [f"B{k + 1:02d}" for k in range(BANDS)]
            file.scales, file.offsets = (1e-4,) * BANDS, (0.0,) * BANDS


def prepare_forward(runtime: str, name: str, run: Path) -> Callable[[], None]:
    """The network alone, on a batch that lies in memory."""
    stored = np.load(run / "batch.npz")
    given, logits = {"values": stored["values"], "days": stored["days"]}, stored["logits"]
    call = _prepare_torch(name, run) if runtime == TORCH else _prepare_geodl(runtime, run)
    error = np.abs(call(given)[: len(logits)] - logits).max()
    assert error < 1e-4 * max(1.0, np.abs(logits).max()), f"{runtime} is off by {error}"
    call(given)

    def forward() -> None:
        call(given)

    return forward


def _prepare_geodl(runtime: str, run: Path) -> Call:
    """The network as `geodl.load` runs it."""
    if runtime.startswith("Keras"):
        os.environ["KERAS_BACKEND"] = runtime.split()[-1].lower()
    import geodl

    word: Any = {"ONNX Runtime": "onnx", "OpenVINO": "openvino"}.get(runtime, "keras")
    return geodl.load(run, runtime=word).call


def _prepare_torch(name: str, run: Path) -> Call:
    import torch
    from torch_series import TorchLSTM, TorchTempCNN

    network: Any = TorchLSTM(BANDS, CLASSES) if name == "lstm" else TorchTempCNN(BANDS, CLASSES, length=DATES)
    network.take(np.load(run / "weights.npz"))
    network.eval()

    def call(given: dict[str, np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            values = (torch.from_numpy(given["values"]) - MEAN) / STD
            return network(values, torch.from_numpy(given["days"])).numpy()

    return call


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--network", choices=("lstm", "tempcnn"), help="only this one")
    chosen = options.parse_args()
    origin = begin(chosen)
    batch, sides = (256, {"lstm": 32, "tempcnn": 32}) if chosen.quick else (4096, {"lstm": 256, "tempcnn": 512})
    timings: list[Timing] = []
    checks: list[Check] = []
    fastest: dict[str, str] = {}
    for name in (chosen.network,) if chosen.network else ("lstm", "tempcnn"):
        found = _measure(name, batch, sides[name], rounds=1 if chosen.quick else 3)
        best = fastest[name] = max(RUNTIMES, key=lambda runtime: found[runtime].rate)
        raw = found[best].rate
        checks += [
            Check(f"{name}: geodl with {best} / torch", raw / found[TORCH].rate, at_least=1.0),
            Check(
                f"{name}: mapping a cube / network alone", found["predict_file"].rate / raw, at_least=0.75
            ),
            Check(f"{name}: whole geodl predict of a cube / network alone", found["geodl predict"].rate / raw),
        ]  # fmt: skip
        timings += [Timing(f"{name}: {t.name}", t.seconds, t.amount, t.unit) for t in found.values()]
    protocol = (
        f"{DATES} dates, {BANDS} bands, {CLASSES} classes, complete; LSTM 2 × 128, bidirectional, TempCNN 3 × 64, dense 256; "
        f"batches of {batch}; cubes of {sides} pixels a side, uint16, deflate; fastest: {fastest}"
    )
    text = report("Networks for series", protocol=protocol, timings=timings, checks=checks, fastest=fastest)
    store("series", text, origin, quick=chosen.quick or bool(chosen.network))


def _measure(name: str, batch: int, side: int, *, rounds: int) -> dict[str, Timing]:
    """Measures one network."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as open_now:
        run, cube = Path(folder) / "run", Path(folder) / "cube"
        os.environ["GEODL_CACHE"] = str(Path(folder) / "cache")
        apart(write_run, name, run, batch)
        write_cube(cube, side)
        typed = command(run, cube, Path(folder) / "typed.tif")
        typed()

        def start(*words: Any) -> Apart:
            return open_now.enter_context(Apart(*words))

        forwards = {word: start(prepare_forward, word, name, run) for word in (*RUNTIMES, TORCH)}
        contenders: dict[str, Callable[[], float | None]] = {
            **forwards,
            "predict_file": start(prepare_predictor, run, cube, Path(folder) / "loaded.tif"),
            "geodl predict": typed,
        }
        amounts = {word: (batch if word in forwards else side**2) / 1e3 for word in contenders}
        return measure(contenders, repeat=rounds, amounts=amounts, unit="thousand series")


if __name__ == "__main__":
    main()
