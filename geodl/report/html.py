"""The report of a run: one HTML file that holds everything, figures too."""

from __future__ import annotations

import base64
import html
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata, resources
from numbers import Real
from string import Template
from typing import Protocol

from geodl.contract import Contract

__all__ = ("Report", "TableLike", "environment", "to_html")

_LESS_IS_BETTER = {
    *("ece", "rmse", "mae", "far", "ergas", "sam", "consistency", "crps"),
    *("nrmse", "rmse_1", "rmse_4", "rmse_8", "rmse_lt", "failures", "wasserstein", "spectrum"),
}
_IDEAL = {
    "bias": 0.0,
    "ratio_mean": 1.0,
    "ratio_structure": 0.0,
    "edge_preservation": 1.0,
    "mean_rate_bias": 1.0,
    "frequency_bias": 1.0,
    "coverage_90": 0.9,
}
"""Scores that are best where they are nearest to this."""
_NOT_COMPARED = {
    *("psnr_input", "enl_input", "ratio_variance", "outside", "vpt_q25", "vpt_q75"),
    *("wasserstein_limit", "lyapunov_1", "lyapunov_2", "lyapunov_3", "kaplan_yorke"),
}
"""Scores of which none is best: properties of the data, and what depends on them."""
_MEMBERS = {"bands": "Bands", "sequence": "Thresholds"}
"""What the parts of a score are, by the kind of output."""
_PACKAGES = ("geodl", "keras", "tensorflow", "jax", "torch", "numpy", "rasterio", "scikit-learn")


class TableLike(Protocol):
    """A titled table, for example `geodl.pipelines.task.Table`."""

    @property
    def title(self) -> str:
        """What it shows."""
        ...

    @property
    def columns(self) -> Sequence[str]:
        """Their headings."""
        ...

    @property
    def rows(self) -> Iterable[Sequence[object]]:
        """As many cells each as there are columns."""
        ...


