"""Decoded frames kept in memory, for all sequences of the process together."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np

from geodl.data.radar.frames import Frame
from geodl.errors import SourceUnreadable

__all__ = ("FRAMES", "FrameCache")


class _Slot:
    """A frame that the first of several threads decodes while the others wait for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values: np.ndarray | None = None


class FrameCache:
    """The frames that were used last, decoded. Safe to use from several threads.

    Args:
        limit: bytes that are kept; frames that are in use are not counted.
    """

    def __init__(self, limit: int = 1 << 30) -> None:
        self.limit = limit
        self.bytes = 0
        self._slots: OrderedDict[Frame, _Slot] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, frame: Frame) -> np.ndarray:
        """Returns the rain rates of a frame: mm/h, float32, (height, width), NaN where nodata. Not to be written into.

        Raises:
            SourceUnreadable: the file is missing, damaged or has changed its size.
        """
        with self._lock:
            slot = self._slots.setdefault(frame, _Slot())
            self._slots.move_to_end(frame)
        with slot.lock:
            if slot.values is None:
                try:
                    slot.values = _decoded(frame)
                finally:
                    self._account(frame, slot)
            return slot.values

    def _account(self, frame: Frame, slot: _Slot) -> None:
        with self._lock:
            if self._slots.get(frame) is not slot:
                return
            if slot.values is None:
                del self._slots[frame]
                return
            self.bytes += slot.values.nbytes
            for oldest, other in list(self._slots.items()):
                if self.bytes <= self.limit:
                    break
                if other.values is not None:
                    self.bytes -= other.values.nbytes
                    del self._slots[oldest]


def _decoded(frame: Frame) -> np.ndarray:
    values = np.asarray(frame.load(), np.float32)
    if values.shape != frame.grid.shape:
        raise SourceUnreadable(
            frame.path, f"it holds {values.shape} pixels, and {frame.grid.shape} when it was opened"
        )  # fmt: skip
    values.flags.writeable = False
    return values


FRAMES = FrameCache()
"""What every sequence reads through."""
