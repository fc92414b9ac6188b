"""Which devices train, and what else only a backend itself can say: the seam that knows backends by name."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from geodl.errors import BackendUnavailable, RecipeError

__all__ = ("STRATEGIES", "Devices", "accelerators", "replicas", "resolve", "seed_everything")

STRATEGIES = ("auto", "single", "mirrored", "data_parallel", "multi_worker")


@dataclass(frozen=True)
class Devices:
    """What a network is trained on."""

    strategy: str
    """`single` or `mirrored`."""
    names: tuple[str, ...]
    """One name per replica, as the backend calls its devices."""
    _mirrored: Any = None

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Networks must be built, and trained, inside."""
        if self._mirrored is None:
            yield
        else:
            with self._mirrored.scope():
                yield


def resolve(strategy: str = "auto") -> Devices:
    """Finds the devices that a recipe's `distribution.strategy` asks for.

    Args:
        strategy: `auto` and `single` take one device, an accelerator if there is one; `mirrored` takes all accelerators
            of this machine (TensorFlow): each computes its share of every batch.

    Returns:
        The devices. A warning names accelerators that are left unused.

    Raises:
        BackendUnavailable: the strategy cannot be had here.
        RecipeError: no such strategy.

    Example:
        >>> with resolve("auto").scope():
        ...     network = geodl.models.UNet(channels=4, classes=5)
    """
    backend = keras.backend.backend()
    wanted = f"distribution.strategy: {strategy}"
    match strategy:
        case "auto" | "single":
            found = accelerators()
            _warn_of_unused(found[1:])
            return Devices("single", found[:1] or ("cpu",))
        case "mirrored" if backend == "tensorflow":
            return _mirrored(wanted)
        case "mirrored" | "data_parallel" | "multi_worker":
            raise BackendUnavailable(
                wanted,
                f"this version of geodl trains on one device with {backend}",
                advice="Use distribution.strategy: single, or mirrored with KERAS_BACKEND=tensorflow.",
            )
        case _:
            problem = f"expected one of: {', '.join(STRATEGIES)}. Received: {strategy!r}."
            raise RecipeError("distribution.strategy", problem, valid=STRATEGIES, nearest_to=strategy)


def accelerators() -> tuple[str, ...]:
    """Returns the names of the accelerators that the backend sees."""
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            devices = [*tf.config.list_physical_devices("GPU"), *tf.config.list_physical_devices("TPU")]
            for device in devices:
                # So that another process may use the device too; impossible once it is in use.
                with contextlib.suppress(RuntimeError, ValueError):
                    tf.config.experimental.set_memory_growth(device, True)
            return tuple(device.name for device in devices)
        case "jax":
            import jax

            return tuple(str(device) for device in jax.local_devices() if device.platform != "cpu")
        case _:
            return ()


def replicas() -> int:
    """Returns the number of devices among which a batch is shared, in the scope that is entered."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return int(tf.distribute.get_strategy().num_replicas_in_sync)


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


def _mirrored(wanted: str) -> Devices:
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    names = tuple(device.name for device in devices)
    if len(names) < 2:
        raise BackendUnavailable(
            wanted,
            f"it needs two devices or more, and tensorflow sees {len(accelerators())} accelerators here",
            advice="Use distribution.strategy: auto.",
        )
    return Devices("mirrored", names, tf.distribute.MirroredStrategy(list(names)))


def _warn_of_unused(unused: tuple[str, ...]) -> None:
    if unused:
        advice = "Set distribution.strategy: mirrored to train on all of them."
        warnings.warn(f"Accelerators left unused: {', '.join(unused)}. {advice}", stacklevel=3)
    drivers = Path("/proc/driver/nvidia/gpus")
    if not accelerators() and "CUDA_VISIBLE_DEVICES" not in os.environ and drivers.is_dir() and any(drivers.iterdir()):
        backend = keras.backend.backend()
        warnings.warn(
            f"This machine has an NVIDIA accelerator that {backend} does not see: training runs on the processor. "
            "Install geodl[cuda] and check the driver.",
            stacklevel=3,
        )
