"""Whether a source is what a network was trained on: bands, units, pixel size."""

from __future__ import annotations

from geodl.contract import Contract
from geodl.data.pixelsize import to_pixel_size
from geodl.data.resample import Method
from geodl.data.source import Source, one_time
from geodl.inference.bandorder import in_band_order

__all__ = ("fit_source",)


def fit_source(
    source: Source,
    contract: Contract,
    *,
    any_resolution: bool = False,
    resample: Method | None = None,
    advice: str | None = None,
) -> Source:
    """Returns the source with the bands of the contract, in its order, and its pixel size, or says why it does not fit.

    Bands are found by name, whatever their case. Where the source's or the network's bands have no names, their number
    must be the same and their order is taken.

    Args:
        source: what is to be mapped.
        contract: of the network.
        any_resolution: accept any pixel size, as it is, unless `resample` is given.
        resample: method by which a scene of another pixel size is brought to that of the contract, in its own CRS.
        advice: what to do about another pixel size, for the message; default: what `geodl predict` offers.

    Raises:
        BandMismatch: a band is missing, or there are too few or too many without names.
        UnitMismatch: both state a unit for a band, and they differ.
        ResolutionMismatch: the pixel size differs by more than a tenth, and is not to be changed, or cannot be.
        SourceUnreadable: the source has several times.
    """
    fitted = in_band_order(one_time(source), contract.input.bands)
    y, x = (contract.input.dim(name) for name in ("y", "x"))
    if y.step is None or x.step is None or (any_resolution and resample is None):
        return fitted
    return to_pixel_size(fitted, (y.step, x.step), y.unit, method=resample, advice=advice)
