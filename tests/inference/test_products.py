from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import special, stats

from geodl.contract import Band, ClassInfo, ModelOutput
from geodl.errors import ContractError, OptionError
from geodl.inference.products import make_products
from tests.inference.fakes import CLASSES, make_contract

OUTPUT = make_contract().output


@pytest.fixture
def block() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    logits = rng.normal(scale=20, size=(7, 9, 3)).astype(np.float32)
    logits[0, 0] = [200, -200, 0]
    valid = rng.random((7, 9)) > 0.2
    logits[~valid] = np.nan
    valid[0, 0], logits[0, 0] = True, [200, -200, 0]
    return logits, valid


def test_all_products_equal_scipy(block: tuple[np.ndarray, np.ndarray]) -> None:
    logits, valid = block
    products = make_products(OUTPUT, probabilities=True, confidence=True, entropy=True)
    assert [layer.name for layer in products.layers] == ["classes", "probabilities", "confidence", "entropy"]
    classes, probabilities, confidence, entropy = products(logits, valid)
    p = special.softmax(logits.astype(np.float64), axis=-1)
    assert classes.dtype == np.uint8 and classes.shape == (1, 7, 9)
    expected = np.array([1, 4, 2])[np.nan_to_num(p).argmax(-1)]
    np.testing.assert_array_equal(classes[0], np.where(valid, expected, 255))
    np.testing.assert_allclose(np.moveaxis(probabilities, 0, -1)[valid], p[valid], atol=1e-6)
    np.testing.assert_allclose(confidence[0][valid], p.max(-1)[valid], atol=1e-6)
    np.testing.assert_allclose(entropy[0][valid], stats.entropy(p, axis=-1, base=3)[valid], atol=1e-6)
    for extra in (probabilities, confidence, entropy):
        assert extra.dtype == np.float32
        assert np.isnan(extra[:, ~valid]).all() and np.isfinite(extra[:, valid]).all()


def test_entropy_is_one_where_all_classes_are_alike_and_zero_for_a_single_class() -> None:
    products = make_products(OUTPUT, entropy=True)
    np.testing.assert_allclose(products(np.zeros((2, 2, 3), np.float32), np.ones((2, 2), bool))[1], 1, rtol=1e-6)
    single = make_products(dataclasses.replace(OUTPUT, classes=CLASSES[:1]), entropy=True)
    np.testing.assert_array_equal(single(np.zeros((2, 2, 1), np.float32), np.ones((2, 2), bool))[1], 0)


def test_nodata_is_the_contracts_or_a_value_that_is_no_class() -> None:
    def nodata(values: range, stated: float | None = None) -> tuple[float, str]:
        classes = tuple(ClassInfo(v, f"c{v}", "#000000") for v in values)
        layer = make_products(ModelOutput("classes", classes=classes, nodata=stated)).layers[0]
        return layer.nodata, layer.dtype

    assert nodata(range(3)) == (255, "uint8")
    assert nodata(range(1, 4), 0) == (0, "uint8")
    assert nodata(range(250, 256)) == (249, "uint8")
    assert nodata(range(256)) == (65535, "uint16")


def test_bands_are_handed_on() -> None:
    contract = make_contract(kind="bands")
    products = make_products(contract.output)
    values = np.arange(24, dtype=np.float32).reshape(3, 4, 2)
    valid = np.ones((3, 4), bool)
    valid[1, 2] = False
    (bands,) = products(values, valid)
    assert [band.name for band in products.layers[0].bands] == ["B01", "B02"]
    np.testing.assert_array_equal(bands, np.where(valid, np.moveaxis(values, -1, 0), np.nan))


def test_what_a_kind_has_not_is_refused() -> None:
    with pytest.raises(OptionError, match="probabilities: expected a network that tells classes apart"):
        make_products(make_contract(kind="bands").output, probabilities=True)
    with pytest.raises(ContractError, match="'trajectory' is no raster"):
        make_products(ModelOutput("trajectory"))


def test_the_residual_is_what_the_network_took_away() -> None:
    output = make_contract(kind="bands").output
    products = make_products(output, residual_of=(Band("other"), *output.bands[::-1]))
    assert products.compared == (2, 1)
    rng = np.random.default_rng(0)
    seen, given = rng.normal(size=(2, 3, 4, 2)).astype(np.float32)
    valid = rng.random((3, 4)) > 0.3
    bands, residual = products(given, valid, seen)
    np.testing.assert_array_equal(residual, np.where(valid, np.moveaxis(seen - given, -1, 0), np.nan))
    np.testing.assert_array_equal(bands, np.where(valid, np.moveaxis(given, -1, 0), np.nan))
    layer = products.layers[1]
    assert [(band.name, band.unit) for band in layer.bands] == [("B01", "reflectance"), ("B02", "reflectance")]
    assert layer.name == "residual" and np.isnan(layer.nodata) and layer.description.endswith("input - output")
    assert np.isnan(products(given, np.zeros((3, 4), bool), None)[1]).all()


@pytest.mark.parametrize("unit", ["intensity", "Amplitude", "dB"])
def test_of_speckle_it_is_the_ratio(unit: str) -> None:
    bands = (Band("VV", unit), Band("VH", unit))
    products = make_products(ModelOutput("bands", bands=bands), residual_of=bands)
    given = np.array([[[2, 4], [5, 0]]], np.float32)
    seen = np.array([[[1, 2], [10, 3]]], np.float32)
    _, residual = products(given, np.ones((1, 2), bool), seen)
    if unit == "dB":
        np.testing.assert_array_equal(residual, [[[-1, 5]], [[-2, 3]]])
        assert products.layers[1].bands[0].unit == "dB"
    else:
        np.testing.assert_array_equal(residual, [[[0.5, 2]], [[0.5, np.nan]]])
        assert products.layers[1].bands[0].unit == "1" and products.layers[1].description.endswith("input / output")


def test_what_has_no_residual_is_refused() -> None:
    contract = make_contract(kind="bands")
    finer = dataclasses.replace(contract.output, scale=2)
    for output, bands, sentence in (
        (
            make_contract().output,
            contract.input.bands,
            "a network that gives bands. Received: \"output of kind 'classes'",
        ),
        (finer, contract.input.bands, "on the grid of its input. Received: 'one of pixels 2 times as fine'"),
        (contract.output, (Band("B02"),), r"gives bands of its input \(B02\). Received: 'B01'"),
    ):
        with pytest.raises(OptionError, match=rf"^residual \(--residual\): expected .*{sentence}"):
            make_products(output, residual_of=bands)
