"""`geodl doctor`: what is here, what is missing for what, and when that is a fault."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from geodl.cli import doctor


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Stands for the process in which Keras is started."""

    def answer(stdout: str, *, returncode: int = 0, stderr: str = "") -> None:
        done = SimpleNamespace(stdout=stdout, returncode=returncode, stderr=stderr)
        monkeypatch.setattr(doctor.subprocess, "run", lambda *args, **kwargs: done)

    return answer


_STARTED = json.dumps({"backend": "jax", "accelerators": ["gpu:0"], "sum": 512.0, "seconds": 2.0})


def test_all_is_here(geodl_cli: Callable[..., Any], probed: Callable[..., None], tmp_path: Path) -> None:
    probed(f"noise\n{_STARTED}\n")
    result = geodl_cli("doctor", "--json", tmp_path / "doctor.json")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines()[:30])) <= 80
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["keras", version("keras")] in rows
    assert ["accelerators", "gpu:0"] in rows
    told = json.loads((tmp_path / "doctor.json").read_text())
    tables = {table["title"]: table for table in told["tables"]}
    assert told["problems"] == []
    assert {"package": "numpy", "version": version("numpy")} in tables["Versions"]["rows"]
    assert tables["Backend"]["properties"]["backend"] == "jax"
    rasters = tables["Formats"]["rows"][0]
    assert "GTiff" in rasters["here"] and "JP2OpenJPEG" in rasters["here"]
    assert {"extra": "openvino", "here": "yes", "for": "the fastest maps on processors"} in tables["Extras"]["rows"]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"stdout": "", "returncode": -4}, "Keras says: its process ended with -4"),
        (
            {"stdout": "", "returncode": 1, "stderr": "Traceback\nImportError: no jax"},
            "Keras says: ImportError: no jax",
        ),
        ({"stdout": _STARTED.replace("512.0", "0.0")}, "a product of two matrices sums to 0.0, not 512"),
    ],
    ids=("killed", "not-installed", "wrong"),
)
def test_a_backend_that_does_not_work_is_a_fault(
    geodl_cli: Callable[..., Any], probed: Callable[..., None], answer: dict[str, Any], sentence: str
) -> None:
    probed(**answer)
    result = geodl_cli("doctor")
    assert result.exit_code == 2
    assert sentence in " ".join(result.stdout.split())


def test_a_backend_that_never_answers_is_a_fault(
    geodl_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*args: Any, **kwargs: Any) -> Any:
        raise subprocess.TimeoutExpired("python", kwargs["timeout"])

    monkeypatch.setattr(doctor.subprocess, "run", run)
    result = geodl_cli("doctor", "--quiet")
    assert (result.exit_code, result.stdout) == (2, "")


def test_an_extra_that_is_not_here_is_no_fault(
    geodl_cli: Callable[..., Any], probed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    probed(_STARTED)
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    result = geodl_cli("doctor")
    assert result.exit_code == 0
    assert ["openvino", "no", "the", "fastest", "maps", "on", "processors"] in map(
        str.split, result.stdout.splitlines()
    )
