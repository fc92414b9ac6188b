"""What a user means by a scene, or by many: opens each with the adapter that its kind needs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from glob import has_magic
from typing import Any

from geodl.data.cubeword import CUBE_EXTENSIONS, CubeWord
from geodl.data.files import common_name, distinct_names, find_files, is_local, is_remote_folder
from geodl.data.products import is_product, open_product
from geodl.data.raster import RASTER_EXTENSIONS, Resample, numbered, open_raster
from geodl.data.source import Source
from geodl.data.stac import is_item, open_item
from geodl.data.stacsearch import search
from geodl.errors import OptionError

__all__ = ("find_scenes", "is_one_scene", "needs_bands", "open_source")


def open_source(
    thing: Any,
    *,
    name: str | None = None,
    bands: Sequence[str] | None = None,
    resample: Resample | None = None,
) -> Source:
    """Opens whatever holds one scene.

    Args:
        thing: one of

            - a path or URL of a raster file, or a mapping of band names to paths, or a list of paths (each a band or
              several);
            - a NetCDF file or Zarr store, as a word like `rain.nc:pr@1999-03` (see `geodl.data.cubeword`);
            - the folder of a Sentinel-2 or Landsat product;
            - a STAC item: path or address of its JSON, or a `pystac.Item`;
            - an `xarray.DataArray` or `Dataset`, or an array of shape (height, width[, band]);
            - a `Source`, which is returned as it is.

        name: name of the scene; default: from the file's stem, or the item's id.
        bands: the bands to take, in this order; default: all. A source whose bands have no names takes these.
        resample: bring bands on different grids onto one; see `open_raster`. Arrays, NetCDF files and Zarr stores lie
            on one grid as they are, and can't be brought onto another.

    Returns:
        The source. Nothing but the header has been read.

    Raises:
        SourceUnreadable: the thing is missing, damaged, or of a kind that cannot be read.
        BandMismatch: one of `bands` is missing.
        GridMismatch: the files of one scene do not lie on one grid, and there is no `resample`.
        OptionError: a search, which means many scenes; or an array shall be brought onto another grid.
    """
    if isinstance(thing, Source):
        return thing if bands is None else thing.select(tuple(bands))
    if _is_search(thing):
        raise OptionError("a scene", expected="one scene, not a search", received=dict(thing))
    if isinstance(thing, str | os.PathLike) and is_product(thing):
        return open_product(thing, name=name, bands=bands, resample=resample)
    if is_item(thing):
        return open_item(thing, name=name, bands=bands, resample=resample)
    if isinstance(thing, str | os.PathLike) and CubeWord.read(thing) is not None:
        from geodl.data.cubefile import open_cube_file

        _refuse_other_grid(os.fspath(thing), resample)
        return open_cube_file(thing, name=name, bands=bands)
    if isinstance(thing, (str, os.PathLike, Mapping, list, tuple)) and not hasattr(thing, "dims"):
        return open_raster(thing, name=name, bands=bands, resample=resample)  # type: ignore[arg-type]
    from geodl.data.cube import open_cube

    _refuse_other_grid(type(thing).__name__, resample)
    return open_cube(thing, name=name, bands=bands)


def find_scenes(where: Any, *, stack: bool = False) -> list[tuple[str, Any]]:
    """Lists the scenes that `where` means.

    Args:
        where: anything that is one scene for `open_source`; a folder (all its rasters, NetCDF files, Zarr stores and
            products; hidden files and sidecars are passed over), a glob, or a list: many scenes; or a STAC search, a
            mapping with key `stac` (see `geodl.data.stacsearch.search`): a scene for each item. Any other mapping is one of
            band names to paths, which is one scene; a list may hold such mappings.
        stack: the files of the folder, glob or list are the bands of one scene.

    Returns:
        A (name, spec) per scene, sorted by path or id; a spec is what `open_source` opens. Names are unique.

    Raises:
        EmptyDataset: nothing was found.
        SourceUnreadable: there is no such file or folder, or the STAC API does not answer.
        OptionError: a search cannot be understood.
    """
    if stack and not is_one_scene(where):
        files = find_files(where, extensions=RASTER_EXTENSIONS, what="images")
        folder = isinstance(where, (str, os.PathLike)) and os.path.isdir(where)
        return [(os.path.basename(os.path.abspath(os.fspath(where))) if folder else common_name(files), files)]
    specs = _specs(where)
    paths = [spec for spec in specs if isinstance(spec, str) and CubeWord.read(spec) is None]
    by_path = dict(zip(paths, distinct_names(paths)))
    names = numbered([_name(spec, by_path) for spec in specs])
    return list(zip(names, specs))


def is_one_scene(where: Any) -> bool:
    """Whether `where` is one scene, which `open_source` opens, and not many, which `find_scenes` lists."""
    if not isinstance(where, str | os.PathLike):
        return not isinstance(where, (list, tuple)) and not _is_search(where)
    text = os.fspath(where)
    if _is_whole_product(text) or is_item(text):
        return not has_magic(text) or os.path.exists(text)
    word = CubeWord.read(text)
    path = word.path if word is not None else text
    if not is_local(path):
        return not is_remote_folder(path)
    if os.path.isdir(path):
        return word is not None
    return os.path.exists(path) or not has_magic(path)


def needs_bands(where: Any) -> bool:
    """Whether it must be said which bands are wanted: products and STAC items have bands on several grids."""
    return is_item(where) or (isinstance(where, str | os.PathLike) and is_product(where))


def _specs(where: Any) -> list[Any]:
    if _is_search(where):
        return list(search(where))
    if _is_mapping(where):
        return [dict(where)] if where else _specs([])
    if isinstance(where, (list, tuple)):
        if all(isinstance(item, str | os.PathLike) for item in where):
            listed = [spec for item in where for spec in _specs(item)]
            return list(dict.fromkeys(listed)) if where else find_files([], extensions=(), what="images")
        return [spec for item in where for spec in _specs(item)]
    if not isinstance(where, str | os.PathLike):
        return [where]
    text = os.fspath(where)
    word = CubeWord.read(text)
    if word is not None and (is_local(word.path) or is_remote_folder(word.path)):
        # What is chosen stands behind the path, where a folder or a glob would not be found with it.
        found = find_files(word.path, extensions=CUBE_EXTENSIONS, what="NetCDF files", folders=_is_scene_folder)
        return [str(replace(word, path=path)) for path in found]
    return list(
        find_files(
            text, extensions=RASTER_EXTENSIONS + CUBE_EXTENSIONS, what="images", folders=_is_scene_folder
        )
    )  # fmt: skip


def _is_scene_folder(path: str) -> bool:
    return os.path.isdir(path) and (CubeWord.read(path) is not None or _is_whole_product(path))


def _is_whole_product(path: str) -> bool:
    """A product, and not a folder that has one among other things: that is many scenes."""
    if not is_product(path):
        return False
    return not os.path.isdir(path) or not any(entry.is_dir() and is_product(entry.path) for entry in os.scandir(path))


def _is_search(thing: Any) -> bool:
    return _is_mapping(thing) and "stac" in thing


def _is_mapping(thing: Any) -> bool:
    """An `xarray.Dataset` is a mapping too, but not of paths."""
    return isinstance(thing, Mapping) and not hasattr(thing, "dims")


def _name(spec: Any, by_path: Mapping[str, str]) -> str:
    if isinstance(spec, str):
        word = CubeWord.read(spec)
        return by_path[spec] if word is None else word.name
    if _is_mapping(spec):
        return common_name([os.fspath(path) for path in spec.values()])
    return str(getattr(spec, "id", None) or getattr(spec, "name", None) or "array")


def _refuse_other_grid(what: str, resample: Resample | None) -> None:
    if resample is not None and (resample.resolution is not None or resample.crs is not None):
        raise OptionError(
            "resample", expected=f"none, or a method only: {what} stays on its grid", received=resample
        )  # fmt: skip
