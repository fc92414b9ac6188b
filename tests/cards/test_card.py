"""Data set cards: the schema, and the cards that come with geodl."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodl.cards import list_cards, load_card
from geodl.cards.adapters import ADAPTERS
from geodl.cards.card import safe_path
from geodl.cards.simulated import planned_files
from geodl.data.simulate.phenology import BANDS as CROP_BANDS
from geodl.data.simulate.scenes import BANDS, CLASSES
from geodl.errors import RecipeError
from geodl.physics.systems import SYSTEMS
from geodl.pipelines import names

URL = "https://example.org/a"


@pytest.mark.parametrize("name", list_cards())
def test_every_shipped_card_is_whole(name: str) -> None:
    card = load_card(name)
    assert card.licence and card.citation and card.title and card.description
    assert {card.task, *card.also} <= set(names())
    assert card.simulator is not None or card.homepage
    assert card.adapter is None or card.adapter.name in ADAPTERS
    classes = [entry.value for entry in card.classes]
    assert len(set(classes)) == len(classes)


def test_the_cards_of_simulated_data_say_what_the_simulators_make() -> None:
    card = load_card("simulated-landcover")
    assert tuple(band.name for band in card.bands) == BANDS
    assert [(entry.value, entry.name, entry.colour) for entry in card.classes] == [
        (info.value, info.name, info.colour) for info in CLASSES
    ]
    assert tuple((band.name, band.unit) for band in load_card("simulated-crops").bands) == tuple(
        (band.name, band.unit) for band in CROP_BANDS
    )
    for system, kind in SYSTEMS.items():
        card = load_card(f"simulated-{system}")
        assert card.simulator is not None and card.simulator.system == system  # type: ignore[union-attr]
        assert not card.bands or tuple(band.name for band in card.bands) == kind().variables
        said = float(card.description.split("One Lyapunov time is ")[1].split()[0])
        assert said == pytest.approx(1 / kind().lyapunov, rel=2e-3)  # type: ignore[operator]


@pytest.mark.parametrize("name", [name for name in list_cards() if name.startswith("simulated")])
def test_the_test_part_of_simulated_data_lies_apart(name: str) -> None:
    card = load_card(name)
    assert card.simulator is not None and card.test
    files = planned_files(card.simulator)
    assert len(set(files)) == len(files)


def test_an_unknown_card_is_named_with_the_nearest() -> None:
    with pytest.raises(RecipeError) as error:
        load_card("simulated-landcovr")
    assert str(error.value) == (
        "data.dataset: no data set has the name 'simulated-landcovr'. "
        f"Expected one of: {', '.join(list_cards())}. Did you mean 'simulated-landcover'?"
    )


def test_a_plain_card_loads(carded: Callable[..., str]) -> None:
    card = load_card(carded(files=[{"path": "a", "url": URL, "part": "s2"}, {"path": "b", "url": "s3://bucket/b"}]))
    assert card.parts == ("s2",)
    assert card.files[1].checksum is None


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"license": "x"}, "license: unknown key. Did you mean 'licence'?"),
    "no data": ({"files": []}, "expected either files or a simulator."),
    "checksum": (
        {"files": [{"path": "a", "url": URL, "checksum": "sha256:abc"}]},
        "files.0.checksum: expected text like ^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$. Received: 'sha256:abc'.",
    ),
    "bytes": ({"files": [{"path": "a", "url": URL, "bytes": 0}]}, "files.0.bytes: expected at least 1. Received: 0."),
    "scheme": (
        {"files": [{"path": "a", "url": "ftp://host/a"}]},
        r"files.0.url: expected text like ^(https?|s3|gs)://[^\s/]+/?\S*$. Received: 'ftp://host/a'.",
    ),
    "path": ({"files": [{"path": "../a", "url": URL}]}, "such as images/a.tif. Received: '../a'."),
    "to": ({"files": [{"path": "a", "url": URL, "unpack": True, "to": "/etc"}]}, "Received: '/etc'."),
    "twice": ({"files": [{"path": "a", "url": URL}] * 2}, "expected different paths of files."),
    "by hand": ({"files": [{"path": "a"}]}, "expected manual, as there is a file without url."),
    "restrictive": (
        {"restrictive": True, "files": [{"path": "a", "url": URL}]},
        "expected a reason, and licence_url or homepage, of a restrictive licence.",
    ),
    "index": (
        {
            "files": [{"path": "a", "url": URL}],
            "index": [{"listing": "b", "files": [{"path": "{name}", "url": URL + "/{name}"}]}],
        },
        "expected the list 'b' of the index among files.",
    ),
    "index without name": (
        {
            "files": [{"path": "a", "url": URL}],
            "index": [{"listing": "a", "files": [{"path": "x", "url": URL}]}],
        },
        "expected {name} in path and in url.",
    ),
    "split": (
        {"files": [{"path": "a", "url": URL}], "split": {"test": {}}},
        "expected either patterns or a listing.",
    ),
    "data outside": (
        {"files": [{"path": "a", "url": URL}], "data": {"images": "../images"}},
        "such as images/a.tif. Received: '../images'.",
    ),
    "data of no recipe": (
        {"files": [{"path": "a", "url": URL}], "data": {"imagess": "images"}},
        "imagess",
    ),
}


@pytest.mark.parametrize(("content", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_in_a_card_are_named(carded: Callable[..., str], content: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError) as error:
        load_card(carded(**content))
    assert sentence in str(error.value)


@given(st.text(st.sampled_from("ab./\\: \n\x00é") | st.characters(), max_size=30))
def test_a_path_stays_below_the_folder_or_is_refused(path: str) -> None:
    try:
        assert safe_path(path) == path
    except (ValueError, UnicodeEncodeError):
        return
    assert os.path.normpath(os.path.join("/folder", path)) == f"/folder/{path}"
