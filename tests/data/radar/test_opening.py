from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from geodl.data.radar import find_sequences, open_sequence
from geodl.errors import EmptyDataset, GridMismatch, OptionError, SourceUnreadable, UnitMismatch
from tests.data.buckets import uploaded
from tests.data.radar.rainfiles import times, write_bom, write_raster

STORED = np.arange(12).reshape(3, 4)


def event(folder: Path, *minutes: float, first: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k, time in enumerate(times(*minutes)):
        write_bom(folder / f"rain_{first + k}.nc", STORED, time)
    return folder


def test_all_ways_to_name_an_event(tmp_path: Path) -> None:
    folder = event(tmp_path / "storm", 0, 10, 20)
    (folder / "README.md").write_text("frames")
    (folder / ".hidden.nc").write_text("")
    files = sorted(folder.glob("rain*.nc"))
    for thing, name in (
        (folder, "storm"), (str(folder), "storm"), (f"{folder}/*.nc", "rain"), (f"{folder}/*.nc:precipitation", "rain"),
        (files[::-1], "rain"), ([str(files[0]), f"{folder}/rain_[12].nc"], "rain"),
    ):  # fmt: skip
        rain = open_sequence(thing)
        assert list(rain.times) == list(times(0, 10, 20))
        assert rain.name == name
    assert open_sequence(folder, name="mine").name == "mine"
    assert open_sequence(files[0]).name == "rain_0"


def test_finds_events_by_folder(tmp_path: Path) -> None:
    for name in ("b", "a"):
        event(tmp_path / name, 0, 10)
    (tmp_path / "notes").mkdir()
    (tmp_path / ".git").mkdir()
    both = [("a", str(tmp_path / "a")), ("b", str(tmp_path / "b"))]
    assert find_sequences(tmp_path) == both
    assert find_sequences(f"{tmp_path}/[ab]") == both
    assert find_sequences([tmp_path / "a", str(tmp_path / "b")]) == both
    assert find_sequences(tmp_path / "a") == both[:1]
    pattern = f"{tmp_path}/a/*.nc"
    assert find_sequences(pattern) == [("a", pattern)]
    file = str(tmp_path / "a" / "rain_0.nc")
    assert find_sequences(file) == [("rain_0", file)]
    event(tmp_path / "other" / "a", 0)
    assert [name for name, _ in find_sequences([tmp_path / "a", tmp_path / "other"])] == ["a_1", "a_2"]
    rain = open_sequence(tmp_path / "a")
    assert find_sequences([rain, tmp_path / "b"]) == [("a", rain), both[1]]
    assert find_sequences(rain) == [("a", rain)]


def test_nothing_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").write_text("")
    for function in (open_sequence, find_sequences):
        with pytest.raises(EmptyDataset, match=r"empty: expected radar frames \(\.nc.*Received: an empty folder"):
            function(tmp_path / "empty")
        with pytest.raises(EmptyDataset, match="Received: 1 other entries"):
            function(tmp_path / "other")
        with pytest.raises(SourceUnreadable, match="there is no such file or folder"):
            function(tmp_path / "nowhere")
        with pytest.raises(EmptyDataset, match="files that match the pattern"):
            function(f"{tmp_path}/*.h5")
        with pytest.raises(EmptyDataset, match="an empty list"):
            function([])


def test_missing_and_odd_frames_are_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = event(tmp_path / "bom", 0, 10, 40, 50, 3000, 3010, 3024)
    with caplog.at_level(logging.WARNING, "geodl"):
        rain = open_sequence(folder)
        rain.between("2020-01-01", "2021-01-01").phases(1200)
    assert [record.message for record in caplog.records] == [
        "bom: 2 of 9 frames are missing (2020-01-01 01:20, 2020-01-01 01:30); 1 of 7 frames come at odd times "
        "(2020-01-03 03:24); frames go on after more than a day without any (2020-01-03 03:00); clips do not cross gaps."
    ]
    assert rain.runs == (slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 7))
    caplog.clear()
    open_sequence(event(tmp_path / "whole", 0, 10, 20))
    assert not caplog.records


