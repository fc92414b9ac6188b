from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from geodl.errors import OptionError
from geodl.models import RainNet, total_stride
from tests.model_case import once
from tests.rain_case import run_rain_case

SMALL: dict[str, Any] = {"frames": 3, "leads": 2, "width": 4, "depth": 2, "dropout": 0.0}


@once
def test_case(tmp_path: Path) -> None:
    run_rain_case(RainNet, {**SMALL, "advected": True}, folder=tmp_path)


@once
def test_case_without_advected_frames(tmp_path: Path) -> None:
    run_rain_case(RainNet, {**SMALL, "transform": "db", "head": "gaussian"}, folder=tmp_path)


@once
def test_it_is_the_papers_but_for_input_and_head() -> None:
    network = RainNet(4, 1, width=4)
    assert total_stride(network) == 16
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.filters for layer in convolutions if layer.kernel_size == (3, 3)] == [
        *(4, 4, 8, 8, 16, 16, 32, 32, 64, 64),
        *(32, 32, 16, 16, 8, 8, 4, 4),
    ]
    dropped = [layer.rate for layer in network.layers if isinstance(layer, keras.layers.Dropout)]
    assert dropped == [0.5, 0.5]


@pytest.mark.parametrize(
    ("option", "value"),
    [("frames", 0), ("leads", 0), ("width", 0), ("depth", 0), ("dropout", 1.0), ("head", "x"), ("std", np.inf)],
    ids=str,
)
def test_says_which_option_is_wrong(option: str, value: Any) -> None:
    with pytest.raises(OptionError, match=rf"^{option}: expected "):
        RainNet(**{**SMALL, option: value})
