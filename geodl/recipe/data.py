"""The `data` section of recipes: what is learnt from, how it is paired, split and varied."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from geodl.data.resample import Method
from geodl.recipe.sections import Section, paths

__all__ = ("Augment", "ClassEntry", "Clouds", "Data", "Dates", "Split", "Where")

Where = str | list[str | dict[str, Any]] | dict[str, Any] | None
"""A file, a folder, a glob, a list of these, a mapping of band names to the files of one scene, or a STAC search: a
mapping with `stac`, the address of an API, and what is asked of it (see `geodl.data.stacsearch`)."""


class ClassEntry(Section):
    """One class of a label raster or vector."""

    value: int = Field(ge=0, le=255)
    """Value in label rasters and maps."""
    name: str
    colour: str | None = Field(default=None, pattern=r"^#[0-9a-fA-F]{6}$")
    """`#rrggbb`; null: from the label file's colour table or geodl's palette."""


class Split(Section):
    """How data is cut into training, validation and test parts."""

    by: Literal[
        "auto", "blocks", "file", "group", "feature", "time", "none", "official", "column", "year", "random"
    ] = "auto"
    """Blocks of pixels, whole files, groups of files by `pattern`, single polygons (`feature`), or, of sequences, one part
    after the other in `time`; auto: by group where there is a `pattern`, by file from five scenes on, by polygon where
    these are few, else blocks; sequences by group, by file from five on, else in time. Of series: the `official` split of
    a file, the values of a `column` (parcel, region), the `year`, `blocks` of some `degrees`, or single series at
    `random`; auto: the first of official, a column of parcels, blocks and random that there is."""
    validation: float = Field(default=0.2, ge=0, lt=1)
    """Fraction held out to choose the best epoch."""
    test: float = Field(default=0.0, ge=0, lt=1)
    """Fraction that is only reported."""
    folds: int | None = Field(default=None, ge=2)
    """Number of cross-validation folds; where a `fold` is named, they take the place of `validation`."""
    fold: int | None = Field(default=None, ge=0)
    """Fold that is held out, from 0; alone it means one of 5."""
    block: int | None = Field(default=None, ge=1)
    """Side of a block in pixels; null: several patches, so that enough blocks fit."""
    buffer: int | None = Field(default=None, ge=0)
    """Pixels around held-out areas that training may not touch; null: one patch."""
    pattern: str | None = None
    """Regular expression on the scene's name; its groups, joined, are what is kept together."""
    divide: int | None = Field(default=None, ge=1)
    """Numbers captured by `pattern` are floor-divided by this: tiles of one parent stay together."""
    column: str | None = None
    """Column of a table whose values are kept together, with `by: column`."""
    degrees: float = Field(default=0.5, gt=0, le=90)
    """Side of the blocks that series are split by, in degrees of longitude and latitude."""

    @field_validator("pattern")
    @classmethod
    def _has_group(cls, pattern: str | None) -> str | None:
        return None if pattern is None else _checked_pattern(pattern)

    @model_validator(mode="before")
    @classmethod
    def _five_folds(cls, content: Any) -> Any:
        alone = isinstance(content, dict) and content.get("fold") is not None and content.get("folds") is None
        return {**content, "folds": 5} if alone else content

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.fold is not None and self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"expected fold from 0 to {self.folds - 1} of {self.folds} folds. Received: {self.fold}.")
        if self.validation + self.test >= 1:
            raise ValueError(f"expected validation + test below 1. Received: {self.validation} + {self.test}.")
        if self.by == "group" and self.pattern is None:
            raise ValueError("`by: group` needs `pattern`, a regular expression whose group is what is kept together.")
        if self.by == "column" and self.column is None:
            raise ValueError("`by: column` needs `column`, the name of a column whose values are kept together.")
        return self

    def rule(self) -> dict[str, Any]:
        """Returns how parts are dealt, whatever is split: the arguments that all splitters take.

        Without a `fold` there are no folds; `validation` and `test` hold.
        """
        folds = None if self.fold is None else self.folds
        known = ("by", "validation", "test", "fold", "pattern", "divide")
        return {"folds": folds, **{name: getattr(self, name) for name in known}}


class Clouds(Section):
    """Which observations of series were of clouds."""

    band: str
    """Band, or column, that tells."""
    values: list[float] = Field(min_length=1)
    """Its values where nothing of the ground was seen, such as [3, 8, 9, 10] of Sentinel-2's SCL."""


class Dates(Section):
    """Dates of tables that state none, at regular steps."""

    start: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    """The first, as 2006-02-01."""
    step: float = Field(gt=0, allow_inf_nan=False)
    """Days between two."""


