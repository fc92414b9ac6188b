from __future__ import annotations

from pathlib import Path

import pytest

from geodl.data.cubeword import CubeWord


@pytest.mark.parametrize(
    ("word", "expected", "name"),
    [
        ("rain.nc", CubeWord("rain.nc"), "rain"),
        ("data/rain.nc:pr", CubeWord("data/rain.nc", "", ("pr",)), "rain_pr"),
        ("/d/rain.NC4:pr, tas", CubeWord("/d/rain.NC4", "", ("pr", "tas")), "rain_pr_tas"),
        (r"C:\data\rain.nc:pr@1999-03", CubeWord(r"C:\data\rain.nc", "", ("pr",), "1999-03"), None),
        ("a.nc@2001-01-01T06:30", CubeWord("a.nc", "", (), "2001-01-01T06:30"), "a_2001-01-01T06-30"),
        ("a.nc:model/run/pr@-1", CubeWord("a.nc", "model/run", ("pr",), "-1"), "a_pr_-1"),
        ("a.nc:model/", CubeWord("a.nc", "model"), "a"),
        ("s3://bucket/a.zarr/:t2m", CubeWord("s3://bucket/a.zarr", "", ("t2m",)), "a_t2m"),
        ("https://me@host:80/a.nc?key=1%3A2:pr", CubeWord("https://me@host:80/a.nc?key=1%3A2", "", ("pr",)), "a_pr"),
        ("a.nc.zarr", CubeWord("a.nc.zarr"), "a.nc"),
        ("scene.tif", None, None),
        ("a.nc.tif", None, None),
        ("https://host/a.tif?b=c.nc", None, None),
        ("nc", None, None),
    ],
)
def test_words(word: str, expected: CubeWord | None, name: str | None) -> None:
    found = CubeWord.read(word)
    assert found == expected
    if found is not None:
        assert CubeWord.read(str(found)) == found
    if found is not None and name is not None:
        assert found.name == name


def test_a_folder_that_holds_a_store_counts_whatever_its_name(tmp_path: Path) -> None:
    assert CubeWord.read(tmp_path) is None
    (tmp_path / "zarr.json").write_text("{}")
    assert CubeWord.read(tmp_path) == CubeWord(str(tmp_path))
