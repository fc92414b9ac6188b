"""Networks by the names that recipes use."""

from __future__ import annotations

from typing import Any

import pytest

from geodl.errors import RecipeError
from geodl.pipelines.networks import build_network
from geodl.recipe import Network


def wide(channels: int, *, width: int = 3, depth: int = 2, mean: Any = None, name: str = "wide") -> Any:
    return {"channels": channels, "width": width, "depth": depth, "mean": mean, "name": name}


def flat(channels: int, *, scale: int) -> Any:
    return {"channels": channels, "scale": scale}


BUILDERS: Any = {"wide": wide, "flat": flat}


def build(
    name: str, given: dict[str, Any] | None = None, defaults: dict[str, Any] | None = None, **options: Any
) -> Any:
    network = Network.model_validate({"name": name, **options})
    return build_network(BUILDERS, network, given={"channels": 4, **(given or {})}, defaults=defaults)


def test_options_come_before_defaults_and_defaults_before_the_builders_own() -> None:
    assert build("wide", width=8) == {"channels": 4, "width": 8, "depth": 2, "mean": None, "name": "wide"}
    assert build("wide", defaults={"width": 16, "depth": 5}, width=8, depth="auto")["depth"] == 5
    assert build("wide", width="auto")["width"] == 3


def test_what_a_builder_has_not_is_not_given_to_it() -> None:
    assert build("flat", given={"mean": [1.0], "scale": 2}) == {"channels": 4, "scale": 2}


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("wyde", {}, "network.name: expected one of wide, flat. Received: 'wyde'. Did you mean 'wide'?"),
        (
            "wide",
            {"widht": 8},
            "network.widht: unknown option of wide. Expected: depth, mean, width. Did you mean 'width'?",
        ),
        ("wide", {"channels": 8}, "network.channels: unknown option of wide."),
    ],
)
def test_what_there_is_not_is_named(name: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError) as error:
        build(name, **options)
    assert sentence in str(error.value)


def test_the_only_network_is_named_alone() -> None:
    with pytest.raises(RecipeError, match=r"network\.name: expected 'flat'\. Received: 'wide'"):
        build_network({"flat": flat}, Network(name="wide"), given={})
