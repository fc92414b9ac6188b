"""The lock of the peers: anyone can install it without CUDA and without being sent to an index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def lock() -> str:
    path = Path(__file__).parents[2] / "requirements-peers.lock"
    if not path.is_file():
        pytest.skip("no requirements-peers.lock: this is not a checkout")
    return path.read_text()


def test_every_line_is_a_pin_with_hashes(lock: str) -> None:
    entry = r"[a-z0-9.-]+==[^\s;]+(?: ; [^\\\n]+)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+"
    assert re.fullmatch(f"(?:{entry})+", lock)


def test_nothing_of_cuda_is_in_it(lock: str) -> None:
    names = re.findall(r"^([a-z0-9.-]+)==", lock, re.M)
    assert not [name for name in names if name.startswith(("nvidia-", "cuda-")) or name == "triton"]
    assert {"torch", "torchgeo", "aeon", "diffrax", "torchdiffeq"} <= set(names)


def test_torch_on_linux_is_the_wheel_for_processors(lock: str) -> None:
    from benchmarks.cpu_torch import HASH, VERSION

    assert f"torch=={VERSION} ; sys_platform == 'linux' \\\n    --hash={HASH}\ntorch==" in lock
