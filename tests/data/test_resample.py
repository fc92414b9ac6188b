from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from rasterio.enums import Resampling

from geodl.data.resample import METHODS, Resample
from geodl.errors import OptionError


def test_methods_are_gdals() -> None:
    assert set(METHODS) <= {method.name for method in Resampling}


@pytest.mark.parametrize("wrong", [{"method": "best"}, {"resolution": 0.0}, {"resolution": float("nan")}])
def test_what_no_resampling_is(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        Resample(**wrong)


def test_recipes_know_the_methods_without_importing_gdal() -> None:
    code = "import sys, geodl.data.resample; print('rasterio' in sys.modules or 'pyproj' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
