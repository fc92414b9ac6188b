"""Polygon layers (GeoPackage, GeoJSON, Shapefile, …), and which of their columns holds the class."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError
from shapely import GeometryType

from geodl.data.files import is_local, local_copy
from geodl.data.handles import without_warnings
from geodl.data.source import Grid
from geodl.errors import EmptyDataset, LabelsUnreadable, SourceUnreadable, nearest
from geodl.storage.address import is_address, parsed

__all__ = ("VECTOR_EXTENSIONS", "Layer", "is_vector", "read_layer")

VECTOR_EXTENSIONS = (".gpkg", ".geojson", ".shp", ".fgb")
"""What counts as polygons in a folder. A file named outright may also end in `.json`, `.kml` or `.gml`."""

_CERTAIN = re.compile("class|class_?name|label|label_?name|land_?cover|lulc|category|lc|lu")
_LIKELY = re.compile("class|label|cover|land_?use|lulc|categ|crop|species|type|code|kind|name")
_NEVER = re.compile("fid|id|gid|ogc_fid|objectid|osm_id|uuid|uid|index")

_DAMAGED = (DataSourceError, DataLayerError, IndexError, UnboundLocalError, UnicodeError)
"""What pyogrio raises of damaged files; the last three where a feature, a CRS or text is not what it takes it for."""


def is_vector(path: str) -> bool:
    """Says whether a file holds polygons rather than pixels, by its ending."""
    name = path.partition("?")[0] if is_address(path) else path
    return name.lower().endswith((*VECTOR_EXTENSIONS, ".json", ".kml", ".gml"))


@dataclass(frozen=True, eq=False)
class Layer:
    """The polygons of a file and their columns. Rows without geometry have been left out, invalid shapes mended."""

    path: str
    crs: CRS | None
    shapes: np.ndarray
    """Polygons and multipolygons, of shape (n,)."""
    columns: dict[str, np.ndarray]
    """Arrays of shape (n,) by column name."""

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.shapes)

    def values(self, column: str) -> list[int | str | None]:
        """Returns the value of each polygon in `column`: whole numbers as int (even if written as text), or None.

        Raises:
            LabelsUnreadable: no such column, or it holds fractions or dates.
        """
        if column not in self.columns:
            raise LabelsUnreadable(
                self.path, f"there is no column {column!r}",
                advice=f"Columns: {', '.join(self.columns) or 'none'}.{nearest(column, self.columns)}",
            )  # fmt: skip
        raw = _plain(self.columns[column])
        if raw is None:
            raise LabelsUnreadable(
                self.path, f"column {column!r} holds neither text nor whole numbers ({self.columns[column].dtype})",
                advice="Set data.label_column to a column of class names or whole numbers.",
            )  # fmt: skip
        return raw

    def class_column(self) -> str:
        """Finds the column that holds the class: the only one that can, or the one whose name says so, text first.

        Raises:
            LabelsUnreadable: none, or several equally likely ones; they are listed.
        """
        rows = len(self.shapes)
        candidates = {}
        for name, column in self.columns.items():
            values = _plain(column)
            if values is not None and any(value is not None for value in values):
                candidates[name] = values
        if len(candidates) > 1:
            # What differs in every row tells rows apart, not classes.
            repeated = {name: values for name, values in candidates.items() if rows < 3 or len(set(values)) < rows}
            named = {name: values for name, values in repeated.items() if not _NEVER.fullmatch(name.lower())}
            candidates = named or repeated or candidates
        ranked: dict[tuple[int, bool], list[str]] = {}
        for name, values in candidates.items():
            lower = name.lower()
            rank = 0 if _CERTAIN.fullmatch(lower) else 1 if _LIKELY.search(lower) else 2
            ranked.setdefault((rank, all(not isinstance(value, str) for value in values)), []).append(name)
        best = ranked[min(ranked)] if ranked else []
        if len(best) == 1:
            return best[0]
        problem = f"several columns may hold the class ({', '.join(best)})" if best else "no column can hold the class"
        raise LabelsUnreadable(
            self.path, problem, advice=f"Set data.label_column. Columns: {', '.join(self.columns) or 'none'}."
        )

    def codes(self, column: str) -> dict[int | str, int]:
        """Finds the numbers that go with the names in `column`: another column of whole numbers, one-to-one with it.

        Returns:
            Number by name; empty where `column` holds numbers itself, or there is none or more than one such column.
        """
        names = self.values(column)
        if not any(isinstance(name, str) for name in names):
            return {}
        found = []
        for other in self.columns:
            codes = _plain(self.columns[other]) if other != column and not _NEVER.fullmatch(other.lower()) else None
            if codes is None:
                continue
            pairs = {(name, code) for name, code in zip(names, codes) if name is not None}
            one_to_one = len(pairs) == len({name for name, _ in pairs}) == len({code for _, code in pairs})
            if one_to_one and all(isinstance(code, int) for _, code in pairs) and len(pairs) < max(len(names), 2):
                found.append({name: code for name, code in pairs if isinstance(code, int)})
        return found[0] if len(found) == 1 else {}

    def on(self, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """Finds the polygons that touch a grid.

        Args:
            grid: of the image.

        Returns:
            Their shapes in the grid's CRS, and their positions in this layer, in ascending order.

        Raises:
            LabelsUnreadable: one of the two has a CRS and the other has none.
        """
        if (self.crs is None) != (grid.crs is None):
            lacking, other = ("polygons", "image") if self.crs is None else ("image", "polygons")
            raise LabelsUnreadable(
                self.path, f"the CRS of the {lacking} is not stated, that of the {other} is",
                advice="Assign the CRS to the file that lacks it.",
            )  # fmt: skip
        outline = grid.footprint()
        if self.crs is None or grid.crs is None or self.crs.equals(grid.crs, ignore_axis_order=True):
            near = np.sort(self._tree.query(outline, predicate="intersects"))
            return self.shapes[near], near
        try:
            to_layer = Transformer.from_crs(grid.crs, self.crs, always_xy=True)
            to_grid = Transformer.from_crs(self.crs, grid.crs, always_xy=True)
            bounds = to_layer.transform_bounds(*outline.bounds, densify_pts=21)
        except ProjError as error:
            raise LabelsUnreadable(
                self.path, f"its CRS cannot be brought to the image's ({error})", advice="Reproject the polygons first."
            ) from error
        crosses_date_line = bounds[0] > bounds[2]
        within = np.arange(len(self.shapes))
        if np.isfinite(bounds).all() and not crosses_date_line:
            within = self._tree.query(shapely.box(*bounds))
        moved = shapely.transform(self.shapes[within], lambda xy: np.column_stack(to_grid.transform(*xy.T)))
        finite = np.isfinite(shapely.bounds(moved)).all(axis=1)
        moved, within = moved[finite], within[finite]
        hit = shapely.intersects(moved, outline) if len(moved) else np.zeros(0, bool)
        order = np.argsort(within[hit])
        return moved[hit][order], within[hit][order]


def read_layer(path: str | os.PathLike[str]) -> Layer:
    """Reads a polygon layer; a file that has been read and has not changed since is not read again.

    Raises:
        SourceUnreadable: missing, damaged, or of no format that is known.
        LabelsUnreadable: several layers; points or lines.
        EmptyDataset: no polygon in it.
    """
    text = _local_copy(os.fspath(path))
    if not is_local(text):
        return _read(text, None)
    if not os.path.isfile(text):
        raise SourceUnreadable(text, "it is a folder" if os.path.isdir(text) else "there is no such file")
    status = os.stat(text)
    return _read(text, (status.st_mtime_ns, status.st_size))


def _local_copy(path: str) -> str:
    if not (is_address(path) and parsed(path).key.lower().endswith(".shp")):
        return local_copy(path)
    from geodl.storage.cached import fetched_folder

    folder, name = path.partition("?")[0].rsplit("/", 1)
    query = path[len(folder) + 1 + len(name) :]
    kinds = [(".shp", ".shx", ".dbf"), (".prj", ".cpg")]
    needed, optional = ([str(Path(name).with_suffix(kind)) for kind in some] for some in kinds)
    copy = fetched_folder(folder + query, needed, optional=optional) / name
    return str(copy) if copy.is_file() else local_copy(path)


@lru_cache(maxsize=16)
def _read(path: str, version: tuple[int, int] | None) -> Layer:
    if path.lower().endswith(".shp") and version is not None and not _whole_shapefile(path, size=version[1]):
        # OGR would give the polygons that are left and say nothing.
        raise SourceUnreadable(path, "the file is cut short", advice="Copy or download it again.")
    try:
        with without_warnings(RuntimeWarning):
            layers = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
            if len(layers) > 1:
                raise LabelsUnreadable(
                    path, f"it has several layers ({', '.join(layers)})", advice="Export the one with the labels."
                )
            meta, _, encoded, columns = pyogrio.raw.read(path, layer=layers[0] if layers else None, force_2d=True)
        shapes = shapely.from_wkb(encoded) if encoded is not None else np.zeros(0, object)
        crs = CRS.from_user_input(meta["crs"]) if meta["crs"] else None
    except (*_DAMAGED, shapely.errors.ShapelyError, CRSError) as error:
        unknown = "not recognized as being in a supported file format" in str(error)
        cause = "it holds no polygons in a format that is known" if unknown else str(error).rstrip(".")
        raise SourceUnreadable(path, cause) from error
    present = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    shapes = shapes[present]
    if len(shapes) == 0:
        raise EmptyDataset(path, expected="polygons", received="an empty layer")
    kinds = shapely.get_type_id(shapes)
    if not np.isin(kinds, (GeometryType.POLYGON, GeometryType.MULTIPOLYGON, GeometryType.GEOMETRYCOLLECTION)).any():
        seen = " and ".join(sorted({GeometryType(kind).name.lower() for kind in kinds}))
        raise LabelsUnreadable(
            path, f"it holds {seen} features", advice="Expected polygons. Buffer points and lines first."
        )
    shapes = np.array([_surface(shape) for shape in shapes], object)
    kept = ~shapely.is_empty(shapes)
    if not kept.any():
        raise EmptyDataset(path, expected="polygons", received="geometries without area")
    return Layer(path, crs, shapes[kept], {str(name): c[present][kept] for name, c in zip(meta["fields"], columns)})


def _whole_shapefile(path: str, *, size: int) -> bool:
    """Compares the length that the header states (bytes 24 to 27, in 16-bit words) with the file's."""
    with open(path, "rb") as file:
        header = file.read(28)
    return len(header) == 28 and 2 * int.from_bytes(header[24:], "big") <= size


