from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from geodl import losses
from geodl.errors import OptionError, RecipeError


def test_sum() -> None:
    truth = np.random.default_rng(0).integers(-1, 3, (2, 4, 5)).astype("int32")
    logits = np.random.default_rng(1).normal(size=(2, 4, 5, 3)).astype("float32")
    one, other = losses.CrossEntropy(), losses.Dice()
    values, first, second = (
        keras.ops.convert_to_numpy(loss.call(truth, keras.ops.convert_to_tensor(logits)))
        for loss in (losses.Sum([(0.3, one), (2, other)]), one, other)
    )
    np.testing.assert_allclose(values, 0.3 * first + 2 * second, rtol=1e-5)


def test_sum_of_nothing() -> None:
    with pytest.raises(OptionError, match="^terms: expected"):
        losses.Sum([])


def test_build() -> None:
    assert isinstance(losses.build("lovasz"), losses.Lovasz)
    focal = losses.build({"name": "focal", "gamma": 1.5})
    assert isinstance(focal, losses.Focal) and focal.gamma == 1.5
    both = losses.build(["cross_entropy", {"name": "dice", "weight": 0.5}])
    assert isinstance(both, losses.Sum)
    assert [(w, type(term)) for w, term in both.terms] == [(1.0, losses.CrossEntropy), (0.5, losses.Dice)]
    assert isinstance(losses.build([{"name": "dice", "weight": 0.5}]), losses.Sum)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("dise", r"loss.name: expected one of cross_entropy, .* Received: 'dise'. Did you mean 'dice'\?"),
        ([], "expected at least one"),
        ({"weight": 2}, "loss.name: expected one of .* Received: None"),
        ({"name": "focal", "gama": 1}, r"loss.focal.gama: no such option. .* Did you mean 'gamma'\?"),
        ({"name": "focal", "gamma": "two"}, "loss.focal: an option has a value of the wrong kind"),
        ({"name": "dice", "weight": -1}, "loss.dice.weight: expected a number greater than 0. Received: -1"),
    ],
)
def test_build_says_what_is_wrong(spec: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        losses.build(spec)


def test_defaults_go_to_losses_that_take_them() -> None:
    defaults = {"scale": [2.0], "unit": "dB", "looks": 4.0}
    both = losses.build(["l1", {"name": "charbonnier", "unit": "amplitude"}, "gamma", "dice"], defaults=defaults)
    one, other, gamma, _ = (term for _, term in both.terms)
    assert (one.scale, one.unit) == ((2.0,), "dB")
    assert (other.scale, other.unit) == ((2.0,), "amplitude")
    assert (gamma.looks, gamma.unit) == (4.0, "dB")


def test_a_mistake_is_found_in_spite_of_defaults() -> None:
    with pytest.raises(RecipeError, match="loss.dice.scale: no such option"):
        losses.build({"name": "dice", "scale": [1.0]}, defaults={"scale": [2.0]})


def test_only_losses_that_fit_the_task() -> None:
    assert isinstance(losses.build("l1", among=losses.RESTORATION), losses.L1)
    with pytest.raises(RecipeError, match="loss.name: expected one of l1, l2, charbonnier, gamma, ssim. Rec"):
        losses.build("dice", among=losses.RESTORATION)
