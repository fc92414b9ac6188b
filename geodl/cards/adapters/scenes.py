"""Scenes: the MATLAB files of DSen2 as a GeoTIFF for each band."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from geodl.cards.card import Card
from geodl.wholefile import whole_file

__all__ = ("dsen2",)

_BANDS = {
    "im10": (10, ["B04", "B03", "B02", "B08"]),
    "im20": (20, ["B05", "B06", "B07", "B8A", "B11", "B12"]),
    "im60": (60, ["B01", "B09"]),
}
"""Pixel size in metres and bands of each array, in the publisher's order."""


def dsen2(folder: Path, card: Card, *, arrays: tuple[str, ...] | list[str] = ("im10", "im20")) -> list[str]:
    """Writes each band of each `….mat` as `scenes/SCENE/BAND.tif`, in reflectance × 10,000.

    Pixel sizes and the UTM zone are the scene's; where in its zone it lies is not known, and made up.

    Args:
        folder: of the data set.
        card: of the data set.
        arrays: which of `im10`, `im20` and `im60`.

    Returns:
        The files.
    """
    import h5py

    made = []
    for path in sorted(folder.glob("*.mat")):
        found = re.search(r"_T(\d\d)([A-Z])", path.stem)
        if found is None:
            raise ValueError(f"no tile in the name {path.name}")
        zone = (32600 if found[2] >= "N" else 32700) + int(found[1])
        with h5py.File(path) as file:
            for key in arrays:
                size, names = _BANDS[key]
                for name, band in zip(names, np.asarray(file[key]), strict=True):
                    target = f"scenes/{path.stem}/{name}.tif"
                    # MATLAB keeps columns together.
                    _write(folder / target, np.rint(band.T).astype(np.uint16), name, size=size, epsg=zone)
                    made.append(target)
    return made


def _write(path: Path, values: np.ndarray, name: str, *, size: int, epsg: int) -> None:
    import rasterio
    from rasterio.transform import from_origin

    height, width = values.shape
    with (
        whole_file(path) as temporary,
        rasterio.open(
            temporary,
            "w",
            driver="GTiff",
            count=1,
            dtype="uint16",
            height=height,
            width=width,
            compress="deflate",
            crs=f"EPSG:{epsg}",
            transform=from_origin(500_000, 5_000_000, size, size),
        ) as file,
    ):
        file.write(values, 1)
        file.set_band_description(1, name)
