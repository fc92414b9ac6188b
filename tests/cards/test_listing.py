"""Lists of files and of official parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from geodl.cards.card import CardIndex, OfficialPart
from geodl.cards.listing import indexed_files, listed_names, official_scenes
from geodl.errors import SourceUnreadable, SplitError


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    (tmp_path / "list.csv").write_text("\ufeffname, part\nx_S1.tif,a\n\ny_S1.tif,b\nx_S1.tif,a\n", "utf-8")
    return tmp_path / "list.csv"


def test_a_column_is_found_by_number_or_heading(listing: Path) -> None:
    assert listed_names(listing, 0, None) == ["name", "x_S1.tif", "y_S1.tif"]
    assert listed_names(listing, "name", None) == ["x_S1.tif", "y_S1.tif"]
    assert listed_names(listing, "part", None) == ["a", "b"]
    assert listed_names(listing, 0, "(.*)_S1") == ["x", "y"]


@pytest.mark.parametrize(
    ("column", "pattern", "sentence"),
    [
        ("other", None, "it has no column 'other'"),
        (7, None, "it has no column 7"),
        (0, "zzz", "it names nothing"),
    ],
)
def test_a_list_that_is_not_as_the_card_says(
    listing: Path, column: int | str, pattern: str | None, sentence: str
) -> None:
    with pytest.raises(SourceUnreadable, match=sentence):
        listed_names(listing, column, pattern)


def test_a_list_cannot_name_files_outside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("../../evil\n")
    index = CardIndex.model_validate(
        {"listing": "list", "files": [{"path": "a/{name}", "url": "https://example.org/{name}"}]}
    )
    with pytest.raises(SourceUnreadable, match="expected a path inside the data set's folder"):
        indexed_files(index, tmp_path)


def test_scenes_are_dealt_by_pattern_and_by_list(tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text("b\nc\nabsent\n")
    split = {
        "train": OfficialPart(patterns=["images/a*"]),
        "test": OfficialPart(listing="test.txt", scene="{name}_S2"),
    }
    scenes = {name: str(tmp_path / "images" / f"{name}.tif") for name in ("a1", "a2", "b_S2", "c_S2", "d_S2")}
    assert official_scenes(split, tmp_path, scenes) == {  # type: ignore[arg-type]
        "a1": "train",
        "a2": "train",
        "b_S2": "test",
        "c_S2": "test",
    }
    split["validation"] = OfficialPart(patterns=["images/a1.tif"])
    with pytest.raises(SplitError, match="scene a1 is of the parts train and validation"):
        official_scenes(split, tmp_path, scenes)  # type: ignore[arg-type]
