"""A scene and what is asked of it: opened and checked before the network is loaded or converted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geodl.contract import Contract
from geodl.data.opening import needs_bands, open_source
from geodl.data.pixelsize import TOLERANCE
from geodl.data.raster import RasterSource
from geodl.data.resample import Resample
from geodl.data.source import Grid, Source, Window
from geodl.data.windows import bbox_window
from geodl.errors import ResolutionMismatch
from geodl.inference.adapting import Adapted, adapt, without_noise_level
from geodl.inference.fitting import fit_source
from geodl.inference.options import Options
from geodl.inference.products import Products, make_products

if TYPE_CHECKING:
    from geodl.inference.area import Area

__all__ = ("Request", "make_request", "open_adapted")


@dataclass(frozen=True)
class Request:
    """One scene and what is asked of it."""

    source: Source
    """With the bands of `adapted.contract`."""
    adapted: Adapted
    products: Products
    window: Window
    area: Area | None
    grid: Grid
    """Of the map."""
    options: Options


def make_request(data: Any, contract: Contract, options: Options) -> Request:
    """Opens a scene and checks what is asked of it.

    Args:
        data: what `open_source` takes.
        contract: of the network.
        options: what is asked.

    Raises:
        GeodlError: as `Predictor.predict` does, but for what depends on the network itself.
    """
    source, adapted = open_adapted(data, contract, options)
    output = adapted.contract.output
    products = make_products(
        output,
        probabilities=options.probabilities,
        confidence=options.confidence,
        entropy=options.entropy,
        residual_of=adapted.contract.input.bands if options.residual else None,
    )
    whole = source.grid.window
    window = whole if options.bbox is None else bbox_window(options.bbox, source.grid)
    area = None if options.mask is None else _read_area(options.mask, source.grid.finer(output.scale))
    return Request(source, adapted, products, window, area, source.grid.crop(window).finer(output.scale), options)


def open_adapted(data: Any, contract: Contract, options: Options) -> tuple[Source, Adapted]:
    """Opens a scene and brings it to what the network was trained on, as far as was asked for, or the contract says."""
    method = options.resample or contract.input.resample
    names = [band.name for band in without_noise_level(contract).input.bands] if needs_bands(data) else None
    resample = None if method is None else Resample(method)  # type: ignore[arg-type]
    opened = open_source(data, bands=names, resample=resample)
    adapted = adapt(contract, opened, noise_level=options.noise_level)
    fitted = fit_source(
        opened, adapted.contract, any_resolution=options.any_resolution, resample=options.resample
    )  # fmt: skip
    if isinstance(fitted, RasterSource):
        _refuse_other_ratio(fitted, contract)
    return fitted, adapted


def _refuse_other_ratio(scene: RasterSource, contract: Contract) -> None:
    """Raises `ResolutionMismatch` where coarse bands are not as coarse as those that the network learnt from."""
    sizes = {band.name: size for band, (_, size) in zip(scene.bands, scene.stored_resolutions, strict=True)}
    finest = min(sizes.values())
    for band, size in sizes.items() if contract.input.ratio > 1 else ():
        wanted = finest * (contract.input.ratio if band in contract.input.coarse else 1)
        if abs(size / wanted - 1) > TOLERANCE:
            raise ResolutionMismatch(
                f"{scene.name}, band {band}",
                expected=f"{wanted:.4g} (the finest band has {finest:.4g})",
                received=f"{size:.4g}",
                advice="Give the bands as they come, each with its own pixels.",
            )


def _read_area(path: str | os.PathLike[str], grid: Grid) -> Area:
    from geodl.inference.area import Area

    return Area.read(path, grid)
