from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

from geodl.inference import portable
from geodl.inference.portable import PortableCall
from geodl.inference.predictor import Predictor
from tests.inference.fakes import make_contract


def opened(content: bytes, runtime: str) -> object:
    return lambda inputs: inputs + len(content)


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Lets this process be another one, and notes which networks it loads."""
    loaded: list[bytes] = []

    def note(content: bytes, runtime: str) -> object:
        loaded.append(content)
        return opened(content, runtime)

    monkeypatch.setattr(portable, "_HERE", {})
    monkeypatch.setattr(portable, "_LOADED", portable.OrderedDict())
    monkeypatch.setattr(portable, "_opened", note)
    return loaded


def test_where_it_comes_from_it_is_the_same() -> None:
    call = PortableCall(lambda inputs: inputs, lambda: b"network", "keras")
    assert pickle.loads(pickle.dumps(call)) is call


def test_elsewhere_it_is_loaded_once_when_it_is_called(away: list[bytes]) -> None:
    call = PortableCall(lambda inputs: inputs, lambda: b"network", "keras")
    sent, again = pickle.dumps(call), pickle.dumps(PortableCall(lambda inputs: inputs, lambda: b"network", "keras"))
    portable._HERE.clear()
    arrived, second = pickle.loads(sent), pickle.loads(again)
    assert arrived is not call and not away
    assert arrived(1) == second(1) == arrived(1) == 8
    portable._HERE.clear()
    onwards = pickle.loads(pickle.dumps(arrived))
    assert onwards(2) == 9 and onwards.identity == call.identity
    assert away == [b"network"]


def test_few_networks_stay_loaded(away: list[bytes]) -> None:
    for content in (b"1", b"22", b"333", b"22", b"1"):
        call = PortableCall(lambda inputs: inputs, lambda content=content: content, "keras")
        sent = pickle.dumps(call)
        portable._HERE.clear()
        assert pickle.loads(sent)(0) == len(content)
    assert away == [b"1", b"22", b"333", b"1"]


@pytest.mark.slow
def test_a_network_in_memory_runs_in_another_process(tmp_path: Path) -> None:
    from geodl.models import UNet

    model = Predictor(UNet(channels=2, classes=3, width=4, depth=2), make_contract(margin=None, lattice=4))
    inputs = np.random.default_rng(0).normal(size=(1, 32, 40, 2)).astype(np.float32)
    np.save(tmp_path / "inputs.npy", inputs)
    (tmp_path / "call").write_bytes(cloudpickle.dumps(model.call))
    program = (
        "import pickle, numpy, sys; call = pickle.load(open('call', 'rb'));"
        "numpy.save('outputs.npy', call(numpy.load('inputs.npy')))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), model.call(inputs), atol=1e-5)
