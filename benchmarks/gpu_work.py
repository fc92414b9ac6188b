"""What a process of `gpu.py` does: trains with one toolkit, fed in turns, and says what steps took."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from gpu_cases import CLASSES, FRAMES, LEADS, Batch, Case

__all__ = ("PRECISIONS", "ROUNDS", "TOOLKITS", "found_peaks", "work")

PRECISIONS = ("mixed_bfloat16", "float32")
TOOLKITS = {"jax": "geodl on JAX", "plain": "torch", "torch": "geodl on torch"}
ROUNDS, PROBE = 3, 2
WARM = 6
"""Steps of each turn before the time is taken: more than are ever prepared ahead."""


def found_peaks(size: int) -> dict[str, Any]:
    """Measures products of square matrices: the device's name and, for each precision, its operations per second."""
    try:
        import torch
    except ModuleNotFoundError:
        import jax
        import jax.numpy as jnp

        name = jax.devices()[0].device_kind

        def product(kind: str) -> Callable[[], None]:
            a = jax.random.normal(jax.random.key(0), (size, size), jnp.float32).astype(kind)
            multiply = jax.jit(jnp.matmul)
            return lambda: multiply(a, a).block_until_ready()

    else:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        name = torch.cuda.get_device_name() if device.type == "cuda" else "processor"
        torch.set_float32_matmul_precision("high")

        def product(kind: str) -> Callable[[], None]:
            a = torch.randn(size, size, device=device).to(getattr(torch, kind))

            def multiply() -> None:
                torch.matmul(a, a)
                if device.type == "cuda":
                    torch.cuda.synchronize()

            return multiply

    peaks = {}
    for precision, kind in zip(PRECISIONS, ("bfloat16", "float32"), strict=True):
        multiply = product(kind)
        taken = []
        for _ in range(3 + 12):
            began = time.perf_counter()
            multiply()
            taken.append(time.perf_counter() - began)
        peaks[precision] = 2 * size**3 / statistics.median(taken[3:])
    return {"device": name, "peaks": peaks}


class _Turns:
    """Which kind of input is fed, when it changes, and what steps took."""

    def __init__(self, names: Sequence[str], seconds: float) -> None:
        self.taken: dict[str, list[float]] = {name: [] for name in names}
        """Seconds of a step, one for each round."""
        self.name = names[0]
        self._order = iter(names * ROUNDS)
        self._seconds = seconds
        self._begin()

    def _begin(self) -> None:
        self.name = next(self._order, "")
        self._done, self._end = 0, 0
        self._clock = 0.0

    def after_step(self, wait: Callable[[], object]) -> bool:
        """Counts a step, and waits for the device where the time counts; returns whether there is more to do."""
        self._done += 1
        if self._done in (WARM, WARM + PROBE, self._end):
            wait()
            now = time.perf_counter()
            if self._done == WARM:
                self._clock = now
            elif self._done == WARM + PROBE:
                each = (now - self._clock) / PROBE
                self._end = self._done + min(max(round(self._seconds / each), 3), 400)
                self._clock = now
            else:
                self.taken[self.name].append((now - self._clock) / (self._end - WARM - PROBE))
                self._begin()
        return bool(self.name)


def by_fit(case: Case, precision: str, feeds: Mapping[str, Callable[[], Batch]]) -> dict[str, list[float]]:
    """Trains with geodl's `fit`, which compiles once and is then fed in turns; returns seconds of a step by feed."""
    import keras

    from geodl.recipe import Train
    from geodl.training.compute import precision_scope
    from geodl.training.fit import fit

    turns = _Turns(list(feeds), case.seconds)

    class Fed(keras.utils.PyDataset):
        num_batches = None

        def __getitem__(self, index: int) -> Batch:
            return feeds[turns.name or next(iter(feeds))]()

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = not turns.after_step(lambda: float(logs["loss"]))

    config = Train.model_validate({"epochs": 1, "steps_per_epoch": 1_000_000, "batch_size": case.batch})
    with precision_scope(precision), tempfile.TemporaryDirectory() as folder:
        fit(
            case.network(),
            lambda start: Fed(),
            loss=case.loss(),
            config=config,
            folder=folder,
            callbacks=[Clock()],
            progress=False,
        )
    return turns.taken


def by_torch(case: Case, precision: str, *, compiled: bool) -> list[float]:
    """Trains in a plain loop in torch, with batches on the device; returns seconds of a step."""
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_default_device(device)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    batches = cycle([_for_torch(case, seed, device) for seed in range(2)])
    network: Any
    if case.is_unet:
        from torch_unet import TorchUNet

        width, depth = case.size
        network = TorchUNet(case.shape[-1], CLASSES, width=width, depth=depth)
    else:
        from torch_convlstm import TorchEncoderForecaster

        network = TorchEncoderForecaster(FRAMES, LEADS, widths=case.size, stem=4)
    network = network.to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-4, fused=device.type == "cuda")
    forward = torch.compile(network) if compiled else network
    turns = _Turns(["device"], case.seconds)
    more = True
    while more:
        x, y, weight = next(batches)
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "mixed_bfloat16"):
            answer = forward(x)
            if case.is_unet:
                losses = torch.nn.functional.cross_entropy(answer.float(), y, reduction="none", ignore_index=-1)
                loss = (losses * weight).mean()
            else:
                loss = torch.nn.functional.mse_loss(answer.float(), y)
        loss.backward()
        optimizer.step()
        more = turns.after_step(loss.item)
    assert np.isfinite(loss.item())
    return turns.taken["device"]


