"""What PySINDy says where it is not installed; its forecasts are tested in `tests/peers`."""

from __future__ import annotations

import importlib.util

import pytest

from geodl.baselines.sindy import PySINDy
from geodl.errors import BackendUnavailable


def test_without_pysindy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not PySINDy.available()
    with pytest.raises(BackendUnavailable, match="pip install pysindy"):
        PySINDy()
