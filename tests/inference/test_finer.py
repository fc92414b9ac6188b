"""Super-resolution, from the engine to the map: what is made finer lies where it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from rasterio.warp import Resampling, reproject
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from geodl.contract import Contract
from geodl.data.cube import open_array
from geodl.inference import planning
from geodl.inference.converted import Call
from geodl.physics.sensor import enlarge
from tests.inference.fakes import TRANSFORM, UTM, make_contract, make_predictor

ROTATED = Affine.translation(500_000, 5_000_000) @ Affine.rotation(30) @ Affine.scale(10, -10)


def bicubic(scale: int) -> Call:
    return lambda inputs: np.stack([enlarge(image, scale) for image in inputs])


def finer_contract(scale: int) -> Contract:
    return make_contract(bands=1, scale=scale, margin=2, kind="bands")


def field(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(2)
    return ndimage.gaussian_filter(rng.normal(size=(height, width)), 1.5).astype(np.float32)


def shift_of(fine: np.ndarray, transform: Affine, scene: np.ndarray, place: Affine) -> float:
    """Pixels of a scene by which a finer map lies off, by what its header says of where it lies."""
    back = np.zeros_like(scene)
    reproject(
        fine, back, src_transform=transform, src_crs="EPSG:32633", dst_transform=place, dst_crs="EPSG:32633",
        resampling=Resampling.average,
    )  # fmt: skip
    window = np.outer(*(np.hanning(n - 16) for n in scene.shape))
    one, other = (image[8:-8, 8:-8] * window for image in (scene, back))
    shift, *_ = phase_cross_correlation(one, other, upsample_factor=100, normalization=None)
    return float(np.abs(shift).max())


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("place", [TRANSFORM, ROTATED], ids=["straight", "rotated"])
def test_the_map_registers_with_its_scene(
    scale: int, place: Affine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "_TILE", 32)
    values = field(71, 58)
    scene = open_array(values[..., None], bands=["B01"], crs=UTM, transform=place)
    (path,) = make_predictor(bicubic(scale), finer_contract(scale)).predict_file(scene, tmp_path / "fine.tif")
    with rasterio.open(path) as made:
        assert made.shape == (71 * scale, 58 * scale)
        corners = [made.transform @ corner for corner in ((0, 0), (58 * scale, 71 * scale))]
        np.testing.assert_allclose(corners, [place @ corner for corner in ((0, 0), (58, 71))], atol=1e-6)
        fine, transform = made.read(1), made.transform
    assert shift_of(fine, transform, values, place) <= 0.01
    # Half a pixel of the finer grid, which is what is usually got wrong, would be seen.
    assert shift_of(fine, transform @ Affine.translation(0.5, 0.5), values, place) > 0.3 / scale


@pytest.mark.parametrize("scale", [2, 3])
def test_exact_tiling_of_a_bicubic_network_equals_one_whole_pass(scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = field(83, 61)
    values[20:30, 5:9] = np.nan
    model = make_predictor(bicubic(scale), finer_contract(scale))
    scene = open_array(values[..., None], bands=["B01"], crs=UTM, transform=TRANSFORM)
    monkeypatch.setattr(planning, "_TILE", 16)
    monkeypatch.setattr(planning, "DEFAULT_OVERLAP", 2)
    for options in ({}, {"batch_size": 2}, {"turns": 8}):
        tiled = model.predict(scene, overlap="exact", **options)
        np.testing.assert_allclose(tiled[0], enlarge(values, scale), atol=1e-5)
    part = model.predict(scene, overlap="exact", bbox=(500_100, 4_999_500, 500_330, 4_999_810))
    np.testing.assert_array_equal(part[0], tiled_part(model.predict(scene, overlap="exact")[0].values, scale))


def tiled_part(whole: np.ndarray, scale: int) -> np.ndarray:
    """Rows 19 to 50 and columns 10 to 33 of the scene."""
    return whole[19 * scale : 50 * scale, 10 * scale : 33 * scale]


def test_coordinates_of_arrays_are_those_of_finer_pixels() -> None:
    scene = xr.DataArray(
        field(9, 7)[None],
        dims=("band", "lat", "lon"),
        coords={"lat": np.linspace(50, 49.2, 9), "lon": np.linspace(10, 10.6, 7), "band": ["B01"]},
    ).rio.write_crs("EPSG:4326")
    mapped = make_predictor(bicubic(3), finer_contract(3)).predict(scene, any_resolution=True)
    assert mapped.dims == ("band", "lat", "lon") and mapped.shape == (1, 27, 21)
    for axis in ("lat", "lon"):
        fine = mapped[axis].values
        np.testing.assert_allclose(fine.reshape(-1, 3).mean(1), scene[axis], atol=1e-9)
        np.testing.assert_allclose(np.diff(fine), np.diff(scene[axis]).mean() / 3, atol=1e-9)
    # Bicubic interpolation is the identity at the middle one of three.
    np.testing.assert_allclose(mapped[0, 1::3, 1::3], scene[0], atol=1e-6)


def test_finer_maps_keep_to_the_memory() -> None:
    """By the plan: what the output takes grows with the square of the scale, and tiles shrink with it."""
    memory, shape = 200 << 20, (4000, 4000)
    sides = []
    for scale in (1, 4):
        cost = planning.Cost(bands=3, channels=3, activations=500, scale=scale)
        contract = make_contract(bands=3, scale=scale, margin=20, kind="bands")
        tiling = planning.plan_tiling(shape, contract, cost=cost, memory=memory)
        assert tiling.tile[0] * tiling.tile[1] * cost.per_pixel() <= memory
        assert tiling.ramp * tiling.panel * cost.per_column(1) <= memory // 8
        sides.append(tiling.tile[0])
    assert sides[1] < sides[0]


def test_networks_that_eat_bands_of_several_grids_need_no_option(
    tmp_path: Path, write_band: Callable[[str, int], Path]
) -> None:
    """The finest of the files decides the grid; coarser ones are enlarged as the contract says."""
    contract = make_contract(kind="bands", margin=0)
    given = replace(contract.output, bands=contract.output.bands[1:])
    contract = replace(contract, input=replace(contract.input, resample="nearest"), output=given)
    model = make_predictor(lambda inputs: inputs[..., 1:], contract)
    scene = {"B01": write_band("B01", 1), "B02": write_band("B02", 2)}
    mapped = model.predict(scene, residual=True)
    with rasterio.open(scene["B02"]) as file:
        coarse = file.read(1)
    np.testing.assert_array_equal(mapped.bands[0], coarse.repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(mapped.residual[0], 0)
    assert list(mapped.band.values) == ["B02"]
    (path,) = model.predict_file(scene, tmp_path / "map.tif")
    with rasterio.open(path) as made:
        assert (made.res, made.shape) == ((10, 10), (24, 16))


@pytest.fixture
def write_band(tmp_path: Path) -> Callable[[str, int], Path]:
    """Writes a band of pixels `factor` times as large, and returns its path."""

    def written(name: str, factor: int) -> Path:
        path = tmp_path / f"{name}.tif"
        values = field(24 // factor, 16 // factor)
        with rasterio.open(
            path, "w", driver="GTiff", count=1, dtype="float32", height=values.shape[0], width=values.shape[1],
            crs="EPSG:32633", transform=TRANSFORM @ Affine.scale(factor),
        ) as file:  # fmt: skip
            file.write(values, 1)
        return path

    return written


def test_turns_are_averaged_on_the_finer_grid() -> None:
    """A network that takes from the left: its mean over mirrored views takes from both sides."""

    def leaning(inputs: np.ndarray) -> np.ndarray:
        left = np.concatenate([inputs[:, :, :1], inputs[:, :, :-1]], 2)
        return np.stack([left, inputs], axis=3).reshape(len(inputs), inputs.shape[1], -1, 1).repeat(2, 1)

    values = field(12, 10)
    model = make_predictor(leaning, make_contract(bands=1, scale=2, margin=1, kind="bands"))
    mapped = model.predict(open_array(values[..., None], bands=["B01"]), turns=2)[0].values
    padded = np.pad(values, ((0, 0), (1, 1)), mode="edge")
    np.testing.assert_allclose(mapped[::2, ::2], (padded[:, :-2] + values) / 2, atol=1e-6)
    np.testing.assert_allclose(mapped[1::2, 1::2], (padded[:, 2:] + values) / 2, atol=1e-6)
