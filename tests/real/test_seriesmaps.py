"""Networks for series on the CBERS cube: twelve dated GeoTIFFs in strips, int16 without a scale."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geodl.contract import Band
from tests.inference.cropfakes import CLASSES, logits_of, make_classifier, make_contract

DAYS = (241, 273, 305, 337, 366, 398, 430, 462, 494, 526, 558, 590)
"""Of the file names, in days of 2018."""


@pytest.fixture
def cube(real_data: Path) -> Path:
    folder = real_data / "timeseries" / "cbers_ndvi_cube"
    if not folder.is_dir():
        pytest.skip(f"real data absent: no folder {folder}")
    return folder


def test_a_window_of_the_cube_is_mapped_from_what_its_files_hold(cube: Path, tmp_path: Path) -> None:
    contract = make_contract(bands=("NDVI",), days=DAYS)
    contract = dataclasses.replace(contract, input=dataclasses.replace(contract.input, bands=(Band("NDVI"),)))
    window = rasterio.windows.Window(300, 500, 70, 40)
    files = []
    for path in sorted(cube.glob("*.tif")):
        with rasterio.open(path) as dataset:
            files.append(dataset.read(1, window=window))
            bounds = rasterio.windows.bounds(window, dataset.transform)
    inner = bounds[0] + 1, bounds[1] + 1, bounds[2] - 1, bounds[3] - 1
    target = tmp_path / "map.tif"
    make_classifier(contract=contract).predict_file(cube, target, scale=1e-4, bbox=inner, confidence=True)
    values = (np.stack(files, -1) * np.float64(1e-4)).astype(np.float32)[..., None]
    expected = np.array([c.value for c in CLASSES])[logits_of(values, np.array(DAYS, np.float32)).argmax(-1)]
    with rasterio.open(target) as dataset:
        np.testing.assert_array_equal(dataset.read(1), expected)
