"""geodl: Keras models for satellites, radars and climate data.

`train`, `evaluate` and `check` belong to the pipelines, `load` gives a `Predictor`, a `Forecaster` or an
`Emulator`, `models` holds Keras networks.
All of them are loaded when first used: importing geodl costs next to nothing.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geodl._quiet import settle

if TYPE_CHECKING:
    from geodl import data, losses, metrics, models
    from geodl.inference.converted import Runtime
    from geodl.inference.emulator import Emulator
    from geodl.inference.forecaster import Forecaster
    from geodl.inference.predictor import Predictor
    from geodl.inference.series import SeriesClassifier
    from geodl.pipelines import check, evaluate, train

    __version__: str

__all__ = ("__version__", "check", "data", "evaluate", "load", "losses", "metrics", "models", "train")

_WALK = ("train", "evaluate", "check")
_ROOMS = ("models", "losses", "metrics", "data")


# What imports Keras by way of a room, in a notebook, is as quiet as a command is.
settle()


def load(path: str | Path, *, runtime: Runtime | None = None) -> Predictor | Forecaster | Emulator | SeriesClassifier:
    """Loads a trained network.

    Args:
        path: folder that `geodl.train` wrote, or its address (`s3://`, `gs://` or `https://`), from which it is copied
            into the user's cache. No code from it is executed.
        runtime: what runs the network: `"keras"`, `"openvino"`, `"onnx"`, or `"auto"`, the fastest that is installed
            for the device. A network is converted once, into the user's cache. Default: what the environment variable
            `GEODL_RUNTIME` says, else `"auto"`.

    Returns:
        A `Predictor`, which maps arrays (`predict`) and files (`predict_file`); of a network for nowcasting a
        `Forecaster`, which does the same with radar sequences; of one for dynamics an `Emulator`, which does it with
        states; of one for crops a `SeriesClassifier`, which does it with cubes of dates and tables of series.

    Raises:
        BundleError: the folder is no bundle, or a file of it is damaged.
        ContractError: it was written by a newer geodl.
        BackendUnavailable: the runtime, or the package for the address, is not installed.
        SourceUnreadable: there is no access to the address, or the service does not answer.

    Example:

    >>> model = geodl.load("runs/a")
    >>> model.predict_file("scene.tif", "map.tif")
    """
    from geodl.bundle import read_bundle
    from geodl.inference.opening import open_predictor

    bundle = read_bundle(path)
    return open_predictor(None, bundle.contract, bundle.path, runtime=runtime)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("geodl")
    if name in _WALK or name in _ROOMS:
        from geodl._quiet import load_backend

        load_backend()
        if name in _ROOMS:
            return importlib.import_module(f"geodl.{name}")
        return getattr(importlib.import_module("geodl.pipelines"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
