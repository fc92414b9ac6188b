"""`geodl info`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from json import loads
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geodl.cli.options import AnyResolution, Quiet, Stack, Told
from geodl.cli.terminal import Answer
from geodl.contract import Band, Contract, Dim
from geodl.data.files import is_remote_folder
from geodl.errors import BundleError, GeodlError, OptionError
from geodl.storage import Storage, fetched, is_address
from geodl.storage.address import joined, parsed

if TYPE_CHECKING:
    from pyproj import CRS

    from geodl.data.source import Source

__all__ = ("info",)

_CONTRACT = "contract.json"
_SCENE = re.compile(r"\.[A-Za-z]\w*")
_BANDS = 256
"""Most that are listed."""


def info(
    paths: Annotated[list[str], typer.Argument(metavar="[RUN] [SCENE...]", help="A run, scenes, or a run and scenes.")],
    stack: Stack = False,
    any_resolution: AnyResolution = False,
    json: Told = None,
    quiet: Quiet = False,
) -> None:
    """Say what a trained network eats and gives, what a scene is, and whether the one fits the other.

    Exit code 2 says that it does not. With --json all of the run's contract is written.
    """
    to = Answer(json, quiet=quiet)
    runs = [path for path in paths if _is_run(path)]
    scenes = [path for path in paths if path not in runs]
    if len(runs) > 1:
        raise OptionError("geodl info", expected="one run at most", received=" ".join(runs))
    contract = _contract(runs[0]) if runs else None
    if contract is not None:
        _print_run(to, runs[0], contract)
    fits = all([*_fits(to, scenes, contract, stack=stack, any_resolution=any_resolution)]) if scenes else True
    to.close(
        contract=None if contract is None else loads(contract.to_json()),
        fits=fits if scenes and contract is not None else None,
    )
    if not fits:
        raise typer.Exit(2)


def _print_run(to: Answer, run: str, contract: Contract) -> None:
    if contract.output.kind == "trajectory":
        from geodl.cli.stateinfo import print_emulator

        print_emulator(to, run, contract)
    elif contract.output.kind == "series_label":
        from geodl.cli.cropinfo import print_classifier

        print_classifier(to, run, contract)
    else:
        _print_contract(to, run, contract)


def _fits(
    to: Answer, scenes: Sequence[str], contract: Contract | None, *, stack: bool, any_resolution: bool
) -> Iterator[bool]:
    """Prints what each scene (sequence, table) is; yields whether it fits."""
    kind = None if contract is None else contract.output.kind
    together = scenes[0] if len(scenes) == 1 else list(scenes)
    if contract is not None and kind == "trajectory":
        from geodl.cli.stateinfo import print_states

        for path in scenes:
            yield print_states(to, path, contract)
    elif contract is not None and kind == "series_label":
        from geodl.cli.cropinfo import print_series

        yield print_series(to, together, contract)
    elif contract is not None and kind == "sequence":
        from geodl.cli.raininfo import print_sequence
        from geodl.data.radar import find_sequences

        for name, spec in find_sequences(together):
            yield print_sequence(to, name, spec, contract, any_resolution=any_resolution)
    else:
        from geodl.data.opening import find_scenes

        for name, spec in find_scenes(together, stack=stack):
            _print_scene(to, name, spec, contract)
            if contract is not None:
                yield _print_fit(to, spec, contract, any_resolution=any_resolution)


def _is_run(path: str) -> bool:
    if is_address(path):
        # What has an ending is a scene; to ask costs a request, and on the web an answer that may be misunderstood.
        name = PurePosixPath(parsed(path).key)
        return not _SCENE.fullmatch(name.suffix) and not is_remote_folder(path) and Storage(path).exists(_CONTRACT)
    folder = Path(path)
    if folder.is_dir() and (folder / "checkpoints").is_dir() and not (folder / _CONTRACT).is_file():
        raise BundleError(
            folder, "The training is not finished", advice="Repeat the geodl train command to continue it."
        )
    return (folder / _CONTRACT).is_file()


def _contract(path: str) -> Contract:
    file = fetched(joined(path, _CONTRACT)) if is_address(path) else Path(path, _CONTRACT)
    # What is no UTF-8 is refused as what is no JSON.
    return Contract.from_json(file.read_text(encoding="utf-8", errors="replace"))


def _print_contract(to: Answer, name: str, contract: Contract) -> None:
    output = contract.output
    rows = [("pipeline", contract.pipeline), ("geodl", contract.geodl_version or "–"), ("output", output.kind)]
    if output.scale != 1:
        rows.append(("scale", f"pixels {output.scale} × as fine, along y and x"))
    if output.leads:
        step = (contract.input.dim("time").step or 0) / 60
        rows.append(("lead times", f"{output.leads}, +{step:g} to +{step * output.leads:g} minutes"))
    if contract.input.advected:
        rows.append(("advected", f"{contract.input.advected} frames, made of the last one"))
    to.table(name, ("property", "value"), rows, heading=False)
    dims = [dim for dim in contract.input.dims if dim.name != "band"]
    to.table(
        "Input axes",
        ("axis", "size", "step", "margin", "lattice"),
        [(d.name, _size(d), _step(d), "all" if d.margin is None else d.margin, d.lattice) for d in dims],
    )
    bands = [(band.name, band.unit or "–", band.dtype) for band in contract.input.bands]
    to.table("Input bands", ("band", "unit", "stored as"), bands)
    if output.classes:
        to.table("Classes", ("value", "name", "colour"), [(c.value, c.name, c.colour) for c in output.classes])
    if output.bands:
        to.table("Output bands", ("band", "unit"), [(b.name, b.unit or "–") for b in output.bands])


def _print_scene(to: Answer, name: str, spec: Any, contract: Contract | None) -> None:
    from geodl.data.opening import needs_bands, open_source
    from geodl.data.raster import RasterSource
    from geodl.data.resample import Resample

    several_grids = needs_bands(spec)
    source = open_source(spec, name=name, resample=Resample() if several_grids else None)
    grid = source.grid
    y, x = grid.resolution
    rows = [
        *(_storage(source.paths[0]) if isinstance(source, RasterSource) and not several_grids else ()),
        ("size", f"{grid.width} × {grid.height} pixels"),
        ("CRS", _crs(grid.crs)),
        (
            "pixel size",
            f"{x:.6g} × {y:.6g} {grid.unit or 'pixels'}" + (" (of the finest band)" if several_grids else ""),
        ),
        ("extent", ", ".join(f"{edge:.10g}" for edge in grid.footprint().bounds)),
        *_times(source),
        ("map of it", _map_size(grid.width * grid.height, contract)),
    ]
    classes = _classes(source.paths[0]) if isinstance(source, RasterSource) and not several_grids else []
    if classes:
        rows = [row for row in rows if row[0] != "map of it"]
        to.table(_title(source, spec), ("property", "value"), rows, heading=False)
        to.table("Classes", ("value", "class", "colour"), classes)
        return
    to.table(_title(source, spec), ("property", "value"), rows, heading=False)
    shown = [_band(band) for band in source.bands[:_BANDS]]
    to.table("Bands", ("band", "dtype", "unit", "scale", "offset", "nodata"), shown)
    if len(source.bands) > len(shown):
        to.line(f"… and {len(source.bands) - len(shown)} more bands.")


def _classes(path: str) -> list[tuple[int, str, str]]:
    """Value, name and colour of the classes of a map, or of labels, that name them; none of other files."""
    from geodl.data.legend import colours_of, names_of
    from geodl.data.rasterfile import RasterFile

    file = RasterFile(path)
    names = names_of(file) if len(file.bands) == 1 else {}
    colours = colours_of(file) if names else {}
    return [(value, name, colours.get(value, "–")) for value, name in sorted(names.items())]


def _print_fit(to: Answer, spec: Any, contract: Contract, *, any_resolution: bool) -> bool:
    from geodl.inference.options import Options
    from geodl.inference.request import open_adapted

    try:
        open_adapted(spec, contract, Options(any_resolution=any_resolution))
    except GeodlError as error:
        to.line(f"Does not fit. {error}")
        return False
    to.line("Fits.")
    return True


def _map_size(pixels: int, contract: Contract | None) -> str:
    """How large the map of a scene is: classes of a byte, or bands of float32."""
    if contract is None or not contract.output.bands:
        return f"{_bytes(pixels)} of classes before compression"
    output = contract.output
    return f"{_bytes(4 * pixels * output.scale**2 * len(output.bands))} of values before compression"


def _title(source: Source, spec: Any) -> str:
    if isinstance(spec, str | Path):
        return str(spec)
    paths = getattr(source, "paths", ())
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{source.name}: {paths[0]}{more}" if paths else source.name


def _crs(crs: CRS | None) -> str:
    if crs is None:
        return "none: a plain pixel grid"
    authority = crs.to_authority()
    if authority:
        return ":".join(authority)
    method = crs.coordinate_operation.method_name if crs.coordinate_operation else crs.type_name
    return f"{method}, without a code" if crs.name in ("undefined", "unknown", "unnamed") else crs.name


def _times(source: Source) -> Iterator[tuple[str, str]]:
    if source.times is not None:
        from geodl.data.source import time_span

        span = time_span(source.times)
        known = f", {span[0]} to {span[1]}" if span else ""
        yield "times", f"{len(source.times)}{known}; choose one with @{span[0] if span else 0}"


def _storage(path: str) -> Iterator[tuple[str, str]]:
    """How a file is stored: driver, layout, compression, overviews, masks."""
    from rasterio.enums import MaskFlags

    from geodl.data.handles import Handle, reading

    file = Handle(path).dataset()
    with reading(path):
        structure = file.tags(ns="IMAGE_STRUCTURE")
        cloud = structure.get("LAYOUT") == "COG"
        rows, columns = file.block_shapes[0]
        tiled = f"tiles of {columns} × {rows}" if columns < file.width else f"strips of {rows}"
        flags = {flag for band in file.mask_flag_enums for flag in band}
        if MaskFlags.alpha in flags:
            flags.discard(MaskFlags.per_dataset)
        marks = {MaskFlags.nodata: "nodata values", MaskFlags.alpha: "alpha", MaskFlags.per_dataset: "mask band"}
        masks = [mark for flag, mark in marks.items() if flag in flags]
        size = Path(path).stat().st_size if Path(path).exists() else None
        yield "driver", file.driver + (f", {_bytes(size)}" if size is not None else "")
        yield "cloud-optimised", "yes" if cloud else "no"
        yield "layout", ", ".join([tiled, structure.get("COMPRESSION", "uncompressed").lower()])
        yield "overviews", ", ".join(f"1:{factor}" for factor in file.overviews(1)) or "none"
        yield "invalid pixels", ", ".join(masks) or "not marked (except not-a-number)"


def _band(band: Band) -> Sequence[object]:
    nodata = "–" if band.nodata is None else f"{band.nodata:g}"
    return band.name, band.dtype, band.unit or "–", f"{band.scale:g}", f"{band.offset:g}", nodata


def _size(dim: Dim) -> str:
    return str(dim.size) if dim.size else "any" if dim.multiple == 1 else f"multiple of {dim.multiple}"


def _step(dim: Dim) -> str:
    return "–" if dim.step is None else f"{dim.step:g} {dim.unit}".strip()


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
