"""Options that several commands share."""

from __future__ import annotations

import pytest

from geodl.cli.options import overrides
from geodl.errors import OptionError


def test_settings_are_keys_with_yaml_values() -> None:
    settings = ["a.b=1", "a.c=x=y", "a.d=", "a.e=[1, no]", "a.b=2", " f =*.tif"]
    assert overrides(settings) == {"a.b": 2, "a.c": "x=y", "a.d": None, "a.e": [1, "no"], "f": "*.tif"}
    assert overrides(None) == {}


@pytest.mark.parametrize("setting", ["train.epochs", "=3", " =3"])
def test_a_setting_without_key_or_value_is_refused(setting: str) -> None:
    with pytest.raises(OptionError) as error:
        overrides([setting])
    assert str(error.value) == f"--set: expected key=value, such as train.epochs=10. Received: {setting!r}."
