"""How fast a U-Net is trained: against torch, and with the input pipeline against batches that lie in memory.

    python benchmarks/training.py torch [--quick] [--busy] [--xla]
    python benchmarks/training.py input [--quick] [--busy]

torch: `geodl.training.fit.fit` on TensorFlow with the package's own choice of compilation, and a plain loop in torch
(channels_last), both with AdamW and cross-entropy on the same batches of 8 samples of 256 x 256 and of 128 x 128 pixels.
`--xla` adds the same fit compiled by XLA.

input: `fit` with the shipped recipe's sampling and augmentation, from files small enough to be kept in memory and from
files too large for that, and with batches that were read beforehand.

All run in turn, three rounds, each in a process of its own; the first steps, which trace and compile, do not count.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from apart import Apart
from harness import Check, Timing, begin, measure, parser, report, store

from geodl._quiet import load_backend

BATCH, BANDS, CLASSES = 8, ("B02", "B03", "B04", "B08"), 5
PARAMETERS = 1_812_229
"""Trainable ones of the network of `torch`, of geodl's and of the twin alike."""
WARM = 3
"""Steps of each round before the time is taken."""

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]


def random_batches(size: int, count: int = 4) -> list[Batch]:
    """Batches of noise: x (batch, size, size, band), y and weight (batch, size, size)."""
    rng = np.random.default_rng(0)
    shape = (BATCH, size, size)
    return [
        (
            rng.standard_normal((*shape, len(BANDS)), np.float32),
            rng.integers(0, CLASSES, shape).astype(np.int32),
            np.ones(shape, np.float32),
        )
        for _ in range(count)
    ]


def timed_fit(network: Any, batches: Callable[[int], Any], *, loss: Any, steps: int, jit: Any = "auto") -> float:
    """Trains with geodl's `fit`; returns the seconds that the last `steps` steps took."""
    import keras

    from geodl.recipe import Train
    from geodl.training.fit import fit

    ends: list[float] = []

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            ends.append(time.perf_counter())

    config = Train.model_validate(
        {"epochs": 1, "steps_per_epoch": WARM + steps, "batch_size": BATCH, "jit": jit, "optimizer": {"name": "adamw"}}
    )
    with tempfile.TemporaryDirectory() as folder:
        fit(network, batches, loss=loss, config=config, folder=folder, callbacks=[Clock()], progress=False)
    return ends[-1] - ends[WARM - 1]


def in_memory(batches: Sequence[Batch]) -> Callable[[int], Any]:
    """What `fit` asks batches of: start → data set; the batches come round and round."""
    import keras

    class Stored(keras.utils.PyDataset):
        num_batches = None

        def __init__(self, start: int) -> None:
            super().__init__()
            self.start = start

        def __getitem__(self, index: int) -> Batch:
            return batches[(self.start + index) % len(batches)]

    return Stored


def prepare_keras(size: int, steps: int, jit: bool | str) -> Callable[[], float]:
    """geodl on TensorFlow."""
    load_backend()
    from geodl.losses import CrossEntropy
    from geodl.models import UNet

    network, batches = UNet(len(BANDS), CLASSES, width=16, depth=4), in_memory(random_batches(size))
    assert sum(variable.numpy().size for variable in network.trainable_variables) == PARAMETERS
    return lambda: timed_fit(network, batches, loss=CrossEntropy(), steps=steps, jit=jit)


def prepare_torch(size: int, steps: int) -> Callable[[], float]:
    """A plain loop in torch."""
    import torch
    from torch_unet import TorchUNet

    network = TorchUNet(len(BANDS), CLASSES, width=16, depth=4).to(memory_format=torch.channels_last).train()
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-4)
    batches = random_batches(size)

    def loop() -> float:
        began = 0.0
        for step in range(WARM + steps):
            if step == WARM:
                began = time.perf_counter()
            # A channels-last array seen as channels-first is what torch calls channels_last: nothing is copied.
            x, y, weight = (torch.from_numpy(array) for array in batches[step % len(batches)])
            optimizer.zero_grad()
            losses = torch.nn.functional.cross_entropy(
                network(x.permute(0, 3, 1, 2)), y.long(), reduction="none", ignore_index=-1
            )
            loss = (losses * weight).mean()
            loss.backward()
            optimizer.step()
            assert np.isfinite(loss.item())
        return time.perf_counter() - began

    return loop


