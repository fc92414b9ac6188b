"""Files as users do not want them: small files of many formats, and ways to damage them."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyogrio.raw
import rasterio
import rasterio.shutil
import shapely
import xarray as xr
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.vrt import WarpedVRT

__all__ = ("Specimen", "crafted", "mutate", "specimens")

_TRANSFORM = Affine(10, 0, 500_000, 0, -10, 5_000_000)
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 64, 255, 256, 32767, 32768, 65535, 0x7FFFFFFF, 0x80000000,
             0xFFFFFFFE, 0xFFFFFFFF)  # fmt: skip
_REALS = (0.0, -0.0, 1e-320, 1e308, -1e308, float("nan"), float("inf"), float("-inf"), 1.0, -1.0)
_COMPRESSIONS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34661, 34712, 34887, 34925, 50000, 50001, 50002, 65535)


@dataclass(frozen=True)
class Specimen:
    """One scene or label file, with what lies beside it, as bytes."""

    label: str
    entry: str
    """The file that is opened."""
    files: dict[str, bytes]
    """By name, relative to a folder."""

    def write(self, folder: Path) -> Path:
        """Writes all files into `folder`; returns the one to open."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / self.entry


def mutate(specimen: Specimen, random: Random) -> Specimen:
    """Damages one of a specimen's files, in one to three ways."""
    name = random.choice(sorted(specimen.files))
    content, labels = specimen.files[name], []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        ways = _WAYS
        if content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            ways = _WAYS + _TIFF_WAYS * 6
        elif content[:1] in b"<{[" and len(content) < 1 << 16:
            ways = _WAYS + _TEXT_WAYS * 4
        way = random.choice(ways)
        content = way(content, random)
        labels.append(way.__name__.strip("_"))
    label = f"{specimen.label}: {'+'.join(labels)}" + (f" in {name}" if name != specimen.entry else "")
    return replace(specimen, label=label, files={**specimen.files, name: content})


def _truncated(content: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content) + 1)]


def _truncated_early(content: bytes, random: Random) -> bytes:
    return content[: random.choice((0, 1, 2, 4, 7, 8, 9, 10, 16, 100, 512, 1024, random.randrange(2048)))]


def _without_end(content: bytes, random: Random) -> bytes:
    return content[: -random.choice((1, 2, 8, 64, 1000))]