@dataclass(frozen=True)
class Report:
    """What a report tells. All texts are plain text; `to_html` escapes them."""

    title: str
    contract: Contract
    command: str = ""
    """What to type to repeat the run."""
    subtitle: str = ""
    tables: Sequence[TableLike] = ()
    """What it was trained on: files, classes, split."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Scores of the network: `name`, and `name/class`."""
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Scores of the baselines, by their names."""
    score_tables: Sequence[TableLike] = ()
    """Further tables of scores."""
    protocol: Mapping[str, object] = field(default_factory=dict)
    """How the scores were measured."""
    figures: Mapping[str, bytes] = field(default_factory=dict)
    """Caption → PNG, in order."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """See `environment`."""
    recipe: str = ""
    """The effective recipe, YAML."""


def environment() -> dict[str, str]:
    """Returns what the run was made with: machine, Python, and versions of the packages that matter."""
    found = {"platform": platform.platform(), "python": platform.python_version()}
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
    sections = [
        _section("Scores", _scores(report), *_titled(report.score_tables), _protocol(report.protocol)),
        _section(_MEMBERS.get(report.contract.output.kind, "Classes"), _per_member(report)),
        _section("Figures", *(_figure(caption, png) for caption, png in report.figures.items())),
        _section("Trained on", *_titled(report.tables)),
        _section("Contract", *_contract(report.contract)),
        _section("Repeat it", _code(report.command), _code(report.recipe)),
        _section("Environment", _table(("what", "version"), report.environment.items() if report.environment else ())),
    ]
    template = Template((resources.files("geodl.report") / "template.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=_text(report.title), subtitle=_text(report.subtitle), sections="\n".join(filter(None, sections))
    )


def _titled(tables: Iterable[TableLike]) -> Iterable[str]:
    return (f"<h3>{_text(table.title)}</h3>{_table(table.columns, table.rows)}" for table in tables)


def _scores(report: Report) -> str:
    """Whole-data scores of the network beside those of the baselines, the best of each marked."""
    owners = {report.contract.pipeline: report.metrics, **report.baselines}
    names = [name for name in report.metrics if "/" not in name]
    rows = []
    for name in names:
        values = [scores.get(name, math.nan) for scores in owners.values()]
        best = _best(name, [value for value in values if math.isfinite(value)])
        rows.append([_cell(name), *(_cell(value, best=value == best) for value in values)])
    return _rows(("metric", *owners), rows) if names else ""


def _best(name: str, values: Sequence[float]) -> float | None:
    """The score to be marked; None where there is nothing to choose from."""
    if len(values) < 2 or name in _NOT_COMPARED:
        return None
    if name in _IDEAL:
        return min(values, key=lambda value: abs(value - _IDEAL[name]))
    return min(values) if name in _LESS_IS_BETTER else max(values)


def _per_member(report: Report) -> str:
    """Scores by class (threshold, band), the first kind also of the baselines."""
    pairs = [tuple(name.split("/", 1)) for name in report.metrics if "/" in name]
    if not pairs:
        return ""
    kinds, members = list(dict.fromkeys(kind for kind, _ in pairs)), list(dict.fromkeys(member for _, member in pairs))
    columns = ["", *kinds, *(f"{kinds[0]} of {owner}" for owner in report.baselines)]
    rows = []
    for member in members:
        own = [report.metrics.get(f"{kind}/{member}", math.nan) for kind in kinds]
        others = [scores.get(f"{kinds[0]}/{member}", math.nan) for scores in report.baselines.values()]
        rows.append([_cell(member), *(_cell(value) for value in own + others)])
    return _rows(columns, rows)


def _contract(contract: Contract) -> Iterable[str]:
    """What the network eats and gives."""
    yield "<h3>Bands</h3>"
    bands = [(band.name, band.unit or "not stated") for band in contract.input.bands]
    yield _table(("band", "unit"), bands)
    yield "<h3>Axes</h3>"
    axes = [
        (
            dim.name,
            "any" if dim.size is None else dim.size,
            "all" if dim.margin is None else dim.margin,
            f"{dim.step:g} {dim.unit}".strip() if dim.step is not None else "",
        )
        for dim in contract.input.dims
    ]
    yield _table(("axis", "size", "receptive margin (pixels)", "spacing"), axes)
    if contract.output.classes:
        yield "<h3>Classes</h3>"
        yield _table(("value", "class", "colour"), [(c.value, c.name, c.colour) for c in contract.output.classes])


def _protocol(protocol: Mapping[str, object]) -> str:
    return "".join(f'<p class="soft">{_text(name)}: {_text(_plain(value))}</p>' for name, value in protocol.items())


def _figure(caption: str, png: bytes) -> str:
    data = base64.b64encode(png).decode("ascii")
    words = _text(caption)
    return f'<figure><img alt="{words}" src="data:image/png;base64,{data}"><figcaption>{words}</figcaption></figure>'


def _section(title: str, *parts: str) -> str:
    body = "\n".join(part for part in parts if part)
    return f"<section>\n<h2>{_text(title)}</h2>\n{body}\n</section>" if body else ""


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    cells = [[_cell(value) for value in row] for row in rows]
    return _rows(columns, cells) if cells else ""


def _rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Joins cells that are HTML already."""
    numeric = [all('class="number' in row[index] for row in rows) for index in range(len(columns))]
    head = "".join(
        f"<th{' class=number' if number else ''}>{_text(column)}</th>"
        for column, number in zip(columns, numeric, strict=True)
    )
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _cell(value: object, *, best: bool = False) -> str:
    if isinstance(value, Real) and not isinstance(value, bool):
        return f'<td class="number{" best" if best else ""}">{_text(_plain(value))}</td>'
    return f"<td>{_text(_plain(value))}</td>"


def _plain(value: object) -> str:
    """A value in words: scores with three decimals, undefined ones as a dash, lists shortened."""
    if isinstance(value, Real) and not isinstance(value, (bool, int)):
        return f"{float(value):.3f}" if math.isfinite(value) else "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(part)}" for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value[:8])) + (f", … ({len(value)} in all)" if len(value) > 8 else "")
    return "" if value is None else str(value)


def _code(text: str) -> str:
    return f"<pre><code>{_text(text)}</code></pre>" if text else ""


def _text(text: str) -> str:
    return html.escape(str(text), quote=True)
