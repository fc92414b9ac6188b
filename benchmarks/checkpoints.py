"""What checkpoints and the resolver of devices cost a training.

    python benchmarks/checkpoints.py [--quick] [--busy]

`geodl.training.fit.fit` on TensorFlow, a U-Net of width 16, batches of 8 x 128² from memory: without checkpoints but that
of the epoch's end, with one every 20 steps (some 6 seconds on two cores, where a recipe's default is 10 minutes), and
inside the scope that `distribution.strategy: auto` gives on one device. All run in turn, three rounds, each in a process
of its own.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from typing import Any

from apart import Apart
from harness import Check, begin, measure, parser, report, store
from training import BANDS, BATCH, CLASSES, WARM, in_memory, random_batches

from geodl._quiet import load_backend

EVERY = 20


def prepare(size: int, steps: int, every: int | None, scope: bool) -> Callable[[], float]:
    """A training of so many steps, in or out of a scope, that writes a checkpoint every so many."""
    load_backend()
    import keras

    from geodl.losses import CrossEntropy
    from geodl.models import UNet
    from geodl.recipe import Train
    from geodl.training.distribution import resolve
    from geodl.training.fit import fit

    batches = in_memory(random_batches(size))
    config = Train.model_validate(
        {
            "epochs": 1,
            "steps_per_epoch": WARM + steps + 1,
            "batch_size": BATCH,
            "optimizer": {"name": "adamw"},
            "checkpoint": {"steps": every, "minutes": None},
        }
    )

    def run() -> float:
        ends: list[float] = []

        class Clock(keras.callbacks.Callback):
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                ends.append(time.perf_counter())

        with resolve("auto", batch_size=BATCH).scope() if scope else nullcontext():
            network = UNet(len(BANDS), CLASSES, width=16, depth=4)
            with tempfile.TemporaryDirectory() as folder:
                options = {"loss": CrossEntropy(), "config": config, "folder": folder, "progress": False}
                fit(network, batches, callbacks=[Clock()], **options)
        # The last step is followed by the checkpoint of the epoch's end, which all write.
        return ends[-2] - ends[WARM - 1]

    return run


def main() -> None:
    chosen = parser(__doc__).parse_args()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    origin = begin(chosen)
    size, steps, every = (32, 6, 3) if chosen.quick else (128, 3 * EVERY, EVERY)
    cases = {
        "no checkpoints": (None, False),
        f"one every {every} steps": (every, False),
        "no checkpoints, strategy auto": (None, True),
    }
    with ExitStack() as running:
        contenders: dict[str, Callable[[], float | None]] = {
            name: running.enter_context(Apart(prepare, size, steps, *case)) for name, case in cases.items()
        }
        found = measure(contenders, amounts=steps * BATCH * size**2 / 1e6, repeat=1 if chosen.quick else 3)
    without, often, scoped = found.values()
    checks = [
        Check(f"cost of a checkpoint every {every} steps", 1 - often.rate / without.rate, at_most=0.02),
        Check("cost of the strategy auto on one device", 1 - scoped.rate / without.rate, at_most=0.02),
    ]
    protocol = f"fit on TensorFlow, U-Net of width 16 and depth 4, batches of {BATCH} x {size}² from memory, AdamW"
    result = report("Checkpoints", protocol=protocol, timings=list(found.values()), checks=checks)
    store("checkpoints", result, origin, quick=chosen.quick)


if __name__ == "__main__":
    main()
