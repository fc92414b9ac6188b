from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geodl.data import remote
from geodl.data.handles import Handle, reading
from geodl.data.remote import is_remote
from geodl.errors import SourceUnreadable
from tests.data.servers import Fault, serve_files, serve_s3

DATA = {"least": 30_000}
"""Of faults: spare the header."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A COG, a plain GeoTIFF with a mask beside it, a PNG, and a text that is called an image."""
    folder = tmp_path_factory.mktemp("remote")
    values = np.random.default_rng(0).integers(1, 2**16, (2, 700, 900), dtype=np.uint16)
    profile = {"width": 900, "height": 700, "count": 2, "dtype": "uint16", "crs": "EPSG:32633"}
    transform = rasterio.transform.from_origin(500_000, 5_000_000, 10, 10)
    with rasterio.open(folder / "plain.tif", "w", driver="GTiff", transform=transform, **profile) as dataset:
        dataset.write(values)
    copy(folder / "plain.tif", folder / "cog.tif", driver="COG", compress="deflate", blocksize=256, overviews="none")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="NO"), rasterio.open(folder / "plain.tif", "r+") as dataset:
        dataset.write_mask(np.arange(700 * 900).reshape(700, 900) % 3 > 0)
    assert (folder / "plain.tif.msk").exists()
    with rasterio.open(folder / "a.png", "w", driver="PNG", width=90, height=70, count=1, dtype="uint8") as dataset:
        dataset.write(values[:1, :70, :90].astype(np.uint8))
    (folder / "text.tif").write_text("not an image " * 99)
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.001")
    monkeypatch.setenv("GDAL_HTTP_LOW_SPEED_TIME", "1")


def read(path: str, window: Window | None = None) -> np.ndarray:
    return Handle(path).use(lambda dataset: dataset.read(window=window, masked=True))


def local(path: Path, window: Window | None = None) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(window=window, masked=True)


@pytest.mark.parametrize(
    "path",
    ["https://host/a.tif", "s3://b/a.tif", "gs://b/a.tif", "az://b/a.tif", "/vsicurl/https://host/a.tif", "/vsis3/b/a"],
)
def test_what_is_remote(path: str) -> None:
    assert is_remote(path)


@pytest.mark.parametrize("path", ["a.tif", "/data/s3/a.tif", "C:/a.tif", "/vsimem/a.tif", "/vsizip//tmp/a.zip/a.tif"])
def test_what_is_not(path: str) -> None:
    assert not is_remote(path)


def test_a_virtual_file_is_remote_if_a_source_is(tmp_path: Path) -> None:
    for name, source, expected in (("a.vrt", "/vsicurl/https://h/a.tif", True), ("b.vrt", "a.tif", False)):
        (tmp_path / name).write_text(f'<VRTDataset><SourceFilename relativeToVRT="0">{source}</SourceFilename>')
        assert is_remote(str(tmp_path / name)) is expected
    assert not is_remote(str(tmp_path / "missing.vrt"))


