"""Tiles cut apart and joined again, against the engine that blends whole ones."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.data.source import Window
from geodl.inference.arrays import MemorySink
from geodl.inference.blocks import Tiling, axis_spans
from geodl.inference.engine import map_scene, read_tile, scene_parts, window_bounds
from geodl.inference.products import make_products
from geodl.inference.seams import Cut, Seams, cut_tile
from tests.inference.fakes import BlurNetwork, make_contract, make_scene


@settings(max_examples=40)
@given(st.integers(1, 80), st.integers(1, 80), st.sampled_from([0, 3, 6]), st.integers(1, 2), st.booleans(), st.data())
def test_frames_add_up_to_the_engines_map(
    height: int, width: int, hold: int, scale: int, classes: bool, data: st.DataObject
) -> None:
    """Of any window, with gaps, in panels, with all layers; whatever the order in which tiles are worked on."""
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = Window(left, top, data.draw(st.integers(1, width - left)), data.draw(st.integers(1, height - top)))
    contract = make_contract(margin=None, lattice=4, scale=scale, kind="classes" if classes else "bands")
    if classes:
        products = make_products(contract.output, probabilities=True, entropy=True)
    else:
        products = make_products(contract.output, residual_of=contract.input.bands if scale == 1 else None)
    spans = [axis_spans(n, tile=32, overlap=12, hold=hold) for n in (height, width)]
    tiling = Tiling(*spans, panel=data.draw(st.sampled_from([32, 50, 10**6])))
    channels = 3 if classes else 2
    network = BlurNetwork(channels=channels, scale=scale)
    source = make_scene(height, width, holes=True)
    expected, found = (
        MemorySink(products.layers, int(window.height) * scale, int(window.width) * scale) for _ in range(2)
    )
    valid = map_scene(
        network, source, expected, contract=contract, products=products, tiling=tiling, window=window
    )  # fmt: skip

    bounds = window_bounds(window)
    parts = list(scene_parts(tiling, bounds))

    def place(k: int) -> tuple[int, int]:
        return (parts[k].top - bounds.top) * scale, (parts[k].left - bounds.left) * scale

    cuts: dict[int, Cut] = {}
    for k in data.draw(st.permutations(range(len(parts)))):
        tile = read_tile(source, contract, None, products.compared, parts[k])
        shape = parts[k].row.size * scale, parts[k].column.size * scale
        output = None if tile.values is None else network(tile.values[None])[0, : shape[0], : shape[1]]
        cuts[k] = cut_tile(tile, output, products=products, channels=channels, scale=scale)
        row, column = (a + n * scale for a, n in zip(place(k), parts[k].ramps, strict=True))
        found.write(row, column, cuts[k].layers)
    seams = None
    for k, part in enumerate(parts):
        if not k or part.panel != parts[k - 1].panel:
            seams = Seams(part.panel, ramp=tiling.ramp, channels=channels, products=products, scale=scale)
        assert seams is not None
        for row, column, layers in seams.add(part, cuts[k].frame):
            found.write(place(k)[0] + row, place(k)[1] + column, layers)
    for one, other in zip(found.arrays, expected.arrays, strict=True):
        assert one.tobytes() == other.tobytes()
    assert sum(cut.valid for cut in cuts.values()) == valid


def test_what_goes_from_a_worker_is_little_more_than_the_map() -> None:
    contract = make_contract(margin=None)
    products = make_products(contract.output)
    spans = axis_spans(1000, tile=500, overlap=64, hold=16)
    part = list(scene_parts(Tiling(spans, spans, 10**6), window_bounds(Window(0, 0, 1000, 1000))))[4]
    source = make_scene(1000, 1000)
    tile = read_tile(source, contract, None, (), part)
    output = np.zeros((500, 500, 3), np.float32)
    cut = cut_tile(tile, output, products=products, channels=3)
    height, width = part.done
    ramp = 32
    strips = (height + ramp) * (width + ramp) - (height - ramp) * (width - ramp)
    sent = [*cut.layers, *cut.frame.arrays().values()]
    assert sum(array.size for array in cut.layers) == (height - ramp) * (width - ramp)
    assert sum(array.nbytes for array in sent) < (height - ramp) * (width - ramp) + strips * (3 * 4 + 1)
    assert not any(np.shares_memory(array, output) for array in sent)