class Augment(Section):
    """Random changes of training samples; image, labels and mask change alike."""

    flips: bool = True
    """Mirror left–right and up–down."""
    rotations: bool = True
    """Turn by multiples of 90°."""
    scale: list[float] = Field(default=[1.0, 1.0], min_length=2, max_length=2)
    """Least and greatest enlargement, 0.25 to 4."""
    brightness: float = Field(default=0.0, ge=0, le=1)
    """Standard deviation of an offset per band, in the band's training standard deviations."""
    contrast: float = Field(default=0.0, ge=0, le=1)
    """Greatest relative change of the deviations from each band's mean in the sample."""
    noise: float = Field(default=0.0, ge=0, le=1)
    """Standard deviation of white noise, in the band's training standard deviations."""

    @model_validator(mode="before")
    @classmethod
    def _none(cls, content: Any) -> Any:
        return {"flips": False, "rotations": False} if content is None or content is False else content

    @field_validator("scale")
    @classmethod
    def _ordered(cls, scale: list[float]) -> list[float]:
        if not 0.25 <= scale[0] <= scale[1] <= 4:
            raise ValueError(f"expected [least, greatest] with 0.25 ≤ least ≤ greatest ≤ 4. Received: {scale}.")
        return scale


class Data(Section):
    """What is learnt from. Relative paths are relative to the folder in which geodl is run, in recipes too."""

    images: Where = paths("Scenes: a file, a folder, a glob, a list, or {band: file} for the bands of one scene.")
    labels: Where = paths("Label rasters on the grids of the images, or polygons in any CRS.")
    targets: Where = paths(
        "Scenes to be given back, on the grids of the images: second looks, or the same without noise."
    )
    sequences: Where = paths("Radar sequences: a folder of frames, a folder of such folders, a file, a glob or a list.")
    series: Where = paths("Time series: a table, several, or a cube of dates with labels; or {sensor: any of these}.")
    trajectories: Where = paths("Tables of states over time.")
    dataset: str | None = None
    """Name of a data set (`geodl data list`), instead of files: its card says what else stands here, where that is left
    at its default."""
    part: Literal["train", "test"] = "train"
    """Official part of `dataset` that is read, where they lie apart."""
    stack: Literal["bands"] | None = None
    """`bands`: the files of a folder or glob are the bands of one scene; null: they are many scenes."""
    bands: Literal["auto"] | list[str] = "auto"
    """Names of the bands (of tables: the variables) used, in this order; auto: all of the first scene or table."""
    resample: Method | None = None
    """How bands of one scene on different grids, scenes of another pixel size and files placed by ground control points
    only are brought onto one regular grid: nearest, bilinear, cubic, average, …; label rasters then by the nearest pixel
    onto their image's grid; null: they are refused."""
    resolution: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Pixel size of all scenes, in units of their CRS, with `resample`; null: the first scene's, or its finest band's."""
    step: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Minutes between the frames of sequences: a whole multiple of each one's own; null: the first one's."""
    unit: str | None = None
    """Of sequences whose files state none: mm/h, mm, dBZ, …"""
    minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """In which depths of rain were collected, of sequences whose files state it not; null: the time between frames."""
    zr: list[float] | None = Field(default=None, min_length=2, max_length=2)
    """a and b of Z = a R^b, for reflectivities whose files state none; null: 200 and 1.6."""
    time: str | None = None
    """Column of tables that holds the times; null: the one that is called time, t or date."""
    dates: Dates | list[str] | None = None
    """Of series whose table states none: all dates, or the first and the step. Of others: the dates that are learnt from,
    as 2018-08-29; null: all."""
    series_column: str | None = None
    """Column of tables of series that names each; null: the one that is called series, id or the like."""
    columns: list[str] = Field(default_factory=list)
    """Columns of tables of series that are no values of bands, where that cannot be told, such as [column_2]."""
    clouds: Clouds | None = None
    """Observations of series that are none; null: only nodata is."""
    scale: float | dict[str, float] | None = None
    """Of cubes of dates whose files do not state it: physical = stored × scale; one number, or {band: number}."""
    members: Literal["mean", "pixels"] = "mean"
    """What is learnt from polygons on a cube of dates: the mean of their pixels, or each of these."""
    classes: Literal["auto"] | list[str] | dict[int, str] | list[ClassEntry] = "auto"
    """Names (of values 0, 1, 2, …), {value: name}, or entries of value, name and colour; auto: the values found."""
    label_column: str | None = None
    """Column of label polygons, or of tables of series, that holds the class; null: the only one that can."""
    ignore_label: int | None = None
    """Value in label rasters that means unlabelled, besides their nodata value."""
    match: str = "auto"
    """How images find their labels: `stem` (same file name), `place` (where they lie), a regular expression whose group
    is common to both names, or `auto`."""
    patch: Literal["auto"] | int = "auto"
    """Side of training samples in pixels."""
    sampling: Literal["balanced", "random", "grid"] = "balanced"
    """Where training samples are taken: each class equally often, anywhere with labels, or on a regular grid."""
    split: Literal["auto", "train", "validation", "test"] | Split = "auto"
    """How to split; or, to evaluate, the part to use."""
    augment: Augment = Augment()
    """Random changes of training samples; null: none."""
    _asked: Data | None = PrivateAttr(default=None)
    _official: Any = PrivateAttr(default=None)

    @property
    def official(self) -> Any:
        """Of a data set with an official split of scenes: a function from {name: path} to {name: part}; else None."""
        return self._official

    def filled(self, content: dict[str, Any], *, official: Any = None) -> Data:
        """Returns this section with what the card of its data set says, `dataset` being null; written, it is as it was.

        Args:
            content: keys of the card; they count where a key here has its default.
            official: see the property.
        """
        own = self.model_dump()
        defaults = Data().model_dump()
        kept = {key: value for key, value in own.items() if value != defaults[key]}
        made = Data.model_validate({**content, **kept, "dataset": None})
        made._asked, made._official = self, official
        return made

    @model_serializer(mode="wrap")
    def _as_asked(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A recipe is kept as it was asked for: the folder of a data set is another one elsewhere.
        written: dict[str, Any] = write(self if self._asked is None else self._asked)
        return written

    @field_validator("images", "labels", "targets", "sequences", "series", "trajectories", mode="before")
    @classmethod
    def _home(cls, where: Any) -> Any:
        if isinstance(where, dict):
            return {band: cls._home(path) for band, path in where.items()}
        if isinstance(where, list):
            return [cls._home(path) for path in where]
        return str(Path(where).expanduser()) if isinstance(where, str) and where.startswith("~") else where

    @field_validator("images", "labels", "targets", "sequences", "series", "trajectories")
    @classmethod
    def _known_mapping(cls, where: Any) -> Any:
        for item in where if isinstance(where, list) else [where]:
            files = isinstance(item, dict) and "stac" not in item
            if files and not all(isinstance(path, str) for path in item.values()):
                raise ValueError(f"expected {{band: file}}, or a STAC search with the key `stac`. Received: {item}.")
        return where

    @field_validator("bands")
    @classmethod
    def _distinct(cls, bands: list[str] | str) -> list[str] | str:
        if isinstance(bands, list) and (not bands or len(set(bands)) < len(bands)):
            raise ValueError(f"expected 'auto' or different band names. Received: {bands}.")
        return bands

    @field_validator("classes", mode="before")
    @classmethod
    def _int_values(cls, classes: Any) -> Any:
        if isinstance(classes, dict):
            return {int(k) if isinstance(k, str) and k.isdecimal() else k: name for k, name in classes.items()}
        return classes

    @field_validator("classes")
    @classmethod
    def _distinct_classes(cls, classes: Any) -> Any:
        if classes == "auto":
            return classes
        if isinstance(classes, dict):
            values, names = list(classes), list(classes.values())
        else:
            values = [entry.value if isinstance(entry, ClassEntry) else k for k, entry in enumerate(classes)]
            names = [entry.name if isinstance(entry, ClassEntry) else entry for entry in classes]
        if not values or not all(0 <= value <= 255 for value in values):
            raise ValueError(f"expected 'auto' or at least one class, with values from 0 to 255. Received: {values}.")
        if len(set(values)) < len(values) or len(set(names)) < len(names):
            raise ValueError(f"expected different values and different names. Received: {values} and {names}.")
        return classes

    @model_validator(mode="after")
    def _resampled(self) -> Self:
        if self.resolution is not None and self.resample is None:
            raise ValueError("`resolution` needs `resample`, such as bilinear.")
        return self

    @field_validator("patch")
    @classmethod
    def _large_enough(cls, patch: int | str) -> int | str:
        if isinstance(patch, int) and patch < 8:
            raise ValueError(f"expected 'auto' or at least 8 pixels. Received: {patch}.")
        return patch

    @field_validator("zr")
    @classmethod
    def _above_0(cls, zr: list[float] | None) -> list[float] | None:
        if zr is not None and not all(0 < value < float("inf") for value in zr):
            raise ValueError(f"expected a and b of Z = a R^b, both above 0. Received: {zr}.")
        return zr

    @field_validator("match")
    @classmethod
    def _pattern(cls, match: str) -> str:
        return match if match in ("auto", "stem", "place") else _checked_pattern(match)


def _checked_pattern(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}. Received: {pattern!r}.") from error
    if not groups:
        raise ValueError(f"expected a regular expression with a group, such as '(.*)_S2'. Received: {pattern!r}.")
    return pattern
