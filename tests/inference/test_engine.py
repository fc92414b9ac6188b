from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.contract import Contract
from geodl.data.cube import open_array
from geodl.data.source import Source, Window
from geodl.errors import OutputUnwritable, SourceUnreadable
from geodl.inference.area import Area
from geodl.inference.arrays import MemorySink
from geodl.inference.blocks import Tiling, axis_spans, hold_for
from geodl.inference.engine import map_scene
from geodl.inference.products import make_products
from tests.inference.fakes import BlurNetwork, Call, RecordingSource, make_contract, make_scene


def cut(shape: tuple[int, int], tile: int, overlap: int, margin: int | None, panel: int = 10**6) -> Tiling:
    hold = hold_for(overlap, margin)
    rows, columns = (axis_spans(n, tile=tile, overlap=overlap, hold=hold) for n in shape)
    return Tiling(rows, columns, panel)


def outputs_of(call: Call, source: Source, tiling: Tiling, contract: Contract, **options: Any) -> np.ndarray:
    """The raw outputs, as the engine blends them: (height, width, channel)."""
    products = make_products(contract.output)
    window = options.get("window") or source.grid.window
    grid = source.grid.crop(window).finer(contract.output.scale)
    sink = MemorySink(products.layers, *grid.shape)
    map_scene(call, source, sink, contract=contract, products=products, tiling=tiling, **options)
    return np.moveaxis(sink.arrays[0], 0, -1)


