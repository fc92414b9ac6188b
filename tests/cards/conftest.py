"""Cards of one's own, and quick retries."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from geodl.recipe import shipped as module


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Retries follow at once, and data sets lie in the test's own folder."""
    settings = {"GDAL_HTTP_RETRY_DELAY": "0.001", "GDAL_HTTP_LOW_SPEED_TIME": "2", "GDAL_HTTP_MAX_RETRY": "2"}
    for name, value in (settings | {"GEODL_CACHE": str(tmp_path / "cache"), "NO_PROXY": "*"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GEODL_DATASETS", raising=False)


@pytest.fixture
def carded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """Writes the card `mine`, with what every card needs, and returns its name."""
    folder = tmp_path / "package" / "_shipped" / "datasets"
    folder.mkdir(parents=True)
    folder.with_name("pipelines").symlink_to(module.shipped("pipelines"))
    monkeypatch.setattr(module, "_PACKAGE", tmp_path / "package")

    def write(name: str = "mine", **content: Any) -> str:
        whole = {"task": "segmentation", "title": "T", "description": "D", "licence": "CC0-1.0", "citation": "C"}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(whole | content))
        return name

    return write


@pytest.fixture
def sha256() -> Callable[[bytes], str]:
    """A checksum as cards write it, by the standard library."""
    return lambda content: f"sha256:{hashlib.sha256(content).hexdigest()}"
