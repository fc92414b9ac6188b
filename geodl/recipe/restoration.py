"""Recipes of restoration: what noise, what sensor, and how scores are taken."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from geodl.physics.sensor import Blur
from geodl.recipe.model import Network, Recipe
from geodl.recipe.sections import Section

__all__ = ("DenoisingRecipe", "Noise", "Scoring", "SuperresolutionRecipe", "as_range")


class Scoring(Section):
    """How restored scenes are compared with the truth."""

    reference: Literal["truth", "none"] = "truth"
    """truth: scenes are taken as clean, and degraded to be restored; none: they are noisy themselves, and judged by what
    needs no truth. Then no epoch is chosen: the last is kept."""
    peak: Literal["auto"] | float = "auto"
    """Range of the data that PSNR and SSIM refer to; auto: 255 for 8-bit scenes and for luma, 1 for
    reflectance, else each scene's own."""
    crop: int = Field(default=0, ge=0)
    """Pixels along the borders of a scene that do not count."""
    whole_numbers: Literal["auto"] | bool = "auto"
    """Whether restored values are rounded and kept to 0-255 before they are compared; auto: those of 8-bit scenes are."""

    @field_validator("peak")
    @classmethod
    def _positive(cls, peak: float | str) -> float | str:
        if not isinstance(peak, str) and not peak > 0:
            raise ValueError(f"expected auto, or a number above 0. Received: {peak}.")
        return peak


class Noise(Section):
    """The noise to be removed. Numbers may be a range, [least, greatest], to learn from and remove any in it (blind)."""

    kind: Literal["gaussian", "poisson_gaussian", "speckle", "none"] = "gaussian"
    """What is added to clean scenes; none: the scenes are noisy themselves, and `learn` says how to learn from them."""
    sigma: float | list[float] = 25.0
    """Standard deviation of `gaussian`, and of the detector's part of `poisson_gaussian`, in the scenes' units."""
    gain: float | list[float] = 1.0
    """Variance per unit of the signal of `poisson_gaussian`, in the scenes' units."""
    unit: Literal["auto", "intensity", "amplitude", "dB"] = "auto"
    """What the scenes of radar hold; auto: what they state."""
    looks: float | list[float] = 1.0
    """Number of looks of `speckle`."""
    correlation: float | list[float] = 0.0
    """Standard deviation of the point spread function behind `speckle`, in pixels; 0: white."""
    level: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Standard deviation, in dB, by which the brightness of training samples of `speckle` is varied."""
    contrast: float | list[float] = 1.0
    """Power that intensities of training samples of `speckle` are raised to."""
    learn: Literal["clean", "blind_spot", "noise2noise", "targets", "merlin"] | None = None
    """clean: from scenes without noise; of kind none `blind_spot` (default): from single noisy ones; `noise2noise`: from
    two noisy ones of each place (`data.images` and `data.targets`); `targets`: from noisy ones and the same without noise
    (`data.targets`); `merlin`: from the real and imaginary bands of single-look complex data."""

    @field_validator("sigma", "gain", "looks", "correlation", "contrast")
    @classmethod
    def _in_order(cls, value: float | list[float], info: Any) -> float | list[float]:
        low, high = as_range(value)
        least = {"looks": 0.1, "contrast": 0.1}.get(info.field_name, 0.0)
        if (isinstance(value, list) and len(value) != 2) or not least <= low <= high < float("inf"):
            expected = f"a number of at least {least:g}, or [least, greatest]"
            raise ValueError(f"expected {expected}. Received: {value}.")
        return value

    @model_validator(mode="before")
    @classmethod
    def _way(cls, content: Any) -> Any:
        content = {} if content is None else content
        if isinstance(content, dict) and content.get("learn") is None:
            return {**content, "learn": "blind_spot" if content.get("kind") == "none" else "clean"}
        return content

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if (self.kind == "none") == (self.learn == "clean"):
            noisy = "blind_spot, noise2noise, targets or merlin for kind none"
            expected = noisy if self.kind == "none" else f"clean for kind {self.kind}"
            raise ValueError(f"expected `learn` to be {expected}. Received: {self.learn}.")
        return self

    @property
    def two_looks(self) -> bool:
        """Whether it takes two scenes of each place: those of `data.images` and of `data.targets`."""
        return self.learn in ("noise2noise", "targets")


def as_range(value: float | list[float]) -> tuple[float, float]:
    """Returns least and greatest of what a recipe gives as one number or as two."""
    return (value[0], value[-1]) if isinstance(value, list) and value else (value, value)  # type: ignore[return-value]


class DenoisingRecipe(Recipe):
    """A recipe of the `denoising` pipeline."""

    noise: Noise = Noise(learn="clean")
    scoring: Scoring = Scoring()


class SuperresolutionRecipe(Recipe):
    """A recipe of the `superresolution` pipeline."""

    network: Network = Network(name="auto")
    """auto: edsr of single images, guided of several grids."""
    scale: int = Field(default=2, ge=2, le=8)
    """How many times finer the output is, along y and x; guided: the ratio of the pixel sizes."""
    mode: Literal["single_image", "guided"] = "single_image"
    """single_image: a scene is made finer from itself; guided: its coarse bands are brought to the pixels of its fine ones."""
    blur: Blur | Literal["auto"] = "auto"
    """How coarse samples are made: bicubic (antialiased, as papers on images do) or mtf (a sensor's point spread, then the
    mean); auto: bicubic for single images, mtf for guided."""
    guide: Literal["auto"] | list[str] = "auto"
    """Fine bands of `guided`; auto: those with the smallest pixels."""
    sharpen: Literal["auto"] | list[str] = "auto"
    """Coarse bands of `guided`; auto: those whose pixels are `scale` times larger."""
    scoring: Scoring = Scoring()

    @field_validator("guide", "sharpen")
    @classmethod
    def _distinct(cls, bands: list[str] | str) -> list[str] | str:
        if isinstance(bands, list) and (not bands or len(set(bands)) < len(bands)):
            raise ValueError(f"expected auto or different band names. Received: {bands}.")
        return bands

    @model_validator(mode="after")
    def _of_mode(self) -> Self:
        if self.mode == "single_image" and not self.guide == self.sharpen == "auto":
            raise ValueError("`guide` and `sharpen` need `mode: guided`.")
        if self.mode == "guided" and self.data.bands != "auto":
            raise ValueError("`data.bands` is for `mode: single_image`; name bands in `guide` and `sharpen`.")
        return self
