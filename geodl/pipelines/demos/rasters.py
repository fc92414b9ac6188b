"""Real scenes that come with matplotlib and scikit-learn, as GeoTIFF files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from pyproj import CRS
from rasterio.windows import Window

from geodl.data.source import Grid
from geodl.wholefile import whole_file

__all__ = ("elevation", "photographs", "write_raster")

_GAP = 16
"""Columns between what is trained on and what is shown: neighbours are alike."""


def elevation(folder: Path) -> tuple[Path, Path]:
    """Writes matplotlib's sample elevation model, `jacksboro_fault_dem.npz`, in two parts; files that are there stay.

    It shows the mountains and the valley at Jacksboro, Tennessee: 344 × 403 pixels of 3 arc seconds.

    Args:
        folder: for the files; it need not exist.

    Returns:
        The west, to train on, and the east, to be shown: in EPSG:4326, in metres.

    Raises:
        OutputUnwritable: no permission, disk full.
    """
    parts = folder / "train" / "west.tif", folder / "test" / "east.tif"
    if not all(path.is_file() for path in parts):
        from matplotlib import cbook

        with np.load(str(cbook.get_sample_data("jacksboro_fault_dem.npz", asfileobj=False))) as sample:
            heights = sample["elevation"].astype(np.float32)[..., None]
            # Rows run southwards: what is called ymin there is the northern edge.
            west, north, dx, dy = (float(sample[key]) for key in ("xmin", "ymin", "dx", "dy"))
        grid = Grid(CRS.from_epsg(4326), Affine(dx, 0, west, 0, -dy, north), *heights.shape[:2])
        border = 243
        for path, (left, right) in zip(parts, ((0, border), (border + _GAP, grid.width))):
            window = Window(left, 0, right - left, grid.height)
            write_raster(path, heights[:, left:right], grid.crop(window), bands=("elevation",), unit="metre")
    return parts


def photographs(folder: Path) -> tuple[Path, Path]:
    """Writes scikit-learn's sample photographs, one of them in two parts; files that are there stay.

    Both are licensed CC BY 2.0: `china.jpg` is by danielbuechele, `flower.jpg` by vultilion (flickr.com).

    Args:
        folder: for the files; it need not exist.

    Returns:
        A folder to train on, with the pagoda in China and the left of the flower; and the flower's right, to be shown.
        Red, green and blue of 8 bits, 427 pixels high.

    Raises:
        OutputUnwritable: no permission, disk full.
    """
    train, shown = folder / "train", folder / "test" / "flower_right.tif"
    border = 288
    parts = {
        train / "pagoda.tif": ("china", slice(None)),
        train / "flower_left.tif": ("flower", slice(border)),
        shown: ("flower", slice(border + _GAP, border + _GAP + 240)),
    }
    if not all(path.is_file() for path in parts):
        from sklearn.datasets import load_sample_image

        for path, (name, columns) in parts.items():
            image = load_sample_image(f"{name}.jpg")[:, columns]
            write_raster(path, image, Grid(None, Affine.identity(), *image.shape[:2]), bands=("red", "green", "blue"))
    return train, shown


def write_raster(path: Path, values: np.ndarray, grid: Grid, *, bands: tuple[str, ...], unit: str = "") -> None:
    """Writes a GeoTIFF: whole or not at all (temporary name, then rename).

    Args:
        path: where; a file there is replaced.
        values: shape (height, width, band), stored in their own type.
        grid: where they lie.
        bands: their names.
        unit: of all bands.

    Raises:
        OutputUnwritable: no permission, disk full.
    """
    profile = {"driver": "GTiff", "count": len(bands), "dtype": values.dtype, "compress": "deflate"}
    if len(bands) == 3 and values.dtype == np.uint8:
        profile["photometric"] = "RGB"
    if grid.crs is not None:
        profile |= {"crs": grid.crs.to_wkt(), "transform": grid.transform}
    with (
        whole_file(path) as temporary,
        rasterio.open(temporary, "w", **profile, height=grid.height, width=grid.width) as file,
    ):
        file.write(np.moveaxis(values, -1, 0))
        file.descriptions = bands
        file.units = (unit,) * len(bands)
