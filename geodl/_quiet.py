"""Keeps the chatter of Keras' backends and of GDAL off the terminal; `GEODL_DEBUG=1` lets all of it through."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from geodl.activity import stage

__all__ = ("debugging", "load_backend", "settle")

_LOGGERS = ("tensorflow", "absl", "jax", "h5py", "pyogrio", "matplotlib")


def debugging() -> bool:
    """Says whether the user asked for tracebacks and all messages."""
    return os.environ.get("GEODL_DEBUG", "0") not in ("", "0")


def settle() -> None:
    """Lets other packages' messages through from errors on only, unless the environment says otherwise. Cheap."""
    if debugging():
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # GDAL reports through exceptions; what it would print besides goes nowhere.
    os.environ.setdefault("CPL_LOG", os.devnull)
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    if "tensorflow" not in sys.modules and not any(isinstance(finder, _QuietStart) for finder in sys.meta_path):
        sys.meta_path.insert(0, _QuietStart())


def load_backend() -> None:
    """Imports Keras with its backend, which takes seconds the first time."""
    settle()
    with stage("Loading Keras and its backend"):
        import keras  # noqa: F401


class _QuietStart:
    """Finder through which TensorFlow is imported without what its libraries print before they look at any setting.

    Not only by Keras on its own backend: with others too Keras imports it, if it is there, when a network is saved.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Returns TensorFlow's own spec with a loader that puts stderr aside; None for all else."""
        if name != "tensorflow":
            return None
        from importlib.util import find_spec

        sys.meta_path.remove(self)  # type: ignore[arg-type]
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_quietly(module: ModuleType) -> None:
                # TensorFlow brings an SQLite without R-trees, which takes the place of that of all that is loaded later:
                # GeoPackages would be written without a spatial index.
                with contextlib.suppress(ImportError):
                    import pyogrio._io  # noqa: F401
                with _stderr_put_aside():
                    execute(module)

            spec.loader.exec_module = execute_quietly  # type: ignore[method-assign]
        return spec


@contextlib.contextmanager
def _stderr_put_aside() -> Iterator[None]:
    """Diverts file descriptor 2; if the block raises, what was written meanwhile is shown."""
    import tempfile

    try:
        saved = os.dup(2)
    except OSError:  # no stderr, as under pythonw
        yield
        return
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(saved, aside.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
