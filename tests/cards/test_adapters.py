"""Adapters, on files laid out as the publishers lay out theirs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import rasterio

from geodl.cards import check_folder, get, load_card
from geodl.cards.adapters import adapt
from geodl.data.series import open_series
from geodl.errors import OptionError, SourceUnreadable
from tests.cards.publisher import Publisher, publish

Carded = Callable[..., str]
FILES = [{"path": "a", "url": "http://127.0.0.1:1/a"}]


@pytest.fixture
def adapted(carded: Carded, tmp_path: Path) -> Callable[..., list[str]]:
    def run(name: str, options: dict[str, Any] | None = None, **content: Any) -> list[str]:
        written = carded(files=FILES, adapter={"name": name, "options": options or {}}, **content)
        return adapt(load_card(written), tmp_path)

    return run


def test_breizhcrops(tmp_path: Path, adapted: Callable[..., list[str]]) -> None:
    rng = np.random.default_rng(0)
    home = tmp_path / "2017/L1C"
    home.mkdir(parents=True)
    pd.DataFrame({"id": [0, 1], "classname": ["barley", "wheat"], "code": ["ORH", "BTH"]}).to_csv(
        tmp_path / "classmapping.csv"
    )
    kept = {}
    for region, codes in {"frh01": ["ORH", "XXX", "BTH"], "frh04": ["BTH"]}.items():
        paths = [f"csv/{region}/{k}.csv" for k in range(len(codes))]
        pd.DataFrame({"CODE_CULTU": codes, "path": paths}).to_csv(home / f"{region}.csv")
        with h5py.File(home / f"{region}.h5", "w") as file:
            for k, path in enumerate(paths):
                array = rng.integers(0, 10_000, (3 + k, 17)).astype(float)
                array[:, 16] = (
                    (np.datetime64("2017-03-01") + 10 * np.arange(3 + k)).astype("datetime64[ns]").astype(float)
                )
                file[path] = array
                kept[region, codes[k]] = array
    assert adapted("breizhcrops", {"train": ["frh01"], "test": ["frh04"]}, task="crops") == ["series.parquet"]
    table = pd.read_parquet(tmp_path / "series.parquet")
    groups = dict(iter(table.groupby(["region", "label", "split"])))
    assert sorted(groups) == [("frh01", "barley", "train"), ("frh01", "wheat", "train"), ("frh04", "wheat", "test")]
    rows = groups["frh01", "wheat", "train"]
    np.testing.assert_array_equal(rows[["B1", "B10", "B2", "B9"]], kept["frh01", "BTH"][:, [0, 1, 4, 12]])
    assert rows.date.dt.strftime("%Y-%m-%d").tolist()[:2] == ["2017-03-01", "2017-03-11"]
    series = open_series(str(tmp_path / "series.parquet"))
    assert series.values.shape[0] == 3 and "B8A" in [band.name for band in series.bands]
    assert [info.name for info in series.classes] == ["barley", "wheat"]


def test_pastis(tmp_path: Path, adapted: Callable[..., list[str]]) -> None:
    rng = np.random.default_rng(0)
    home = tmp_path / "PASTIS"
    for name in ("DATA_S2", "ANNOTATIONS", "INSTANCE_ANNOTATIONS"):
        (home / name).mkdir(parents=True)
    images = rng.integers(0, 10_000, (2, 10, 8, 8)).astype(np.int16)
    parcel = np.zeros((8, 8), int)
    parcel[:4, :4], parcel[:4, 4:], parcel[4:, :4] = 1, 2, 5
    target = np.select([parcel == 1, parcel == 2, parcel == 5], [3, 19, 1])
    target[0, 0] = 1  # Of a parcel the class of most of its pixels counts.
    np.save(home / "DATA_S2/S2_10000.npy", images)
    np.save(home / "ANNOTATIONS/TARGET_10000.npy", np.stack([target] * 3))
    np.save(home / "INSTANCE_ANNOTATIONS/INSTANCES_10000.npy", parcel)
    about = {"ID_PATCH": 10000, "Fold": 4, "dates-S2": {"0": 20180917, "1": 20181002}}
    (home / "metadata.geojson").write_text(json.dumps({"features": [{"properties": about}]}))
    classes = [{"value": 1, "name": "meadow"}, {"value": 3, "name": "corn"}]
    adapted("pastis", classes=classes, task="crops")
    table = pd.read_parquet(tmp_path / "series.parquet").set_index(["series", "date"])
    assert sorted({name for name, _ in table.index}) == ["10000_1", "10000_5"]
    assert table.loc["10000_1"].label.tolist() == ["corn", "corn"]
    assert set(table.split) == {"validation"}
    expected = images[1, 3, 4:, :4].astype(float).mean()
    assert table.loc[("10000_5", pd.Timestamp("2018-10-02")), "B05"] == pytest.approx(expected, rel=1e-6)


def test_meteonet(tmp_path: Path, adapted: Callable[..., list[str]]) -> None:
    (tmp_path / "radar_coords_NW.npz").write_bytes(b"coordinates")
    home = tmp_path / "NW_rainfall_2016/rainfall-NW-2016-01"
    home.mkdir(parents=True)
    (home / "rainfall_NW_2016_01.1.npz").write_bytes(b"")
    made = adapted("meteonet", task="nowcasting")
    assert made == ["NW_rainfall_2016/rainfall-NW-2016-01/radar_coords_NW.npz"]
    assert (tmp_path / made[0]).read_bytes() == b"coordinates"


def test_dsen2(tmp_path: Path, adapted: Callable[..., list[str]]) -> None:
    fine, coarse = np.arange(4 * 6 * 4.0).reshape(4, 6, 4), np.arange(6 * 3 * 2.0).reshape(6, 3, 2)
    with h5py.File(tmp_path / "S2A_MSIL1C_20170527_T33UUB.mat", "w") as file:
        file["im10"], file["im20"] = fine, coarse
    made = adapted("dsen2", task="superresolution")
    assert len(made) == 10
    scene = tmp_path / "scenes/S2A_MSIL1C_20170527_T33UUB"
    with rasterio.open(scene / "B02.tif") as one, rasterio.open(scene / "B12.tif") as other:
        np.testing.assert_array_equal(one.read(1), fine[2].T)
        np.testing.assert_array_equal(other.read(1), coarse[5].T)
        assert one.bounds == other.bounds and one.crs.to_epsg() == 32633
        assert (one.res, other.res) == ((10, 10), (20, 20))


def test_files_of_another_layout_are_named(tmp_path: Path, adapted: Callable[..., list[str]]) -> None:
    with pytest.raises(SourceUnreadable, match="not laid out as the adapter breizhcrops expects"):
        adapted("breizhcrops", {"train": ["x"]}, task="crops")


def test_an_unknown_adapter_is_named(adapted: Callable[..., list[str]]) -> None:
    with pytest.raises(OptionError, match="Did you mean 'pastis'"):
        adapted("pastiss")


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with publish(coords=b"c", frames=b"f") as found:
        yield found


def test_what_an_adapter_made_is_checked_and_made_again(publisher: Publisher, carded: Carded) -> None:
    files = [
        {"path": "radar_coords_NW.npz", "url": publisher.url("coords")},
        {"path": "month/rainfall_NW_1.npz", "url": publisher.url("frames")},
    ]
    name = carded(task="nowcasting", files=files, adapter={"name": "meteonet"})
    folder = get(name).folder
    assert check_folder(folder) == []
    (folder / "month/radar_coords_NW.npz").unlink()
    assert check_folder(folder) == ["month/radar_coords_NW.npz is missing."]
    assert get(name).new == ()
    assert check_folder(folder) == []
