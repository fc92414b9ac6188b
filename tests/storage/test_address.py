from __future__ import annotations

from pathlib import Path

import pytest

from geodl.storage.address import Address, identity, is_address, joined, parsed, shown


@pytest.mark.parametrize("path", ["s3://b/run", "gs://b/run", "gcs://b/r", "az://b/r", "https://h/r", "HTTP://h/r"])
def test_addresses(path: str) -> None:
    assert is_address(path)


@pytest.mark.parametrize("path", ["runs/a", Path("s3://b/run"), "C:/runs/a", "file:///runs", "NETCDF:a.nc:x", "s3:/b"])
def test_what_is_none(path: str | Path) -> None:
    assert not is_address(path)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("s3://bucket/a/b/", ("s3", "bucket", "a/b")),
        ("GCS://bucket", ("gs", "bucket", "")),
        ("s3://bucket/odd?name#1", ("s3", "bucket", "odd?name#1")),
        ("https://me:key@host:8000/a/b?x=/y#z", ("https", "host:8000", "a/b")),
    ],
)
def test_parts(address: str, parts: tuple[str, str, str]) -> None:
    assert parsed(address) == Address(*parts)


def test_names_in_a_folder_keep_the_signature() -> None:
    assert joined("s3://b/run/", "a/b.json") == "s3://b/run/a/b.json"
    assert joined("https://h/run?key=1", "a.json") == "https://h/run/a.json?key=1"


def test_keys_are_not_shown() -> None:
    assert shown("https://me:key@h/a%20b.tif?X-Amz-Signature=key#x") == "https://h/a%20b.tif"
    assert shown("s3://b/odd?name") == "s3://b/odd?name"


def test_what_is_the_same_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (f"https://h/a?id=1&X-Amz-Date={k}&sig={k}&Expires={k}" for k in (1, 2))
    assert identity(first) == identity(second) != identity("https://h/a?id=2&sig=1")
    here = identity("s3://b/a")
    assert here == identity("s3://b/a/")
    monkeypatch.setenv("AWS_S3_ENDPOINT", "elsewhere:9000")
    assert identity("s3://b/a") != here
