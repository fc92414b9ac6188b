"""STAC items as scenes.

Pixels are read by the raster source, window by window, and not through odc-stac, whose dask graph would open every
asset anew for each block and leaves scale and offset aside. What odc-stac loads, `open_cube` takes as it is.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from geodl.data.asset import Asset
from geodl.data.files import is_local
from geodl.data.raster import RASTER_EXTENSIONS, RasterSource, Resample, open_raster
from geodl.data.source import name_bands
from geodl.errors import BandMismatch, GridMismatch, SourceUnreadable

if TYPE_CHECKING:
    import pystac

__all__ = ("is_item", "open_item")

_LOG = logging.getLogger("geodl")
_Value = TypeVar("_Value")
_BANDS = ("eo:bands", "raster:bands", "bands")
_NOT_PIXELS = {"thumbnail", "overview", "metadata"}
_RASTER_TYPES = ("image/tiff", "image/jp2", "image/jpx", "image/vnd.stac.geotiff", "application/x-geotiff")
_OFFSET_APPLIED = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
"""True: Sentinel-2's offset has been subtracted from the pixels already, though the assets of Earth Search go on
stating it (https://github.com/Element84/earth-search/issues/66)."""


_ORIGINALS = ("image/jp2", "image/jpx")
"""Kinds of the files that Earth Search links to as ESA made them, to whose pixels no offset has been applied."""
_CODES = {"scl", "fmask", "qa_pixel", "qa_radsat", "qa_aerosol"}
"""Assets of Sentinel-2, Landsat and HLS that hold classes or bit flags, though not every catalogue says so."""


def is_item(thing: Any) -> bool:
    """Whether something is a STAC item, or a path or address that looks like one's: `….json`, `…/items/<id>`."""
    if not isinstance(thing, str | os.PathLike):
        return type(thing).__module__.partition(".")[0] == "pystac" and hasattr(thing, "assets")
    text = os.fspath(thing)
    path = text if is_local(text) else urlsplit(text).path
    remote = text.startswith(("http://", "https://")) and "/items/" in path
    return path.lower().endswith((".json", ".geojson")) or remote


def open_item(
    item: str | os.PathLike[str] | pystac.Item,
    *,
    name: str | None = None,
    bands: Sequence[str] | None = None,
    resample: Resample | None = None,
) -> RasterSource:
    """Opens the raster assets of a STAC item as one scene.

    Scale, offset, nodata and unit are taken from the item (`bands`, `raster:bands`), and from the files where it states
    none; they are never guessed from a date or a processing baseline. Where the item says that Sentinel-2's offset has
    been applied to the pixels, it isn't applied again.

    Args:
        item: path or address of its JSON, or the item itself; one with signed addresses is read with these.
        name: name of the scene; default: the item's id.
        bands: the bands to take, in this order, by key of the asset (`B04`), name of the band, or its common name
            (`red`, `nir`); they get the names that are given here. Default: all rasters with role data, by their keys,
            pictures for the eye left out.
        resample: bring assets of different pixel size onto one grid; see `open_raster`.

    Raises:
        SourceUnreadable: there is no such file, it is no STAC item, it has no raster assets, or (without `bands`) they
            lie on several grids.
        BandMismatch: one of `bands` is no asset.
        GridMismatch: the bands lie on several grids, and there is no `resample`.

    Example:

    >>> scene = open_item("S2B_33UXP_20250302_0_L2A.json", bands=("red", "nir"))
    """
    if isinstance(item, str | os.PathLike):
        item = _read_item(os.fspath(item))
    try:
        layers = _layers(item)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise SourceUnreadable(
            item.id, f"its assets are not those of a STAC item ({error})", advice="Check them, or give their files."
        ) from error
    if not layers:
        kinds = ", ".join(f"{key} ({asset.media_type or 'no type'})" for key, asset in item.assets.items()) or "none"
        raise SourceUnreadable(
            item.id, "it has no raster assets", advice=f"Expected GeoTIFF or JPEG 2000 files. Its assets: {kinds}."
        )
    _warn_of_baseline(item, layers)
    if bands is not None:
        assets = _chosen(item.id, layers, bands)
        return open_raster(assets, name=name or item.id, bands=bands, resample=resample)
    layers = _for_measuring(layers)
    if len(layers) == 1 and not layers[0].told:
        # How many bands the file has, only the file knows.
        source = open_raster([layers[0].asset(None)], name=name or item.id, resample=resample)
        return name_bands(source, (layers[0].key,)) if len(source.bands) == 1 else source
    try:
        return open_raster([layer.asset(layer.own_names) for layer in layers], name=name or item.id, resample=resample)
    except GridMismatch as error:
        known = ", ".join(dict.fromkeys(alias for layer in layers for alias in (layer.key, *layer.common_names)))
        raise SourceUnreadable(
            item.id, "its bands lie on several grids", advice=f"Choose bands, or give resample. Its bands: {known}."
        ) from error


def _read_item(text: str) -> pystac.Item:
    import pystac

    from geodl.data.cubefile import fetch

    expected = "Expected the JSON of one STAC item."
    stored = fetch(text)
    try:
        content = json.loads(stored)
    except (ValueError, RecursionError) as error:
        raise SourceUnreadable(text, "it is not JSON", advice=expected) from error
    kind = content.get("type") if isinstance(content, dict) else type(content).__name__
    if kind != "Feature" or "stac_version" not in content or not isinstance(content.get("assets"), dict):
        found = f"a STAC {kind}" if isinstance(content, dict) and "stac_version" in content else f"JSON of type {kind}"
        raise SourceUnreadable(text, f"it is not a STAC item but {found}", advice=expected)
    try:
        href = os.path.abspath(text) if is_local(text) else text
        return pystac.Item.from_dict(content, href=href)
    except (pystac.STACError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise SourceUnreadable(text, f"its content is not that of a STAC item ({error})", advice=expected) from error


@dataclass(frozen=True)
class _Layer:
    """A raster asset and what the item says of its bands."""

    key: str
    href: str
    roles: frozenset[str]
    cloud: bool
    """A cloud-optimised GeoTIFF."""
    bands: tuple[Mapping[str, Any], ...]
    """One mapping for each band; a single one where the item says nothing of bands."""
    told: bool
    """Whether the item says how many bands there are."""
    offset_applied: bool

    @property
    def common_names(self) -> tuple[str, ...]:
        return tuple(str(band["common_name"]) for band in self.bands if band.get("common_name"))

    @property
    def own_names(self) -> tuple[str, ...] | None:
        """Names for all bands of the file, where the item has some."""
        if len(self.bands) <= 1:
            return (self.key,)
        for key in ("name", "common_name"):
            names = [str(band.get(key) or "") for band in self.bands]
            if all(names) and len(set(names)) == len(names):
                return tuple(names)
        return None

    def aliases(self) -> list[tuple[str, int]]:
        """Names by which bands are found, the asset's key first, each with the band's position."""
        found = [(self.key, 0)] if len(self.bands) <= 1 else []
        for key in ("name", "common_name"):
            found += [(str(band[key]), k) for k, band in enumerate(self.bands) if band.get(key)]
        return found

    def asset(self, names: tuple[str, ...] | None) -> Asset:
        offset = self._stated("offset", float)
        return Asset(
            self.href,
            unit=self._stated("unit", str),
            scale=self._stated("scale", float),
            offset=0.0 if self.offset_applied and offset is not None else offset,
            nodata=self._stated("nodata", _nodata),
            bands=names,
            codes=self.key.casefold().removesuffix("-jp2") in _CODES or any(band["codes"] for band in self.bands),
        )

    def _stated(self, key: str, kind: Callable[[Any], _Value | None]) -> _Value | None:
        """What the item says of all bands of the file; None: nothing."""
        try:
            values = {None if band[key] is None else kind(band[key]) for band in self.bands}
        except (TypeError, ValueError) as error:
            received = [band[key] for band in self.bands]
            raise SourceUnreadable(
                self.href, f"the item states a {key} that is no number ({received})",
                advice="Correct the item, or give the file.",
            ) from error  # fmt: skip
        if len(values) > 1:
            raise SourceUnreadable(
                self.href, f"the item states several values of {key} for its bands",
                advice="Write each band into a file of its own.",
            )  # fmt: skip
        return values.pop()


def _layers(item: pystac.Item) -> list[_Layer]:
    """The raster assets, in the item's order."""
    applied = any(item.properties.get(key) is True for key in _OFFSET_APPLIED)
    layers = []
    for key, asset in item.assets.items():
        roles = frozenset(asset.roles or ())
        media = (asset.media_type or "").lower()
        kind = media.partition(";")[0].strip()
        href = asset.get_absolute_href() or asset.href
        ending = os.path.splitext(href if is_local(href) else urlsplit(href).path)[1].lower()
        raster = kind in _RASTER_TYPES or (kind.startswith("image/") and "data" in roles)
        if roles & _NOT_PIXELS or not (raster or (not kind and ending in RASTER_EXTENSIONS)):
            continue
        content = asset.to_dict()
        told = any(content.get(key) for key in _BANDS)
        layers.append(
            _Layer(
                key, href, roles, cloud="cloud-optimized" in media, bands=_band_facts(content), told=told,
                offset_applied=applied and kind not in _ORIGINALS,
            )
        )  # fmt: skip
    return layers


def _band_facts(asset: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """What an asset says of each of its bands, in the words of STAC 1.0 (`eo:bands`, `raster:bands`) or 1.1 (`bands`)."""
    lists = [asset.get(key) or [] for key in _BANDS]
    facts = []
    for k in range(max(1, *map(len, lists))):
        merged = dict(asset)
        for stated in lists:
            if k < len(stated):
                merged |= stated[k]
        facts.append(
            {
                "name": merged.get("name"),
                "common_name": merged.get("eo:common_name", merged.get("common_name")),
                "unit": merged.get("unit"),
                "scale": merged.get("raster:scale", merged.get("scale")),
                "offset": merged.get("raster:offset", merged.get("offset")),
                "nodata": merged.get("nodata"),
                "codes": bool(merged.get("classification:classes") or merged.get("classification:bitfields")),
            }
        )
    return tuple(facts)


def _for_measuring(layers: Sequence[_Layer]) -> list[_Layer]:
    """Leaves out pictures for the eye, and second copies of a band in another format."""
    best: dict[object, _Layer] = {}
    for layer in layers:
        if "visual" in layer.roles or (layer.roles and not layer.roles & {"data", "reflectance"}):
            continue
        names = tuple((band["name"], band["common_name"]) for band in layer.bands)
        same = names if any(any(pair) for pair in names) else layer.key
        if same not in best or (layer.cloud and not best[same].cloud):
            best[same] = layer
    return list(best.values()) or list(layers)


def _chosen(item: str, layers: Sequence[_Layer], bands: Sequence[str]) -> list[Asset]:
    """Finds bands by name: an asset's key comes before its band's name, a file of one band before one of several."""
    names: dict[str, dict[int, str]] = {}
    by_key = {layer.key: layer for layer in layers}
    for wanted in bands:
        candidates = [
            (alias != layer.key, len(layer.bands), not layer.cloud, order, layer.key, k)
            for order, layer in enumerate(layers)
            for alias, k in layer.aliases()
            if alias.casefold() == wanted.casefold()
        ]
        if not candidates:
            known = [alias for layer in (*_for_measuring(layers), *layers) for alias, _ in layer.aliases()]
            raise BandMismatch(item, expected=bands, received=list(dict.fromkeys(known)))
        *_, key, k = min(candidates)
        if names.setdefault(key, {}).setdefault(k, wanted) != wanted:
            raise BandMismatch(item, expected=bands, received=[f"{wanted} and {names[key][k]} are the same band"])
    return [
        by_key[key].asset(tuple(found.get(k, f"{key}_{k + 1}") for k in range(max(len(by_key[key].bands), 1))))
        for key, found in names.items()
    ]


def _nodata(stated: Any) -> float | None:
    """Not-a-number in an item means that pixels are so, which they are in any case."""
    return None if str(stated).lower() == "nan" else float(stated)


def _warn_of_baseline(item: pystac.Item, layers: Sequence[_Layer]) -> None:
    if "s2:processing_baseline" in item.properties and not any(
        band["offset"] is not None for layer in layers for band in layer.bands
    ):
        _warn(
            "The item states no offset for Sentinel-2, whose values carry one from processing baseline 04.00 on: "
            f"they are taken as they are stored ({item.collection_id or item.id})."
        )


@lru_cache(maxsize=1024)
def _warn(message: str) -> None:
    """Cached, so that each thing is said once."""
    _LOG.warning(message)
