"""Committees: classification networks that learn side by side and answer together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from geodl.errors import OptionError

__all__ = ("Committee", "MeanProbability", "members_of")

_register = keras.saving.register_keras_serializable(package="geodl")


@_register
class MeanProbability(layers.Layer):
    """The logarithm of the members' mean probability, which is a logit again; while training, all members' own logits.

    Each member thus learns for itself, as if it were alone: their mistakes stay their own, and cancel in the mean
    (Hansen & Salamon 1990; Lakshminarayanan et al. 2017, "Deep ensembles", section 2.4). A loss of training must take
    the further axis: see `geodl.losses.PerMember`.

    Input: logits of the members, a list of (batch, class). Output: (batch, class); while training (batch, member, class).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, logits: Sequence[Any], training: bool | None = None) -> Any:
        """See the class."""
        each = ops.stack([ops.cast(one, "float32") for one in logits], axis=1)
        if training:
            return each
        return ops.logsumexp(ops.log_softmax(each, axis=-1), axis=1) - ops.log(float(len(logits)))

    def compute_output_shape(self, input_shape: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """That of one member."""
        return tuple(input_shape[0])


def Committee(members: Sequence[keras.Model], *, name: str = "committee") -> keras.Model:
    """Makes one network of several that eat the same and tell the same classes apart.

    Args:
        members: networks, with different names, of logits (batch, class). Their weights are shared with the committee.
        name: of the network.

    Returns:
        A network with the inputs of the first member; see `MeanProbability` for its output.

    Raises:
        OptionError: there is no member, or they differ in inputs or classes.

    Example:
        >>> committee = Committee([TempCNN(4, 9, name=f"member_{k}") for k in range(5)])
    """
    if not members:
        raise OptionError("members", expected="at least one network", received=members)
    first = members[0]
    for member in members[1:]:
        if _shapes(member) != _shapes(first):
            raise OptionError("members", expected=f"networks like {_shapes(first)}", received=_shapes(member))
    if len({member.name for member in members}) < len(members):
        raise OptionError("members", expected="networks of different names", received=[one.name for one in members])
    inputs = [keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name) for tensor in first.inputs]
    named = {tensor.name: given for tensor, given in zip(first.inputs, inputs, strict=True)}
    return keras.Model(
        inputs,
        MeanProbability(name="mean_probability")([member(_as_given(member, named)) for member in members]),
        name=name,
    )


def members_of(network: keras.Model) -> list[keras.Model]:
    """Returns the members of a committee; of any other network itself."""
    if not any(isinstance(layer, MeanProbability) for layer in network.layers):
        return [network]
    return [layer for layer in network.layers if isinstance(layer, keras.Model)]


def _as_given(member: keras.Model, named: dict[str, Any]) -> Any:
    """The inputs in the structure that the member was made with."""
    return keras.tree.map_structure(lambda tensor: named[tensor.name], member.input)


def _shapes(network: keras.Model) -> tuple[Any, ...]:
    return tuple((tensor.name, tensor.shape) for tensor in network.inputs), network.output.shape
