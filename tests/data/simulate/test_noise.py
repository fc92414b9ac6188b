import numpy as np
import pytest

from geodl.data.simulate.noise import cells, fractal, hashed, rehashed, smooth


def correlation(noise: np.ndarray, lag: int) -> float:
    return float(np.corrcoef(noise[:, :-lag].ravel(), noise[:, lag:].ravel())[0, 1])


@pytest.mark.parametrize("scale", [1.0, 2.0, 5.0, 20.0])
def test_smooth_noise_has_unit_variance_and_its_scale_in_any_size(scale):
    for shape in ((256, 512), (512, 256)):
        noise = smooth(np.random.default_rng(0), shape, scale)
        assert noise.shape == shape and noise.dtype == np.float32
        assert noise.std() == pytest.approx(1, abs=0.12)
        assert abs(correlation(noise, int(4 * scale))) < 0.2
        if scale >= 4:
            assert correlation(noise, int(scale / 4)) > 0.8


def test_fractal_noise_adds_detail():
    plain, rough = (fractal(np.random.default_rng(1), (256, 256), 40, octaves=octaves) for octaves in (1, 4))
    assert rough.std() == pytest.approx(1, abs=0.25)
    # Each of the four octaves has the slope of the first: twice the slope in all, over the norm of their strengths.
    expected = 2 / np.sqrt(1 + 1 / 4 + 1 / 16 + 1 / 64)
    assert np.diff(rough).std() / np.diff(plain).std() == pytest.approx(expected, rel=0.2)


def test_hashes_are_uniform_and_depend_on_their_keys_alone():
    keys = np.arange(100_000)
    numbers = hashed(keys, 5)
    assert numbers.min() >= 0 and numbers.max() < 1
    assert np.abs(np.histogram(numbers, 20, (0, 1))[0] / 5000 - 1).max() < 0.08
    assert np.array_equal(hashed(keys[::-1], 5)[::-1], numbers)
    assert abs(np.corrcoef(numbers, hashed(keys, 6))[0, 1]) < 0.02
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.02
    assert abs(np.corrcoef(numbers, rehashed(numbers, 1))[0, 1]) < 0.02
    # The first numbers, worked out by hand in plain integers: they must be the same on every platform.
    assert hashed(np.arange(2), 5)[1] == np.float32(reference_hash(1, 5))


def reference_hash(one: int, other: int) -> float:
    word = 0xFFFFFFFF
    state = (one * 0x9E3779B1 + other * 0x85EBCA77) & word
    state = ((state ^ (state >> 16)) * 0x85EBCA6B) & word
    state = ((state ^ (state >> 13)) * 0xC2B2AE35) & word
    return ((state ^ (state >> 16)) >> 8) / 2**24


def test_cells_cover_the_plane_with_borders_where_the_index_changes():
    u, v = np.meshgrid(
        np.linspace(0, 8, 400, dtype=np.float32), np.linspace(0, 8, 400, dtype=np.float32), indexing="ij"
    )
    strip, _, across, along = cells(u, v, 3)
    assert (across >= 0).all() and (along >= 0).all()
    assert (np.diff(strip, axis=0) >= 0).all()
    assert 6 <= len(np.unique(strip)) <= 10
    # A cell is never farther from its own border than half of its greatest possible size.
    assert across.max() < 0.9 and along.max() < 0.9
    changes = np.flatnonzero(np.diff(strip[:, 0]))
    assert (across[changes, 0] < 0.03).all()
