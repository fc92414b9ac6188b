"""Text files as people and programs write them, and each fault with its place."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geodl.data.series.sheets import frame_sheet, read_sheet
from geodl.errors import SeriesUnusable, SourceUnreadable

TEXTS = {
    "commas": "id,x,y\n007,1.5,-2\nb,,4\n",
    "semicolons_and_decimal_commas": "id;x;y\n007;1,5;-2\nb;;4\n",
    "tabs_crlf_bom": "\ufeffid\tx\ty\r\n007\t1.5\t-2\r\n\r\nb\tNA\t4\r\n",
    "comments_spaces_quotes": '# made by hand\n\nid, x, y\n"007", 1.5, -2\nb, ?, 4',
}


def write(folder: Path, content: str | bytes, name: str = "t.csv") -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_tables_as_people_write_them(tmp_path: Path, text: str, packed: bool) -> None:
    content = gzip.compress(text.encode()) if packed else text.encode()
    sheet = read_sheet(write(tmp_path, content, "t.csv.gz" if packed else "t.csv"), texts=["id"])
    assert sheet.names == ["id", "x", "y"] and sheet.frame["id"].tolist() == ["007", "b"] and sheet.headed
    np.testing.assert_array_equal(sheet.numbers(["x", "y"]), np.array([[1.5, -2], [np.nan, 4]], np.float32))
    last = len(text.strip("\n\r").splitlines())
    assert sheet.place(1) == f"line {last}"


def test_what_pandas_writes_comes_back(tmp_path: Path) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 5)), columns=list("abcde"))
    frame.iloc[3, 2] = np.nan
    frame.to_csv(tmp_path / "t.csv")
    sheet = read_sheet(str(tmp_path / "t.csv"))
    assert sheet.names == list("abcde")  # Without the index.
    np.testing.assert_array_equal(sheet.numbers(list("abcde")), frame.to_numpy(np.float32))


@pytest.mark.parametrize(
    ("first", "headed"),
    [("1,2,3", False), ("corn,12,7,9.5,8", False), ("label,0,1,2", True), ("label,id,x", True), ("nan,5,1", False)],
)
def test_a_first_line_of_numbers_names_nothing(tmp_path: Path, first: str, headed: bool) -> None:
    sheet = read_sheet(write(tmp_path, f"{first}\n{first}\n"))
    assert sheet.headed is headed and len(sheet.frame) == 2 - headed
    assert sheet.names[0] == (first.partition(",")[0] if headed else "column_1")


FAULTS = {
    "empty": ("", "the file is empty"),
    "blank": ("\n\n# nothing\n", "it holds no rows"),
    "names_only": ("a,b\n", "a line of names and no rows"),
    "short": ("a,b,c\n1,2,3\n\n4,5\n", r"line 4 has 2 cells, and the first row has 3\. Give each row"),
    "long": ("1,2,3\n4,5,6,7\n", r"line 2 has 4 cells, and the first row has 3"),
    "twins": ("a,b,a\n1,2,3\n", "several columns are called a"),
    "latin": ("a,crop\n1,ma\xefs\n".encode("latin-1"), r"no text in UTF-8 \(byte 0xef"),
    "broken_gz": (gzip.compress(b"a,b\n1,2\n")[:-9], "Cannot read"),
}


@pytest.mark.parametrize(("content", "message"), FAULTS.values(), ids=FAULTS)
def test_each_fault_has_its_sentence(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = write(tmp_path, content, "t.csv.gz" if content[:1] == b"\x1f" else "t.csv")
    with pytest.raises(SourceUnreadable, match=message):
        read_sheet(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="there is no such file"):
        read_sheet(str(tmp_path / "none.csv"))
    with pytest.raises(SourceUnreadable, match="it is a folder"):
        read_sheet(str(tmp_path))


def test_text_among_numbers_is_refused_with_its_line(tmp_path: Path) -> None:
    sheet = read_sheet(write(tmp_path, "a,b\n1,2\n3,4\nhalf,6\n"))
    assert sheet.numeric("a") and sheet.numeric("b")
    with pytest.raises(SourceUnreadable, match="line 4 has 'half' in column a, where a number was expected"):
        sheet.numbers(["a"])


def test_a_class_may_be_called_none(tmp_path: Path) -> None:
    path = write(tmp_path, "crop,region\nNone,NA\n,x\n")
    assert read_sheet(path, words=["crop"]).frame.isna().to_numpy().tolist() == [[False, True], [True, False]]


def test_frames_keep_a_named_index_and_refuse_twins() -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "b"], name="id"))
    assert frame_sheet(frame, "t").names == ["id", "x"]
    assert frame_sheet(frame.reset_index(drop=True), "t").place(1) == "row 2"
    with pytest.raises(SeriesUnusable, match="several columns are called 1"):
        frame_sheet(pd.DataFrame([[1, 2]], columns=[1, "1"]), "t")
    with pytest.raises(SeriesUnusable, match="it has no rows"):
        frame_sheet(frame[:0], "t")
