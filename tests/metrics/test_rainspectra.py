import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodl.metrics.rainspectra import radial_spectrum


@pytest.mark.parametrize("lead", [0, 1])
def test_square_fields_have_the_spectra_of_pysteps(pysteps: dict[str, np.ndarray], lead: int) -> None:
    observed = np.nan_to_num(pysteps["observed"][lead])
    np.testing.assert_allclose(radial_spectrum(observed), pysteps["spectra"][0, lead], rtol=1e-6)


@settings(max_examples=25)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_rings_of_the_whole_transform_give_the_same(height: int, width: int, seed: int) -> None:
    field = np.random.default_rng(seed).gamma(1, 1, (height, width))
    side = max(height, width)
    square = np.zeros((side, side))
    square[:height, :width] = field
    power = np.abs(np.fft.fft2(square)) ** 2 / square.size
    number = np.fft.fftfreq(side, 1 / side)
    ring = np.round(np.hypot(number[:, None], number))
    expected = [power[ring == k].mean() for k in range((side + 1) // 2)]
    np.testing.assert_allclose(radial_spectrum(field), expected, rtol=1e-9, atol=1e-12)


def test_waves_of_equal_length_meet_in_one_ring_whatever_the_shape() -> None:
    wave = np.sin(2 * np.pi * np.arange(60) / 10)
    for field in (np.tile(wave, (30, 1)), np.tile(wave[:30, None], (1, 60))):
        spectrum = radial_spectrum(field)
        assert spectrum[1:].argmax() + 1 == 6
