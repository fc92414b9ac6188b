"""Which files hold the frames of an event, which events a folder holds, and what to call them."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from geodl.data.cubeword import CUBE_EXTENSIONS, CubeWord
from geodl.data.files import common_name, find_files, is_local, stem
from geodl.data.radar.formats import RADAR_EXTENSIONS, is_radar_file
from geodl.errors import EmptyDataset

__all__ = ("event_name", "find_events", "frame_files")


def find_events(where: Any) -> list[Any]:
    """Lists the events that `where` means; see `geodl.data.radar.find_sequences`."""
    if isinstance(where, (list, tuple)):
        if not where:
            raise EmptyDataset("radar sequences", expected="at least one", received="an empty list")
        return [spec for item in where for spec in find_events(item)]
    if not isinstance(where, (str, os.PathLike)):
        return [where]
    text = os.fspath(where)
    if not os.path.isdir(text) or CubeWord.read(text) is not None:
        folders = sorted(path for path in glob.glob(text) if os.path.isdir(path)) if _is_pattern(text) else []
        if not folders:
            frame_files(text)
        return folders or [text]
    if _frames_in(text):
        return [text]
    folders = sorted(entry.path for entry in os.scandir(text) if entry.is_dir() and not entry.name.startswith("."))
    filled = [folder for folder in folders if _frames_in(folder)]
    return filled or _empty(text)


def frame_files(thing: Any) -> list[str]:
    """Lists the files, or words for NetCDF files, that hold the frames of one event.

    Args:
        thing: a folder, a glob, a list of files, or one file.

    Raises:
        EmptyDataset: there is none.
        SourceUnreadable: there is no such file or folder.
    """
    if isinstance(thing, (list, tuple)):
        if not thing:
            raise EmptyDataset("radar frames", expected="at least one file", received="an empty list")
        return list(dict.fromkeys(path for item in thing for path in frame_files(item)))
    text = os.fspath(thing)
    word = CubeWord.read(text)
    if word is not None:
        found = find_files(word.path, extensions=CUBE_EXTENSIONS, what="NetCDF files", folders=_is_store)
        return [str(replace(word, path=path)) for path in found]
    if os.path.isdir(text):
        return _frames_in(text) or _empty(text)
    return find_files(text, extensions=RADAR_EXTENSIONS, what="radar frames", folders=_is_store)


def _frames_in(folder: str) -> list[str]:
    paths = [os.path.join(folder, entry) for entry in os.listdir(folder) if not entry.startswith(".")]
    held = [path for path in paths if is_radar_file(path) and (os.path.isfile(path) or _is_store(path))]
    return sorted(held)


def _is_store(path: str) -> bool:
    return os.path.isdir(path) and CubeWord.read(path) is not None


def _is_pattern(text: str) -> bool:
    return is_local(text) and glob.has_magic(text) and not os.path.exists(text)


def _empty(folder: str) -> list[str]:
    count = len(os.listdir(folder))
    raise EmptyDataset(
        folder,
        expected=f"radar frames ({', '.join(RADAR_EXTENSIONS)}), or folders of them",
        received=f"{count} other entries" if count else "an empty folder",
    )


def event_name(thing: Any, paths: Sequence[str]) -> str:
    """Names the event that `thing` is: after its folder, else after what the names of its files have in common."""
    if not isinstance(thing, (str, os.PathLike)):
        return common_name(paths) if paths else str(getattr(thing, "name", None) or "array")
    text = os.fspath(thing)
    if os.path.isdir(text) and not _is_store(text):
        return os.path.basename(os.path.abspath(text))
    word = CubeWord.read(text)
    if _is_pattern(word.path if word is not None else text):
        return common_name(paths) if len(paths) > 1 else os.path.basename(os.path.dirname(os.path.abspath(text)))
    return word.name if word is not None else stem(text)
