"""Protocols of restoration on real images: they give the published figures before anything is learnt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geodl.contract import Contract
from geodl.inference.runtime import compile_network
from geodl.models import EDSR
from geodl.pipelines.evaluation import evaluate_samples
from geodl.pipelines.restoration import Restoration
from geodl.pipelines.task import open_pipeline


def whole(pipeline: Restoration) -> Contract:
    """What a network for all of the recipe's scenes eats and gives."""
    sources = pipeline.open_scenes(pipeline.found())
    pipeline.look_at(sources)
    return Contract(pipeline.name, *pipeline.describe(sources[0]))


@pytest.mark.parametrize(("sigma", "expected"), [(15, 24.61), (25, 20.17), (50, 14.15)])
def test_noisy_bsd68_has_the_papers_psnr(real_data: Path, sigma: int, expected: float) -> None:
    images = [str(path) for path in sorted((real_data / "denoise/bsd68").glob("*.png"))[:5]]
    pipeline = open_pipeline("denoising", {"data.images": images, "noise.sigma": sigma})
    assert isinstance(pipeline, Restoration)
    contract = whole(pipeline)
    samples, part = pipeline.held_out(contract, "all")
    found = evaluate_samples(pipeline, contract, lambda x: x, samples, part)
    assert found.metrics["psnr_input"] == pytest.approx(expected, abs=0.05)
    assert len(found.protocol["scenes"]) == 5 and found.details["peak"] == 255
    assert found.protocol["restored values"] == "rounded and clipped to 0-255"
    # What is given back as it came is scored as an 8-bit file, which clips the noise.
    assert found.metrics["psnr"] > found.metrics["psnr_input"]


def test_bicubic_set5_has_the_papers_psnr(real_data: Path) -> None:
    changes = {
        "data.images": str(real_data / "superres/set5/*_SRF_2_HR.png"),
        "data.bands": ["luma"],
        "scoring.crop": 2,
    }
    pipeline = open_pipeline("superresolution", changes)
    assert isinstance(pipeline, Restoration)
    contract = whole(pipeline)
    samples, part = pipeline.held_out(contract, "all")
    untrained = compile_network(EDSR(1, scale=2, width=4, blocks=1, mean=[110.0], std=[60.0]))
    bicubic = pipeline.baselines(contract.output)["bicubic"]
    for call in (bicubic, untrained):
        found = evaluate_samples(pipeline, contract, call, samples, part)
        assert found.metrics["psnr"] == pytest.approx(33.66, abs=0.05)
        assert len(found.details["scenes"]) == 5
    x, y, _ = samples.read(0, np.random.default_rng(0))
    assert y.shape[:2] == tuple(2 * length for length in x.shape[:2])
