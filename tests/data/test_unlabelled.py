"""Scenes without labels: what the samples of labelled scenes make of them."""

from __future__ import annotations

import numpy as np

from geodl.data.labels import IGNORE
from geodl.data.samples import RegionSamples, Scene, SceneSamples
from geodl.data.source import Window
from geodl.data.splits import SceneSplit
from geodl.data.unlabelled import Unlabelled
from tests.data.fakes import FakeSource


def test_every_pixel_of_the_grid_is_of_one_class_and_none_beyond() -> None:
    labels = Unlabelled(FakeSource(np.zeros((4, 5, 2)), name="photo"))
    assert labels.name == "photo" and len(labels.classes) == 1
    found = labels.read(Window(-1, 2, 4, 4))
    expected = np.full((4, 4), IGNORE)
    expected[:2, 1:] = 0
    np.testing.assert_array_equal(found, expected)


def test_all_that_is_valid_in_all_bands_counts() -> None:
    values = np.random.default_rng(0).normal(size=(20, 30, 2))
    values[2:6, 3:9, 1] = np.nan
    source = FakeSource(values)
    whole = Scene(source, Unlabelled(source), SceneSplit.whole(source.grid, "test"))
    x, _, weight = RegionSamples([whole], part="test").read(0, np.random.default_rng(0))
    np.testing.assert_array_equal(weight, np.isfinite(values).all(-1))
    np.testing.assert_array_equal(x, values.astype(np.float32))
    train = SceneSamples([Scene(source, Unlabelled(source))], patch=8, sampling="random")
    for index in range(len(train)):
        x, _, weight = train.read(index, np.random.default_rng(index))
        np.testing.assert_array_equal(weight, np.isfinite(x).all(-1))
        assert weight.any()
