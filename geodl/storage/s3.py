"""Files in buckets of Amazon's S3, and of others that speak its language, through s3fs."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from geodl.storage.address import parsed
from geodl.storage.patience import Changed, Failure, no_bucket, number, of_status, persist
from geodl.storage.service import CREDENTIALS, PIECE, Seen

__all__ = ("S3",)

_PARTS = 10_000
"""Most that a multipart upload can have."""
_PAGE = 1000
"""Most that one listing gives."""
_SLOWEST = 50_000
"""Bytes a second below which an upload has stalled."""
_YES = ("YES", "TRUE", "ON", "1")
_NO = ("NO", "FALSE", "OFF", "0")
_PASSING = frozenset(
    {"InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling", "ThrottlingException"}
)
_Result = TypeVar("_Result")


class S3:
    """A `Service`. One request reads or writes `PIECE` bytes at most, and is repeated alone where it fails."""

    def __init__(self) -> None:
        import aiohttp
        import botocore.exceptions
        import s3fs
        from botocore.parsers import ResponseParserError

        self._timeout = number("GDAL_HTTP_LOW_SPEED_TIME")
        self._files: Any = s3fs.S3FileSystem(
            use_listings_cache=False, skip_instance_cache=True, **_settings(self._timeout)
        )
        # Trying again is done here, once, and not by each layer below as well.
        self._files.retries = 1
        self._botocore = botocore.exceptions
        self._unreached = aiohttp.ClientConnectorError
        self._errors: tuple[type[Exception], ...] = (
            OSError,
            ValueError,
            aiohttp.ClientError,
            botocore.exceptions.BotoCoreError,
            botocore.exceptions.ClientError,
            ResponseParserError,
        )

    def look(self, address: str) -> Seen:
        """See `Service`."""
        found = self._call("head_object", address)
        etag = found["ETag"].strip('"')
        # Of encrypted objects, and of those that came in parts, it is no checksum of the content.
        plain = found.get("ServerSideEncryption", "AES256") == "AES256" and "SSECustomerAlgorithm" not in found
        md5 = etag if plain and re.fullmatch("[0-9a-f]{32}", etag) else None
        return Seen(found["ContentLength"], etag, md5)

    def read(self, address: str, seen: Seen, file: BinaryIO) -> None:
        """See `Service`."""
        size = seen.size or 0
        for start in range(0, size, PIECE):
            file.write(self._piece(address, seen, start, min(start + PIECE, size)))

    def write(self, path: Path, address: str) -> None:
        """See `Service`. The object takes its name when the upload is whole, and what was sent of another is dropped."""
        size = path.stat().st_size
        piece = max(PIECE, -(-size // _PARTS))
        with path.open("rb") as file:
            if size <= piece:
                sent = self._call("put_object", address, Body=file.read())
            else:
                sent = self._write_parts(file, address, piece)
        seen = self.look(address)
        if seen.size != size or seen.version != sent["ETag"].strip('"'):
            raise Failure("what arrived is not what was sent", advice="Is something else writing there?")

    def remove(self, address: str) -> None:
        """See `Service`."""
        self._call("delete_object", address)

    def sizes(self, address: str, *, deep: bool) -> dict[str, int]:
        """See `Service`."""
        _, bucket, key = parsed(address)
        base = f"{key}/" if key else ""
        sizes: dict[str, int] = {}
        more: dict[str, str] = {} if deep else {"Delimiter": "/"}
        while True:
            page = self._request("list_objects_v2", bucket, Bucket=bucket, Prefix=base, MaxKeys=_PAGE, **more)
            for found in page.get("Contents", ()):
                if not found["Key"].endswith("/"):
                    sizes[found["Key"].removeprefix(base)] = found["Size"]
            if not page.get("IsTruncated"):
                return sizes
            more["ContinuationToken"] = page["NextContinuationToken"]

    def _piece(self, address: str, seen: Seen, start: int, stop: int) -> bytes:
        from fsspec.asyn import sync

        _, bucket, key = parsed(address)

        def get() -> bytes:
            answer = self._files.call_s3("get_object", Bucket=bucket, Key=key, Range=f"bytes={start}-{stop - 1}")
            body = answer["Body"]
            try:
                if answer["ETag"].strip('"') != seen.version:
                    raise Changed
                data: bytes = sync(self._files.loop, body.read)
            finally:
                body.close()
            if len(data) != stop - start:
                raise Failure("the connection broke", passes=True)
            return data

        return self._persist(get, bucket)

    def _write_parts(self, file: BinaryIO, address: str, piece: int) -> Any:
        _, bucket, key = parsed(address)
        self._drop_unfinished(bucket, key)
        upload = self._call("create_multipart_upload", address)["UploadId"]
        try:
            parts: list[dict[str, Any]] = []
            while data := file.read(piece):
                number = len(parts) + 1
                sent = self._call("upload_part", address, PartNumber=number, UploadId=upload, Body=data)
                parts.append({"PartNumber": number, "ETag": sent["ETag"]})
            return self._call("complete_multipart_upload", address, UploadId=upload, MultipartUpload={"Parts": parts})
        except BaseException:  # Also where the user, or the end of a loan, interrupts it.
            with contextlib.suppress(Failure):
                self._call("abort_multipart_upload", address, UploadId=upload)
            raise

    def _drop_unfinished(self, bucket: str, key: str) -> None:
        """Drops what a killed upload of the same object left: invisible, but paid for."""
        with contextlib.suppress(Failure):  # To list them takes a permission of its own.
            found = self._request("list_multipart_uploads", bucket, Bucket=bucket, Prefix=key)
            for upload in found.get("Uploads", ()):
                if upload["Key"] == key:
                    self._request("abort_multipart_upload", bucket, Bucket=bucket, Key=key, UploadId=upload["UploadId"])

    def _call(self, method: str, address: str, **arguments: Any) -> Any:
        _, bucket, key = parsed(address)
        return self._request(method, bucket, Bucket=bucket, Key=key, **arguments)

    def _request(self, method: str, bucket: str, **arguments: Any) -> Any:
        timeout = self._timeout + number("GDAL_HTTP_CONNECTTIMEOUT") + len(arguments.get("Body", b"")) / _SLOWEST

        def call() -> Any:
            return self._files.call_s3(method, timeout=timeout, **arguments)

        return self._persist(call, bucket)

    def _persist(self, attempt: Callable[[], _Result], bucket: str) -> _Result:
        return persist(attempt, self._errors, explained=lambda error: self._explained(error, bucket))

    def _explained(self, error: Exception, bucket: str) -> Failure:
        known = error if isinstance(error, self._botocore.ClientError) else error.__cause__
        credentials = CREDENTIALS["s3"]
        if isinstance(known, self._botocore.ClientError):
            return self._refused(known.response, bucket)
        if isinstance(error, self._botocore.NoCredentialsError | self._botocore.PartialCredentialsError):
            return Failure("there are no credentials", advice=credentials)
        if isinstance(error, self._botocore.ProfileNotFound):
            return Failure("there is no such profile of credentials", advice=credentials)
        broken = (self._botocore.HTTPClientError, self._botocore.ConnectionError)
        if isinstance(error, self._botocore.BotoCoreError | ValueError) and not isinstance(error, broken):
            return Failure(
                f"the request cannot be made ({type(error).__name__})", advice=f"Check the address. {credentials}"
            )
        met = error.kwargs.get("error") if isinstance(error, self._botocore.EndpointConnectionError) else None
        if isinstance(error, self._botocore.ConnectTimeoutError) or isinstance(met, self._unreached):
            return Failure(
                "the server cannot be reached",
                advice="Check AWS_S3_ENDPOINT, AWS_REGION and the network (HTTPS_PROXY, if there is a proxy).",
                passes=True,
            )
        slow = isinstance(error, TimeoutError | self._botocore.ReadTimeoutError)
        return Failure("the transfer stalled" if slow else "the connection broke", passes=True)

    def _refused(self, response: dict[str, Any], bucket: str) -> Failure:
        code = response.get("Error", {}).get("Code", "")
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "NoSuchBucket" or (status == 404 and code != "NoSuchKey" and not self._is_there(bucket)):
            return no_bucket(", and AWS_REGION and AWS_S3_ENDPOINT if it has one")
        if status in (301, 307):
            return Failure("the bucket lies in another region", advice="Set AWS_REGION to it.")
        if code in _PASSING:
            return Failure(f"the server answered {code}", passes=True)
        if not status:
            return Failure(f"the server answered {code}", advice="Check the address.")
        return of_status(status, credentials=CREDENTIALS["s3"])

    def _is_there(self, bucket: str) -> bool:
        """Whether there is such a bucket: an answer without a body, to HEAD, does not tell it from a missing file."""
        try:
            self._files.call_s3("head_bucket", Bucket=bucket)
        except FileNotFoundError:
            return False
        except self._errors:
            return True
        return True


def _settings(read: float) -> dict[str, Any]:
    """Says to s3fs what GDAL's variables say."""
    environment = {name: os.environ.get(name, "") for name in ("AWS_S3_ENDPOINT", "AWS_REGION", "AWS_DEFAULT_REGION")}
    flags = {
        name: os.environ.get(f"AWS_{name}", "").upper() for name in ("HTTPS", "NO_SIGN_REQUEST", "VIRTUAL_HOSTING")
    }
    config: dict[str, Any] = {
        "connect_timeout": number("GDAL_HTTP_CONNECTTIMEOUT"),
        "read_timeout": read,
        "retries": {"total_max_attempts": 1, "mode": "standard"},
    }
    if flags["VIRTUAL_HOSTING"]:
        config["s3"] = {"addressing_style": "path" if flags["VIRTUAL_HOSTING"] in _NO else "virtual"}
    settings: dict[str, Any] = {
        "anon": flags["NO_SIGN_REQUEST"] in _YES,
        "requester_pays": os.environ.get("AWS_REQUEST_PAYER", "").lower() == "requester",
        "config_kwargs": config,
    }
    endpoint = environment["AWS_S3_ENDPOINT"]
    if endpoint:
        plain = "http" if flags["HTTPS"] in _NO else "https"
        settings["endpoint_url"] = endpoint if "://" in endpoint else f"{plain}://{endpoint}"
    region = environment["AWS_REGION"] or environment["AWS_DEFAULT_REGION"]
    if region:
        settings["client_kwargs"] = {"region_name": region}
    return settings
