"""Runs in buckets, against moto's S3 behind a proxy that fails."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from geodl.errors import OutputUnwritable, SourceUnreadable
from geodl.storage import Storage, fetched, service
from geodl.storage import s3 as module
from tests.data.servers import Fault, serve_s3
from tests.storage.proxy import Proxy, faulty

boto3 = pytest.importorskip("boto3")
pytest.importorskip("s3fs")

BUSY = Fault(method="GET|HEAD|PUT|POST", status=503, times=2)
DATA = os.urandom(300_000)
LARGE = os.urandom(11 << 20)
RUN = "s3://maps/runs/a"


@pytest.fixture(scope="module")
def server() -> Iterator[Proxy]:
    with serve_s3() as host, faulty(host) as proxy:
        _client(host).create_bucket(Bucket="maps")
        yield proxy


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True)
def s3(server: Proxy, home: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The bucket, as Amazon's own client sees it, past the proxy; its only content is of this test."""
    settings = {"AWS_S3_ENDPOINT": server.host, "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE"}
    settings |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": home, "GEODL_CACHE": str(tmp_path / "cache")}
    settings |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    settings |= {"GDAL_HTTP_RETRY_DELAY": "0.001", "GDAL_HTTP_LOW_SPEED_TIME": "5", "GDAL_HTTP_CONNECTTIMEOUT": "0.5"}
    monkeypatch.setattr(module, "_SLOWEST", 1e8)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    server.begin()
    client = _client(server.server)
    for found in client.list_objects_v2(Bucket="maps").get("Contents", ()):
        client.delete_object(Bucket="maps", Key=found["Key"])
    return client


def _client(host: str) -> Any:
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=f"http://{host}", **keys)


def put(s3: Any, key: str, data: bytes = DATA) -> None:
    s3.put_object(Bucket="maps", Key=key, Body=data)


def get(s3: Any, key: str) -> bytes:
    data: bytes = s3.get_object(Bucket="maps", Key=key)["Body"].read()
    return data


def file(folder: Path, data: bytes = DATA) -> Path:
    (folder / "file.bin").write_bytes(data)
    return folder / "file.bin"


def test_files_come_and_go_by_their_names(s3: Any, tmp_path: Path) -> None:
    run = Storage(RUN + "/")
    run.check_writable()
    assert run.names() == []
    run.store(file(tmp_path), "checkpoints/1.npz")
    run.store(file(tmp_path, b""), "empty")
    put(s3, "runs/another/x")
    assert get(s3, "runs/a/checkpoints/1.npz") == DATA
    assert run.sizes() == {"checkpoints/1.npz": 300_000, "empty": 0}
    assert run.sizes(deep=False) == {"empty": 0}
    assert (run.exists("empty"), run.exists("checkpoints"), run.exists("no")) == (True, False, False)
    for name, data in (("checkpoints/1.npz", DATA), ("empty", b"")):
        run.fetch(name, tmp_path / "new" / "got")
        assert (tmp_path / "new" / "got").read_bytes() == data
    run.remove("empty")
    run.remove("empty")
    assert run.names() == ["checkpoints/1.npz"]


