from __future__ import annotations

import dask
import dask.array as da
import numpy as np
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.data.cube import ArraySource, open_cube
from geodl.data.source import Window
from geodl.inference.area import Area
from geodl.inference.arrays import MemorySink
from geodl.inference.blocks import Tiling, axis_spans
from geodl.inference.engine import map_scene
from geodl.inference.lazy import lazy_map
from geodl.inference.products import make_products
from tests.inference.fakes import BlurNetwork, make_contract, make_scene


def lazy_scene(height: int, width: int, computed: list[tuple[int, int]], chunk: int = 16) -> ArraySource:
    """A dask-backed scene that notes which of its chunks are computed."""
    values = make_scene(height, width, holes=True).read()[0]

    def note(block: np.ndarray, block_info: dict | None = None) -> np.ndarray:
        if block_info:
            computed.append(block_info[0]["chunk-location"][:2])
        return block

    array = da.from_array(values, chunks=(chunk, chunk, 2)).map_blocks(note, dtype=np.float32, meta=values[:0])
    return open_cube(xr.DataArray(array, dims=("y", "x", "band")), bands=["B01", "B02"])


def cut(height: int, width: int, hold: int = 3) -> Tiling:
    return Tiling(*(axis_spans(n, tile=32, overlap=12, hold=hold) for n in (height, width)), panel=10**6)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 80), st.integers(1, 80), st.sampled_from([3, 6]), st.integers(1, 2), st.data())
def test_lazy_equals_eager_to_the_last_bit(height: int, width: int, hold: int, scale: int, data: st.DataObject) -> None:
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = Window(left, top, data.draw(st.integers(1, width - left)), data.draw(st.integers(1, height - top)))
    contract = make_contract(margin=None, lattice=4, scale=scale, kind="bands")
    products = make_products(contract.output, residual_of=contract.input.bands if scale == 1 else None)
    source = lazy_scene(height, width, [])
    options = {"contract": contract, "products": products, "tiling": cut(height, width, hold), "window": window}
    network = BlurNetwork(channels=2, scale=scale)
    sink = MemorySink(products.layers, window.height * scale, window.width * scale)
    map_scene(network, source, sink, **options)
    for lazy, eager in zip(lazy_map(network, source, **options), sink.arrays, strict=True):
        assert lazy.shape == eager.shape
        np.testing.assert_array_equal(lazy.compute(scheduler="sync"), eager)


@pytest.fixture
def mapped() -> tuple[list[da.Array], list[tuple[int, int]], BlurNetwork]:
    computed: list[tuple[int, int]] = []
    contract = make_contract(margin=None, lattice=4)
    network = BlurNetwork()
    products = make_products(contract.output, confidence=True)
    source = lazy_scene(192, 192, computed)
    arrays = lazy_map(network, source, contract=contract, products=products, tiling=cut(192, 192))
    return arrays, computed, network


def test_nothing_is_computed_until_asked_and_then_only_what_is_needed(
    mapped: tuple[list[da.Array], list[tuple[int, int]], BlurNetwork],
) -> None:
    arrays, computed, network = mapped
    assert not computed and not network.shapes
    arrays[0][:, 45:60, 105:120].compute(scheduler="sync")
    assert len(network.shapes) <= 4
    assert {row for row, _ in computed} <= set(range(1, 5)) and {column for _, column in computed} <= set(range(5, 9))


def test_all_layers_together_run_each_tile_once(
    mapped: tuple[list[da.Array], list[tuple[int, int]], BlurNetwork],
) -> None:
    arrays, _, network = mapped
    classes, confidence = dask.compute(*arrays, scheduler="threads")
    assert classes.shape == confidence.shape == (1, 192, 192)
    assert len(network.shapes) == len(cut(192, 192).rows) ** 2


def test_an_area_is_kept() -> None:
    contract = make_contract(margin=None, lattice=4)
    products = make_products(contract.output)
    source = lazy_scene(60, 60, [])
    area = Area(np.array([shapely.box(5, 10, 20, 30)]), source.grid)
    tiling = cut(60, 60)
    (lazy,) = lazy_map(BlurNetwork(), source, contract=contract, products=products, tiling=tiling, area=area)
    valid = source.read()[1].all(-1)
    np.testing.assert_array_equal(lazy.compute()[0] != 255, area.mask(source.grid.window) & valid)
