"""Metrics: one file per task, each streaming over a data set and blind to ignored pixels."""

from geodl.metrics.despeckling import DespecklingMetrics
from geodl.metrics.restoration import RestorationMetrics
from geodl.metrics.segmentation import SegmentationMetrics

__all__ = ("DespecklingMetrics", "RestorationMetrics", "SegmentationMetrics")
