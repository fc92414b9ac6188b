"""Files of the UCR archive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geodl.data.series.opening import open_series
from geodl.data.series.ucr import parts_of_files, with_siblings
from geodl.errors import SourceUnreadable

HEADER = """# made by hand
@problemName crops
@timeStamps false
@missing true
@univariate false
@dimensions 2
@equalLength false
@classLabel true 1 2 10
@data
"""


def test_ts_with_dimensions_gaps_and_lengths(tmp_path: Path) -> None:
    path = tmp_path / "crops.ts"
    path.write_text(HEADER + "1,2,?:4,5,6:10\n0.5,NaN:1e-1,-2:1\n7:8:2\n")
    found = open_series(path)
    nan = np.nan
    expected = [[[1, 4], [2, 5], [nan, 6]], [[0.5, 0.1], [nan, -2], [nan, nan]], [[7, 8], [nan, nan], [nan, nan]]]
    np.testing.assert_array_equal(found.values, np.array(expected, np.float32))
    np.testing.assert_array_equal(found.days, [[0, 1, 2], [0, 1, nan], [0, nan, nan]])
    assert found.labels is not None and found.labels.tolist() == [2, 0, 1] and not found.dated
    assert [each.value for each in found.classes] == [1, 2, 10]
    assert [band.name for band in open_series(path, bands=["VV", "VH"]).bands] == ["VV", "VH"]


@pytest.mark.parametrize("given", ["both", "train", "test", "folder", "list"])
@pytest.mark.parametrize("ending", ["ts", "tsv"])
def test_both_files_of_a_pair_are_read_as_parts(tmp_path: Path, given: str, ending: str) -> None:
    rng = np.random.default_rng(0)
    values = {"TRAIN": rng.normal(size=(4, 6)), "TEST": rng.normal(size=(3, 6))}
    labels = {"TRAIN": [1, 2, 1, 3], "TEST": [2, 1, 3]}
    for part, array in values.items():
        if ending == "tsv":
            np.savetxt(tmp_path / f"Crop_{part}.tsv", np.column_stack([labels[part], array]), delimiter="\t")
        else:
            rows = [",".join(map(str, row)) + f":{label}" for row, label in zip(array, labels[part])]
            (tmp_path / f"Crop_{part}.ts").write_text("@classLabel true 1 2 3\n@data\n" + "\n".join(rows))
    names = [tmp_path / f"Crop_{part}.{ending}" for part in ("TRAIN", "TEST")]
    where = {"both": str(tmp_path / "*"), "train": names[0], "test": names[1], "folder": tmp_path, "list": names}[given]
    found = open_series(where)
    assert found.parts is not None and len(found) == 7 and found.name == "Crop"
    for part in ("train", "test"):
        mine = found.take(found.parts == part)
        np.testing.assert_array_equal(mine.values[..., 0], values[part.upper()].astype(np.float32))
        assert mine.labels is not None
        assert [found.classes[k].value for k in mine.labels] == labels[part.upper()]
    assert len(set(found.ids)) == 7


def test_one_file_alone_is_no_part(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "Crop_TRAIN.tsv", np.arange(12.0).reshape(3, 4), delimiter="\t")
    assert open_series(tmp_path / "Crop_TRAIN.tsv").parts is None
    (tmp_path / "Crop_TRAIN.ts").write_text("")
    names = [str(tmp_path / f"Crop_TRAIN.{ending}") for ending in ("ts", "tsv")]
    assert with_siblings(names) == names[:1]
    assert parts_of_files(["a/train_dataset.csv", "a/test_dataset.csv", "a/x-VAL.csv"]) == {
        "a/train_dataset.csv": "train", "a/test_dataset.csv": "test", "a/x-VAL.csv": "validation",
    }  # fmt: skip
    assert parts_of_files(["train_1.csv", "train_2.csv"]) == parts_of_files(["train.csv", "rest.csv"]) == {}


FAULTS = {
    "no_data": ("@problemName x\n", "no line @data"),
    "no_series": ("@data\n", "holds no series"),
    "stamps": ("@timeStamps true\n@data\n(0,1),(1,2)\n", "time stamps"),
    "targets": ("@targetLabel true\n@data\n1,2:0.5\n", "targets are numbers"),
    "text": (HEADER + "1,x:2,3:1\n", "line 10 is no series"),
    "dimensions": (HEADER + "1,2:3,4:1\n1,2:1\n", "line 11 has 1 dimensions, and the first series has 2"),
    "lengths": (HEADER + "1,2:3:1\n", "line 10 has dimensions of the lengths 2, 1"),
    "class": (HEADER + "1,2:3,4:7\n", "line 10 ends with the class '7', and @classLabel states 1, 2, 10"),
    "empty": ("", "the file is empty"),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_each_fault_has_its_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.ts").write_text(text)
    with pytest.raises(SourceUnreadable, match=message):
        open_series(tmp_path / "a.ts")
