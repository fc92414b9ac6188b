"""Checking a data set's folder against what was fetched and against its card."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from geodl.cards import check_folder, get
from geodl.errors import SourceUnreadable
from tests.cards.publisher import Publisher, publish

B = bytes(range(256)) * 40


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with publish(b=B, c=B[::-1]) as found:
        yield found


@pytest.fixture
def fetched(publisher: Publisher, carded: Callable[..., str], sha256: Callable[[bytes], str]) -> Path:
    files = [
        {"path": "sub/b.bin", "url": publisher.url("b"), "checksum": sha256(B)},
        {"path": "c.bin", "url": publisher.url("c")},
    ]
    return get(carded(files=files)).folder


def test_what_was_fetched_is_right(fetched: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    assert check_folder(fetched, progress=lambda *step: told.append(step)) == []
    assert {(path, total) for path, _, total in told} == {("c.bin", 2), ("sub/b.bin", 2)}


@pytest.mark.parametrize("name", ["sub/b.bin", "c.bin"])
@pytest.mark.parametrize("at", [0, 5000, len(B) - 1])
def test_a_flipped_bit_is_found(fetched: Path, name: str, at: int) -> None:
    content = bytearray((fetched / name).read_bytes())
    content[at] ^= 1
    (fetched / name).write_bytes(content)
    assert check_folder(fetched) == [f"{name} has another content than when it was fetched: its SHA-256 differs."]


def test_missing_cut_and_foreign_files_are_found(fetched: Path) -> None:
    (fetched / "sub/b.bin").unlink()
    (fetched / "c.bin").write_bytes(B[:100])
    (fetched / "sub/mine.txt").write_text("x")
    assert sorted(check_folder(fetched)) == [
        "c.bin has 100 bytes. Expected 10,240.",
        "sub/b.bin is missing.",
        "sub/mine.txt is not of the data set.",
    ]


def test_a_link_is_not_taken_for_the_file(fetched: Path, tmp_path: Path) -> None:
    (fetched / "c.bin").rename(tmp_path / "elsewhere")
    (fetched / "c.bin").symlink_to(tmp_path / "elsewhere")
    assert check_folder(fetched) == ["c.bin is missing."]


def test_a_newer_card_is_noticed(
    fetched: Path, publisher: Publisher, carded: Callable[..., str], sha256: Callable[[bytes], str]
) -> None:
    files = [
        {"path": "sub/b.bin", "url": publisher.url("b"), "checksum": sha256(b"new")},
        {"path": "c.bin", "url": publisher.url("c"), "bytes": 7},
        {"path": "d.bin", "url": publisher.url("c")},
    ]
    carded(files=files)
    assert check_folder(fetched) == [
        "sub/b.bin is another file by now, as the card says: run geodl data get mine again.",
        "c.bin is another file by now, as the card says: run geodl data get mine again.",
        "d.bin was not fetched, and the card has it by now: run geodl data get mine again.",
    ]


def test_what_is_not_complete_is_said(publisher: Publisher, carded: Callable[..., str], tmp_path: Path) -> None:
    files = [{"path": "b.bin", "url": publisher.url("b")}, {"path": "d.bin", "url": publisher.url("gone")}]
    with pytest.raises(SourceUnreadable):
        get(carded(files=files), tmp_path / "own")
    assert check_folder(tmp_path / "own")[0] == "It is not complete: run geodl data get mine again."


def test_another_folder_holds_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match=r"it holds no data set \(.geodl-dataset.json is missing\)"):
        check_folder(tmp_path)
