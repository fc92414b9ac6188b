"""Networks converted to other runtimes give what Keras gives, whatever the size of the scene and its gaps."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from scipy.special import softmax

from geodl.errors import BackendUnavailable, BundleError, OptionError, OutputExists, OutputUnwritable
from geodl.inference import conversion
from geodl.inference.conversion import INPUT, OUTPUT, available, convert, import_openvino, require
from geodl.models import (
    EDSR,
    LTAE,
    DnCNN,
    FFDNet,
    GuidedSR,
    InceptionTime,
    ResidualUNet,
    SeriesGRU,
    SeriesLSTM,
    SeriesTransformer,
    TempCNN,
    UNet,
)
from tests.inference.convertedseries import convert_here, convert_quickly, random_series

ENDINGS = {"onnx": ".onnx", "openvino": ".xml", "saved_model": ""}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "attention": {"attention": True},
    "residual": {"residual": True},
    "group": {"norm": "group"},
    "bare": {"norm": None},
    "stem-2": {"stem": 2},
    "stem-4": {"stem": 4},
    "all": {"depth": 1, "stem": 2, "attention": True, "residual": True, "norm": "group", "dropout": 0.2},
}
FAST = (("onnx", "all"), ("openvino", "plain"))
SIZES = ((1, 1, 1), (2, 17, 33), (1, 300, 200))
"""Batch, height, width."""


def make_network(**options: Any) -> keras.Model:
    """A U-Net in physical units whose statistics are not those that it was made with."""
    keras.utils.set_random_seed(1)
    settings = {"width": 4, "depth": 2, **options}
    network = UNet(channels=4, classes=5, mean=[1000.0] * 4, std=[300.0] * 4, **settings)
    rng = np.random.default_rng(2)
    for weight in network.weights:
        if weight.path.endswith("moving_mean"):
            weight.assign(rng.normal(0, 0.1, weight.shape))
        if weight.path.endswith("moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return network


def image(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(sum(shape))
    x = rng.normal(1000, 300, (*shape, 4)).astype(np.float32)
    x[rng.random(x.shape) < 0.05] = np.nan
    x[:, : shape[1] // 3, : shape[2] // 4] = np.nan
    return x


def run_converted(path: Path, format: str, *, series: bool = False) -> Callable[[Any], np.ndarray]:
    call = _run_by_name(path, format)
    return call if series else lambda image: call({INPUT: image})


def _run_by_name(path: Path, format: str) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    if format == "onnx":
        onnxruntime = pytest.importorskip("onnxruntime")
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return lambda given: session.run([OUTPUT], given)[0]
    if format == "openvino":
        pytest.importorskip("openvino")
        core = import_openvino().Core()
        compiled = core.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda given: compiled(given)[OUTPUT]
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    return lambda given: loaded.serve(**{k: tf.constant(v) for k, v in given.items()})[OUTPUT].numpy()


def no_process(*args: Any, **options: Any) -> Any:
    raise AssertionError("a process was started")


@pytest.mark.parametrize(
    ("format", "variant"),
    [
        pytest.param(format, variant, marks=() if (format, variant) in FAST else pytest.mark.slow)
        for format in ENDINGS
        for variant in VARIANTS
    ],
)
def test_probabilities_are_those_of_keras(tmp_path: Path, format: Any, variant: str) -> None:
    if not available(format):
        pytest.skip(f"what {format} needs is not installed")
    network = make_network(**VARIANTS[variant])
    network.save(tmp_path / "network.keras")
    target = tmp_path / f"converted{ENDINGS[format]}"
    assert convert_quickly(tmp_path / "network.keras", target, format=format) > 0
    made = {target.name, "network.keras"} | ({"converted.bin"} if format == "openvino" else set())
    assert {path.name for path in tmp_path.iterdir()} == made
    call = run_converted(target, format)
    for shape in SIZES:
        x = image(*shape)
        expected = keras.ops.convert_to_numpy(network(x, training=False))
        got = call(x)
        assert got.dtype == np.float32
        np.testing.assert_allclose(softmax(got, -1), softmax(expected, -1), rtol=0, atol=1e-4)


RESTORING: dict[str, Callable[[], keras.Model]] = {
    "intensity": lambda: DnCNN(2, depth=3, width=8, speckle="intensity", mean=[4.0] * 2, std=[2.0] * 2),
    "unet": lambda: ResidualUNet(2, width=8, mean=[100.0] * 2, std=[20.0] * 2),
    "ffdnet": lambda: FFDNet(1, depth=3, width=8, mean=[100.0], std=[20.0]),
    "edsr": lambda: EDSR(2, scale=3, width=8, blocks=1, mean=[100.0] * 2, std=[20.0] * 2),
    "guided": lambda: GuidedSR(1, 1, width=8, blocks=1, mean=[100.0] * 2, std=[20.0] * 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "openvino"])
@pytest.mark.parametrize("name", RESTORING)
def test_restored_values_are_those_of_keras(tmp_path: Path, format: Any, name: str) -> None:
    if not available(format):
        pytest.skip(f"what {format} needs is not installed")
    network, rng = RESTORING[name](), np.random.default_rng(0)
    for weight in network.weights:
        weight.assign(weight + rng.normal(0, 0.03, weight.shape))
    network.save(tmp_path / "network.keras")
    target = tmp_path / f"converted{ENDINGS[format]}"
    convert(tmp_path / "network.keras", target, format=format)
    call = run_converted(target, format)
    for shape in SIZES:
        x = rng.gamma(4, 25, (*shape, 2)).astype(np.float32)
        x[:, :3, :3], x[:, 5:6], x[:, 6:7] = np.nan, 0, -3
        expected = keras.ops.convert_to_numpy(network(x, training=False))
        assert np.isfinite(expected).all()
        np.testing.assert_allclose(call(x), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


SERIES: dict[str, Callable[..., keras.Model]] = {
    "lstm": partial(SeriesLSTM, units=6),
    "gru": partial(SeriesGRU, units=6, pool="attention"),
    "tempcnn": partial(TempCNN, filters=8, dense=16),
    "inception": partial(InceptionTime, filters=4),
    "transformer": partial(SeriesTransformer, width=16, depth=1),
    "ltae": partial(LTAE, width=32, heads=4, mlp=(16,)),
}


@pytest.mark.slow
@pytest.mark.parametrize("length", [None, 12])
@pytest.mark.parametrize("format", ENDINGS)
@pytest.mark.parametrize("name", SERIES)
def test_classes_of_series_are_those_of_keras(tmp_path: Path, format: Any, name: str, length: int | None) -> None:
    if not available(format):
        pytest.skip(f"what {format} needs is not installed")
    keras.utils.set_random_seed(2)
    network, rng = SERIES[name](2, 3, length=length, mean=[0.3, 0.3], std=[0.2, 0.2]), np.random.default_rng(4)
    for weight in network.weights:
        weight.assign(weight + np.abs(rng.normal(0, 0.1, weight.shape)))
    network.save(tmp_path / "network.keras")
    target = tmp_path / f"converted{ENDINGS[format]}"
    assert 64 < convert(tmp_path / "network.keras", target, format=format) < 100_000
    call = run_converted(target, format, series=True)
    for shape in ((1, length or 1), (5, length or 31)):
        values, days = random_series(shape, bands=2)
        given = {"values": values, "days": days}
        expected = keras.ops.convert_to_numpy(network(given, training=False))
        np.testing.assert_allclose(softmax(call(given), -1), softmax(expected, -1), rtol=0, atol=1e-4)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="converted in a process that runs TensorFlow")
def test_other_inputs_are_refused(tmp_path: Path) -> None:
    inputs = {name: keras.Input((3,), name=name) for name in ("state", "times")}
    keras.Model(inputs, layers.Add()(list(inputs.values()))).save(tmp_path / "network.keras")
    with pytest.raises(
        ValueError, match="2 inputs and 1 outputs; one of each was expected, or the inputs values and days"
    ):
        convert_here(tmp_path / "network.keras", tmp_path / "n.onnx", format="onnx")


@pytest.mark.parametrize("length", [None, 5])
def test_converted_networks_are_tried_on_irregular_dates_and_gaps(length: int | None) -> None:
    network = LTAE(2, 3, length=length, width=8, heads=2, mean=[100.0, 5.0], std=[10.0, 1.0])
    given = [inputs for inputs, _ in conversion._sample_series(network, lambda inputs: np.empty(0))]
    assert [inputs["values"].shape[1] for inputs in given] == ([29, 12] if length is None else [5, 5])
    for inputs in given:
        values, days = inputs["values"], inputs["days"]
        seen = np.isfinite(values)
        assert values.dtype == days.dtype == np.float32 and values.shape[:2] == days.shape
        assert (np.diff(days, axis=1) > 0).all() and len(np.unique(np.diff(days, axis=1))) > 1
        assert seen[0].any(-1).all() and not seen[-1].any() and seen[1].any(-1).sum() <= 1
        assert 70 < np.nanmedian(values[..., 0]) < 130 and 3 < np.nanmedian(values[..., 1]) < 7


@pytest.mark.slow
def test_it_needs_neither_keras_nor_its_backend_here(tmp_path: Path) -> None:
    make_network().save(tmp_path / "network.keras")
    program = (
        "import sys; from pathlib import Path; from geodl.inference.conversion import convert; "
        "convert(Path('network.keras'), Path('n.onnx'), format='onnx'); "
        "assert not {'keras', 'tensorflow', 'jax', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert (tmp_path / "n.onnx").is_file()


@pytest.mark.slow
def test_networks_of_mixed_precision_are_converted_to_float32(tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        make_network().save(tmp_path / "mixed.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    exact = make_network()
    exact.set_weights(keras.saving.load_model(tmp_path / "mixed.keras").get_weights())
    convert(tmp_path / "mixed.keras", tmp_path / "n.onnx", format="onnx")
    x = image(1, 40, 40)
    got = run_converted(tmp_path / "n.onnx", "onnx")(x)
    np.testing.assert_allclose(got, keras.ops.convert_to_numpy(exact(x, training=False)), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layer", "format", "sentence"),
    [
        (layers.Discretization([0.0]), "onnx", "ONNX has no operation Bucketize. Use runtime keras"),
        (layers.Discretization([0.0]), "openvino", "Bucketize. Use runtime keras"),
        (layers.UpSampling2D(interpolation="bilinear"), "onnx", "calling UpSampling2D.call(). Use runtime keras"),
    ],
)
def test_layers_that_cannot_be_converted(tmp_path: Path, layer: Any, format: Any, sentence: str) -> None:
    inputs = keras.Input((None, None, 2))
    keras.Model(inputs, layer(inputs)).save(tmp_path / "network.keras")
    with pytest.raises(BackendUnavailable) as caught:
        convert(tmp_path / "network.keras", tmp_path / f"n{ENDINGS[format]}", format=format)
    assert sentence in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["network.keras"]


@pytest.mark.slow
def test_layers_that_treat_gaps_otherwise_than_keras_are_compared_without(tmp_path: Path) -> None:
    inputs = keras.Input((None, None, 2))
    x = layers.Concatenate()([layers.UpSampling2D(2)(layers.MaxPooling2D(2)(inputs)), inputs])
    keras.Model(inputs, x).save(tmp_path / "network.keras")
    convert(tmp_path / "network.keras", tmp_path / "n.onnx", format="onnx")


def test_code_in_a_network_is_not_executed(tmp_path: Path) -> None:
    inputs = keras.Input((None, None, 2))
    keras.Model(inputs, layers.Lambda(lambda x: x)(inputs)).save(tmp_path / "network.keras")
    with pytest.raises(BundleError, match="network.keras: The network cannot be loaded: .*[Ll]ambda"):
        convert(tmp_path / "network.keras", tmp_path / "n", format="saved_model")
    assert [path.name for path in tmp_path.iterdir()] == ["network.keras"]


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    absent = {"tf2onnx", "openvino"}
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in absent else find(name, *a))
    assert not available("onnx") and not available("openvino") and available("saved_model")
    sentence = "The format onnx cannot be had: .*tf2onnx.* not installed. Install with: pip install 'geodl\\[onnx\\]'"
    with pytest.raises(BackendUnavailable, match=sentence):
        convert(tmp_path / "network.keras", tmp_path / "n.onnx", format="onnx")
    absent |= {"tensorflow"}
    with pytest.raises(BackendUnavailable, match="tensorflow is not installed. Install with: pip install tensorflow"):
        require("saved_model")
    with pytest.raises(OptionError, match="expected onnx, openvino or saved_model. Received: 'tflite'"):
        require("tflite")  # type: ignore[arg-type]


def test_nothing_is_started_for_what_cannot_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(subprocess, "run", no_process)
    with pytest.raises(BundleError, match="No such file"):
        convert(tmp_path / "network.keras", tmp_path / "n", format="saved_model")
    (tmp_path / "network.keras").touch()
    with pytest.raises(OutputExists):
        convert(tmp_path / "network.keras", tmp_path, format="saved_model")
    with pytest.raises(OutputUnwritable, match="Not a directory|exists"):
        convert(tmp_path / "network.keras", tmp_path / "network.keras" / "n", format="saved_model")


@pytest.mark.parametrize(
    ("ended", "error", "sentence"),
    [
        ((-9, ""), BackendUnavailable, "stopped by signal 9, perhaps for lack of memory. Free some"),
        ((1, ""), BackendUnavailable, "the conversion ended early. Use runtime keras"),
        ((1, "noise\nload: No such layer: X\n"), BundleError, "The network cannot be loaded: No such layer: X"),
        ((1, "write: [Errno 28] No space left on device\n"), OutputUnwritable, "No space left on device"),
        (
            (1, "convert: a: b.\n"),
            BackendUnavailable,
            "in the format saved_model cannot be had: a: b. Use runtime keras",
        ),
    ],
)
def test_how_the_process_ended_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ended: tuple[int, str], error: type[Exception], sentence: str
) -> None:
    (tmp_path / "network.keras").touch()
    result = subprocess.CompletedProcess([], ended[0], stdout=ended[1], stderr="")
    monkeypatch.setattr(subprocess, "run", lambda command, **options: result)
    with pytest.raises(error) as caught:
        convert(tmp_path / "network.keras", tmp_path / "n", format="saved_model")
    assert sentence in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["network.keras"]


def test_openvino_reports_nothing_to_its_makers() -> None:
    pytest.importorskip("openvino")
    program = (
        "import sys; from geodl.inference.conversion import import_openvino; import_openvino(); "
        "assert not [name for name in sys.modules if name.startswith('openvino_telemetry.')]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_layers_within_layers_are_found() -> None:
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="deep")])
    outer = keras.Sequential([keras.Input((3,)), inner])
    assert "deep" in {layer.name for layer in conversion._layers(outer)}
