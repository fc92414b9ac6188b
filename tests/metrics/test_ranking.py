from typing import Any

import numpy as np
import pytest

from geodl.errors import OptionError
from geodl.metrics import NowcastMetrics, csi_table


def details(*, shift: int, dry: bool = False) -> dict[str, Any]:
    """Scores of rain that is forecast some pixels off."""
    truth = np.random.default_rng(0).gamma(0.4, 3, (8, 2, 12, 12, 1))
    truth[:, 1] = 0 if dry else truth[:, 1]
    scores = NowcastMetrics([1.0], lead_minutes=[10, 20], scales=[1], block=2)
    guess = np.roll(truth, shift, axis=3)
    guess[:, 0, : 6 if shift else 0] = truth[:, 0, : 6 if shift else 0]
    scores.update(truth, guess, scenes=["a"] * 8)
    return scores.details()


def test_the_best_method_is_named_with_its_lead() -> None:
    columns, rows = csi_table(details(shift=0), {"persistence": details(shift=3), "other": details(shift=5)})
    assert columns == ("lead time", "threshold", "network", "persistence", "other", "best", "ahead by", "90 % interval")
    first, second = rows
    assert first[:3] == ("+10 min", "1 mm/h", 1.0) and first[5] == second[5] == "network"
    assert first[6] == pytest.approx(1.0 - max(first[3], first[4]))
    low, high = (float(end.replace("−", "-")) for end in first[7].split(" … "))
    assert 0 < low <= first[6] <= high


def test_the_order_of_methods_does_not_matter() -> None:
    _, one = csi_table(details(shift=0), {"b": details(shift=3)}, name="a")
    _, two = csi_table(details(shift=3), {"a": details(shift=0)}, name="b")
    assert [row[-3:] for row in one] == [row[-3:] for row in two]
    assert [row[2:4] for row in one] == [row[3:1:-1] for row in two]


def test_equal_methods_share_the_place_and_no_rain_has_none() -> None:
    _, rows = csi_table(details(shift=2, dry=True), {"twin": details(shift=2, dry=True)})
    assert rows[0][4:] == ("network = twin", 0.0, "")
    assert rows[1] == ("+20 min", "1 mm/h", None, None, "", None, "")


def test_a_network_alone_is_not_ahead_of_anything() -> None:
    columns, rows = csi_table(details(shift=2), {})
    assert columns[-1] == "best" and len(rows[0]) == 4
    with pytest.raises(OptionError, match="another name"):
        csi_table(details(shift=2), {"network": details(shift=2)})
