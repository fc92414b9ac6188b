"""Data set cards: what a data set is, who made it, under which licence, and how its files become samples.

A card is a YAML file in `datasets/`, checked as strictly as a recipe. What it states is a fact of the publisher; what is
not known is null, and never guessed. `docs/datasets.md` lists them all.

1. What it is: `task`, `title`, `description`, `licence`, `licence_url`, `restrictive`, `reason`, `citation`, `homepage`.
2. What is fetched: `files` with their addresses, sizes and checksums, and `index`: lists, themselves among the files, of
   further files. Or nothing: a `simulator` computes it.
3. What becomes of it: archives are unpacked (`unpack`), and where files must be laid out anew an `adapter` does it.
4. What is learnt from: `data` fills in the recipe's section `data`, with paths relative to the data set's folder; `test`
   takes the place of some of its keys for the official test part; `split` names the scenes of each official part.
5. What one should know of it: `bands`, `classes`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from geodl.cards.simulators import Simulator
from geodl.data.folds import Part
from geodl.errors import RecipeError
from geodl.recipe.data import ClassEntry, Data
from geodl.recipe.document import read_document
from geodl.recipe.sections import Section, build
from geodl.recipe.shipped import shipped, shipped_names

__all__ = (
    "Adapter",
    "Card",
    "CardBand",
    "CardFile",
    "CardIndex",
    "IndexedFile",
    "OfficialPart",
    "list_cards",
    "load_card",
    "safe_path",
)

_URL = r"^(https?|s3|gs)://[^\s/]+/?\S*$"
_CHECKSUM = r"^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$"
Url = Annotated[str, Field(pattern=_URL)]
Checksum = Annotated[str, Field(pattern=_CHECKSUM)]
_PATHS = ("images", "labels", "targets", "sequences", "series", "trajectories")
"""Keys of the recipe's `data` that name files."""


def safe_path(path: str) -> str:
    """Returns a path that stays within a folder, as it is.

    Raises:
        ValueError: it is empty or absolute, has `.`, `..` or an empty part, a backslash, a colon or a control character, or
            begins as geodl's own files do.

    Example:
        >>> safe_path("images/a.tif")
        'images/a.tif'
    """
    parts = path.split("/")
    wrong = (
        any(part in ("", ".", "..") or part != part.rstrip(" .") for part in parts)
        or any(character in '\\:*?"<>|' or not character.isprintable() for character in path)
        or parts[0].startswith(".geodl")
    )
    if wrong or len(path) > 1024 or max(len(part.encode()) for part in parts) > 255:
        raise ValueError(f"expected a path inside the data set's folder, such as images/a.tif. Received: {path!r}.")
    return path


class CardFile(Section):
    """One file that is fetched."""

    path: str
    """What it is called in the data set's folder, such as `images.zip`."""
    url: Url | None = None
    """Where it is; null: it can only be had by hand (`manual` says how)."""
    mirrors: list[Url] = Field(default_factory=list)
    """Further addresses of the same bytes, tried in turn."""
    checksum: Checksum | None = None
    """`sha256:…` or `md5:…` as the publisher states it; null: unknown, and `get` says that the file is unverified."""
    bytes: int | None = Field(default=None, ge=1)
    """Size; null: unknown."""
    unpack: bool | Literal["nested"] = False
    """Whether it is an archive (zip; tar, also of gzip, bzip2 or xz) or one gzipped file, which is unpacked and removed;
    nested: so are the archives in it, each where it lies."""
    to: str | None = None
    """Folder that it is unpacked into; null: the one it lies in."""
    unpacked_bytes: int | None = Field(default=None, ge=1)
    """Size of what is in the archive; null: unknown."""
    part: str | None = None
    """Name of the part of the set that it belongs to, with `--part`; null: it is always fetched."""

    @field_validator("path")
    @classmethod
    def _inside(cls, path: str) -> str:
        return safe_path(path)

    @field_validator("to")
    @classmethod
    def _folder_inside(cls, to: str | None) -> str | None:
        return to if to in (None, ".") else safe_path(str(to).rstrip("/"))


class IndexedFile(Section):
    """Where the files lie that a list names: `{name}` in either stands for what the list says."""

    path: str
    url: Url
    part: str | None = None
    """As of `CardFile`."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if "{name}" not in self.path or "{name}" not in self.url:
            raise ValueError("expected {name} in path and in url.")
        safe_path(self.path.replace("{name}", "name"))
        return self


class CardIndex(Section):
    """A CSV file, itself among `files`, whose rows name further files."""

    listing: str
    """Its path, as in `files`."""
    column: int | str = 0
    """Which column: its number from 0 in a file without headings, or its heading."""
    pattern: str | None = None
    """Regular expression whose group is the name; null: the whole cell."""
    files: list[IndexedFile] = Field(min_length=1)


class OfficialPart(Section):
    """The scenes of one part of the official split, by pattern or by list."""

    patterns: list[str] = Field(default_factory=list)
    """Globs on paths of the scenes, relative to the data set's folder, such as `train/images/*`."""
    listing: str | None = None
    """Path of a CSV or text file that names them; null: none."""
    column: int | str = 0
    """As of `CardIndex`."""
    pattern: str | None = None
    """As of `CardIndex`."""
    scene: str = "{name}"
    """What the scene is called (file name without ending), where the list says `{name}`."""

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if bool(self.patterns) == bool(self.listing):
            raise ValueError("expected either patterns or a listing.")
        return self


