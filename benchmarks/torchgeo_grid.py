"""TorchGeo's way over a scene: a grid of overlapping patches, as its tutorials walk it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

__all__ = ("declare_operators", "grid_loader")


def grid_loader(scene: Path, *, size: int, overlap: int, batch: int, workers: int) -> DataLoader[dict[str, Any]]:
    """Returns a loader of all patches of a scene.

    Args:
        scene: a raster.
        size: side of a patch, in pixels.
        overlap: pixels that neighbouring patches share.
        batch: patches in a batch.
        workers: processes that read ahead.
    """
    declare_operators()
    from torchgeo.datasets import RasterDataset, stack_samples
    from torchgeo.samplers import GridGeoSampler

    dataset = RasterDataset(paths=[scene])
    sampler = GridGeoSampler(dataset, size=size, stride=size - overlap)
    return DataLoader(
        dataset,
        batch_size=batch,
        sampler=sampler,
        num_workers=workers,
        collate_fn=stack_samples,
        # What torch chooses by itself on Linux, but not where it runs in a process that was spawned.
        multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
    )


def declare_operators() -> None:
    """Lets torchvision, which TorchGeo and torchmetrics import, load beside a torch for processors.

    The public index has torchvision for Linux with CUDA only. Its compiled operators do not load without it, and its
    import ends at the first of these that it finds undeclared. None of them is used here.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        # A library's declarations end with it.
        globals()["_library"] = library
