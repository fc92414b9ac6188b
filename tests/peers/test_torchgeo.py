"""What TorchGeo reads of a scene, patch by patch, against what a source reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window, from_bounds

from geodl.data.opening import open_source

pytestmark = pytest.mark.peers


def test_patches_of_a_grid_are_windows_of_the_source(tmp_path: Path) -> None:
    pytest.importorskip("torchgeo")
    from benchmarks.torchgeo_grid import grid_loader

    path = tmp_path / "scene.tif"
    values = np.random.default_rng(0).integers(1, 4000, (4, 320, 448), dtype=np.uint16)
    transform = rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)
    with rasterio.open(
        path, "w", driver="GTiff", count=4, dtype="uint16", height=320, width=448, crs="EPSG:32633", transform=transform
    ) as scene:
        scene.write(values)
    source = open_source(path)
    seen = np.zeros((320, 448), int)
    for sample in grid_loader(path, size=128, overlap=64, batch=1, workers=0):
        x, y = sample["bounds"][0][:2] if isinstance(sample["bounds"], list) else sample["bounds"][:2]
        exact = from_bounds(x.start, y.start, x.stop, y.stop, transform)
        window = Window(*(round(value) for value in exact.flatten()))
        own, _ = source.read(window)
        np.testing.assert_array_equal(own, np.moveaxis(sample["image"][0].numpy(), 0, -1))
        seen[window.toslices()] += 1
    assert seen.min() == 1 and seen.max() == 4
