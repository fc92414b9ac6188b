"""Every exception of geodl, under one base class.

Each class builds its own sentence: what is wrong, what was expected, what was received and what to do.
The command line prints that sentence and exits with 2; nobody else words it again.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = (
    "BackendUnavailable",
    "BandMismatch",
    "BundleError",
    "CheckpointMismatch",
    "ContractError",
    "DatesMismatch",
    "EmptyDataset",
    "FramesMissing",
    "GeodlError",
    "GridMismatch",
    "LabelsOutOfRange",
    "LabelsUnreadable",
    "NoValidPixels",
    "OptionError",
    "OutputExists",
    "OutputUnwritable",
    "PairingError",
    "RecipeError",
    "RecipeErrors",
    "ResolutionMismatch",
    "SeriesUnusable",
    "SourceUnreadable",
    "SplitError",
    "SplitLeakage",
    "StepMismatch",
    "StepUnderflow",
    "TrainingDiverged",
    "TrajectoryUnusable",
    "UnitMismatch",
    "WorkersDiffer",
)


def _listed(values: Iterable[object], most: int = 12) -> str:
    names = [str(value) for value in values]
    shown = ", ".join(names[:most])
    return f"{shown}, … ({len(names)} in all)" if len(names) > most else shown or "none"


def nearest(word: str, words: Iterable[str]) -> str:
    """Returns ' Did you mean …?' with the closest of `words`, or an empty string."""
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f" Did you mean {found[0]!r}?" if found else ""


class GeodlError(Exception):
    """Base class: a mistake or a limit that the user can understand and mend."""

    def __reduce__(self) -> tuple[object, ...]:
        # Made of its sentence again, not of the arguments that the sentence was made of: workers send errors home.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[GeodlError], args: tuple[object, ...], state: dict[str, object]) -> GeodlError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class OptionError(GeodlError):
    """An argument or command-line option has a value that cannot be used."""

    def __init__(self, option: str, *, expected: str, received: object) -> None:
        super().__init__(f"{option}: expected {expected}. Received: {received!r}.")


class RecipeError(GeodlError):
    """A recipe has an unknown key, a wrong type or a value out of range."""

    def __init__(
        self,
        key: str,
        problem: str,
        *,
        origin: str = "",
        line: int | None = None,
        valid: Iterable[str] = (),
        nearest_to: str | None = None,
    ) -> None:
        place = f"{origin}, line {line}: " if line else f"{origin}: " if origin else ""
        super().__init__(f"{place}{key}: {problem}{nearest(nearest_to or key.rsplit('.', 1)[-1], valid)}")
        self.key = key

    def at(self, origin: str, line: int | None) -> RecipeError:
        """Returns the same error with the place in front: where the recipe's file is known only further up."""
        placed = RecipeError.__new__(RecipeError)
        Exception.__init__(placed, f"{origin}, line {line}: {self}" if line else str(self))
        placed.key = self.key
        return placed


class RecipeErrors(RecipeError):
    """Several problems of one recipe, each with its place, in one message."""

    def __init__(self, problems: Sequence[RecipeError]) -> None:
        Exception.__init__(self, "\n".join([f"{len(problems)} problems:", *(f"  {problem}" for problem in problems)]))
        self.key = problems[0].key


class SourceUnreadable(GeodlError):
    """A file is missing, truncated, not of a known format, or of a kind that cannot be read."""

    def __init__(self, path: object, cause: object, *, advice: str = "Check the path and the file.") -> None:
        super().__init__(f"Cannot read {path}: {cause}. {advice}".replace("..", "."))


class EmptyDataset(GeodlError):
    """No file, or no sample, was found where some were expected."""

    def __init__(self, where: object, *, expected: str, received: str = "nothing") -> None:
        super().__init__(f"{where}: expected {expected}. Received: {received}.")


class PairingError(GeodlError):
    """Images and labels cannot be matched with one another."""

    def __init__(self, problem: str, *, images: Sequence[object] = (), labels: Sequence[object] = ()) -> None:
        super().__init__(
            f"Images and labels do not match: {problem} Images: {_listed(images, 4)}. Labels: {_listed(labels, 4)}. "
            "Name both alike, or set data.match to a regular expression whose group is the common part of the names."
        )


