"""What a trained network is opened as: a `Predictor` of maps, a `Forecaster`, an `Emulator` or a `SeriesClassifier`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from geodl.contract import Contract
from geodl.inference.converted import Runtime

if TYPE_CHECKING:
    import keras

    from geodl.inference.emulator import Emulator
    from geodl.inference.forecaster import Forecaster
    from geodl.inference.predictor import Predictor
    from geodl.inference.series import SeriesClassifier

__all__ = ("open_predictor",)


def open_predictor(
    network: keras.Model | None,
    contract: Contract,
    path: str | os.PathLike[str] | None = None,
    *,
    runtime: Runtime | None = None,
) -> Predictor | Forecaster | Emulator | SeriesClassifier:
    """Opens a network as what its contract says it gives.

    Args:
        network: a Keras model; None: that of the bundle.
        contract: what it eats and gives.
        path: folder of its bundle, if it has one.
        runtime: what runs a bundle's network, see `geodl.load`.

    Returns:
        A `Forecaster` where the output is of kind `sequence`, an `Emulator` where it is of kind `trajectory`, a
        `SeriesClassifier` where it is of kind `series_label`, else a `Predictor`.

    Raises:
        OptionError: there is no such runtime, or neither a network nor a path.
        BackendUnavailable: the runtime is not installed.
    """
    if contract.output.kind == "sequence":
        from geodl.inference.forecaster import Forecaster

        return Forecaster(network, contract, path, runtime=runtime)
    if contract.output.kind == "trajectory":
        from geodl.inference.emulator import Emulator

        return Emulator(network, contract, path, runtime=runtime)
    if contract.output.kind == "series_label":
        from geodl.inference.series import SeriesClassifier

        return SeriesClassifier(network, contract, path, runtime=runtime)
    from geodl.inference.predictor import Predictor

    return Predictor(network, contract, path, runtime=runtime)
