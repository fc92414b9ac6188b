"""Files on object storage through fsspec: Google's, and fsspec's own memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from geodl.storage.address import parsed
from geodl.storage.patience import Changed, Failure, no_bucket, number, of_status, persist
from geodl.storage.service import CREDENTIALS, PIECE, Seen

__all__ = ("Objects",)

_Result = TypeVar("_Result")


class Objects:
    """A `Service` of which fsspec does the work. One request reads `PIECE` bytes at most.

    Args:
        scheme: `gs` or `memory`.
    """

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme
        self._files, self._errors = _google() if scheme == "gs" else _memory()

    def look(self, address: str) -> Seen:
        """See `Service`."""

        def info() -> Seen:
            found = self._files.info(self._path(address))
            if found["type"] == "directory":
                raise Failure("it is a folder", advice="Give the address of a file.", missing=True)
            version = str(found.get("generation") or found.get("etag") or found.get("created") or "")
            return Seen(int(found["size"]), version)

        return self._persist(info, address)

    def read(self, address: str, seen: Seen, file: BinaryIO) -> None:
        """See `Service`."""
        path, size = self._path(address), seen.size or 0
        for start in range(0, size, PIECE):
            stop = min(start + PIECE, size)

            def piece(start: int = start, stop: int = stop) -> bytes:
                data: bytes = self._files.cat_file(path, start=start, end=stop)
                if len(data) != stop - start:
                    raise Failure("the connection broke", passes=True)
                return data

            file.write(self._persist(piece, address))
        if self.look(address) != seen:
            raise Changed

    def write(self, path: Path, address: str) -> None:
        """See `Service`. The object takes its name when the upload is whole."""

        def put() -> None:
            self._files.put_file(os.fspath(path), self._path(address))

        self._persist(put, address)
        if self.look(address).size != path.stat().st_size:
            raise Failure("what arrived has another size than what was sent")

    def remove(self, address: str) -> None:
        """See `Service`."""

        def rm() -> None:
            try:
                self._files.rm_file(self._path(address))
            except FileNotFoundError:
                return

        self._persist(rm, address)

    def sizes(self, address: str, *, deep: bool) -> dict[str, int]:
        """See `Service`."""
        base = self._files._strip_protocol(self._path(address)).rstrip("/") + "/"

        def find() -> dict[str, int]:
            self._files.invalidate_cache()
            found = self._files.find(base, maxdepth=None if deep else 1, detail=True)
            return {
                name.removeprefix(base): int(info["size"])
                for name, info in found.items()
                if name.startswith(base) and name != base and info["type"] == "file"
            }

        return self._persist(find, address)

    def _path(self, address: str) -> str:
        scheme, place, key = parsed(address)
        return f"{scheme}://{place}/{key}"

    def _persist(self, attempt: Callable[[], _Result], address: str) -> _Result:
        return persist(attempt, self._errors, explained=lambda error: self._explained(error, parsed(address).place))

    def _explained(self, error: Exception, bucket: str) -> Failure:
        credentials = CREDENTIALS[self._scheme]
        status = getattr(error, "code", None) or getattr(error, "status", None)
        if isinstance(error, FileNotFoundError):
            there = self._scheme != "gs" or self._is_there(bucket)
            return of_status(404, credentials=credentials) if there else no_bucket("")
        if str(error).startswith("Forbidden"):
            return of_status(403, credentials=credentials)
        if isinstance(status, int):
            return of_status(status, credentials=credentials)
        if type(error).__module__.startswith("google.auth"):
            return Failure("the credentials cannot be used", advice=credentials)
        if isinstance(error, ValueError):
            return Failure("the service refuses the request", advice="Check the address.")
        return Failure("the service cannot be reached, or the connection broke", passes=True)

    def _is_there(self, bucket: str) -> bool:
        try:
            self._files.info(bucket)
        except FileNotFoundError:
            return False
        except self._errors:  # To look at the bucket takes a permission of its own.
            return True
        return True


def _memory() -> tuple[Any, tuple[type[Exception], ...]]:
    import fsspec

    return fsspec.filesystem("memory"), (OSError,)


def _google() -> tuple[Any, tuple[type[Exception], ...]]:
    import aiohttp
    import gcsfs
    import requests
    from gcsfs.retry import ChecksumError, HttpError
    from google.auth.exceptions import GoogleAuthError

    # What fails is said once, by an error.
    logging.getLogger("gcsfs").addHandler(logging.NullHandler())
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=number("GDAL_HTTP_CONNECTTIMEOUT"), sock_read=number("GDAL_HTTP_LOW_SPEED_TIME")
    )
    public = os.environ.get("GS_NO_SIGN_REQUEST", "").upper() in ("YES", "TRUE", "ON", "1")
    files = gcsfs.GCSFileSystem(
        token="anon" if public else None,
        session_kwargs={"timeout": timeout},
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    own = (OSError, ValueError, aiohttp.ClientError, requests.RequestException, HttpError, ChecksumError)
    return files, (*own, GoogleAuthError)
