"""Fetching single files from a publisher who fails."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from geodl.cards.download import Wanted, download
from geodl.errors import OutputUnwritable, SourceUnreadable
from tests.cards.publisher import Publisher, publish

DATA = random.Random(0).randbytes(600_000)
SHA256 = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
MD5 = f"md5:{hashlib.md5(DATA).hexdigest()}"


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with publish(a=DATA) as found:
        yield found


def wanted(publisher: Publisher, *mirrors: str, checksum: str | None = SHA256, size: int | None = len(DATA)) -> Wanted:
    return Wanted("a.bin", (publisher.url("a"), *mirrors), checksum, size)


@pytest.mark.parametrize("checksum", [SHA256, MD5, None], ids=["sha256", "md5", "unknown"])
def test_a_file_comes_whole(publisher: Publisher, tmp_path: Path, checksum: str | None) -> None:
    told: list[tuple[str, int, int | None]] = []
    asked = wanted(publisher, checksum=checksum, size=None)
    whole, url = download(asked, tmp_path, progress=lambda *step: told.append(step))
    assert (whole.read_bytes(), url) == (DATA, publisher.url("a"))
    assert told[-1] == ("a.bin", len(DATA), len(DATA))
    assert [step[1] for step in told] == sorted(step[1] for step in told)
    assert list(tmp_path.iterdir()) == [whole]


def test_a_slow_publisher_is_waited_for(publisher: Publisher, tmp_path: Path) -> None:
    publisher.chunk, publisher.pause = 100_000, 0.02
    assert download(wanted(publisher), tmp_path)[0].read_bytes() == DATA
    assert publisher.sent("a") == len(DATA)


def test_an_error_that_passes_is_tried_again(publisher: Publisher, tmp_path: Path) -> None:
    publisher.statuses["a"] = [500, 503]
    assert download(wanted(publisher), tmp_path)[0].read_bytes() == DATA


def test_what_was_cut_off_goes_on_where_it_stopped(publisher: Publisher, tmp_path: Path) -> None:
    publisher.cuts["a"] = [250_000]
    assert download(wanted(publisher), tmp_path)[0].read_bytes() == DATA
    assert publisher.asked == [("a", 0, 250_000), ("a", 250_000, 350_000)]


def interrupted(publisher: Publisher, folder: Path, checksum: str | None = SHA256) -> None:
    """Leaves the first 250,000 bytes, as the end of the process would."""
    publisher.cuts["a"] = [250_000] + [0] * 10
    with pytest.raises(SourceUnreadable, match=r"the connection broke \(tried 3 times"):
        download(wanted(publisher, checksum=checksum), folder)
    publisher.cuts.clear()
    publisher.asked.clear()
    assert next(folder.glob("*.part")).stat().st_size == 250_000


def test_a_later_call_goes_on_where_the_last_one_stopped(publisher: Publisher, tmp_path: Path) -> None:
    interrupted(publisher, tmp_path)
    assert download(wanted(publisher), tmp_path)[0].read_bytes() == DATA
    assert publisher.asked == [("a", 250_000, 350_000)]


def test_a_file_that_changed_meanwhile_is_begun_anew(publisher: Publisher, tmp_path: Path) -> None:
    interrupted(publisher, tmp_path, None)
    publisher.files["a"] = DATA[::-1]
    assert download(wanted(publisher, checksum=None), tmp_path)[0].read_bytes() == DATA[::-1]
    assert publisher.asked == [("a", 0, len(DATA))]


def test_without_versions_and_checksums_nothing_is_continued(publisher: Publisher, tmp_path: Path) -> None:
    publisher.etags = False
    interrupted(publisher, tmp_path, None)
    publisher.files["a"] = DATA[::-1]
    assert download(wanted(publisher, checksum=None), tmp_path)[0].read_bytes() == DATA[::-1]


def test_without_versions_the_checksum_tells_that_the_beginning_was_of_something_else(
    publisher: Publisher, tmp_path: Path
) -> None:
    publisher.etags = False
    publisher.files["a"] = DATA[::-1]
    interrupted(publisher, tmp_path)
    publisher.files["a"] = DATA
    assert download(wanted(publisher), tmp_path)[0].read_bytes() == DATA
    assert [start for _, start, _ in publisher.asked] == [250_000, 0]


def test_a_publisher_who_overlooks_ranges_sends_all_again(publisher: Publisher, tmp_path: Path) -> None:
    interrupted(publisher, tmp_path)
    publisher.ranges = False
    assert download(wanted(publisher), tmp_path)[0].read_bytes() == DATA


def test_a_wrong_checksum_leaves_nothing(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["a"] = DATA[:-1] + bytes([DATA[-1] ^ 1])
    received = hashlib.sha256(publisher.files["a"]).hexdigest()
    sentence = f"not the published file: expected sha256 {SHA256[7:]}, received {received}"
    with pytest.raises(SourceUnreadable, match=sentence):
        download(wanted(publisher), tmp_path)
    assert not list(tmp_path.iterdir())


def test_another_size_is_refused_before_anything_is_fetched(publisher: Publisher, tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="the server has 600,000 bytes, and the card says 7"):
        download(wanted(publisher, size=7), tmp_path)
    assert not publisher.asked


@pytest.mark.parametrize("longer", [1000, -1000])
def test_a_wrong_content_length_is_noticed(publisher: Publisher, tmp_path: Path, longer: int) -> None:
    publisher.longer = longer
    with pytest.raises(SourceUnreadable):
        download(wanted(publisher, checksum=None), tmp_path)
    assert not list(tmp_path.glob("*.whole"))


def test_a_file_that_is_gone_names_the_homepage(publisher: Publisher, tmp_path: Path) -> None:
    del publisher.files["a"]
    with pytest.raises(SourceUnreadable) as error:
        download(wanted(publisher), tmp_path, homepage="https://publisher.example")
    assert str(error.value) == (
        f"Cannot read {publisher.url('a')}: there is no such file. "
        "Look whether the publisher moved it: https://publisher.example."
    )


@pytest.mark.parametrize("first", ["gone", "other"])
def test_mirrors_are_tried_in_turn(publisher: Publisher, tmp_path: Path, first: str) -> None:
    publisher.files |= {"other": b"x" * len(DATA), "mirror": DATA}
    urls = (publisher.url(first), publisher.url("gone2"), publisher.url("mirror"))
    whole, url = download(Wanted("a.bin", urls, SHA256, len(DATA)), tmp_path)
    assert (whole.read_bytes(), url) == (DATA, publisher.url("mirror"))


def test_all_mirrors_are_named_where_none_has_it(publisher: Publisher, tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match=rf"no such file; nor from a mirror: .*\({publisher.url('two')}\)"):
        download(Wanted("a.bin", (publisher.url("one"), publisher.url("two")), None, None), tmp_path)


def test_keys_in_addresses_are_not_shown(publisher: Publisher, tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable) as error:
        download(Wanted("a", (publisher.url("gone?signature=secret"),), None, None), tmp_path)
    assert "secret" not in str(error.value)


def test_a_folder_that_cannot_be_written(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputUnwritable, match="file"):
        download(wanted(publisher), tmp_path / "file" / "folder")
