"""The encoder–forecaster of geodl in plain torch, to be measured against."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

__all__ = ("TorchEncoderForecaster",)


class _Cell(nn.Module):
    """One step of a convolutional LSTM, as most implementations in torch have it: one convolution of input and state."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.filters = filters
        self.gates = nn.Conv2d(channels + filters, 4 * filters, 3, padding=1)

    def forward(self, x: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the next hidden state and cell, each (batch, filters, height, width)."""
        hidden, cell = state
        i, f, o, g = self.gates(torch.cat([x, hidden], 1)).chunk(4, 1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(cell), cell


class TorchEncoderForecaster(nn.Module):
    """`geodl.models.EncoderForecaster` with advected frames, from normalised rain to corrections, channels first.

    Args:
        frames: observed frames.
        leads: lead times.
        widths: filters per level.
        stem: side of the squares of pixels that are folded.
    """

    def __init__(self, frames: int, leads: int, *, widths: Sequence[int], stem: int) -> None:
        super().__init__()
        self.frames, self.leads, self.widths, self.stem = frames, leads, tuple(widths), stem
        levels = range(len(widths))
        self.first = nn.Conv2d(2 * stem**2, widths[0], 3, padding=1)
        halve = [nn.Conv2d(widths[i], widths[i + 1], 2, stride=2) for i in levels[:-1]]
        self.shrink = nn.ModuleList(halve)
        self.shrink_advected = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 2, stride=2) for i in levels[:-1])
        self.enlarge = nn.ModuleList(nn.Conv2d(widths[i + 1], 4 * widths[i], 1) for i in levels[:-1])
        self.encoder = nn.ModuleList(_Cell(w, w) for w in widths)
        self.forecaster = nn.ModuleList(_Cell(w if i == levels[-1] else 2 * w, w) for i, w in enumerate(widths))
        self.last = nn.Conv2d(2 * widths[0], widths[0], 3, padding=1)
        self.head = nn.Conv2d(widths[0], stem**2, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Maps (batch, frames + leads, height, width, 2) to corrections (batch, leads, height, width)."""
        batch, steps, height, width, _ = features.shape
        # A channels-last array seen as channels-first is what torch calls channels_last: nothing is copied.
        images = features.reshape(batch * steps, height, width, 2).permute(0, 3, 1, 2)
        images = F.pixel_unshuffle(images, self.stem).contiguous(memory_format=torch.channels_last)
        images = F.leaky_relu(self.first(images), 0.2)
        seen, ahead = _parted(images, steps, self.frames)
        states, carried = [], []
        for level, cell in enumerate(self.encoder):
            if level:
                seen = F.leaky_relu(self.shrink[level - 1](seen), 0.2)
                ahead = F.leaky_relu(self.shrink_advected[level - 1](ahead), 0.2)
            seen, state = self._run(cell, seen, self.frames, None)
            states.append(state)
            carried.append(ahead)
        below = None
        for level in reversed(range(len(self.widths))):
            x = carried[level]
            if below is not None:
                up = F.leaky_relu(self.enlarge[level](below), 0.2)
                x = torch.cat([x, F.pixel_shuffle(up, 2)], 1)
            below, _ = self._run(self.forecaster[level], x, self.leads, states[level])
        x = F.leaky_relu(self.last(torch.cat([below, carried[0]], 1)), 0.2)
        return F.pixel_shuffle(self.head(x), self.stem).reshape(batch, self.leads, height, width)

    def _run(
        self, cell: nn.Module, images: torch.Tensor, steps: int, state: tuple[torch.Tensor, torch.Tensor] | None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Runs a cell over (batch × steps, channels, height, width)."""
        channels, height, width = images.shape[1:]
        sequence = images.permute(0, 2, 3, 1).reshape(-1, steps, height, width, channels).permute(1, 0, 4, 2, 3)
        if state is None:
            zeros = images.new_zeros(len(images) // steps, cell.filters, height, width)
            zeros = zeros.contiguous(memory_format=torch.channels_last)
            state = (zeros, zeros)
        outputs = []
        for x in sequence:
            state = cell(x, state)
            outputs.append(state[0].permute(0, 2, 3, 1))
        stacked = torch.stack(outputs, 1).reshape(len(images), height, width, -1)
        return stacked.permute(0, 3, 1, 2), state


def _parted(images: torch.Tensor, steps: int, first: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Parts (batch × steps, …) into the first steps and the others."""
    channels, height, width = images.shape[1:]
    sequence = images.permute(0, 2, 3, 1).reshape(-1, steps, height, width, channels)
    one, other = (part.reshape(-1, height, width, channels) for part in (sequence[:, :first], sequence[:, first:]))
    return one.permute(0, 3, 1, 2), other.permute(0, 3, 1, 2)
