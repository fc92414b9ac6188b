"""Which devices train, and what else only a backend itself can say: the seam that knows backends by name.

One table says what can be had:

| strategy         | TensorFlow                 | JAX                                    | torch |
| ---------------- | -------------------------- | -------------------------------------- | ----- |
| `single`         | yes                        | yes                                    | yes   |
| `mirrored`       | `MirroredStrategy`         | called `data_parallel`                 | no    |
| `data_parallel`  | called `mirrored`          | `keras.distribution.DataParallel`      | no    |
| `model_parallel` | no                         | `keras.distribution.ModelParallel`     | no    |
| `multi_worker`   | no, see `_no_workers`      | `DataParallel` over several processes  | no    |

Everywhere a batch is one batch: each replica gets its own rows of it, and the update is that of one device.
"""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from geodl.errors import BackendUnavailable, RecipeError, WorkersDiffer
from geodl.training.layout import ModelParallel

__all__ = (
    "STRATEGIES",
    "Devices",
    "Workers",
    "accelerators",
    "over_replicas",
    "replicas",
    "resolve",
    "seed_everything",
    "synchronised",
    "workers",
)

STRATEGIES = ("auto", "single", "mirrored", "data_parallel", "model_parallel", "multi_worker")

_STRATEGY = "distribution.strategy"
_TEXT = 64
"""Bytes that tell a fact about a worker."""


@dataclass(frozen=True)
class Devices:
    """What a network is trained on."""

    strategy: str
    """`single`, `mirrored`, `data_parallel`, `model_parallel` or `multi_worker`."""
    names: tuple[str, ...]
    """The devices of all workers, as the backend calls them."""
    replicas: int = 1
    """Number of parts that a batch is cut into; each is one device's, or one group's of devices that share a network."""
    _scope: Any = field(default=None, repr=False)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Networks must be built, and trained, inside."""
        with contextlib.nullcontext() if self._scope is None else self._scope.scope():
            yield


def resolve(
    strategy: str = "auto",
    *,
    batch_size: int | None = None,
    model_devices: int | None = None,
    layout: Mapping[str, list[str | None]] | None = None,
) -> Devices:
    """Finds the devices that a recipe's `distribution` section asks for.

    Args:
        strategy: `auto`: the workers that the environment tells of (see `workers`), else all accelerators of this
            machine, or as many as divide the batch, else the processor. `single`: one device. `mirrored` (TensorFlow)
            and `data_parallel` (JAX): all accelerators of this machine, each with a copy of the network.
            `model_parallel` (JAX): the channels of large weights are shared among devices. `multi_worker` (JAX): all
            devices of several processes, each of which runs this program.
        batch_size: samples a step over all devices; must be a multiple of the number of replicas.
        model_devices: of `model_parallel`: number of devices that share one network; default: all.
        layout: of `model_parallel`: regular expression of a variable's path to the name of the mesh axis (`model` or
            None) for each of its axes; what matches none is split along its last axis where that can be.

    Returns:
        The devices. A warning names accelerators that are left unused.

    Raises:
        BackendUnavailable: the strategy cannot be had here.
        RecipeError: no such strategy, or the batch cannot be cut into equal parts.

    Example:
        >>> with resolve("auto", batch_size=32).scope():
        ...     network = geodl.models.UNet(channels=4, classes=5)
    """
    if strategy not in STRATEGIES:
        problem = f"expected one of: {', '.join(STRATEGIES)}. Received: {strategy!r}."
        raise RecipeError(_STRATEGY, problem, valid=STRATEGIES, nearest_to=strategy)
    if strategy == "multi_worker" or (strategy == "auto" and _workers_told()):
        return _multi_worker(batch_size)
    found = accelerators()
    if strategy == "auto":
        return _auto(found, batch_size)
    if strategy == "single":
        _warn_of_unused(found[1:])
        return Devices("single", found[:1] or ("cpu",))
    backend = keras.backend.backend()
    wanted = f"{_STRATEGY}: {strategy}"
    if (strategy, backend) not in {("mirrored", "tensorflow"), ("data_parallel", "jax"), ("model_parallel", "jax")}:
        raise BackendUnavailable(wanted, f"{backend} has none", advice=_ADVICE[strategy].format(backend=backend))
    names = found or _processors()
    if len(names) < 2:
        cause = f"it needs two devices or more, and {backend} sees {len(found)} accelerators here"
        raise BackendUnavailable(wanted, cause, advice=f"Use {_STRATEGY}: auto.")
    if strategy == "model_parallel":
        return _model_parallel(names, batch_size, model_devices, layout or {})
    _refuse_unequal_parts(batch_size, len(names))
    return _on_one_machine(names)


def accelerators() -> tuple[str, ...]:
    """Returns the names of this machine's accelerators that the backend sees."""
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            devices = [*tf.config.list_physical_devices("GPU"), *tf.config.list_physical_devices("TPU")]
            for device in devices:
                # So that another process may use the device too; impossible once it is in use.
                with contextlib.suppress(RuntimeError, ValueError):
                    tf.config.experimental.set_memory_growth(device, True)
            return tuple(device.name.replace("physical_device:", "") for device in devices)
        case "jax":
            import jax

            return tuple(_name(device) for device in jax.local_devices() if device.platform != "cpu")
        case _:
            return ()


