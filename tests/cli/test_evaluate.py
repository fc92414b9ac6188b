"""`geodl evaluate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def test_scores_are_printed_and_written(
    geodl_cli: Callable[..., Any], replaced: Callable[..., Any], evaluation: SimpleNamespace, tmp_path: Path
) -> None:
    calls = replaced("evaluate", lambda *args, **kwargs: evaluation)
    target = tmp_path / "metrics.json"
    result = geodl_cli("evaluate", "runs/a", "--set", "data.split=test", "--json", target)
    assert result.exit_code == 0
    assert calls == [(("runs/a", {"data.split": "test"}), {"baselines": False})]
    assert "0.7123" in result.stdout
    assert json.loads(target.read_text()) == evaluation.to_json()


def test_quiet_prints_only_what_was_written(
    geodl_cli: Callable[..., Any], replaced: Callable[..., Any], evaluation: SimpleNamespace, tmp_path: Path
) -> None:
    replaced("evaluate", lambda *args, **kwargs: evaluation)
    assert geodl_cli("evaluate", "runs/a", "--quiet").output == ""
    result = geodl_cli("evaluate", "runs/a", "--quiet", "--json", tmp_path / "m.json")
    assert result.output == f"{tmp_path / 'm.json'}\n"
    result = geodl_cli("evaluate", "runs/a", "--quiet", "--json", "-")
    assert json.loads(result.output) == evaluation.to_json()
