from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.special import softmax

from geodl.contract import Contract
from geodl.data.cube import open_cube
from geodl.data.source import Source
from geodl.errors import ContractError, OptionError
from geodl.inference.arrays import MemorySink, to_xarray
from geodl.inference.blocks import Tiling, axis_spans, hold_for
from geodl.inference.engine import map_scene
from geodl.inference.lazy import lazy_map
from geodl.inference.products import make_products
from geodl.inference.runtime import compile_network
from geodl.inference.turns import with_turns
from geodl.models import UNet
from geodl.models.receptive import receptive_margin, total_stride
from tests.inference.fakes import BlurNetwork, Call, make_contract, make_scene

GROUP = {
    2: [lambda k: k, np.fliplr],
    4: [lambda k: k, np.fliplr, np.flipud, lambda k: np.rot90(k, 2)],
    8: [f for n in range(4) for f in (lambda k, n=n: np.rot90(k, n), lambda k, n=n: np.fliplr(np.rot90(k, n)))],
}
"""The turns of each count, told by quarter turns."""


def filtered(kernel: np.ndarray, shapes: list[tuple[int, ...]] | None = None) -> Call:
    """A network that correlates each band with a kernel, with zeros beyond the border."""

    def call(images: np.ndarray) -> np.ndarray:
        if shapes is not None:
            shapes.append(images.shape)
        return np.stack([ndimage.correlate(image, kernel[..., None], mode="constant") for image in images])

    return call