def replicas() -> int:
    """Returns the number of parts that a batch is cut into, in the scope that is entered."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return int(tf.distribute.get_strategy().num_replicas_in_sync)
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else int(distribution.num_model_replicas)


def seed_everything(seed: int, *, deterministic: bool = False) -> None:
    """Seeds Python, numpy, Keras and the backend: networks built afterwards start from the same weights.

    Args:
        seed: any number from 0.
        deterministic: makes TensorFlow's accelerators sum in one order, at the price of speed and of XLA. On processors
            all backends are reproducible as they are, for one number of threads.
    """
    keras.utils.set_random_seed(seed)
    if deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


@contextmanager
def synchronised(model: keras.Model) -> Iterator[None]:
    """Lets batch normalisation take its statistics over all replicas, not over each one's own rows.

    On JAX they are; on TensorFlow a layer has to be told. It is told for this block only: the layer's configuration is
    that of any network, which other backends would refuse otherwise.
    """
    layers = []
    if keras.backend.backend() == "tensorflow" and replicas() > 1:
        layers = [each for each in model._flatten_layers() if isinstance(each, keras.layers.BatchNormalization)]
    before = [layer.synchronized for layer in layers]
    for layer in layers:
        layer.synchronized = True
    try:
        yield
    finally:
        for layer, value in zip(layers, before, strict=True):
            layer.synchronized = value


def over_replicas(kind: type[keras.optimizers.Optimizer]) -> type[keras.optimizers.Optimizer]:
    """Lets an optimiser clip the gradient of the whole batch, not that of each replica's rows.

    Keras on TensorFlow clips what each replica has before it sums. The sum is taken before, then; what Keras sums
    afterwards are equal parts of it.

    Args:
        kind: class of an optimiser.

    Returns:
        The class itself, where there is one replica or the backend sums first; else one that goes by its name.
    """
    if keras.backend.backend() != "tensorflow" or replicas() == 1:
        return kind
    import tensorflow as tf

    class Clipping(kind):  # type: ignore[misc, valid-type]
        global_clipnorm: float | None

        def apply(self, grads: list[Any], trainable_variables: list[Any] | None = None) -> Any:
            most, replica = self.global_clipnorm, tf.distribute.get_replica_context()
            if not most or replica is None:
                return super().apply(grads, trainable_variables)
            there = [number for number, gradient in enumerate(grads) if gradient is not None]
            total = replica.all_reduce(tf.distribute.ReduceOp.SUM, [grads[number] for number in there])
            clipped, _ = tf.clip_by_global_norm(total, most)
            grads = list(grads)
            for number, gradient in zip(there, clipped, strict=True):
                grads[number] = gradient / replica.num_replicas_in_sync
            self.global_clipnorm = None
            try:
                return super().apply(grads, trainable_variables)
            finally:
                self.global_clipnorm = most

    Clipping.__name__, Clipping.__doc__ = kind.__name__, kind.__doc__
    return Clipping


@dataclass(frozen=True)
class Workers:
    """The processes that train one network together; one, where nothing else was asked for."""

    index: int
    """Of this process; 0 writes what is written."""
    count: int

    @property
    def writes(self) -> bool:
        """Whether this process writes checkpoints, logs and the bundle."""
        return self.index == 0

    def any(self, here: bool) -> bool:
        """Says whether something is so on any worker. All workers have to ask at the same step."""
        return here if self.count == 1 else bool(self._gather(np.array([here])).any())

    def agree(self, facts: Mapping[str, object]) -> None:
        """Checks that all workers are about to do the same. All have to ask.

        Args:
            facts: what to compare, by name; compared, and shown, by the first 64 bytes of its text.

        Raises:
            WorkersDiffer: a fact is another one elsewhere.
        """
        if self.count == 1:
            return
        texts = [str(value).encode()[:_TEXT].ljust(_TEXT) for value in facts.values()]
        told = self._gather(np.frombuffer(b"".join(texts), np.uint8).reshape(-1, _TEXT))
        for number, name in enumerate(facts):
            values = [bytes(worker[number]).decode(errors="replace").strip() for worker in told]
            for index, value in enumerate(values):
                if value != values[0]:
                    raise WorkersDiffer(name, first=values[0], index=index, other=value)

    def wait(self) -> None:
        """Waits until all workers have come here: what one of them writes is whole when the others go on."""
        self.any(False)

    def _gather(self, array: np.ndarray) -> np.ndarray:
        """Returns the arrays of all workers, stacked."""
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(array))


def workers() -> Workers:
    """Returns the processes that train together, in the scope of `resolve`.

    They are told of each other by the environment variables of `keras.distribution.initialize`:
    `KERAS_DISTRIBUTION_JOB_ADDRESSES` (`host:port` of worker 0), `KERAS_DISTRIBUTION_NUM_PROCESSES` and
    `KERAS_DISTRIBUTION_PROCESS_ID`.
    """
    if keras.backend.backend() != "jax" or keras.distribution.distribution() is None:
        return Workers(0, 1)
    import jax

    return Workers(jax.process_index(), jax.process_count())


_ADVICE = {
    "mirrored": "Use distribution.strategy: auto, or data_parallel with KERAS_BACKEND=jax.",
    "data_parallel": "Use distribution.strategy: auto, or mirrored with KERAS_BACKEND=tensorflow.",
    "model_parallel": "Use distribution.strategy: auto with {backend}, or KERAS_BACKEND=jax.",
}
_VARIABLES = (
    "KERAS_DISTRIBUTION_JOB_ADDRESSES",
    "KERAS_DISTRIBUTION_NUM_PROCESSES",
    "KERAS_DISTRIBUTION_PROCESS_ID",
)


def _auto(found: tuple[str, ...], batch_size: int | None) -> Devices:
    """All accelerators, or the most that can share a batch."""
    able = len(found) if keras.backend.backend() in ("tensorflow", "jax") else min(len(found), 1)
    most = next((n for n in range(able, 1, -1) if batch_size is None or batch_size % n == 0), 1)
    _warn_of_unused(found[most:], batch_size=batch_size)
    return Devices("single", found[:1] or ("cpu",)) if most == 1 else _on_one_machine(found[:most])


def _on_one_machine(names: tuple[str, ...]) -> Devices:
    """A copy of the network on each device."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # TensorFlow's default, collective operations, mixes up the sums of gradients with those of batch normalisation.
        ours = tf.distribute.NcclAllReduce if "GPU" in names[0] else tf.distribute.ReductionToOneDevice
        strategy = tf.distribute.MirroredStrategy(list(names), cross_device_ops=ours())
        return Devices("mirrored", names, len(names), strategy)
    parallel = keras.distribution.DataParallel(devices=list(names), auto_shard_dataset=False)
    return Devices("data_parallel", names, len(names), parallel)


