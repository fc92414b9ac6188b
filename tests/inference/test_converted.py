"""Runtimes: which one is taken, that it gives what Keras gives, and that it is converted once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from scipy.special import softmax

import geodl
from geodl.bundle import write_bundle
from geodl.errors import BackendUnavailable, BundleError, OptionError, OutputUnwritable
from geodl.inference import converted
from geodl.inference.conversion import ConversionKilled
from geodl.inference.converted import choose, open_converted
from geodl.inference.runtime import activation_bytes
from geodl.models import UNet
from tests.inference.convertedseries import convert_quickly
from tests.inference.fakes import make_contract

RUNTIMES = ("openvino", "onnx")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small U-Net with random weights."""
    keras.utils.set_random_seed(1)
    network = UNet(channels=2, classes=3, width=4, depth=2, mean=[280.0, 5.0], std=[10.0, 2.0])
    folder = tmp_path_factory.mktemp("bundle") / "run"
    write_bundle(folder, network=network, contract=make_contract(margin=20, lattice=4), recipe="", metrics={})
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _settings(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEODL_CACHE", str(cache))
    monkeypatch.delenv("GEODL_RUNTIME", raising=False)
    monkeypatch.setattr(converted, "_accelerated", lambda: False)


def image(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(sum(shape))
    x = rng.normal((280, 5), (10, 2), (*shape, 2)).astype(np.float32)
    x[rng.random(shape) < 0.1] = np.nan
    return x


def test_the_fastest_that_is_installed_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose() == choose("auto") == ("openvino", "onnx", "keras")
    monkeypatch.setattr(converted, "available", lambda format: format == "onnx")
    assert choose() == ("onnx", "keras")
    monkeypatch.setattr(converted, "_accelerated", lambda: True)
    assert choose() == ("keras",)
    assert choose("onnx") == ("onnx",)
    monkeypatch.setenv("GEODL_RUNTIME", "keras")
    assert (choose(), choose("auto")) == (("keras",), ("keras",))
    monkeypatch.setenv("GEODL_RUNTIME", "tensorrt")
    with pytest.raises(OptionError, match="GEODL_RUNTIME: expected one of auto, keras, onnx, openvino"):
        choose()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_probabilities_are_those_of_keras(
    bundle: Path, cache: Path, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converted, "_STATIC", 30 * 30)
    if runtime == "onnx":
        monkeypatch.setattr(converted, "convert", convert_quickly)
    model = geodl.load(bundle, runtime=runtime)
    reference = geodl.load(bundle, runtime="keras")
    assert (model.runtime, reference.runtime) == (runtime, "keras")
    # Small and large ones, the large ones in more shapes than are kept.
    for shape in ((1, 17, 33), (2, 40, 48), (1, 1, 1), (1, 36, 52), (1, 64, 41), (2, 40, 48)):
        x = image(*shape)
        got, expected = model.call(x), reference.call(x)
        assert got.dtype == np.float32
        np.testing.assert_allclose(softmax(got, -1), softmax(expected, -1), atol=1e-4)
    (folder,) = [path for path in (cache / "runtimes").iterdir() if runtime in path.name]
    assert json.loads((folder / "facts.json").read_text()) == {"activations": activation_bytes(reference.network)}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_results_are_kept_and_threads_may_share_it(bundle: Path, runtime: str) -> None:
    call = geodl.load(bundle, runtime=runtime).call
    images = [image(1, 16, 16 + k) for k in range(6)]
    expected = [call(x).copy() for x in images]
    with ThreadPoolExecutor(3) as pool:
        for got, wanted in zip(list(pool.map(call, images)), expected):
            np.testing.assert_array_equal(got, wanted)


def test_it_is_converted_once(bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GEODL_CACHE", str(tmp_path))
    made = []

    def convert(network: Path, target: Path, *, format: str) -> int:
        made.append((network.parent, format))
        target.touch()
        return 7

    monkeypatch.setattr(converted, "convert", convert)
    monkeypatch.setattr(converted, "_OPEN", {"openvino": lambda path: path.name})
    for _ in range(2):
        found = open_converted(bundle, ("openvino",))
        assert found is not None and (found.call, found.runtime, found.activations) == ("network.xml", "openvino", 7)
    twin = shutil.copytree(bundle, tmp_path / "twin")
    open_converted(twin, ("openvino",))
    assert made == [(bundle, "openvino")]
    with open(twin / "network.keras", "ab") as file:
        file.write(b"other")
    open_converted(twin, ("openvino",))
    assert made == [(bundle, "openvino"), (twin, "openvino")]


def test_where_conversion_fails_the_next_one_is_taken(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GEODL_CACHE", str(tmp_path))
    tried = []

    def convert(network: Path, target: Path, *, format: str) -> int:
        tried.append(format)
        raise BackendUnavailable("The network in openvino", "it has strange layers", advice="Use keras.")

    monkeypatch.setattr(converted, "convert", convert)
    assert open_converted(bundle, ("openvino", "keras")) is None
    assert "strange layers. Use keras. Another runtime is taken." in caplog.text
    caplog.clear()
    assert open_converted(bundle, ("openvino", "keras")) is None
    assert (tried, caplog.text) == (["openvino"], "")
    with pytest.raises(BackendUnavailable, match="strange layers"):
        open_converted(bundle, ("openvino",))
    assert tried == ["openvino", "openvino"]


@pytest.mark.parametrize(
    "error", [ConversionKilled("A", "b", advice="C."), BundleError("network.keras", "Unknown layer")]
)
def test_what_may_succeed_another_time_is_tried_again(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    monkeypatch.setenv("GEODL_CACHE", str(tmp_path))
    tried = []

    def convert(network: Path, target: Path, *, format: str) -> int:
        tried.append(format)
        raise error

    monkeypatch.setattr(converted, "convert", convert)
    for _ in range(2):
        assert open_converted(bundle, ("onnx", "keras")) is None
    assert tried == ["onnx", "onnx"]
    with pytest.raises(type(error)):
        open_converted(bundle, ("onnx",))


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Stands for conversion and opening, in a cache of its own; what was converted."""
    monkeypatch.setenv("GEODL_CACHE", str(tmp_path))
    made: list[Path] = []

    def convert(network: Path, target: Path, *, format: str) -> int:
        made.append(target)
        target.write_text("whole")
        return 7

    def opened(path: Path) -> Callable[[np.ndarray], np.ndarray]:
        if path.read_text() != "whole":
            raise RuntimeError("Unexpected end\nof file")
        return np.copy

    monkeypatch.setattr(converted, "convert", convert)
    monkeypatch.setattr(converted, "_OPEN", {"onnx": opened})
    return made


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_text("half")])
def test_a_damaged_cache_is_mended(bundle: Path, conversions: list[Path], harm: Callable[[Path], None]) -> None:
    open_converted(bundle, ("onnx",))
    harm(conversions[0])
    assert open_converted(bundle, ("onnx",)) is not None
    assert len(conversions) == 2


def test_a_runtime_that_opens_nothing_is_passed_over(
    bundle: Path, conversions: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(path: Path) -> Callable[[np.ndarray], np.ndarray]:
        raise ImportError("libonnx.so: no such file.")

    monkeypatch.setattr(converted, "_OPEN", {"onnx": broken})
    assert open_converted(bundle, ("onnx", "keras")) is None
    assert "with onnx cannot be had: libonnx.so: no such file. Use runtime keras" in caplog.text
    with pytest.raises(BackendUnavailable, match=r"libonnx\.so"):
        open_converted(bundle, ("onnx",))


def test_what_is_there_is_used_where_nothing_may_be_written(
    bundle: Path, conversions: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_converted(bundle, ("onnx",))

    def refused(*arguments: object, **options: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refused)
    monkeypatch.setattr("filelock.FileLock", refused)
    assert open_converted(bundle, ("onnx",)) is not None


def test_packages_may_be_installed_under_another_name(
    bundle: Path, conversions: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(converted, "version", version)
    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(__version__="1.2.3"))
    assert open_converted(bundle, ("onnx",)) is not None
    assert "-onnxruntime-1.2.3-" in conversions[0].parent.name


def test_a_cache_that_cannot_be_written(bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GEODL_CACHE", str(tmp_path / "file"))
    assert open_converted(bundle, ("openvino", "keras")) is None
    with pytest.raises(OutputUnwritable):
        open_converted(bundle, ("openvino",))


def test_a_user_without_a_home_has_keras(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("GEODL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", home)
    assert open_converted(bundle, ("openvino", "keras")) is None
    with pytest.raises(OutputUnwritable, match="GEODL_CACHE names no other"):
        open_converted(bundle, ("openvino",))


def test_keras_is_not_loaded(bundle: Path, cache: Path, tmp_path: Path) -> None:
    geodl.load(bundle, runtime="openvino").call(image(1, 8, 8))
    code = f"""
import sys, numpy as np, geodl
from geodl.data.cube import open_array
scene = open_array(np.ones((40, 30, 2), np.float32), bands=["B01", "B02"])
geodl.load({str(bundle)!r}, runtime="openvino").predict_file(scene, {str(tmp_path / "map.tif")!r}, any_resolution=True)
print([name for name in ("keras", "tensorflow", "jax") if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
    assert (tmp_path / "map.tif").is_file()


def test_a_damaged_network_is_refused_at_once(bundle: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(bundle, tmp_path / "run")
    content = bytearray((damaged / "network.keras").read_bytes())
    content[len(content) // 2] ^= 255
    (damaged / "network.keras").write_bytes(content)
    with pytest.raises(BundleError, match="The network cannot be loaded"):
        geodl.load(damaged)
