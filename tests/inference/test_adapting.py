from __future__ import annotations

import dataclasses
import logging

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

from geodl.contract import Band, Contract
from geodl.data.cube import open_array
from geodl.errors import BandMismatch, OptionError, UnitMismatch
from geodl.inference import planning
from geodl.inference.adapting import adapt
from geodl.inference.converted import Call, Converted
from geodl.physics.sensor import enlarge
from tests.inference.fakes import make_contract, make_predictor

RGB = ["red", "green", "blue"]


def luma_contract(*, scale: int = 1, margin: int | None = 0, lattice: int = 1, told: bool = False) -> Contract:
    contract = make_contract(bands=1 + told, margin=margin, lattice=lattice, scale=scale, kind="bands", step=None)
    bands = (Band("luma", "luma"), Band("noise_level", "luma"))[: 1 + told]
    output = dataclasses.replace(contract.output, bands=(Band("luma", "luma"),))
    return dataclasses.replace(contract, input=dataclasses.replace(contract.input, bands=bands), output=output)


def told_contract(bands: int = 2) -> Contract:
    contract = make_contract(bands=bands, kind="bands", step=None)
    told = dataclasses.replace(contract.input, bands=(*contract.input.bands, Band("noise_level")))
    return dataclasses.replace(contract, input=told)


def photo(height: int = 40, width: int = 31, *, holes: bool = False) -> np.ndarray:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3)).astype(np.float32)
    if holes:
        image[rng.random((height, width)) < 0.05] = np.nan
    return image


def bicubic(scale: int) -> Call:
    return lambda inputs: np.stack([enlarge(image, scale) for image in inputs])


def test_with_a_bicubic_network_of_luma_colours_are_enlarged_bicubically() -> None:
    """Both conversions and the enlargement are linear."""
    scene = open_array(photo(), bands=RGB)
    mapped = make_predictor(bicubic(3), luma_contract(scale=3, margin=2)).predict(scene)
    assert list(mapped.band.values) == RGB
    np.testing.assert_allclose(np.moveaxis(mapped.values, 0, -1), enlarge(photo(), 3), atol=1e-2)


