"""What MiniRocket says where aeon is not installed; its answers are tested in `tests/peers`."""

from __future__ import annotations

import importlib.util

import pytest

from geodl.baselines.minirocket import MiniRocketSeries
from geodl.errors import BackendUnavailable


def test_without_aeon_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not MiniRocketSeries.available()
    with pytest.raises(BackendUnavailable, match="pip install aeon"):
        MiniRocketSeries(3)
