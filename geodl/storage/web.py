"""Files at https:// and http:// addresses, through the standard library."""

from __future__ import annotations

import base64
import errno
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import quote, unquote

from geodl.storage.patience import Changed, Failure, number, of_status, persist
from geodl.storage.service import Seen

__all__ = ("Web",)

_ERRORS = (OSError, http.client.HTTPException, ValueError)
_CHUNK = 1 << 16
_FURTHER = 1 << 20
"""Bytes after which a transfer has got further, and what broke it does not count."""
_CREDENTIALS = "Sign the URL, or set GDAL_HTTP_USERPWD, GDAL_HTTP_BEARER or GDAL_HTTP_HEADERS."
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a disk says, and no network."""
_Result = TypeVar("_Result")


class Web:
    """A `Service` that reads files by name. Where a transfer breaks, it goes on from there if the server can do that."""

    def look(self, address: str) -> Seen:
        """See `Service`. Asks for one byte: signed URLs for GET are refused to HEAD."""
        return _persist(lambda: self._look(address))

    def read(self, address: str, seen: Seen, file: BinaryIO) -> None:
        """See `Service`."""

        def go_on() -> bool:
            return self._go_on(address, seen, file)

        # A transfer that got further may break again, as often: the next one begins anew.
        while not _persist(go_on):
            pass

    def write(self, path: Path, address: str) -> None:
        """See `Service`: refused."""
        raise _read_only()

    def remove(self, address: str) -> None:
        """See `Service`: refused."""
        raise _read_only()

    def sizes(self, address: str, *, deep: bool) -> dict[str, int]:
        """See `Service`: refused."""
        raise Failure(
            "folders at https:// addresses cannot be listed",
            advice="Name the files, or give a folder or an s3:// or gs:// address.",
        )

    def _look(self, address: str) -> Seen:
        try:
            with _opened(address, {"Range": "bytes=0-0"}) as answer:
                return _seen(answer.headers, answer.status)
        except urllib.error.HTTPError as error:
            if error.code == 416:  # Of an empty file there is no first byte.
                return Seen(0, _version(error.headers), parts=False)
            raise

    def _go_on(self, address: str, seen: Seen, file: BinaryIO) -> bool:
        """Adds to what the file holds; returns whether that is all now."""
        start = file.tell() if seen.parts else 0
        if seen.size is not None and start == seen.size:
            return True
        with _opened(address, {"Range": f"bytes={start}-"} if start else {}) as answer:
            now = _seen(answer.headers, answer.status)
            if (now.size, now.version) != (seen.size, seen.version):
                raise Changed
            if start and answer.status != 206:
                raise Failure("the server overlooks ranges", passes=True)
            file.seek(start)
            file.truncate()
            broken = _copied(answer, file)
        if broken is None and (seen.size is None or file.tell() >= seen.size):
            return True
        if seen.parts and file.tell() - start >= _FURTHER:
            return False
        raise broken or Failure("the connection broke", passes=True)


def _copied(answer: http.client.HTTPResponse, file: BinaryIO) -> Exception | None:
    """Copies what comes; returns what broke it off, if that was not the server's closing of the connection."""
    while True:
        try:
            chunk = answer.read(_CHUNK)
        except _ERRORS as error:
            return error
        if not chunk:
            return None
        file.write(chunk)


def _read_only() -> Failure:
    return Failure(
        "files at https:// addresses can only be read", advice="Give a folder, or an s3:// or gs:// address."
    )


def _opened(address: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    url = re.split("#", address)[0]
    user = re.match(r"https?://([^/?#]*)@", url)
    url = re.sub(r"^(https?://)[^/?#]*@", r"\1", url)
    request = urllib.request.Request(quote(url, safe="%/:=&?~#+!$,;'@()*[]"), headers=headers)
    for name, value in _signs(unquote(user[1]) if user else None).items():
        # A server that this one refers to is not told.
        request.add_unredirected_header(name, value)
    timeout = max(number("GDAL_HTTP_LOW_SPEED_TIME"), 0.1)
    answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=timeout)
    return answer


def _signs(user: str | None) -> dict[str, str]:
    """Headers that say who asks, from the variables that GDAL takes them from."""
    lines = re.split(r"\r?\n|,\s*(?=[\w-]+:)", os.environ.get("GDAL_HTTP_HEADERS", ""))
    headers = {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
    user = user or os.environ.get("GDAL_HTTP_USERPWD")
    bearer = os.environ.get("GDAL_HTTP_BEARER")
    if user:
        headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
    elif bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    return headers


def _seen(headers: Message, status: int) -> Seen:
    span = re.fullmatch(r"bytes \S+/(\d+)", headers.get("Content-Range", ""))
    length = headers.get("Content-Length")
    size = int(span[1]) if span else int(length) if length is not None and status == 200 else None
    if size is None and "chunked" not in headers.get("Transfer-Encoding", "").lower():
        raise Failure(
            "the server does not say how long it is, so that a cut would go unnoticed", advice="Download it first."
        )
    return Seen(size, _version(headers), parts=span is not None)


def _version(headers: Message) -> str:
    return str(headers.get("ETag") or headers.get("Last-Modified") or "")


def _persist(attempt: Callable[[], _Result]) -> _Result:
    return persist(attempt, _ERRORS, explained=_explained)


def _explained(error: Exception) -> Failure:
    if getattr(error, "errno", None) in _FULL:
        raise error
    if isinstance(error, urllib.error.HTTPError):
        return of_status(error.code, credentials=_CREDENTIALS)
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return Failure("the transfer stalled", passes=True)
    if isinstance(error, urllib.error.URLError):
        said = getattr(reason, "strerror", None)
        return Failure(
            f"the server cannot be reached{f' ({said})' if said else ''}",
            advice="Check the address and the network (HTTPS_PROXY, if there is a proxy).",
            passes=True,
        )
    if isinstance(error, ValueError | http.client.InvalidURL) and not isinstance(error, OSError):
        return Failure("it is no address of a file", advice="Check the address.")
    return Failure("the connection broke", passes=True)