def test_a_cog_is_read_by_ranges_and_nothing_else_is_asked_for(folder: Path) -> None:
    window = Window(10, 20, 200, 100)
    with serve_files(folder) as server:
        values = read(server.url("cog.tif"), window)
        np.testing.assert_array_equal(values.data, local(folder / "cog.tif", window).data)
        assert {request.path for request in server.requests()} == {"cog.tif"}
        with rasterio.open(folder / "cog.tif") as dataset:
            block = dataset.block_size(1, 0, 0)
        header = 32_768
        assert server.requested() <= header + 2 * block + 65_536 < (folder / "cog.tif").stat().st_size / 2


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(
    "fault",
    [
        {"share": 0.5, "then": "close"},
        {"share": 0.0, "then": "close"},
        {"share": 0.3, "then": "reset"},
        {"share": 0.0, "then": "reset"},
        {"status": 503},
        {"status": 500},
        {"status": 403},
        {"ranges": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("part", ["data", "header", "one block"])
def test_values_are_those_of_the_file_whatever_fails(
    folder: Path, fault: dict[str, object], times: int, part: str
) -> None:
    window = Window(5, 5, 40, 40) if part == "one block" else None
    bad = Fault(times=times, **(DATA if part != "header" else {}), **fault)  # type: ignore[arg-type]
    with serve_files(folder, [bad]) as server:
        values = read(server.url("cog.tif"), window)
        np.testing.assert_array_equal(values.data, local(folder / "cog.tif", window).data)


def test_a_stalled_transfer_is_given_up_and_made_again(folder: Path) -> None:
    with serve_files(folder, [Fault(share=0.0, then="stall", **DATA)]) as server:
        np.testing.assert_array_equal(read(server.url("cog.tif")).data, local(folder / "cog.tif").data)


def test_a_failure_to_open_is_not_remembered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_files(folder, [Fault(method="HEAD", status=503, times=1)]) as server:
        monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
        with pytest.raises(SourceUnreadable, match="HTTP status 503"):
            Handle(server.url("cog.tif")).dataset()
        monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "1")
        assert Handle(server.url("cog.tif")).dataset().shape == (700, 900)


@pytest.mark.parametrize(
    ("name", "fault", "sentence"),
    [
        ("cog.tif", {"then": "reset", "share": 0.1, **DATA}, r"the connection broke.* \(tried 3 times in .*Try again"),
        ("cog.tif", {"method": "HEAD", "status": 503}, r"HTTP status 503 \(tried 3 times .*Try again later"),
        ("cog.tif", {"method": "HEAD", "status": 403}, r"access is denied \(HTTP status 403\)\. Sign the URL"),
        ("cog.tif", {"method": "HEAD", "status": 401}, r"access is denied \(HTTP status 401\)\. Sign the URL"),
        ("cog.tif", {"method": "HEAD|GET", "ranges": False}, r"sends whole files only.*Download the file first"),
        ("gone.tif", {"skip": 99}, r"there is no such file\. Check the address"),
        ("text.tif", {"skip": 99}, r"it is not an image.*Check the address"),
        ("a.png", {"skip": 99}, r"format \(PNG\) cannot be read safely over a network.*Download it first"),
    ],
)
def test_what_cannot_be_had_is_said_in_one_sentence(
    folder: Path,
    name: str,
    fault: dict[str, object],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "2")
    with serve_files(folder, [Fault(times=-1, **fault)]) as server:  # type: ignore[arg-type]
        url = server.url(name)
        with pytest.raises(SourceUnreadable, match=f"^Cannot read {url}: .*{sentence}"):
            read(url + "?signature=secret")
    assert capfd.readouterr() == ("", "")


def test_a_server_that_is_not_there() -> None:
    with serve_files(Path()) as server:
        url = server.url("a.tif")
    with pytest.raises(SourceUnreadable, match=r"the server cannot be reached \(.*\) \(tried 4 times.*Check the addr"):
        read(url)


def test_nothing_is_tried_again_when_it_has_taken_long(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PATIENCE", -1.0)
    sentence = r"the connection broke, or the file is damaged\. Try"
    with (
        serve_files(folder, [Fault(share=0.1, then="reset", times=-1, **DATA)]) as server,
        pytest.raises(SourceUnreadable, match=sentence),
    ):
        read(server.url("cog.tif"))


@pytest.mark.parametrize("fault", [[], [Fault(path=".*msk", method="HEAD", status=503, times=2)]])
def test_what_lies_beside_a_plain_file_is_found(folder: Path, fault: list[Fault]) -> None:
    with serve_files(folder, fault) as server:
        values = read(server.url("plain.tif"))
        np.testing.assert_array_equal(values.mask, local(folder / "plain.tif").mask)
        assert 0.3 < values.mask.mean() < 0.4


def test_the_environment_has_the_last_word(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR")
    monkeypatch.setenv("GDAL_INGESTED_BYTES_AT_OPEN", "65536")
    with serve_files(folder) as server:
        assert not read(server.url("plain.tif")).mask.any()
        assert next(request.length for request in server.requests() if request.method == "GET") == 65_536
    with remote.configured(), rasterio.Env(GDAL_HTTP_MAX_RETRY=7), remote.configured():
        assert str(rasterio.env.getenv()["GDAL_HTTP_MAX_RETRY"]) == "7"


def test_settings_hold_while_reading(folder: Path) -> None:
    with serve_files(folder) as server, reading(server.url("cog.tif")):
        assert rasterio.env.getenv().items() >= {"GDAL_HTTP_CONNECTTIMEOUT": "10"}.items()
    with reading("a.tif"):
        assert "GDAL_HTTP_CONNECTTIMEOUT" not in rasterio.env.getenv()


def test_a_warped_file_is_read_again_where_the_connection_was_cut(folder: Path) -> None:
    def opener(path: str) -> WarpedVRT:
        return WarpedVRT(rasterio.open(path), crs="EPSG:32632")

    with serve_files(folder, [Fault(share=0.5, then="reset", times=3, **DATA)]) as server:
        values = Handle(server.url("cog.tif"), opener).use(lambda dataset: dataset.read())
    with rasterio.open(folder / "cog.tif") as dataset, WarpedVRT(dataset, crs="EPSG:32632") as warped:
        np.testing.assert_array_equal(values, warped.read())


@pytest.fixture(scope="module")
def bucket(folder: Path) -> object:
    boto3 = pytest.importorskip("boto3")
    with serve_s3() as host:
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
        client = boto3.client("s3", endpoint_url=f"http://{host}", **keys)
        client.create_bucket(Bucket="maps")
        client.upload_file(str(folder / "cog.tif"), "maps", "2026/cog.tif")
        yield host


@pytest.fixture
def s3(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = {"AWS_S3_ENDPOINT": bucket, "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE"}
    settings |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    settings |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("boto3", ["with boto3", "without boto3"])
@pytest.mark.parametrize("path", ["s3://maps/2026/cog.tif", "/vsis3/maps/2026/cog.tif"])
def test_s3(folder: Path, path: str, boto3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if boto3 == "without boto3":
        monkeypatch.setattr("rasterio.session.boto3", None)
    np.testing.assert_array_equal(read(path).data, local(folder / "cog.tif").data)


@pytest.mark.usefixtures("s3")
def test_what_is_not_in_s3() -> None:
    with pytest.raises(SourceUnreadable, match=r"maps/no\.tif: there is no such file\. Check the address"):
        read("s3://maps/no.tif")
    with pytest.raises(SourceUnreadable, match=r"there is no such bucket\. Check the address, and AWS_REGION"):
        read("s3://nomaps/cog.tif")


@pytest.mark.usefixtures("s3")
def test_without_credentials_for_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(SourceUnreadable, match=r"access is denied\. Set AWS_PROFILE .*AWS_REGION; AWS_NO_SIGN_REQUEST"):
        read("s3://maps/another.tif")
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    assert read("s3://maps/2026/cog.tif", Window(0, 0, 1, 1)).shape == (2, 1, 1)


def test_credentials_cost_nothing_while_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setattr("rasterio.session.AWSSession.__init__", pytest.fail)
    with remote.configured():
        assert os.environ["AWS_ACCESS_KEY_ID"] == "a"
