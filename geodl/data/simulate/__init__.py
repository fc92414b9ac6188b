"""Simulated data, seeded: what the demo and the tests learn from."""

from geodl.data.simulate.cropcube import simulate_crop_cube
from geodl.data.simulate.phenology import simulate_series
from geodl.data.simulate.rain import rain_motion, simulate_rain
from geodl.data.simulate.scenes import CLASSES, SimulatedScene, simulate_scene, write_scene
from geodl.data.simulate.trajectories import simulate_trajectories

__all__ = (
    "CLASSES",
    "SimulatedScene",
    "rain_motion",
    "simulate_crop_cube",
    "simulate_rain",
    "simulate_scene",
    "simulate_series",
    "simulate_trajectories",
    "write_scene",
)