_BANDS_OF_ONE = " If these files are bands of one scene, say so: --stack, in a recipe data.stack=bands."


class BandMismatch(GeodlError):
    """A source has not the bands that a network (or the other scenes) needs."""

    def __init__(self, where: object, *, expected: Sequence[str], received: Sequence[str]) -> None:
        super().__init__(
            f"{where}: the bands do not fit. Expected {len(expected)}: {_listed(expected)}. "
            f"Received {len(received)}: {_listed(received)}. "
            "Give a source with these bands, or name them in the file (band descriptions) so that they can be found."
            + (_BANDS_OF_ONE if len(received) == 1 < len(expected) else "")
        )


class UnitMismatch(GeodlError):
    """A source states another unit than the network was trained with."""

    def __init__(self, where: object, *, band: str, expected: str, received: str) -> None:
        super().__init__(
            f"{where}: band {band} has another unit. Expected {expected!r}. Received: {received!r}. Convert the source first."
        )


class ResolutionMismatch(GeodlError):
    """A source's pixel size is not the one that the network was trained with."""

    def __init__(
        self,
        where: object,
        *,
        expected: str,
        received: str,
        advice: str = "Set data.resample (--resample bilinear) to resample it as it is read, or pass any_resolution=True "
        "(--any-resolution) to map it all the same.",
    ) -> None:
        super().__init__(f"{where}: the pixel size does not fit. Expected {expected}. Received: {received}. {advice}")


class GridMismatch(GeodlError):
    """Two rasters that must share one grid do not."""

    def __init__(
        self,
        one: object,
        other: object,
        *,
        differs: str,
        expected: object,
        received: object,
        advice: str = "Set data.resample (--resample) to bilinear or another method to bring them onto one grid, or "
        "choose others.",
    ) -> None:
        super().__init__(
            f"{other} is not on the grid of {one}: the {differs} differs. Expected {expected}. Received: {received}. {advice}"
        )


class FramesMissing(GeodlError):
    """A sequence lacks frames that are needed: there are too few, or some in between are not there."""

    def __init__(
        self,
        where: object,
        *,
        expected: str,
        received: str,
        missing: Sequence[object] = (),
        advice: str = "Add the missing files, or choose another time: gaps are never bridged.",
    ) -> None:
        lacking = f" Missing: {_listed(missing, 4)}." if missing else ""
        super().__init__(f"{where}: frames are missing. Expected {expected}. Received: {received}.{lacking} {advice}")


class StepMismatch(GeodlError):
    """A sequence has another time step than is wanted, and no whole number of its steps makes it."""

    def __init__(
        self,
        where: object,
        *,
        expected: str,
        received: str,
        advice: str = "Set data.step to a whole multiple of it, or choose other sequences.",
    ) -> None:
        super().__init__(f"{where}: the time step does not fit. Expected {expected}. Received: {received}. {advice}")


class TrajectoryUnusable(GeodlError):
    """States over time that nothing can be learnt from: too few, unsorted or repeated times, no variable observed."""

    def __init__(self, where: object, problem: str, *, advice: str) -> None:
        super().__init__(f"{where} cannot be used as a trajectory: {problem}. {advice}")


class StepUnderflow(GeodlError):
    """An adaptive solver cannot go on: its steps became too small, or there were too many of them."""

    def __init__(self, time: float, step: float, *, solver: str, why: str = "the step became too small") -> None:
        super().__init__(
            f"{solver} stopped at time {time:.6g} with a step of {step:.3g}: {why}. Expected a field that stays finite at "
            "tolerances that its precision can hold. Raise rtol and atol, allow more steps (max_steps), compute in "
            "float64, or look whether the field diverges."
        )


class SeriesUnusable(GeodlError):
    """Time series that nothing can be learnt from or told of: no dates, repeated ones, no observation, no labels."""

    def __init__(self, where: object, problem: str, *, advice: str) -> None:
        super().__init__(f"{where} cannot be used as time series: {problem}. {advice}")


class DatesMismatch(GeodlError):
    """Series were observed on other dates than a network of fixed length was trained on, or lack most of them."""

    def __init__(self, where: object, *, expected: str, received: str, advice: str) -> None:
        super().__init__(f"{where}: the dates do not fit. Expected {expected}. Received: {received}. {advice}")


