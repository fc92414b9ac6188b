from __future__ import annotations

import os
from pathlib import Path

from geodl.data.asset import Asset


def test_an_asset_stands_for_its_path_and_says_nothing_else() -> None:
    asset = Asset(Path("a") / "b.tif")
    assert os.fspath(asset) == os.path.join("a", "b.tif")
    assert (asset.unit, asset.scale, asset.offset, asset.nodata, asset.bands, asset.codes) == (None,) * 5 + (False,)
    assert {asset: 1}[Asset(Path("a/b.tif"))] == 1
