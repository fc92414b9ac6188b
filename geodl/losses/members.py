"""The loss of networks that learn side by side."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

__all__ = ("PerMember",)


@keras.saving.register_keras_serializable(package="geodl")
class PerMember(keras.losses.Loss):
    """The mean over the members of a committee of each one's own loss; see `geodl.models.committee`.

    Args:
        loss: of one network, per sample.
    """

    def __init__(self, loss: keras.losses.Loss, *, name: str = "per_member", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.loss = loss

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each sample; `y_pred` is (batch, member, class), or (batch, class) of one network."""
        if len(y_pred.shape) == 2:
            return self.loss.call(y_true, y_pred)
        truth = ops.broadcast_to(ops.expand_dims(y_true, 1), ops.shape(y_pred)[:-1])
        return ops.mean(self.loss.call(truth, y_pred), axis=1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, the loss serialised."""
        return {**super().get_config(), "loss": keras.losses.serialize(self.loss)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PerMember:
        """Rebuilds what `get_config` describes."""
        return cls(**{**config, "loss": keras.losses.deserialize(config["loss"])})
