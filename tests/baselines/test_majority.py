import numpy as np
import pytest
from scipy.special import softmax

from geodl.baselines import Baseline, MajorityClass
from geodl.errors import NoValidPixels


class OneSample:
    def __init__(self, y: np.ndarray) -> None:
        self.y = y

    def __len__(self) -> int:
        return 1

    def read(self, index, rng):
        return np.zeros((*self.y.shape, 1), np.float32), self.y, (self.y >= 0).astype(np.float32)


def test_gives_the_class_shares_everywhere():
    y = np.array([[0, 0, 0, 2], [0, 0, 2, -1]], np.int32)
    baseline = MajorityClass(3).fit(OneSample(y))
    x = np.zeros((1, 2, 2, 1), np.float32)
    x[0, 1, 1] = np.nan
    logits = baseline(x)
    assert isinstance(baseline, Baseline)
    assert np.allclose(softmax(logits[0, 0, 0]), [5 / 7, 0, 2 / 7], atol=3e-6)
    assert (logits[0, 0].argmax(axis=-1) == 0).all()
    assert np.isnan(logits[0, 1, 1]).all()


def test_nothing_to_count_is_an_error():
    with pytest.raises(NoValidPixels):
        MajorityClass(2).fit(OneSample(np.full((2, 2), -1, np.int32)))
