"""Forecasts as `xarray` objects: lead times, valid times, grid mapping and units as CF conventions have them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import rioxarray  # noqa: F401 - registers .rio
import xarray as xr

from geodl.contract import Contract
from geodl.inference.recent import Recent, network_step

__all__ = ("forecast_array", "lead_times", "probability_array")

_NS = "timedelta64[ns]"


def lead_times(contract: Contract) -> np.ndarray:
    """Returns the lead times of a network, timedelta64[ns] of shape (lead,): the first is one step."""
    return (network_step(contract) * np.arange(1, contract.output.leads + 1)).astype(_NS)


def forecast_array(values: np.ndarray, recent: Recent, contract: Contract) -> xr.DataArray:
    """Wraps rain rates.

    Args:
        values: mm/h, numpy or dask array of shape (lead, height, width) or (member, lead, height, width).
        recent: what the forecast was made from.
        contract: of the network.

    Returns:
        dims ([member,] lead_time, y, x), with coordinates of all of them, `time` (that of the analysis), `valid_time` and
        `spatial_ref`.
    """
    attributes = {"long_name": "rain rate", "standard_name": "rainfall_rate", "units": "mm/h"}
    members = {}
    if values.ndim == 4:
        about = {"long_name": "ensemble member", "standard_name": "realization", "units": "1"}
        members = {"member": xr.Variable(("member",), np.arange(len(values), dtype=np.int32), about)}
    return _wrap(values, "rain_rate", attributes, members, recent, contract)


def probability_array(
    values: np.ndarray, thresholds: Sequence[float], recent: Recent, contract: Contract
) -> xr.DataArray:
    """Wraps probabilities of exceedance.

    Args:
        values: 0 to 1, of shape (threshold, lead, height, width).
        thresholds: mm/h.
        recent: what the forecast was made from.
        contract: of the network.

    Returns:
        dims (threshold, lead_time, y, x), with the coordinates of `forecast_array`.
    """
    about = {"long_name": "rain rate that is exceeded", "standard_name": "rainfall_rate", "units": "mm/h"}
    edges = {"threshold": xr.Variable(("threshold",), np.asarray(thresholds, np.float64), about)}
    attributes = {"long_name": "probability that the rain rate is above the threshold", "units": "1"}
    return _wrap(values, "exceedance", attributes, edges, recent, contract)


def _wrap(
    values: np.ndarray,
    name: str,
    attributes: dict[str, str],
    first: dict[str, xr.Variable],
    recent: Recent,
    contract: Contract,
) -> xr.DataArray:
    leads = lead_times(contract)
    analysis = recent.analysis.astype("datetime64[ns]")
    wrapped = xr.DataArray(
        values,
        dims=(*first, "lead_time", *recent.axes),
        coords={
            **first,
            "lead_time": ("lead_time", leads, {"long_name": "lead time", "standard_name": "forecast_period"}),
            "time": ((), analysis, {"long_name": "time of the analysis", "standard_name": "forecast_reference_time"}),
            "valid_time": (
                "lead_time",
                analysis + leads,
                {"long_name": "time of the forecast", "standard_name": "time"},
            ),
            **recent.axes,
        },
        name=name,
        attrs=attributes,
    )
    x, y = (list(recent.axes)[k] for k in (1, 0))
    wrapped = wrapped.rio.set_spatial_dims(x, y)
    if recent.grid.crs is None:
        return wrapped
    found: xr.DataArray = wrapped.rio.write_crs(recent.grid.crs).rio.write_transform(recent.grid.transform)
    return found.rio.write_coordinate_system()