def _header_bytes(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        if changed:
            changed[random.randrange(min(len(changed), 1024))] = random.choice(
                (0, 1, 127, 128, 255, random.randrange(256))
            )
    return bytes(changed)


def _any_bits(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice((1, 4, 64))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _hole(content: bytes, random: Random) -> bytes:
    start = random.randrange(len(content) + 1)
    length = min(random.choice((4, 64, 1024, 65536)), len(content) - start)
    filling = random.choice((b"\0", b"\xff"))
    return content[:start] + filling * length + content[start + length :]


def _cut_out(content: bytes, random: Random) -> bytes:
    start = random.randrange(len(content) + 1)
    return content[:start] + content[start + random.choice((1, 2, 8, 100, 4096)) :]


def _inserted(content: bytes, random: Random) -> bytes:
    start = random.randrange(len(content) + 1)
    return content[:start] + random.randbytes(random.choice((1, 2, 8, 100))) + content[start:]


def _repeated(content: bytes, random: Random) -> bytes:
    start = random.randrange(len(content) + 1)
    piece = content[start : start + random.choice((8, 512, 65536))]
    return content[:start] + piece * 2 + content[start + len(piece) :]


_WAYS: tuple[Callable[[bytes, Random], bytes], ...] = (
    _truncated, _truncated_early, _without_end, _header_bytes, _header_bytes, _any_bits, _hole, _cut_out, _inserted, _repeated,
)  # fmt: skip


@dataclass(frozen=True)
class _Entry:
    """One entry of a TIFF directory."""

    position: int
    tag: int
    kind: int
    count: int
    values: int
    """Where its values begin."""


@dataclass(frozen=True)
class _Tiff:
    order: str
    big: bool
    entries: list[_Entry]
    directories: list[int]
    links: list[int]
    """Where the offset of each next directory is written."""

    @classmethod
    def parse(cls, content: bytes) -> _Tiff:
        order = "<" if content[:2] == b"II" else ">"
        big = content[2:3] == b"+" or content[3:4] == b"+"
        word, size, head = ("Q", 20, 8) if big else ("I", 12, 2)
        tiff = cls(order, big, [], [], [8 if big else 4])
        try:
            while len(tiff.directories) < 20:
                (start,) = struct.unpack_from(order + word, content, tiff.links[-1])
                if not start or start in tiff.directories:
                    break
                (count,) = struct.unpack_from(order + ("Q" if big else "H"), content, start)
                tiff.directories.append(start)
                for position in range(start + head, start + head + size * min(count, 100), size):
                    tag, kind, number = struct.unpack_from(f"{order}HH{word}", content, position)
                    inline = _TYPE_SIZES.get(kind, 1) * number <= (8 if big else 4)
                    field = position + (12 if big else 8)
                    where = field if inline else struct.unpack_from(order + word, content, field)[0]
                    tiff.entries.append(_Entry(position, tag, kind, number, where))
                tiff.links.append(start + head + size * count)
        except (struct.error, OverflowError):
            pass
        return tiff

    def value(self, content: bytearray, entry: _Entry, value: float, position: int = 0) -> None:
        letter = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 16: "Q", 17: "q"}.get(
            entry.kind, "B"
        )
        size = struct.calcsize(letter)
        place = entry.values + position * size
        if place + size > len(content):
            return
        if letter in "fd":
            with np.errstate(all="ignore"):
                number: Any = np.array(value, np.float32 if letter == "f" else np.float64)
            content[place : place + size] = number.astype(number.dtype.newbyteorder(self.order)).tobytes()
        else:
            content[place : place + size] = (int(value) % (1 << 8 * size)).to_bytes(
                size, "little" if self.order == "<" else "big"
            )


def _tag_value(content: bytes, random: Random) -> bytes:
    """Another value for a tag, the same in all its places or in one."""
    tiff = _Tiff.parse(content)
    if not tiff.entries:
        return content
    entry = random.choice(tiff.entries)
    changed = bytearray(content)
    if entry.kind in (11, 12):
        value = random.choice(_REALS)
    elif entry.tag == 259:
        value = random.choice(_COMPRESSIONS)
    else:
        value = random.choice((*_INTEGERS, len(content) - 1, len(content) + 1, *tiff.directories))
    places = (
        range(min(entry.count, 4096)) if random.random() < 0.6 else [random.randrange(max(min(entry.count, 4096), 1))]
    )
    for position in places:
        tiff.value(changed, entry, value, position)
    return bytes(changed)


def _size_tags(content: bytes, random: Random) -> bytes:
    """Absurd width, height, tile size, rows per strip, bits or number of samples."""
    tiff = _Tiff.parse(content)
    changed = bytearray(content)
    for entry in tiff.entries:
        if entry.tag in (256, 257, 258, 277, 278, 322, 323) and random.random() < 0.5:
            value = random.choice(_INTEGERS)
            for position in range(min(entry.count, 64)):
                tiff.value(changed, entry, value, position)
    return bytes(changed)


def _tag_kind(content: bytes, random: Random) -> bytes:
    """Another number, type or count in an entry, so that its content means something else."""
    tiff = _Tiff.parse(content)
    if not tiff.entries:
        return content
    entry, changed = random.choice(tiff.entries), bytearray(content)
    word = "Q" if tiff.big else "I"
    what = random.randrange(4)
    if what == 0:
        struct.pack_into(tiff.order + "H", changed, entry.position, random.choice((0, 255, 256, 320, 347, 65535)))
    elif what == 1:
        struct.pack_into(tiff.order + "H", changed, entry.position + 2, random.choice((0, *range(1, 19), 99, 65535)))
    elif what == 2:
        count = random.choice((0, 1, 2, entry.count * 2, 65535, 0x7FFFFFFF, 0xFFFFFFFF)) & 0xFFFFFFFF
        struct.pack_into(tiff.order + word, changed, entry.position + 4, count)
    else:
        place = entry.position + (12 if tiff.big else 8)
        where = random.choice((0, 8, len(content) - 1, len(content), 0xFFFFFFFF, *tiff.directories)) & 0xFFFFFFFF
        struct.pack_into(tiff.order + word, changed, place, where)
    return bytes(changed)


def _directory_link(content: bytes, random: Random) -> bytes:
    """Directories in a circle, elsewhere, or of absurdly many entries."""
    tiff = _Tiff.parse(content)
    changed = bytearray(content)
    word, count = ("Q", "Q") if tiff.big else ("I", "H")
    if random.random() < 0.7 or not tiff.directories:
        place = random.choice(tiff.links)
        where = random.choice((0, 1, 8, len(content) - 3, 0xFFFFFFFF, *tiff.directories))
        if place + struct.calcsize(word) <= len(changed):
            struct.pack_into(tiff.order + word, changed, place, where)
    else:
        struct.pack_into(
            tiff.order + count, changed, random.choice(tiff.directories), random.choice((0, 1, 500, 65535))
        )
    return bytes(changed)


def _tag_bytes(content: bytes, random: Random) -> bytes:
    """Random bytes where a tag's values are: JPEG tables, geo keys, metadata, nodata."""
    tiff = _Tiff.parse(content)
    long = [entry for entry in tiff.entries if entry.count * _TYPE_SIZES.get(entry.kind, 1) > 8]
    if not long:
        return content
    entry = random.choice(long)
    size = min(entry.count * _TYPE_SIZES.get(entry.kind, 1), 4096)
    changed = bytearray(content)
    for _ in range(random.choice((1, 2, 8))):
        place = entry.values + random.randrange(size)
        if place < len(changed):
            changed[place] = random.randrange(256)
    return bytes(changed)


_TIFF_WAYS: tuple[Callable[[bytes, Random], bytes], ...] = (
    _tag_value, _tag_value, _size_tags, _tag_kind, _directory_link, _tag_bytes,
)  # fmt: skip


def _number_in_text(content: bytes, random: Random) -> bytes:
    numbers = list(re.finditer(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", content))
    if not numbers:
        return content
    found = random.choice(numbers)
    other = random.choice(
        ("0", "-1", "nan", "inf", "1e999", "2147483647", "4294967296", "99999999999", "", "x", "1e-320")
    )
    return content[: found.start()] + other.encode() + content[found.end() :]


def _word_in_text(content: bytes, random: Random) -> bytes:
    words = list(re.finditer(rb"[A-Za-z_:.]{3,}", content))
    if len(words) < 2:
        return content
    found, other = random.sample(words, 2)
    return content[: found.start()] + other.group() + content[found.end() :]


_TEXT_WAYS: tuple[Callable[[bytes, Random], bytes], ...] = (_number_in_text, _number_in_text, _word_in_text)


def _geotiff(folder: Path, name: str, values: np.ndarray, *, mask: bool = False, **profile: Any) -> Path:
    path = folder / name
    count, height, width = values.shape
    usual = {"driver": "GTiff", "dtype": values.dtype.name, "crs": "EPSG:32633", "transform": _TRANSFORM}
    colours = profile.pop("colours", None)
    profile = {**usual, "count": count, "height": height, "width": width, **profile}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile) as dataset:
        dataset.write(values)
        if mask:
            dataset.write_mask((np.indices((height, width)).sum(axis=0) % 5 > 0).astype(np.uint8) * 255)
        if colours:
            dataset.colorinterp = colours
        if count == 2:
            dataset.descriptions, dataset.units = ("VV", "VH"), ("dB", "dB")
            dataset.scales, dataset.offsets = (0.5, 0.5), (-3.0, 0.0)
        if dataset.dtypes[0] == "uint8" and count == 1:
            dataset.update_tags(1, class_1="water", class_2="land")
    return path


def specimens(folder: Path) -> list[Specimen]:
    """Writes small whole files of every format that is read, with other libraries' writers."""
    random = np.random.default_rng(5)
    dB = random.integers(1, 60, (2, 37, 45)).astype(np.uint16)
    rgb = np.kron(random.integers(0, 255, (3, 4, 5)), np.ones((10, 10))).astype(np.uint8)
    classes = np.kron(random.integers(0, 4, (1, 5, 6)), np.ones((8, 8))).astype(np.uint8)
    tiled: dict[str, Any] = {"tiled": True, "blockxsize": 16, "blockysize": 16}
    red_green_blue = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    paths = [
        _geotiff(folder, "deflate.tif", dB, compress="deflate", predictor=2, nodata=7, **tiled),
        _geotiff(folder, "lzw_strips.tif", dB / np.float32(7), compress="lzw", predictor=3, nodata=np.nan),
        _geotiff(folder, "plain.tif", dB.astype(np.int16), interleave="band"),
        _geotiff(folder, "big.tif", dB, bigtiff="YES", compress="zstd", **tiled),
        _geotiff(folder, "motorola.tif", dB, endianness="BIG"),
        _geotiff(folder, "jpeg.tif", rgb, compress="jpeg", photometric="ycbcr", mask=True, **tiled),
        _geotiff(folder, "webp.tif", rgb, compress="webp", **tiled),
        _geotiff(folder, "lerc.tif", dB.astype(np.float32), compress="lerc", **tiled),
        _geotiff(folder, "packbits.tif", classes, compress="packbits", nodata=0),
        _geotiff(folder, "bits.tif", classes, nbits=2),
        _geotiff(folder, "alpha.tif", np.concatenate([rgb, rgb[:1]]), colours=(*red_green_blue, ColorInterp.alpha), **tiled),
        _geotiff(folder, "palette.tif", classes, photometric="palette"),
        _geotiff(folder, "cog.tif", np.tile(dB, (1, 16, 16)), driver="COG", compress="deflate", blocksize=128),
        _geotiff(folder, "image.png", rgb, driver="PNG"),
        _geotiff(folder, "image.jpg", rgb, driver="JPEG"),
        _geotiff(folder, "image.jp2", dB, driver="JP2OpenJPEG"),
        _geotiff(folder, "classes.png", classes, driver="PNG"),
    ]  # fmt: skip
    found = [Specimen(path.name, path.name, _with_sidecars(path)) for path in paths]
    names = "".join(f"<Category>{name}</Category>" for name in ("none", "water", "land", "sand"))
    sidecar = f"<PAMDataset><PAMRasterBand band='1'><CategoryNames>{names}</CategoryNames></PAMRasterBand></PAMDataset>"
    found.append(
        Specimen(
            "categories", "classes.tif", {"classes.tif": paths[8].read_bytes(), "classes.tif.aux.xml": sidecar.encode()}
        )
    )
    source = found[0]
    with rasterio.open(paths[0]) as dataset, WarpedVRT(dataset, crs="EPSG:4326") as warped:
        rasterio.shutil.copy(warped, folder / "warped.vrt", driver="VRT")
    rasterio.shutil.copy(paths[0], folder / "plain.vrt", driver="VRT")
    for name in ("plain.vrt", "warped.vrt"):
        text = (
            (folder / name)
            .read_text()
            .replace(str(paths[0]), paths[0].name)
            .replace('relativeToVRT="0"', 'relativeToVRT="1"')
        )
        found.append(Specimen(name, name, {name: text.encode(), source.entry: source.files[source.entry]}))
    return [*found, *_cubes(folder), *_polygons(folder)]


def _with_sidecars(path: Path) -> dict[str, bytes]:
    return {beside.name: beside.read_bytes() for beside in path.parent.glob(f"{path.name}*")}


def _cubes(folder: Path) -> Iterator[Specimen]:
    x, y = 500_005 + 10.0 * np.arange(9), 4_999_995 - 10.0 * np.arange(7)
    values = np.arange(63, dtype=np.float32).reshape(7, 9)
    cube = xr.Dataset({"VV": (("y", "x"), values), "VH": (("y", "x"), values * 2)}, {"x": x, "y": y})
    cube["spatial_ref"] = ((), 0, {"crs_wkt": rasterio.CRS.from_epsg(32633).to_wkt()})
    for name, engine in (("cube.nc", "h5netcdf"), ("classic.nc", "scipy")):
        cube.to_netcdf(folder / name, engine=engine)
        yield Specimen(name, name, {name: (folder / name).read_bytes()})
    for version in (2, 3):
        stored = folder / f"cube{version}.zarr"
        cube.to_zarr(stored, zarr_format=version, consolidated=version == 2)
        files = {str(path.relative_to(folder)): path.read_bytes() for path in stored.rglob("*") if path.is_file()}
        yield Specimen(stored.name, stored.name, files)


def _polygons(folder: Path) -> Iterator[Specimen]:
    shapes = shapely.to_wkb(
        np.array([shapely.box(500_000 + 90 * k, 4_999_700, 500_080 + 90 * k, 4_999_990) for k in range(4)])
    )
    columns = [np.array(["water", "land", "water", "sand"], object), np.array([1, 2, 1, 3])]
    for name, driver in (
        ("fields.gpkg", "GPKG"), ("fields.geojson", "GeoJSON"), ("fields.shp", "ESRI Shapefile"), ("fields.fgb", "FlatGeobuf"),
    ):  # fmt: skip
        pyogrio.raw.write(
            folder / name, shapes, columns, ["class", "code"], geometry_type="Polygon", crs="EPSG:32633", driver=driver
        )
        beside = sorted(folder.glob("fields.*")) if driver == "ESRI Shapefile" else [folder / name]
        kept = {path.name: path.read_bytes() for path in beside if path.suffix in (name[6:], ".shx", ".dbf", ".prj")}
        yield Specimen(name, name, kept)


def crafted() -> Iterator[Specimen]:
    """Files made by hand, each with one thing that is wrong in a way that chance does not find."""
    raw = {"a.raw": bytes(range(48))}
    for name, changes in _ODD_VRTS.items():
        yield _one(f"{name}.vrt", _vrt(**changes), **raw)
    bomb = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + k)} "{f"&{chr(97 + k)};" * 10}">' for k in range(12)
    )
    yield _one("bomb.vrt", f"{bomb}]>{_vrt(extra='<Description>&m;</Description>')}", **raw)
    category = "<PAMRasterBand band='1'><CategoryNames><Category>&m;</Category></CategoryNames></PAMRasterBand>"
    sidecars = {"bomb": f"{bomb}]><PAMDataset>{category}</PAMDataset>", "garbage": "<PAMDataset", "empty": ""}
    for encoding in ("utf-32", "unheard-of", "idna"):
        sidecars[encoding] = f"<?xml version='1.0' encoding='{encoding}'?><PAMDataset/>"
    for name, text in sidecars.items():
        yield _one(f"beside_{name}.vrt", _vrt(), **raw, **{f"beside_{name}.vrt.aux.xml": text.encode()})
    yield _one("deep.vrt", "<VRTDataset>" + "<a>" * 200_000)
    yield _one("deep.geojson", '{"type":' + "[" * 200_000)
    yield _one("not.json", '{"a": 1}')
    yield _one("not.xml", "<a><b/></a>")
    yield _one("text.tif", "hello " * 100)
    yield _one("gzip.tif", "\x1f\x8b\x08\0\0\0")
    yield Specimen("folder.tif", "folder.tif", {"folder.tif/x": b""})
    for name, shape in _ODD_SHAPES.items():
        feature = {"type": "Feature", "properties": {"class": "a"}, "geometry": shape}
        yield _one(f"{name}.geojson", json.dumps({"type": "FeatureCollection", "features": [feature]}))


