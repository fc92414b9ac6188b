"""What has happened on the line of steps."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from geodl.errors import OutputUnwritable

__all__ = ("History",)


@dataclass
class History:
    """The course of a training run; every checkpoint holds it."""

    rows: list[dict[str, float]] = field(default_factory=list)
    """One per epoch: `epoch` (from 1), `step` (steps done), `loss` (mean over the epoch), `learning_rate`, `seconds`
    (since the run began, time between kill and continuation left out), `val_<name>` for each validation metric."""
    step: int = 0
    """Steps done, over all continuations."""
    first_step: int = 0
    """Steps that were done before this call: more than 0 in a continued run."""
    seconds: float = 0.0
    """Time spent, over all continuations."""
    best_epoch: int | None = None
    """Epoch (from 1) with the best validation metric, 0 for the first weights; None: none was measured yet."""
    best_value: float | None = None
    waited: int = 0
    """Epochs since the best one."""
    stopped: bool = False
    """Whether training ended before the last epoch because nothing got better, or a callback said so."""
    interrupted: bool = False
    """Whether Ctrl-C ended this call; the run can be continued."""

    @property
    def executed(self) -> int:
        """Steps that this call did."""
        return self.step - self.first_step

    def improves(self, value: float, mode: Literal["max", "min"]) -> bool:
        """Says whether `value` is better than the best so far; not-a-number never is."""
        if math.isnan(value):
            return False
        return self.best_value is None or (value > self.best_value if mode == "max" else value < self.best_value)

    def to_state(self) -> dict[str, Any]:
        """Returns what a checkpoint stores."""
        return {name: value for name, value in asdict(self).items() if name not in ("first_step", "interrupted")}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Continues from what `to_state` returned."""
        return cls(**state, first_step=state["step"])

    def write_csv(self, path: Path) -> None:
        """Writes the rows as CSV, anew: those that a kill left beyond the checkpoint are gone.

        Raises:
            OutputUnwritable: no permission, disk full, …
        """
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        partial = path.with_name(f".{path.name}.partial")
        try:
            partial.write_text(text.getvalue(), encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            raise OutputUnwritable(path, error.strerror or error) from error
        finally:
            partial.unlink(missing_ok=True)
