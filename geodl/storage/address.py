"""Addresses: what is one, what of it may be shown, and what reads and writes there."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

__all__ = ("Address", "identity", "is_address", "joined", "parsed", "shown")

_SCHEME = re.compile(r"(s3|gs|gcs|az|https?|memory)://", re.IGNORECASE)
_SIGNATURE = re.compile(
    r"x-(amz|goog)-|(signature|expires|awsaccesskeyid|googleaccessid|sv|ss|sr|srt|se|sp|st|sip|spr|sig)$", re.IGNORECASE
)
"""Names of those parameters of a signed URL that are new with each signature; the short ones are Azure's."""


class Address(NamedTuple):
    """An address, taken apart."""

    scheme: str
    """`s3`, `gs`, `az`, `http`, `https` or `memory`."""
    place: str
    """Bucket, or host."""
    key: str
    """Path below it, without slashes at its ends."""


def is_address(path: str | os.PathLike[str]) -> bool:
    """Says whether `path` names something on object storage or on the web, rather than in this machine's folders.

    Example:

    >>> is_address("s3://bucket/run"), is_address("https://host/run"), is_address("runs/a")
    (True, True, False)
    """
    return bool(_SCHEME.match(os.fspath(path)))


def parsed(address: str) -> Address:
    """Takes an address apart; a query is dropped.

    Example:

    >>> parsed("gcs://bucket/run/")
    Address(scheme='gs', place='bucket', key='run')
    """
    scheme, _, rest = address.partition("://")
    scheme = scheme.lower()
    if scheme in ("http", "https"):
        rest = re.split("[?#]", rest, maxsplit=1)[0]
    place, _, key = rest.partition("/")
    return Address("gs" if scheme == "gcs" else scheme, place.rpartition("@")[2], key.strip("/"))


def joined(address: str, name: str) -> str:
    """Returns the address of what is called `name` in the folder at `address`, whose query it keeps: it may sign both."""
    base, mark, query = address.partition("?") if parsed(address).scheme in ("http", "https") else (address, "", "")
    return f"{base.rstrip('/')}/{name}{mark}{query}"


def shown(address: str) -> str:
    """Returns the address without its query and its user, which may be keys.

    Example:

    >>> shown("https://me:secret@host/a.tif?signature=secret")
    'https://host/a.tif'
    """
    return re.sub(r"^(https?://)[^/?#]*@", r"\1", re.sub(r"^(https?://[^?#]*)[?#].*", r"\1", address))


def identity(address: str) -> str:
    """Returns what is the same for all addresses of one thing: without the signature, with the server of a bucket."""
    scheme, place, key = parsed(address)
    query = address.partition("?")[2] if scheme in ("http", "https") else ""
    kept = [part for part in query.split("&") if part and not _SIGNATURE.match(part.partition("=")[0])]
    server = ""
    if scheme == "s3":
        names = ("AWS_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
        server = next((os.environ[name] for name in names if os.environ.get(name)), "")
    return f"{scheme}://{server}/{place}/{key}?{'&'.join(kept)}"
