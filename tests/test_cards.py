"""Data set cards."""

from __future__ import annotations

from pathlib import Path

import pytest

from geodl.cards import Card, list_cards, load_card
from geodl.data.simulate.scenes import BANDS, CLASSES
from geodl.errors import RecipeError
from geodl.recipe import shipped as module

_CARD = """\
task: segmentation
title: A
description: B
licence: CC0-1.0
citation: C
bands: [{name: B02}]
"""


@pytest.mark.parametrize("name", list_cards())
def test_every_shipped_card_is_whole(name: str) -> None:
    card = load_card(name)
    assert card.licence
    assert card.citation
    assert bool(card.files) != bool(card.simulator)


def test_the_simulated_card_says_what_the_simulator_makes() -> None:
    card = load_card("simulated-landcover")
    assert tuple(band.name for band in card.bands) == BANDS
    assert [(entry.value, entry.name, entry.colour) for entry in card.classes] == [
        (info.value, info.name, info.colour) for info in CLASSES
    ]
    assert card.simulator is not None
    assert not set(card.simulator.train) & set(card.simulator.test)


def test_an_unknown_card_is_named_with_the_nearest() -> None:
    with pytest.raises(RecipeError) as error:
        load_card("simulated-landcovr")
    assert str(error.value) == (
        "data.dataset: no data set has the name 'simulated-landcovr'. "
        f"Expected one of: {', '.join(list_cards())}. Did you mean 'simulated-landcover'?"
    )


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("license: x", "line 7: license: unknown key. Did you mean 'licence'?"),
        ("", "expected either files or a simulator."),
        (
            "files: [{path: a, url: https://example.org/a, sha256: abc, bytes: 1}]",
            "line 7: files.0.sha256: expected text like ^[0-9a-f]{64}$. Received: 'abc'.",
        ),
    ],
)
def test_mistakes_in_a_card_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, sentence: str
) -> None:
    folder = tmp_path / "_shipped" / "datasets"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(_CARD + lines + "\n")
    monkeypatch.setattr(module, "_PACKAGE", tmp_path)
    with pytest.raises(RecipeError) as error:
        load_card("mine")
    assert str(error.value).endswith(sentence)


def test_a_card_with_files_needs_no_simulator() -> None:
    files = [{"path": "a", "url": "https://example.org/a", "sha256": "0" * 64, "bytes": 1}]
    content = {"task": "t", "title": "t", "description": "d", "licence": "l", "citation": "c", "bands": [{"name": "b"}]}
    assert Card.model_validate({**content, "files": files}).files[0].path == "a"