def test_more_files_than_one_listing_holds(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(5):
        put(s3, f"runs/a/{k}", b"x")
    monkeypatch.setattr(module, "_PAGE", 2)
    assert Storage(RUN).names() == ["0", "1", "2", "3", "4"]


def test_large_files_go_in_parts_and_only_what_failed_is_sent_again(
    s3: Any, server: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 5 << 20)
    server.begin(Fault(method="PUT", path=".*partNumber=2.*", share=0.4, then="reset"))
    Storage(RUN).store(file(tmp_path, LARGE), "large")
    assert get(s3, "runs/a/large") == LARGE
    assert server.asked("PUT") == 3 + 1
    server.begin(Fault(share=0.4, then="reset", skip=1))
    Storage(RUN).fetch("large", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == LARGE
    assert server.asked("GET") == 3 + 1


@pytest.mark.parametrize(
    "fault",
    [
        BUSY,
        Fault(method="GET|PUT", status=500, times=2),
        Fault(method="GET|PUT", status=429),
        Fault(method="GET|PUT", share=0.5, then="close"),
        Fault(method="GET|PUT", share=0.5, then="reset", times=3),
        Fault(method="GET|PUT", share=0.3, then="stall"),
        Fault(method="PUT", then="reset"),
    ],
    ids=lambda fault: f"{fault.status or fault.then}-{fault.share}",
)
def test_what_fails_for_a_time_is_made_again(
    s3: Any, server: Proxy, tmp_path: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault.then == "stall":
        monkeypatch.setenv("GDAL_HTTP_LOW_SPEED_TIME", "0.5")
    run = Storage(RUN)
    server.begin(fault)
    run.store(file(tmp_path), "x")
    assert get(s3, "runs/a/x") == DATA
    server.begin(fault)
    run.fetch("x", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == DATA


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"status": 503}, r"the server answered with HTTP status 503 \(tried 4 times in \d s\)\. Try again later\."),
        ({"share": 0.5, "then": "reset"}, r"the connection broke \(tried 4 times in \d s\)\. Try again later\."),
        ({"status": 403}, r"access is denied \(HTTP status 403\)\. Set AWS_PROFILE .*AWS_REGION;"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_always_fails_is_said_once_and_nothing_of_it_is_left(
    s3: Any, server: Proxy, tmp_path: Path, fault: dict[str, Any], sentence: str
) -> None:
    put(s3, "runs/a/x", b"old")
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "got").write_bytes(b"older")
    server.begin(Fault(method="GET|PUT", times=-1, **fault))
    with pytest.raises(SourceUnreadable, match=rf"^Cannot read {RUN}/x: {sentence}"):
        Storage(RUN).fetch("x", tmp_path / "target" / "got")
    assert [path.read_bytes() for path in (tmp_path / "target").iterdir()] == [b"older"]
    between = sentence.replace(r"\. ", r"\. Nothing half-written was left there\. ", 1)
    with pytest.raises(OutputUnwritable, match=rf"^Cannot write {RUN}/x: {between}"):
        Storage(RUN).store(file(tmp_path), "x")
    assert get(s3, "runs/a/x") == b"old"
    with pytest.raises(OutputUnwritable, match=rf"^Cannot write {RUN}/new: {between}"):
        Storage(RUN).store(file(tmp_path), "new")
    assert "runs/a/new" not in {found["Key"] for found in s3.list_objects_v2(Bucket="maps")["Contents"]}


def test_an_upload_in_parts_that_fails_is_dropped(
    s3: Any, server: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 5 << 20)
    server.begin(Fault(method="PUT", path=".*partNumber=2.*", share=0.4, then="reset", times=-1))
    with pytest.raises(OutputUnwritable, match="the connection broke"):
        Storage(RUN).store(file(tmp_path, LARGE), "large")
    assert "Contents" not in s3.list_objects_v2(Bucket="maps")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="maps")


def test_what_a_killed_upload_left_is_dropped_by_the_next(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("runs/a/large", "runs/a/large-too"):
        s3.create_multipart_upload(Bucket="maps", Key=key)
    monkeypatch.setattr(module, "PIECE", 5 << 20)
    Storage(RUN).store(file(tmp_path, LARGE), "large")
    left = s3.list_multipart_uploads(Bucket="maps")["Uploads"]
    assert [upload["Key"] for upload in left] == ["runs/a/large-too"]
    s3.abort_multipart_upload(Bucket="maps", Key=left[0]["Key"], UploadId=left[0]["UploadId"])


def test_an_object_that_changes_while_it_is_read_comes_of_one_version(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 100_000)
    versions = [bytes([k]) * 300_000 for k in range(9)]
    put(s3, "runs/a/x", versions[0])
    pieces = module.S3._piece
    changes = iter([False, True, False, False])

    def change(self: Any, address: str, *rest: Any) -> bytes:
        data = pieces(self, address, *rest)
        if next(changes, False):
            put(s3, "runs/a/x", versions[1])
        return data

    monkeypatch.setattr(module.S3, "_piece", change)
    Storage(RUN).fetch("x", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == versions[1]

    later = iter(versions[2:])
    monkeypatch.setattr(module.S3, "_piece", lambda *given: (pieces(*given), put(s3, "runs/a/x", next(later)))[0])
    with pytest.raises(SourceUnreadable, match="it was changed while it was read"):
        Storage(RUN).fetch("x", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == versions[1]


def test_damage_on_the_way_is_noticed_by_the_checksum(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(s3, "runs/a/x")
    pieces = module.S3._piece
    damages = iter([b"!", b"?", b"-", b"", b"!", b"!"])

    def damage(*given: Any) -> bytes:
        byte = next(damages)
        return byte + pieces(*given)[len(byte) :]

    monkeypatch.setattr(module.S3, "_piece", damage)
    with pytest.raises(SourceUnreadable, match="what comes is not what the service's checksum says"):
        Storage(RUN).fetch("x", tmp_path / "got")
    assert not (tmp_path / "got").exists()
    Storage(RUN).fetch("x", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == DATA
    Storage(RUN).fetch("x", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"!" + DATA[1:], "the checksum of such a service is something else"


def test_a_missing_bucket_or_file_is_not_asked_for_again(server: Proxy, tmp_path: Path) -> None:
    bucket = r"there is no such bucket\. Make it first, or check the address"
    for attempt in (lambda: Storage("s3://none/a").names(), lambda: Storage("s3://none/a").exists("x")):
        with pytest.raises(SourceUnreadable, match=bucket):
            attempt()
    with pytest.raises(
        OutputUnwritable,
        match=r"^Cannot write s3://none/a: there is no such bucket\. Nothing .*\. Make it first, or check",
    ):
        Storage("s3://none/a").check_writable()
    server.begin()
    with pytest.raises(SourceUnreadable, match=rf"^Cannot read {RUN}/no: there is no such file\. Check the address\.$"):
        Storage(RUN).fetch("no", tmp_path / "no")
    assert server.asked("GET") == 0


def test_without_credentials(s3: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put(s3, "runs/a/x")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(OutputUnwritable, match=r"there are no credentials\. Nothing .*\. Set AWS_PROFILE"):
        Storage(RUN).check_writable()
    with pytest.raises(SourceUnreadable, match=r"there are no credentials\. Set AWS_PROFILE"):
        Storage(RUN).fetch("x", tmp_path / "x")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(SourceUnreadable, match=r"there is no such profile of credentials\. Set AWS_PROFILE"):
        Storage(RUN).names()
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    assert Storage(RUN).names() == ["x"]


def test_who_may_write_but_not_remove_is_told_before_the_work(server: Proxy) -> None:
    server.begin(Fault(method="DELETE", status=403, times=-1))
    with pytest.raises(OutputUnwritable, match=r"access is denied \(HTTP status 403\)"):
        Storage(RUN).check_writable()


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_S3_ENDPOINT", "127.0.0.1:1")
    with pytest.raises(SourceUnreadable, match=r"the server cannot be reached \(tried 4 times .*AWS_S3_ENDPOINT"):
        Storage(RUN).names()


def test_endpoints_are_taken_from_either_variable(s3: Any, server: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    put(s3, "runs/a/x")
    for name in ("AWS_S3_ENDPOINT", "AWS_HTTPS", "AWS_VIRTUAL_HOSTING"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{server.host}")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_REQUEST_PAYER", "requester")
    assert Storage(RUN).names() == ["x"]
    asked = server.requests[-1].headers
    assert "/eu-central-1/s3/" in asked["authorization"]
    assert asked["x-amz-request-payer"] == "requester"


def test_copies_are_fetched_once_for_each_version(s3: Any, server: Proxy) -> None:
    put(s3, "labels.gpkg", b"one")
    copy = fetched("s3://maps/labels.gpkg")
    assert (copy.name, copy.read_bytes()) == ("labels.gpkg", b"one")
    server.begin()
    assert fetched("s3://maps/labels.gpkg") == copy
    assert server.asked("GET") == 0
    put(s3, "labels.gpkg", b"two")
    assert fetched("s3://maps/labels.gpkg").read_bytes() == b"two"
    server.begin(Fault(method="HEAD", status=503, times=-1))
    with pytest.raises(SourceUnreadable, match="HTTP status 503"):
        fetched("s3://maps/labels.gpkg")


def test_threads_share_a_connection(s3: Any, tmp_path: Path) -> None:
    run = Storage(RUN)
    path = file(tmp_path)
    threads = [threading.Thread(target=run.store, args=(path, str(k))) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert run.names() == ["0", "1", "2", "3"]
    assert service._objects.cache_info().currsize <= 4
