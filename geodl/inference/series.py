"""SeriesClassifier: a network with its contract, from time series to what grows there: maps, parcels and tables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np

from geodl.errors import OptionError
from geodl.inference.engine import Progress
from geodl.inference.loaded import Loaded

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from distributed import Client

    from geodl.data.datedcube import DatedCube
    from geodl.data.series.table import SeriesTable
    from geodl.inference.parcels import MemberRule
    from geodl.inference.seriesoptions import SeriesAsked, SeriesOptions
    from geodl.inference.seriesrun import SeriesRun

__all__ = ("SeriesClassifier",)

_MAPS = (".tif", ".tiff")
_VECTORISE, _PARCELS = "vectorise (--vectorize)", "parcels (--parcels)"


class SeriesClassifier(Loaded):
    """Tells of time series what grows there, with a trained network. `geodl.load` gives one.

    Args:
        network: a Keras model with inputs `values` (batch, time, band) and `days` (batch, time), output logits
            (batch, classes); None: that of the bundle, loaded when it is needed.
        contract: its bands, dates and classes.
        path: folder of its bundle, if it has one.
        runtime: what runs a bundle's network, see `geodl.load`.

    Example:

    >>> model = geodl.load("runs/crops")
    >>> model.predict_file("sentinel2_cube", "map.tif", confidence=True)
    >>> model.predict_file("sentinel2_cube", "parcels_crops.gpkg", parcels="parcels.gpkg")
    >>> model.predict("series.parquet").groupby("class").size()
    """

    def __repr__(self) -> str:
        bands, classes = self.contract.input.bands, self.contract.output.classes
        return f"<SeriesClassifier {self.contract.pipeline}: {len(bands)} bands to {len(classes)} classes>"

    def predict(
        self,
        data: Any,
        *,
        days: np.ndarray | Sequence[float] | None = None,
        parcels: Any = None,
        members: MemberRule = "mean",
        progress: Progress | None = None,
        **options: Unpack[SeriesOptions],
    ) -> xr.DataArray | xr.Dataset | pd.DataFrame | np.ndarray:
        """Classifies series in memory.

        Bands are found by name, in any order; dates by the day of the year. What the contract calls clouds is not used.

        Args:
            data: a cube: a DataArray or Dataset with dims time, y, x and perhaps band, a `Source` with times, or what
                `geodl.data.timecube.open_time_cube` takes, such as a folder of dated rasters; or series: a `SeriesTable`, a
                table of pandas or GeoPandas, a DataArray over (series, time, band), or the path of a table; or an array
                (series, time, band).
            days: of such an array: the day of the year of each date, (time,) or (series, time).
            parcels: of a cube: classify these, and not its pixels. A vector file, GeoParquet, or a `GeoDataFrame`; points
                stand for the pixel that they lie in.
            members: what a parcel is: `mean`, the mean series of the pixels whose centres lie in it; `predictions`: the
                mean of what is said of each of them.
            progress: called with the pixels, or series, done and in all.
            **options: any of these:

                - `probabilities` (bool): also give the probability of each class;
                - `confidence` (bool): of maps: also give the largest probability. Tables always have it;
                - `entropy` (bool): also give the entropy of the probabilities, 0 (certain) to 1 (all alike);
                - `scale` (float, or dict by band): of cubes: physical = stored × scale + offset, where the files do not
                  state it. Default: as in training, where the network learnt from such a cube, whose numbers were of the
                  same type;
                - `offset` (float, or dict by band): likewise;
                - `resample` (str): of cubes: brings rasters on several grids onto the finest, by this method of GDAL's;
                - `bbox` (minx, miny, maxx, maxy): of maps: only the pixels that this box touches, in the cube's CRS;
                - `mask` (path): of maps: file with polygons, in any CRS; pixels outside are nodata;
                - `memory` (int): bytes that may be taken beyond the backend, the data and the map themselves; of parcels
                  beyond their mean series, too. Default: 2 GiB;
                - `batch_size` (int): series that go through the network together. Default: as many as suit it.

        Returns:
            Of a cube the map on its grid: class values (uint8), a Dataset if more was asked for; lazy where the cube is
            held by dask. Of series and parcels a table: a row for each, its own columns, then `class` (name), `confidence`,
            `entropy`, `probability_NAME`, and for parcels `pixels`, the number of members with an observation; a
            `GeoDataFrame` where it is known where they are. Of an array (series, time, band), if nothing more was asked
            for, positions of the classes, int64 (series,). Where nothing was observed: nodata, no class, −1.

        Raises:
            BandMismatch: a band is missing.
            UnitMismatch: a band has another unit.
            DatesMismatch: the dates are none that the network can use.
            OptionError: an argument cannot be used with such data.
            NoValidPixels: nothing was observed anywhere.
            GeodlError: as `open_series` and `open_time_cube` raise.

        Example:

        >>> crops = model.predict(xr.open_zarr("cube.zarr"))
        >>> crops.rio.to_raster("map.tif")
        """
        from geodl.inference.seriesoptions import SeriesAsked

        asked = SeriesAsked(**options)
        if parcels is not None:
            return self._of_parcels(data, parcels, members, asked, progress)
        table = self._table(data, days)
        if table is None:
            return self._map(data, asked, progress)
        asked.refuse_of_cubes()
        answer = self._ask(asked, progress).of_table(table)
        if isinstance(data, np.ndarray) and not (asked.probabilities or asked.confidence or asked.entropy):
            return answer.labels
        from geodl.inference.seriesanswer import table_frame

        return table_frame(table, answer.columns(probabilities=asked.probabilities, entropy=asked.entropy))

    def predict_file(
        self,
        source: Any,
        target: str | os.PathLike[str],
        *,
        parcels: Any = None,
        members: MemberRule = "mean",
        vectorise: str | os.PathLike[str] | None = None,
        simplify: float | None = None,
        minimum: int = 1,
        progress: Progress | None = None,
        overwrite: bool = False,
        cluster: str | Client | None = None,
        **options: Unpack[SeriesOptions],
    ) -> list[Path]:
        """Classifies series from files to a file, which appears under its name only when it is whole.

        Args:
            source: as `data` of `predict`.
            target: of a cube a map, `.tif`: a cloud-optimised GeoTIFF on its grid, with colour table, made in bounded
                memory. Of a table, or of parcels, a table: `.csv`, `.parquet` (GeoParquet where there are shapes), `.gpkg`,
                `.geojson` or `.fgb`.
            parcels: as of `predict`.
            members: as of `predict`.
            vectorise: of a map: also write the areas of each class as polygons, to this `.gpkg`, `.fgb` or `.geojson` file.
            simplify: of these, in units of the CRS; see `geodl.inference.vectorise.vectorise`.
            minimum: merge polygons of fewer pixels into their largest neighbour.
            progress: called with the pixels, or series, done and in all.
            overwrite: replace an existing file.
            cluster: of a map: make it on a cluster of Dask's, see `Predictor.predict_file`.
            **options: as in `predict`. Of a map `probabilities` go to `map.probabilities.tif`, a band per class,
                `confidence` to `map.confidence.tif` and `entropy` to `map.entropy.tif`, beside it.

        Returns:
            The path of what was written, in a list.

        Raises:
            OutputExists: there is such a file.
            OutputUnwritable: no permission, disk full.
            GeodlError: as `predict` raises.
        """
        from geodl.inference.seriesfile import check_table_target, write_table
        from geodl.inference.seriesoptions import SeriesAsked
        from geodl.inference.seriestable import is_table

        path, asked = Path(target), SeriesAsked(**options)
        if parcels is None and not is_table(source):
            shapes = _Shapes(vectorise, simplify, minimum)
            return self._map_file(source, path, asked, shapes, progress, overwrite, cluster)
        if cluster is not None:
            raise OptionError("cluster (--cluster)", expected="none: it is of maps", received=cluster)
        if vectorise is not None:
            raise OptionError(_VECTORISE, expected="none: it is of maps", received=os.fspath(vectorise))
        read = [os.fspath(each) for each in (source, parcels) if isinstance(each, str | os.PathLike)]
        check_table_target(path, shaped=True, sources=read, overwrite=overwrite)
        if parcels is not None:
            frame = self._of_parcels(source, parcels, members, asked, progress)
        else:
            asked.refuse_of_cubes()
            table = self._table(source, None)
            assert table is not None
            check_table_target(path, shaped=table.geometry is not None, sources=read, overwrite=overwrite)
            answer = self._ask(asked, progress).of_table(table)
            from geodl.inference.seriesanswer import table_frame

            frame = table_frame(table, answer.columns(probabilities=asked.probabilities, entropy=asked.entropy))
        write_table(frame, path)
        return [path]

    def _ask(self, asked: SeriesAsked, progress: Progress | None) -> SeriesRun:
        from geodl.inference.seriesrun import SeriesRun

        return SeriesRun(self.contract, self._run, asked, progress)

    def _table(self, data: Any, days: Any) -> SeriesTable | None:
        """The series with the network's bands; None where data are a cube."""
        import xarray as xr

        from geodl.data.cubegrid import find_axes
        from geodl.inference.seriestable import is_table, read_table, table_of_arrays, table_of_xarray

        if isinstance(data, np.ndarray) and data.ndim == 3:
            return table_of_arrays(data, None if days is None else np.asarray(days), self.contract.input.bands)
        if days is not None:
            expected = "none but with an array (series, time, band)"
            raise OptionError("days", expected=expected, received=type(data).__name__)
        if isinstance(data, xr.DataArray) and None in find_axes(data.dims, data.coords):
            return read_table(table_of_xarray(data), self.contract)
        return read_table(data, self.contract) if is_table(data) else None

    def _cube(self, data: Any, asked: SeriesAsked) -> DatedCube:
        from geodl.inference.pixelseries import series_cube

        return series_cube(
            data, self.contract, resample=asked.resample, scale=asked.scale, offset=asked.offset
        )  # fmt: skip

    def _map(self, data: Any, asked: SeriesAsked, progress: Progress | None) -> xr.DataArray | xr.Dataset:
        import xarray as xr

        from geodl.data.opening import open_source
        from geodl.inference.arrays import MemorySink, to_xarray
        from geodl.inference.seriesmapper import SeriesMapper

        cube = self._cube(data, asked)
        mapper = SeriesMapper(self.contract, self._run, cube, batch=asked.batch_size)
        request = mapper.request(cube, asked.of_map)
        plan = mapper.plan(request)
        layers = request.products.layers
        given: Any = open_source(data) if isinstance(data, (xr.DataArray, xr.Dataset)) else request.source
        if getattr(given, "is_lazy", False):
            from geodl.inference.lazyseries import lazy_series_map

            arrays: Sequence[Any] = lazy_series_map(given, request, plan, eaten=self.contract.input)
        else:
            sink = MemorySink(layers, *request.grid.shape)
            mapper.map(request, plan, sink, progress)
            arrays = sink.arrays
        return to_xarray(layers, arrays, given, request.window)

    def _map_file(
        self,
        source: Any,
        path: Path,
        asked: SeriesAsked,
        shapes: _Shapes,
        progress: Progress | None,
        overwrite: bool,
        cluster: str | Client | None,
    ) -> list[Path]:
        """Maps a cube to a GeoTIFF and, where they are asked for, to polygons."""
        from geodl.inference.filewalk import Polygons, map_files
        from geodl.inference.seriesmapper import SeriesMapper

        if path.suffix.lower() not in _MAPS and not path.is_dir():
            expected = "a file that ends in .tif, for the map of a cube; or parcels (--parcels), for a table of these"
            raise OptionError("target", expected=expected, received=os.fspath(path))
        options, polygons = asked.of_map, None
        if shapes.target is not None:
            polygons = Polygons(shapes.target, shapes.simplify, shapes.minimum, passing=not options.confidence)
            options = replace(options, confidence=True)
        cube = self._cube(source, asked)
        return map_files(
            SeriesMapper(self.contract, self._run, cube, batch=asked.batch_size),
            cube,
            path,
            options,
            mosaic=False,
            residual=None,
            polygons=polygons,
            progress=progress,
            overwrite=overwrite,
            cluster=cluster,
            about=repr(asked),
        )

    def _of_parcels(
        self, data: Any, parcels: Any, rule: MemberRule, asked: SeriesAsked, progress: Progress | None
    ) -> pd.DataFrame:
        """Parcels with their own columns, and what the network says of them."""
        from geodl.inference.parcels import check_members
        from geodl.inference.seriesanswer import parcel_frame
        from geodl.inference.seriesfile import open_parcels
        from geodl.inference.seriestable import is_table

        check_members(rule)
        asked.refuse_of_maps()
        if is_table(data):
            raise OptionError(_PARCELS, expected="a cube that they lie in", received="a table of series")
        frame = open_parcels(parcels)
        where = os.fspath(parcels) if isinstance(parcels, str | os.PathLike) else "The parcels"
        answer, pixels = self._ask(asked, progress).of_parcels(self._cube(data, asked), frame, rule, where=where)
        columns = answer.columns(probabilities=asked.probabilities, entropy=asked.entropy)
        return parcel_frame(frame, {**columns, "pixels": pixels})


class _Shapes(NamedTuple):
    """Polygons that are asked for beside a map."""

    target: str | os.PathLike[str] | None
    simplify: float | None
    minimum: int
