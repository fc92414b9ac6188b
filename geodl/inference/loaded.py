"""Loaded: a network with its contract and what runs it, whatever it is used for."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from geodl.bundle import NETWORK, load_network
from geodl.contract import Contract
from geodl.errors import OptionError
from geodl.inference.conversion import Format
from geodl.inference.converted import Call, Converted, Runtime, choose, open_converted
from geodl.inference.portable import PortableCall

if TYPE_CHECKING:
    import keras

__all__ = ("Loaded",)


class Loaded:
    """A network with its contract; loaded, and converted, when it is first needed.

    Args:
        network: any Keras model that eats and gives what the contract says; None: that of the bundle, loaded when it is
            needed.
        contract: what it eats and gives.
        path: folder of its bundle, if it has one.
        runtime: what runs a bundle's network, see `geodl.load`. A `network` given here is run by Keras.

    Raises:
        OptionError: there is no such runtime, or neither a network nor a path.
        BackendUnavailable: the runtime is not installed.
    """

    def __init__(
        self,
        network: keras.Model | None,
        contract: Contract,
        path: str | os.PathLike[str] | None = None,
        *,
        runtime: Runtime | None = None,
    ) -> None:
        if network is None and path is None:
            raise OptionError("network", expected="a Keras model, or the path of a bundle", received=None)
        self.contract = contract
        self.path = None if path is None else Path(path)
        self._runtimes: tuple[Runtime, ...] = ("keras",) if network is not None else choose(runtime)
        if network is not None:
            self.network = network

    @cached_property
    def network(self) -> keras.Model:
        """The Keras model."""
        assert self.path is not None
        return load_network(self.path / NETWORK)

    @property
    def call(self) -> Call:
        """The network as a function of arrays: physical units and not-a-number in, raw outputs out."""
        return self._running.call

    @property
    def runtime(self) -> Runtime:
        """What runs the network."""
        return self._running.runtime

    def _run(self) -> Converted:
        """What runs the network, loaded or converted when it is first asked for."""
        return self._running

    @cached_property
    def _running(self) -> Converted:
        found = None if self.path is None else open_converted(self.path, self._runtimes)
        if found is None:
            network = self.network
            from geodl.inference.runtime import activation_bytes, compile_network

            found = Converted(compile_network(network), "keras", activation_bytes(network))
        # A graph of Dask's, or a task for a cluster, takes it to other processes.
        return replace(found, call=PortableCall(found.call, self._content, found.runtime))

    def _content(self) -> bytes:
        """The bytes of the network's file; of one in memory those that it would be saved as."""
        if self.path is not None and (self.path / NETWORK).is_file():
            return (self.path / NETWORK).read_bytes()
        with TemporaryDirectory(prefix="geodl-") as folder:
            file = Path(folder) / NETWORK
            self.network.save(file)
            return file.read_bytes()

    def export(self, target: str | os.PathLike[str] | None = None, *, format: Format, overwrite: bool = False) -> Path:
        """Writes the network for use without geodl; see `geodl.inference.export.export`.

        Args:
            target: folder to write; default: beside the bundle.
            format: `"onnx"`, `"openvino"` or `"saved_model"`.
            overwrite: replace an older export there.

        Returns:
            The folder.

        Raises:
            OptionError: the network has not been saved: there is no bundle to export.
            GeodlError: as `export` raises.
        """
        from geodl.inference.export import export

        if self.path is None:
            raise OptionError("export", expected="a predictor of a bundle", received="one of a network in memory")
        return export(self.path, target, format=format, overwrite=overwrite)