def _model_parallel(
    names: tuple[str, ...], batch_size: int | None, asked: int | None, layout: Mapping[str, list[str | None]]
) -> Devices:
    sharing = asked or len(names)
    if len(names) % sharing:
        problem = f"expected a number that divides the {len(names)} devices. Received: {sharing}."
        raise RecipeError("distribution.model_devices", problem)
    copies = len(names) // sharing
    _refuse_unequal_parts(batch_size, copies)
    mesh = keras.distribution.DeviceMesh((copies, sharing), ("batch", "model"), list(names))
    return Devices("model_parallel", names, copies, ModelParallel(mesh, layout))


def _multi_worker(batch_size: int | None) -> Devices:
    wanted = f"{_STRATEGY}: multi_worker"
    backend = keras.backend.backend()
    if backend != "jax":
        raise BackendUnavailable(wanted, _no_workers(backend), advice="Set KERAS_BACKEND=jax on all workers.")
    missing = [name for name in _VARIABLES if name not in os.environ]
    if missing:
        cause = f"the environment does not say which workers there are: {', '.join(missing)} missing"
        raise BackendUnavailable(wanted, cause, advice="See docs/cloud.md.")
    import jax

    if not jax.distributed.is_initialized():
        try:
            keras.distribution.initialize()
        except (RuntimeError, ValueError) as error:
            line = str(error).strip().splitlines()[0]
            advice = "Check the three KERAS_DISTRIBUTION_ variables on all workers."
            raise BackendUnavailable(wanted, f"the workers did not find one another ({line})", advice=advice) from error
    names = tuple(_name(device) for device in jax.devices())
    _refuse_unequal_parts(batch_size, len(names))
    parallel = keras.distribution.DataParallel(devices=list(names), auto_shard_dataset=False)
    return Devices("multi_worker", names, len(names), parallel)


