"""Fitting a network: one line of steps that can be left and taken up again anywhere."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np

from geodl.errors import BackendUnavailable, OutputUnwritable
from geodl.training.accumulation import accumulate
from geodl.training.callbacks import Record, Score
from geodl.training.checkpoint import Checkpoint, Checkpoints
from geodl.training.compute import use_jit
from geodl.training.distribution import replicas, synchronised, workers
from geodl.training.globalmean import GlobalMean
from geodl.training.history import History
from geodl.training.interruption import Interruption
from geodl.training.line import Feed, Line, legs
from geodl.training.optimizers import build_optimizer
from geodl.training.progress import Progress
from geodl.training.rematerialisation import rematerialise
from geodl.training.schedules import build_schedule
from geodl.training.trackers import TRACKED, build_callbacks
from geodl.training.weights import network_identity, put_back

if TYPE_CHECKING:
    from geodl.recipe import Train
    from geodl.storage import Storage

__all__ = ("CHECKPOINTS", "LOG", "TABLE", "TOO_MUCH", "compile_for_training", "first_weights", "fit", "is_unfinished")

TOO_MUCH = 0.05
"""Share of the first weights in their average from which it is worth a word."""

CHECKPOINTS, LOG, TABLE = "checkpoints", "training.log", "log.csv"
"""Names of a folder and two files of a run."""


def fit(
    model: keras.Model,
    batches: Callable[[int], keras.utils.PyDataset],
    *,
    loss: keras.losses.Loss,
    config: Train,
    folder: str | Path,
    evaluate: Callable[[keras.Model], Mapping[str, float]] | None = None,
    monitor: str = "loss",
    mode: Literal["max", "min"] = "min",
    keep: Literal["best", "last"] = "best",
    score_start: bool = False,
    breaks: Sequence[int] = (),
    callbacks: Sequence[keras.callbacks.Callback] = (),
    identity: Mapping[str, Any] | None = None,
    facts: Mapping[str, object] = MappingProxyType({}),
    storage: Storage | None = None,
    progress: bool = True,
) -> History:
    """Trains a network with Keras `fit`, or continues the training that `folder` holds.

    Training is one line of `config.epochs * config.steps_per_epoch` steps; an epoch is a mark on it, where the network
    is validated. Killed anywhere and called again with the same arguments, it does only the steps that its last
    checkpoint lacks, and ends with the arrays of a run never killed, bit for bit on the same device with as many
    threads, as long as every random operation of the network has a seed generator (Keras's random layers do) and a
    user's `callbacks` keep no state of their own.

    Ctrl-C ends training after the current step, SIGTERM likewise with exit status 143; both write a checkpoint first.

    Args:
        model: a built network. It ends with the weights of the best epoch (see `keep`), averaged where
            `config.optimizer.ema` asks for it.
        batches: start → data set whose item k is the batch of step start + k: a pure function of that step, as
            `(x, y, sample_weight)`.
        loss: per sample; Keras multiplies it by the weights and takes the mean.
        config: the recipe's `train` section.
        folder: holds `checkpoints/`, `log.csv` (a row per epoch), `training.log` and, if asked for, `tensorboard/`.
        evaluate: model → validation metrics, called at the end of each epoch with the averaged weights.
        monitor: the metric that says which epoch is best; without `evaluate` only the training `loss`.
        mode: whether more (`max`) or less (`min`) of it is better.
        keep: whether the model ends with the weights of the best epoch or with the last ones. Without `evaluate`, and
            where no epoch was measured yet, the last ones.
        score_start: whether the weights that training starts from are scored, too, and kept where nothing better is
            found: they are epoch 0.
        breaks: steps, at the beginning of epochs, from which on batches have other shapes.
        callbacks: of Keras; at the end of epochs they find the metrics as `val_<name>`.
        identity: what must not change between kill and continuation, such as the recipe's fields by name; the network's
            layers are added to it.
        facts: what several workers must have in common beside it, such as the number of samples.
        storage: where the run lives, if `folder` is only where it works; see `Checkpoints`.
        progress: whether progress is shown.

    Returns:
        What happened: rows, best epoch, whether it was interrupted.

    Raises:
        CheckpointMismatch: the folder's checkpoint is of another run; the field that differs is named.
        TrainingDiverged: the loss became infinite or not-a-number.
        OutputUnwritable: the folder cannot be written, or the disk is full; the last checkpoint stays as it was.
        RecipeError: no such optimiser or schedule.
        BackendUnavailable: TensorBoard is asked for and not installed.
        WorkersDiffer: other workers have another recipe, other data or another checkpoint.

    Example:
        >>> history = fit(
        ...     network, lambda start: Batches(samples, batch_size=8, seed=0, start=start), loss=CrossEntropy(),
        ...     config=recipe.train, folder="runs/a", evaluate=validate, monitor="miou", mode="max",
        ... )
        >>> history.best_epoch, history.interrupted
        (17, False)
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputUnwritable(folder, error.strerror or error) from error
    extra = [*callbacks, *build_callbacks(config.callbacks, folder), *_tensorboard(folder, config)]
    group = workers()
    compile_for_training(model, loss if group.count == 1 else GlobalMean(loss), config)
    identity = {**(identity or {}), **network_identity(model)}
    with (
        Checkpoints(
            folder / CHECKPOINTS, keep=config.checkpoint.keep, storage=storage, beside=(LOG, TABLE, TRACKED)
        ) as store,
        Interruption() as interruption,
        synchronised(model),
    ):
        found = store.latest()
        history = History()
        if found:
            found.require(identity)
            put_back(model, found.arrays, path=found.path)
            history = History.from_state(found.state["history"])
        group.agree({"the step of the last checkpoint": history.step, **facts, **identity})
        score = Score(
            history,
            evaluate=evaluate,
            monitor=monitor,
            mode=mode,
            metrics=_group(found, "metrics") if history.step % config.steps_per_epoch else [],
            best=_group(found, "best") or None,
            start=score_start,
        )
        with Progress(
            epochs=config.epochs,
            steps_per_epoch=config.steps_per_epoch,
            batch_size=config.batch_size,
            monitor=f"val_{monitor}" if evaluate else None,
            log=folder / LOG if group.writes else None,
            shown=progress and group.writes,
        ) as display:
            record = Record(
                history,
                score=score,
                config=config,
                store=store,
                table=folder / TABLE,
                identity=identity,
                interruption=interruption,
                progress=display,
                workers=group,
            )
            callbacks = [score, *extra, record]
            _walk(model, batches, callbacks, breaks, record=record, history=history, config=config, display=display)
    if evaluate is not None and keep == "best" and score.best is not None:
        for variable, value in zip(model.variables, score.best, strict=True):
            variable.assign(value)
    elif not history.executed:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    return history


def is_unfinished(folder: str | Path, *, storage: Storage | None = None) -> bool:
    """Says whether `folder` holds a training that `fit` would continue: one that was killed or interrupted."""
    latest = Checkpoints(Path(folder) / CHECKPOINTS, storage=storage).latest()
    return latest is not None and not latest.state["finished"]


def _walk(
    model: keras.Model,
    batches: Callable[[int], keras.utils.PyDataset],
    callbacks: list[keras.callbacks.Callback],
    breaks: Sequence[int],
    *,
    record: Record,
    history: History,
    config: Train,
    display: Progress,
) -> None:
    """Does the steps that are left."""
    total = config.epochs * config.steps_per_epoch
    if history.step:
        display.note(f"Continues at step {history.step} of {total}.")
    else:
        display.note(f"Starts: {config.epochs} epochs of {config.steps_per_epoch} steps.")
        kept = first_weights(config)
        if kept >= TOO_MUCH:
            display.note(
                f"So few steps leave {100 * kept:.0f} % of the weights that training begins with in their moving average "
                f"(train.optimizer.ema {config.optimizer.ema:g}), which is what is kept. Train longer, or lower it to 0.9."
            )
    line = Line(callbacks, model=model, epochs=config.epochs, steps_per_epoch=config.steps_per_epoch)
    for leg in legs(history.step, epochs=config.epochs, steps_per_epoch=config.steps_per_epoch, breaks=breaks):
        if history.stopped:
            break
        line.enter(leg)
        steps = (leg.end - leg.epoch) * leg.epoch_steps
        with Feed(batches(leg.step), steps=steps) as feed:
            model.fit(
                feed,
                steps_per_epoch=leg.epoch_steps,
                initial_epoch=leg.epoch,
                epochs=leg.end,
                callbacks=line,
                shuffle=False,
                verbose=0,
            )
        if model.stop_training:
            break
        if leg.end < config.epochs:
            # Keras ends every fit with the averaged weights; the line goes on with the others.
            put_back(model, record.written)
    line.end()
    if not history.interrupted:
        pace = f", {display.rate}" if display.rate else ""
        display.note(f"Ends at step {history.step} of {total}; {history.executed} steps were done now{pace}.")


def first_weights(config: Train) -> float:
    """Returns the share that the first weights have in the moving average of the last ones, 0 to 1; 0 without one."""
    ema = config.optimizer.ema
    return 0.0 if ema is None else ema ** max(0, config.epochs * config.steps_per_epoch - 1)


def compile_for_training(model: keras.Model, loss: keras.losses.Loss, config: Train) -> None:
    """Gives a network the optimiser and the schedule of a recipe's `train` section, as `fit` does before its first step.

    Raises:
        RecipeError: no such optimiser, schedule or option; a batch that cannot be accumulated in so many parts.
        BackendUnavailable: the backend cannot accumulate gradients.
    """
    settings, schedule = config.optimizer, config.schedule
    learning_rate = build_schedule(
        schedule.name,
        learning_rate=settings.learning_rate,
        total_steps=config.epochs * config.steps_per_epoch,
        warmup=int(schedule.warmup * config.epochs * config.steps_per_epoch),
        final=schedule.final,
        factor=schedule.factor,
        every=schedule.every,
    )
    optimizer = build_optimizer(
        settings.name,
        learning_rate=learning_rate,
        weight_decay=settings.weight_decay,
        clip_norm=settings.clip_norm,
        ema=settings.ema,
        options=settings.options,
        variables=model.trainable_variables,
    )
    if config.rematerialise:
        rematerialise(model)
    model.compile(optimizer=optimizer, loss=loss, jit_compile=use_jit(model, config.jit))
    model.optimizer.build(model.trainable_variables)
    accumulate(model, config.accumulate, batch_size=config.batch_size, replicas=replicas())


def _group(checkpoint: Checkpoint | None, group: str) -> list[np.ndarray]:
    arrays = checkpoint.arrays if checkpoint else {}
    count = sum(name.startswith(f"{group}/") for name in arrays)
    return [arrays[f"{group}/{number}"] for number in range(count)]


def _tensorboard(folder: Path, config: Train) -> list[keras.callbacks.Callback]:
    if not config.tensorboard:
        return []
    if importlib.util.find_spec("tensorboard") is None:
        raise BackendUnavailable(
            "train.tensorboard", "tensorboard is not installed", advice="Install geodl[tensorboard]."
        )
    return [keras.callbacks.TensorBoard(folder / "tensorboard", write_graph=False)]
