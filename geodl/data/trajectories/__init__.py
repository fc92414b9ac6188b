"""Trajectories: states of systems over time, from tables (CSV), NetCDF files, numpy archives and arrays in memory."""

from geodl.data.trajectories.opening import open_trajectories
from geodl.data.trajectories.splitting import split_trajectories
from geodl.data.trajectories.trajectory import Trajectory

__all__ = ("Trajectory", "open_trajectories", "split_trajectories")
