"""What the shell offers at Tab."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def _offered(*words: str) -> list[str]:
    """Asks as bash does, through the environment."""
    asked = {
        "_GEODL_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("geodl", *words)),
        "COMP_CWORD": str(len(words)),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    code = "import sys; sys.argv = ['geodl']; from geodl.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "among"),
    [
        (("tr",), "train"),
        (("train", "denoising-"), "denoising-sar"),
        (("train", "segmentation", "--set", "train.ep"), "train.epochs="),
        (("train", "nowcasting", "--set", "clip."), "clip.leads="),
        (("demo", "cr"), "crops"),
        (("data", "get", "simulated-l"), "simulated-lorenz63"),
    ],
    ids=("command", "recipe", "key", "key-of-a-pipeline", "pipeline", "data-set"),
)
def test_tab_offers(words: tuple[str, ...], among: str) -> None:
    offered = _offered(*words)
    assert among in offered
    assert all(name.startswith(words[-1]) for name in offered)
