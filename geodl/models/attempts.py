"""The way forward through attempted steps: each sample tries a step of its own size, and keeps or repeats it.

All samples of a batch go through one loop; one that has arrived waits. What is needed to come back is written down as it
goes, attempt by attempt, in blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from keras import ops

from geodl.models.denseoutput import AskedTimes
from geodl.models.embedded import Pair, written
from geodl.models.stepcontrol import StepControl

__all__ = ("ARRIVED", "UNDERFLOW", "Course", "Journal", "Traveller")

RUNNING, ARRIVED, UNDERFLOW = 0, 1, 2


class Course(NamedTuple):
    """How far a batch has come."""

    attempts: Any
    """Steps tried so far, int32: the same for all samples that have not arrived."""
    status: Any
    """`RUNNING`, `ARRIVED` or `UNDERFLOW`, int32 (batch,)."""
    time: Any
    """(batch,)."""
    state: Any
    """(batch, S)."""
    derivative: Any
    """The field there, (batch, S)."""
    step: Any
    """Size of the next step, greater than 0, (batch,)."""
    error: Any
    """Error norm of the last accepted step, (batch,)."""
    rejected: Any
    """Whether the last attempt was rejected, bool (batch,)."""
    following: Any
    """Index of the first asked time not reached, int32 (batch,)."""
    values: Any
    """At the asked times, as `AskedTimes.write` gives them."""
    accepted: Any
    """Number of accepted steps, int32 (batch,)."""
    dense: Any
    """Number of those with an asked time within, int32 (batch,)."""
    tried: Any
    """Number of attempted steps, int32 (batch,)."""


class Journal(NamedTuple):
    """What is written down of each attempt."""

    times: Any
    """At start and end of the attempted steps; equal where it was not accepted: (blocks, block, 2, batch)."""
    states: Any
    """At their starts, (blocks, block, batch, S); or those of the first of each block alone, (blocks, 1, batch, S)."""


@dataclass(frozen=True)
class Traveller:
    """One batch on its way through the asked times."""

    pair: Pair
    control: StepControl
    slope: Callable[[Any], Any]
    """The field with its parameters."""
    asked: AskedTimes
    max_steps: int

    def start(self, state: Any) -> Course:
        """Returns the course before the first attempt, from the state at the first time, (batch, S)."""
        derivative = self.slope(state)
        step = self.control.first(self.slope, state, derivative, self.asked.direction)
        none = ops.zeros_like(ops.cast(step, "int32"))
        able = ops.all(ops.isfinite(derivative), axis=1) & ops.isfinite(step)
        status = ops.where(self.asked.start == self.asked.end, ARRIVED, ops.where(able, RUNNING, UNDERFLOW))
        return Course(
            attempts=ops.zeros((), "int32"),
            status=ops.cast(status, "int32"),
            time=self.asked.start,
            state=state,
            derivative=derivative,
            step=ops.where(able, step, ops.zeros_like(step)),
            error=ops.ones_like(step),
            rejected=none > 0,
            following=none + 1,
            values=self.asked.empty(state),
            accepted=none,
            dense=none,
            tried=none,
        )

    def going(self, course: Course) -> Any:
        """Returns whether a sample has yet to arrive, and may."""
        return ops.any(course.status == RUNNING) & (course.attempts < self.max_steps)

    def attempt(self, course: Course) -> Course:
        """Returns the course after one more attempt of each sample that has not arrived."""
        asked, running = self.asked, course.status == RUNNING
        left = ops.absolute(asked.end - course.time)
        # A little longer rather than a tiny step behind it.
        last = 1.01 * course.step >= left
        end = ops.where(last, asked.end, course.time + asked.direction * course.step)
        end = ops.where(running, end, course.time)
        # The sum has been rounded: this is the step that leads from one time to the other.
        size = end - course.time
        step = self.pair.step(self.slope, course.state, course.derivative, size[:, None])
        error = self.pair.error(step, size[:, None], self.control.scale(course.state, step.end))
        finite = ops.all(ops.isfinite(step.end) & ops.isfinite(step.derivatives[self.pair.stages]), axis=1)
        error = ops.where(finite, error, ops.full_like(error, float("nan")))
        taken = running & (error <= 1.0)

        inside = taken & asked.within(course.following, end)
        terms = ops.cond(
            ops.any(inside),
            lambda: self.pair.dense(self.slope, course.state, step, size[:, None]),
            lambda: ops.stack([ops.zeros_like(course.state)] * self.pair.terms),
        )
        values, following = asked.write(
            course.values,
            course.following,
            taken=taken,
            start=course.time,
            end=end,
            state=course.state,
            terms=terms,
        )

        proposed, last_error = self.control.after(
            ops.absolute(size), error, last_error=course.error, accepted=taken, rejected_before=course.rejected
        )
        time = ops.where(taken, end, course.time)
        stuck = proposed < self.control.smallest(time)
        status = ops.where(taken & last, ARRIVED, ops.where(running & stuck, UNDERFLOW, course.status))
        counted, moved = ops.cast(taken, "int32"), taken[:, None]
        return Course(
            attempts=course.attempts + 1,
            status=ops.cast(status, "int32"),
            time=time,
            state=ops.where(moved, step.end, course.state),
            derivative=ops.where(moved, step.derivatives[self.pair.stages], course.derivative),
            step=ops.where(running, proposed, course.step),
            error=ops.where(running, last_error, course.error),
            rejected=running & ~taken,
            following=following,
            values=values,
            accepted=course.accepted + counted,
            dense=course.dense + ops.cast(inside, "int32"),
            tried=course.tried + ops.cast(running, "int32"),
        )

    def travel(self, course: Course) -> Course:
        """Returns the course at its end. Nothing is written down."""
        return ops.while_loop(self.going, lambda course: (self.attempt(course),), (course,))[0]

    def travel_with_journal(self, course: Course, *, block: int, all_states: bool) -> tuple[Course, Journal]:
        """Returns the course at its end, and what is needed to come back.

        Args:
            course: its start.
            block: attempts per block.
            all_states: keep the states of all attempts; otherwise those of the first of each block.
        """
        blocks = -(-self.max_steps // block)
        no_times = ops.repeat(ops.stack([ops.zeros_like(course.time)] * 2)[None], block, axis=0)
        no_states = ops.repeat(ops.zeros_like(course.state)[None], block if all_states else 1, axis=0)

        def within_block(index: Any, course: Course, times: Any, states: Any) -> Any:
            return (index < block) & self.going(course)

        def attempt(index: Any, course: Course, times: Any, states: Any) -> tuple[Any, ...]:
            following = self.attempt(course)
            times = written(times, index, ops.stack([course.time, following.time]))
            if all_states:
                states = written(states, index, course.state)
            return index + 1, following, times, states

        def write_block(index: Any, course: Course, journal: Journal) -> tuple[Any, ...]:
            start = (ops.zeros((), "int32"), course, no_times, no_states if all_states else course.state[None])
            _, course, times, states = ops.while_loop(within_block, attempt, start)
            return (
                index + 1,
                course,
                Journal(written(journal.times, index, times), written(journal.states, index, states)),
            )

        journal = Journal(*[ops.repeat(empty[None], blocks, axis=0) for empty in (no_times, no_states)])
        _, course, journal = ops.while_loop(
            lambda index, course, journal: self.going(course), write_block, (ops.zeros((), "int32"), course, journal)
        )
        return course, journal
