"""The recipe as a whole."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, field_validator

from geodl.recipe.data import Data
from geodl.recipe.document import write_value
from geodl.recipe.sections import Section
from geodl.recipe.train import Distribution, Train

__all__ = ("Network", "Recipe")


class Network(Section):
    """A network by name, with its options; pipelines say which names and options there are."""

    model_config = ConfigDict(extra="allow")

    name: str = "unet"

    @property
    def options(self) -> dict[str, Any]:
        """All keys but the name: arguments of the network's builder."""
        return self.model_dump(exclude={"name"})


class Recipe(Section):
    """What a run is made by. Pipelines add keys of their own by subclassing."""

    pipeline: str
    """Name of the pipeline."""
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    """Seed of everything random: split, samples, augmentation, first weights."""
    data: Data = Data()
    network: Network = Network()
    loss: list[dict[str, Any]] = Field(default_factory=list)
    """Terms that are summed, each with its name, weight (default 1) and options; a bare name will do."""
    train: Train = Train()
    distribution: Distribution = Distribution()

    @field_validator("loss", mode="before")
    @classmethod
    def _terms(cls, loss: Any) -> Any:
        listed = loss if isinstance(loss, list) else [loss]
        terms = [{"name": term} if isinstance(term, str) else term for term in listed]
        if not all(isinstance(term, dict) and isinstance(term.get("name"), str) for term in terms):
            raise ValueError(f"expected names of losses, or mappings with a name. Received: {loss!r}.")
        return terms

    def to_yaml(self) -> str:
        """Returns the whole recipe, defaults included, as YAML that loads back equal."""
        return write_value(self.model_dump())

    def flat(self) -> dict[str, Any]:
        """Returns dotted key → value of every field."""
        return _flat(self.model_dump())

    def changes(self, other: Recipe) -> dict[str, tuple[Any, Any]]:
        """Compares two recipes.

        Returns:
            Dotted key → (value here, value in `other`) of every field that differs; None where one has no such field.
        """
        mine, theirs = self.flat(), other.flat()
        keys = dict.fromkeys((*mine, *theirs))
        return {key: (mine.get(key), theirs.get(key)) for key in keys if mine.get(key) != theirs.get(key)}


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in content.items():
        key = f"{prefix}{name}"
        flat.update(_flat(value, f"{key}.") if isinstance(value, dict) and value else {key: value})
    return flat
