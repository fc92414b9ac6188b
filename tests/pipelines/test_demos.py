"""The demonstrations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import rasterio
from matplotlib import image

from geodl.errors import OptionError
from geodl.pipelines import demo


def test_unknown_demo_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        OptionError,
        match="expected one of: segmentation, denoising, superresolution, nowcasting, dynamics, crops. Received: 'weather'",
    ):
        demo("weather", output=tmp_path)


@pytest.mark.slow
def test_segmentation_demo_leaves_map_picture_and_scores(tmp_path: Path) -> None:
    result = demo("segmentation", output=tmp_path)
    with rasterio.open(result.paths["map"]) as made:
        assert made.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert made.overviews(1)
        assert made.crs.to_epsg() == 32633
    assert image.imread(result.paths["picture"]).shape[1] > 1000
    scores = json.loads(result.paths["metrics"].read_text())
    assert scores["metrics"]["miou"] > scores["baselines"]["forest"]["metrics"]["miou"]
    assert scores["metrics"]["miou"] > 0.6
