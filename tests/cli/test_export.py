"""`geodl export`: what is asked of the export, and what is printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from geodl.errors import OutputExists
from geodl.inference import export as module


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replaces the export; its calls."""
    calls: list[Any] = []

    def export(run: str, target: str | None, **options: Any) -> Path:
        calls.append((run, target, options))
        if target == "taken":
            raise OutputExists(target, "an export")
        return Path(target or f"{run}-{options['format']}")

    monkeypatch.setattr(module, "export", export)
    return calls


def test_an_export_is_made_and_named(geodl_cli: Callable[..., Any], calls: list[Any]) -> None:
    result = geodl_cli("export", "runs/a", "--format", "onnx")
    assert (result.exit_code, result.output) == (0, f"Export: {Path('runs/a-onnx')}\n")
    result = geodl_cli("export", "runs/a", "-f", "openvino", "-o", "deploy", "--overwrite", "--quiet")
    assert (result.exit_code, result.output) == (0, "deploy\n")
    assert calls == [
        ("runs/a", None, {"format": "onnx", "overwrite": False}),
        ("runs/a", "deploy", {"format": "openvino", "overwrite": True}),
    ]


def test_mistakes_are_one_sentence(geodl_cli: Callable[..., Any], calls: list[Any]) -> None:
    result = geodl_cli("export", "runs/a", "--format", "onnx", "--output", "taken")
    assert (result.exit_code, result.stderr) == (2, f"Error: {OutputExists(Path('taken'), 'an export')}\n")
    assert geodl_cli("export", "runs/a").exit_code == 2 and len(calls) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nowhere", "--format", "saved_model"), "Error: nowhere: No such folder."),
        ((".", "--format", "tflite"), "Error: format: expected onnx, openvino or saved_model. Received: 'tflite'."),
    ],
)
def test_what_cannot_be_exported(
    geodl_cli: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = geodl_cli("export", *arguments)
    assert result.exit_code == 2 and result.stderr.startswith(sentence)
    assert list(tmp_path.iterdir()) == []
