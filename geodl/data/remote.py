"""Rasters behind https://, s3://, gs:// or az://: GDAL's settings for them, trying again, and what to say in the end.

See docs/remote.md for what each setting is for.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.env import getenv, hasenv
from rasterio.errors import CRSError, RasterioError
from rasterio.session import DummySession

from geodl.errors import SourceUnreadable

__all__ = ("FAILURES", "SETTINGS", "Opener", "configured", "is_remote", "open_remote", "persist")

SETTINGS = {
    # Files beside it are not asked for: of a COG nothing lies there. See `open_remote`.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    # The header of a COG of up to some 2,700 blocks comes with the first request.
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    # A transfer slower than 1,000 bytes a second over 15 seconds has stalled; its length is not bounded otherwise.
    "GDAL_HTTP_LOW_SPEED_TIME": "15",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",
}
"""GDAL's settings for what is remote, where neither an environment variable nor an enclosing `rasterio.Env` says
otherwise."""

FAILURES = (RasterioError, CPLE_BaseError, CRSError, OSError, UnicodeError)
"""What rasterio raises of damaged or missing files; the last where GDAL's message, or a file's name, is no text."""

Opener = Callable[[str], rasterio.DatasetReader]
"""Opens a data set: `rasterio.open`, or something that wraps what it gives."""

_NETWORK = r"/vsi(curl|s3|gs|az|adls|oss|swift|webhdfs)(_streaming)?[/?]|(^|\+)(https?|ftp|s3|gs|gcs|az|oss|swift)://"
_NO_CACHE = {"CPL_VSIL_CURL_NON_CACHED": "/vsicurl/:/vsis3/:/vsigs/:/vsiaz/:/vsiadls/:/vsioss/:/vsiswift/:/vsiwebhdfs/"}
"""GDAL remembers failures, too; what is opened with this is forgotten when it is closed."""
_PATIENCE = 60.0
"""Seconds after which nothing is tried again."""
_CAREFUL = frozenset({"GTiff", "COG", "VRT", "JP2OpenJPEG", "JPEG", "HFA", "BMP", "GIF", "WEBP"})
"""Drivers that notice when data do not come. Those of PNG and of raw binary formats give noise or zeros instead."""
_CREDENTIALS = {
    "s3": "Set AWS_PROFILE (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) and AWS_REGION; AWS_NO_SIGN_REQUEST=YES "
    "for a public bucket.",
    "gs": "Set GOOGLE_APPLICATION_CREDENTIALS; GS_NO_SIGN_REQUEST=YES for a public bucket.",
    "az": "Set AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_ACCESS_KEY (or AZURE_STORAGE_SAS_TOKEN); "
    "AZURE_NO_SIGN_REQUEST=YES for a public container.",
}

_LOG = logging.getLogger("geodl")
_Result = TypeVar("_Result")


def is_remote(path: str) -> bool:
    """Says whether reading `path` takes the network: a URL, one of GDAL's names for it, or a VRT that has such sources.

    Example:

    >>> is_remote("s3://bucket/scene.tif"), is_remote("/vsicurl/https://host/scene.tif"), is_remote("scene.tif")
    (True, True, False)
    """
    if re.search(_NETWORK, path):
        return True
    if not path.lower().endswith(".vrt"):
        return False
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return bool(re.search(_NETWORK.replace("(^|\\+)", "[>\"']"), file.read()))
    except OSError:
        return False


@contextmanager
def configured(**more: str) -> Iterator[None]:
    """Sets `SETTINGS`, and `more`, for this thread in the block, where the user has not set them."""
    outer = getenv() if hasenv() else {}
    chosen = {name: value for name, value in (SETTINGS | more).items() if name not in os.environ and name not in outer}
    # With credentials in the environment, any other session takes 13 ms to set up; `rasterio.open` makes its own.
    with rasterio.Env(session=DummySession(), **chosen):
        yield


def open_remote(path: str, opener: Opener) -> rasterio.DatasetReader:
    """Opens a remote raster; call it through `persist`.

    A file with the layout of a COG holds its masks and all else itself. For others the files that may lie beside it
    (.aux.xml, .msk, .ovr, a world file) are asked for by name, unless `GDAL_DISABLE_READDIR_ON_OPEN` is set.

    Raises:
        SourceUnreadable: its format cannot be read safely over a network.
    """
    dataset = rasterio.open(path)
    if dataset.driver not in _CAREFUL:
        raise SourceUnreadable(
            _shown(path),
            f"a file of this format ({dataset.driver}) cannot be read safely over a network, since a cut connection "
            "would go unnoticed",
            advice="Download it first.",
        )
    beside = "GDAL_DISABLE_READDIR_ON_OPEN"
    alone = beside in os.environ or dataset.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG"
    if alone and opener is rasterio.open:
        return dataset
    dataset.close()
    with rasterio.Env(session=DummySession(), **({} if alone else {beside: "TRUE"})):
        return opener(path)


def persist(path: str, attempt: Callable[[], _Result], *, renew: Callable[[], None] = lambda: None) -> _Result:
    """Makes an attempt to read something remote, with GDAL's settings in force, and a few more if it fails.

    GDAL itself asks again where the server says that it is busy, and block by block where a bigger request was cut. What
    is beyond that comes here as an error, and is tried again with a new data set after a pause, which doubles each time
    and is of random length around that, so that many readers do not come back together. As often as
    GDAL_HTTP_MAX_RETRY says, starting with GDAL_HTTP_RETRY_DELAY seconds.

    Args:
        path: what is read.
        attempt: reads, or opens; called again after it failed.
        renew: drops an open data set, so that the next attempt opens it again.

    Raises:
        SourceUnreadable: it still fails, or for a reason that does not pass: missing, or access denied.
    """
    begin = time.monotonic()
    tries = 1 + int(_number("GDAL_HTTP_MAX_RETRY"))
    pause = _number("GDAL_HTTP_RETRY_DELAY")
    for number in itertools.count(1):
        try:
            with configured(**(_NO_CACHE if number > 1 else {})):
                return attempt()
        except FAILURES as error:
            messages = _messages(error)
            seconds = time.monotonic() - begin
            if number >= tries or seconds > _PATIENCE or _is_final(messages):
                raise _unreadable(path, messages, number, seconds) from error
            _LOG.debug("%s: try %d failed: %s", _shown(path), number, messages)
        renew()
        _forget(path)
        time.sleep(pause * 2 ** (number - 1) * random.uniform(0.75, 1.25))
    raise AssertionError  # The loop ends by return or raise.


def _number(name: str) -> float:
    """A numeric setting; what GDAL would not understand either counts as the default."""
    outer = getenv() if hasenv() else {}
    try:
        return max(0.0, float(outer.get(name) or os.environ.get(name) or SETTINGS[name]))
    except ValueError:
        return float(SETTINGS[name])


def _forget(path: str) -> None:
    """Has GDAL forget what it knows of a file: that it was not there, or where it ended when the connection was cut."""
    try:
        with configured(**_NO_CACHE):
            rasterio.open(path).close()
    except FAILURES:
        pass


def _messages(error: BaseException) -> str:
    """What GDAL said, the last thing first, with the names of its errors."""
    said: list[str] = []
    link: BaseException | None = error
    while link is not None and len(said) < 16:
        said.append(f"{type(link).__name__}: {link}")
        link = link.__cause__ or link.__context__
    return "\n".join(said)


def _is_final(messages: str) -> bool:
    status = _status(messages)
    return (status is not None and status < 500 and status not in (408, 425, 429)) or bool(
        re.search("AWSObjectNotFound|AWSBucketNotFound|AWSAccessDenied|AWSInvalidCredentials|AWSSignature", messages)
    )


def _status(messages: str) -> int | None:
    found = re.search(r"HTTP response code(?: on \S+)?: (\d{3})", messages)
    return int(found[1]) if found else None


def _unreadable(path: str, messages: str, tries: int, seconds: float) -> SourceUnreadable:
    """Says in one sentence what happened, how often it was tried, and what to do."""
    kind = next((name for name in _CREDENTIALS if re.match(rf"{name}://|/vsi{name}/", path)), "")
    credentials = _CREDENTIALS.get(
        kind, "Sign the URL, or set GDAL_HTTP_USERPWD, GDAL_HTTP_BEARER or GDAL_HTTP_HEADERS."
    )
    status, later = _status(messages), "Try again later, or download the file first."
    reached = re.search(r"CURL error: (.*)", messages)
    if "AWSBucketNotFound" in messages:
        cause, advice = (
            "there is no such bucket",
            "Check the address, and AWS_REGION and AWS_S3_ENDPOINT if it has one.",
        )
    elif "AWSObjectNotFound" in messages or status in (404, 410):
        cause, advice = "there is no such file", "Check the address."
    elif status in (401, 403) or re.search("AWSAccessDenied|AWSInvalidCredentials|AWSSignature", messages):
        cause, advice = f"access is denied{f' (HTTP status {status})' if status else ''}", credentials
    elif status in (301, 307) and kind == "s3":
        cause, advice = "the bucket lies in another region", "Set AWS_REGION to it."
    elif status is not None:
        cause, advice = f"the server answered with HTTP status {status}", later
    elif reached:
        cause = f"the server cannot be reached ({reached[1].strip().rstrip('.')})"
        advice = "Check the address and the network (HTTPS_PROXY, if there is a proxy)."
    elif "Range downloading not supported" in messages:
        cause, advice = "the server sends whole files only, not parts of them", "Download the file first."
    elif "not recognized as being in a supported file format" in messages:
        cause = "it is not an image, or of a format that is not known, or the connection broke while it was opened"
        advice = "Check the address; if it is right, download the file first."
    else:
        cause, advice = "the connection broke, or the file is damaged", later
    times = f" (tried {tries} times in {seconds:.0f} s)" if tries > 1 else ""
    return SourceUnreadable(_shown(path), cause + times, advice=advice)


def _shown(path: str) -> str:
    """The path without its query, which may be a key."""
    return re.sub(r"(://[^?]*)\?.*", r"\1", path)
