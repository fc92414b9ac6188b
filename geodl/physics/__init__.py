"""Forward models of the world in numpy and scipy: noise, speckle, what a coarser sensor sees, rain, chaotic systems."""

from geodl.physics.advection import advect, advected
from geodl.physics.noise import add_gaussian, add_poisson_gaussian
from geodl.physics.rain import ZR, rain_rate, reflectivity
from geodl.physics.sensor import crop_to_multiple, degrade, enlarge, resize, rgb_to_luma, rgb_to_ycbcr, ycbcr_to_rgb
from geodl.physics.speckle import (
    add_speckle,
    from_intensity,
    log_bias,
    log_variance,
    simulate_slc,
    speckle,
    to_intensity,
)
from geodl.physics.systems import SYSTEMS, Lorenz63, Lorenz96, Rossler, System, find_system, solve

__all__ = (
    "SYSTEMS",
    "ZR",
    "Lorenz63",
    "Lorenz96",
    "Rossler",
    "System",
    "add_gaussian",
    "add_poisson_gaussian",
    "add_speckle",
    "advect",
    "advected",
    "crop_to_multiple",
    "degrade",
    "enlarge",
    "find_system",
    "from_intensity",
    "log_bias",
    "log_variance",
    "rain_rate",
    "reflectivity",
    "resize",
    "rgb_to_luma",
    "rgb_to_ycbcr",
    "simulate_slc",
    "solve",
    "speckle",
    "to_intensity",
    "ycbcr_to_rgb",
)
