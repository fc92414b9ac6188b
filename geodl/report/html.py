"""The report of a run: one HTML file that holds everything, figures too."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Literal

from geodl.contract import Contract
from geodl.report.layers import Viewer
from geodl.report.page import render
from geodl.report.scoretable import confusion_sheet, members_sheet, scores_sheet, verdict
from geodl.report.sheet import Sheet, TableLike, cell, plain, sheet

__all__ = ("Report", "TableLike", "environment", "to_html")

_MEMBERS = {"bands": ("Bands", "band"), "sequence": ("Thresholds", "threshold"), "trajectory": ("Parts", "part")}
"""What the parts of a score are, by the kind of output."""
_PACKAGES = ("geodl", "keras", "tensorflow", "jax", "torch", "numpy", "rasterio", "scikit-learn")
_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "CUDA_VISIBLE_DEVICES")
"""Variables that say how much of a machine is used."""


@dataclass(frozen=True)
class Report:
    """What a report tells. All texts are plain text; `to_html` escapes them."""

    title: str
    contract: Contract
    command: str = ""
    """What to type to repeat the run."""
    place: str = ""
    """Where to type it."""
    subtitle: str = ""
    main: str = ""
    """Name of the score that counts most."""
    tables: Sequence[TableLike] = ()
    """What it was trained on: files, classes, split."""
    data: Mapping[str, object] = field(default_factory=dict)
    """What the training data are known by: digest, files, bytes."""
    training: Mapping[str, object] = field(default_factory=dict)
    """How much it was trained: steps, epochs, seconds, samples."""
    split: Mapping[str, bytes] = field(default_factory=dict)
    """Caption → PNG of where the parts lie."""
    curves: Mapping[str, bytes] = field(default_factory=dict)
    """Caption → PNG of the course of training."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Scores of the network: `name`, and `name/class`."""
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Scores of the baselines, by their names."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What stands behind the scores, such as the confusion matrix."""
    score_tables: Sequence[TableLike] = ()
    """Further tables of scores."""
    protocol: Mapping[str, object] = field(default_factory=dict)
    """How the scores were measured."""
    viewer: Viewer | None = None
    """A held-out place to look into."""
    figures: Mapping[str, bytes] = field(default_factory=dict)
    """Caption → PNG, in order."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """See `environment`."""
    recipe: str = ""
    """The effective recipe, YAML."""


@dataclass(frozen=True)
class _Section:
    title: str
    text: str = ""
    facts: Sequence[tuple[str, str]] = ()
    sheets: Sequence[Sheet] = ()
    viewer: Viewer | None = None
    pictures: Sequence[tuple[str, bytes]] = ()
    code: str = ""
    folded: Sequence[tuple[str, str]] = ()
    protocol: Sequence[tuple[str, str]] = ()

    @property
    def anchor(self) -> str:
        return self.title.lower().replace(" ", "-")

    @property
    def is_empty(self) -> bool:
        found = (self.facts, self.pictures, self.code, self.viewer, self.folded, any(s.rows for s in self.sheets))
        return not any(found)


def environment(*, backend: str = "", devices: Sequence[str] = ()) -> dict[str, str]:
    """Returns what the run was made with: machine, devices, Python, and versions of the packages that matter.

    Args:
        backend: of Keras.
        devices: that trained, as the backend calls them.
    """
    found = {"platform": platform.platform()}
    if backend:
        found["Keras backend"] = backend
    if devices:
        found["devices"] = ", ".join(devices)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found["processor cores"] = str(cores)
    found |= {name: os.environ[name] for name in _THREADS if name in os.environ}
    found["python"] = platform.python_version()
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def to_html(report: Report) -> str:
    """Writes a report as HTML: self-contained, light and dark, readable on a telephone.

    Returns:
        The whole document. Nothing in it is loaded from elsewhere, and no text of the report is taken as markup.
    """
    pipeline, part = report.contract.pipeline, report.protocol.get("part")
    where = f"the held-out {part} part" if part in ("test", "validation") else "the held-out data"
    told = verdict(report.main, f"The {pipeline} network", report.metrics, report.baselines, where=where)
    return render(
        "report.html",
        title=report.title,
        kicker=f"Report of a geodl run · pipeline {pipeline}",
        verdict=told,
        subtitle=report.subtitle,
        sections=[section for section in _sections(report) if not section.is_empty],
    )


def _sections(report: Report) -> Iterator[_Section]:
    """In the order in which a reader asks."""
    pipeline, kind = report.contract.pipeline, report.contract.output.kind
    facts = {**report.training, **report.data}
    yield _Section(
        "Trained on",
        facts=_pairs(facts),
        sheets=[sheet(table) for table in report.tables],
        pictures=[*report.split.items()],
    )
    yield _Section("Learning curves", pictures=[*report.curves.items()])
    scores = scores_sheet(pipeline, report.metrics, report.baselines)
    yield _Section(
        "Scores",
        sheets=[scores, *map(sheet, report.score_tables)],
        protocol=_pairs(report.protocol),
    )
    title, what = _MEMBERS.get(kind, ("Classes", "class"))
    yield _Section(title, sheets=[members_sheet(report.metrics, report.baselines, what=what)])
    confusion = confusion_sheet(report.details)
    yield _Section("Confusion matrix", sheets=[confusion] if confusion else [])
    yield _Section("A place to look into", text=report.viewer.title if report.viewer else "", viewer=report.viewer)
    yield _Section("Pictures", pictures=[*report.figures.items()])
    yield _Section("Contract", text=_in_words(report.contract), sheets=[*_contract(report.contract)])
    rows = tuple((cell(name), cell(str(value))) for name, value in report.environment.items())
    yield _Section("Environment", sheets=[Sheet(("what", "version or value"), rows)])
    folded = [("The recipe, with everything that it left open", report.recipe)] if report.recipe else []
    yield _Section("Repeat it", text=report.place if report.command else "", code=report.command, folded=folded)


def _in_words(contract: Contract) -> str:
    eaten = contract.input
    bands = f"{len(eaten.bands)} band{'s' * (len(eaten.bands) != 1)}"
    given: dict[Literal["classes", "bands", "sequence", "series_label", "trajectory"], str] = {
        "classes": f"one of {len(contract.output.classes)} classes for each pixel",
        "bands": f"{len(contract.output.bands)} band(s)",
        "sequence": f"{contract.output.leads} lead times",
        "series_label": f"one of {len(contract.output.classes)} classes for each series",
        "trajectory": f"the course of {len(contract.output.bands)} state(s)",
    }
    finer = f", on pixels {contract.output.scale} times as fine" if contract.output.scale > 1 else ""
    return f"The network eats {bands} in physical units and gives {given[contract.output.kind]}{finer}."


def _contract(contract: Contract) -> Iterator[Sheet]:
    """What the network eats and gives."""
    bands = tuple((cell(band.name), cell(band.unit or "not stated")) for band in contract.input.bands)
    yield Sheet(("band", "unit"), bands, "Bands")
    axes = tuple(
        (
            cell(dim.name),
            cell("any" if dim.size is None else dim.size),
            cell("all" if dim.margin is None else dim.margin),
            cell(f"{dim.step:g} {dim.unit}".strip() if dim.step is not None else ""),
        )
        for dim in contract.input.dims
    )
    yield Sheet(("axis", "size", "receptive margin (pixels)", "spacing"), axes, "Axes")
    classes = tuple((cell(info.value), cell(info.name), cell(info.colour)) for info in contract.output.classes)
    yield Sheet(("value", "class", "colour"), classes, "Classes")


def _pairs(facts: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(name, plain(value)) for name, value in facts.items()]
