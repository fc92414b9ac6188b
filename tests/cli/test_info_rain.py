"""`geodl info` with a network for nowcasting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.inference.rainfakes import make_contract, moving_rain, rain_array


def test_a_network_for_nowcasting_and_radar_frames(geodl_cli: Callable[..., Any], tmp_path: Path) -> None:
    run, frames = tmp_path / "run", tmp_path / "radar"
    run.mkdir()
    frames.mkdir()
    (run / "contract.json").write_text(make_contract(advected=True).to_json())
    result = geodl_cli("info", run)
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["lead", "times", "3,", "+10", "to", "+30", "minutes"] in rows
    assert ["time", "4", "600", "s", "0", "1"] in rows
    rain = rain_array(moving_rain(5))
    for k in (0, 1, 2, 3):
        rain.isel(time=[k]).to_netcdf(frames / f"{k}.nc")
    result = geodl_cli("info", run, frames)
    assert result.exit_code == 0
    assert "Fits: a forecast would be made from 4 frames, 2020-01-01 00:00 to 2020-01-01 00:30." in result.stdout
    (frames / "1.nc").unlink()
    result = geodl_cli("info", run, frames)
    assert result.exit_code == 2 and "Does not fit. radar: frames are missing" in result.stdout
