"""YAML documents: dialect, lines, overrides, round trips."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.errors import OptionError, RecipeError
from geodl.recipe.document import Document, dotted, override, parse_value, read_document, write_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        (".5", 0.5),
        ("12", 12),
        ("-3", -3),
        ("01", "01"),
        ("no", "no"),
        ("true", True),
        ("", None),
        ("null", None),
        ("2020-01-01", "2020-01-01"),
        ("12:30", "12:30"),
        ("[B02, B03]", ["B02", "B03"]),
        ("{B02: a.tif}", {"B02": "a.tif"}),
        ("*.tif", "*.tif"),
        (r"[A-Z]+_(\d+)", r"[A-Z]+_(\d+)"),
        ("(.*)_S1Hand", "(.*)_S1Hand"),
        ("C:\\scenes", "C:\\scenes"),
    ],
)
def test_values_are_read_as_yaml_1_2(text: str, value: object) -> None:
    read = parse_value(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("text", ['{pattern: "a(\\d+)"}', "[a, b: [}]"])
def test_broken_list_or_mapping_is_not_taken_for_text(text: str) -> None:
    with pytest.raises(OptionError, match="expected a YAML list or mapping"):
        parse_value(text)


_TEXT = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=12)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT
_WORDS = st.sampled_from(
    ["no", "on", "1e-3", "01", "0x1F", "1:30", "null", "~", "<<", "=", "2020-01-01", "1_000", "- a"]
)
_CONTENT = st.dictionaries(_TEXT, _SCALARS | _WORDS | st.lists(_SCALARS | _WORDS, max_size=3))


@settings(deadline=None)
@given(_CONTENT)
def test_what_is_written_reads_back_equal_also_by_others(content: dict[str, object]) -> None:
    text = write_value(content)
    assert parse_value(text) == content
    assert yaml.safe_load(text) == content


def test_each_key_knows_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\n\nb:\n  c: [1, 2]\n  d:\n    - x: 1\n    - y: 2\n")
    document = read_document(path)
    assert document.content == {"a": 1, "b": {"c": [1, 2], "d": [{"x": 1}, {"y": 2}]}}
    lines = {("a",): 1, ("b",): 3, ("b", "c"): 4, ("b", "c", 1): 4, ("b", "d", 1, "y"): 7, ("b", "d", 0, "unknown"): 6}
    assert {key: document.line(key) for key in lines} == lines
    assert document.line(("unknown",)) is None


def test_anchors_and_merge_keys_are_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: &base {x: 1, y: 2}\nb:\n  <<: *base\n  y: 3\n")
    assert read_document(path).content == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a: 1\nb: c: 2\n", "{path}, line 2: not valid YAML: mapping values are not allowed here."),
        (b"a: 1\nb:\n  c: 1\n  c: 2\n", "{path}, line 4: b.c: given twice, first in line 3."),
        (b"- a\n", "{path}: expected `key: value` lines. Received: list."),
        (b"\x89PNG\xff\xfe", "{path}: not a YAML file: it is no UTF-8 text."),
        (b"a: \x00", "{path}: not a YAML file: unacceptable character #x0000: special characters are not allowed."),
        (b"a: !!python/object:os.system {}\n", "{path}, line 1: not valid YAML: could not determine a constructor"),
    ],
)
def test_what_is_no_document_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(RecipeError) as error:
        read_document(path)
    assert str(error.value).startswith(sentence.format(path=path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"a\.yaml: cannot be read: No such file or directory\.$"):
        read_document(tmp_path / "a.yaml")


def test_an_empty_file_is_an_empty_mapping(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# nothing yet\n")
    assert read_document(tmp_path / "a.yaml").content == {}


def test_overrides_set_values_and_leave_the_document_alone() -> None:
    document = Document({"data": {"split": "auto", "images": "a"}, "loss": [{"name": "x"}]})
    changed, keys = override(
        document,
        {
            "data.split.by": "file",
            "data.images": Path("b"),
            "loss.0.weight": np.float32(2),
            "new.key": (1, np.int64(2)),
        },
    )
    assert changed.content == {
        "data": {"split": {"by": "file"}, "images": "b"},
        "loss": [{"name": "x", "weight": 2.0}],
        "new": {"key": [1, 2]},
    }
    assert keys == {("data", "split", "by"), ("data", "images"), ("loss", 0, "weight"), ("new", "key")}
    assert document.content == {"data": {"split": "auto", "images": "a"}, "loss": [{"name": "x"}]}
    assert type(changed.content["new"]["key"][1]) is int


def test_mappings_are_put_over_sections_and_replace_all_else() -> None:
    document = Document({"train": {"epochs": 1, "steps": 2}, "images": {"B02": "a"}})
    changes = {"train": {"epochs": 5}, "images": {"B03": "b"}}
    changed, keys = override(document, changes, is_section=lambda key: key == ("train",))
    assert changed.content == {"train": {"epochs": 5, "steps": 2}, "images": {"B03": "b"}}
    assert keys == {("train", "epochs"), ("images",)}


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("train..epochs", "train..epochs: expected a key such as train.epochs. Received: 'train..epochs'."),
        ("", ": expected a key such as train.epochs. Received: ''."),
        ("loss.1.weight", "loss.1.weight: expected a position from 0 to 0 after loss. Received: '1'."),
        ("loss.weight", "loss.weight: expected a position from 0 to 0 after loss. Received: 'weight'."),
    ],
)
def test_impossible_keys_are_refused(key: str, sentence: str) -> None:
    with pytest.raises(OptionError) as error:
        override(Document({"loss": [{"name": "x"}]}), {key: 1})
    assert str(error.value) == sentence


def test_dotted() -> None:
    assert dotted(("data", "classes", 0, "name")) == "data.classes.0.name"


_BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + k)}: &{chr(98 + k)} [{', '.join(f'*{chr(97 + k)}' for _ in range(10))}]\n" for k in range(9)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (_BOMB, "its aliases .* repeat too much, or hold themselves"),
        ("a: &a {b: *a}", "its aliases .* repeat too much, or hold themselves"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("seed: " + "9" * 5000, "not a YAML file"),
        ("a: " + "x" * (1 << 20), "longer than"),
    ],
)
def test_documents_that_would_grow_without_end_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=problem):
        read_document(path)


def test_aliases_are_read(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("a: &a {b: 1}\nc: [*a, *a]\n")
    assert read_document(tmp_path / "recipe.yaml").content == {"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}]}


def test_folders_and_devices_are_no_documents(tmp_path: Path) -> None:
    for path in (tmp_path, Path(os.devnull)):
        with pytest.raises(RecipeError, match="cannot be read: it is"):
            read_document(path)


@pytest.mark.parametrize("text", ["&a [*a]", "[" * 5000, "9" * 5000])
def test_values_that_cannot_be_read_are_text_or_refused(text: str) -> None:
    try:
        assert parse_value(text) == text
    except OptionError as error:
        assert "list or mapping" in str(error)
