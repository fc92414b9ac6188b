from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import pytest

from geodl.errors import BundleError
from geodl.models import UNet
from geodl.training.transfer import transfer
from tests.training import tiny_run

_BANDS, _CLASSES = ("B02", "B03", "B04"), ("water", "forest")


def _unet(bands: int, classes: int, *, seed: int, **options: object) -> keras.Model:
    keras.utils.set_random_seed(seed)
    statistics = {"mean": [0.5] * bands, "std": [2.0] * bands}
    model = UNet(channels=bands, classes=classes, width=2, depth=1, **{**statistics, **options})
    for variable in model.trainable_variables:
        if len(variable.shape) == 1:
            variable.assign(np.random.default_rng(seed).normal(size=variable.shape))
    return model


def _image(bands: Sequence[str]) -> np.ndarray:
    layers = {
        name: np.random.default_rng(number).normal(size=(5, 6))
        for number, name in enumerate(("B02", "B03", "B04", "B08"))
    }
    return np.stack([layers[name] for name in bands], axis=-1).astype("float32")[None]


def _logits(model: keras.Model, bands: Sequence[str]) -> np.ndarray:
    return np.asarray(model.predict_on_batch(_image(bands)))


@pytest.mark.parametrize("stem", [1, 2])
@pytest.mark.parametrize("residual", [False, True])
def test_reordered_bands_and_classes_give_the_same_map(stem: int, residual: bool) -> None:
    bands, classes = ("B04", "B02", "B03"), ("forest", "water")
    source = _unet(3, 2, seed=1, stem=stem, residual=residual)
    target = _unet(3, 2, seed=2, stem=stem, residual=residual)
    report = transfer(source, target, bands=(_BANDS, bands), classes=(_CLASSES, classes))
    assert not (report.fresh or report.new_bands or report.new_classes)
    np.testing.assert_allclose(_logits(target, bands), _logits(source, _BANDS)[..., ::-1], atol=1e-5)


@pytest.mark.parametrize("stem", [1, 2])
def test_a_new_band_changes_nothing_at_first_and_a_new_class_starts_fresh(stem: int) -> None:
    bands, classes = ("B02", "B08", "B03", "B04"), ("forest", "snow", "water")
    source, target = _unet(3, 2, seed=1, stem=stem), _unet(4, 3, seed=2, stem=stem)
    head = target.get_layer("head").kernel.numpy().copy()
    report = transfer(source, target, bands=(_BANDS, bands), classes=(_CLASSES, classes))
    assert (report.new_bands, report.new_classes, report.fresh) == (("B08",), ("snow",), ())
    assert str(report).endswith("layers taken over; new bands: B08; new classes: snow")
    np.testing.assert_allclose(_logits(target, bands)[..., [2, 0]], _logits(source, _BANDS), atol=1e-5)
    # The logits of one pixel of a stem are `classes` neighbouring channels.
    np.testing.assert_array_equal(target.get_layer("head").kernel.numpy()[..., 1::3], head[..., 1::3])


def test_a_band_that_is_gone_counts_as_its_mean() -> None:
    """Zero after normalisation, as not-a-number is."""
    source, target = _unet(3, 2, seed=1), _unet(2, 2, seed=2)
    transfer(source, target, bands=(_BANDS, ("B02", "B04")), classes=(_CLASSES, _CLASSES))
    image = _image(_BANDS)
    image[..., 1] = np.nan
    expected = np.asarray(source.predict_on_batch(image))
    np.testing.assert_allclose(_logits(target, ("B02", "B04")), expected, atol=1e-5)


def test_no_band_in_common_leaves_the_first_layer_fresh() -> None:
    source, target = _unet(3, 2, seed=1), _unet(1, 2, seed=2)
    report = transfer(source, target, bands=(_BANDS, ("VV",)), classes=(_CLASSES, _CLASSES))
    assert report.fresh == ("down0_conv1",)


def test_statistics_of_normalisation_stay_those_of_the_new_data() -> None:
    source, target = _unet(3, 2, seed=1, mean=[1.0] * 3), _unet(3, 2, seed=2, mean=[3.0] * 3)
    transfer(source, target, bands=(_BANDS, _BANDS), classes=(_CLASSES, _CLASSES))
    assert target.get_layer("normalisation").mean == (3.0, 3.0, 3.0)
    shifted = np.asarray(target.predict_on_batch(_image(_BANDS) + 2))
    np.testing.assert_allclose(shifted, _logits(source, _BANDS), atol=1e-5)


def test_layers_that_keras_named_are_paired_by_order() -> None:
    def network(seed: int) -> keras.Model:
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((None, None, 2))
        return keras.Model(inputs, keras.layers.Conv2D(2, 1)(keras.layers.Conv2D(3, 3)(inputs)))

    source, target = network(1), network(2)
    transfer(source, target, bands=(("a", "b"), ("a", "b")), classes=((), ()))
    for one, other in zip(source.weights, target.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_recurrent_first_layer() -> None:
    def network(bands: int, seed: int) -> keras.Model:
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((2, 8, 8, bands))
        return keras.Model(inputs, keras.layers.ConvLSTM2D(2, 3, padding="same", name="memory")(inputs))

    source, target = network(2, 1), network(2, 2)
    report = transfer(source, target, bands=(("a", "b"), ("b", "a")), classes=((), ()))
    assert report.copied == ("memory",)
    x = np.random.default_rng(0).normal(size=(1, 2, 8, 8, 2)).astype("float32")
    np.testing.assert_allclose(target.predict_on_batch(x), source.predict_on_batch(x[..., ::-1]), atol=1e-6)


def test_nothing_in_common() -> None:
    with pytest.raises(BundleError, match=r"train\.init: none of its layers"):
        transfer(_unet(3, 2, seed=1), tiny_run.network(), bands=(_BANDS, _BANDS), classes=(_CLASSES, _CLASSES))
