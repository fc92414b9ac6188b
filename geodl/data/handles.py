"""Open raster files: one handle per thread and file, a bounded number of them, and GDAL kept quiet."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TypeVar

import rasterio
from rasterio.env import hasenv
from rasterio.errors import NotGeoreferencedWarning
from rasterio.session import DummySession

from geodl.data.files import is_local
from geodl.data.remote import FAILURES, Opener, configured, is_remote, open_remote, persist
from geodl.errors import SourceUnreadable

__all__ = ("Handle", "reading", "without_warnings")

# GDAL's default block cache is 5 % of the machine's memory: out of proportion to the bound on a whole prediction.
os.environ.setdefault("GDAL_CACHEMAX", "64")
# What GDAL complains of comes back as an exception; without a handler Python would print it to stderr as well.
logging.getLogger("rasterio").addHandler(logging.NullHandler())

_GDAL = {
    # Looks for each sidecar (.aux.xml, .msk, .ovr) by its name, and so finds them, without listing big folders.
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
}
_MOST_OPEN = 48
"""Per thread. Data sets have thousands of files; the usual limit of a process is 1,024 (256 on macOS)."""

_Result = TypeVar("_Result")


class _Pool(threading.local):
    """The handles of one thread, the least recently used first."""

    def __init__(self) -> None:
        self.opened: OrderedDict[int, rasterio.DatasetReader] = OrderedDict()
        with _LOCK:
            # A dead thread's handles are closed with its OrderedDict; only living ones are found here.
            _EVERY.append(weakref.ref(self.opened, _EVERY.remove))


_LOCK = threading.RLock()
_EVERY: list[weakref.ref[OrderedDict[int, rasterio.DatasetReader]]] = []
_POOL = _Pool()
_NUMBERS = itertools.count()


def _forget(number: int) -> None:
    # Never closed outright: a thread that is reading keeps its own reference, and the last one gone closes the file.
    for reference in list(_EVERY):
        opened = reference()
        if opened is not None:
            opened.pop(number, None)


class Handle:
    """A file that each thread opens for itself when it first reads it. Closed with the object, or by `close`.

    Args:
        path: a path, a URL or one of GDAL's names.
        opener: opens the data set; default: `rasterio.open`. Called with `path`, once per thread (again after `close`),
            with GDAL's settings in force; what it raises of rasterio's errors becomes `SourceUnreadable`. A
            `rasterio.vrt.WarpedVRT` keeps the data set below it open as long as it lives, and lets it go with itself.
    """

    def __init__(self, path: str, opener: Opener | None = None) -> None:
        self.path = path
        self._opener = opener or rasterio.open
        self._remote = is_remote(path)
        self._number = next(_NUMBERS)
        weakref.finalize(self, _forget, self._number)

    def __reduce__(self) -> tuple[type[Handle], tuple[str, Opener]]:
        # Another process counts its own, and perhaps stands in another folder.
        return Handle, (os.path.abspath(self.path) if is_local(self.path) else self.path, self._opener)

    def close(self) -> None:
        """Closes the file in all threads, as soon as each is done reading; `dataset` opens it again."""
        _forget(self._number)

    def dataset(self) -> rasterio.DatasetReader:
        """Returns this thread's open data set. Use it at once and don't keep it; to read from it, see `use`.

        Raises:
            SourceUnreadable: the file is missing, empty, cut short, or no raster.
        """
        return persist(self.path, self._opened) if self._remote else self._opened()

    def use(self, function: Callable[[rasterio.DatasetReader], _Result]) -> _Result:
        """Calls `function` with this thread's open data set; GDAL's errors become `SourceUnreadable`.

        A remote file is read with the settings of `geodl.data.remote`. Where that fails it is opened again, and
        `function` called again, a few times: so it should do nothing but read.

        Args:
            function: takes the data set; must not keep it.

        Returns:
            What `function` returns.

        Raises:
            SourceUnreadable: see `dataset`; or the file is damaged, or the connection fails.

        Example:

        >>> values = Handle("scene.tif").use(lambda dataset: dataset.read())
        """
        if self._remote:
            return persist(self.path, lambda: function(self._opened()), renew=self._drop)
        dataset = self._opened()
        with reading(self.path):
            return function(dataset)

    def _opened(self) -> rasterio.DatasetReader:
        opened = _POOL.opened
        dataset = opened.get(self._number)
        if dataset is None:
            if self._remote and not is_local(self.path):
                dataset = open_remote(self.path, self._opener)
            else:
                dataset = _open_local(self.path, self._opener)
            opened[self._number] = dataset
            while len(opened) > _MOST_OPEN:
                opened.popitem(last=False)
        else:
            with suppress(KeyError):  # Another thread may close the file just now.
                opened.move_to_end(self._number)
        return dataset

    def _drop(self) -> None:
        """Lets go of this thread's data set."""
        _POOL.opened.pop(self._number, None)


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turns GDAL's errors of the block into `SourceUnreadable`. What can be tried again goes through `Handle.use`."""
    try:
        with _environment(path):
            yield
    except FAILURES as error:
        cause = str(error.__cause__ or error).strip().rstrip(".")
        raise SourceUnreadable(
            path, f"the file is damaged or cut short ({cause})", advice="Copy or download it again."
        ) from error


def _environment(path: str) -> AbstractContextManager[object]:
    if is_remote(path):
        return configured()
    # Outside of an Env GDAL would print its messages to stderr.
    return nullcontext() if hasenv() else rasterio.Env(session=DummySession())


@contextmanager
def without_warnings(category: type[Warning]) -> Iterator[None]:
    """Ignores warnings of a category in the block."""
    # Python's filters are shared by all threads, so only one at a time may change them.
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore", category)
        yield


def _open_local(path: str, opener: Opener) -> rasterio.DatasetReader:
    if is_local(path):
        if os.path.isdir(path):
            raise SourceUnreadable(path, "it is a folder; one raster file was expected")
        if not os.path.isfile(path):
            raise SourceUnreadable(path, "there is no such file")
        if os.path.getsize(path) == 0:
            raise SourceUnreadable(path, "the file is empty", advice="Copy or download it again.")
        if _holds_variables(path):
            # Damaged ones bring down the libraries below GDAL, and with them the interpreter.
            advice = "Images of this kind are read if the name ends in .nc; make a GeoTIFF of labels."
            raise SourceUnreadable(path, "it is a NetCDF or HDF5 file", advice=advice)
    try:
        # With credentials in the environment, any other session would take 13 ms to set up.
        with without_warnings(NotGeoreferencedWarning), rasterio.Env(session=DummySession(), **_GDAL):
            dataset = opener(path)
    except FAILURES as error:
        cause = str(error).rstrip(".")
        if "not recognized as being in a supported file format" in cause:
            cause = "it is not an image, or of a format that is not known"
        raise SourceUnreadable(path, cause) from error
    if getattr(dataset, "src_dataset", dataset).driver == "PNG" and is_local(path) and not _whole_png(path):
        # libpng's error gets lost in GDAL: the rest of the image would be whatever was in memory.
        raise SourceUnreadable(path, "the file is cut short", advice="Copy or download it again.")
    return dataset


def _holds_variables(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(8).startswith((b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"CDF\x02", b"CDF\x05"))


def _whole_png(path: str) -> bool:
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - 4096))
        return b"IEND" in file.read()
