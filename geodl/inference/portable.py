"""A network's function that can be sent to other processes, each of which loads the network once."""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import numpy as np

from geodl.bundle import NETWORK, load_network
from geodl.inference.converted import Call, Runtime, open_converted

__all__ = ("PortableCall",)

_KEPT = 2
"""Networks that came from elsewhere and stay loaded."""


class PortableCall:
    """A network as a function of arrays, which is sent to other processes as the bytes of its file.

    Elsewhere the network is loaded when it is first called, once in each process; no code from the file is executed. Where
    it comes back to the process that it is from, it is the same function again.

    Args:
        call: the network as it runs in this process.
        content: gives the bytes of its file, `network.keras`. Called whenever it is sent.
        runtime: what runs it here, and there.

    Example:

    >>> call = PortableCall(call, (run / "network.keras").read_bytes, "openvino")
    >>> cloudpickle.loads(cloudpickle.dumps(call)) is call
    True
    """

    def __init__(self, call: Call, content: Callable[[], bytes], runtime: Runtime) -> None:
        self._call, self._content, self._runtime = call, content, runtime
        self._name = uuid4().hex
        _HERE[self._name] = self

    def __call__(self, inputs: Any) -> np.ndarray:
        """Runs the network."""
        return self._call(inputs)

    @property
    def identity(self) -> str:
        """What tells networks apart: a hash of its file, and what runs it."""
        return f"{self._runtime} {_digest(self._content())}"

    def __reduce__(self) -> tuple[Callable[..., PortableCall], tuple[str, bytes, Runtime]]:
        return _arrive, (self._name, self._content(), self._runtime)


_HERE: weakref.WeakValueDictionary[str, PortableCall] = weakref.WeakValueDictionary()
"""Those that this process knows, by name."""
_LOADED: OrderedDict[tuple[str, Runtime], Call] = OrderedDict()
"""Networks that came from elsewhere, the least recently loaded first."""
_LOCK = threading.Lock()


def _arrive(name: str, content: bytes, runtime: Runtime) -> PortableCall:
    known = _HERE.get(name)
    if known is not None:
        return known
    digest = _digest(content)
    arrived = PortableCall(lambda inputs: _load(digest, content, runtime)(inputs), lambda: content, runtime)
    arrived._name = name
    _HERE[name] = arrived
    return arrived


def _load(digest: str, content: bytes, runtime: Runtime) -> Call:
    key = digest, runtime
    with _LOCK:
        if key not in _LOADED:
            while len(_LOADED) >= _KEPT:
                _LOADED.popitem(last=False)
            _LOADED[key] = _opened(content, runtime)
        return _LOADED[key]


def _opened(content: bytes, runtime: Runtime) -> Call:
    from geodl._quiet import settle

    settle()
    with TemporaryDirectory(prefix="geodl-") as folder:
        (Path(folder) / NETWORK).write_bytes(content)
        found = open_converted(Path(folder), (runtime,))
        if found is not None:
            return found.call
        network = load_network(Path(folder) / NETWORK)
    from geodl.inference.runtime import compile_network

    return compile_network(network)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
