"""The weighted sum of losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from geodl.errors import OptionError

__all__ = ("Sum",)


@keras.saving.register_keras_serializable(package="geodl")
class Sum(keras.losses.Loss):
    """A weighted sum of losses.

    Args:
        terms: pairs of a weight and a loss.
    """

    def __init__(self, terms: Sequence[tuple[float, keras.losses.Loss]], *, name: str = "sum", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.terms = tuple((float(weight), loss) for weight, loss in terms)
        if not self.terms:
            raise OptionError("terms", expected="at least one (weight, loss)", received=terms)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the summed loss of each pixel."""
        return sum(weight * loss.call(y_true, y_pred) for weight, loss in self.terms)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, losses serialised."""
        terms = [(weight, keras.losses.serialize(loss)) for weight, loss in self.terms]
        return {**super().get_config(), "terms": terms}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Sum:
        """Rebuilds what `get_config` describes."""
        terms = [(weight, keras.losses.deserialize(loss)) for weight, loss in config["terms"]]
        return cls(**{**config, "terms": terms})