def _no_workers(backend: str) -> str:
    """Why a backend cannot have several workers.

    Keras 3.15 on TensorFlow 2.21: `fit` under `MultiWorkerMirroredStrategy` reduces a whole batch, a tuple, where
    TensorFlow takes single values ("Attempt to convert a value (PerReplica…"), and past that takes the mean of the
    logs over an axis that numbers do not have. Both are in private methods of Keras, whatever the data set is.
    """
    return "fit of Keras fails under MultiWorkerMirroredStrategy" if backend == "tensorflow" else f"{backend} has none"


def _workers_told() -> bool:
    """Whether the environment tells of other workers, each of which would train alone otherwise."""
    try:
        cluster = json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster", {})
        told = sum(len(cluster.get(kind, ())) for kind in ("chief", "worker"))
        return max(told, int(os.environ.get("KERAS_DISTRIBUTION_NUM_PROCESSES", "1"))) > 1
    except (ValueError, AttributeError, TypeError) as error:
        advice = f"Correct them, or set {_STRATEGY}: single."
        raise BackendUnavailable(
            f"{_STRATEGY}: auto",
            f"TF_CONFIG or KERAS_DISTRIBUTION_NUM_PROCESSES cannot be read: {error}",
            advice=advice,
        ) from error


def _refuse_unequal_parts(batch_size: int | None, parts: int) -> None:
    if batch_size is not None and batch_size % parts:
        nearest = max(parts, round(batch_size / parts) * parts)
        problem = f"expected a multiple of {parts}, the number of replicas, such as {nearest}. Received: {batch_size}."
        raise RecipeError("train.batch_size", problem)


def _processors() -> tuple[str, ...]:
    """Processors as devices: more than one where a user, or a test, has made the backend see several."""
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            return tuple(device.name for device in tf.config.list_logical_devices("CPU"))
        case "jax":
            import jax

            return tuple(_name(device) for device in jax.local_devices() if device.platform == "cpu")
        case _:
            return ("cpu",)


def _name(device: Any) -> str:
    """A device of JAX, as Keras calls it."""
    return f"{device.platform}:{device.id}"


def _warn_of_unused(unused: tuple[str, ...], *, batch_size: int | None = None) -> None:
    if unused:
        advice = f"Set {_STRATEGY}: auto to train on all of them."
        if keras.backend.backend() not in ("tensorflow", "jax"):
            advice = f"{keras.backend.backend()} trains on one device; set KERAS_BACKEND to tensorflow or jax."
        elif batch_size is not None:
            advice = f"Set train.batch_size, {batch_size} now, to a multiple of their number."
        warnings.warn(f"Accelerators left unused: {', '.join(unused)}. {advice}", stacklevel=4)
    drivers = Path("/proc/driver/nvidia/gpus")
    if not accelerators() and "CUDA_VISIBLE_DEVICES" not in os.environ and drivers.is_dir() and any(drivers.iterdir()):
        backend = keras.backend.backend()
        warnings.warn(
            f"This machine has an NVIDIA accelerator that {backend} does not see: training runs on the processor. "
            "Install geodl[cuda] and check the driver.",
            stacklevel=4,
        )
