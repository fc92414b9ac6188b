"""What a service of remote files can do, and which one an address belongs to."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from geodl.errors import BackendUnavailable
from geodl.storage.address import parsed, shown

__all__ = ("CREDENTIALS", "PIECE", "Seen", "Service", "service_of")

PIECE = 8 << 20
"""Bytes that are read or written by one request, and so again after it failed; the least that S3 takes is 5 MiB."""
CREDENTIALS = {
    "s3": "Set AWS_PROFILE (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) and AWS_REGION; AWS_NO_SIGN_REQUEST=YES "
    "for a public bucket.",
    "gs": "Set GOOGLE_APPLICATION_CREDENTIALS; GS_NO_SIGN_REQUEST=YES for a public bucket.",
    "memory": "",
}
"""What to set where access is denied."""
_EXTRAS = {"s3": ("s3fs", "s3"), "gs": ("gcsfs", "gcs")}


@dataclass(frozen=True)
class Seen:
    """A file as a service describes it."""

    size: int | None
    """In bytes; None where it says not."""
    version: str
    """Another one for each content: ETag, or time of the last change. Empty where the service says neither."""
    md5: str | None = None
    """Of the content, hexadecimal; None where the service gives none."""
    parts: bool = True
    """Whether parts of it can be asked for."""


class Service(Protocol):
    """Files on one kind of service, by their full addresses; each call tries again by itself and raises `Failure`."""

    def look(self, address: str) -> Seen:
        """Describes a file."""

    def read(self, address: str, seen: Seen, file: BinaryIO) -> None:
        """Writes the content of the version that was seen to a local file, from its beginning."""

    def write(self, path: Path, address: str) -> None:
        """Uploads a local file whole."""

    def remove(self, address: str) -> None:
        """Removes a file; missing is fine."""

    def sizes(self, address: str, *, deep: bool) -> dict[str, int]:
        """Lists what lies in a folder, or below it if `deep`: names relative to it, and bytes."""


def service_of(address: str) -> Service:
    """Returns the service that an address belongs to.

    Raises:
        BackendUnavailable: the package for it is not installed, or there is none.
    """
    scheme = parsed(address).scheme
    if scheme in ("http", "https"):
        from geodl.storage.web import Web

        return Web()
    if scheme == "az":
        raise BackendUnavailable(
            shown(address),
            "of Azure's storage geodl reads rasters only",
            advice="Copy it to s3://, gs:// or a folder, or give a signed https:// address.",
        )
    try:
        # The environment may change, and connections do not survive a fork.
        return _objects(scheme, os.getpid(), _environment())
    except ImportError as error:
        package, extra = _EXTRAS[scheme]
        raise BackendUnavailable(
            shown(address), f"{package} is not installed", advice=f'Run: pip install "geodl[{extra}]".'
        ) from error


@functools.lru_cache(maxsize=4)
def _objects(scheme: str, process: int, environment: tuple[tuple[str, str], ...]) -> Service:
    if scheme == "s3":
        from geodl.storage.s3 import S3

        return S3()
    from geodl.storage.objects import Objects

    return Objects(scheme)


def _environment() -> tuple[tuple[str, str], ...]:
    begin = ("AWS_", "GDAL_HTTP_", "GOOGLE_", "GS_", "STORAGE_EMULATOR_HOST", "HTTPS_PROXY", "HTTP_PROXY", "HOME")
    return tuple(sorted((name, value) for name, value in os.environ.items() if name.upper().startswith(begin)))
