"""`geodl check`."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


def test_the_report_is_printed_as_tables(geodl_cli: Callable[..., Any], replaced: Callable[..., Any]) -> None:
    tables = (
        SimpleNamespace(title="Scenes", columns=("scene", "pixels"), rows=(("a", 100), ("b", 20))),
        SimpleNamespace(title="Network", columns=("property", "value"), rows=(("parameters", "1,942,289"),)),
    )
    calls = replaced("check", lambda *args, **kwargs: SimpleNamespace(pipeline="segmentation", tables=tables))
    result = geodl_cli("check", "segmentation", "--set", "data.images=a", "--fold", "1")
    assert calls == [(("segmentation", {"data.images": "a"}), {"fold": 1})]
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [line for line in lines if line and not line[0].startswith("─")] == [
        ["Scenes"],
        ["scene", "pixels"],
        ["a", "100"],
        ["b", "20"],
        ["Network"],
        ["property", "value"],
        ["parameters", "1,942,289"],
    ]
    assert geodl_cli("check", "segmentation", "--quiet").output == ""
