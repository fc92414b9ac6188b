"""Files that pysteps reads: a stand-in for its importers, so that values, places and refusals are known in advance."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from affine import Affine

from geodl.data.radar import importers
from geodl.data.radar.importers import read_frames
from geodl.data.radar.kinds import Kind, find_kind
from geodl.errors import BackendUnavailable, GridMismatch, OptionError, SourceUnreadable
from geodl.physics.rain import ZR, Quantity

SWISS = "+proj=somerc +lon_0=7.43958333 +lat_0=46.95240556 +k_0=1 +x_0=600000 +y_0=200000 +ellps=bessel +units=m"
METADATA: dict[str, Any] = {
    "projection": SWISS, "x1": 500e3, "y1": 100e3, "x2": 504e3, "y2": 103e3, "cartesian_unit": "m", "yorigin": "upper",
    "unit": "mm", "accutime": 5.0, "transform": None, "zr_a": 316.0, "zr_b": 1.5,
}  # fmt: skip
Reader = Callable[..., tuple[np.ndarray, None, dict[str, Any]]]


@pytest.fixture
def pysteps(monkeypatch: pytest.MonkeyPatch) -> dict[str, Reader]:
    """Importers by name; a test puts in its own."""
    known: dict[str, Reader] = {}

    class MissingOptionalDependency(Exception):
        pass

    def get_method(name: str, kind: str) -> Reader:
        assert kind == "importer"
        if name not in known:
            raise ValueError(f"Unknown importer method {name}")
        return known[name]

    package, io, interface, exceptions = (
        ModuleType(name) for name in ("pysteps", "pysteps.io", "pysteps.io.interface", "pysteps.exceptions")
    )
    interface.get_method = get_method  # type: ignore[attr-defined]
    exceptions.MissingOptionalDependency = MissingOptionalDependency  # type: ignore[attr-defined]
    for module in (package, io, interface, exceptions):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(importers, "_LAYOUTS", {})
    return known


def reader(values: Any, calls: list[tuple[str, dict[str, Any]]] | None = None, **changes: Any) -> Reader:
    def read(path: str, **options: Any) -> tuple[np.ndarray, None, dict[str, Any]]:
        if calls is not None:
            calls.append((path, options))
        return np.array(values, float), None, {**METADATA, **changes}

    return read


VALUES = [[0, 0.5, 1, np.nan], [0, 0, 0, 0], [2, 2, 2, 2]]


def test_swiss_images(pysteps: dict[str, Reader], tmp_path: Path) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []
    pysteps["mch_gif"] = reader(VALUES, calls)
    path = str(tmp_path / "AQC151351545F_00005.801.gif")
    (frame,) = read_frames(path)
    # 15 135 1545: day 135 of 2015 is the 15th of May.
    assert frame.time == np.datetime64("2015-05-15T15:45", "ns") and frame.quantity.minutes == 5
    assert frame.grid.shape == (3, 4) and frame.grid.unit == "metre"
    assert frame.grid.transform.almost_equals(Affine(1000, 0, 500e3, 0, -1000, 103e3))
    np.testing.assert_allclose(frame.load(), np.array(VALUES) * 12)
    assert frame.load().dtype == np.float32
    assert calls[0] == (path, {"unit": "mm", "product": "AQC", "accutime": 5.0})
    assert pickle.loads(pickle.dumps(frame.load)) == frame.load


def test_a_listing_decodes_the_first_file_alone(pysteps: dict[str, Reader], tmp_path: Path) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []
    pysteps["mch_gif"] = reader(VALUES, calls)
    names = [f"AQC15135{hour:02}00F_00005.801.gif" for hour in range(6)]
    frames = [frame for name in names for frame in read_frames(str(tmp_path / name))]
    assert len(calls) == 1 and [frame.time.astype("datetime64[h]").item().hour for frame in frames] == [*range(6)]
    pysteps["mch_gif"] = reader([row[:3] for row in VALUES], x2=503e3)
    with pytest.raises(GridMismatch, match=r"0300F.*not on the grid of .*0000F.*size.*\(3, 4\).*\(3, 3\)"):
        frames[3].load()
    pysteps["mch_gif"] = reader(VALUES, x1=501e3, x2=505e3)
    with pytest.raises(GridMismatch, match="transform"):
        frames[3].load()


@pytest.mark.parametrize(
    ("name", "importer", "options", "time"),
    [
        ("CPC1513515450_00060.801.gif", "mch_gif", {"product": "CPC", "unit": "mm", "accutime": 60.0}, "2015-05-15T15:45"),
        ("RZC151351545VL_00005.801.gif", "mch_gif", {"product": "RZC", "unit": "mm/h", "accutime": 5.0}, "2015-05-15T15:45"),
        ("201609281600_fmi.radar.lowest_FIN.pgm.gz", "fmi_pgm", {"gzipped": True}, "2016-09-28T16:00"),
        ("201609281600_fmi.radar.lowest_FIN.pgm", "fmi_pgm", {"gzipped": False}, "2016-09-28T16:00"),
        ("PrecipRate_00.00_20190610-000200.grib2", "mrms_grib", {"window_size": 1}, "2019-06-10T00:02"),
        ("raa01-rw_10000-2405312350-dwd---bin", "dwd_radolan", {"product_name": "RW"}, "2024-05-31T23:50"),
    ],
)  # fmt: skip
def test_kinds_are_known_by_their_names(
    pysteps: dict[str, Reader], name: str, importer: str, options: dict[str, Any], time: str
) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []
    pysteps[importer] = reader(VALUES, calls)
    (frame,) = read_frames(name)
    assert calls[0][1] == options and frame.time == np.datetime64(time)


@pytest.mark.parametrize("name", ["scene.tif", "a.gif", "AQC15135_00005.801.gif", "notes.txt", "a.h5"])
def test_other_names_are_no_kind(name: str) -> None:
    assert find_kind(name) is None
    with pytest.raises(SourceUnreadable, match="no known kind"):
        read_frames(name)


def test_reflectivity_without_an_echo_is_no_rain(pysteps: dict[str, Reader]) -> None:
    dbz = np.array([[-32, -32.5, 0, 10 * np.log10(223)], [np.nan] * 4, [30] * 4])
    pysteps["fmi_pgm"] = reader(dbz, unit="dBZ", transform="dB", zr_a=223.0, zr_b=1.53)
    (frame,) = read_frames("201609281600.pgm")
    assert frame.quantity == Quantity("dBZ", zr=ZR(223, 1.53))
    np.testing.assert_allclose(frame.load()[0], [0, 0, (1 / 223) ** (1 / 1.53), 1], rtol=1e-5)
    assert np.isnan(frame.load()[1]).all()
    (frame,) = read_frames("201609281600.pgm", zr=ZR(300, 1.4))
    assert frame.load()[2, 0] == pytest.approx((1000 / 300) ** (1 / 1.4))


def test_other_importers_by_name(pysteps: dict[str, Reader]) -> None:
    pysteps["saf_crri"] = reader(VALUES, unit="mm/h", accutime=None)
    (frame,) = read_frames("S_NWC_CRR_MSG4_Europe-VISIR_20180601T070000Z.nc", kind="saf_crri")
    assert frame.time == np.datetime64("2018-06-01T07:00") and frame.quantity.unit == "mm/h"
    pysteps["mine"] = reader(VALUES, unit=None, accutime=None)
    mine = Kind("mine", r"(?P<station>\w+)-(?P<time>\d+)\.dat", time="%d%m%y%H", unit="mm", minutes=30)
    (frame,) = read_frames("west-01061807.dat", kind=mine)
    assert frame.time == np.datetime64("2018-06-01T07:00") and frame.load()[2, 0] == 4
    with pytest.raises(OptionError, match="importer: expected one of pysteps' importers"):
        read_frames("201609281600.dat", kind="unheard_of")
    with pytest.raises(SourceUnreadable, match="its name is not that of mine files"):
        read_frames("201609281600.dat", kind=mine)


def test_a_grid_in_kilometres_with_its_origin_below(pysteps: dict[str, Reader]) -> None:
    stereographic = "+proj=stere +lat_0=90 +lon_0=0.0 +lat_ts=60.0 +a=6378.137 +b=6356.752"
    place = {"projection": stereographic, "x1": 0.0, "y1": -4415.0, "x2": 4.0, "y2": -4412.0}
    pysteps["knmi_hdf5"] = reader(VALUES, cartesian_unit="km", yorigin="lower", **place)
    (frame,) = read_frames("RAP_201008260000.h5", kind="knmi_hdf5")
    assert frame.grid.transform.almost_equals(Affine(1000, 0, 0, 0, -1000, -4412e3))
    assert frame.grid.crs is not None and frame.grid.crs.ellipsoid.semi_major_metre == 6378137
    np.testing.assert_allclose(frame.load(), np.array(VALUES)[::-1] * 12)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"x1": None}, "where its pixels lie"),
        ({"cartesian_unit": "miles"}, "where its pixels lie"),
        ({"projection": "+proj=nothing"}, "projection .* not understood"),
        ({"unit": None}, "what its values are is not clear .*no unit"),
        ({"accutime": None}, "what its values are is not clear .*minutes"),
        ({"transform": "log"}, r"transformed \(log of mm\)"),
    ],
    ids=["corner", "miles", "projection", "unit", "minutes", "transform"],
)
def test_what_the_importer_does_not_say_is_said(pysteps: dict[str, Reader], changes: dict[str, Any], told: str) -> None:
    pysteps["fmi_pgm"] = reader(VALUES, **changes)
    with pytest.raises(SourceUnreadable, match=told):
        read_frames("201609281600.pgm")


@pytest.mark.parametrize(
    "error", [OSError("image file is truncated"), EOFError(), KeyError("type")], ids=lambda e: type(e).__name__
)
def test_damage_is_told_with_the_file(pysteps: dict[str, Reader], tmp_path: Path, error: Exception) -> None:
    def damaged(path: str, **options: Any) -> Any:
        raise error

    path = tmp_path / "201609281600.pgm"
    path.write_bytes(b"P5")
    pysteps["fmi_pgm"] = damaged
    with pytest.raises(SourceUnreadable, match=r"201609281600\.pgm: it is damaged, or no file of fmi_pgm"):
        read_frames(str(path))
    path.unlink()
    with pytest.raises(SourceUnreadable, match="no such file"):
        read_frames(str(path))


@pytest.mark.parametrize("name", ["a.pgm", "209913991260.pgm"])
def test_a_name_without_a_time_is_refused(pysteps: dict[str, Reader], name: str) -> None:
    with pytest.raises(SourceUnreadable, match="does not state its time"):
        read_frames(name)


def test_without_pysteps_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pysteps", "pysteps.io", "pysteps.io.interface"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendUnavailable, match=r"201609281600\.pgm: fmi_pgm.*pip install 'geodl\[nowcasting\]'"):
        read_frames("201609281600.pgm")


def test_what_an_importer_needs_is_said(pysteps: dict[str, Reader]) -> None:
    missing = sys.modules["pysteps.exceptions"].MissingOptionalDependency

    def lacking(path: str, **options: Any) -> Any:
        raise missing("pygrib package is required to import NCEP's MRMS products but it is not installed")

    pysteps["mrms_grib"] = lacking
    with pytest.raises(BackendUnavailable, match="pygrib package is required"):
        read_frames("PrecipRate_00.00_20190610-000200.grib2")