def write_scenes(folder: Path, *, count: int, side: int) -> None:
    """Writes simulated scenes with labels; large ones repeat a smaller one."""
    from geodl.data.simulate.scenes import simulate_scene, write_scene

    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    own = min(side, 1024)
    for seed in range(count):
        scene = simulate_scene(seed, height=own, width=own)
        if side > own:
            times = -(-side // own)
            grid = type(scene.grid)(scene.grid.crs, scene.grid.transform, side, side)
            values = np.tile(scene.values, (times, times, 1))[:side, :side]
            scene = type(scene)(values, np.tile(scene.labels, (times, times))[:side, :side], scene.classes, grid)
        write_scene(scene, folder / "images" / f"{seed}.tif", folder / "labels" / f"{seed}.tif")


def prepare_input(folder: Path, patch: int, steps: int, *, stored: bool) -> Callable[[], float]:
    """geodl on TensorFlow, with the batches that the shipped recipe makes of a folder."""
    load_backend()
    from geodl.data.batches import Batches
    from geodl.pipelines.task import open_pipeline

    settings = {
        "data.images": str(folder / "images"),
        "data.labels": str(folder / "labels"),
        "data.bands": list(BANDS),
        "data.patch": patch,
        "network.width": 16,
        "network.depth": 4,
        "network.stem": 1,
    }
    pipeline = open_pipeline("segmentation", settings)
    parts = pipeline.samples()
    network = pipeline.network(parts)

    def batches(start: int) -> Any:
        return Batches(parts.train, batch_size=BATCH, seed=0, start=start)

    if stored:
        source = batches(0)
        held = [source[k] for k in range(WARM + steps)]
        source.close()
    given = in_memory(held) if stored else batches
    return lambda: timed_fit(network, given, loss=pipeline.loss(), steps=steps)


def prepare_stored(folder: Path, patch: int, steps: int) -> Callable[[], float]:
    return prepare_input(folder, patch, steps, stored=True)


def prepare_kept(folder: Path, patch: int, steps: int) -> Callable[[], float]:
    return prepare_input(folder, patch, steps, stored=False)


def prepare_read(folder: Path, patch: int, steps: int) -> Callable[[], float]:
    from geodl.data import cache

    cache.free_memory = lambda: 0
    return prepare_input(folder, patch, steps, stored=False)


def against_torch(chosen: Any) -> dict[str, Any]:
    """Rates of training, and geodl's over torch's."""
    timings: list[Timing] = []
    checks = []
    for size, steps in ((32, 2),) if chosen.quick else ((256, 6), (128, 18)):
        names = (f"geodl on TensorFlow, 8 x {size}²", f"torch channels_last, 8 x {size}²")
        with ExitStack() as running:
            contenders: dict[str, Callable[[], float | None]] = {
                names[0]: running.enter_context(Apart(prepare_keras, size, steps, "auto")),
                names[1]: running.enter_context(Apart(prepare_torch, size, steps)),
            }
            if chosen.xla:
                xla = Apart(prepare_keras, size, steps, True)
                contenders[f"geodl on TensorFlow, XLA, 8 x {size}²"] = running.enter_context(xla)
            repeat = 1 if chosen.quick else 3
            found = measure(contenders, amounts=steps * BATCH * size**2 / 1e6, repeat=repeat)
        timings += found.values()
        ratio = found[names[0]].rate / found[names[1]].rate
        checks.append(Check(f"training, 8 x {size}²: geodl on TensorFlow / torch", ratio, at_least=0.9, aim=1.0))
    protocol = "U-Net of width 16 and depth 4, 4 bands, 5 classes, AdamW, cross-entropy; batches from memory"
    return report("Training against torch", protocol=protocol, timings=timings, checks=checks)


def input_pipeline(chosen: Any) -> dict[str, Any]:
    """Rates of training from files, over that from memory."""
    patch, steps = (32, 2) if chosen.quick else (128, 20)
    sides = {"small": 256, "large": 256} if chosen.quick else {"small": 1024, "large": 3072}
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as running:
        folders = {name: Path(temporary) / name for name in sides}
        for name, folder in folders.items():
            write_scenes(folder, count=5, side=sides[name])
        contenders: dict[str, Callable[[], float | None]] = {
            "batches from memory": running.enter_context(Apart(prepare_stored, folders["small"], patch, steps)),
            "scenes kept in memory": running.enter_context(Apart(prepare_kept, folders["small"], patch, steps)),
            "scenes on disk": running.enter_context(Apart(prepare_read, folders["large"], patch, steps)),
        }
        repeat = 1 if chosen.quick else 3
        found = measure(contenders, amounts=steps * BATCH * patch**2 / 1e6, repeat=repeat)
    memory, *others = found.values()
    checks = [
        Check(f"cost of the input pipeline, {timing.name}", 1 - timing.rate / memory.rate, at_most=0.05)
        for timing in others
    ]
    protocol = (
        f"fit on TensorFlow, U-Net of width 16 and depth 4, 4 bands, batches of {BATCH} x {patch}², sampling and "
        f"augmentation of the shipped recipe; 5 scenes of {sides['small']}², or of {sides['large']}² with no memory for them"
    )
    return report("The input pipeline", protocol=protocol, timings=list(found.values()), checks=checks)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("part", choices=("torch", "input"))
    options.add_argument("--xla", action="store_true", help="also measure training compiled by XLA")
    chosen = options.parse_args()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    origin = begin(chosen)
    result = {"torch": against_torch, "input": input_pipeline}[chosen.part](chosen)
    store(f"training-{chosen.part}", result, origin, quick=chosen.quick)


if __name__ == "__main__":
    main()
