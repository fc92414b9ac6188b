"""A trained network as a nowcasting method of pysteps.

After `import geodl.pysteps`, `pysteps.nowcasts.get_method("geodl")` gives `forecast`. pysteps is the extra `nowcasting`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from geodl.contract import Contract
from geodl.errors import BackendUnavailable, OptionError, ResolutionMismatch, StepMismatch

if TYPE_CHECKING:
    from geodl.inference.converted import Runtime
    from geodl.inference.forecaster import Forecaster

__all__ = ("forecast", "register")

NAME = "geodl"


def forecast(
    precip: np.ndarray,
    velocity: np.ndarray | None,
    timesteps: int | Sequence[float],
    *,
    bundle: str | os.PathLike[str],
    n_ens_members: int | None = None,
    seed: int | None = None,
    timestep: float | None = None,
    kmperpixel: float | None = None,
    runtime: Runtime | None = None,
) -> np.ndarray:
    """Forecasts rain, with the arguments of pysteps' own methods.

    Args:
        precip: rain rate in mm/h, (frame, m, n), one network step apart; not-a-number is nodata. The last ones are taken.
        velocity: motion along x and y in pixels per step, (2, m, n), as pysteps' methods give it; None: the network's
            own. It matters to networks that are fed with the advected last frame, and to ensembles.
        timesteps: number of lead times; or those wanted, in steps, whole numbers in ascending order.
        bundle: folder that `geodl.train` wrote.
        n_ens_members: give an ensemble of so many, for networks that tell their spread.
        seed: of the ensemble.
        timestep: minutes between the frames, to be checked.
        kmperpixel: pixel size in kilometres, to be checked.
        runtime: see `geodl.load`.

    Returns:
        mm/h, float32 of shape (lead, m, n), or (member, lead, m, n).

    Raises:
        OptionError: other shapes, more lead times than the network gives or fractions of steps; the bundle is no network
            for nowcasting, or tells no spread.
        FramesMissing: there are too few frames.
        StepMismatch: `timestep` is not the network's.
        ResolutionMismatch: `kmperpixel` is not the network's.
        BundleError: the folder is no bundle.

    Example:

    >>> import geodl.pysteps
    >>> method = pysteps.nowcasts.get_method("geodl")
    >>> rain = method(frames, None, 12, bundle="runs/now")
    """
    model = _open(os.fspath(bundle), runtime)
    _check(model.contract, timestep, kmperpixel)
    chosen = _leads(timesteps, model.contract.output.leads)
    # pysteps has x first.
    own = None if velocity is None else np.asarray(velocity, np.float32)[::-1]
    found = model.forecast(precip, velocity=own, members=n_ens_members, seed=seed or 0)
    return found[..., chosen, :, :]


def register() -> None:
    """Makes `geodl` a method of `pysteps.nowcasts`; importing this module does it.

    Raises:
        BackendUnavailable: pysteps is not installed, or has no such table of methods.
    """
    advice = "Install with: pip install 'geodl[nowcasting]'"
    try:
        interface = import_module("pysteps.nowcasts.interface")
    except ImportError as error:
        raise BackendUnavailable(
            "The plug-in for pysteps", f"pysteps cannot be imported ({error})", advice=advice
        ) from error
    methods: dict[str, Any] | None = getattr(interface, "_nowcast_methods", None)
    if methods is None:
        why = "this version of pysteps keeps its methods elsewhere"
        raise BackendUnavailable("The plug-in for pysteps", why, advice=f"{advice}; or call geodl.pysteps.forecast.")
    methods[NAME] = forecast


@lru_cache(maxsize=2)
def _open(bundle: str, runtime: Runtime | None) -> Forecaster:
    """Opens a bundle once: pysteps calls a method again and again."""
    import geodl
    from geodl.inference.forecaster import Forecaster

    model = geodl.load(bundle, runtime=runtime)
    if not isinstance(model, Forecaster):
        expected = "a network for nowcasting"
        raise OptionError("bundle", expected=expected, received=f"one that gives {model.contract.output.kind}")
    return model


def _leads(timesteps: int | Sequence[float], most: int) -> list[int]:
    """Positions of the lead times that are wanted."""
    wanted = list(range(1, timesteps + 1)) if isinstance(timesteps, int | np.integer) else list(timesteps)
    if not wanted or any(step != int(step) or not 1 <= step <= most for step in wanted):
        expected = f"1 to {most} lead times, in whole steps: the network gives no others"
        raise OptionError("timesteps", expected=expected, received=timesteps)
    return [int(step) - 1 for step in wanted]


def _check(contract: Contract, timestep: float | None, kmperpixel: float | None) -> None:
    step, size = contract.input.dim("time").step, contract.input.dim("x")
    if timestep is not None and step is not None and abs(timestep * 60 / step - 1) > 0.01:
        advice = "Give frames at the network's step."
        expected = f"{step / 60:g} minutes"
        raise StepMismatch("precip", expected=expected, received=f"{timestep:g} minutes", advice=advice)
    if kmperpixel is not None and size.unit == "metre" and size.step and abs(kmperpixel * 1e3 / size.step - 1) > 0.1:
        expected, received = f"{size.step / 1e3:g} km", f"{kmperpixel:g} km"
        advice = "Bring the frames to the network's pixel size first (pysteps.utils.dimension.aggregate_fields_space)."
        raise ResolutionMismatch("precip", expected=expected, received=received, advice=advice)


register()
