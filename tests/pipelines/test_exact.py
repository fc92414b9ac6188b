"""Tiled is whole, for every network of restoration whose margin is finite."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest

from geodl.contract import Band, Dim, ModelInput, ModelOutput
from geodl.inference import planning
from geodl.inference.predictor import Predictor
from geodl.models import EDSR, SRCNN, VDSR, DnCNN, FFDNet, GuidedSR, ResidualUNet
from geodl.pipelines.base import complete_contract
from geodl.pipelines.task import Parts

NETWORKS: dict[str, tuple[Callable[[], keras.Model], int, int, int]] = {
    "dncnn": (lambda: DnCNN(1, depth=4, width=4), 1, 1, 1),
    "radar": (lambda: DnCNN(1, depth=3, width=4, speckle="dB"), 1, 1, 1),
    "ffdnet": (lambda: FFDNet(1, depth=3, width=4), 2, 1, 1),
    "unet": (lambda: ResidualUNet(1, width=4, depth=1, blocks=1, stem=1), 1, 1, 1),
    "srcnn": (lambda: SRCNN(1, scale=3, width=4), 1, 1, 3),
    "vdsr": (lambda: VDSR(1, scale=2, depth=4, width=4), 1, 1, 2),
    "edsr": (lambda: EDSR(1, scale=2, width=4, blocks=1), 1, 1, 2),
    "guided": (lambda: GuidedSR(2, 1, width=4, blocks=1), 3, 1, 1),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_tiled_is_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build, eaten, given, scale = NETWORKS[name]
    keras.utils.set_random_seed(0)
    network = build()
    rng = np.random.default_rng(0)
    # The last convolution starts at zero: an untrained network would hide what its first layers see.
    network.set_weights(
        [weight + rng.normal(0, 0.1, weight.shape).astype(np.float32) for weight in network.get_weights()]
    )
    bands = tuple(Band(f"b{k}") for k in range(eaten))
    names = ("y", "x")
    parts = Parts(
        None, None, None,  # type: ignore[arg-type]
        ModelInput((*(Dim(axis) for axis in names), Dim("band", size=eaten)), bands),
        ModelOutput("bands", bands=bands[-given:], scale=scale, nodata=float("nan")),
        np.zeros(eaten), np.ones(eaten),
    )  # fmt: skip
    contract = complete_contract(name, parts, network)
    margin = contract.input.dim("y").margin
    assert margin is not None and margin > 0
    scene = rng.normal(size=(13 * margin + 40, 12 * margin + 31, eaten)).astype(np.float32)
    monkeypatch.setattr(planning, "_TILE", 48)
    tiles: list[int] = []
    tiled = Predictor(network, contract).predict(scene, overlap="exact", progress=lambda done, _: tiles.append(done))
    assert len(tiles) > 1
    whole = network.predict(scene[None], verbose=0)[0]
    np.testing.assert_allclose(np.moveaxis(tiled.values, 0, -1), whole, rtol=1e-4, atol=1e-4)
