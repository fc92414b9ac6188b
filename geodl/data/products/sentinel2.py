"""Sentinel-2 products (Level-1C and Level-2A) in ESA's SAFE folders."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path
from xml.etree import ElementTree

from geodl.data.asset import Asset
from geodl.data.products.scene import Product
from geodl.errors import SourceUnreadable

__all__ = ("find_sentinel2", "read_sentinel2")

_METADATA = re.compile(r"MTD_MSI(L1C|L2A)\.xml")
_IMAGE = re.compile(r"_(B\d\d|B8A|SCL)(?:_(10|20|60)m)?\.(?:jp2|tiff?)", re.IGNORECASE)
_SIZES = {
    "B01": 60, "B02": 10, "B03": 10, "B04": 10, "B05": 20, "B06": 20, "B07": 20, "B08": 10, "B8A": 20, "B09": 60,
    "B10": 60, "B11": 20, "B12": 20, "SCL": 20,
}  # fmt: skip
"""Bands with their native pixel size in metres; the spectral ones in the order of the metadata's band ids, from 0."""
_SPECTRAL = [band for band in _SIZES if band != "SCL"]
_QUANTIFICATION = {
    "Level-1C": ("QUANTIFICATION_VALUE",),
    "Level-2A": ("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE"),
}
_OFFSET = {"Level-1C": "RADIO_ADD_OFFSET", "Level-2A": "BOA_ADD_OFFSET"}


def find_sentinel2(path: str) -> str | None:
    """Returns the metadata file of the product that `path` means, by names only; None: it is none.

    Args:
        path: the `.SAFE` folder, a folder with nothing but one such folder among its products, or the metadata file.
    """
    if _METADATA.fullmatch(os.path.basename(path)):
        return path
    for pattern in ("MTD_MSIL??.xml", "*.SAFE/MTD_MSIL??.xml"):
        found = [file for file in glob.glob(os.path.join(glob.escape(path), pattern)) if find_sentinel2(file)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def read_sentinel2(metadata: str) -> Product:
    """Reads a product's metadata and finds its files.

    Reflectance is (stored + offset) / quantification value, both as the metadata says for each band; metadata of
    processing baselines before 04.00 has no offsets. The special value NODATA (0) is nodata; SATURATED (65535) is kept
    as what it is, a very high reflectance. `SCL`, the scene classification of Level-2A, is there by name only.

    Each band is taken at its native resolution: 10 m (B02, B03, B04, B08), 20 m (B05, B06, B07, B8A, B11, B12, SCL) or
    60 m (B01, B09, B10); at the next where its file is missing. Where no bands are named, those of 10 m are taken
    (of the smallest pixel size that there is), or all spectral ones if they may be resampled.

    Args:
        metadata: path of `MTD_MSIL1C.xml` or `MTD_MSIL2A.xml`.

    Raises:
        SourceUnreadable: the metadata or all images are missing; it lacks a value, or declares a document type; there
            are several tiles.
    """
    root = _parse(metadata)
    folder = Path(metadata).resolve().parent
    level = next((level for level in _OFFSET if level in root.tag), "")
    if not level:
        raise SourceUnreadable(metadata, "it is no metadata of a Sentinel-2 Level-1C or Level-2A product")
    values = (root.findtext(f".//{tag}") for tag in _QUANTIFICATION[level])
    quantification = _number(next((text for text in values if text), None), "quantification value", metadata)
    if quantification <= 0:
        raise SourceUnreadable(metadata, f"its quantification value is {quantification:g}")
    offsets = {element.get("band_id"): element.text for element in root.iter(_OFFSET[level])}
    nodata = _special_values(root).get("NODATA")
    assets, sizes = {}, {}
    for band, (path, size) in _images(folder, metadata).items():
        sizes[band] = size
        if band == "SCL":
            assets[band] = Asset(path, unit="", scale=1.0, offset=0.0, nodata=0, bands=(band,), codes=True)
            continue
        text = offsets.get(str(_SPECTRAL.index(band))) if offsets else "0"
        offset = _number(text, f"{_OFFSET[level]} of {band}", metadata)
        assets[band] = Asset(
            path,
            unit="reflectance",
            scale=1 / quantification,
            offset=offset / quantification,
            nodata=None if nodata is None else _number(nodata, "special value NODATA", metadata),
            bands=(band,),
        )
    spectral = tuple(band for band in assets if band != "SCL")
    finest = min((sizes[band] for band in spectral), default=0)
    usual = tuple(band for band in spectral if sizes[band] == finest)
    return Product(folder.stem, assets, usual=usual, all=spectral, pixel_sizes=sizes)


class _NoDocumentType(ElementTree.TreeBuilder):
    """Entities, which may blow up or read files, can only be declared in a document type."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ElementTree.ParseError(f"it declares a document type ({name})")


def _parse(path: str) -> ElementTree.Element:
    try:
        return ElementTree.parse(path, ElementTree.XMLParser(target=_NoDocumentType())).getroot()
    except OSError as error:
        raise SourceUnreadable(path, error.strerror or error) from error
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise SourceUnreadable(path, f"its XML cannot be used: {error}", advice="Download it again.") from error


def _number(text: str | None, what: str, path: str) -> float:
    try:
        return float(text or "")
    except ValueError as error:
        raise SourceUnreadable(path, f"the {what} is missing or no number", advice="Download it again.") from error


def _special_values(root: ElementTree.Element) -> dict[str, str]:
    found = {}
    for element in root.iter("Special_Values"):
        found[(element.findtext("SPECIAL_VALUE_TEXT") or "").strip()] = element.findtext("SPECIAL_VALUE_INDEX") or ""
    return found


def _images(folder: Path, metadata: str) -> dict[str, tuple[str, int]]:
    """Returns file and pixel size of each band, in the order of `_SIZES`."""
    paths = glob.glob(os.path.join(glob.escape(str(folder)), "GRANULE", "*", "IMG_DATA", "**", "*"), recursive=True)
    found: dict[str, dict[int, str]] = {}
    tiles = set()
    for path in sorted(paths):
        match = _IMAGE.search(os.path.basename(path))
        if match and match[1].upper() in _SIZES:
            band = match[1].upper()
            found.setdefault(band, {})[int(match[2] or _SIZES[band])] = path
            tiles.add(Path(path).relative_to(folder).parts[1])
    if not found:
        raise SourceUnreadable(metadata, "no images lie in GRANULE/*/IMG_DATA beside it", advice="Download it again.")
    if len(tiles) > 1:
        raise SourceUnreadable(metadata, f"it holds {len(tiles)} tiles", advice="Give the images of one of them.")
    return {
        band: min(((path, size) for size, path in found[band].items()), key=lambda one: abs(one[1] - native))
        for band, native in _SIZES.items()
        if band in found
    }
