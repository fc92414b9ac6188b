"""Recipes: everything that a training run is made by, read from YAML, checked, overridden and written back."""

from geodl.recipe.crops import CropsRecipe, Pretraining, SeriesVariation, VerifiedSeries
from geodl.recipe.data import Augment, ClassEntry, Clouds, Data, Dates, Split
from geodl.recipe.dynamics import DynamicsRecipe, Horizon, Simulation, Start, VerifiedStates
from geodl.recipe.load import load_recipe
from geodl.recipe.model import Network, Recipe
from geodl.recipe.nowcasting import Clip, NowcastingRecipe, Verification
from geodl.recipe.restoration import DenoisingRecipe, Noise, Scoring, SuperresolutionRecipe, as_range
from geodl.recipe.sections import Section
from geodl.recipe.train import Checkpoint, Distribution, Optimizer, Schedule, Train

__all__ = (
    "Augment",
    "Checkpoint",
    "ClassEntry",
    "Clouds",
    "CropsRecipe",
    "Clip",
    "Data",
    "Dates",
    "DenoisingRecipe",
    "Distribution",
    "DynamicsRecipe",
    "Horizon",
    "Network",
    "Noise",
    "NowcastingRecipe",
    "Optimizer",
    "Pretraining",
    "Recipe",
    "Schedule",
    "Scoring",
    "Section",
    "SeriesVariation",
    "Simulation",
    "Split",
    "Start",
    "SuperresolutionRecipe",
    "Train",
    "Verification",
    "VerifiedSeries",
    "VerifiedStates",
    "as_range",
    "load_recipe",
)
