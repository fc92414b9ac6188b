"""Networks of geodl for series in plain torch, to be measured against: for complete series, as gaps need more than torch has."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ("TorchLSTM", "TorchTempCNN")

_DATES = 3
"""Channels that tell when a date was observed."""


class _Twin(nn.Module):
    """What both have in common: the features of the dates, and how weights are taken."""

    def _features(self, values: Tensor, days: Tensor) -> Tensor:
        """Returns (batch, time, bands + 3) as `geodl.models.dates.series_features` does without gaps."""
        season = (days - 1) * (2 * math.pi / 365.25)
        gap = F.pad(days[:, 1:] - days[:, :-1], (1, 0))
        told = torch.stack([torch.sin(season), torch.cos(season), torch.log1p(gap) / math.log1p(365.25)], -1)
        return torch.cat([values, told], -1)

    def _copy(self, own: Tensor, array: np.ndarray) -> None:
        assert own.shape == array.shape, f"expected {tuple(own.shape)}, received {array.shape}"
        with torch.no_grad():
            own.copy_(torch.from_numpy(np.ascontiguousarray(array)))

    def _copy_norm(self, norm: nn.BatchNorm1d, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        fields = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
        for own, field in fields.items():
            self._copy(getattr(norm, own), arrays[f"{name}/{field}"])


class TorchLSTM(_Twin):
    """`geodl.models.SeriesLSTM` with its last states, bidirectional.

    Args:
        bands: bands of the series.
        classes: classes of the output.
        units: length of the state of each direction.
        depth: layers.
    """

    def __init__(self, bands: int, classes: int, *, units: int = 128, depth: int = 2) -> None:
        super().__init__()
        self.units, self.depth = units, depth
        self.lstm = nn.LSTM(bands + _DATES, units, depth, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * units, classes)

    def forward(self, values: Tensor, days: Tensor) -> Tensor:
        """Returns logits (batch, classes) of values (batch, time, band) and days (batch, time)."""
        states, _ = self.lstm(self._features(values, days))
        return self.head(torch.cat([states[:, -1, : self.units], states[:, 0, self.units :]], -1))

    def take(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copies weights of the Keras network, by path."""
        for layer in range(self.depth):
            for suffix, direction in (("", "forward"), ("_reverse", "backward")):
                cell = f"layer{layer + 1}_{direction}/lstm_cell"
                self._copy(getattr(self.lstm, f"weight_ih_l{layer}{suffix}"), arrays[f"{cell}/kernel"].T)
                self._copy(getattr(self.lstm, f"weight_hh_l{layer}{suffix}"), arrays[f"{cell}/recurrent_kernel"].T)
                bias = arrays[f"{cell}/bias"]
                self._copy(getattr(self.lstm, f"bias_ih_l{layer}{suffix}"), bias)
                self._copy(getattr(self.lstm, f"bias_hh_l{layer}{suffix}"), np.zeros_like(bias))
        self._copy(self.head.weight, arrays["head/kernel"].T)
        self._copy(self.head.bias, arrays["head/bias"])


class TorchTempCNN(_Twin):
    """`geodl.models.TempCNN` of a fixed length.

    Args:
        bands: bands of the series.
        classes: classes of the output.
        length: dates of a series.
        filters: channels of each convolution.
        kernel: dates of its window.
        depth: convolutions.
        dense: units of the dense layer.
    """

    def __init__(
        self,
        bands: int,
        classes: int,
        *,
        length: int,
        filters: int = 64,
        kernel: int = 5,
        depth: int = 3,
        dense: int = 256,
    ) -> None:
        super().__init__()
        channels = [bands + _DATES, *[filters] * depth]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels[i], filters, kernel, padding="same", bias=False) for i in range(depth)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(filters, eps=1e-3) for _ in range(depth))
        self.dense = nn.Linear(length * filters, dense, bias=False)
        self.dense_norm = nn.BatchNorm1d(dense, eps=1e-3)
        self.head = nn.Linear(dense, classes)

    def forward(self, values: Tensor, days: Tensor) -> Tensor:
        """Returns logits (batch, classes) of values (batch, time, band) and days (batch, time)."""
        x = self._features(values, days).transpose(1, 2)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.relu(norm(convolution(x)), inplace=True)
        x = F.relu(self.dense_norm(self.dense(x.flatten(1))), inplace=True)
        return self.head(x)

    def take(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copies weights of the Keras network, by path."""
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True), 1):
            self._copy(convolution.weight, arrays[f"block{i}_conv/kernel"].transpose(2, 1, 0))
            self._copy_norm(norm, f"block{i}_norm", arrays)
        # Keras flattens date by date, torch channel by channel.
        kernel = arrays["dense/kernel"]
        filters = self.norms[-1].num_features
        kernel = kernel.reshape(-1, filters, kernel.shape[-1]).transpose(1, 0, 2).reshape(kernel.shape)
        self._copy(self.dense.weight, kernel.T)
        self._copy_norm(self.dense_norm, "dense_norm", arrays)
        self._copy(self.head.weight, arrays["head/kernel"].T)
        self._copy(self.head.bias, arrays["head/bias"])