def _surface(shape: shapely.Geometry) -> shapely.Geometry:
    """Mends a shape and leaves only what has an area."""
    if not shapely.is_valid(shape):
        shape = shapely.make_valid(shape)
    if shapely.get_type_id(shape) in (GeometryType.POLYGON, GeometryType.MULTIPOLYGON):
        return shape
    parts = shapely.get_parts(shapely.get_parts(shape))
    return shapely.union_all(parts[shapely.get_type_id(parts) == GeometryType.POLYGON])


def _plain(column: np.ndarray) -> list[int | str | None] | None:
    """Returns a column as whole numbers and texts, None where missing; or None if it holds anything else."""
    if column.dtype.kind in "iu":
        return [int(value) for value in column]
    if column.dtype.kind == "f":
        present = column[np.isfinite(column)]
        if len(present) == 0 or (present != np.round(present)).any():
            return None
        return [int(value) if np.isfinite(value) else None for value in column]
    if column.dtype.kind not in "OUT":
        return None
    texts = [value.strip() or None if isinstance(value, str) else None for value in column]
    if any(value is not None and not isinstance(value, (str, float)) for value in column):
        return None
    present_texts = [text for text in texts if text is not None]
    if present_texts and all(text.lstrip("-").isdecimal() for text in present_texts):
        return [int(text) if text is not None else None for text in texts]
    return list(texts)
