"""Simulated data, seeded: what the demo and the tests learn from."""

from geodl.data.simulate.rain import rain_motion, simulate_rain
from geodl.data.simulate.scenes import CLASSES, SimulatedScene, simulate_scene, write_scene
from geodl.data.simulate.trajectories import simulate_trajectories

__all__ = (
    "CLASSES",
    "SimulatedScene",
    "rain_motion",
    "simulate_rain",
    "simulate_scene",
    "simulate_trajectories",
    "write_scene",
)