@pytest.mark.parametrize("count", [2, 4, 8])
@pytest.mark.parametrize("shape", [(1, 9, 9), (2, 7, 12), (1, 1, 5)])
def test_turning_the_scene_is_turning_the_filter(count: int, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    kernel, images = rng.normal(size=(5, 5)), rng.normal(size=(*shape, 2))
    turned = with_turns(filtered(kernel), count, contract=make_contract(kind="bands"))(images)
    expected = filtered(np.mean([turn(kernel) for turn in GROUP[count]], axis=0))(images)
    np.testing.assert_allclose(turned, expected, atol=1e-12)


@pytest.mark.parametrize("count", [2, 4, 8])
def test_the_softmax_is_the_mean_of_the_probabilities(count: int) -> None:
    rng = np.random.default_rng(1)
    kernel, images = rng.normal(size=(3, 3)), rng.normal(size=(2, 300, 4, 3)).astype(np.float32)
    output = with_turns(filtered(kernel), count, contract=make_contract())(images)
    views = [softmax(filtered(turn(kernel))(images).astype(np.float64), axis=-1) for turn in GROUP[count]]
    assert output.dtype == np.float32
    np.testing.assert_allclose(softmax(output, axis=-1), np.mean(views, axis=0), atol=1e-6)
    np.testing.assert_allclose(np.exp(output).sum(-1), 1, atol=1e-6)


def test_hopeless_classes_stay_finite() -> None:
    logits = np.array([0, -1000], np.float32)
    call = with_turns(lambda x: np.broadcast_to(logits, (*x.shape[:3], 2)), 2, contract=make_contract())
    output = call(np.zeros((1, 2, 2, 1), np.float32))
    assert np.isfinite(output).all()
    np.testing.assert_allclose(softmax(output, axis=-1)[..., 1], 0, atol=1e-37)


def test_one_turn_is_the_network_itself() -> None:
    network = BlurNetwork()
    assert with_turns(network, 1, contract=make_contract()) is network


def test_mirrors_keep_the_shape_and_only_eight_turns_change_it() -> None:
    for count, expected in ((4, {(1, 8, 12, 2)}), (8, {(1, 8, 12, 2), (1, 12, 8, 2)})):
        shapes: list[tuple[int, ...]] = []
        call = with_turns(filtered(np.ones((3, 3)), shapes), count, contract=make_contract(lattice=4, kind="bands"))
        assert call(np.zeros((1, 7, 10, 2))).shape == (1, 7, 10, 2)
        assert set(shapes) == expected
        assert len(shapes) == count


@pytest.mark.parametrize("count", [4, 8])
def test_a_finer_output_is_turned_alike(count: int) -> None:
    network = BlurNetwork(scale=2, stride=1, channels=2)
    images = make_scene(11, 6).read()[0][None]
    call = with_turns(network, count, contract=make_contract(scale=2, kind="bands"))
    np.testing.assert_allclose(call(images), network(images), atol=1e-5)


def test_a_fixed_input_stays_as_it_is() -> None:
    shapes: list[tuple[int, ...]] = []
    contract = make_contract(size=10, lattice=4, kind="bands")
    with_turns(filtered(np.ones((3, 3)), shapes), 8, contract=contract)(np.zeros((1, 10, 10, 2)))
    assert set(shapes) == {(1, 10, 10, 2)}


def test_what_cannot_be_turned_is_refused() -> None:
    contract = make_contract(size=32)
    with pytest.raises(OptionError, match="1, 2, 4 or 8"):
        with_turns(BlurNetwork(), 3, contract=contract)  # type: ignore[arg-type]
    y, x, band = contract.input.dims
    oblong = replace(contract, input=replace(contract.input, dims=(y, replace(x, size=64), band)))
    assert with_turns(BlurNetwork(), 4, contract=oblong)
    with pytest.raises(OptionError, match=r"fixed input of \(32, 64\)"):
        with_turns(BlurNetwork(), 8, contract=oblong)
    sequence = replace(contract, output=replace(contract.output, kind="sequence"))
    with pytest.raises(ContractError, match="cannot be turned"):
        with_turns(BlurNetwork(), 4, contract=sequence)


@pytest.fixture(scope="module")
def unet() -> tuple[Call, Contract]:
    """A U-Net of which every weight, those of its normalisations included, is drawn at random."""
    keras.utils.set_random_seed(0)
    network = UNet(2, 3, width=4, depth=2)
    rng = np.random.default_rng(0)
    for variable in network.weights:
        if variable.path.rsplit("/", 1)[-1] in ("gamma", "beta", "moving_mean", "moving_variance", "bias"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    contract = make_contract(margin=receptive_margin(network), lattice=total_stride(network))
    return compile_network(network), contract


def exact_tiling(shape: tuple[int, int], contract: Contract) -> Tiling:
    """Tiles as small as exactness allows: far from what a scene of this size would be given."""
    axis = contract.input.dim("y")
    assert axis.margin is not None
    overlap = -(-2 * axis.margin // axis.lattice) * axis.lattice
    hold = hold_for(overlap, axis.margin)
    rows, columns = (axis_spans(n, tile=overlap + 4 * axis.lattice, overlap=overlap, hold=hold) for n in shape)
    return Tiling(rows, columns, 10**6)


def probabilities(call: Call, source: Source, tiling: Tiling, contract: Contract, **options: int) -> np.ndarray:
    products = make_products(contract.output, probabilities=True)
    sink = MemorySink(products.layers, *source.grid.shape)
    map_scene(call, source, sink, contract=contract, products=products, tiling=tiling, **options)
    return np.moveaxis(sink.arrays[1], 0, -1)


def whole_pass(call: Call, source: Source) -> np.ndarray:
    values, valid = source.read()
    return np.where(valid.all(-1, keepdims=True), softmax(call(values[None])[0], axis=-1), np.nan)


@pytest.mark.parametrize("count", [4, 8])
@pytest.mark.parametrize("shape", [(117, 98), (60, 131), (5, 103)])
def test_exact_tiling_of_a_unet_equals_one_whole_pass(
    unet: tuple[Call, Contract], count: int, shape: tuple[int, int]
) -> None:
    call, contract = unet[0], unet[1]
    turned = with_turns(call, count, contract=contract)
    source = make_scene(*shape, holes=True)
    tiling = exact_tiling(shape, contract)
    assert tiling.count > 1
    whole = whole_pass(turned, source)
    tiled = probabilities(turned, source, tiling, contract, batch_size=2)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)
    assert np.nanmax(np.abs(whole - whole_pass(call, source))) > 0.01


def test_without_filling_up_it_would_not(unet: tuple[Call, Contract]) -> None:
    call, contract = unet
    turned = with_turns(call, 4, contract=make_contract(margin=contract.input.dim("y").margin))
    source = make_scene(117, 98)
    tiled = probabilities(turned, source, exact_tiling((117, 98), contract), contract)
    assert np.abs(tiled - whole_pass(turned, source)).max() > 1e-3


@settings(max_examples=25)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([2, 4, 8]), st.integers(1, 3), st.integers(1, 2))
def test_exact_tiling_of_any_shape(height: int, width: int, count: int, batch: int, scale: int) -> None:
    network = BlurNetwork(stride=4, scale=scale, channels=2)
    contract = make_contract(margin=network.margin, lattice=4, scale=scale, kind="bands")
    call = with_turns(network, count, contract=contract)  # type: ignore[arg-type]
    source = make_scene(height, width)
    products = make_products(contract.output)
    sink = MemorySink(products.layers, height * scale, width * scale)
    tiling = exact_tiling((height, width), contract)
    map_scene(call, source, sink, contract=contract, products=products, tiling=tiling, batch_size=batch)
    whole = call(source.read()[0][None])[0]
    np.testing.assert_allclose(np.moveaxis(sink.arrays[0], 0, -1), whole, atol=1e-5)


@pytest.mark.parametrize("symmetry", [np.fliplr, np.flipud, np.rot90, np.transpose])
def test_the_map_of_a_turned_scene_is_the_turned_map(
    unet: tuple[Call, Contract], symmetry: Callable[..., np.ndarray]
) -> None:
    def turn(image: np.ndarray) -> np.ndarray:
        return np.stack([symmetry(image[..., k]) for k in range(image.shape[-1])], axis=-1)

    call = with_turns(unet[0], 8, contract=unet[1])
    values = make_scene(36, 64).read()[0]
    np.testing.assert_allclose(call(turn(values)[None])[0], turn(call(values[None])[0]), atol=1e-4)


def test_lazy_maps_are_turned_too() -> None:
    network = BlurNetwork()
    contract = make_contract(margin=None, lattice=4)
    call = with_turns(network, 8, contract=contract)
    eager = make_scene(50, 71, holes=True)
    products = make_products(contract.output, confidence=True)
    tiling = Tiling(*(axis_spans(n, tile=32, overlap=12, hold=3) for n in (50, 71)), panel=10**6)
    options = {"contract": contract, "products": products, "tiling": tiling}
    sink = MemorySink(products.layers, 50, 71)
    map_scene(call, eager, sink, **options)
    lazy_source = open_cube(eager.template.chunk({"y": 16, "x": 16}), bands=["B01", "B02"])
    lazy = lazy_map(call, lazy_source, **options)
    for one, other in zip(lazy, sink.arrays, strict=True):
        np.testing.assert_array_equal(one.compute(scheduler="threads"), other)
    assert to_xarray(products.layers, lazy, lazy_source, lazy_source.grid.window)["classes"].shape == (50, 71)
