"""Layers of saved networks are found in a process that has built none."""

from __future__ import annotations

from pathlib import Path

import geodl.models
from geodl.models import registered

ROOM = Path(geodl.models.__file__).parent


def test_every_module_with_layers_is_imported() -> None:
    registering = {path.stem for path in ROOM.glob("*.py") if "\n@keras.saving.register" in path.read_text()}
    assert registering == set(registered.__all__)
