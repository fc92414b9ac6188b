"""A source's bands as a picture for the eye."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ("are_natural", "drawn_bands", "limits", "paint", "picture")

_NATURAL = (("b04", "b03", "b02"), ("b4", "b3", "b2"), ("red", "green", "blue"))
_FIELDS = (("b11", "b08", "b04"), ("b11", "b8", "b4"), ("swir", "nir", "red"))
"""Short-wave infrared, near infrared and red: vegetation is green, bare soil reddish."""
_SAMPLE = 1_000_000
"""Pixels that percentiles are taken from at most."""


def picture(values: np.ndarray, bands: Sequence[str], *, percentiles: tuple[float, float] = (2, 98)) -> np.ndarray:
    """Makes a picture: natural colours where the bands have them, each band stretched over its valid pixels.

    Colours are B04, B03, B02 or red, green, blue; short-wave infrared, near infrared and red (B11, B08, B04); VV, VH
    and their ratio for radar; else the first three bands, or the first one in grey.

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
    colours = np.where(np.isfinite(values).all(axis=-1, keepdims=True), colours, np.nan)
    return paint(colours, limits(colours, percentiles=percentiles))


def drawn_bands(bands: Sequence[str]) -> tuple[int, ...]:
    """Returns which bands `picture` draws as they are: three for red, green and blue, or one for grey.

    A radar's composite of VV, VH and their ratio is no choice of bands; its first polarisation is returned.

    Example:
        >>> drawn_bands(("B02", "B03", "B04", "B08")), drawn_bands(("VV", "VH")), drawn_bands(("grey",))
        ((2, 1, 0), (0,), (0,))
    """
    names = [band.lower() for band in bands]
    for chosen in (*_NATURAL, *_FIELDS):
        if set(chosen) <= set(names):
            return tuple(names.index(name) for name in chosen)
    if {"vv", "vh"} <= set(names):
        return (names.index("vv"),)
    return (0, 1, 2) if len(names) >= 3 else (0,)


def are_natural(bands: Sequence[str]) -> bool:
    """Says whether what `picture` draws of these bands are the colours of the eye: red, green and blue.

    Example:
        >>> are_natural(("B02", "B03", "B04", "B08")), are_natural(("VV", "VH", "height"))
        (True, False)
    """
    names = {band.lower() for band in bands}
    return any(set(chosen) <= names for chosen in _NATURAL)


def limits(colours: np.ndarray, *, percentiles: tuple[float, float] = (2, 98)) -> np.ndarray:
    """Returns the values to be shown black and full, shape (2, colour), from the pixels whose colours are all finite.

    Large pictures are sampled. Without a valid pixel both are not-a-number.

    Args:
        colours: shape (height, width, colour).
        percentiles: of each colour.
    """
    pixels = colours[np.isfinite(colours).all(axis=-1)].astype(np.float32)
    if not len(pixels):
        return np.full((2, colours.shape[-1]), np.nan)
    return np.percentile(pixels[:: max(1, len(pixels) // _SAMPLE)], percentiles, axis=0)


def paint(colours: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Stretches colours to what a screen shows, several pictures alike if they get the same ends.

    Args:
        colours: shape (height, width, 3), or (height, width, 1) for grey; not-a-number where invalid.
        ends: what `limits` returned; a colour whose two ends are equal becomes half bright.

    Returns:
        uint8 of shape (height, width, 4): red, green, blue and opacity, which is 0 where any colour is invalid.
    """
    valid = np.isfinite(colours).all(axis=-1)
    shown = np.zeros((*valid.shape, 4), np.uint8)
    if valid.any():
        low, high = ends
        pixels = colours[valid].astype(np.float32)
        flat = ~(high > low)
        stretched = np.where(flat, 0.5, (pixels - low) / np.where(flat, 1, high - low))
        shown[valid, :3] = np.rint(255 * np.clip(stretched, 0, 1))
        shown[valid, 3] = 255
    return shown


def _colours(values: np.ndarray, names: list[str]) -> np.ndarray:
    """Three bands for red, green and blue, not stretched yet."""
    chosen = drawn_bands(names)
    if {"vv", "vh"} <= set(names) and len(chosen) == 1:
        vv, vh = values[..., names.index("vv")], values[..., names.index("vh")]
        decibel = np.nanmedian(vv) < 0 if np.isfinite(vv).any() else True
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack([vv, vh, vv - vh if decibel else vv / vh], axis=-1)
    return values[..., chosen if len(chosen) == 3 else chosen * 3]
