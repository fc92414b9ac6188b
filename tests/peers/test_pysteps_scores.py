"""Scores of nowcasts against pysteps, live."""

from __future__ import annotations

import numpy as np
import pytest

from geodl.metrics import NowcastMetrics
from geodl.metrics.ensemble import crps, reliability_counts
from geodl.metrics.rainspectra import radial_spectrum
from tests.fixtures.write_nowcast_scores import (
    SCALES,
    THRESHOLDS,
    ensemble,
    fields,
    pysteps_probabilities,
    pysteps_scores,
    rain,
)

pytestmark = pytest.mark.peers


@pytest.fixture(autouse=True)
def _pysteps() -> None:
    pytest.importorskip("pysteps")


@pytest.mark.parametrize("side", [64, 97, 150])
def test_deterministic_scores(side: int) -> None:
    observed, forecast = fields(side, leads=3, side=side)
    scores = NowcastMetrics(THRESHOLDS, lead_minutes=(10, 20, 30), scales=SCALES)
    scores.update(observed[None, ..., None], forecast[None, ..., None])
    result, details, peer = scores.result(), scores.details(), pysteps_scores(observed, forecast)
    np.testing.assert_array_equal(details["tables"], peer["tables"][:, :3])
    for row, threshold in enumerate(THRESHOLDS):
        own = [result[f"{name}/{threshold:g} mm/h"] for name in ("csi", "pod", "far", "frequency_bias", "hss")]
        np.testing.assert_allclose(own, peer["categorical"][row, -1], rtol=1e-6)
        own = [result[f"fss_{scale}px/{threshold:g} mm/h"] for scale in SCALES]
        np.testing.assert_allclose(own, peer["fss"][row, :, -1], rtol=1e-6)
    for lead, found in enumerate(details["leads"]):
        np.testing.assert_allclose(found["fss"], peer["fss"][:, :, lead], rtol=1e-6)
        own = [found[name] for name in ("mae", "rmse", "correlation")]
        np.testing.assert_allclose(own, peer["continuous"][lead, :3], rtol=1e-6)
    own = [details["spectra"][name] for name in ("observed", "forecast")]
    np.testing.assert_allclose(own, peer["spectra"][..., 1:], rtol=1e-6)


@pytest.mark.parametrize("shape", [(64, 64), (65, 65), (48, 70), (71, 30)], ids=lambda shape: f"{shape[0]}x{shape[1]}")
def test_spectra_of_fields_in_a_square(shape: tuple[int, int]) -> None:
    from pysteps.utils.spectral import rapsd

    field = rain(np.random.default_rng(0), shape).astype(np.float64)
    square = np.zeros((max(shape), max(shape)))
    square[: shape[0], : shape[1]] = field
    np.testing.assert_allclose(radial_spectrum(field), rapsd(square, fft_method=np.fft), rtol=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_probabilistic_scores(seed: int) -> None:
    members, observed, probability = ensemble(seed)
    peer = pysteps_probabilities(members, observed, probability)
    assert crps(members, observed) == pytest.approx(peer["crps"], rel=1e-6)
    number, probable, wet = reliability_counts(probability, observed, 1.0).T
    np.testing.assert_allclose([probable / number, wet / number], peer["reliability"], rtol=1e-6)
