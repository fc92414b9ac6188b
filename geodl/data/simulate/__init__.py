"""Simulated data, seeded: what the demo and the tests learn from."""

from geodl.data.simulate.scenes import CLASSES, SimulatedScene, simulate_scene, write_scene

__all__ = ("CLASSES", "SimulatedScene", "simulate_scene", "write_scene")
