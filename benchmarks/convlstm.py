"""How fast an encoder–forecaster of convolutional LSTMs is trained: against torch, and against Keras' own layer.

    python benchmarks/convlstm.py [--quick] [--busy]

`geodl.models.EncoderForecaster` with one correction for all scales, 6 observed frames, 12 lead times and advected frames,
on batches of 4 clips of 128 x 128 pixels, AdamW and squared differences: on TensorFlow as `geodl.training` compiles it, on
JAX, in plain torch (channels_last), and with Keras' `ConvLSTM2D` in the place of ours: on TensorFlow as `compile()` leaves
it (without XLA where there is no accelerator) and with `jit_compile=True`, and on JAX.

All run in turn, three rounds, each in a process of its own; the first steps, which trace and compile, do not count.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
from apart import Apart
from harness import Check, begin, measure, parser, report, store

from geodl._quiet import load_backend

FRAMES, LEADS, WIDTHS, STEM = 6, 12, (32, 48, 64), 4
PARAMETERS = 1_274_096
"""Of geodl's network and of the twin in torch alike."""
WARM = 2

Run = Callable[[], float]


def prepare_keras(backend: str, size: int, batch: int, steps: int, *, stock: bool = False, jit: Any = None) -> Run:
    """The network on a backend of Keras; compiled as geodl does it, unless `jit` says otherwise."""
    os.environ["KERAS_BACKEND"] = backend
    load_backend()
    import keras

    from geodl.losses import RainL2
    from geodl.models import convlstm
    from geodl.training.compute import use_jit

    def build() -> keras.Model:
        return convlstm.EncoderForecaster(FRAMES, LEADS, advected=True, widths=WIDTHS, stem=STEM, scales=0)

    if stock:
        # Keras' own layer must be told the size beforehand.
        sized = partial(keras.Input, (FRAMES + LEADS, size, size, 1))
        with (
            patch.object(convlstm, "ConvLSTM2D", _stock_layer),
            patch.object(keras, "Input", lambda _, **options: sized(**options)),
        ):
            network = build()
    else:
        network = build()
    assert network.count_params() == PARAMETERS
    choice = use_jit(network) if jit is None else jit
    network.compile(keras.optimizers.AdamW(1e-3, weight_decay=1e-4), RainL2(), jit_compile=choice)
    rng = np.random.default_rng(0)
    x, y = (rng.gamma(0.5, 2.0, (batch, count, size, size, 1)).astype(np.float32) for count in (FRAMES + LEADS, LEADS))
    return _timed(lambda: float(network.train_on_batch(x, y)), steps)


def prepare_tensorflow(size: int, batch: int, steps: int) -> Run:
    return prepare_keras("tensorflow", size, batch, steps)


def prepare_jax(size: int, batch: int, steps: int) -> Run:
    return prepare_keras("jax", size, batch, steps)


def prepare_stock(backend: str, jit: Any, size: int, batch: int, steps: int) -> Run:
    return prepare_keras(backend, size, batch, steps, stock=True, jit=jit)


def prepare_torch(size: int, batch: int, steps: int) -> Run:
    """A plain loop in torch. The transform of rain, a small part of a step, is left out in its favour."""
    import torch
    from torch_convlstm import TorchEncoderForecaster

    network = TorchEncoderForecaster(FRAMES, LEADS, widths=WIDTHS, stem=STEM).to(memory_format=torch.channels_last)
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-4)
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((batch, FRAMES + LEADS, size, size, 2), np.float32))
    y = torch.from_numpy(rng.standard_normal((batch, LEADS, size, size), np.float32))

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(network(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return _timed(step, steps)


def _timed(step: Callable[[], float], steps: int) -> Run:
    for _ in range(WARM):
        step()

    def loop() -> float:
        began = time.perf_counter()
        for _ in range(steps):
            assert np.isfinite(step())
        return time.perf_counter() - began

    return loop


def _stock_layer(
    filters: int, kernel: int, *, peephole: bool = False, return_sequences: bool = True, **kwargs: Any
) -> Any:
    """Keras' own layer with the arguments of ours."""
    import keras

    assert not peephole
    return keras.layers.ConvLSTM2D(
        filters,
        kernel,
        padding="same",
        recurrent_activation="sigmoid",
        return_sequences=return_sequences,
        **kwargs,
    )


def main() -> None:
    chosen = parser(__doc__).parse_args()
    origin = begin(chosen)
    size, batch, steps = (32, 1, 1) if chosen.quick else (128, 4, 5)
    # A step of Keras' layer under XLA takes so long that one tells enough.
    contestants: dict[str, tuple[int, Callable[..., Run], tuple[Any, ...]]] = {
        "geodl on TensorFlow": (steps, prepare_tensorflow, ()),
        "torch channels_last": (steps, prepare_torch, ()),
        "geodl on JAX": (steps, prepare_jax, ()),
        "Keras' layer on TensorFlow, compile()": (steps, prepare_stock, ("tensorflow", "auto")),
        "Keras' layer on TensorFlow, jit_compile=True": (1, prepare_stock, ("tensorflow", True)),
        "Keras' layer on JAX, compile()": (1, prepare_stock, ("jax", "auto")),
    }
    with ExitStack() as running:
        contenders = {
            name: running.enter_context(Apart(prepare, *arguments, size, batch, count))
            for name, (count, prepare, arguments) in contestants.items()
        }
        amounts = {name: float(count * batch) for name, (count, *_) in contestants.items()}
        found = measure(contenders, amounts=amounts, unit="clips", repeat=1 if chosen.quick else 3)
    ours, torch, jax, *stock = found.values()
    checks = [
        Check("training: geodl on TensorFlow / torch", ours.rate / torch.rate, at_least=0.9, aim=1.0),
        Check("training: geodl on TensorFlow / geodl on JAX", ours.rate / jax.rate, at_most=2.0),
        *(Check(f"training: geodl on TensorFlow / {other.name}", ours.rate / other.rate) for other in stock),
    ]
    protocol = (
        f"EncoderForecaster of widths {WIDTHS} and stem {STEM}, {FRAMES} frames, {LEADS} lead times, advected frames, "
        f"{batch} clips of {size} x {size}, AdamW; a clip is one sample"
    )
    result = report("Training of convolutional LSTMs", protocol=protocol, timings=list(found.values()), checks=checks)
    store("convlstm", result, origin, quick=chosen.quick)


if __name__ == "__main__":
    main()
