"""Damaged files are read or refused by a sentence: no crash, no hang, no flood of memory, no traceback."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.data.fuzz import Specimen, crafted, mutate, specimens
from tests.data.fuzz_child import Child
from tests.fuzz_campaign import campaign, is_finding, mutants

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are those of Linux")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Specimen]:
    return specimens(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with Child(tmp_path_factory.mktemp("child")) as child:
        yield child


def test_what_a_child_does_to_itself_is_seen(child: Child, tmp_path: Path) -> None:
    assert child.run("flood", tmp_path)["kind"] == "memory"
    crash = child.run("crash", tmp_path)
    assert (crash["kind"], "Fatal Python error: Aborted" in crash["noise"]) == ("crash", True)
    assert child.run("read", tmp_path / "gone.tif")["kind"] == "refused"


def test_whole_files_are_read(child: Child, whole: list[Specimen], tmp_path: Path) -> None:
    rasters = [specimen for specimen in whole if not specimen.entry.startswith("fields.")]
    for specimen, task, outcome in campaign(rasters, tmp_path, child=child, tasks=("info", "predict")):
        assert outcome["kind"] == "values", (specimen.label, task, outcome)
    polygons = [specimen for specimen in whole if specimen not in rasters]
    for specimen, _, outcome in campaign(polygons, tmp_path, child=child, tasks=("read",)):
        assert outcome["kind"] == "values", (specimen.label, outcome)


def test_damaged_files_are_read_or_refused(child: Child, whole: list[Specimen], tmp_path: Path) -> None:
    kinds: Counter[str] = Counter()
    for number, task in ((150, "read"), (40, "info"), (40, "predict")):
        for specimen, _, outcome in campaign(mutants(whole, number, seed=7), tmp_path, child=child, tasks=(task,)):
            assert not is_finding(outcome), (specimen.label, task, outcome)
            kinds[outcome["kind"]] += 1
    assert min(kinds["values"], kinds["refused"]) > 20


@pytest.mark.parametrize("task", ["read", "info", "predict"])
def test_odd_files_are_read_or_refused(child: Child, tmp_path: Path, task: str) -> None:
    for specimen, _, outcome in campaign(crafted(), tmp_path, child=child, tasks=(task,)):
        assert not is_finding(outcome), (specimen.label, outcome)


@pytest.mark.slow
def test_damaged_real_files_are_read_or_refused(real_data: Path, tmp_path: Path) -> None:
    paths = sorted((real_data / "scenes/cog_cases").glob("*.tif"))
    if not paths:
        pytest.skip(f"real data absent: {real_data / 'scenes/cog_cases'}")
    originals = [Specimen(path.name, path.name, {path.name: path.read_bytes()}) for path in paths]
    for specimen, task, outcome in campaign(mutants(originals, 1000, seed=0), tmp_path):
        assert not is_finding(outcome), (specimen.label, task, outcome)


def test_mutants_are_the_same_again_and_differ_from_the_original(whole: list[Specimen]) -> None:
    again = [mutate(whole[0], Random(f"3 {k}")) for k in range(30)]
    assert again == [mutate(whole[0], Random(f"3 {k}")) for k in range(30)]
    assert sum(mutant.files != whole[0].files for mutant in again) > 24
