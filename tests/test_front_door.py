"""`import geodl`: cheap, lazy, complete."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

import geodl


def test_importing_geodl_loads_nothing_heavy() -> None:
    code = (
        "import sys, geodl; geodl.__version__;"
        "heavy = {'numpy', 'keras', 'rasterio', 'pydantic', 'yaml', 'typer'} & set(sys.modules);"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_version_is_the_packages() -> None:
    assert geodl.__version__ == version("geodl")


def test_all_names_are_listed_and_there() -> None:
    assert set(geodl.__all__) <= set(dir(geodl))
    for name in geodl.__all__:
        assert getattr(geodl, name) is not None


def test_what_a_notebook_reads_with_is_there_by_one_import() -> None:
    from geodl import data

    assert sorted(data.__all__) == dir(data) == sorted(name for names in data._HOMES.values() for name in names)
    for name in data.__all__:
        assert getattr(data, name).__name__ == name if callable(getattr(data, name)) else getattr(data, name)


def test_the_walk_is_that_of_the_pipelines() -> None:
    from geodl import pipelines

    for name in ("train", "evaluate", "check"):
        assert getattr(geodl, name) is getattr(pipelines, name)
        assert callable(getattr(geodl, name))


def test_models_are_keras_models_that_stand_alone() -> None:
    network = geodl.models.UNet(channels=4, classes=5, width=2, depth=1)
    assert network.output_shape[-1] == 5


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="module 'geodl' has no attribute 'trian'"):
        geodl.trian  # noqa: B018
