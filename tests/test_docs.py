"""The docs say what is there: links, commands, options, keys of recipes, fields of contracts; and their code runs."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown.extensions.toc import slugify
from typer.testing import CliRunner

from geodl.cli.app import app
from geodl.pipelines import find
from geodl.recipe import load_recipe
from geodl.recipe.shipped import shipped_names
from tests.commandlines import check_command, in_markdown

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
READ = [*PAGES, ROOT / "README.md"]


@pytest.fixture(scope="module")
def generated() -> Any:
    spec = importlib.util.spec_from_file_location("generated", DOCS / "generated.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Several tests look at the same pages.
    module.expanded = cache(module.expanded)
    return module


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _prose(path: Path) -> str:
    """A page without its blocks of code."""
    text = path.read_text(encoding="utf-8")
    return re.sub(r"(?ms)^```.*?^```", "", text)


def _blocks(path: Path, language: str) -> list[tuple[str, str]]:
    """Title and code of each fenced block of a language."""
    pattern = rf'(?ms)^([ ]*)```{language}(?: title="([^"]+)")?\n(.*?)^\1```'
    return [(title, textwrap.dedent(code)) for _, title, code in re.findall(pattern, path.read_text(encoding="utf-8"))]


def _nav(entries: Any) -> Iterator[str]:
    for entry in entries if isinstance(entries, list) else [entries]:
        if isinstance(entry, dict):
            for inner in entry.values():
                yield from _nav(inner)
        else:
            yield entry


def _settings() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def test_every_page_is_in_the_navigation_once() -> None:
    listed = list(_nav(_settings()["nav"]))
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_inside_the_docs_resolve(page: Path, generated: Any) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", generated.expanded(_prose(page))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.is_file(), target
        if anchor:
            headings = re.findall(r"(?m)^#+ (.+?)\s*$", generated.expanded(_prose(file)))
            assert anchor in {slugify(heading.replace("`", ""), "-") for heading in headings}, target


COMMANDS = {
    f"{_name(page)}: {shlex.join(arguments)}": arguments
    for page in READ
    for arguments in in_markdown(page.read_text(encoding="utf-8"))
}


def test_commands_were_found() -> None:
    assert len(COMMANDS) > 120
    assert {arguments[0] for arguments in COMMANDS.values()} >= {
        "train", "evaluate", "predict", "export", "info", "check", "demo", "doctor",
    }  # fmt: skip


def test_commands_options_and_settings_are_there() -> None:
    wrong = []
    for told, arguments in COMMANDS.items():
        if arguments[1:2] == ["bandfill"]:
            continue  # The recipe that docs/pipeline.md writes.
        try:
            check_command(arguments)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever is wrong with one, all are told
            wrong.append(f"{told}\n    {error}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", READ, ids=_name)
def test_python_compiles(page: Path) -> None:
    for title, code in _blocks(page, "python"):
        compile(code, title or _name(page), "exec")


def test_the_page_of_recipes_has_every_key(generated: Any) -> None:
    page = generated.expanded((DOCS / "recipes.md").read_text(encoding="utf-8"))
    for name in shipped_names("pipelines"):
        keys = load_recipe(name, files=False, model=lambda pipeline: find(pipeline).recipe_model).flat()
        known = {key for key in keys if not re.match(r"network\.(?!name)|loss\.|train\.optimizer\.options\.", key)}
        assert [key for key in sorted(known) if f"| `{key}` |" not in page] == []
        assert f"`{name}`" in page or name.endswith("-demo")


def test_the_page_of_commands_has_every_option(generated: Any) -> None:
    page = generated.expanded((DOCS / "cli.md").read_text(encoding="utf-8"))
    runner = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})

    def commands(*above: str) -> Iterator[tuple[str, ...]]:
        told = runner.invoke(app, [*above, "--help"]).output
        inner = re.findall(r"(?m)^│ ([a-z]+)\s{2,}", told.partition("Commands")[2])
        yield from [deeper for name in inner for deeper in commands(*above, name)] or [above]

    for command in commands():
        part = page.partition(f"## geodl {' '.join(command)}\n")[2].partition("\n## ")[0]
        told = runner.invoke(app, [*command, "--help"]).output.partition("Examples")[0]
        flags = set(re.findall(r"(?m)^│ (?:\*\s+)?(--[a-z][a-z-]+)", told)) - {"--help"}
        assert flags and [flag for flag in sorted(flags) if f"`{flag}`" not in part] == [], command


def test_the_page_of_contracts_has_every_field(generated: Any) -> None:
    page = generated.expanded((DOCS / "contracts.md").read_text(encoding="utf-8"))
    stored = json.loads((ROOT / "tests" / "stored" / "bundle_v1" / "contract.json").read_text(encoding="utf-8"))

    def keys(content: Any) -> Iterator[str]:
        for inner in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
            yield from keys(inner)
        yield from content if isinstance(content, dict) else ()

    assert [key for key in sorted(set(keys(stored))) if f"| `{key}` |" not in page] == []


# Building the site and running the pipeline of `docs/pipeline.md`


@pytest.mark.slow
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "<!-- generated" not in text, page.name
        tags = re.findall(r"<(?:script|img|iframe|source|link)\b[^>]*>", text)
        loads = [
            tag for tag in tags if 'rel="canonical"' not in tag and re.search(r'(?:src|href)="(?:https?:)?//', tag)
        ]
        assert not loads, page.name
    for sheet in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet.name


@pytest.mark.slow
def test_the_pipeline_that_is_added_in_the_docs_works(tmp_path: Path) -> None:
    for name in ("geodl", "pipelines", "datasets", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    page = DOCS / "pipeline.md"
    files = [block for language in ("python", "yaml") for block in _blocks(page, language) if block[0]]
    for path, code in files:
        (tmp_path / path).write_text(code, encoding="utf-8")
    registry = tmp_path / "geodl" / "pipelines" / "__init__.py"
    (line,) = [code.strip() for _, code in _blocks(page, "python") if code.startswith("_NAMES")]
    text, count = re.subn(r"(?m)^_NAMES = .*$", line, registry.read_text(encoding="utf-8"))
    registry.write_text(text, encoding="utf-8")
    assert count == 1
    (row,) = [code.strip() for title, code in _blocks(page, "markdown") if title]
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "mkdocs.yml"):
        shutil.copy(ROOT / name, tmp_path)
    recipes = tmp_path / "docs" / "recipes.md"
    text, count = re.subn(r"(?m)^(\| `crops`.*)$", rf"\1\n{row}", recipes.read_text(encoding="utf-8"))
    recipes.write_text(text, encoding="utf-8")
    assert count == 1
    tests = [path for path, _ in files if path.startswith("tests/")]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", *tests]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    every_key = [*command[:6], "tests/test_docs.py::test_the_page_of_recipes_has_every_key"]
    assert subprocess.run(every_key, cwd=tmp_path, env=environment, check=False).returncode == 0
    said = re.search(r"prints `(\d+ passed)`", page.read_text(encoding="utf-8"))
    assert said and said[1] in ran.stdout, ran.stdout
    linted = [sys.executable, "-m", "ruff", "check", *[path for path, _ in files if path.endswith(".py")]]
    assert subprocess.run(linted, cwd=tmp_path, check=False).returncode == 0
