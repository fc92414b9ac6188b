"""Layouts that the shipped cards claim: small files that are laid out as the publishers' are found, paired and split, and
real files of the same sets are where the cards say."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import rasterio
import yaml
from PIL import Image

from geodl.cards import Card, list_cards, load_card
from geodl.cards.adapters import adapt
from geodl.cards.manifest import Manifest
from geodl.data.opening import find_scenes, open_source
from geodl.data.pairing import pair
from geodl.data.radar import find_sequences, open_sequence
from geodl.data.series import open_series
from geodl.recipe import Recipe, load_recipe

DOCS = Path(__file__).parents[1] / "docs" / "datasets.md"
FETCHED = [name for name in list_cards() if load_card(name).simulator is None]


def _tif(
    path: Path, *, bands: int = 1, dtype: str = "uint8", value: float = 1, east: float = 0.0, **profile: Any
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 500_000 + east, 0, -10, 5_400_000)}
    with rasterio.open(path, "w", "GTiff", 16, 16, bands, dtype=dtype, **place, **profile) as file:
        file.write(np.full((bands, 16, 16), value, dtype))


def _picture(path: Path, *, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (16, 16)).save(path)


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _floods(root: Path, sensor: str) -> None:
    bands, dtype = (2, "float32") if sensor == "S1" else (13, "int16")
    chips = {"train": ["Ghana_5079", "Sri-Lanka_101973"], "valid": ["Ghana_11745"], "test": ["Ghana_1078550"]}
    chips["bolivia"] = ["Bolivia_103757"]
    for part, names in chips.items():
        _text(root / f"splits/flood_{part}_data.csv", "".join(f"{n}_S1Hand.tif,{n}_LabelHand.tif\n" for n in names))
        folder = root / "Bolivia" if part == "bolivia" else root
        for name in names:
            _tif(folder / f"{sensor}Hand/{name}_{sensor}Hand.tif", bands=bands, dtype=dtype)
            _tif(folder / f"LabelHand/{name}_LabelHand.tif", dtype="int16", value=-1)


def _landcover_ai(root: Path) -> None:
    for east, name in enumerate(("M-33-20-D-c-4-2", "N-34-97-C-b-1-2")):
        _tif(root / f"images/{name}.tif", bands=3, east=1000.0 * east)
        _tif(root / f"masks/{name}.tif", value=4, east=1000.0 * east)
    for name in ("train.txt", "split.py"):
        _text(root / name, "M-33-20-D-c-4-2_0\n")


def _open_earth_map(root: Path) -> None:
    for name in ("aachen_1", "aachen_2", "accra_3"):
        region = root / "OpenEarthMap_wo_xBD" / name.split("_")[0]
        _tif(region / f"images/{name}.tif", bands=3)
        _tif(region / f"labels/{name}.tif", value=8)
    # A test image, whose label the publisher keeps, and a label of xBD, whose image must be had from there.
    _tif(root / "OpenEarthMap_wo_xBD/accra/images/accra_9.tif", bands=3)
    _tif(root / "OpenEarthMap_wo_xBD/xbd/labels/xbd_only_7.tif", value=8)
    _text(root / "OpenEarthMap_wo_xBD/test.txt", "accra_9.tif\n")
    _text(root / "OpenEarthMap_wo_xBD/train.txt", "aachen_1.tif\naccra_3.tif\nxbd_only_7.tif\n")
    _text(root / "OpenEarthMap_wo_xBD/val.txt", "aachen_2.tif\n")


def _flair(root: Path) -> None:
    for image, mask, number in (
        ("flair_aerial_train", "flair_labels_train", "000001"),
        ("flair_aerial_train", "flair_labels_train", "000213"),
        ("flair_2_aerial_test", "flair_2_labels_test", "061713"),
    ):
        _tif(root / image / f"D004_2021/Z1_NN/img/IMG_{number}.tif", bands=5)
        _tif(root / mask / f"D004_2021/Z1_NN/msk/MSK_{number}.tif", value=19)


def _eurosat(root: Path) -> None:
    for name in ("AnnualCrop_1", "AnnualCrop_2", "SeaLake_1"):
        _tif(root / "EuroSAT_MS" / name.split("_")[0] / f"{name}.tif", bands=13, dtype="uint16")


def _dncnn(root: Path) -> None:
    for number in range(1, 4):
        folder = root / "DnCNN-master/TrainingCodes/DnCNN_TrainingCodes_v1.0/data/Train400"
        _picture(folder / f"test_{number:03}.png", mode="L")
        _picture(root / f"DnCNN-master/testsets/BSD68/test{number:03}.png", mode="L")


def _bsds500(root: Path) -> None:
    for part, name in (("train", "2092"), ("val", "101085"), ("test", "100007")):
        _picture(root / f"BSR/BSDS500/data/images/{part}/{name}.jpg")
        _text(root / f"BSR/BSDS500/data/images/{part}/Thumbs.db", "")


def _set14(root: Path) -> None:
    for kind in ("HR", "LR", "bicubic", "SRCNN"):
        _picture(root / f"Set14/image_SRF_2/img_001_SRF_2_{kind}.png")


def _sen2venus(root: Path) -> None:
    folder = root / "KUDALIAR/KUDALIAR_2019-08-27_44QKF"
    for kind in ("b2b3b4b8_05m", "b2b3b4b8_10m", "b5b6b7b8a_05m"):
        name = f"KUDALIAR_0_2019-08-27_44QKF_{kind}.tif"
        _tif(folder / kind[-3:] / name, bands=4, dtype="int16")
    _text(root / "KUDALIAR/index.csv", "b2b3b4b8_10m\tb2b3b4b8_05m\n")


def _dsen2(root: Path) -> None:
    for name in ("S2A_MSIL1C_20170527_T33UUB", "S2B_MSIL1C_20171022_T49JGM"):
        with h5py.File(root / f"{name}.mat", "w") as file:
            # MATLAB stores columns before rows: 24 columns and 12 rows of the fine bands.
            for key, count, step in (("im10", 4, 1), ("im20", 6, 2), ("im60", 2, 6)):
                values = np.arange(count)[:, None, None] * 1000 + np.arange(0, 24, step)[:, None]
                file[key] = np.broadcast_to(values, (count, 24 // step, 12 // step)).astype(np.float32)


def _breizhcrops(root: Path, regions: Sequence[str]) -> None:
    classes = {"id": [0, 1], "classname": ["barley", "wheat"], "code": ["ORH", "BTH"]}
    pd.DataFrame(classes).to_csv(root / "classmapping.csv")
    place = root / "2017" / "L1C"
    place.mkdir(parents=True)
    for region in regions:
        # The third parcel's crop is of no class.
        rows = {"CODE_CULTU": ["ORH", "BTH", "XXX"], "path": [f"csv/{k}.csv" for k in (11, 12, 13)]}
        pd.DataFrame({**rows, "sequencelength": [3, 2, 2], "idx": [0, 1, 2]}).to_csv(place / f"{region}.csv")
        with h5py.File(place / f"{region}.h5", "w") as file:
            for path, length in zip(rows["path"], (3, 2, 2)):
                values = np.arange(17.0) * 100 + np.arange(length)[:, None]
                days = np.datetime64("2017-01-03", "ns") + np.arange(length) * np.timedelta64(5, "D")
                values[:, -1] = days.astype(np.int64)
                file[path] = values


def _pastis(root: Path) -> None:
    features = []
    for number, fold in ((10000, 1), (10001, 4), (10002, 5)):
        parcels, target = np.zeros((8, 8), np.int32), np.zeros((3, 8, 8), np.uint8)
        for parcel, label, where in ((7, 3, np.s_[:4, :4]), (9, 18, np.s_[4:, 4:]), (11, 19, np.s_[:2, 6:])):
            parcels[where], target[0][where] = parcel, label
        images = (np.arange(4)[:, None, None, None] * 100 + np.arange(10)[:, None, None] + parcels).astype(np.int16)
        for name, values in (
            (f"DATA_S2/S2_{number}", images),
            (f"ANNOTATIONS/TARGET_{number}", target),
            (f"INSTANCE_ANNOTATIONS/INSTANCES_{number}", parcels),
        ):
            (root / "PASTIS" / name).parent.mkdir(parents=True, exist_ok=True)
            np.save(root / "PASTIS" / f"{name}.npy", values)
        dates = {str(k): 20181001 + k for k in range(4)}
        about = {"ID_PATCH": number, "Fold": fold, "TILE": "t31tfm", "dates-S2": dates}
        features.append({"type": "Feature", "geometry": None, "properties": about})
    _text(root / "PASTIS/metadata.geojson", json.dumps({"type": "FeatureCollection", "features": features}))


@pytest.fixture
def lay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recipe]:
    """Lays out files as of a data set, says that it is here, and returns the recipe of its pipeline with its data."""
    monkeypatch.setenv("GEODL_DATASETS", str(tmp_path))

    def recipe(name: str, write: Callable[[Path], None], **data: Any) -> Recipe:
        (tmp_path / name).mkdir()
        write(tmp_path / name)
        if load_card(name).adapter is not None:
            assert adapt(load_card(name), tmp_path / name)
        Manifest(name, complete=True).write(tmp_path / name)
        return load_recipe({"pipeline": load_card(name).task, "data": {"dataset": name, **data}})

    return recipe


@pytest.mark.parametrize(
    ("name", "write", "data", "scenes", "bands"),
    [
        ("sen1floods11", lambda root: _floods(root, "S1"), {}, 4, 2),
        ("sen1floods11-s2", lambda root: _floods(root, "S2"), {}, 4, 13),
        ("landcover-ai", _landcover_ai, {}, 2, 3),
        ("openearthmap", _open_earth_map, {}, 3, 3),
        ("flair2", _flair, {}, 2, 5),
        ("flair2", _flair, {"part": "test"}, 1, 5),
    ],
    ids=["sen1floods11", "sen1floods11-s2", "landcover-ai", "openearthmap", "flair2", "flair2 test"],
)
def test_images_find_their_labels(
    lay_out: Callable[..., Recipe],
    name: str,
    write: Callable[[Path], None],
    data: dict[str, Any],
    scenes: int,
    bands: int,
) -> None:
    found = lay_out(name, write, **data).data
    pairs = pair(find_scenes(found.images), found.labels, match=found.match)
    assert len(pairs) == scenes
    for scene, spec, label in pairs:
        source = open_source(spec, name=scene)
        assert len(source.bands) == bands == len(load_card(name).bands)
        assert (
            re.findall(r"\d+", Path(label).stem)[-1]
            == re.findall(r"\d+(?!Hand)", scene.removesuffix("_S1Hand").removesuffix("_S2Hand"))[-1]
        )


@pytest.mark.parametrize(
    ("name", "write", "data", "scenes", "bands"),
    [
        ("eurosat", _eurosat, {}, 3, 13),
        ("bsd-denoising", _dncnn, {}, 3, 1),
        ("bsd-denoising", _dncnn, {"part": "test"}, 3, 1),
        ("bsds500", _bsds500, {}, 3, 3),
        ("set14", _set14, {}, 1, 3),
        ("sen2venus", _sen2venus, {}, 1, 4),
    ],
    ids=["eurosat", "bsd-denoising", "bsd-denoising test", "bsds500", "set14", "sen2venus"],
)
def test_clean_scenes_are_found(
    lay_out: Callable[..., Recipe],
    name: str,
    write: Callable[[Path], None],
    data: dict[str, Any],
    scenes: int,
    bands: int,
) -> None:
    found = find_scenes(lay_out(name, write, **data).data.images)
    assert len(found) == scenes
    assert all(len(open_source(spec, name=scene).bands) == bands for scene, spec in found)
    assert bands == len(load_card(name).bands)


@pytest.mark.parametrize(
    ("name", "write", "parts"),
    [
        (
            "sen1floods11",
            lambda root: _floods(root, "S1"),
            {
                "Ghana_5079_S1Hand": "train",
                "Sri-Lanka_101973_S1Hand": "train",
                "Ghana_11745_S1Hand": "validation",
                "Ghana_1078550_S1Hand": "test",
            },
        ),
        ("openearthmap", _open_earth_map, {"aachen_1": "train", "accra_3": "train", "aachen_2": "validation"}),
        ("bsds500", _bsds500, {"2092": "train", "101085": "validation", "100007": "test"}),
    ],
    ids=["sen1floods11", "openearthmap", "bsds500"],
)
def test_official_parts(
    lay_out: Callable[..., Recipe], name: str, write: Callable[[Path], None], parts: dict[str, str]
) -> None:
    data = lay_out(name, write).data
    assert data.official is not None
    assert data.official(dict(find_scenes(data.images))) == parts


def test_ucr_crop_is_read_in_its_two_parts(lay_out: Callable[..., Recipe]) -> None:
    def write(root: Path) -> None:
        for part, count in (("TRAIN", 4), ("TEST", 6)):
            rows = "\n".join(",".join(str(k / 50) for k in range(46)) + f":{1 + n % 2}" for n in range(count))
            head = "@problemName Crop\n@timeStamps false\n@univariate true\n@equalLength true\n@classLabel true 1 2\n@data\n"
            _text(root / f"Crop/Crop_{part}.ts", head + rows + "\n")
            _text(root / f"Crop/Crop_{part}.txt", "1.0 0.5\n")

    table = open_series(lay_out("ucr-crop", write).data.series)
    assert table.values.shape == (10, 46, 1)
    assert table.parts is not None
    assert list(table.parts).count("train") == 4
    assert list(table.parts).count("test") == 6


def test_scenes_of_dsen2_are_bands_of_two_pixel_sizes(lay_out: Callable[..., Recipe]) -> None:
    images: Any = lay_out("dsen2", _dsen2).data.images
    assert len(images) == 2
    for scene in images:
        with rasterio.open(scene["B02"]) as fine, rasterio.open(scene["B12"]) as coarse:
            assert (fine.shape, fine.res) == ((12, 24), (10.0, 10.0))
            assert (coarse.shape, coarse.res) == ((6, 12), (20.0, 20.0))
            # Blue is the third of four bands; values grow from column to column.
            np.testing.assert_array_equal(fine.read(1)[0, :3], [2000, 2001, 2002])


@pytest.mark.parametrize(
    ("name", "regions", "parts"),
    [
        ("breizhcrops", ("frh01", "frh02", "frh03", "frh04"), {"train": 4, "validation": 2, "test": 2}),
        ("breizhcrops-island", ("belle-ile",), None),
    ],
    ids=["breizhcrops", "breizhcrops-island"],
)
def test_parcels_of_breizhcrops_are_series(
    lay_out: Callable[..., Recipe], name: str, regions: Sequence[str], parts: dict[str, int] | None
) -> None:
    data = lay_out(name, lambda root: _breizhcrops(root, regions)).data
    bands = [band.name for band in load_card(name).bands]
    assert data.bands == bands
    table = open_series(data.series, bands=bands)
    assert table.values.shape == (2 * len(regions), 3, 13)
    assert {info.name for info in table.classes} == {"barley", "wheat"}
    assert {info.name for info in table.classes} <= {entry.name for entry in load_card(name).classes}
    np.testing.assert_allclose(table.values[0, :, 1], [100, 101, 102])
    assert parts == (None if table.parts is None else Counter(table.parts.tolist()))


def test_parcels_of_pastis_are_series(lay_out: Callable[..., Recipe]) -> None:
    data = lay_out("pastis", _pastis).data
    table = open_series(data.series, bands=[band.name for band in load_card("pastis").bands])
    assert table.values.shape == (6, 4, 10)
    assert {info.name for info in table.classes} == {"corn", "sorghum"}
    np.testing.assert_allclose(table.values[0, :, 0], [7, 107, 207, 307])
    assert table.parts is not None
    assert Counter(table.parts.tolist()) == {"train": 2, "validation": 2, "test": 2}


def test_a_zone_of_meteonet_is_found_month_by_month(real_data: Path, lay_out: Callable[..., Recipe]) -> None:
    def write(root: Path) -> None:
        (root / "radar_coords_SE.npz").symlink_to(real_data / "radar/meteonet/radar_coords_SE.npz")
        month = root / "SE_rainfall_2016" / "rainfall-SE-2016-08"
        month.mkdir(parents=True)
        (month / "rainfall_SE_2016_08.3.npz").symlink_to(real_data / "radar/meteonet/rainfall_SE_2016_08.3.npz")

    ((event, spec),) = find_sequences(lay_out("meteonet", write).data.sequences)
    assert event == "rainfall-SE-2016-08"
    assert len(open_sequence(spec, name=event).times) == 45


@pytest.mark.parametrize("name", FETCHED)
def test_cards_say_where_their_facts_come_from(name: str) -> None:
    card = load_card(name)
    assert card.sources
    assert all(address.startswith(("https://", "http://")) for address in card.sources)
    colours = [entry.colour for entry in card.classes]
    assert len(set(colours)) == len(colours), "two classes of one colour"
    assert len({band.name for band in card.bands}) == len(card.bands)


@pytest.mark.parametrize("name", [name for name in FETCHED if load_card(name).index])
def test_lists_of_files_are_read_from_the_names_that_they_hold(name: str) -> None:
    row = "Sri-Lanka_101973_S1Hand.tif"
    for index in load_card(name).index:
        found = re.search(str(index.pattern), row)
        assert found is not None
        assert found[1] == "Sri-Lanka_101973"


def test_the_docs_name_every_card_and_no_other() -> None:
    text = DOCS.read_text("utf-8").split("## Getting one")[0]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    assert sorted(name for row in rows for name in re.findall(r"`([\w-]+)`", row)) == sorted(list_cards())


def test_the_card_in_the_docs_is_one() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    card = Card.model_validate(yaml.safe_load(blocks[-1]))
    assert card.task == "segmentation"
    assert card.files[0].unpack is True


_COPIES = {
    "dsen2": "superres",
    "set5": "superres/set5",
    "meteonet-sample": "radar/meteonet",
    "pysteps-fmi": "radar/fmi_2016",
    "pysteps-knmi": "radar/knmi_2010",
    "pysteps-bom": "radar/bom_2018",
}
"""Folders of real data that hold files of a set as they were published."""


@pytest.mark.parametrize("name", _COPIES)
def test_files_have_the_names_of_real_copies(real_data: Path, name: str) -> None:
    known = {Path(file.path).name for file in load_card(name).files}
    assert known & {copy.name for copy in (real_data / _COPIES[name]).rglob("*")}


def test_real_chips_of_sen1floods11_lie_as_the_card_says(real_data: Path, lay_out: Callable[..., Recipe]) -> None:
    chips = real_data / "segmentation" / "sen1floods11"

    def write(root: Path) -> None:
        names = sorted(path.name.removesuffix("_S1Hand.tif") for path in (chips / "S1").iterdir())
        for part, some in (("train", names[:5]), ("valid", names[5:7]), ("test", names[7:]), ("bolivia", [])):
            rows = "".join(f"{name}_S1Hand.tif,{name}_LabelHand.tif\n" for name in some)
            _text(root / f"splits/flood_{part}_data.csv", rows)
        shutil.copytree(chips / "S1", root / "S1Hand")
        shutil.copytree(chips / "labels", root / "LabelHand")

    data = lay_out("sen1floods11", write).data
    pairs = pair(find_scenes(data.images), data.labels, match=data.match)
    assert len(pairs) == 9
    for name, spec, label in pairs:
        assert [band.name for band in open_source(spec, name=name).bands] == [
            b.name for b in load_card("sen1floods11").bands
        ]
        with rasterio.open(label) as file:
            assert set(np.unique(file.read(1))) <= {data.ignore_label, *(entry.value for entry in data.classes)}


@pytest.mark.parametrize(
    ("name", "folder", "frames", "minutes"),
    [("pysteps-knmi", "knmi_2010", 61, 5), ("pysteps-bom", "bom_2018", 61, 6), ("meteonet-sample", "meteonet", 45, 5)],
    ids=["pysteps-knmi", "pysteps-bom", "meteonet-sample"],
)
def test_real_radar_events_lie_as_the_cards_say(
    real_data: Path, lay_out: Callable[..., Recipe], name: str, folder: str, frames: int, minutes: int
) -> None:
    events = {Path(file.path).parent.name for file in load_card(name).files}

    def write(root: Path) -> None:
        for event in events:
            (root / event).symlink_to(real_data / "radar" / folder)

    ((event, spec),) = find_sequences(lay_out(name, write).data.sequences)
    found = open_sequence(spec, name=event)
    assert event in events
    assert len(found.times) == frames
    assert np.diff(found.times).min() == np.timedelta64(minutes, "m")
