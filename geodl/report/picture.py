"""A source's bands as a picture for the eye."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ("picture",)

_NATURAL = (("b04", "b03", "b02"), ("b4", "b3", "b2"), ("red", "green", "blue"))
_SAMPLE = 1_000_000
"""Pixels that percentiles are taken from at most."""


def picture(values: np.ndarray, bands: Sequence[str], *, percentiles: tuple[float, float] = (2, 98)) -> np.ndarray:
    """Makes a picture: natural colours where the bands have them, each band stretched over its valid pixels.

    Colours are B04, B03, B02 or red, green, blue; VV, VH and their ratio for radar; else the first three bands, or the
    first one in grey.

    Args:
        values: shape (height, width, band), physical units, not-a-number where invalid.
        bands: their names.
        percentiles: of each band, shown black and full.

    Returns:
        uint8 of shape (height, width, 4): red, green, blue and opacity, which is 0 where any band is invalid.

    Example:
        >>> picture(np.random.rand(8, 8, 4), ("B02", "B03", "B04", "B08")).shape
        (8, 8, 4)
    """
    colours = _colours(values, [band.lower() for band in bands])
    valid = np.isfinite(values).all(axis=-1) & np.isfinite(colours).all(axis=-1)
    shown = np.zeros((*valid.shape, 4), np.uint8)
    if valid.any():
        pixels = colours[valid].astype(np.float32)
        low, high = np.percentile(pixels[:: max(1, len(pixels) // _SAMPLE)], percentiles, axis=0)
        flat = high <= low
        stretched = np.where(flat, 0.5, (pixels - low) / np.where(flat, 1, high - low))
        shown[valid, :3] = np.rint(255 * np.clip(stretched, 0, 1))
        shown[valid, 3] = 255
    return shown


def _colours(values: np.ndarray, names: list[str]) -> np.ndarray:
    """Three bands for red, green and blue, not stretched yet."""
    for chosen in _NATURAL:
        if set(chosen) <= set(names):
            return values[..., [names.index(name) for name in chosen]]
    if {"vv", "vh"} <= set(names):
        vv, vh = values[..., names.index("vv")], values[..., names.index("vh")]
        decibel = np.nanmedian(vv) < 0 if np.isfinite(vv).any() else True
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack([vv, vh, vv - vh if decibel else vv / vh], axis=-1)
    return values[..., :3] if len(names) >= 3 else values[..., [0, 0, 0]]
