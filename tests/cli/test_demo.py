"""`geodl demo`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def test_the_demo_ends_with_scores_and_paths(
    geodl_cli: Callable[..., Any], replaced: Callable[..., Any], evaluation: SimpleNamespace
) -> None:
    paths = {"map": Path("out/map.tif"), "picture": Path("out/map.png")}
    calls = replaced("demo", lambda *args, **kwargs: SimpleNamespace(paths=paths, evaluation=evaluation))
    result = geodl_cli("demo", "--output", "out")
    assert calls == [(("segmentation",), {"output": Path("out"), "overwrite": False, "progress": True})]
    assert "miou" in result.stdout
    assert result.stdout.endswith("map: out/map.tif\npicture: out/map.png\n")
    assert geodl_cli("demo", "--quiet").output == "out/map.tif\nout/map.png\n"
