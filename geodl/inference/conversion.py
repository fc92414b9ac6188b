"""Networks for other runtimes: ONNX, OpenVINO and TensorFlow's SavedModel.

This file names a backend because both converters read TensorFlow's graphs. It does so in a process of its own: thus a
network is converted whatever backend Keras has here, and neither TensorFlow nor what the conversion takes of memory
stays. A network trained in mixed precision is converted to float32. Sizes that are open stay open.
"""

from __future__ import annotations

import errno
import importlib.util
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from geodl._quiet import debugging
from geodl.errors import BackendUnavailable, BundleError, OptionError, OutputExists, OutputUnwritable
from geodl.inference.scratch import scratch_folder

if TYPE_CHECKING:
    from geodl.inference.recurrence import Recurrences

__all__ = (
    "INPUT",
    "INPUTS",
    "OPSET",
    "OUTPUT",
    "ConversionKilled",
    "Format",
    "available",
    "convert",
    "import_openvino",
    "require",
)

Format = Literal["onnx", "openvino", "saved_model"]
"""`onnx`: one file `.onnx`; `openvino`: `.xml` with the weights in `.bin` beside it; `saved_model`: a folder."""

INPUT, OUTPUT = "image", "output"
"""Names of a converted network's input and output."""
INPUTS = ("values", "days")
"""Names of the inputs of a network for series, in Keras and converted."""

OPSET = 18
"""Of ONNX: the newest that tf2onnx is tested with."""
_TOLERANCE = 1e-4
"""Greatest difference to Keras, as a share of the greatest output (or of 1)."""
_PACKAGES: dict[Format, tuple[str, ...]] = {
    "onnx": ("onnxruntime", "tf2onnx"),
    "openvino": ("openvino",),
    "saved_model": (),
}

_Inputs = dict[str, np.ndarray]
_Run = Callable[[_Inputs], np.ndarray]
"""Inputs by name to the output."""


class ConversionKilled(BackendUnavailable):
    """A conversion was killed, which says nothing about the network: another time it may succeed."""


def available(format: Format) -> bool:
    """Says whether what converts to a format, and what runs it, is installed. Imports nothing."""
    return not _missing(format)


def require(format: Format) -> None:
    """Checks that a format is known and that what it needs is installed.

    Raises:
        OptionError: there is no such format.
        BackendUnavailable: a package is missing; the sentence says how to get it.
    """
    if format not in get_args(Format):
        raise OptionError("format", expected="onnx, openvino or saved_model", received=format)
    missing = _missing(format)
    if missing:
        extra = "tensorflow" if "tensorflow" in missing else f"'geodl[{format}]'"
        why = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"
        raise BackendUnavailable(f"The format {format}", why, advice=f"Install with: pip install {extra}")


def convert(network_file: Path, target: Path, *, format: Format) -> int:
    """Converts a saved network, and checks on random inputs with gaps that the result gives what Keras gives.

    The result's input is called `image`, those of a network for series `values` and `days`; its output `output`. The batch
    and all sizes that are open in the network stay open. It appears under its name only when it is whole.

    Args:
        network_file: `network.keras` of a bundle. No code from it is executed.
        target: file ending in `.onnx` or `.xml` (replaced if it is there), or a new folder; see `Format`.
        format: what to convert to.

    Returns:
        Bytes that the network takes per input pixel while it works, as `activation_bytes` estimates them.

    Raises:
        BackendUnavailable: the format's package is not installed; a layer cannot be converted, or gives something else;
            `ConversionKilled` where the memory did not suffice.
        BundleError: the network cannot be loaded.
        OutputExists: the folder is there already.
        OutputUnwritable: no permission, disk full.

    Example:

    >>> convert(Path("runs/a/network.keras"), Path("a.onnx"), format="onnx")
    """
    require(format)
    if not network_file.is_file():
        raise BundleError(network_file, "No such file")
    if target.is_dir():
        raise OutputExists(target, "a folder")
    try:
        with scratch_folder(target) as folder:
            made = folder / target.name
            activations = _run(network_file, made, format)
            if format == "openvino":
                os.replace(made.with_suffix(".bin"), target.with_suffix(".bin"))
            os.replace(made, target)
    except OSError as error:
        raise OutputUnwritable(target, error.strerror or error) from error
    return activations


def import_openvino() -> Any:
    """Imports OpenVINO without its telemetry, which reports imports and conversions to Intel unless told not to."""
    # It makes do with a stub where this module is not to be had.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _missing(format: Format) -> list[str]:
    return [name for name in ("tensorflow", *_PACKAGES[format]) if importlib.util.find_spec(name) is None]


