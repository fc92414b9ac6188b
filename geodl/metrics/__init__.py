"""Metrics: one file per task, each streaming over a data set and blind to ignored pixels."""

from geodl.metrics.bootstrap import intervals, paired_difference
from geodl.metrics.classification import ClassificationMetrics
from geodl.metrics.despeckling import DespecklingMetrics
from geodl.metrics.nowcast import NowcastMetrics
from geodl.metrics.pooling import combine, nowcast_scores
from geodl.metrics.restoration import RestorationMetrics
from geodl.metrics.segmentation import SegmentationMetrics

__all__ = (
    "ClassificationMetrics",
    "DespecklingMetrics",
    "NowcastMetrics",
    "RestorationMetrics",
    "SegmentationMetrics",
    "combine",
    "intervals",
    "nowcast_scores",
    "paired_difference",
)