class CardBand(Section):
    """One band of the scenes, or variable of the tables."""

    name: str
    unit: str = ""
    """Unit of the physical values, such as `reflectance`."""
    description: str = ""
    """What it measures, with its central wavelength in nm."""
    nodata: float | None = None
    """Value that means nothing was seen; null: none, or as the files say."""


class Adapter(Section):
    """A function of `geodl.cards.adapters` that lays out the fetched files."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class Card(Section):
    """What is known of a data set."""

    task: str
    """Name of the pipeline that it is for."""
    also: list[str] = Field(default_factory=list)
    """Names of further pipelines that it serves with the same `data`."""
    title: str
    description: str
    version: str = ""
    """The publisher's, as far as there is one."""
    licence: str
    """SPDX identifier, or the terms in a sentence."""
    licence_url: str | None = None
    restrictive: bool = False
    """Whether the terms forbid what users of open data expect to do: then `get` wants `--accept-licence`."""
    reason: str = ""
    """Why, in a sentence, such as 'Only for research that is not commercial.'"""
    citation: str
    """How to cite it."""
    homepage: str | None = None
    sources: list[str] = Field(default_factory=list)
    """Addresses of the pages and files that the card's facts are from."""
    files: list[CardFile] = Field(default_factory=list)
    index: list[CardIndex] = Field(default_factory=list)
    manual: str | None = None
    """How to get files that have no address, in a sentence or two; null: all have one."""
    bands: list[CardBand] = Field(default_factory=list)
    classes: list[ClassEntry] = Field(default_factory=list)
    split: dict[Part, OfficialPart] | None = None
    """Official split of scenes; null: none, or the files say it, or `test` does."""
    data: dict[str, Any] = Field(default_factory=dict)
    """Keys of the recipe's section `data`, paths relative to the data set's folder; empty: there is nothing geodl can
    learn from."""
    test: dict[str, Any] = Field(default_factory=dict)
    """Keys that take the place of those of `data` to score the official test part, which lies apart."""
    adapter: Adapter | None = None
    simulator: Simulator | None = None
    """How the data is computed; null: it is fetched."""

    @model_validator(mode="after")
    def _has_data(self) -> Self:
        if bool(self.files) == bool(self.simulator):
            raise ValueError("expected either files or a simulator.")
        if self.restrictive and not (self.reason and (self.licence_url or self.homepage)):
            raise ValueError("expected a reason, and licence_url or homepage, of a restrictive licence.")
        if any(file.url is None for file in self.files) and not self.manual:
            raise ValueError("expected manual, as there is a file without url.")
        paths = [file.path for file in self.files]
        if len({path.casefold() for path in paths}) < len(paths):
            raise ValueError("expected different paths of files.")
        for index in self.index:
            if index.listing not in paths:
                raise ValueError(f"expected the list {index.listing!r} of the index among files.")
        return self

    @field_validator("data", "test")
    @classmethod
    def _as_in_recipes(cls, content: dict[str, Any]) -> dict[str, Any]:
        Data.model_validate(content)
        if "dataset" in content:
            raise ValueError("expected paths, and no other data set.")
        for key in _PATHS:
            for path in _paths_in(content.get(key)):
                if path != ".":
                    safe_path(path.rstrip("/").replace("*", "_").replace("?", "_"))
        return content

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts of the set that can be fetched alone."""
        indexed = (file.part for index in self.index for file in index.files)
        return tuple(dict.fromkeys(part for part in (*(file.part for file in self.files), *indexed) if part))


def _paths_in(where: Any) -> list[str]:
    if isinstance(where, str):
        return [where]
    inner = where.values() if isinstance(where, dict) else where if isinstance(where, list) else ()
    return [path for item in inner for path in _paths_in(item)]


def list_cards() -> tuple[str, ...]:
    """Returns the names of all data sets that have a card."""
    return shipped_names("datasets")


def load_card(name: str) -> Card:
    """Reads the card of a data set.

    Raises:
        RecipeError: there is no such card (it names the nearest), or the card has a mistake.

    Example:
        >>> load_card("simulated-landcover").task
        'segmentation'
    """
    names = list_cards()
    if name not in names:
        problem = f"no data set has the name {name!r}. Expected one of: {', '.join(names)}."
        raise RecipeError("data.dataset", problem, valid=names, nearest_to=name)
    return build(Card, read_document(shipped("datasets") / f"{name}.yaml"))
