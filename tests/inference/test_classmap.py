from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.features import sieve

from geodl.inference.classmap import NODATA, ClassMap
from tests.inference.test_vectorise import NODATA as STORED_NODATA
from tests.inference.test_vectorise import make_map, save


def test_strips_cover_the_map_in_order(tmp_path: Path) -> None:
    classes, confidence = make_map(70, 50, smooth=1)
    source = ClassMap(save(tmp_path / "a.tif", classes), save(tmp_path / "b.tif", confidence, nodata=np.nan))
    for memory, sides in ((1 << 30, 1 << 30), (1 << 30, 600), (20_000, 600), (1, 1)):
        strips = list(source.strips(memory=memory, sides=sides))
        assert [strip.row for strip in strips] == np.cumsum(
            [0, *(len(strip.classes) for strip in strips[:-1])]
        ).tolist()
        found = np.concatenate([strip.classes for strip in strips])
        np.testing.assert_array_equal(found, np.where(classes == STORED_NODATA, NODATA, classes.astype(np.int32)))
        sure = np.concatenate([strip.confidence for strip in strips if strip.confidence is not None])
        np.testing.assert_array_equal(sure, confidence)
    assert len(strips) == 70


def test_strips_are_narrow_where_regions_are_small(tmp_path: Path) -> None:
    classes = np.full((60, 40), 1, np.uint8)
    classes[30:] = np.indices((30, 40)).sum(axis=0) % 2
    heights = [len(s.classes) for s in ClassMap(save(tmp_path / "a.tif", classes)).strips(memory=1 << 30, sides=800)]
    assert heights[0] > 25 and max(heights[1:-1]) <= 6


def test_pixels_that_a_mask_hides_are_nodata(tmp_path: Path) -> None:
    classes, _ = make_map(20, 30)
    shown = np.indices(classes.shape).sum(axis=0) % 3 > 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        save(tmp_path / "a.tif", classes)
        with rasterio.open(tmp_path / "a.tif", "r+") as dataset:
            dataset.nodata = None
            dataset.write_mask(shown)
    (strip,) = ClassMap(tmp_path / "a.tif").strips(memory=1 << 30, sides=1 << 30)
    np.testing.assert_array_equal(strip.classes != NODATA, shown)
    assert strip.confidence is None


@pytest.mark.parametrize("minimum", [2, 30])
def test_small_regions_are_merged(minimum: int, tmp_path: Path) -> None:
    classes, _ = make_map(70, 50, smooth=1)
    source = ClassMap(save(tmp_path / "a.tif", classes))
    source.merge_small(minimum, tmp_path)
    found = np.concatenate([strip.classes for strip in source.strips(memory=1, sides=1)])
    expected = sieve(classes, minimum, mask=classes != STORED_NODATA, connectivity=4)
    np.testing.assert_array_equal(found, np.where(classes == STORED_NODATA, NODATA, expected.astype(np.int32)))
