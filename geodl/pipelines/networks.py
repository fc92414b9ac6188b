"""Networks by the names that recipes use."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras

from geodl.errors import RecipeError
from geodl.recipe import Network

__all__ = ("build_network",)


def build_network(
    builders: Mapping[str, Callable[..., keras.Model]],
    network: Network,
    *,
    given: Mapping[str, Any],
    defaults: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Builds the network that a recipe names.

    Args:
        builders: what a pipeline offers, by name.
        network: of the recipe: a name and options, of which those that are `auto` are left to `defaults`.
        given: arguments that follow from the data, which a recipe cannot set; those that a builder has not are left out.
        defaults: arguments that follow from the data where the recipe leaves them open; likewise.

    Raises:
        RecipeError: there is no such network or option.
        OptionError: an option's value is out of range.
    """
    if network.name not in builders:
        names = ", ".join(builders)
        raise RecipeError(
            "network.name",
            f"expected {f'one of {names}' if len(builders) > 1 else repr(names)}. Received: {network.name!r}.",
            valid=builders,
            nearest_to=network.name,
        )
    builder = builders[network.name]
    known = set(inspect.signature(builder).parameters)
    valid = sorted(known - {*given, "name"})
    for option in network.options:
        if option not in valid:
            problem = f"unknown option of {network.name}. Expected: {', '.join(valid)}."
            raise RecipeError(f"network.{option}", problem, valid=valid)
    chosen = {name: value for name, value in network.options.items() if value != "auto"}
    fixed, usual = ({name: each[name] for name in each if name in known} for each in (given, defaults or {}))
    return builder(**fixed, **{**usual, **chosen})
