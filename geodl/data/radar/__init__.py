"""Radar sequences: rain rates (time, y, x) in mm/h out of the many formats in which weather services keep them."""

from geodl.data.radar.frames import Frame
from geodl.data.radar.opening import find_sequences, open_sequence
from geodl.data.radar.sequence import RadarSequence
from geodl.physics.rain import ZR

__all__ = ("ZR", "Frame", "RadarSequence", "find_sequences", "open_sequence")
