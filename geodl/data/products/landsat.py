"""Landsat Collection 2 scenes (Level-1 and Level-2) by their folder or their metadata file."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geodl.data.asset import Asset
from geodl.data.products.scene import Product
from geodl.data.rasterfile import RasterFile
from geodl.errors import SourceUnreadable

__all__ = ("find_landsat", "read_landsat")

_METADATA = re.compile(r".+_MTL\.(txt|json)")
_BAND = re.compile(r"FILE_NAME_BAND_(.+)")
_NAME = re.compile(r"_(B\d+(?:_VCID_\d)?)\.\w+$", re.IGNORECASE)
_CODES = {
    "QA_PIXEL": "FILE_NAME_QUALITY_L1_PIXEL",
    "QA_RADSAT": "FILE_NAME_QUALITY_L1_RADIOMETRIC_SATURATION",
    "SR_QA_AEROSOL": "FILE_NAME_QUALITY_L2_AEROSOL",
}
_PANCHROMATIC = "B8"
_UNCORRECTED = "reflectance x sin(sun elevation)"
"""Another unit than that of reflectance, so that neither is taken for the other."""
_Groups = Mapping[str, Mapping[str, Any]]


def find_landsat(path: str) -> str | None:
    """Returns the metadata file of the scene that `path` means, by names only; None: it is none.

    Args:
        path: the folder, with one `…_MTL.txt` or `…_MTL.json` in it, or that file.
    """
    if _METADATA.fullmatch(os.path.basename(path)):
        return path
    found = [file for file in glob.glob(os.path.join(glob.escape(path), "*_MTL.*")) if find_landsat(file)]
    scenes = {os.path.splitext(file)[0] for file in found}
    return max(found) if len(scenes) == 1 else None


def read_landsat(metadata: str) -> Product:
    """Reads a scene's metadata.

    Bands are called `B1`, `B2`, …, as their files are, also those of surface temperature (`B10`, `B6`). Stored values
    become, by the metadata's factors,

    - Level-2: surface reflectance, and surface temperature in kelvin;
    - Level-1: top-of-atmosphere reflectance *without* the correction for the sun's angle, in "reflectance x sin(sun
      elevation)" (divide by that sine for reflectance), and radiance of the thermal bands in W/(m2 sr um).

    Nodata is as the file says, else 0, as in the product guides. Where no bands are named, all but the panchromatic one
    (B8, of 15 m) are taken. It, and `QA_PIXEL`, `QA_RADSAT` and `SR_QA_AEROSOL`, are there by name only.

    Args:
        metadata: path of the `…_MTL.txt` or `…_MTL.json`.

    Raises:
        SourceUnreadable: the metadata or all images are missing; it lacks a value; it is not of Collection 2.
    """
    groups = _read_json(metadata) if metadata.lower().endswith(".json") else _read_text(metadata)
    contents = groups.get("PRODUCT_CONTENTS", {})
    if str(contents.get("COLLECTION_NUMBER", "")).strip() not in ("02", "2"):
        raise SourceUnreadable(
            metadata,
            "it is not of Landsat Collection 2",
            advice="Order the scene from Collection 2, or give its files.",
        )
    folder = Path(metadata).parent
    level = 2 if str(contents.get("PROCESSING_LEVEL", "")).startswith("L2") else 1
    named = {}
    for key, file in contents.items():
        band, called = _BAND.fullmatch(key), _NAME.search(str(file))
        if band and called and (folder / str(file)).is_file():
            named[called[1].upper()] = (band[1], str(folder / str(file)))
    if not named:
        raise SourceUnreadable(metadata, "none of the images that it names lies beside it")
    assets = {name: _asset(groups, level, key, path, name, metadata) for name, (key, path) in named.items()}
    for name, key in _CODES.items():
        path = folder / str(contents.get(key, ""))
        if path.is_file():
            assets[name] = Asset(path, unit="", scale=1.0, offset=0.0, bands=(name,), codes=True)
    usual = tuple(name for name in named if name != _PANCHROMATIC) or (_PANCHROMATIC,)
    sizes = {name: 15.0 if name == _PANCHROMATIC else 30.0 for name in assets}
    product = str(contents.get("LANDSAT_PRODUCT_ID") or Path(metadata).stem.removesuffix("_MTL"))
    return Product(product, assets, usual=usual, all=usual, pixel_sizes=sizes)


def _asset(groups: _Groups, level: int, key: str, path: str, name: str, metadata: str) -> Asset:
    """Finds the factors of the band whose keys end in `key`, such as `4`, `ST_B10` or `6_VCID_1`."""
    if level == 2:
        surface = {"REFLECTANCE": "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"}
        candidates = {"TEMPERATURE": "LEVEL2_SURFACE_TEMPERATURE_PARAMETERS"} if key.startswith("ST_") else surface
    else:
        candidates = dict.fromkeys(("REFLECTANCE", "RADIANCE"), "LEVEL1_RADIOMETRIC_RESCALING")
    for quantity, group in candidates.items():
        factors = [groups.get(group, {}).get(f"{quantity}_{factor}_BAND_{key}") for factor in ("MULT", "ADD")]
        if None in factors:
            continue
        try:
            scale, offset = (float(str(factor)) for factor in factors)
        except ValueError:
            continue
        reflectance = "reflectance" if level == 2 else _UNCORRECTED
        unit = {"REFLECTANCE": reflectance, "TEMPERATURE": "kelvin", "RADIANCE": "W/(m2 sr um)"}[quantity]
        # An asset overrules its file, whose own nodata value counts before the product guide's.
        own = RasterFile(path).bands[0].nodata
        return Asset(path, unit=unit, scale=scale, offset=offset, nodata=0 if own is None else own, bands=(name,))
    wanted = " or ".join(f"{quantity}_MULT_BAND_{key}" for quantity in candidates)
    raise SourceUnreadable(metadata, f"it does not say how {name} is scaled ({wanted})", advice="Download it again.")


def _read_text(path: str) -> _Groups:
    groups: dict[str, dict[str, str]] = {}
    inside: list[str] = []
    for line in _text(path).splitlines():
        key, equals, value = (part.strip() for part in line.partition("="))
        if key == "GROUP":
            inside.append(value)
        elif key == "END_GROUP" and inside:
            inside.pop()
        elif equals and inside:
            groups.setdefault(inside[-1], {})[key] = value.strip('"')
    return groups


def _read_json(path: str) -> _Groups:
    try:
        content = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise SourceUnreadable(path, f"it is no JSON ({error})", advice="Download it again.") from error
    groups = content.get("LANDSAT_METADATA_FILE") if isinstance(content, dict) else None
    if not isinstance(groups, dict):
        return {}
    return {name: group for name, group in groups.items() if isinstance(group, dict)}


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceUnreadable(path, getattr(error, "strerror", None) or error) from error
