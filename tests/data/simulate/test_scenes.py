import numpy as np
import pytest
import rasterio
import shapely
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import jaccard_score

from geodl.data.simulate import CLASSES, simulate_scene, write_scene
from geodl.data.simulate.spectra import BANDS
from geodl.errors import OptionError

B02, B03, B04, B08, B11, B12 = range(6)


@pytest.fixture(scope="module")
def scenes():
    return [simulate_scene(seed, height=384, width=384) for seed in (1, 2, 3)]


def test_a_seed_gives_one_scene(scenes):
    again = simulate_scene(1, height=384, width=384)
    assert np.array_equal(again.values, scenes[0].values, equal_nan=True)
    assert np.array_equal(again.labels, scenes[0].labels)
    assert not np.array_equal(scenes[0].labels, scenes[1].labels)


def test_holds_every_class_in_reflectance(scenes):
    for scene in scenes:
        assert scene.values.shape == (384, 384, 6) and scene.values.dtype == np.float32
        shares = np.bincount(scene.labels.ravel(), minlength=7) / scene.labels.size
        assert shares[0] == 0 and len(shares) == 7
        assert shares[1:].min() > 0.003 and shares.max() < 0.75
        seen = scene.values[np.isfinite(scene.values)]
        assert seen.min() > 0 and seen.max() < 1
        assert 0.02 < np.median(seen) < 0.35


def test_spectra_are_those_of_the_surfaces(scenes):
    for scene in scenes:
        median = [np.nanmedian(scene.values[scene.labels == info.value], axis=0) for info in CLASSES]
        water, forest, _, grass, built, bare = median
        ndvi = [(m[B08] - m[B04]) / (m[B08] + m[B04]) for m in median]
        assert water[B03] > water[B08] > water[B12]
        assert ndvi[1] > 0.5 > ndvi[4] > ndvi[0]
        assert forest[B11] < grass[B11] < bare[B11]
        assert built[B04] > forest[B04]


def test_clouds_hide_all_bands_at_once():
    hidden = [np.isnan(simulate_scene(seed, height=200, width=200).values) for seed in range(12)]
    assert all((mask.all(axis=-1) == mask.any(axis=-1)).all() for mask in hidden)
    shares = [mask.mean() for mask in hidden]
    assert any(share > 0.005 for share in shares)
    assert sum(share < 0.3 for share in shares) > 6


def test_single_pixels_do_not_tell_the_classes_apart(scenes):
    def pixels(scene):
        seen = np.isfinite(scene.values).all(axis=-1)
        chosen = np.random.default_rng(0).choice(int(seen.sum()), 6000, replace=False)
        return scene.values[seen][chosen], scene.labels[seen][chosen]

    train = [np.concatenate(part) for part in zip(*(pixels(scene) for scene in scenes[:2]), strict=True)]
    x, y = pixels(scenes[2])
    forest = RandomForestClassifier(20, min_samples_leaf=5, random_state=0).fit(*train)
    score = jaccard_score(y, forest.predict(x), average="macro", labels=range(1, 7))
    assert 0.3 < score < 0.8


def test_default_places_do_not_overlap():
    outlines = [simulate_scene(seed, height=32, width=32).grid.footprint() for seed in (0, 1, 9, 10, 499)]
    wide = [shapely.box(x, y - 20_480, x + 20_480, y) for x, _, _, y in (outline.bounds for outline in outlines)]
    assert not any(one.intersects(other) for k, one in enumerate(wide) for other in wide[:k])


def test_lies_where_it_is_put():
    scene = simulate_scene(4, height=40, width=50, crs="EPSG:4326", resolution=0.001, origin=(10.0, 50.0))
    assert scene.grid.crs.to_epsg() == 4326
    assert scene.grid.footprint().bounds == pytest.approx((10.0, 49.96, 10.05, 50.0))


def test_too_small_a_scene_is_refused():
    with pytest.raises(OptionError, match="at least 32"):
        simulate_scene(0, height=31, width=64)


def test_files_hold_what_the_scene_holds(tmp_path, scenes):
    scene = next((s for s in scenes if np.isnan(s.values).any()), scenes[0])
    write_scene(scene, tmp_path / "image.tif", tmp_path / "labels.tif")
    with rasterio.open(tmp_path / "image.tif") as image:
        assert image.dtypes == ("uint16",) * 6
        assert image.descriptions == BANDS
        assert image.units == ("reflectance",) * 6
        assert image.nodata == 0
        stored = image.read(masked=True)
        physical = np.moveaxis(stored.filled(0) * image.scales[0] + image.offsets[0], 0, -1)
        seen = ~np.moveaxis(np.ma.getmaskarray(stored), 0, -1)
        assert np.array_equal(seen, np.isfinite(scene.values))
        assert np.allclose(physical[seen], scene.values[seen], rtol=0, atol=1e-6)
        assert image.crs.to_epsg() == 32633
        assert image.transform == scene.grid.transform
    with rasterio.open(tmp_path / "labels.tif") as labels:
        assert np.array_equal(labels.read(1), scene.labels)
        assert labels.nodata == 255
        assert labels.colormap(1)[1] == (0x00, 0x72, 0xB2, 255)
        assert labels.tags(1)["class_6"] == "bare soil"