def test_two_frames_of_one_time_are_refused(tmp_path: Path) -> None:
    event(tmp_path, 0, 10)
    write_bom(tmp_path / "again.nc", STORED, times(10)[0])
    with pytest.raises(SourceUnreadable, match=r"have the time 2020-01-01T01:10:00: .*again\.nc and .*rain_1\.nc"):
        open_sequence(tmp_path)


def test_mixed_grids_name_both_files(tmp_path: Path) -> None:
    event(tmp_path, 0, 10)
    write_bom(tmp_path / "moved.nc", STORED, times(20)[0], shift=0.5)
    with pytest.raises(GridMismatch, match=r"moved\.nc is not on the grid of .*rain_0\.nc: the transform differs"):
        open_sequence(tmp_path)
    write_bom(tmp_path / "moved.nc", STORED[:2], times(20)[0])
    with pytest.raises(
        GridMismatch, match=r"the size \(height, width\) differs. Expected \(3, 4\). Received: \(2, 4\)"
    ):
        open_sequence(tmp_path)


@pytest.mark.parametrize(
    ("minutes", "units", "received"), [(30, "kg m-2", "mm in 30 minutes"), (10, "dBZ", "dBZ"), (10, "mm/h", "mm/h")]
)
def test_mixed_products_name_both_files(tmp_path: Path, minutes: int, units: str, received: str) -> None:
    event(tmp_path, 0, 10)
    write_bom(tmp_path / "other.nc", STORED, times(20)[0], minutes=minutes, units=units)
    sentence = rf"other\.nc: band rain_rate has another unit. Expected 'mm in 10 minutes, as in .*rain_0\.nc'. Received: '{received}'"
    with pytest.raises(UnitMismatch, match=sentence):
        open_sequence(tmp_path)


def test_formats_are_told_by_their_content(tmp_path: Path) -> None:
    write_raster(tmp_path / "rain_202001010100.tif", STORED.astype(np.float32), unit="mm/h")
    (tmp_path / "rain_202001010100.tif").rename(tmp_path / "rain_202001010100.data")
    np.testing.assert_array_equal(open_sequence(tmp_path / "rain_202001010100.data").read()[0][0, ..., 0], STORED)
    (tmp_path / "a.h5").write_bytes(write_bom(tmp_path / "a.nc", STORED, times(0)[0]).read_bytes())
    with pytest.raises(SourceUnreadable, match=r"a\.h5: it is HDF5, but neither ODIM nor KNMI's.*ends in \.nc"):
        open_sequence(tmp_path / "a.h5")
    for name, content, sentence in (
        ("b.h5", (tmp_path / "a.h5").read_bytes()[:2000], "cut"), ("c.nc", b"", "the file is empty"),
        ("d.tif", b"II*\0 no raster", r"d\.tif"), ("e.xyz", b"something", r"e\.xyz"), ("f.nc", b"no NetCDF", "not a NetCDF"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceUnreadable, match=sentence):
            open_sequence(tmp_path / name)


def test_a_unit_must_be_one_of_rain(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "rain_202001010100.tif", STORED.astype(np.float32))
    with pytest.raises(OptionError, match=r"the unit of .*expected mm/h.*Received: 'furlongs'"):
        open_sequence(path, unit="furlongs")


def test_a_single_frame_is_a_sequence(tmp_path: Path) -> None:
    rain = open_sequence(event(tmp_path / "one", 0))
    assert np.isnat(rain.step)
    assert rain.runs == (slice(0, 1),)
    assert rain.read()[0].shape == (1, 3, 4, 1)


def test_frames_at_addresses_are_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = open_sequence(event(tmp_path / "storm", 0, 10, 20))
    bucket = uploaded(tmp_path / "storm", monkeypatch)
    pattern = f"{bucket}*.nc:precipitation"
    assert [where for _, where in find_sequences([bucket, pattern])] == [bucket, pattern]
    for thing in (bucket, pattern, [f"{bucket}rain_{k}.nc" for k in range(3)]):
        rain = open_sequence(thing)
        np.testing.assert_array_equal(rain.times, here.times)
        np.testing.assert_array_equal(rain.read()[0], here.read()[0])
