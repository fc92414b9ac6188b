"""Recipes: everything that a training run is made by, read from YAML, checked, overridden and written back."""

from geodl.recipe.data import Augment, ClassEntry, Data, Split
from geodl.recipe.load import load_recipe
from geodl.recipe.model import Network, Recipe
from geodl.recipe.sections import Section
from geodl.recipe.train import Checkpoint, Distribution, Optimizer, Schedule, Train

__all__ = (
    "Augment",
    "Checkpoint",
    "ClassEntry",
    "Data",
    "Distribution",
    "Network",
    "Optimizer",
    "Recipe",
    "Schedule",
    "Section",
    "Split",
    "Train",
    "load_recipe",
)
