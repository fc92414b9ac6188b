"""What comes with geodl is found in a checkout and in a wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from geodl.recipe import shipped as module


def test_the_wheels_copy_goes_before_the_checkouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "geodl"
    (package / "_shipped" / "pipelines").mkdir(parents=True)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "datasets").mkdir()
    (package / "_shipped" / "pipelines" / "b.yaml").touch()
    (package / "_shipped" / "pipelines" / "a.yaml").touch()
    monkeypatch.setattr(module, "_PACKAGE", package)
    assert module.shipped("pipelines") == package / "_shipped" / "pipelines"
    assert module.shipped("datasets") == tmp_path / "datasets"
    assert module.shipped_names("pipelines") == ("a", "b")


def test_segmentation_is_shipped() -> None:
    assert "segmentation" in module.shipped_names("pipelines")
    assert "simulated-landcover" in module.shipped_names("datasets")
