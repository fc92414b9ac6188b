"""Examples in docstrings run, in a folder that holds what they name, and what they say is what comes.

An example that states no answer only has to run. Answers in comments are read as answers where they are Python
(`# [[2.0, 0.0]]`). Tensors of all backends count as nested lists; numbers have to agree to the digits that are written.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
import shutil
import sys
from collections.abc import Collection, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import geodl
from tests.docstringworld import given_names, lay_out

_NETWORK = "asks a server on the internet"
_TRAINS = "trains for minutes"
_INSIDE = "shows one step in the midst of a longer walk"
SKIPPED = {
    "geodl.data.blockcache.row_cache_bytes": _NETWORK,
    "geodl.data.products.open_product": "needs a Sentinel-2 product",
    "geodl.data.stac.open_item": "needs a STAC item and its rasters",
    "geodl.data.stacsearch.search": _NETWORK,
    "geodl.inference.recurrence.Recurrences": _INSIDE,
    "geodl.inference.writers.MapWriter": _INSIDE,
    "geodl.pipelines.base.train": _TRAINS,
    "geodl.storage.cached.fetched": _NETWORK,
    "geodl.storage.folder.Storage": _NETWORK,
    "geodl.training.fit.fit": _TRAINS,
    "geodl.training.layout.ModelParallel": "needs eight devices",
    "geodl.training.trackers.tracker": "needs MLflow",
}
"""Docstrings whose examples are not run, with the reason."""

NEEDS = {
    "geodl.baselines.minirocket.MiniRocketSeries": "aeon",
    "geodl.baselines.nowcast.ANVIL": "pysteps",
    "geodl.baselines.nowcast.Extrapolation": "pysteps",
    "geodl.baselines.nowcast.SPROG": "pysteps",
    "geodl.baselines.sindy.PySINDy": "pysindy",
}
"""Docstrings whose examples run where a package is installed that is no dependency."""

SLOW = (
    "geodl.baselines.lstm",
    "geodl.baselines.series",
    "geodl.data.batches",
    "geodl.data.mosaic",
    "geodl.inference",
    "geodl.models.convlstm",
    "geodl.models.inception",
    "geodl.models.neural_ode",
    "geodl.models.pretraining",
    "geodl.models.rainnet",
    "geodl.models.recurrent",
    "geodl.models.residual",
    "geodl.models.superres",
    "geodl.models.transformer",
    "geodl.models.unet",
    "geodl.report",
    "geodl.training",
)
"""Their examples train, build large networks, map scenes, start processes or draw."""

_ABSENT = {"geodl.pysteps": "pysteps"}
"""Modules that cannot be imported without a package that is no dependency."""


@cache
def _docstrings() -> tuple[doctest.DocTest, ...]:
    found, finder = [], doctest.DocTestFinder(exclude_empty=True)
    for module in pkgutil.walk_packages(geodl.__path__, "geodl."):
        if module.name.endswith("__main__") or module.name in _ABSENT:
            continue
        found += finder.find(importlib.import_module(module.name), module.name)
    found += finder.find(geodl.load, "geodl.load", module=geodl)
    places = {(test.filename, test.lineno or test.name): test for test in found if test.examples}
    return tuple(places.values())


def _named(names: Collection[str], test: doctest.DocTest) -> bool:
    return any(f"{test.name}.".startswith(f"{name}.") for name in names)


def _shown(value: Any) -> Any:
    """Tensors of any backend, and their shapes, as what Python writes."""
    if type(value).__name__ == "TensorShape":
        return tuple(value)
    if keras.ops.is_tensor(value):
        return keras.ops.convert_to_numpy(value).tolist()
    if type(value) in (list, tuple):
        return type(value)(_shown(each) for each in value)
    return value


def _display(value: Any) -> None:
    if value is not None:
        print(repr(_shown(value)))


class _Checker(doctest.OutputChecker):
    """Accepts numbers that agree to the digits that the docstring writes."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return not want or super().check_output(want, got, optionflags) or _agree(want, got)


_NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:e[+-]?\d+)?|\bnan\b")


def _agree(want: str, got: str) -> bool:
    if re.sub(r"\s", "", _NUMBER.sub("#", want)) != re.sub(r"\s", "", _NUMBER.sub("#", got)):
        return False
    for written, found in zip(_NUMBER.findall(want), _NUMBER.findall(got), strict=True):
        digits = len(written.partition("e")[0].partition(".")[2])
        exponent = int(written.partition("e")[2] or 0)
        if not np.isclose(
            float(found), float(written), rtol=0, atol=0.51 * 10.0 ** (exponent - digits), equal_nan=True
        ):
            return False
    return True


def _with_answer(example: doctest.Example) -> doctest.Example:
    """An answer that stands in a comment becomes one that is checked."""
    code, sign, comment = example.source.rstrip().rpartition("  # ")
    if example.want or not sign:
        return example
    try:
        ast.literal_eval(comment.replace("nan", "0"))
        ast.parse(code.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return example
    # What is assigned shows nothing, and shapes are told of arrays that are not shown.
    return doctest.Example(code, comment) if comment.startswith("[") else example


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("docstrings")
    lay_out(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "__displayhook__", _display)
        keras.config.disable_interactive_logging()
        yield folder
        keras.config.enable_interactive_logging()


def _run(test: doctest.DocTest) -> str:
    there = set(Path().iterdir())
    test.globs = {**given_names(test.name), **test.globs}
    test.examples = [_with_answer(example) for example in test.examples]
    said: list[str] = []
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    doctest.DocTestRunner(_Checker(), optionflags=flags).run(test, out=said.append, clear_globs=False)
    for made in set(Path().iterdir()) - there:
        shutil.rmtree(made) if made.is_dir() else made.unlink()
    return "".join(said)


def _left_out(test: doctest.DocTest) -> bool:
    return _named(SKIPPED, test) or find_spec(NEEDS.get(test.name, "geodl")) is None


def _failures(*, slow: bool) -> list[str]:
    chosen = [test for test in _docstrings() if _named(SLOW, test) == slow and not _left_out(test)]
    return [told for test in chosen if (told := _run(test))]


def test_examples_of_docstrings_hold(world: Path) -> None:
    failed = _failures(slow=False)
    assert not failed, "\n".join(failed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_examples_of_docstrings_that_take_long_hold(world: Path) -> None:
    failed = _failures(slow=True)
    assert not failed, "\n".join(failed)


def test_nothing_is_left_out_without_a_reason() -> None:
    names = [test.name for test in _docstrings()]
    assert sum(len(test.examples) for test in _docstrings()) > 400
    assert all(any(f"{name}.".startswith(f"{entry}.") for name in names) for entry in (*SKIPPED, *NEEDS, *SLOW))
    options = {option for test in _docstrings() for example in test.examples for option in example.options}
    assert doctest.SKIP not in options
