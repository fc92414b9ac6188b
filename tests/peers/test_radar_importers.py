"""What pysteps' importers read of radar files and make of rain, against what geodl does."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pyproj import Proj

from geodl.data.radar import importers, knmi, odim
from geodl.data.radar.frames import Frame
from geodl.errors import SourceUnreadable
from geodl.physics.rain import ZR, from_decibel, rain_rate, reflectivity, to_decibel

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module")
def pysteps() -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return pytest.importorskip("pysteps")


def files(real_data: Path, folder: str) -> list[str]:
    found = sorted(map(str, (real_data / "radar" / folder).glob("*")))
    if not found:
        pytest.skip(f"no radar/{folder} in the real data")
    return found


def in_rain(pysteps: Any, values: np.ndarray, metadata: dict[str, Any]) -> np.ndarray:
    return pysteps.utils.conversion.to_rainrate(values, metadata)[0]


def assert_same_place(frame: Frame, metadata: dict[str, Any], metres: float = 1.0) -> None:
    t, (height, width) = frame.grid.transform, frame.grid.shape
    own = [t.c, t.f + t.e * height, t.c + t.a * width, t.f]
    theirs = [metadata[key] * metres for key in ("x1", "y1", "x2", "y2")]
    np.testing.assert_allclose(own, theirs, atol=0.01 * t.a)
    corners = [Proj(frame.grid.crs)(*own[:2], inverse=True), Proj(frame.grid.crs)(*own[2:], inverse=True)]
    projected = Proj(metadata["projection"])
    their_corners = [projected(*(np.array(corner) / metres), inverse=True) for corner in (own[:2], own[2:])]
    np.testing.assert_allclose(corners, their_corners, atol=1e-6)


def test_knmi(pysteps: Any, real_data: Path) -> None:
    for path in files(real_data, "knmi_2010")[20:40:6]:
        values, _, metadata = pysteps.io.importers.import_knmi_hdf5(path)
        (frame,) = knmi.read_frames(path)
        np.testing.assert_allclose(frame.load(), in_rain(pysteps, values, metadata), rtol=1e-5)
        assert_same_place(frame, metadata, metres=1000)


@pytest.mark.parametrize("folder", ["mch_2015", "mch_2016"])
def test_swiss_images(pysteps: Any, real_data: Path, folder: str) -> None:
    frames = [frame for path in files(real_data, folder) for frame in importers.read_frames(path)]
    steps = np.diff([frame.time for frame in frames])
    assert set(steps / np.timedelta64(60, "s")) == {5}
    for frame in frames[::13]:
        values, _, metadata = pysteps.io.importers.import_mch_gif(frame.path, product="AQC", unit="mm", accutime=5.0)
        np.testing.assert_allclose(frame.load(), in_rain(pysteps, values, metadata), rtol=1e-5)
        assert_same_place(frame, metadata)


def test_finnish_images(pysteps: Any, real_data: Path) -> None:
    frames = [frame for path in files(real_data, "fmi_2016") for frame in importers.read_frames(path)]
    assert set(np.diff([frame.time for frame in frames]) / np.timedelta64(60, "s")) == {5}
    for frame in frames[::13]:
        dbz, _, metadata = pysteps.io.importers.import_fmi_pgm(frame.path, gzipped=True)
        own, theirs = frame.load(), in_rain(pysteps, dbz, metadata)
        np.testing.assert_array_equal(np.isnan(own), np.isnan(theirs))
        echo = dbz > -30
        np.testing.assert_allclose(own[echo], theirs[echo], rtol=1e-5)
        assert (own[dbz <= -30] == 0).all() and theirs[dbz <= -30].max() < 1e-3
        assert_same_place(frame, metadata)


def test_damaged_images_are_named(pysteps: Any, real_data: Path, tmp_path: Path) -> None:
    for folder in ("mch_2015", "fmi_2016"):
        whole, cut = Path(files(real_data, folder)[0]), tmp_path / Path(files(real_data, folder)[1]).name
        (tmp_path / whole.name).write_bytes(whole.read_bytes())
        cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        importers.read_frames(str(tmp_path / whole.name))
        (frame,) = importers.read_frames(str(cut))
        with pytest.raises(SourceUnreadable, match=cut.name):
            frame.load()
        cut.write_bytes(b"<html>404</html>" * 20)
        with pytest.raises(SourceUnreadable, match=cut.name):
            frame.load()


def test_odim(pysteps: Any, tmp_path: Path) -> None:
    projection = Proj("+proj=laea +lat_0=55 +lon_0=10 +x_0=1950000 +y_0=-2100000 +units=m +ellps=WGS84")
    place = {"LL": (3e5, -2e6), "LR": (3.8e5, -2e6), "UL": (3e5, -1.94e6), "UR": (3.8e5, -1.94e6)}
    raw = np.random.default_rng(0).integers(0, 256, (30, 40), dtype=np.uint8)
    path = str(tmp_path / "T_PAAH21_C_EUOC_20180824120000.hdf")
    with h5py.File(path, "w") as file:
        file.create_group("what").attrs.update(object=np.bytes_("COMP"), date="20180824", time="120000")
        where = file.create_group("where").attrs
        where.update(projdef=projection.srs, xscale=2000.0, yscale=2000.0, xsize=40, ysize=30)
        for corner, point in place.items():
            where[f"{corner}_lon"], where[f"{corner}_lat"] = projection(*point, inverse=True)
        what = {"quantity": np.bytes_("RATE"), "gain": 0.5, "offset": 0.0, "nodata": 255.0, "undetect": 0.0}
        file.create_group("dataset1/data1/what").attrs.update(what)
        file["dataset1/data1/data"] = raw
    values, _, metadata = pysteps.io.importers.import_odim_hdf5(path, qty="RATE")
    (frame,) = odim.read_frames(path)
    np.testing.assert_allclose(frame.load(), values, rtol=1e-6)
    assert_same_place(frame, metadata)
    (other,) = importers.read_frames(path, kind="odim_hdf5")
    np.testing.assert_allclose(other.load(), frame.load(), rtol=1e-6)
    assert other.grid.differs(frame.grid) is None and other.time == frame.time


def test_conversions(pysteps: Any) -> None:
    rng = np.random.default_rng(1)
    rate, metadata = (
        rng.uniform(0.1, 100, (20, 30)),
        {"unit": "mm/h", "transform": None, "threshold": 0.1, "zerovalue": 0.0},
    )
    for a, b in ((200, 1.6), (223, 1.53), (316, 1.5)):
        dbz, told = pysteps.utils.conversion.to_reflectivity(rate, {**metadata, "accutime": 5.0}, zr_a=a, zr_b=b)
        np.testing.assert_allclose(reflectivity(rate, ZR(a, b)), dbz, rtol=1e-9)
        back = pysteps.utils.conversion.to_rainrate(dbz, {**told, "threshold": -50.0}, zr_a=a, zr_b=b)[0]
        np.testing.assert_allclose(rain_rate(dbz, ZR(a, b)), back, rtol=1e-9)
    rate[::2] *= 0.01
    decibel, told = pysteps.utils.transformation.dB_transform(rate, threshold=0.1, zerovalue=-15.0)
    np.testing.assert_allclose(to_decibel(rate), decibel, rtol=1e-9)
    back = pysteps.utils.transformation.dB_transform(decibel, told, inverse=True)[0]
    np.testing.assert_allclose(from_decibel(decibel), back, rtol=1e-9)
