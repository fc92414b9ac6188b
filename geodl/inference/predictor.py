"""Predictor: a network with its contract, from scenes to maps."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geodl.bundle import NETWORK, load_network
from geodl.contract import Contract
from geodl.data.blockcache import row_cache_bytes
from geodl.data.files import is_local
from geodl.data.opening import find_scenes, is_one_scene, needs_bands, open_source
from geodl.data.raster import Spec
from geodl.data.resample import Method, Resample
from geodl.data.source import Grid, Source, Window
from geodl.data.windows import bbox_window
from geodl.errors import NoValidPixels, OptionError
from geodl.inference.blocks import Tiling
from geodl.inference.conversion import Format
from geodl.inference.converted import Call, Converted, Runtime, choose, open_converted
from geodl.inference.engine import Progress, Sink, map_scene
from geodl.inference.fitting import fit_source
from geodl.inference.planning import DEFAULT_MEMORY, Cost, Overlap, plan_tiling
from geodl.inference.products import Products, make_products
from geodl.inference.turns import Turns, with_turns
from geodl.inference.writers import MapWriter, check_room

if TYPE_CHECKING:
    import keras
    import xarray as xr

    from geodl.inference.area import Area

__all__ = ("Bounds", "Predictor")

Bounds = tuple[float, float, float, float]
"""minx, miny, maxx, maxy in the scene's CRS."""

_log = logging.getLogger("geodl")


@dataclass(frozen=True)
class _Options:
    """What was asked for; see `Predictor.predict`."""

    probabilities: bool
    confidence: bool
    entropy: bool
    overlap: Overlap
    batch_size: int
    bbox: Bounds | None
    mask: str | os.PathLike[str] | None
    any_resolution: bool
    resample: Method | None
    turns: Turns
    memory: int


@dataclass(frozen=True)
class _Request:
    """One scene and what is asked of it."""

    source: Source
    products: Products
    window: Window
    area: Area | None
    grid: Grid
    """Of the map."""


@dataclass(frozen=True)
class _Plan:
    """How a scene goes through the network."""

    call: Call
    tiling: Tiling


