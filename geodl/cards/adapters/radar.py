"""Radar sequences: MeteoNet, whose files lack their coordinates."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from geodl.cards.card import Card
from geodl.wholefile import whole_file

__all__ = ("meteonet",)


def meteonet(folder: Path, card: Card) -> list[str]:
    """Copies the coordinates of each zone to its frames, beside which they are looked for.

    Args:
        folder: holds `radar_coords_ZONE.npz`, and folders with `rainfall_ZONE_….npz`.
        card: of the data set.

    Returns:
        The copies.
    """
    made = []
    for home in sorted({path.parent for path in folder.rglob("rainfall_*.npz")}):
        zone = re.match(r"rainfall_([A-Z]+)_", next(home.glob("rainfall_*.npz")).name)
        if zone is None:
            raise ValueError(f"no zone in the names in {home.name}")
        name = f"radar_coords_{zone[1]}.npz"
        if home == folder:
            continue
        with whole_file(home / name) as temporary:
            shutil.copyfile(folder / name, temporary)
        made.append((home / name).relative_to(folder).as_posix())
    return made
