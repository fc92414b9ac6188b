"""Layers of saved networks are found in a process that has built none."""

from __future__ import annotations

import re
from pathlib import Path

import geodl.models
from geodl.models import registered

ROOM = Path(geodl.models.__file__).parent


def test_every_module_with_layers_is_imported() -> None:
    registering = {
        path.stem
        for path in ROOM.glob("*.py")
        if re.search(r"\n@(keras\.saving\.register|_register\b)", path.read_text())
    }
    assert registering == set(registered.__all__)