def _one(name: str, text: str, **beside: bytes) -> Specimen:
    return Specimen(name, name, {name: text.encode(), **beside})


def _vrt(
    *,
    size: str = 'rasterXSize="8" rasterYSize="6"',
    transform: str = "500000, 10, 0, 5000000, 0, -10",
    crs: str = "EPSG:32633",
    dtype: str = "Byte",
    source: str = "",
    band: str = "",
    extra: str = "",
    raw: str = '<SourceFilename relativetoVRT="1">a.raw</SourceFilename><PixelOffset>1</PixelOffset><LineOffset>8</LineOffset>',
) -> str:
    inside = f'dataType="{dtype}" band="1">{band}<SimpleSource>{source}<SourceBand>1</SourceBand></SimpleSource>'
    if not source:
        inside = f'dataType="{dtype}" band="1" subClass="VRTRawRasterBand">{band}{raw}'
    srs = f"<SRS>{crs}</SRS>" if crs else ""
    return (
        f"<VRTDataset {size}>{srs}<GeoTransform>{transform}</GeoTransform>{extra}"
        f"<VRTRasterBand {inside}</VRTRasterBand></VRTDataset>"
    )


def _from(name: str, *, relative: bool = True) -> str:
    return f'<SourceFilename relativeToVRT="{int(relative)}">{name}</SourceFilename>'


