"""What data are known by: the same wherever they lie, another one for any change."""

import os
import shutil
from pathlib import Path

import pytest

from geodl.pipelines import datahash
from geodl.pipelines.datahash import data_identity
from geodl.recipe import Data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, size in (("images/a.tif", 3_000_000), ("images/b.tif", 10), ("labels/a.tif", 7)):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(range(256)) * (size // 256) + bytes(size % 256))
    return tmp_path / "data"


def digest(folder: Path, **more: object) -> str:
    return data_identity(Data(images=str(folder / "images"), labels=str(folder / "labels"), **more)).sha256


def test_is_the_same_wherever_the_files_lie_and_however_they_are_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = digest(folder)
    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "x")
    monkeypatch.chdir(copy)
    assert digest(copy) == digest(Path()) == first and len(first) == 64
    files = [str(copy / "images" / name) for name in ("b.tif", "a.tif")]
    assert data_identity(Data(images=files, labels="labels/*.tif")).sha256 == first


def test_programs_may_leave_sidecars(folder: Path) -> None:
    first = digest(folder)
    for name in ("a.tif.aux.xml", "a.tif.ovr", ".DS_Store"):
        (folder / "images" / name).touch()
    assert digest(folder) == first


@pytest.mark.parametrize("change", ["byte", "name", "role", "more"])
def test_any_change_is_seen(folder: Path, change: str) -> None:
    first = digest(folder)
    image = folder / "images/a.tif"
    if change == "byte":
        with image.open("r+b") as file:
            file.seek(1_500_000)
            file.write(b"!")
    elif change == "name":
        image.rename(image.with_name("c.tif"))
    elif change == "role":
        assert data_identity(Data(labels=str(folder / "images"), images=str(folder / "labels"))).sha256 != first
        return
    else:
        (folder / "images/c.tif").write_bytes(b"")
    assert digest(folder) != first


def test_of_much_data_the_ends_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datahash, "_WHOLE", 100)
    first = digest(folder)
    for place, seen in ((1_500_000, False), (0, True), (2_999_999, True)):
        with (folder / "images/a.tif").open("r+b") as file:
            file.seek(place)
            file.write(b"!")
        assert (digest(folder) != first) == seen
        first = digest(folder)
    assert "MiB" in data_identity(Data(images=str(folder / "images"))).covers


def test_counts_files_and_bytes_of_mappings_too(folder: Path) -> None:
    bands = {"B02": str(folder / "images/a.tif"), "B03": str(folder / "images/b.tif")}
    found = data_identity(Data(images=bands))
    assert (found.files, found.bytes) == (2, 3_000_010)
    assert found.to_json()["sha256"] == found.sha256


def test_zarr_stores_count_with_their_hidden_headers(tmp_path: Path) -> None:
    store = tmp_path / "cube.zarr"
    (store / "pr").mkdir(parents=True)
    (store / ".zgroup").write_text("{}")
    (store / "pr" / ".zarray").write_text("{}")
    first = data_identity(Data(images=f"{store}:pr"))
    assert first.files == 2
    (store / "pr" / ".zarray").write_text("[]")
    assert data_identity(Data(images=f"{store}:pr")).sha256 != first.sha256


def test_addresses_count_by_their_words_without_keys() -> None:
    one, other = (data_identity(Data(images=f"https://host/a.tif?signature={key}")) for key in "ab")
    assert one == other and one.files == 0 and "words" in one.covers
    assert data_identity(Data(images="https://host/b.tif")).sha256 != one.sha256


def test_a_card_counts_by_what_it_says() -> None:
    found = data_identity(Data(dataset="simulated-landcover"))
    assert "simulated-landcover" in found.covers and len(found.sha256) == 64


def test_computed_data_have_none() -> None:
    assert data_identity(Data()).sha256 == "" and "computes" in data_identity(Data()).covers


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_counts_by_its_name(folder: Path) -> None:
    stranger = folder / "images" / "notes.txt"
    stranger.touch(mode=0)
    assert data_identity(Data(images=str(folder / "images"))).files == 3


def test_what_is_no_file_is_passed_over(folder: Path) -> None:
    first = digest(folder)
    os.mkfifo(folder / "images" / "pipe")
    (folder / "images" / "link").symlink_to("nowhere")
    assert digest(folder) == first
