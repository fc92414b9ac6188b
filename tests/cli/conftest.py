"""The command line as its users see it, with the pipelines behind it replaced."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

import geodl.pipelines
from geodl.cli import app


@pytest.fixture
def geodl_cli(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs `geodl …` in this process; loads no backend."""
    monkeypatch.setattr("geodl._quiet.load_backend", lambda: None)
    monkeypatch.delenv("GEODL_DEBUG", raising=False)
    for hook in ("excepthook", "unraisablehook"):  # Are put back after the test.
        monkeypatch.setattr(sys, hook, getattr(sys, hook))
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[..., Any]], list[Any]]:
    """Replaces a function of `geodl.pipelines`; returns the list of its calls: (positional, by name)."""

    def replace(name: str, function: Callable[..., Any]) -> list[Any]:
        calls: list[Any] = []

        def recording(*args: Any, **kwargs: Any) -> Any:
            calls.append((args, kwargs))
            return function(*args, **kwargs)

        monkeypatch.setitem(vars(geodl.pipelines), name, recording)
        return calls

    return replace


@pytest.fixture
def evaluation() -> SimpleNamespace:
    """Scores as a pipeline gives them."""
    metrics = {
        "miou": 0.71234,
        "kappa": float("nan"),
        "iou/water": 0.9,
        "f1/water": 0.95,
        "iou/land": 0.5,
        "f1/land": 0.6,
    }
    baseline = SimpleNamespace(metrics={"miou": 0.4, "iou/water": 0.3})
    content = json.loads('{"pipeline": "segmentation", "metrics": {"miou": 0.71234, "kappa": null}, "protocol": {}}')
    return SimpleNamespace(
        pipeline="segmentation",
        metrics=metrics,
        protocol={"part": "test"},
        baselines={"forest": baseline},
        details={},
        tables=(),
        to_json=lambda: content,
    )