def test_what_a_denoiser_takes_from_luma_it_takes_from_all_colours() -> None:
    shapes: list[tuple[int, ...]] = []

    def darker(inputs: np.ndarray) -> np.ndarray:
        shapes.append(inputs.shape)
        return inputs - 5

    model = make_predictor(darker, luma_contract())
    mapped = model.predict(open_array(photo(holes=True), bands=RGB), residual=True)
    assert shapes == [(1, 40, 31, 1)]
    expected = np.where(np.isnan(photo(holes=True)), np.nan, 5 * 255 / 219)
    np.testing.assert_allclose(np.moveaxis(mapped.residual.values, 0, -1), expected, atol=1e-3)
    assert list(mapped.band.values) == RGB
    grey = model.predict(photo()[..., :1], residual=True)
    assert grey.bands.shape == grey.residual.shape == (1, 40, 31)
    np.testing.assert_allclose(grey.bands, np.moveaxis(photo()[..., :1], -1, 0) - 5 * 255 / 219, atol=1e-3)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_exact_tiling_of_luma_stays_exact(scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the network's own margin is less than what the colours need."""

    def call(inputs: np.ndarray) -> np.ndarray:
        known = np.nan_to_num(inputs)
        return ndimage.uniform_filter(known, (1, 3, 3, 1), mode="constant").repeat(scale, 1).repeat(scale, 2)

    model = make_predictor(call, luma_contract(scale=scale, margin=1))
    scene = open_array(photo(83, 70, holes=True), bands=RGB)
    whole = model.predict(scene, overlap="exact")
    for name, smallest in (("_TILE", 16), ("DEFAULT_OVERLAP", 2)):
        monkeypatch.setattr(planning, name, smallest)
    shapes: list[tuple[int, ...]] = []
    model._running = Converted(lambda inputs: (shapes.append(inputs.shape), call(inputs))[1], "keras", 64)
    tiled = model.predict(scene, overlap="exact", batch_size=2)
    assert len(shapes) > 4
    np.testing.assert_allclose(tiled, whole, atol=1e-3)
    lazy = xr.DataArray(da.from_array(photo(83, 70, holes=True), (32, 32, 3)), dims=("y", "x", "band"))
    mapped = model.predict(lazy.assign_coords(band=RGB), overlap="exact")
    assert isinstance(mapped.data, da.Array)
    np.testing.assert_allclose(mapped, whole, atol=1e-3)


def test_scenes_that_are_no_photo_are_refused() -> None:
    model = make_predictor(bicubic(1), luma_contract())
    with pytest.raises(BandMismatch, match=r"Expected 1: luma \(or red, green and blue, .*Received 2: B04, B08"):
        model.predict(open_array(photo()[..., :2], bands=["B04", "B08"]))
    with pytest.raises(UnitMismatch, match="0 to 255"):
        model.predict(open_array(photo().astype(np.uint16), bands=RGB))
    direct = model.predict(open_array(photo()[..., :1], bands=["luma"]))
    np.testing.assert_array_equal(direct[0], photo()[..., 0])


def test_a_network_is_told_the_noise_level() -> None:
    seen: list[np.ndarray] = []

    def call(inputs: np.ndarray) -> np.ndarray:
        seen.append(inputs)
        return inputs[..., :2] - inputs[..., 2:]

    model = make_predictor(call, told_contract())
    values = photo()[..., :2]
    mapped = model.predict(open_array(values, bands=["B01", "B02"]), noise_level=25, residual=True)
    np.testing.assert_array_equal(mapped.residual, 25)
    np.testing.assert_array_equal(seen[0][0], np.concatenate([values, np.full((40, 31, 1), 25)], -1))
    lazy = xr.DataArray(da.from_array(values, (16, 16, 2)), dims=("y", "x", "band"))
    np.testing.assert_array_equal(model.predict(lazy, noise_level=3), np.moveaxis(values, -1, 0) - 3)
    own = open_array(np.concatenate([values, values[..., :1]], -1), bands=["B01", "B02", "noise_level"])
    np.testing.assert_array_equal(model.predict(own)[0], 0)
    np.testing.assert_array_equal(model.predict(own, noise_level=1)[0], values[..., 0] - 1)


def test_else_it_is_estimated_and_said(caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(100, 7, (200, 180, 2)).astype(np.float32)
    model = make_predictor(lambda inputs: inputs[..., :2] - inputs[..., 2:], told_contract())
    with caplog.at_level(logging.WARNING, "geodl"):
        mapped = model.predict(open_array(values, bands=["B01", "B02"], name="scene"), residual=True)
    level = float(mapped.residual[0, 0, 0])
    assert level == pytest.approx(7, rel=0.05)
    assert f"scene: the noise level is taken as {level:.4g}, estimated from the scene. Set noise_level" in caplog.text
    with pytest.raises(OptionError, match=r"expected a number: the noise of array cannot be told.* Received: None"):
        model.predict(values[:5, :5])


def test_luma_and_noise_level_go_together() -> None:
    """What is told, or estimated, is the noise of the luma."""
    noise = np.random.default_rng(0).normal(0, 10, (200, 180, 1)).astype(np.float32)
    image = 120 + noise.repeat(3, -1)
    model = make_predictor(lambda inputs: inputs[..., :1] - inputs[..., 1:], luma_contract(told=True))
    scene = open_array(image, bands=RGB)
    told = model.predict(scene, noise_level=219, residual=True).residual
    np.testing.assert_allclose(told, 255, atol=1e-3)
    estimated = model.predict(scene, residual=True).residual
    np.testing.assert_allclose(estimated, 10, rtol=0.05)


def test_levels_that_cannot_be_used_are_refused() -> None:
    scene = open_array(photo()[..., :2], bands=["B01", "B02"])
    untold = make_predictor(bicubic(1), make_contract(kind="bands"))
    with pytest.raises(
        OptionError, match=r"noise_level \(--noise-level\): expected a network whose last band is called"
    ):
        untold.predict(scene, noise_level=25)
    told = make_predictor(bicubic(1), told_contract())
    for level in (-1, np.nan, np.inf):
        with pytest.raises(
            OptionError, match=r"noise_level \(--noise-level\): expected a standard deviation, 0 or more"
        ):
            told.predict(scene, noise_level=level)


def test_what_goes_on_beside_the_network_is_counted() -> None:
    scene = open_array(photo(), bands=RGB)
    plain, doubled = (adapt(luma_contract(scale=s, margin=1), scene) for s in (1, 2))
    assert 0 < plain.extra_bytes < doubled.extra_bytes
    assert [dim.margin for dim in doubled.contract.input.dims[:2]] == [2, 2]
    assert plain.contract.input.dim("y").margin == 1 and plain.contract.input.dim("band").size == 3
    endless = adapt(luma_contract(scale=2, margin=None), scene)
    assert endless.contract.input.dim("y").margin is None
