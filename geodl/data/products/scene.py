"""What a product holds, and which of its bands make a scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from geodl.data.asset import Asset
from geodl.data.raster import RasterSource, open_raster
from geodl.data.warp import Resample
from geodl.errors import BandMismatch, GridMismatch

__all__ = ("Product", "open_bands")


@dataclass(frozen=True)
class Product:
    """The bands of a product, each in a file of its own."""

    name: str
    assets: Mapping[str, Asset]
    """By band name, in order; all that can be asked for."""
    usual: tuple[str, ...]
    """Bands that are taken where none are named, of one grid."""
    all: tuple[str, ...]
    """Bands that are taken where none are named and they may be resampled."""
    pixel_sizes: Mapping[str, float]
    """By band name, in metres, as the product's definition says."""


def open_bands(
    product: Product, *, name: str | None, bands: Sequence[str] | None, resample: Resample | None
) -> RasterSource:
    """Opens some bands of a product as one scene; see `open_product`."""
    wanted = tuple(bands) if bands is not None else product.usual if resample is None else product.all
    if not wanted or not set(wanted) <= product.assets.keys():
        raise BandMismatch(product.name, expected=wanted or ["one band"], received=list(product.assets))
    if resample is None:
        _check_sizes(product, wanted)
    return open_raster({band: product.assets[band] for band in wanted}, name=name or product.name, resample=resample)


def _check_sizes(product: Product, wanted: Sequence[str]) -> None:
    by_size: dict[float, list[str]] = {}
    for band in wanted:
        by_size.setdefault(product.pixel_sizes[band], []).append(band)
    if len(by_size) > 1:
        (one, first), (other, second), *_ = sorted(by_size.items())
        raise GridMismatch(
            f"{', '.join(first)} ({product.name})",
            ", ".join(second),
            differs="pixel size",
            expected=f"{one:g} m",
            received=f"{other:g} m",
        )
