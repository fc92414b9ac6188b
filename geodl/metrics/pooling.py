"""What follows from the sums of nowcasts: scores, spectra, curves; and sums of several evaluations.

`NowcastMetrics.details()` is a JSON object whose sums can be added:

- `unit`, `thresholds`, `lead_minutes`, `scales`, `pixel_km`, `missing`, `samples`: how it was measured;
- `tables` (threshold, lead, 4): hits, misses, false alarms, correct negatives;
- `blocks`: `names`, and `tables` (block, threshold, lead, 3): hits, misses, false alarms; see `geodl.metrics.bootstrap`;
- `spectra`: `wavelength_km` (`wavelength_pixels` where the size of a pixel is unknown), mean `observed` and `forecast`
  power of shape (lead, wavelength), the unit squared, and of how many `fields` (lead,);
- `sums`: all else that is added;

and from them:

- `leads`: for each lead time `lead_minutes`, `pixels`, `outside`, `mae`, `rmse`, `correlation`, `mean_rate_bias`, `crps`,
  and lists by threshold: `csi`, `pod`, `far`, `frequency_bias`, `hss`, and `fss` (threshold, scale);
- `reliability`, of forecasts with a spread: by threshold `probability` (mean forecast of each bin), `frequency` (how
  often it rained), `count`.

None is what is undefined.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from geodl.errors import OptionError
from geodl.metrics.contingency import table_scores
from geodl.metrics.fractions import fractions_skill
from geodl.metrics.rainerrors import error_scores
from geodl.metrics.rainspectra import pooled_spectra

__all__ = ("combine", "nowcast_scores", "plain", "spectra_of", "with_scores")

_SETTINGS = ("unit", "thresholds", "lead_minutes", "scales", "missing")
_TOLERANCE = 0.01
"""Share by which the pixels of data sets may differ in size and still have the same scales."""


def nowcast_scores(details: Mapping[str, Any]) -> dict[str, float]:
    """Returns the scores of all lead times together; see `NowcastMetrics.result`.

    Args:
        details: of one evaluation, or of several from `combine`.
    """
    sums, names = details["sums"], [f"{threshold:g} mm/h" for threshold in details["thresholds"]]
    tables = table_scores(np.sum(details["tables"], axis=1))
    errors = np.sum(sums["errors"], axis=0)
    scores = {"csi": _mean(tables["csi"])} | {name: float(value) for name, value in error_scores(errors).items()}
    if "crps" in sums:
        scores["crps"] = _share(np.sum(sums["crps"]), errors[0])
    scores["outside"] = _share(np.sum(sums["outside"]), errors[0])
    for name, values in tables.items():
        scores |= {f"{name}/{rate}": float(value) for rate, value in zip(names, values, strict=True)}
    skill = fractions_skill(np.sum(sums["fractions"], axis=1))
    for scale, values in zip(_scale_names(details), skill.T, strict=True):
        scores |= {f"fss_{scale}/{rate}": float(value) for rate, value in zip(names, values, strict=True)}
    return scores


def combine(*details: Mapping[str, Any]) -> dict[str, Any]:
    """Adds several evaluations as if all their samples had been scored together.

    Args:
        details: of the same thresholds, lead times and scales, on pixels of the same size to within 1 %.

    Returns:
        Details of them all; `crps` and `reliability` only where all have them.

    Raises:
        OptionError: there are none, or they were measured differently.
    """
    if not details:
        raise OptionError("details", expected="one evaluation or more", received=details)
    first = details[0]
    for other in details[1:]:
        for key in _SETTINGS:
            if other[key] != first[key]:
                raise OptionError(f"details: {key}", expected=f"{first[key]} in all of them", received=other[key])
        size, received = first["pixel_km"], other["pixel_km"]
        alike = size == received if None in (size, received) else math.isclose(size, received, rel_tol=_TOLERANCE)
        if not alike:
            raise OptionError("details: pixel_km", expected=f"{size} in all of them", received=received)
    sums = [found["sums"] for found in details]
    common = [key for key in ("errors", "fractions", "outside", "crps", "reliability") if all(key in s for s in sums)]
    frequency, fields, power = pooled_spectra([_spectrum_sums(found) for found in details])
    return with_scores(
        {
            **{key: first[key] for key in (*_SETTINGS, "pixel_km")},
            "samples": sum(found["samples"] for found in details),
            "tables": np.sum([found["tables"] for found in details], axis=0).tolist(),
            "sums": {key: np.sum([found[key] for found in sums], axis=0).tolist() for key in common},
            "spectra": spectra_of(frequency, fields, power, pixel_km=first["pixel_km"]),
            "blocks": {
                "samples": first["blocks"]["samples"],
                "names": [name for found in details for name in found["blocks"]["names"]],
                "tables": [table for found in details for table in found["blocks"]["tables"]],
            },
        }
    )


def with_scores(details: Mapping[str, Any]) -> dict[str, Any]:
    """Returns details with what follows from their sums: `leads` and `reliability`."""
    sums = details["sums"]
    errors = np.asarray(sums["errors"])
    by_lead = {name: plain(values) for name, values in error_scores(errors).items()}
    by_lead["pixels"] = errors[:, 0].astype(int).tolist()
    by_lead["outside"] = [_none(_share(*pair)) for pair in zip(sums["outside"], errors[:, 0], strict=True)]
    if "crps" in sums:
        by_lead["crps"] = [_none(_share(*pair)) for pair in zip(sums["crps"], errors[:, 0], strict=True)]
    by_lead |= {name: plain(values.T) for name, values in table_scores(np.asarray(details["tables"])).items()}
    by_lead["fss"] = plain(np.swapaxes(fractions_skill(np.asarray(sums["fractions"])), 0, 1))
    leads = [
        {"lead_minutes": minutes} | {name: values[lead] for name, values in by_lead.items()}
        for lead, minutes in enumerate(details["lead_minutes"])
    ]
    found = {**details, "leads": leads}
    if "reliability" in sums:
        rates = (f"{threshold:g}" for threshold in details["thresholds"])
        found["reliability"] = {rate: _curve(counts) for rate, counts in zip(rates, sums["reliability"], strict=True)}
    return found


def plain(values: np.ndarray) -> list[Any]:
    """Returns nested lists, with None where a value is not finite, as JSON has no word for that."""
    known = values.astype(object)
    known[~np.isfinite(values)] = None
    nested: list[Any] = known.tolist()
    return nested


def spectra_of(
    frequency: np.ndarray, fields: np.ndarray, power: np.ndarray, *, pixel_km: float | None
) -> dict[str, Any]:
    """Returns `spectra` of details.

    Args:
        frequency: 1/pixel, of shape (frequency,).
        fields: how many were added, of shape (lead,).
        power: sums of the observed and the forecast spectra, of shape (2, lead, frequency).
        pixel_km: side of a pixel.
    """
    with np.errstate(invalid="ignore"):
        observed, forecast = (plain(values / fields[:, None]) for values in power)
    pixel, unit = (1.0, "pixels") if pixel_km is None else (pixel_km, "km")
    wavelength = (pixel / frequency).tolist()
    return {f"wavelength_{unit}": wavelength, "fields": fields.tolist(), "observed": observed, "forecast": forecast}


def _spectrum_sums(details: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frequencies, number of fields and sums that `spectra_of` was given."""
    found, pixel = details["spectra"], details["pixel_km"] or 1.0
    wavelength = np.asarray(found["wavelength_pixels" if details["pixel_km"] is None else "wavelength_km"], np.float64)
    fields = np.asarray(found["fields"], np.float64)
    shape = (2, fields.size, wavelength.size)
    means = np.asarray([found["observed"], found["forecast"]], np.float64).reshape(shape)
    return pixel / wavelength, fields, np.where(fields[:, None] > 0, means * fields[:, None], 0)


def _curve(counts: Any) -> dict[str, Any]:
    """The points of a reliability diagram."""
    number, probability, rain = np.asarray(counts, np.float64).T
    with np.errstate(invalid="ignore"):
        curve = {"probability": plain(probability / number), "frequency": plain(rain / number)}
    return curve | {"count": number.astype(int).tolist()}


def _scale_names(details: Mapping[str, Any]) -> list[str]:
    if details["pixel_km"] is None:
        return [f"{scale}px" for scale in details["scales"]]
    return [f"{scale * details['pixel_km']:.3g}km" for scale in details["scales"]]


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _mean(values: np.ndarray) -> float:
    """Mean of what is defined."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _none(value: float) -> float | None:
    return value if np.isfinite(value) else None