def _run(network_file: Path, made: Path, format: Format) -> int:
    """Runs this file as a program, and turns how it ended into its result or an error."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",  # A GPU's memory may all be taken by the process that asks.
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    command = [sys.executable, "-P", "-m", __name__, format, str(network_file.absolute()), str(made.absolute())]
    ended = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )
    if debugging():
        sys.stderr.write(ended.stderr)
    lines = ended.stdout.strip().splitlines() or ["unknown: the conversion ended early"]
    if ended.returncode == 0:
        return int(lines[-1])
    advice = "Use runtime keras for this network, or layers that the format knows."
    if ended.returncode < 0:
        why = f"the conversion was stopped by signal {-ended.returncode}, perhaps for lack of memory"
        raise ConversionKilled(f"{network_file} in the format {format}", why, advice="Free some memory and try again.")
    step, _, why = lines[-1].partition(": ")
    if step == "load":
        raise BundleError(network_file, f"The network cannot be loaded: {why}")
    if step == "write":
        raise OSError(errno.EIO, why)
    raise BackendUnavailable(f"{network_file} in the format {format}", why.rstrip("."), advice=advice)


def _main(format: str, network_file: str, made: str) -> None:
    """The program: its last line on stdout is the result, or what went wrong, after the name of the step."""
    step = "load"

    def report(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        sys.__excepthook__(kind, error, trace)
        sentence = next(iter(str(error).strip().splitlines()), kind.__name__)
        unwritable = step == "convert" and isinstance(error, OSError)
        print(f"{'write' if unwritable else step}: {sentence}", flush=True)

    sys.excepthook = report
    import keras
    import tensorflow as tf

    import geodl.models.registered  # noqa: F401  the layers that the network may hold
    from geodl.inference.recurrence import Recurrences
    from geodl.inference.runtime import activation_bytes

    network = keras.saving.load_model(network_file, compile=False, safe_mode=True)
    step = "convert"
    names = [INPUT] if len(network.inputs) == 1 else [given.name for given in network.inputs]
    if len(network.outputs) != 1 or sorted(names) not in ([INPUT], sorted(INPUTS)):
        counts = f"{len(names)} inputs and {len(network.outputs)} outputs"
        raise ValueError(f"it has {counts}; one of each was expected, or the inputs {' and '.join(INPUTS)}")
    for layer in _layers(network):
        if layer.dtype_policy.name in ("mixed_float16", "mixed_bfloat16"):
            layer.dtype_policy = "float32"

    def forward(image: Any) -> dict[str, Any]:
        return {OUTPUT: network(image, training=False)}

    def classify(values: Any, days: Any) -> dict[str, Any]:
        return {OUTPUT: network({"values": values, "days": days}, training=False)}

    series = len(names) > 1
    given = dict(zip(names, network.inputs, strict=True))
    trace = partial(
        tf.function,
        classify if series else forward,
        input_signature=[
            tf.TensorSpec([None, *given[name].shape[1:]], given[name].dtype, name=name)
            for name in (INPUTS if series else names)
        ],
        autograph=False,
    )
    examples = list((_sample_series if series else _sample)(network, _named(trace())))
    recurrences = Recurrences()
    for layer in _layers(network):
        if isinstance(layer, keras.layers.UpSampling2D) and layer.interpolation == "nearest":
            _repeat_at_once(layer)
        elif format != "saved_model":
            recurrences.take(layer)
    converted = _CONVERTERS[format](network, trace(), recurrences, made)
    for inputs, expected in examples:
        difference, greatest = np.abs(converted(inputs) - expected).max(), np.abs(expected).max(initial=1)
        if not difference <= _TOLERANCE * greatest:
            raise ValueError(f"its output differs from Keras' by up to {difference:.3g} (of {greatest:.3g})")
    print(activation_bytes(network), flush=True)


def _named(graph: Any) -> _Run:
    """A TensorFlow function of tensors as one of arrays by name."""
    import tensorflow as tf

    return lambda inputs: graph(**{name: tf.constant(value) for name, value in inputs.items()})[OUTPUT].numpy()


def _repeat_at_once(layer: Any) -> None:
    """Has an `UpSampling2D` repeat rows and columns in one operation, for which the other runtimes have fast code.

    A U-Net of width 16 is 6 % faster for it on OpenVINO and on ONNX Runtime.
    """
    import tensorflow as tf

    if layer.data_format == "channels_last":
        layer.call = lambda inputs: tf.raw_ops.ResizeNearestNeighbor(
            images=inputs, size=tf.shape(inputs)[1:3] * tf.constant(layer.size)
        )


def _layers(network: Any) -> Iterator[Any]:
    for layer in network.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _layers(layer)


def _sample(network: Any, run: _Run) -> Iterator[tuple[_Inputs, np.ndarray]]:
    """Random inputs as the network saw them in training, with gaps, and what Keras gives; of odd sizes if it can."""
    import tensorflow as tf

    from geodl.models.rain import RainFeatures

    shape, dtype = network.inputs[0].shape, network.inputs[0].dtype
    mean, std = _statistics(network)
    rng = np.random.default_rng(0)
    of_rain = any(isinstance(layer, RainFeatures) for layer in network.layers)
    draw = partial(rng.gamma, 0.3, 5.0) if of_rain else partial(rng.normal, mean, std)
    for open_sizes in ((45, 37), (256, 512)):
        free = itertools.cycle(open_sizes)
        inputs = np.asarray(draw([2, *(size or next(free) for size in shape[1:])]), dtype)
        try:
            expected = run({INPUT: inputs})
            break
        except (ValueError, tf.errors.InvalidArgumentError) as error:
            refused = error
    else:
        raise refused
    if np.issubdtype(inputs.dtype, np.floating):
        gaps = np.where(rng.random(inputs.shape) < 0.02, np.array(np.nan, dtype), inputs)
        filled = run({INPUT: gaps})
        if np.isfinite(filled).all():  # else the network knows nothing of gaps, and what comes of them is no matter
            inputs, expected = gaps, filled
    yield {INPUT: inputs}, expected


def _sample_series(network: Any, run: _Run) -> Iterator[tuple[_Inputs, np.ndarray]]:
    """Random series on irregular days, with gaps, and what Keras gives; of two lengths if the network knows any length."""
    shapes = {given.name: given.shape for given in network.inputs}
    mean, std = _statistics(network)
    rng = np.random.default_rng(0)
    length = shapes["values"][1]
    for count, dates in ((7, length or 29), (3, length or 12)):
        values = rng.normal(mean, std, (count, dates, shapes["values"][2]))
        values[rng.random(values.shape) < 0.05] = np.nan
        values[1:][rng.random((count - 1, dates)) < 0.4] = np.nan
        # Nothing at all was observed of the last one, only the last date of another.
        values[-1], values[1, :-1] = np.nan, np.nan
        days = rng.integers(-30, 200, (count, 1)) + np.cumsum(rng.integers(1, 30, (count, dates)), axis=1)
        inputs = {"values": values.astype(np.float32), "days": days.astype(np.float32)}
        yield inputs, run(inputs)


def _statistics(network: Any) -> tuple[Any, Any]:
    """Mean and standard deviation of what the network was trained with, as far as it knows."""
    from geodl.models.scaling import Normalisation

    seen = next((layer for layer in _layers(network) if isinstance(layer, Normalisation)), None)
    return (0.0, 1.0) if seen is None else (seen.mean, seen.std)


def _to_onnx(network: Any, graph: Any, recurrences: Recurrences, made: str) -> _Run:
    import onnx
    import onnxruntime
    import tf2onnx

    def where(context: Any, node: Any, name: str, arguments: list[str]) -> None:
        node.type = "Where"

    def log1p(context: Any, node: Any, name: str, arguments: list[str]) -> None:
        one = context.make_const(tf2onnx.utils.make_name(name), np.ones(1, np.float32)).output[0]
        context.insert_new_node_on_input(node, "Add", [node.input[0], one])
        node.type = "Log"

    # tf2onnx would multiply what is not selected by 0, and not-a-number stays what it is.
    made_of, _ = tf2onnx.convert.from_function(
        graph,
        input_signature=graph.input_signature,
        opset=OPSET,
        custom_op_handlers={"SelectV2": (where, []), "Log1p": (log1p, []), **recurrences.onnx_handlers},
        output_path=made,
    )
    unknown = {node.op_type for node in made_of.graph.node if not onnx.defs.has(node.op_type, node.domain)}
    if unknown:
        raise ValueError(f"ONNX has no operation {', '.join(sorted(unknown))}")
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run([OUTPUT], inputs)[0]


def _to_openvino(network: Any, graph: Any, recurrences: Recurrences, made: str) -> _Run:
    openvino = import_openvino()
    try:
        whole = openvino.convert_model(graph.get_concrete_function(), extension=recurrences.openvino_extensions)
    except openvino.frontend.OpConversionFailure as error:
        lines = str(error).strip().splitlines()
        why = next((line for line in lines if line.startswith("-- ")), lines[-1])
        raise ValueError(why.strip("- ")) from error
    # The converter also gives out constants that only shapes were computed from.
    model = openvino.Model([whole.output(OUTPUT)], whole.get_parameters(), network.name)
    openvino.save_model(model, made, compress_to_fp16=False)
    compiled = openvino.Core().compile_model(made, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda inputs: compiled(inputs)[0]


def _to_saved_model(network: Any, graph: Any, recurrences: Recurrences, made: str) -> _Run:
    import tensorflow as tf

    # Keras' own export stores all weights twice.
    module = tf.Module()
    module.weights = [variable.value for variable in network.variables]
    module.serve = graph
    tf.saved_model.save(module, made, signatures=graph)
    loaded = tf.saved_model.load(made)
    return _named(loaded.serve)


_CONVERTERS: dict[str, Callable[[Any, Any, Recurrences, str], _Run]] = {
    "onnx": _to_onnx,
    "openvino": _to_openvino,
    "saved_model": _to_saved_model,
}

if __name__ == "__main__":
    _main(*sys.argv[1:])
