"""How the weights of a large network are shared among devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from geodl.errors import RecipeError

__all__ = ("ModelParallel",)


class ModelParallel(keras.distribution.ModelParallel):
    """Splits weights along their output channels, as far as nothing else was asked for.

    A kernel (of two axes or more) whose last axis is a multiple of the devices along the axis `model` is split there;
    with it go its optimiser's moments, which are most of what training keeps. All else is on every device.

    Args:
        mesh: devices along the axes `batch` and `model`.
        layout: regular expression of a variable's path to the name of the mesh axis, or None, for each of its axes.

    Raises:
        RecipeError: an axis of `layout` is none of the mesh.

    Example:
        >>> mesh = keras.distribution.DeviceMesh((2, 4), ("batch", "model"))
        >>> with ModelParallel(mesh, {".*head.*kernel": [None, None, None, None]}).scope():
        ...     network = geodl.models.UNet(channels=4, classes=5, width=256)
    """

    def __init__(self, mesh: keras.distribution.DeviceMesh, layout: Mapping[str, list[str | None]]) -> None:
        asked = keras.distribution.LayoutMap(mesh)
        for path, axes in layout.items():
            try:
                asked[path] = tuple(axes)
            except ValueError as error:
                raise RecipeError("distribution.layout", f"{path}: {error}") from error
        super().__init__(layout_map=asked, batch_dim_name="batch", auto_shard_dataset=False)
        self._asked = asked
        self._sharing = dict(zip(mesh.axis_names, mesh.shape, strict=True))["model"]

    def get_variable_layout(self, variable: Any) -> keras.distribution.TensorLayout:
        """Returns where the parts of a variable are."""
        shape = tuple(variable.shape)
        told = getattr(variable, "_layout", None) is not None or self._asked[variable.path] is not None
        if told or len(shape) < 2 or shape[-1] % self._sharing:
            return super().get_variable_layout(variable)
        return keras.distribution.TensorLayout((*[None] * (len(shape) - 1), "model"), self.device_mesh)
