"""`geodl data`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from geodl.cards import list_cards
from geodl.cli.data import data
from geodl.recipe import shipped as module
from tests.cards.publisher import Publisher, publish

A = b"a" * 1000
SUM = f"sha256:{hashlib.sha256(A).hexdigest()}"
Cli = Callable[..., Any]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Runs `geodl data …`; errors are raised."""
    monkeypatch.setenv("GEODL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("GEODL_DATASETS", raising=False)
    return lambda *arguments: CliRunner().invoke(data, [str(argument) for argument in arguments])


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with publish(a=A) as found:
        yield found


@pytest.fixture
def mine(publisher: Publisher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    folder = tmp_path / "package" / "_shipped" / "datasets"
    folder.mkdir(parents=True)
    monkeypatch.setattr(module, "_PACKAGE", tmp_path / "package")

    def write(**content: Any) -> None:
        card = {
            "task": "segmentation",
            "title": "A title",
            "description": "What it is.",
            "licence": "CC-BY-4.0",
            "licence_url": "https://publisher.example/terms",
            "citation": "The authors.",
            "files": [
                {"path": "a.bin", "url": publisher.url("a"), "checksum": SUM, "bytes": len(A)},
                {"path": "b.bin", "url": publisher.url("a")},
            ],
            "bands": [{"name": "B02", "unit": "reflectance", "description": "blue, 490 nm"}],
            "classes": [{"value": 1, "name": "water", "colour": "#0072b2"}],
        }
        (folder / "mine.yaml").write_text(yaml.safe_dump(card | content))

    return write


def test_all_data_sets_are_listed_within_80_columns(cli: Cli) -> None:
    result = cli("list")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    first = {line.split()[0] for line in result.stdout.splitlines() if line.split()}
    assert set(list_cards()) <= first


def test_the_list_as_json(cli: Cli, tmp_path: Path) -> None:
    result = cli("list", "--task", "dynamics", "--json", tmp_path / "list.json", "--quiet")
    assert (result.exit_code, result.stdout) == (0, "")
    told = json.loads((tmp_path / "list.json").read_text())["datasets"]
    assert set(told) == {"simulated-lorenz63", "simulated-lorenz96", "simulated-rossler"}
    assert told["simulated-lorenz63"]["licence"] == "CC0-1.0" and not told["simulated-lorenz63"]["here"]


@pytest.mark.parametrize("name", list_cards())
def test_every_card_can_be_shown_within_80_columns(cli: Cli, name: str) -> None:
    result = cli("info", name)
    assert result.exit_code == 0, result.output
    tables = [line for line in result.stdout.splitlines() if line.startswith(" ")]
    assert max(map(len, tables)) <= 80


def test_a_data_set_is_shown_fetched_and_checked(cli: Cli, mine: Callable[..., None], tmp_path: Path) -> None:
    mine()
    shown = cli("info", "mine").stdout
    for text in ("A title", "CC-BY-4.0", "https://publisher.example/terms", "The authors.", "1 kB", "blue", "water"):
        assert text in shown
    fetched = cli("get", "mine", "--to", tmp_path / "own", "--json", tmp_path / "get.json")
    assert fetched.exit_code == 0, fetched.output
    lines = fetched.stdout.splitlines()
    assert lines[0] == "Licence of mine: CC-BY-4.0 (https://publisher.example/terms)."
    assert "Unverified: the publisher states no checksum of b.bin" in fetched.stdout
    assert lines[-1] == f"data set: {tmp_path / 'own'}"
    told = json.loads((tmp_path / "get.json").read_text())
    assert (told["new"], told["unverified"]) == (["a.bin", "b.bin"], ["b.bin"])
    assert cli("get", "mine", "--to", tmp_path / "own", "--quiet").stdout == f"{tmp_path / 'own'}\n"
    assert cli("check", tmp_path / "own").exit_code == 0
    assert cli("check", "mine").exit_code == 0  # By its name, wherever it lies.


def test_a_flipped_byte_ends_with_exit_code_2(cli: Cli, mine: Callable[..., None], tmp_path: Path) -> None:
    mine()
    cli("get", "mine", "--to", tmp_path / "own")
    (tmp_path / "own/a.bin").write_bytes(A[:-1] + b"b")
    result = cli("check", tmp_path / "own", "--json", tmp_path / "check.json")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"Error: {tmp_path / 'own'}: a.bin has another content than when it was fetched: its SHA-256 differs."
    ]
    assert len(json.loads((tmp_path / "check.json").read_text())["problems"]) == 1


def test_restrictive_terms_are_shown_before_anything_comes(
    cli: Cli, mine: Callable[..., None], publisher: Publisher
) -> None:
    mine(restrictive=True, reason="Only for research.")
    result = cli("get", "mine")
    assert "Licence of mine: CC-BY-4.0 (https://publisher.example/terms). Only for research." in result.stdout
    assert "--accept-licence" in str(result.exception)
    assert not publisher.asked
    assert cli("get", "mine", "--accept-licence").exit_code == 0


def test_the_command_is_part_of_geodl(geodl_cli: Cli, mine: Callable[..., None], tmp_path: Path) -> None:
    if "data" not in geodl_cli("--help").stdout.split():
        pytest.skip("geodl data is not registered")
    result = geodl_cli("data", "get", "mine", "--to", tmp_path / "own")
    assert result.exit_code == 2  # There is no such card.
    assert result.stderr.startswith("Error: data.dataset: no data set has the name 'mine'.")
