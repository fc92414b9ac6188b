"""Trainings that are killed, again and again, end as if nobody had."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from geodl.training.checkpoint import Checkpoints
from tests.training.six_pipelines import CASES, STEPS

_EVERY = 3


def _program(folder: Path, name: str, backend: str, *options: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    quiet = {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "GEODL_RUNTIME": "keras"}
    environment = {**os.environ, "PYTHONPATH": str(root), "KERAS_BACKEND": backend, **quiet}
    command = [sys.executable, "-m", "tests.training.six_pipelines", str(folder), "--names", name, "--rich"]
    return subprocess.run(
        [*command, "--strategies", "single", *options],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "backend", "kills"),
    [
        *(
            pytest.param(name, backend, 10 if name == "segmentation" else 2, id=f"{name}-{backend}")
            for name in CASES
            for backend in ("tensorflow", "jax")
        ),
    ],
)
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_random_steps(tmp_path: Path, name: str, backend: str, kills: int) -> None:
    """With dropout, augmentation, moving averages and a schedule on: equal to the last bit, and no step done twice more
    than the last checkpoint lacks."""
    rng = random.Random(f"{name} {backend}")
    folder, store = tmp_path / "killed", Checkpoints(tmp_path / "killed" / f"run-{name}-single" / "checkpoints")
    done, steps = 0, []
    for _ in range(kills):
        # Wherever it is killed next, it shall have come further than its last checkpoint now and then.
        step = rng.randint(min(done + 1, STEPS - 1), min(done + 2 * _EVERY, STEPS - 1))
        killed = _program(folder, name, backend, "--kill-at", str(step))
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        found = store.latest()
        done = 0 if found is None else found.step
        assert step - _EVERY - 1 <= done <= step
        steps.append(step)
    continued = _program(folder, name, backend)
    assert continued.returncode == 0, continued.stderr
    told = json.loads(continued.stdout.splitlines()[-1])
    assert told[2:] == [done, STEPS - done], steps
    whole = _program(tmp_path / "whole", name, backend)
    assert whole.returncode == 0, whole.stderr
    ends = [np.load(tmp_path / place / f"run-{name}-single" / "final-0.npz") for place in ("killed", "whole")]
    assert ends[0].files == ends[1].files != []
    for key in ends[0].files:
        np.testing.assert_array_equal(ends[0][key], ends[1][key], err_msg=f"{key}, killed at {steps}")
