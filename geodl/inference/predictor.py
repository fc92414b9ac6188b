"""Predictor: a network with its contract, from scenes to maps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from geodl.contract import Contract
from geodl.data.raster import Spec
from geodl.data.source import Source
from geodl.inference.converted import Runtime
from geodl.inference.engine import Progress
from geodl.inference.filewalk import Polygons, map_files
from geodl.inference.loaded import Loaded
from geodl.inference.mapper import Mapper
from geodl.inference.options import Bounds, MapOptions, Options

if TYPE_CHECKING:
    import keras
    import xarray as xr
    from distributed import Client

__all__ = ("Bounds", "Predictor")


class Predictor(Loaded):
    """Maps scenes with a trained network. `geodl.load` gives one.

    Args:
        network: any Keras model that eats and gives what the contract says; None: that of the bundle, loaded when it is
            needed.
        contract: bands, units, pixel size and margin of its input; classes or bands of its output.
        path: folder of its bundle, if it has one.
        runtime: what runs a bundle's network, see `geodl.load`. A `network` given here is run by Keras.

    Raises:
        OptionError: there is no such runtime.
        BackendUnavailable: the runtime is not installed.

    Example:

    >>> model = geodl.load("runs/a")
    >>> model.predict_file("scene.tif", "map.tif", confidence=True)
    >>> classes = model.predict(rioxarray.open_rasterio("scene.tif"))
    """

    def __init__(
        self,
        network: keras.Model | None,
        contract: Contract,
        path: str | os.PathLike[str] | None = None,
        *,
        runtime: Runtime | None = None,
    ) -> None:
        super().__init__(network, contract, path, runtime=runtime)
        self._mapper = Mapper(contract, self._run)

    def __repr__(self) -> str:
        bands, output = len(self.contract.input.bands), self.contract.output
        gives = f"{len(output.classes or output.bands)} {output.kind}"
        return f"<Predictor {self.contract.pipeline}: {bands} bands to {gives}>"

    def predict(
        self, data: Any, *, residual: bool = False, progress: Progress | None = None, **options: Unpack[MapOptions]
    ) -> xr.DataArray | xr.Dataset:
        """Maps a scene in memory.

        Args:
            data: a DataArray or Dataset with dims y and x, an array (height, width, band), a path, or a `Source`, in
                physical units. Bands are found by name, or by order where they have none. A network of `luma` takes
                images with bands red, green and blue, or one of grey, of 0 to 255, and gives back the same bands.
            residual: also give what the network took away: input minus output. Of bands in the units `intensity` and
                `amplitude`, whose noise is a factor, it is input over output (the ratio image); in dB the difference.
            progress: called with the pixels done and in all.
            **options: any of these:

                - `probabilities` (bool): also give the probability of each class;
                - `confidence` (bool): also give the largest probability;
                - `entropy` (bool): also give the entropy of the probabilities, 0 (certain) to 1 (all alike);
                - `overlap` (int, `"auto"` or `"exact"`): pixels that neighbouring tiles share; `"exact"`: as many as make
                  the map equal to one whole pass. Default: `"auto"`;
                - `batch_size` (int): tiles that go through the network together. Default: 1;
                - `bbox` (minx, miny, maxx, maxy): map only the pixels that this box touches, in the scene's CRS;
                - `mask` (path): file with polygons, in any CRS; pixels outside are nodata;
                - `any_resolution` (bool): accept a scene whose pixels have another size than those the network was
                  trained on;
                - `resample` (str): bring the scene to the pixel size that the network was trained on, and bands on
                  several grids onto one, by this method of GDAL's: `"bilinear"`, `"cubic"`, `"average"`, … The map is on
                  the new grid. Networks that were made for bands on several grids bring these onto one unasked;
                - `noise_level` (float): standard deviation of the noise, in the unit of the bands (`luma`: 16 to 235), for
                  networks that are told of it. Default: estimated from some windows of the scene;
                - `turns` (int): mean over so many mirrored and turned views of each tile (test-time augmentation): 1, 2,
                  4 or 8. It takes as many times as long. Default: 1;
                - `memory` (int): bytes that may be taken beyond the backend, the scene and the map themselves. Default:
                  2 GiB.

        Returns:
            The map on the scene's grid, or a finer one for super-resolution: class values (uint8), or the network's
            bands (float32); a Dataset if more was asked for. Of a dask-backed scene a lazy map; only what is computed of
            it is read.

        Raises:
            BandMismatch: the scene lacks a band.
            UnitMismatch: a band has another unit.
            ResolutionMismatch: the pixels have another size.
            OptionError: an option has a value that cannot be used, or is none of this kind of network.
            NoValidPixels: all is nodata.
            TypeError: there is no such option.

        Example:

        >>> scene = rioxarray.open_rasterio("scene.tif", chunks={})
        >>> model.predict(scene).rio.to_raster("map.tif")
        """
        request = self._mapper.request(data, Options(**options, residual=residual))
        plan = self._mapper.plan(request)
        layers = request.products.layers
        from geodl.data.cube import ArraySource
        from geodl.inference.arrays import MemorySink, to_xarray

        if isinstance(request.source, ArraySource) and request.source.is_lazy:
            arrays: Sequence[Any] = self._mapper.lazy(request, plan)
        else:
            sink = MemorySink(layers, *request.grid.shape)
            self._mapper.map(request, plan, sink, progress)
            arrays = sink.arrays
        return to_xarray(layers, arrays, request.source, request.window, scale=self.contract.output.scale)

    def predict_file(
        self,
        source: Spec | Source | Sequence[Spec],
        target: str | os.PathLike[str],
        *,
        residual: str | os.PathLike[str] | None = None,
        mosaic: bool = False,
        vectorise: str | os.PathLike[str] | None = None,
        simplify: float | None = None,
        minimum: int = 1,
        progress: Progress | None = None,
        overwrite: bool = False,
        cluster: str | Client | None = None,
        **options: Unpack[MapOptions],
    ) -> list[Path]:
        """Maps scenes from files to files, in bounded memory.

        A map is a cloud-optimised GeoTIFF with overviews, colour table, class names and nodata on the scene's grid. It
        appears under its name only when it is whole.

        Args:
            source: a path; a mapping of band names to paths; a `Source`; or, for many scenes, a folder, a glob or a
                list.
            target: path of the map, ending in `.tif`; for many scenes a folder, whose maps are called as the scenes.
            residual: also write what the network took away, as in `predict`: path of the file, ending in `.tif`; for many
                scenes another folder.
            mosaic: make one map of all scenes, on the grid of the first one, extended; where they overlap, the first
                one with a valid pixel is seen.
            vectorise: also write the areas of each class as polygons, to this `.gpkg`, `.fgb` or `.geojson` file, with
                class and mean confidence as columns. One map only.
            simplify: of polygons, in units of the CRS; see `geodl.inference.vectorise.vectorise`.
            minimum: merge polygons of fewer pixels into their largest neighbour.
            progress: called with the pixels done and in all, over all scenes, and once more for polygons.
            overwrite: replace existing maps.
            cluster: map on a cluster of Dask's: `local:N`, that many processes of this machine; the address of a
                scheduler, such as `tcp://host:8786`; or a `distributed.Client`. `memory` is then what each worker may take. A
                call that was broken off is gone on with by the same call: tiles that are done are not done again.
            **options: as in `predict`. `probabilities` go to `map.probabilities.tif`, a band per class, `confidence` to
                `map.confidence.tif` and `entropy` to `map.entropy.tif`, beside the map. `memory` is all that is taken
                beyond the backend.

        Returns:
            Paths of the maps, one per scene.

        Raises:
            OutputExists: there is such a map.
            OutputUnwritable: no permission, disk full, or the disk is too small for a map.
            SourceUnreadable: a scene is missing or damaged.
            EmptyDataset: the folder holds no scene.
            BackendUnavailable: there is no such cluster, or it is lost.
            GeodlError: as in `predict`. All scenes are looked at before the first one is mapped.
        """
        asked = Options(**options, residual=residual is not None)
        polygons = None
        if vectorise is not None:
            polygons = Polygons(vectorise, simplify, minimum, passing=not asked.confidence)
            asked = replace(asked, confidence=True)
        return map_files(
            self._mapper,
            source,
            target,
            asked,
            mosaic=mosaic,
            residual=residual,
            polygons=polygons,
            progress=progress,
            overwrite=overwrite,
            cluster=cluster,
        )
