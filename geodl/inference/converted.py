"""Which runtime a trained network is run with: Keras, or what it was converted to, once, into the user's cache.

A converted network starts in a fraction of a second, because neither Keras nor its backend is loaded.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from geodl.activity import stage
from geodl.bundle import NETWORK, replace_text
from geodl.errors import BackendUnavailable, BundleError, GeodlError, OptionError, OutputUnwritable
from geodl.folders import cache_folder
from geodl.inference.conversion import (
    INPUT,
    OUTPUT,
    ConversionKilled,
    Format,
    available,
    convert,
    import_openvino,
    require,
)

__all__ = ("Call", "Converted", "Runtime", "choose", "open_converted")

Runtime = Literal["auto", "keras", "onnx", "openvino"]
"""What runs a network; `auto`: the fastest that is installed for the device."""

Call = Callable[[Any], np.ndarray]
"""Inputs (batch, …), or a dict of them by name, to raw outputs (batch, …), all numpy."""

_FASTEST: tuple[Literal["openvino", "onnx"], ...] = ("openvino", "onnx")
_FILES: dict[str, str] = {"openvino": "network.xml", "onnx": "network.onnx"}
_FACTS = "facts.json"
_LAYOUT = 2
"""Of the cache; another number makes other names."""
_THREADS = "GEODL_THREADS"
"""Environment variable: cores that a converted network may take; default: all."""
_STATIC = 512 * 512
"""Pixels from which OpenVINO is given a network for one shape."""
_STATIC_DATES = 128 * 128
"""The same for series: dates of all of them together."""
_KEPT = 2
"""Networks that are kept, for one shape each or for all: all tiles of a scene have one."""

_log = logging.getLogger("geodl")


@dataclass(frozen=True)
class Converted:
    """A network that runs without Keras."""

    call: Call
    runtime: Runtime
    activations: int
    """Bytes that it takes per input pixel while it works."""


def choose(asked: Runtime | None = None) -> tuple[Runtime, ...]:
    """Returns the runtimes to try, best first.

    With `auto` processors run OpenVINO, else ONNX Runtime, else Keras; accelerators Keras. Measured on two cores of an
    AMD EPYC (AVX-512) in float32, U-Net of width 16 and depth 4 on tiles of 1024 x 1024, million pixels per second:
    OpenVINO 2026.4 2.10 (1.99 for a network of open size), ONNX Runtime 1.31 1.96, TensorFlow 2.21 1.92, with XLA 1.62.
    All of them take all cores by themselves. Other numbers of threads were not tried.

    For networks of series (46 dates, 10 bands) the order is the same. Times of torch's as shares of theirs on two cores in
    use, medians of seven rounds: LSTM of 2 × 128 units both ways OpenVINO 4.2, ONNX Runtime 3.3, TensorFlow 4.1, TempCNN
    2.0, 1.6, 2.0; in processor time of one thread LSTM 1.2, 1.4, 1.1, TempCNN 1.2, 0.9, 1.4.

    Args:
        asked: what the user wants; None: what the environment variable `GEODL_RUNTIME` says, else `auto`.

    Raises:
        OptionError: there is no such runtime.
        BackendUnavailable: it is not installed.
    """
    wanted = asked or os.environ.get("GEODL_RUNTIME") or "auto"
    if wanted not in get_args(Runtime):
        expected = f"one of {', '.join(get_args(Runtime))}"
        raise OptionError("runtime" if asked else "GEODL_RUNTIME", expected=expected, received=wanted)
    if wanted == "auto":
        found: list[Runtime] = [] if _accelerated() else [name for name in _FASTEST if available(name)]
        return (*found, "keras")
    if wanted != "keras":
        require(wanted)  # type: ignore[arg-type]
    return (wanted,)  # type: ignore[return-value]


def open_converted(bundle: Path, runtimes: tuple[Runtime, ...]) -> Converted | None:
    """Opens a bundle's network with the first of some runtimes that can run it, converting it first if need be.

    Args:
        bundle: folder of the bundle.
        runtimes: as `choose` gives them. Where there is another one to fall back on, a conversion that fails is told in
            a warning, and not tried again.

    Returns:
        The network, or None where Keras is to run it.

    Raises:
        BackendUnavailable: the only runtime asked for cannot run this network.
        BundleError: the network cannot be loaded, and there is nothing to fall back on.
        OutputUnwritable: the cache cannot be written, and there is nothing to fall back on.
    """
    for k, runtime in enumerate(runtimes):
        if runtime == "keras":
            return None
        last = k == len(runtimes) - 1
        try:
            return _open(bundle / NETWORK, runtime, again=last)  # type: ignore[arg-type]
        except (BackendUnavailable, BundleError, OutputUnwritable) as error:
            # Keras may know a layer here that the process that converts does not.
            if last:
                raise
            _log.log(
                logging.INFO if isinstance(error, _Remembered) else logging.WARNING,
                "%s Another runtime is taken.",
                error,
            )
    return None


def _open(network: Path, runtime: Literal["openvino", "onnx"], *, again: bool) -> Converted:
    """Opens a network from the cache, converted unless that was done, or what is there cannot be opened.

    One that could not be converted is remembered, and tried `again` only if that was asked for.
    """
    _threads()  # What is wrong there is not the network's fault.
    digest = hashlib.sha256(network.read_bytes()).hexdigest()[:32]
    package = {"openvino": "openvino", "onnx": "onnxruntime"}[runtime]
    folder = cache_folder() / "runtimes" / f"{digest}-{package}-{_version(package)}-{_LAYOUT}"
    for anew in (False, True):
        # Without the lock first: what is there can be used where nothing may be written.
        known = None if anew else _read_facts(folder / _FACTS)
        if known is None or ("failed" in known and again):
            known = _convert(network, folder, runtime, again=again, anew=anew)
        if "failed" in known:
            raise _Remembered(known["failed"])
        try:
            return Converted(_OPEN[runtime](folder / _FILES[runtime]), runtime, int(known["activations"]))
        except Exception as error:  # noqa: BLE001 - each runtime has exceptions of its own
            damage = error
            _log.info("What the cache holds for %s cannot be opened: %s", runtime, error)
    why = next(iter(str(damage).strip().splitlines()), type(damage).__name__)
    advice = "Use runtime keras, or install the package again."
    raise BackendUnavailable(f"{network} with {runtime}", why.rstrip("."), advice=advice) from damage


def _convert(network: Path, folder: Path, format: Format, *, again: bool, anew: bool) -> dict[str, Any]:
    """Converts a network into its folder unless another process did meanwhile, or `anew`; gives the facts about it."""
    from filelock import FileLock

    facts = folder / _FACTS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            known = None if anew else _read_facts(facts)
            if known is None or ("failed" in known and again):
                _log.info("Converting the network for %s, once.", format)
                try:
                    with stage(f"Converting the network for {format}, once"):
                        known = {"activations": convert(network, folder / _FILES[format], format=format)}
                except ConversionKilled:
                    raise
                except BackendUnavailable as error:
                    replace_text(facts, json.dumps({"failed": str(error)}))
                    raise
                replace_text(facts, json.dumps(known))
    except OSError as error:
        raise OutputUnwritable(folder, error.strerror or error) from error
    return known


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # A build that goes by another name, such as onnxruntime-gpu.
        return str((import_openvino() if package == "openvino" else import_module(package)).__version__)


class _Remembered(BackendUnavailable):
    """What an earlier conversion failed with."""

    def __init__(self, sentence: str) -> None:
        GeodlError.__init__(self, sentence)


def _read_facts(path: Path) -> dict[str, Any] | None:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) and facts.keys() & {"activations", "failed"} else None


def _open_onnx(path: Path) -> Call:
    import onnxruntime

    # Its arena keeps what the largest tile took; without it, mapping 4096 x 4096 pixels took 14.1 s instead of 11.8.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads() or 0
    session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    dtypes = {"tensor(double)": np.float64}
    return _serial(
        lambda inputs: session.run([OUTPUT], inputs)[0],
        {given.name: dtypes.get(given.type, np.float32) for given in session.get_inputs()},
    )


def _open_openvino(path: Path) -> Call:
    openvino = import_openvino()
    core = openvino.Core()
    model = core.read_model(os.fspath(path))
    # Threads that are bound to a core would wait there for the one that reads or writes.
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,
    }
    threads = _threads()
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    requests: OrderedDict[tuple[tuple[int, ...], ...] | None, Any] = OrderedDict()
    dtypes = {
        given.any_name: np.float64 if given.get_element_type() == openvino.Type.f64 else np.float32
        for given in model.inputs
    }
    least = _STATIC if len(dtypes) == 1 else _STATIC_DATES

    def request(shapes: tuple[tuple[int, ...], ...] | None) -> Any:
        """A network for inputs of these shapes, which is faster and takes less memory, or (None) for all."""
        if shapes not in requests:
            while len(requests) >= _KEPT:
                requests.popitem(last=False)
            sized = model.clone()
            if shapes is not None:
                sized.reshape(dict(zip(dtypes, map(list, shapes), strict=True)))
            requests[shapes] = core.compile_model(sized, "CPU", settings).create_infer_request()
        requests.move_to_end(shapes)
        return requests[shapes]

    def run(inputs: dict[str, np.ndarray]) -> np.ndarray:
        shapes = tuple(array.shape for array in inputs.values())
        large = max(int(np.prod(shape[:-1])) for shape in shapes) >= least
        fitting = request(shapes if large else None)
        # What it gives is overwritten by the next call.
        return np.array(fitting.infer(inputs, share_inputs=True, share_outputs=True)[OUTPUT])

    return _serial(run, dtypes)


def _serial(run: Callable[[dict[str, np.ndarray]], np.ndarray], dtypes: dict[str, Any]) -> Call:
    """One call at a time: it takes all cores anyway, and its memory is planned for once."""
    lock = threading.Lock()

    def call(inputs: Any) -> np.ndarray:
        given = inputs if isinstance(inputs, dict) else {INPUT: inputs}
        with lock:
            return run({name: np.ascontiguousarray(given[name], dtype) for name, dtype in dtypes.items()})

    return call


def _threads() -> int | None:
    asked = os.environ.get(_THREADS, "")
    if asked and not (asked.isdecimal() and int(asked) > 0):
        raise OptionError(_THREADS, expected="a number of cores, 1 or more", received=asked)
    return int(asked) if asked else None


def _accelerated() -> bool:
    """Whether there is an accelerator that is not hidden; without loading a backend to ask."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    nvidia = Path("/dev/nvidiactl").exists() and visible not in ("", "-1")
    return nvidia or Path("/dev/kfd").exists()


_OPEN: dict[str, Callable[[Path], Call]] = {"openvino": _open_openvino, "onnx": _open_onnx}
