"""Scores beside those of the baselines: which is best, by class, what became of each class, and who is ahead."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from geodl.report.sheet import Cell, Sheet, cell

__all__ = ("confusion_sheet", "members_sheet", "scores_sheet", "verdict")

Scores = Mapping[str, float]

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
_WORDS = {
    "miou": "mean IoU",
    "psnr": "PSNR",
    "csi": "critical success index",
    "accuracy": "accuracy",
    "nrmse": "normalised RMSE",
    "ssim": "SSIM",
    "vpt": "valid prediction time",
}
_UNITS = {"psnr": " dB", "vpt": " Lyapunov times"}


def scores_sheet(owner: str, metrics: Scores, baselines: Mapping[str, Scores]) -> Sheet:
    """Lays out the scores of the whole data, the best of each marked.

    Args:
        owner: what to call the network.
        metrics: its scores, `name` and `name/member`; the latter are left out here.
        baselines: scores of each.

    Example:
        >>> scores_sheet("unet", {"miou": 0.5}, {"forest": {"miou": 0.25}}).rows[0][2].best
        True
    """
    owners = {owner: metrics, **baselines}
    rows = []
    for name in (name for name in metrics if "/" not in name):
        values = [scores.get(name, math.nan) for scores in owners.values()]
        best = _best(name, [value for value in values if math.isfinite(value)])
        cells = (cell(value, best=best is not None and value == best) for value in values)
        rows.append((Cell(name), Cell(_direction(name)), *cells))
    return Sheet(("metric", "better", *owners), tuple(rows))


def members_sheet(metrics: Scores, baselines: Mapping[str, Scores], *, what: str = "class") -> Sheet:
    """Lays out scores by class (threshold, band): all kinds of the network, the first kind of the baselines.

    Args:
        metrics: `kind/member` → score; others are left out.
        baselines: the same, of each baseline.
        what: a member is.
    """
    pairs = [name.split("/", 1) for name in metrics if "/" in name]
    kinds, members = (list(dict.fromkeys(pair[k] for pair in pairs)) for k in (0, 1))
    if not pairs:
        return Sheet((), ())
    columns = (what, *kinds, *(f"{kinds[0]} of {owner}" for owner in baselines))
    rows = []
    for member in members:
        first = [f"{kinds[0]}/{member}"] * len(baselines)
        others = [scores.get(name, math.nan) for name, scores in zip(first, baselines.values(), strict=True)]
        own = [metrics.get(f"{kind}/{member}", math.nan) for kind in kinds]
        best = _best(kinds[0], [value for value in (own[0], *others) if math.isfinite(value)])
        marked = [k in (0, *range(len(kinds), len(own) + len(others))) for k in range(len(own) + len(others))]
        cells = [
            cell(value, best=compared and best is not None and value == best)
            for value, compared in zip(own + others, marked, strict=True)
        ]
        rows.append((Cell(member), *cells))
    return Sheet(columns, tuple(rows))


def confusion_sheet(details: Mapping[str, Any]) -> Sheet | None:
    """Lays out a confusion matrix: of each true class the share that was told to be each class, and the count.

    Args:
        details: of an evaluation; `classes`, their names, and `confusion`, counts with true classes in rows.

    Returns:
        Shares in per cent, shaded, with counts beneath; None where there is no matrix.
    """
    counts, classes = np.asarray(details.get("confusion", ())), [str(name) for name in details.get("classes", ())]
    if not classes or counts.shape != (len(classes),) * 2:
        return None
    rows = []
    for name, row in zip(classes, counts, strict=True):
        total = row.sum()
        shares = row / total if total else np.full(len(row), math.nan)
        rows.append(
            (Cell(name), *(_share(float(s), int(n)) for s, n in zip(shares, row, strict=True)), cell(f"{total:,}"))
        )
    note = "Rows: the true class. Columns: the class told. Per cent of the row, and the count beneath."
    return Sheet(("true class", *classes, "in all"), tuple(rows), note=note)


_OTHER_CLASSES = (
    " The two means are over different classes: one that the held-out part lacks counts as 0 for who told it anywhere."
)


def verdict(
    main: str, owner: str, metrics: Scores, baselines: Mapping[str, Scores], *, where: str = "the held-out data"
) -> str:
    """Says who is ahead, in one sentence: the network, or the best of the baselines.

    Args:
        main: name of the score that counts most.
        owner: what to call the network.
        metrics: its scores.
        baselines: scores of each.
        where: what was scored.

    Returns:
        The sentence; empty where the network has no such score.

    Example:
        >>> verdict("miou", "unet", {"miou": 0.75}, {"forest": {"miou": 0.5}})
        'unet reaches a mean IoU of 0.750 on the held-out data; the baseline, forest, 0.500: the network is ahead by 0.250.'
    """
    own = metrics.get(main, math.nan)
    if not math.isfinite(own):
        return ""
    name, unit = _WORDS.get(main, main), _UNITS.get(main, "")
    article = "an" if name[0] in "aeioSR" else "a"
    told = f"{owner} reaches {article} {name} of {_said(own)}{unit} on {where}"
    known = {other: scores[main] for other, scores in baselines.items() if math.isfinite(scores.get(main, math.nan))}
    if not known:
        return f"{told}. No baseline was scored beside it."
    best = _best(main, [own, *known.values()])
    if best is None:
        return f"{told}."
    rival = min(known, key=lambda other: known[other] if main in _LESS_IS_BETTER else -known[other])
    difference = abs(own - known[rival])
    if _said(own) == _said(known[rival]):
        outcome = "the two are level"
    else:
        outcome = f"the network is {'ahead' if own == best else 'behind'} by {_said(difference)}{unit}"
    which = "the best baseline" if len(known) > 1 else "the baseline"
    others = "" if _members(metrics) == _members(baselines[rival]) else _OTHER_CLASSES
    return f"{told}; {which}, {rival}, {_said(known[rival])}{unit}: {outcome}.{others}"


def _said(value: float) -> str:
    """Three decimals; of what these would hide, three digits."""
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.01 else f"{value:.2e}"


def _members(scores: Scores) -> set[str]:
    """Classes (bands, thresholds) whose IoU is known, and so is in the mean."""
    return {name for name, value in scores.items() if name.startswith("iou/") and math.isfinite(value)}


def _best(name: str, values: Sequence[float]) -> float | None:
    """The score to be marked; None where there is nothing to choose from."""
    if len(values) < 2 or name in _NOT_COMPARED or not any(values):
        return None
    if name in _IDEAL:
        return min(values, key=lambda value: abs(value - _IDEAL[name]))
    return min(values) if name in _LESS_IS_BETTER else max(values)


def _direction(name: str) -> str:
    if name in _NOT_COMPARED:
        return "–"
    if name in _IDEAL:
        return f"near {_IDEAL[name]:g}"
    return "lower" if name in _LESS_IS_BETTER else "higher"


def _share(share: float, count: int) -> Cell:
    if not math.isfinite(share):
        return Cell("–", numeric=True, soft=f"{count:,}")
    per_cent = f"{100 * share:.1f}" if share else "0"
    return Cell(per_cent, share, numeric=True, shade=round(10 * share), soft=f"{count:,}")
