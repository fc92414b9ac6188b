"""The notebooks: readable, stripped, without traces of a machine; run from top to bottom without an error or a warning."""

from __future__ import annotations

import ast
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXPECTED = {
    *("crops", "denoising", "dynamics", "from-xor-to-unet", "nowcasting", "segmentation"),
    *("superresolution", "your-own-scene"),
}
"""One for each pipeline, and two that cross them."""

MODULES = {"scikit-learn": "sklearn", "scikit-image": "skimage", "pillow": "PIL", "pyyaml": "yaml"}
"""What distributions are called when they are imported, where that differs."""

RUNS_WITHOUT = ("http://", "https://", "s3://", "gs://")
"""No notebook's code names an address."""

every = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code(path: Path) -> Iterator[str]:
    """The code, without the one magic that is allowed: figures that no pyplot made are drawn by it."""
    cells = (cell.source for cell in read(path).cells if cell.cell_type == "code")
    return (source.replace("%matplotlib inline\n", "") for source in cells)


def declared() -> set[str]:
    """What the package says that it needs, by the names that are imported."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = (Requirement(line).name.lower() for line in project["dependencies"])
    return {MODULES.get(name, name) for name in names} | {"geodl"}


def imported(source: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.partition(".")[0] for name in names}


def test_each_pipeline_has_one() -> None:
    assert {path.stem for path in NOTEBOOKS} == EXPECTED


@every
class TestAsStored:
    def test_is_valid(self, path: Path) -> None:
        notebook = read(path)
        nbformat.validate(notebook)
        assert notebook.metadata.kernelspec.name == "python3"

    def test_holds_no_results(self, path: Path) -> None:
        notebook = read(path)
        assert set(notebook.metadata) <= {"kernelspec", "language_info"}
        for cell in notebook.cells:
            assert not cell.get("outputs") and cell.get("execution_count") is None
            assert not cell.metadata and not cell.get("attachments")

    def test_begins_with_a_title(self, path: Path) -> None:
        first = read(path).cells[0]
        assert first.cell_type == "markdown"
        assert re.match(r"# \S", first.source)

    def test_names_no_place_of_a_machine(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"(?<![\w.:/])/(?:home|root|tmp|work|usr|mnt|Users|var)\b[^\s\"']*", text)
        assert not re.findall(r"\b[A-Z]:\\\\\w+", text)
        assert str(ROOT) not in text

    def test_needs_no_network(self, path: Path) -> None:
        assert not [word for source in code(path) for word in RUNS_WITHOUT if word in source]

    def test_imports_only_what_geodl_needs(self, path: Path) -> None:
        found = set().union(*map(imported, code(path)))
        assert found - declared() - set(sys.stdlib_module_names) == set()

    def test_imports_no_private_names(self, path: Path) -> None:
        nodes = [node for source in code(path) for node in ast.walk(ast.parse(source))]
        modules = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
        names = [f"{node.module}.{alias.name}" for node in modules for alias in node.names]
        assert not [name for name in names if re.search(r"\._[^_]", name)]


@pytest.mark.slow
@pytest.mark.timeout(900)
@every
def test_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    folder = tmp_path / "somewhere"
    folder.mkdir()
    notebook = read(path)
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    drawn = [output.data for output in outputs if "data" in output]
    assert any("image/png" in data for data in drawn)
    # A figure that only says its size was not drawn.
    assert not [data for data in drawn if "image/png" not in data and data.get("text/plain", "").startswith("<Figure")]
    assert not list(folder.iterdir()), "a notebook leaves files where it is run"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_text_is_no_heading(path: Path) -> None:
    told = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    lines = [line for text in told for line in text.splitlines()]
    assert sum(line.startswith("# ") for line in lines) <= 3
    assert not [line for line in lines if line.startswith("# #")]