class Predictor:
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

    >>> model = geodl.load("runs/a")  # doctest: +SKIP
    >>> model.predict_file("scene.tif", "map.tif", confidence=True)  # doctest: +SKIP
    >>> classes = model.predict(rioxarray.open_rasterio("scene.tif"))  # doctest: +SKIP
    """

    def __init__(
        self,
        network: keras.Model | None,
        contract: Contract,
        path: str | os.PathLike[str] | None = None,
        *,
        runtime: Runtime | None = None,
    ) -> None:
        if network is None and path is None:
            raise OptionError("network", expected="a Keras model, or the path of a bundle", received=None)
        self.contract = contract
        self.path = None if path is None else Path(path)
        self._runtimes: tuple[Runtime, ...] = ("keras",) if network is not None else choose(runtime)
        self._warned = False
        if network is not None:
            self.network = network

    def __repr__(self) -> str:
        bands, output = len(self.contract.input.bands), self.contract.output
        gives = f"{len(output.classes or output.bands)} {output.kind}"
        return f"<Predictor {self.contract.pipeline}: {bands} bands to {gives}>"

    @cached_property
    def network(self) -> keras.Model:
        """The Keras model."""
        assert self.path is not None
        return load_network(self.path / NETWORK)

    @property
    def call(self) -> Call:
        """The network as a function of arrays: physical units and not-a-number in, raw outputs out."""
        return self._running.call

    @property
    def runtime(self) -> Runtime:
        """What runs the network."""
        return self._running.runtime

    @cached_property
    def _running(self) -> Converted:
        found = None if self.path is None else open_converted(self.path, self._runtimes)
        if found is not None:
            return found
        network = self.network
        from geodl.inference.runtime import activation_bytes, compile_network

        return Converted(compile_network(network), "keras", activation_bytes(network))

    def predict(
        self,
        data: Any,
        *,
        probabilities: bool = False,
        confidence: bool = False,
        entropy: bool = False,
        overlap: Overlap = "auto",
        batch_size: int = 1,
        bbox: Bounds | None = None,
        mask: str | os.PathLike[str] | None = None,
        any_resolution: bool = False,
        resample: Method | None = None,
        turns: Turns = 1,
        memory: int = DEFAULT_MEMORY,
        progress: Progress | None = None,
    ) -> xr.DataArray | xr.Dataset:
        """Maps a scene in memory.

        Args:
            data: a DataArray or Dataset with dims y and x, an array (height, width, band), a path, or a `Source`, in
                physical units. Bands are found by name, or by order where they have none.
            probabilities: also give the probability of each class.
            confidence: also give the largest probability.
            entropy: also give the entropy of the probabilities, 0 (certain) to 1 (all alike).
            overlap: pixels that neighbouring tiles share; `"exact"`: as many as make the map equal to one whole pass.
            batch_size: tiles that go through the network together.
            bbox: map only the pixels that this box touches: minx, miny, maxx, maxy in the scene's CRS.
            mask: file with polygons, in any CRS; pixels outside are nodata.
            any_resolution: accept a scene whose pixels have another size than those the network was trained on.
            resample: bring the scene to the pixel size that the network was trained on, and bands on several grids
                onto one, by this method of GDAL's: `"bilinear"`, `"cubic"`, `"average"`, … The map is on the new grid.
            turns: mean over so many mirrored and turned views of each tile (test-time augmentation): 1, 2, 4 or 8. It
                takes as many times as long.
            memory: bytes that may be taken beyond the backend, the scene and the map themselves.
            progress: called with the pixels done and in all.

        Returns:
            The map on the scene's grid: class values (uint8), or the network's bands (float32); a Dataset if more was
            asked for. Of a dask-backed scene a lazy map; only what is computed of it is read.

        Raises:
            BandMismatch: the scene lacks a band.
            UnitMismatch: a band has another unit.
            ResolutionMismatch: the pixels have another size.
            OptionError: an option has a value that cannot be used.
            NoValidPixels: all is nodata.

        Example:

        >>> scene = rioxarray.open_rasterio("scene.tif", chunks={})  # doctest: +SKIP
        >>> model.predict(scene).rio.to_raster("map.tif")  # doctest: +SKIP
        """
        options = _Options(
            probabilities=probabilities,
            confidence=confidence,
            entropy=entropy,
            overlap=overlap,
            batch_size=batch_size,
            bbox=bbox,
            mask=mask,
            any_resolution=any_resolution,
            resample=resample,
            turns=turns,
            memory=memory,
        )
        request = self._request(data, options)
        plan = self._plan(request, options)
        layers = request.products.layers
        from geodl.data.cube import ArraySource
        from geodl.inference.arrays import MemorySink, to_xarray
        from geodl.inference.lazy import lazy_map

        if isinstance(request.source, ArraySource) and request.source.is_lazy:
            arrays: Sequence[Any] = lazy_map(plan.call, request.source, **self._walk(request, plan))
        else:
            sink = MemorySink(layers, *request.grid.shape)
            self._map(request, plan, sink, batch_size, progress)
            arrays = sink.arrays
        return to_xarray(layers, arrays, request.source, request.window, scale=self.contract.output.scale)

    def predict_file(
        self,
        source: Spec | Source | Sequence[Spec],
        target: str | os.PathLike[str],
        *,
        probabilities: bool = False,
        confidence: bool = False,
        entropy: bool = False,
        overlap: Overlap = "auto",
        batch_size: int = 1,
        bbox: Bounds | None = None,
        mask: str | os.PathLike[str] | None = None,
        any_resolution: bool = False,
        resample: Method | None = None,
        turns: Turns = 1,
        memory: int = DEFAULT_MEMORY,
        mosaic: bool = False,
        vectorise: str | os.PathLike[str] | None = None,
        simplify: float | None = None,
        minimum: int = 1,
        progress: Progress | None = None,
        overwrite: bool = False,
    ) -> list[Path]:
        """Maps scenes from files to files, in bounded memory.

        A map is a cloud-optimised GeoTIFF with overviews, colour table, class names and nodata on the scene's grid. It
        appears under its name only when it is whole.

        Args:
            source: a path; a mapping of band names to paths; a `Source`; or, for many scenes, a folder, a glob or a
                list.
            target: path of the map, ending in `.tif`; for many scenes a folder, whose maps are called as the scenes.
            probabilities: also write `map.probabilities.tif`, a band per class.
            confidence: also write `map.confidence.tif`.
            entropy: also write `map.entropy.tif`.
            overlap: as in `predict`.
            batch_size: as in `predict`.
            bbox: as in `predict`.
            mask: as in `predict`.
            any_resolution: as in `predict`.
            resample: as in `predict`.
            turns: as in `predict`.
            memory: bytes that may be taken beyond the backend.
            mosaic: make one map of all scenes, on the grid of the first one, extended; where they overlap, the first
                one with a valid pixel is seen.
            vectorise: also write the areas of each class as polygons, to this `.gpkg`, `.fgb` or `.geojson` file, with
                class and mean confidence as columns. One map only.
            simplify: of polygons, in units of the CRS; see `geodl.inference.vectorise.vectorise`.
            minimum: merge polygons of fewer pixels into their largest neighbour.
            progress: called with the pixels done and in all, over all scenes, and once more for polygons.
            overwrite: replace existing maps.

        Returns:
            Paths of the maps, one per scene.

        Raises:
            OutputExists: there is such a map.
            OutputUnwritable: no permission, disk full, or the disk is too small for a map.
            SourceUnreadable: a scene is missing or damaged.
            EmptyDataset: the folder holds no scene.
            GeodlError: as in `predict`. All scenes are looked at before the first one is mapped.
        """
        options = _Options(
            probabilities=probabilities,
            confidence=confidence or vectorise is not None,
            entropy=entropy,
            overlap=overlap,
            batch_size=batch_size,
            bbox=bbox,
            mask=mask,
            any_resolution=any_resolution,
            resample=resample,
            turns=turns,
            memory=memory,
        )
        _check_here("target", target)
        _check_here("vectorise (--vectorize)", vectorise)
        passing = () if confidence else ("confidence",)
        jobs = self._mosaic(source, Path(target), options) if mosaic else _jobs(source, Path(target))
        if vectorise is not None:
            if len(jobs) > 1 or self.contract.output.kind != "classes":
                received = f"{len(jobs)} of {self.contract.output.kind}"
                expected = "one map of classes; mosaic=True (--mosaic) makes one of many scenes"
                raise OptionError("vectorise (--vectorize)", expected=expected, received=received)
            from geodl.inference.vectorise import check_request

            check_request(vectorise, simplify=simplify, minimum=minimum, overwrite=overwrite)
        sizes = []
        for scene, path in jobs:
            request = self._request(scene, options)
            written = _writer(path, request, overwrite, passing).paths
            _refuse_own_input(request.source, mask, written if vectorise is None else (*written, Path(vectorise)))
            # Before tiles are planned: of a grid that only a header claims there may be millions.
            check_room(path, request.products.layers, request.grid)
            self._plan(request, options)
            sizes.append(int(request.window.height) * int(request.window.width))
        polygons = {"simplify": simplify, "minimum": minimum, "overwrite": overwrite, "memory": memory}
        mapped: list[Path] = []
        for k, (scene, path) in enumerate(jobs):
            request = self._request(scene, options)
            plan = self._plan(request, options)
            try:
                with _writer(path, request, overwrite, passing) as sink:
                    self._map(request, plan, sink, batch_size, _of_all(progress, sum(sizes[:k]), sum(sizes)))
                    try:
                        if vectorise is not None:
                            self._vectorise(vectorise, sink.make(), progress=progress, **polygons)
                    finally:
                        # A map that is whole is kept, whatever becomes of its polygons.
                        sink.finish()
                mapped.append(path)
            except NoValidPixels as error:
                if not mapped and k == len(jobs) - 1:
                    raise
                _log.warning("%s It was left out.", error)
        return mapped

    def export(self, target: str | os.PathLike[str] | None = None, *, format: Format, overwrite: bool = False) -> Path:
        """Writes the network for use without geodl; see `geodl.inference.export.export`.

        Args:
            target: folder to write; default: beside the bundle.
            format: `"onnx"`, `"openvino"` or `"saved_model"`.
            overwrite: replace an older export there.

        Returns:
            The folder.

        Raises:
            OptionError: the network has not been saved: there is no bundle to export.
            GeodlError: as `export` raises.
        """
        from geodl.inference.export import export

        if self.path is None:
            raise OptionError("export", expected="a predictor of a bundle", received="one of a network in memory")
        return export(self.path, target, format=format, overwrite=overwrite)

    def _request(self, data: Any, options: _Options) -> _Request:
        """Opens a scene and checks what was asked of it, before the network is loaded or converted."""
        if options.batch_size < 1:
            raise OptionError("batch_size", expected="1 or more", received=options.batch_size)
        output = self.contract.output
        extras = {name: getattr(options, name) for name in ("probabilities", "confidence", "entropy")}
        products = make_products(output, **extras)
        source = self._open(data, options)
        whole = source.grid.window
        window = whole if options.bbox is None else bbox_window(options.bbox, source.grid)
        area = None if options.mask is None else _read_area(options.mask, source.grid.finer(output.scale))
        return _Request(source, products, window, area, source.grid.crop(window).finer(output.scale))

    def _plan(self, request: _Request, options: _Options) -> _Plan:
        """Loads the network, and chooses the tiles."""
        output = self.contract.output
        call = with_turns(self.call, options.turns, contract=self.contract)
        cost = Cost(
            bands=len(self.contract.input.bands),
            channels=len(output.classes or output.bands),
            activations=self._running.activations,
            scale=output.scale,
            batch=options.batch_size,
            turned=options.turns > 1,
        )
        tiling = plan_tiling(
            request.source.grid.shape,
            self.contract,
            cost=cost,
            overlap=options.overlap,
            memory=options.memory,
            decoded=partial(row_cache_bytes, request.source),
        )
        if self.contract.input.dim("y").margin is None and tiling.count > 1 and not self._warned:
            self._warned = True
            _log.warning(
                "Each output of this network depends on the whole scene (global pooling or group normalisation): "
                "seams between tiles are possible. overlap='exact' maps scenes that fit the memory in one pass."
            )
        return _Plan(call, tiling)

    def _open(self, data: Any, options: _Options) -> Source:
        """Opens a scene and brings it to what the network was trained on, as far as was asked for."""
        method = options.resample
        names = [band.name for band in self.contract.input.bands] if needs_bands(data) else None
        opened = open_source(data, bands=names, resample=None if method is None else Resample(method))
        return fit_source(opened, self.contract, any_resolution=options.any_resolution, resample=method)

    def _mosaic(self, scenes: Any, target: Path, options: _Options) -> list[tuple[Any, Path]]:
        """One job: the map of all scenes."""
        from geodl.data.mosaic import mosaic

        sources = [self._open(spec, options) for _, spec in find_scenes(scenes)]
        return [(mosaic(sources, name=target.stem, resample=options.resample), target)]

    def _vectorise(self, target: str | os.PathLike[str], layers: dict[str, Path], **options: Any) -> None:
        from geodl.inference.vectorise import vectorise

        classes = self.contract.output.classes
        vectorise(layers["classes"], target, classes=classes, confidence=layers["confidence"], **options)

    def _walk(self, request: _Request, plan: _Plan) -> dict[str, Any]:
        return {
            "contract": self.contract,
            "products": request.products,
            "tiling": plan.tiling,
            "window": request.window,
            "area": request.area,
        }

    def _map(self, request: _Request, plan: _Plan, sink: Sink, batch_size: int, progress: Progress | None) -> None:
        walk = self._walk(request, plan)
        if not map_scene(plan.call, request.source, sink, batch_size=batch_size, progress=progress, **walk):
            raise NoValidPixels(request.source.name, "Every pixel asked for is nodata")


def _read_area(path: str | os.PathLike[str], grid: Grid) -> Area:
    from geodl.inference.area import Area

    return Area.read(path, grid)


def _writer(path: Path, request: _Request, overwrite: bool, passing: Sequence[str]) -> MapWriter:
    layers = request.products.layers
    tags = {"TIFFTAG_SOFTWARE": "geodl"}
    return MapWriter(path, layers, request.grid, overwrite=overwrite, tags=tags, passing=passing)


def _jobs(source: Any, target: Path) -> list[tuple[Any, Path]]:
    """Pairs every scene with the path of its map."""
    if is_one_scene(source):
        return [(source, target / f"{find_scenes(source)[0][0]}.tif" if target.is_dir() else target)]
    if target.suffix.lower() in (".tif", ".tiff"):
        raise OptionError("target", expected="a folder, for the maps of several scenes", received=os.fspath(target))
    jobs = [(spec, target / f"{name}.tif") for name, spec in find_scenes(source)]
    names = {path.name for _, path in jobs}
    for extra in ("probabilities", "confidence", "entropy"):
        for _, path in jobs:
            if path.with_suffix(f".{extra}.tif").name in names:
                raise OptionError(
                    "source", expected="scenes, without layers of maps among them", received=f"{path.stem}.{extra}.tif"
                )
    return jobs


def _check_here(name: str, written: str | os.PathLike[str] | None) -> None:
    """Refuses addresses: as paths of this machine they would be folders called `s3:` and the like."""
    text = "" if written is None else os.fspath(written)
    if "://" in text or text.startswith("/vsi"):
        raise OptionError(name, expected="a path of this machine", received=text)


def _refuse_own_input(source: Source, mask: str | os.PathLike[str] | None, targets: Sequence[Path]) -> None:
    own = [*getattr(source, "paths", ()), *([] if mask is None else [os.fspath(mask)])]
    for target in targets:
        if target.exists() and any(is_local(path) and os.path.exists(path) and target.samefile(path) for path in own):
            expected = "another file than the scene's own, or the mask's"
            raise OptionError("target", expected=expected, received=os.fspath(target))


def _of_all(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Reports one scene's progress as that of all scenes."""
    return None if progress is None else lambda done, _: progress(before + done, total)
