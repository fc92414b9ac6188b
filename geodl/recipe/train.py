"""The `train` and `distribution` sections of recipes: how, and on which devices, a network is fitted."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from geodl.recipe.sections import Section, paths

__all__ = ("Checkpoint", "Distribution", "Optimizer", "Schedule", "Train")


class Optimizer(Section):
    """How weights are changed."""

    name: str = "adamw"
    """Any optimiser of Keras, in snake case or lower case (adamw, adam, sgd, lion, …), or soap."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Step size at its height, after warm-up."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Decoupled weight decay per step, relative to the learning rate."""
    clip_norm: float | None = Field(default=None, gt=0)
    """Greatest global norm of the gradient; null: any."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Momentum of the exponential moving average of weights that is kept; null: none."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of the Keras optimiser, such as momentum."""


class Schedule(Section):
    """Learning rate over the global step."""

    name: Literal["constant", "cosine", "exponential", "step", "time"] = "cosine"
    """cosine: falls to `final` at the last step; exponential: × `factor` every `every` steps, smoothly; step: the same
    in jumps; time: ÷ (1 + steps ÷ `every`)."""
    warmup: float = Field(default=0.0, ge=0, lt=1)
    """Share of all steps over which the learning rate rises linearly from 0."""
    final: float = Field(default=0.01, ge=0, le=1)
    """Fraction of the learning rate at the end of `cosine`."""
    factor: float = Field(default=0.5, gt=0, le=1)
    """Factor of `exponential` and `step`."""
    every: int = Field(default=1000, ge=1)
    """Steps; see `name`."""


class Checkpoint(Section):
    """When the whole state of training is written, so that a killed run can continue."""

    steps: int | None = Field(default=None, ge=1)
    """Every so many steps, besides the end of each epoch; null: not by steps."""
    minutes: float | None = Field(default=10.0, gt=0)
    """Every so many minutes, besides the end of each epoch; null: not by time."""
    keep: int = Field(default=2, ge=1)
    """Number of checkpoints kept."""


class Train(Section):
    """How the network is fitted."""

    epochs: int = Field(default=30, ge=1)
    steps_per_epoch: int = Field(default=100, ge=1)
    """Batches between two validations."""
    batch_size: int = Field(default=8, ge=1)
    """Samples a step, over all devices."""
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    early_stopping: int | None = Field(default=None, ge=1)
    """Epochs without a better validation metric after which training ends; null: never."""
    init: str | None = paths("Bundle whose weights training starts from; bands and classes are mapped by name.")
    checkpoint: Checkpoint = Checkpoint()
    precision: Literal["float32", "float64", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Type that layers compute in; mixed: in 16 bits, with weights and logits in 32. float64 is for `dynamics`."""
    jit: Literal["auto"] | bool = "auto"
    """Whether the training step is compiled by XLA."""
    accumulate: int = Field(default=1, ge=1)
    """Equal parts of each batch that go through the network one after the other before the weights are changed once:
    activations take so many times less memory, and the update is the same."""
    rematerialise: bool = False
    """Whether blocks of the network are computed anew on the way back instead of kept: less memory for more time."""
    tensorboard: bool = False
    """Whether logs for TensorBoard are written beside the CSV log."""
    callbacks: list[dict[str, Any]] = Field(default_factory=list)
    """Keras callbacks, each with its import path (`class: package.module.Name`) and `options`; a bare path will do."""
    tracker: Literal["mlflow", "wandb"] | None = None
    """Where settings and metrics are logged besides the CSV log, if it is installed; null: nowhere."""

    @field_validator("callbacks", mode="before")
    @classmethod
    def _bare_paths(cls, callbacks: Any) -> Any:
        listed = callbacks if isinstance(callbacks, list) else [callbacks]
        return [{"class": callback} if isinstance(callback, str) else callback for callback in listed]


class Distribution(Section):
    """Which devices train."""

    strategy: Literal["auto", "single", "mirrored", "data_parallel", "model_parallel", "multi_worker"] = "auto"
    """auto: all accelerators of the machine, or the workers that the environment tells of; single: one device;
    mirrored (TensorFlow), data_parallel (JAX): each batch shared among this machine's accelerators; model_parallel
    (JAX): large weights shared among them; multi_worker (JAX): devices of several processes."""
    model_devices: int | None = Field(default=None, ge=2)
    """model_parallel: devices that share one network; null: all."""
    layout: dict[str, list[str | None]] = Field(default_factory=dict)
    """model_parallel: regular expression of a variable's path to `model` or null for each of its axes; null where it is
    not to be split. What matches none is split along its last axis, if that is a multiple of the devices."""
