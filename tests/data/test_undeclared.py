"""Scenes that state no nodata and are framed by it are told of."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from geodl.data.opening import open_source
from geodl.data.undeclared import look_for_nodata, warn_of_nodata


def _write(path: Path, values: np.ndarray, **options: Any) -> Path:
    profile = {"driver": "GTiff", "dtype": values.dtype, "crs": "EPSG:32633", "transform": Affine(10, 0, 0, 0, -10, 0)}
    count, height, width = values.shape
    with rasterio.open(path, "w", **profile | options, count=count, height=height, width=width) as file:
        file.write(values)
        if "scaled" in path.stem:
            file.scales, file.offsets = (1e-4,) * count, (-0.1,) * count
    return path


def _scene(frame: int, dtype: str = "uint8", size: tuple[int, int] = (300, 420)) -> np.ndarray:
    """Two bands of noise whose left third is `frame` in both."""
    values = np.random.default_rng(0).integers(1, 250, (2, *size)).astype(dtype)
    values[:, :, : size[1] // 3] = frame
    return values


@pytest.mark.parametrize(
    ("name", "frame", "dtype"),
    [("white", 255, "uint8"), ("black", 0, "uint8"), ("scaled", 65535, "uint16"), ("least", -32768, "int16")],
)
def test_a_frame_is_found_with_its_share(tmp_path: Path, name: str, frame: int, dtype: str) -> None:
    scene = _scene(frame, dtype)
    found = look_for_nodata(open_source(_write(tmp_path / f"{name}.tif", scene)))
    assert found is not None
    value, share = found
    assert value == frame
    assert share == pytest.approx((scene == frame).all(0).mean(), abs=0.1)


def test_what_is_stated_or_rare_or_in_one_band_is_not_told_of(tmp_path: Path) -> None:
    one_band = _scene(255)
    one_band[1] = 7
    plain = np.random.default_rng(1).integers(0, 256, (2, 50, 50)).astype("uint8")
    paths = (
        _write(tmp_path / "stated.tif", _scene(255), nodata=255),
        _write(tmp_path / "one_band.tif", one_band),
        _write(tmp_path / "plain.tif", plain),
        _write(tmp_path / "float.tif", _scene(0, "float32")),
        _write(tmp_path / "pixel.tif", plain[:, :1, :1]),
    )
    assert [look_for_nodata(open_source(path)) for path in paths] == [None] * len(paths)


def test_the_warning_says_what_to_do(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="geodl"):
        logging.getLogger("geodl").addHandler(caplog.handler)
        warn_of_nodata(open_source(_write(tmp_path / "a.tif", _scene(255))))
        logging.getLogger("geodl").removeHandler(caplog.handler)
    (message,) = {record.getMessage() for record in caplog.records}
    assert "are 255 in all bands" in message and "rio edit-info --nodata 255" in message


def test_the_scene_of_carolina_is_told_of(real_data: Path) -> None:
    folder = real_data / "scenes" / "carolina_sentinel2"
    files = sorted(path for path in folder.rglob("*.tif") if "B0" in path.name)
    found = look_for_nodata(open_source({path.stem: path for path in files}, name="carolina"))
    assert found is not None
    assert found[0] == 255 and 0.2 < found[1] < 0.45
