"""Committees: what they answer, and that each member learns as if it were alone."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from scipy.special import log_softmax, softmax

from geodl.errors import OptionError
from geodl.losses import CrossEntropy, PerMember
from geodl.models.committee import Committee, members_of


def member(name: str, *, classes: int = 3, bands: int = 2) -> keras.Model:
    values, days = keras.Input((5, bands), name="values"), keras.Input((5,), name="days")
    joined = layers.Concatenate()([layers.Flatten()(values), days])
    return keras.Model([values, days], layers.Dense(classes)(joined), name=name)


def batch(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    x = {"values": rng.normal(size=(8, 5, 2)).astype("f4"), "days": rng.normal(size=(8, 5)).astype("f4")}
    return x, rng.integers(0, 3, 8).astype("int32")


def given(x: dict[str, np.ndarray]) -> list[np.ndarray]:
    return [x["values"], x["days"]]


def test_it_gives_the_logarithm_of_the_mean_probability(tmp_path: Path) -> None:
    members = [member(f"member_{k}") for k in range(3)]
    committee = Committee(members)
    x, _ = batch(np.random.default_rng(0))
    each = [softmax(keras.ops.convert_to_numpy(one(given(x))), axis=-1) for one in members]
    found = keras.ops.convert_to_numpy(committee(given(x)))
    np.testing.assert_allclose(found, np.log(np.mean(each, axis=0)), atol=1e-6)
    committee.save(tmp_path / "committee.keras")
    loaded = keras.models.load_model(tmp_path / "committee.keras")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(loaded(given(x))), found, atol=1e-6)
    assert [one.name for one in members_of(loaded)] == ["member_0", "member_1", "member_2"]


def test_each_member_learns_as_if_it_were_alone() -> None:
    x, y = batch(np.random.default_rng(1))
    together = [member(f"member_{k}") for k in range(2)]
    alone = [member(f"alone_{k}") for k in range(2)]
    for one, other in zip(alone, together, strict=True):
        one.set_weights(other.get_weights())
    committee = Committee(together)
    committee.compile(
        keras.optimizers.SGD(0.1), PerMember(CrossEntropy()), jit_compile=keras.backend.backend() == "jax"
    )
    committee.train_on_batch(given(x), y)
    for one, other in zip(alone, together, strict=True):
        # The mean over two members gives each half the gradient.
        one.compile(keras.optimizers.SGD(0.05), CrossEntropy(), jit_compile=keras.backend.backend() == "jax")
        one.train_on_batch(given(x), y)
        for mine, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_the_loss_is_the_mean_of_the_members_losses() -> None:
    rng = np.random.default_rng(2)
    logits, y = rng.normal(size=(4, 2, 3)).astype("f4"), np.array([0, 2, -1, 1], "int32")
    found = keras.ops.convert_to_numpy(PerMember(CrossEntropy()).call(y, keras.ops.convert_to_tensor(logits)))
    expected = -log_softmax(logits, axis=-1)[np.arange(4), :, y].mean(1)
    np.testing.assert_allclose(found, np.where(y >= 0, expected, 0), atol=1e-6)
    rebuilt = PerMember.from_config(PerMember(CrossEntropy(label_smoothing=0.1)).get_config())
    assert rebuilt.loss.label_smoothing == 0.1


@pytest.mark.parametrize("members", [[], ["a", "a"], ["classes"]], ids=["none", "one name", "other classes"])
def test_what_cannot_be_a_committee_is_refused(members: list[str]) -> None:
    networks = [member(name) for name in members if name != "classes"]
    if "classes" in members:
        networks = [member("a"), member("b", classes=4)]
    with pytest.raises(OptionError, match="members"):
        Committee(networks)