def whole_pass(network: BlurNetwork, source: Source) -> np.ndarray:
    values, _ = source.read()
    output = network(values[None])[0]
    invalid = np.isnan(values).any(-1).repeat(network.scale, 0).repeat(network.scale, 1)
    output[invalid] = np.nan
    return output


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 2, 4]), st.integers(1, 3), st.integers(1, 2))
def test_exact_tiling_equals_one_whole_pass(height: int, width: int, stride: int, batch: int, scale: int) -> None:
    network = BlurNetwork(stride=stride, scale=scale, channels=2)
    overlap = -(-2 * network.margin // stride) * stride
    contract = make_contract(margin=network.margin, lattice=stride, scale=scale, kind="bands")
    source = make_scene(height, width, holes=True)
    tiling = cut((height, width), overlap + 2 * stride, overlap, network.margin)
    tiled = outputs_of(network, source, tiling, contract, batch_size=batch)
    np.testing.assert_allclose(tiled, whole_pass(network, source), atol=1e-6)


def test_without_enough_overlap_it_would_not() -> None:
    network = BlurNetwork(channels=2)
    contract = make_contract(margin=network.margin, lattice=4, kind="bands")
    source = make_scene(90, 90)
    tiled = outputs_of(network, source, cut((90, 90), 40, 4, network.margin), contract)
    assert np.abs(tiled - whole_pass(network, source)).max() > 1e-2


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_window_equals_that_part_of_the_whole_map(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = Window(
        left, top, data.draw(st.integers(1, width - left)), data.draw(st.integers(1, height - top))
    )  # fmt: skip
    panel = data.draw(st.sampled_from([1, 30, 1000]))
    network, source = BlurNetwork(channels=2), make_scene(height, width, holes=True)
    contract = make_contract(margin=None, lattice=4, kind="bands")
    whole = outputs_of(network, source, cut((height, width), 32, 12, None), contract)
    part = outputs_of(network, source, cut((height, width), 32, 12, None, panel), contract, window=window)
    rows, columns = window.toslices()
    np.testing.assert_array_equal(part, whole[rows, columns])


def part_of(scene: Source, window: Window) -> Source:
    grid = scene.grid.crop(window)
    names = [band.name for band in scene.bands]
    return open_array(scene.read(window)[0], bands=names, crs=grid.crs, transform=grid.transform, name="part")


@settings(max_examples=25, deadline=None)
@given(st.integers(20, 110), st.integers(1, 40), st.sampled_from([0, 4, 12, 20]))
def test_a_larger_extent_changes_nothing_beyond_the_margin(size: int, more: int, overlap: int) -> None:
    network = BlurNetwork(channels=2)
    contract = make_contract(margin=network.margin, lattice=4, kind="bands")
    large = make_scene(size + more, size + more)
    small = part_of(large, Window(0, 0, size, size))
    maps = [
        outputs_of(network, scene, cut(scene.grid.shape, 48, overlap, network.margin), contract)
        for scene in (small, large)
    ]
    far = max(size - network.margin, 0)
    np.testing.assert_array_equal(maps[0][:far, :far], maps[1][:far, :far])


def test_an_extent_shifted_along_the_lattice_changes_nothing_beyond_the_margin_of_exact_tiles() -> None:
    network = BlurNetwork(channels=2)
    contract = make_contract(margin=network.margin, lattice=4, kind="bands")
    large = make_scene(120, 120)
    shifted = part_of(large, Window(20, 8, 100, 112))
    one, other = (
        outputs_of(network, scene, cut(scene.grid.shape, 48, 24, network.margin), contract)
        for scene in (large, shifted)
    )
    m = network.margin
    np.testing.assert_allclose(one[8 + m :, 20 + m :], other[m:, m:], atol=1e-6)


def test_tiles_without_wanted_pixels_skip_the_network() -> None:
    hidden = make_scene(96, 96).read()[0].copy()
    hidden[:50] = np.nan
    source = open_array(hidden)
    network = BlurNetwork(channels=2)
    contract = make_contract(margin=network.margin, lattice=4, kind="bands")
    tiling = cut((96, 96), 48, 8, network.margin)
    tiled = outputs_of(network, source, tiling, contract)
    needed = [row for row in tiling.rows if row.last > 50]
    assert len(network.shapes) == len(needed) * len(tiling.columns) < len(tiling.rows) * len(tiling.columns)
    np.testing.assert_array_equal(np.isnan(tiled).any(-1), np.isnan(hidden).any(-1))


def test_an_area_leaves_out_the_rest_and_changes_nothing_within() -> None:
    network, source = BlurNetwork(channels=2), make_scene(96, 80)
    contract = make_contract(margin=None, lattice=4, kind="bands")
    tiling = cut((96, 80), 32, 8, None)
    whole = outputs_of(network, source, tiling, contract)
    calls = len(network.shapes)
    polygon = shapely.Polygon([source.grid.transform @ point for point in ((10, 5), (38, 9), (20, 30))])
    area = Area(np.array([polygon]), source.grid)
    part = outputs_of(network, source, tiling, contract, area=area)
    inside = area.mask(source.grid.window)
    assert 0 < inside.sum() < inside.size and len(network.shapes) - calls < calls
    np.testing.assert_array_equal(part[inside], whole[inside])
    assert np.isnan(part[~inside]).all()


def test_the_residual_is_that_of_the_whole_map() -> None:
    network, source = BlurNetwork(channels=2), make_scene(96, 80, holes=True)
    contract = make_contract(margin=None, lattice=4, kind="bands")
    products = make_products(contract.output, residual_of=contract.input.bands)
    window = Window(3, 7, 70, 81)
    sink = MemorySink(products.layers, 81, 70)
    tiling = cut((96, 80), 32, 8, None, panel=40)
    map_scene(network, source, sink, contract=contract, products=products, tiling=tiling, window=window, batch_size=2)
    bands, residual = sink.arrays
    np.testing.assert_array_equal(
        residual, np.where(np.isnan(bands), np.nan, np.moveaxis(source.read(window)[0], -1, 0) - bands)
    )


def test_equal_shapes_go_together_and_order_is_kept() -> None:
    network, source = BlurNetwork(channels=2), make_scene(100, 130)
    contract = make_contract(margin=None, lattice=4, kind="bands")
    tiling = cut((100, 130), 48, 8, None)
    one = outputs_of(network, source, tiling, contract)
    network.shapes.clear()
    three = outputs_of(network, source, tiling, contract, batch_size=3)
    assert max(shape[0] for shape in network.shapes) == 3
    np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize("rule", [{"size": 32}, {"multiple": 8}])
def test_size_rules_of_a_network_are_kept(rule: dict[str, int]) -> None:
    network, source = BlurNetwork(channels=2), make_scene(75, 61)
    contract = make_contract(margin=network.margin, lattice=4, kind="bands", **rule)
    tiled = outputs_of(network, source, cut((75, 61), 32, 8, network.margin), contract)
    assert tiled.shape == (75, 61, 2) and np.isfinite(tiled).all()
    for shape in network.shapes:
        assert shape[1:3] == (32, 32) if "size" in rule else shape[1] % 8 == shape[2] % 8 == 0


def test_progress_ends_with_all_pixels_done() -> None:
    told: list[tuple[int, int]] = []
    contract = make_contract(margin=None, kind="bands")
    tiling = cut((60, 90), 32, 8, None, panel=32)
    window = Window(5, 3, 70, 50)
    outputs_of(
        BlurNetwork(channels=2), make_scene(60, 90), tiling, contract, window=window, progress=lambda *p: told.append(p)
    )
    assert told[-1] == (3500, 3500) and [done for done, _ in told] == sorted(done for done, _ in told)


def test_every_tile_is_read_once_and_only_a_few_ahead() -> None:
    source = RecordingSource(make_scene(200, 200))
    contract = make_contract(margin=None, kind="bands")
    tiling = cut((200, 200), 32, 8, None)
    ahead = []
    network = BlurNetwork(channels=2)

    def call(inputs: np.ndarray) -> np.ndarray:
        ahead.append(len(source.windows) - len(ahead))
        return network(inputs)

    outputs_of(call, source, tiling, contract)
    assert len(source.windows) == len(tiling.rows) * len(tiling.columns)
    assert max(ahead) <= 4


class _Broken:
    def __init__(self, error: BaseException, after: int) -> None:
        self.error, self.left = error, after

    def hit(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise self.error


@pytest.mark.parametrize("stage", ["read", "network", "write"])
@pytest.mark.parametrize(
    "error",
    [SourceUnreadable("a.tif", "cut short"), OutputUnwritable("map.tif", "disk full"), KeyboardInterrupt()],
    ids=["source", "output", "interrupt"],
)
def test_what_fails_in_any_stage_stops_all_and_surfaces(stage: str, error: BaseException) -> None:
    broken = _Broken(error, after=3)
    scene, network = make_scene(200, 200), BlurNetwork(channels=2)

    class Failing(RecordingSource):
        def _read(self, window: Window, times: slice | None) -> tuple[np.ndarray, np.ndarray]:
            if stage == "read":
                broken.hit()
            return super()._read(window, times)

    class Sink:
        def write(self, row: int, column: int, arrays: list[np.ndarray]) -> None:
            if stage == "write":
                broken.hit()

    def call(inputs: np.ndarray) -> np.ndarray:
        if stage == "network":
            broken.hit()
        return network(inputs)

    contract = make_contract(margin=None, kind="bands")
    source = Failing(scene)
    with pytest.raises(type(error)):
        map_scene(
            call,
            source,
            Sink(),
            contract=contract,
            products=make_products(contract.output),
            tiling=cut((200, 200), 32, 8, None),
        )
    assert len(source.windows) < 20
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("geodl-read", "geodl-write"))]
