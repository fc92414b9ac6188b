"""What the shell offers when the user presses Tab: recipes, keys of recipes, pipelines, data sets.

Run at every press of a key, so nothing heavy is loaded before it is needed.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ("data_sets", "pipelines", "recipe_keys", "recipes")


def recipes(incomplete: str) -> list[str]:
    """Shipped recipes; paths of YAML files are the shell's own."""
    from geodl.recipe.shipped import shipped_names

    return _beginning(shipped_names("pipelines"), incomplete)


def pipelines(incomplete: str) -> list[str]:
    """The six pipelines."""
    from geodl.pipelines import names

    return _beginning(names(), incomplete)


def data_sets(incomplete: str) -> list[str]:
    """Data sets that have a card."""
    from geodl.recipe.shipped import shipped_names

    return _beginning(shipped_names("datasets"), incomplete)


def recipe_keys(incomplete: str) -> list[str]:
    """Keys for `--set`, up to their `=`, of all pipelines: which one it is cannot be known before `--set` has a value."""
    from geodl import recipe
    from geodl.recipe.sections import all_keys

    kinds = (
        recipe.Recipe,
        recipe.DenoisingRecipe,
        recipe.SuperresolutionRecipe,
        recipe.NowcastingRecipe,
        recipe.DynamicsRecipe,
        recipe.CropsRecipe,
    )
    return _beginning(dict.fromkeys(f"{key}=" for kind in kinds for _, key in all_keys(kind)), incomplete)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
