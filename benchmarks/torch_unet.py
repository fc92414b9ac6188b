"""The U-Net of `geodl.models` in PyTorch: the peer that networks, runtimes and training are measured against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ("TorchUNet",)


class TorchUNet(nn.Module):
    """Layer by layer what `geodl.models.UNet` with batch normalisation and without a stem is; modules bear its names.

    Args:
        channels: bands of the input.
        classes: classes of the output.
        width: channels of the first level.
        depth: number of poolings.
        mean: training mean per band. Defaults to 0.
        std: training standard deviation per band. Defaults to 1.

    Example:
        >>> network = TorchUNet(4, 5).to(memory_format=torch.channels_last).eval()
        >>> network(torch.zeros(1, 4, 300, 200)).shape
        torch.Size([1, 5, 300, 200])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        width: int = 16,
        depth: int = 4,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.depth = depth
        widths = [width * 2**level for level in range(depth + 1)]
        self.register_buffer("mean", torch.tensor(mean or [0.0] * channels).reshape(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std or [1.0] * channels).reshape(1, -1, 1, 1))
        for level, filters in enumerate(widths):
            self._add_block(f"down{level}", widths[level - 1] if level else channels, filters)
        for level in reversed(range(depth)):
            self.add_module(f"up{level}_conv", nn.Conv2d(widths[level + 1], widths[level], 1))
            self._add_block(f"up{level}", 2 * widths[level], widths[level])
        self.add_module("head", nn.Conv2d(width, classes, 1))

    def _add_block(self, name: str, channels: int, filters: int) -> None:
        for i in (1, 2):
            self.add_module(f"{name}_conv{i}", nn.Conv2d(channels, filters, 3, padding=1, bias=False))
            self.add_module(f"{name}_conv{i}_norm", nn.BatchNorm2d(filters, eps=1e-3, momentum=0.1))
            channels = filters

    def _block(self, name: str, x: Tensor) -> Tensor:
        for i in (1, 2):
            x = self.get_submodule(f"{name}_conv{i}_norm")(self.get_submodule(f"{name}_conv{i}")(x))
            x = F.relu(x, inplace=True)
        return x

    def forward(self, image: Tensor) -> Tensor:
        """Returns logits (batch, classes, height, width) of an image (batch, channels, height, width)."""
        height, width = image.shape[-2:]
        multiple = 2**self.depth
        x = torch.where(torch.isfinite(image), (image - self.mean) / self.std, 0.0)
        if height % multiple or width % multiple:
            x = F.pad(x, (0, -width % multiple, 0, -height % multiple))
        skips = []
        for level in range(self.depth):
            x = self._block(f"down{level}", x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self._block(f"down{self.depth}", x)
        for level in reversed(range(self.depth)):
            x = F.interpolate(self.get_submodule(f"up{level}_conv")(x), scale_factor=2.0, mode="nearest")
            x = self._block(f"up{level}", torch.cat([skips[level], x], dim=1))
        return self.get_submodule("head")(x)[..., :height, :width]

    def take(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copies weights of the Keras network.

        Args:
            arrays: by path, such as `down0_conv1/kernel` (height, width, in, out) or `down0_conv1_norm/moving_mean`:
                those that this network has, and no others.
        """
        taken = set()
        with torch.no_grad():
            for name, own in [*self.named_parameters(), *self.named_buffers()]:
                module, _, field = name.rpartition(".")
                if not module or field == "num_batches_tracked":
                    continue
                taken.add(f"{module}/{_field(module, field)}")
                value = torch.tensor(arrays[f"{module}/{_field(module, field)}"])
                own.copy_(value.permute(3, 2, 0, 1) if value.ndim == 4 else value)
        assert taken == set(arrays), f"not in the twin: {sorted(set(arrays) - taken)}"


def _field(module: str, field: str) -> str:
    """Keras' name of a parameter."""
    if not module.endswith("_norm"):
        return {"weight": "kernel", "bias": "bias"}[field]
    return {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}[field]