def _for_torch(case: Case, seed: int, device: Any) -> Batch:
    """A random batch as the twins take it; of rain, the features, whose making is left out in torch's favour."""
    import torch

    x, y, weight = (torch.from_numpy(array).to(device) for array in case.random_batch(seed))
    if case.is_unet:
        return x.permute(0, 3, 1, 2), y.long(), weight
    return torch.cat([x, torch.ones_like(x)], -1), y[..., 0], weight


def write_scene(folder: Path, *, side: int, bands: int) -> None:
    """Writes a scene and its labels as GeoTIFFs: noise on patches of land."""
    import rasterio
    from affine import Affine

    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, CLASSES, (side // 32, side // 32)), np.ones((32, 32))).astype(np.uint8)
    grid = {"width": side, "height": side, "crs": "EPSG:32633", "transform": Affine(10, 0, 3e5, 0, -10, 5e6)}
    tiled = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "zlevel": 1}
    with rasterio.open(folder / "labels.tif", "w", driver="GTiff", count=1, dtype="uint8", **grid, **tiled) as file:
        file.write(labels, 1)
    with rasterio.open(
        folder / "scene.tif", "w", driver="GTiff", count=bands, dtype="uint16", nodata=0, **grid, **tiled
    ) as file:
        for band in range(bands):
            values = 800 * labels.astype(np.int32) + 100 * band + rng.integers(1, 400, labels.shape)
            file.write(values.astype(np.uint16), band + 1)


def scene_feed(case: Case, folder: Path, workers: int | None) -> Iterator[Batch]:
    """Yields what `Batches` makes of the scene, with as many threads, or as many as it takes by itself."""
    from geodl.contract import ClassInfo
    from geodl.data.augment import Augmentation
    from geodl.data.batches import Batches
    from geodl.data.cache import cached
    from geodl.data.labels import RasterLabels
    from geodl.data.raster import open_raster
    from geodl.data.samples import Scene, SceneSamples

    source = open_raster(folder / "scene.tif")
    classes = [ClassInfo(value, f"class {value}", "#888888") for value in range(CLASSES)]
    scenes = cached([Scene(source, RasterLabels(folder / "labels.tif", source.grid, classes=classes))])
    augment = Augmentation(
        flips=True, rotations=True, scale=(0.7, 1.4), brightness=0.3, contrast=0.2, std=(1e3,) * case.shape[-1]
    )
    samples = SceneSamples(scenes, patch=case.shape[0], sampling="random", augment=augment)
    asked = {} if workers is None else {"workers": workers, "ahead": max(4, workers)}
    batches = Batches(samples, batch_size=case.batch, seed=0, **asked)
    k = 0
    while True:
        yield batches[k]
        k += 1


def work(toolkit: str, case: Case, until: float, *, inputs: bool) -> Iterator[dict[str, Any]]:
    """Yields what is found of a toolkit and a network, as soon as it is.

    Args:
        toolkit: of `TOOLKITS`; Keras' backend is set already.
        case: what is trained.
        until: seconds since 1970 after which nothing is begun.
        inputs: whether other input than batches on the device is measured, too.
    """
    from flops import training_flops

    for precision in PRECISIONS:
        if time.time() > until:
            yield {"left_out": f"{TOOLKITS[toolkit]}, {case.name}, {precision}: no time left"}
            continue
        if toolkit == "plain":
            for compiled in (False, True):
                seconds = by_torch(case, precision, compiled=compiled)
                name = "torch, compiled" if compiled else "torch"
                yield {"toolkit": name, "precision": precision, "input": "device", "seconds": seconds}
            continue
        import keras

        with tempfile.TemporaryDirectory() as temporary:
            held = [case.random_batch(seed) for seed in range(2)]
            on_device = [tuple(keras.ops.convert_to_tensor(array) for array in batch) for batch in held]
            streams: dict[str, Iterator[Batch]] = {"device": cycle(on_device)}
            if inputs:
                streams["memory"] = cycle(held)
            if inputs and case.is_unet:
                write_scene(Path(temporary), side=8 * case.shape[0], bands=case.shape[-1])
                for workers in (None, os.cpu_count()):
                    name = "scene" if workers is None else f"scene, {workers} threads"
                    streams[name] = scene_feed(case, Path(temporary), workers)
            taken = by_fit(case, precision, {name: stream.__next__ for name, stream in streams.items()})
        for name, seconds in taken.items():
            yield {"toolkit": TOOLKITS[toolkit], "precision": precision, "input": name, "seconds": seconds}
    # Last: so that Keras does not touch torch's settings before the plain loop has run.
    yield {"flops": case.batch * training_flops(case.network(), case.shape)}
