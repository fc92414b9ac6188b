"""The count of arithmetic against XLA's, torch's and a sum by hand."""

from __future__ import annotations

from typing import Any

import keras
import pytest

from benchmarks.flops import forward_flops, training_flops
from geodl.models import EncoderForecaster, UNet
from geodl.models.convlstm import ConvLSTM2D
from geodl.models.steps import TakeSteps

ON_JAX = pytest.mark.skipif(keras.backend.backend() != "jax", reason="asks XLA through JAX")


def _by_xla(network: keras.Model, shape: tuple[int, ...]) -> float:
    """What XLA counts in the gradient of the network's weights, from the shapes alone."""
    import jax

    def as_shapes(variables: list[Any]) -> list[Any]:
        return [jax.ShapeDtypeStruct(variable.shape, variable.dtype) for variable in variables]

    def loss(trainable: Any, others: Any, x: Any) -> Any:
        y, _ = network.stateless_call(trainable, others, x, training=True)
        return keras.ops.mean(keras.ops.square(y))

    x = jax.ShapeDtypeStruct((1, *shape), "float32")
    lowered = jax.jit(jax.grad(loss)).lower(
        as_shapes(network.trainable_variables), as_shapes(network.non_trainable_variables), x
    )
    return lowered.cost_analysis()["flops"]


def test_layers_cost_what_a_sum_by_hand_says() -> None:
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 3, padding="same")(image)
    x = keras.layers.Conv2D(4, 1, strides=2)(x)
    network = keras.Model(image, keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(x)))
    expected = 2 * (16 * 20 * 9 * 3 * 8 + 8 * 10 * 8 * 4 + 4 * 5)
    assert forward_flops(network, (16, 20, 3)) == expected
    assert training_flops(network, (16, 20, 3)) == 3 * expected


@pytest.mark.parametrize("given", [False, True], ids=["from zeros", "from a state"])
def test_a_convolutional_lstm_does_not_convolve_the_state_that_it_has_not(given: bool) -> None:
    clip = keras.Input((5, 8, 6, 3))
    first = keras.layers.Reshape((8, 6, 3))(TakeSteps(0, 1)(clip))
    state = [keras.layers.Conv2D(2, 1)(first)] * 2 if given else None
    network = keras.Model(clip, ConvLSTM2D(2)(clip, initial_state=state))
    own = 2 * 8 * 6 * (5 * 9 * 3 * 8 + (5 if given else 4) * 9 * 2 * 8)
    assert forward_flops(network, (5, 8, 6, 3)) == own + (2 * 8 * 6 * 3 * 2 if given else 0)


def test_a_layer_that_is_not_known_is_no_nothing() -> None:
    image = keras.Input((8, 8, 3))
    network = keras.Model(image, keras.layers.DepthwiseConv2D(3)(image))
    with pytest.raises(TypeError, match="does not know DepthwiseConv2D"):
        forward_flops(network, (8, 8, 3))


# XLA leaves out the zeros of the padding, which is why images are large here, and counts normalisation and activations.
@pytest.mark.slow
@ON_JAX
@pytest.mark.parametrize(
    ("network", "shape"),
    [
        pytest.param(lambda: UNet(4, 5, width=64, depth=1), (512, 512, 4), id="unet"),
        pytest.param(
            lambda: EncoderForecaster(3, 4, advected=True, widths=(32, 48), scales=0), (7, 512, 512, 1), id="convlstm"
        ),
    ],
)
def test_training_costs_what_xla_counts(network: Any, shape: tuple[int, ...]) -> None:
    built = network()
    assert training_flops(built, shape) == pytest.approx(_by_xla(built, shape), rel=0.035)


@pytest.mark.peers
def test_training_costs_what_torch_counts() -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks.torch_unet import TorchUNet

    with FlopCounterMode(display=False) as counter:
        TorchUNet(4, 5, width=16, depth=3)(torch.zeros(2, 4, 64, 64)).mean().backward()
    count = 2 * training_flops(UNet(4, 5, width=16, depth=3), (64, 64, 4))
    assert count == pytest.approx(counter.get_total_flops(), rel=0.01)
