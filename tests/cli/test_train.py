"""`geodl train`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def run(evaluation: SimpleNamespace) -> SimpleNamespace:
    return SimpleNamespace(path=Path("runs/a"), address="runs/a", first=True, evaluation=evaluation, interrupted=False)


def test_options_reach_the_pipeline(
    geodl_cli: Callable[..., Any], replaced: Callable[..., Any], run: SimpleNamespace
) -> None:
    calls = replaced("train", lambda *args, **kwargs: run)
    result = geodl_cli(
        *("train", "segmentation", "--set", "data.images=a.tif", "-s", "train.epochs=3"),
        *("--output", "runs/a", "--fold", "2", "--overwrite"),
    )
    assert result.exit_code == 0
    assert calls == [
        (
            ("segmentation", {"data.images": "a.tif", "train.epochs": 3}),
            {"output": "runs/a", "overwrite": True, "fold": 2, "progress": True},
        )
    ]
    assert "miou" in result.stdout
    assert result.stdout.endswith("Run: runs/a\n")


def test_quiet_prints_the_path_alone(
    geodl_cli: Callable[..., Any], replaced: Callable[..., Any], run: SimpleNamespace
) -> None:
    calls = replaced("train", lambda *args, **kwargs: run)
    result = geodl_cli("train", "segmentation", "--quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "runs/a\n", "")
    assert calls == [(("segmentation", {}), {"output": None, "overwrite": False, "fold": None, "progress": False})]


def test_one_worker_speaks_for_all(
    geodl_cli: Callable[..., Any], replaced: Callable[..., Any], run: SimpleNamespace
) -> None:
    run.first = False
    replaced("train", lambda *args, **kwargs: run)
    result = geodl_cli("train", "segmentation")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_json_on_stdout_is_alone_there(
    geodl_cli: Callable[..., Any], replaced: Callable[..., Any], run: SimpleNamespace
) -> None:
    replaced("train", lambda *args, **kwargs: run)
    result = geodl_cli("train", "segmentation", "--json", "-")
    told = json.loads(result.stdout)
    assert told.pop("files") == [{"what": "Run", "path": "runs/a"}]
    assert told == run.evaluation.to_json()
    assert "Run: runs/a" in result.stderr


def test_an_interrupted_run_says_what_is_left_and_exits_with_130(
    geodl_cli: Callable[..., Any], replaced: Callable[..., Any]
) -> None:
    run = SimpleNamespace(path=Path("runs/a"), address="runs/a", first=True, evaluation=None, interrupted=True)
    replaced("train", lambda *a, **k: run)
    result = geodl_cli("train", "segmentation")
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == "Interrupted: runs/a holds the best epoch so far.\n"


def test_a_wrong_setting_is_refused_before_anything_is_loaded(
    geodl_cli: Callable[..., Any], replaced: Callable[..., Any]
) -> None:
    calls = replaced("train", lambda *args, **kwargs: None)
    result = geodl_cli("train", "segmentation", "--set", "train.epochs")
    assert result.exit_code == 2
    assert result.stderr == "Error: --set: expected key=value, such as train.epochs=10. Received: 'train.epochs'.\n"
    assert calls == []