class LabelsOutOfRange(GeodlError):
    """A label raster or vector holds values that are no class."""

    def __init__(self, where: object, *, expected: Sequence[object], received: Sequence[object]) -> None:
        super().__init__(
            f"{where}: labels out of range. Expected {_listed(expected)}. Received: {_listed(received)}. "
            "Add them to data.classes, or set data.ignore_label to the value that means unlabelled."
        )


class LabelsUnreadable(GeodlError):
    """A label file can be opened but its content cannot serve as labels: no CRS, points, several candidate columns."""

    def __init__(self, path: object, problem: str, *, advice: str) -> None:
        super().__init__(f"{path} cannot be used as labels: {problem}. {advice}")


class NoValidPixels(GeodlError):
    """Every pixel is nodata (or unlabelled): there is nothing to learn from or to map."""

    def __init__(self, where: object, what: str = "Every pixel is nodata") -> None:
        super().__init__(
            f"{where}: {what}; expected at least one valid pixel. Check the file's nodata value and masks."
        )


class SplitError(GeodlError):
    """The asked-for split cannot be made of this data."""

    def __init__(self, problem: str, *, advice: str) -> None:
        super().__init__(f"data.split: {problem} {advice}")


class SplitLeakage(GeodlError):
    """A training sample overlaps a validation or test sample, in space, in time or by group."""

    def __init__(self, one: object, other: object, how: str) -> None:
        super().__init__(
            f"Leakage: training sample {one} and held-out sample {other} {how}. "
            "Scores would be too good to be true. Split by blocks, by file or by group instead (data.split)."
        )


class ContractError(GeodlError):
    """A contract is malformed or of a version that this geodl does not know."""


class BundleError(GeodlError):
    """A folder is not a bundle, or its files cannot be used."""

    def __init__(
        self, path: object, problem: str, *, advice: str = "Expected a folder written by geodl train."
    ) -> None:
        super().__init__(f"{path}: {problem}. {advice}")


class CheckpointMismatch(GeodlError):
    """A checkpoint belongs to another recipe or network than the run that wants to continue it."""

    def __init__(self, path: object, *, field: str, expected: object, received: object) -> None:
        super().__init__(
            f"{path}: this unfinished run cannot be continued because {field} has changed. "
            f"Expected {expected!r}. Received: {received!r}. Restore it, choose another output, or pass overwrite=True (--overwrite)."
        )


class OutputExists(GeodlError):
    """The target exists and overwriting was not asked for."""

    def __init__(self, path: object, what: str = "a finished run") -> None:
        super().__init__(f"{path} already holds {what}. Choose another output, or pass overwrite=True (--overwrite).")


class OutputUnwritable(GeodlError):
    """The target cannot be written: no such folder, no permission, disk full."""

    def __init__(
        self, path: object, cause: object, *, advice: str = "Check the folder, its permissions and free space."
    ) -> None:
        super().__init__(f"Cannot write {path}: {cause}. Nothing half-written was left there. {advice}")


class BackendUnavailable(GeodlError):
    """What was asked for cannot be had with this backend or on this machine."""

    def __init__(self, wanted: str, why: str, *, advice: str) -> None:
        super().__init__(f"{wanted} cannot be had: {why}. {advice}")


class TrainingDiverged(GeodlError):
    """The loss became infinite or not-a-number: the weights are lost from that step on."""

    def __init__(self, step: int, loss: float) -> None:
        super().__init__(
            f"Training diverged: the loss is {loss} at step {step}. Expected a finite number. "
            "Lower train.optimizer.learning_rate, set train.optimizer.clip_norm (1.0, for example) or "
            "train.schedule.warmup, or look for extreme values in the inputs."
        )
        self.step = step


class WorkersDiffer(GeodlError):
    """Processes that are to train one network together have not the same data, recipe or checkpoint."""

    def __init__(self, what: str, *, first: object, index: int, other: object) -> None:
        super().__init__(
            f"The workers cannot train together: {what} differs. Expected, of worker 0: {first}. Received, of worker "
            f"{index}: {other}. All workers need the same command, the same data and the same --output folder."
        )
