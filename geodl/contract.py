"""The contract: what a network eats and what it gives, in words that a stranger and a program can check.

A contract is written as `contract.json` into every bundle. It carries `format_version`; older versions stay readable.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from geodl.errors import ContractError

__all__ = ("FORMAT_VERSION", "Band", "ClassInfo", "Contract", "Dim", "ModelInput", "ModelOutput", "OutputKind")

FORMAT_VERSION = 4
"""2: `ModelInput.resample`. 3: `ModelInput.advected`, `ModelOutput.leads`. 4: `ModelInput.days`, `.cloud_band`,
`.cloud_values`."""

OutputKind = Literal["classes", "bands", "sequence", "series_label", "trajectory"]


@dataclass(frozen=True)
class Band:
    """One channel of a source or of a network."""

    name: str
    """Name by which it is found: a band description such as `B02`, else `band_1`, `band_2`, …"""
    unit: str = ""
    """Unit of the physical values (after scale and offset), for example `reflectance`, `dB`, `mm/h`; empty: not stated."""
    dtype: str = "float32"
    """Type of the stored values, as numpy names it."""
    scale: float = 1.0
    """physical = stored × scale + offset; applied once, by the source."""
    offset: float = 0.0
    """See `scale`; in physical units."""
    nodata: float | None = None
    """Stored value that means nodata, or None. Not-a-number in floating-point bands is always nodata."""


@dataclass(frozen=True)
class ClassInfo:
    """One class of a categorical output."""

    value: int
    """Value in label rasters and in the map written, 0–255."""
    name: str
    colour: str
    """`#rrggbb`, for colour tables and figures."""


@dataclass(frozen=True)
class Dim:
    """One named axis of a network's input, without the batch axis, and its size rule."""

    name: str
    """`time`, `y`, `x`, `band` or `state`."""
    size: int | None = None
    """Fixed size, or None where any size (a multiple of `multiple`) will do."""
    multiple: int = 1
    """The size must be a multiple of this. Networks that pad by themselves have 1."""
    lattice: int = 1
    """Total stride of the network along this axis: tiles must start at multiples of it to give what the whole gives."""
    margin: int | None = 0
    """Receptive margin: an output pixel depends on at most this many input pixels on each side; None: on all of them."""
    step: float | None = None
    """Spacing of the training data along this axis, in `unit`: pixel size, time step."""
    unit: str = ""
    """Unit of `step`: `metre`, `degree`, `s`, `day`; empty: pixels without georeference."""


@dataclass(frozen=True)
class ModelInput:
    """What a network eats: one array `(batch, *dims)` in physical units, nodata marked as not-a-number.

    Where the output is of kind `trajectory` it eats two: `state`, (batch, state), without nodata, and `times`, (batch,
    time), in the unit of `time` and increasing; the state holds at the first of them.

    Where the output is of kind `series_label` it eats two: `values`, (batch, time, band), not-a-number where not observed,
    and `days`, (batch, time), finite and increasing; see `days`.
    """

    dims: tuple[Dim, ...]
    bands: tuple[Band, ...]
    """Order of the last axis. One called `luma` or, as the last, `noise_level` need not be a band of the scene; see
    `geodl.inference.adapting`."""
    dtype: str = "float32"
    resample: str | None = None
    """How bands of one scene that lie on coarser grids are brought onto that of the finest, as one of
    `geodl.data.resample.METHODS`; None: all must lie on one grid. Where it is stated, nobody needs to ask for it."""
    coarse: tuple[str, ...] = ()
    """Bands whose pixels are `ratio` times as large before they are brought to the finest grid."""
    ratio: int = 1
    """See `coarse`."""
    advected: int = 0
    """Frames that follow the observed ones along `time`, whose size counts these alone: the last one, carried on by the
    motion that was seen to each of as many lead times. Who feeds the network makes them."""
    days: tuple[float, ...] = ()
    """Of series: the days on which all training series were observed, counted from the 1st of January (day 1) of the year
    in which each begins; positions 0, 1, … where the unit of `time` is empty. None: they were observed on various days.
    A source that has them all gives these alone, whatever others it has."""
    cloud_band: str = ""
    """Of series: an observation is none where this band of the source, which need not be among `bands`, has one of
    `cloud_values`. Empty: there is no such band."""
    cloud_values: tuple[float, ...] = ()
    """See `cloud_band`."""

    def dim(self, name: str) -> Dim:
        """Returns the axis called `name`. Raises `ContractError` if there is none."""
        for dim in self.dims:
            if dim.name == name:
                return dim
        raise ContractError(
            f"The contract has no axis {name!r}. Expected one of: {', '.join(d.name for d in self.dims)}."
        )


@dataclass(frozen=True)
class ModelOutput:
    """What a network gives."""

    kind: OutputKind
    classes: tuple[ClassInfo, ...] = ()
    """For kinds `classes` and `series_label`: the last output axis holds one logit per class, in this order."""
    bands: tuple[Band, ...] = ()
    """For kinds `bands`, `sequence` and `trajectory`: what the last output axis holds. Of a trajectory these are the states;
    then, where the network tells it, the Cholesky factor of their errors' covariance: its lower triangle, row by row."""
    scale: int = 1
    """Output pixels per input pixel along y and x: 1, or the factor of super-resolution."""
    nodata: float | None = None
    """Value written where the input is invalid."""
    leads: int = 0
    """For kind `sequence`: number of lead times; the first is one step of `time` after the last observed frame."""


@dataclass(frozen=True)
class Contract:
    """What a network eats and gives, as stored beside it."""

    pipeline: str
    input: ModelInput
    output: ModelOutput
    geodl_version: str = ""
    """Version of geodl that wrote it; for the reader's information only."""
    format_version: int = field(default=FORMAT_VERSION)

    def to_json(self) -> str:
        """Returns the contract as JSON text, two-space indented."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote, in this or any older format version.

        Returns:
            The contract in this version: what an older one could not say has its default.

        Raises:
            ContractError: the text is no contract, or is of a newer format version.
        """
        try:
            content = json.loads(text)
            version = content["format_version"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ContractError(f"Not a contract: {error}. Expected JSON with format_version.") from error
        if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
            raise ContractError(
                f"The contract has format_version {version!r}. Expected 1 to {FORMAT_VERSION}. Upgrade geodl to read it."
            )
        return typing.cast("Self", _build(cls, {**content, "format_version": FORMAT_VERSION}, "contract"))


def _build(kind: Any, value: Any, where: str) -> Any:
    """Rebuilds the (nested, frozen) dataclass `kind` from what `dataclasses.asdict` made of it."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        unknown = set(value) - set(hints) if isinstance(value, dict) else {f"({type(value).__name__})"}
        if unknown:
            raise ContractError(f"{where}: unknown content {', '.join(sorted(unknown))}. Expected: {', '.join(hints)}.")
        try:
            return kind(**{key: _build(hints[key], item, f"{where}.{key}") for key, item in value.items()})
        except TypeError as error:
            raise ContractError(f"{where}: {error}.") from error
    if typing.get_origin(kind) is tuple:
        return tuple(_build(typing.get_args(kind)[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if isinstance(kind, types.UnionType) and value is not None:
        return _build(typing.get_args(kind)[0], value, where)
    return value
