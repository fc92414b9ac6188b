"""Metrics: one file per task, each streaming over a data set and blind to ignored pixels."""

from geodl.metrics.segmentation import SegmentationMetrics

__all__ = ("SegmentationMetrics",)