_HUGE = 'rasterXSize="2147483647" rasterYSize="2147483647"'
_DEVICE = _from("/dev/zero", relative=False)
_MASK = (
    "<MaskBand><VRTRasterBand dataType='Byte'><SimpleSource>"
    f"{_from('masked_by_itself.vrt')}<SourceBand>mask,1</SourceBand></SimpleSource></VRTRasterBand></MaskBand>"
)
_PYTHON = "<PixelFunctionType>f</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage>"
_POINTS = "<GCPList Projection='EPSG:4326'><GCP Id='' Pixel='nan' Line='0' X='0' Y='0'/></GCPList>"
_COLOURS = "<ColorTable><Entry c1='-1' c2='999' c3='x' c4='0'/></ColorTable>"
_ODD_VRTS: dict[str, dict[str, str]] = {
    "itself": {"source": _from("itself.vrt")},
    "missing": {"source": _from("gone.tif")},
    "remote": {"source": _from("/vsicurl/http://127.0.0.1:9/a.tif", relative=False)},
    "archive": {"source": _from("/vsizip//nowhere.zip/a.tif", relative=False)},
    "huge": {"size": _HUGE, "source": _from("gone.tif")},
    "huge_raw": {"size": _HUGE},
    "huge_without_source": {"size": _HUGE, "raw": "", "source": " "},
    "wide": {"size": 'rasterXSize="2147483647" rasterYSize="1"'},
    "tall": {"size": 'rasterXSize="1" rasterYSize="2147483647"'},
    "sizeless": {"size": 'rasterXSize="0" rasterYSize="0"'},
    "negative": {"size": 'rasterXSize="-5" rasterYSize="3"'},
    "bandless": {"extra": "</VRTDataset><!--"},
    "nan_transform": {"transform": "nan, nan, nan, nan, nan, nan"},
    "infinite_transform": {"transform": "inf, 10, 0, -inf, 0, 10"},
    "flat_transform": {"transform": "500000, 0, 0, 5000000, 0, 0"},
    "collapsed_transform": {"transform": "500000, 10, 10, 5000000, 10, 10"},
    "tiny_transform": {"transform": "500000, 1e-300, 0, 5000000, 0, -1e-300"},
    "vast_transform": {"transform": "500000, 1e300, 0, 5000000, 0, -1e300"},
    "far_degrees": {"transform": "1e9, 10, 0, -1e9, 0, 10", "crs": "EPSG:4326"},
    "vast_degrees": {"transform": "-180, 1e7, 0, 90, 0, -1e7", "crs": "EPSG:4326"},
    "nan_degrees": {"transform": "nan, 1, 0, 0, 0, nan", "crs": "EPSG:4326"},
    "flat_degrees": {"transform": "0, 0, 0, 0, 0, 0", "crs": "EPSG:4326"},
    "bad_crs": {"crs": "GEOGCS[garbage"},
    "no_crs": {"crs": ""},
    "local_crs": {"crs": 'LOCAL_CS["x",UNIT["metre",0]]'},
    "vertical_crs": {"crs": "EPSG:5773"},
    "geocentric_crs": {"crs": "EPSG:4978"},
    "nan_scale": {"band": "<Scale>nan</Scale><Offset>inf</Offset>"},
    "zero_scale": {"band": "<Scale>0</Scale>"},
    "vast_scale": {"band": "<Scale>1e308</Scale><Offset>-1e308</Offset>", "dtype": "Float64"},
    "odd_nodata": {"band": "<NoDataValue>1e400</NoDataValue>"},
    "text_nodata": {"band": "<NoDataValue>hello</NoDataValue>"},
    "unknown_dtype": {"dtype": "Byte7"},
    "complex": {"dtype": "CFloat32"},
    "int64": {"dtype": "Int64"},
    "device": {"raw": f"{_DEVICE}<PixelOffset>1</PixelOffset><LineOffset>8</LineOffset>"},
    "before": {"raw": f"{_from('a.raw')}<ImageOffset>-9</ImageOffset><LineOffset>-8</LineOffset>"},
    "beyond": {
        "raw": f"{_from('a.raw')}<PixelOffset>2147483647</PixelOffset><LineOffset>9223372036854775807</LineOffset>"
    },
    "python": {"band": _PYTHON, "source": _from("a.raw")},
    "unit": {"band": "<UnitType>&#0;&#xffff;</UnitType><Description>\N{SNOWMAN}\n</Description>"},
    "masked_by_itself": {"extra": _MASK},
    "overview_of_itself": {"band": f"<Overview>{_from('overview_of_itself.vrt')}<SourceBand>1</SourceBand></Overview>"},
    "points": {"extra": _POINTS, "transform": ""},
    "palette": {"band": "<ColorInterp>Palette</ColorInterp>"},
    "palette_of_one": {"band": f"<ColorInterp>Palette</ColorInterp>{_COLOURS}"},
    "transparency_only": {"band": "<ColorInterp>Alpha</ColorInterp>"},
    "categories": {"band": "<CategoryNames><Category>a</Category><Category>a</Category></CategoryNames>"},
}
_SQUARE = ((-1e308, -1e308), (1e308, -1e308), (1e308, 1e308), (-1e308, -1e308))
_ODD_SHAPES: dict[str, dict[str, Any]] = {
    "no_ring": {"type": "Polygon", "coordinates": []},
    "flat": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]},
    "open": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
    "bow": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]},
    "vast": {"type": "Polygon", "coordinates": [_SQUARE]},
    "words": {"type": "Polygon", "coordinates": [[["a", 0], [1, 1], [1, 0], ["a", 0]]]},
    "point": {"type": "Point", "coordinates": [0, 0]},
    "nothing": {"type": "GeometryCollection", "geometries": []},
    "blob": {"type": "Blob", "coordinates": [0]},
}
