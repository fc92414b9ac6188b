"""Forecaster: a network with its contract, from the last radar frames to the next ones."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geodl.data.source import Grid
from geodl.errors import FramesMissing, OptionError
from geodl.inference.engine import Progress
from geodl.inference.loaded import Loaded
from geodl.inference.planning import DEFAULT_MEMORY

if TYPE_CHECKING:
    import xarray as xr

    from geodl.inference.members import Members
    from geodl.inference.recent import Instant, Recent

__all__ = ("Forecaster",)

_MEMBERS = "members (--ensemble)"
_PROBABILITIES = "probabilities (--thresholds)"


class Forecaster(Loaded):
    """Forecasts rain with a trained network. `geodl.load` gives one.

    Args:
        network: any Keras model that eats and gives what the contract says; None: that of the bundle, loaded when it is
            needed.
        contract: number of frames, step and pixel size of its input; lead times of its output.
        path: folder of its bundle, if it has one.
        runtime: what runs a bundle's network, see `geodl.load`. A `network` given here is run by Keras.

    Raises:
        OptionError: there is no such runtime.
        BackendUnavailable: the runtime is not installed.

    Example:

    >>> model = geodl.load("runs/now")
    >>> model.predict_file("recent/", "forecast.nc")
    >>> forecast = model.predict(xr.open_dataset("rain.nc").rain_rate)
    """

    def __repr__(self) -> str:
        axis, leads = self.contract.input.dim("time"), self.contract.output.leads
        return f"<Forecaster {self.contract.pipeline}: {axis.size} frames to {leads} lead times of {axis.step:g} s>"

    def recent(
        self, data: Any, *, at: Instant | None = None, any_resolution: bool = False, resample: bool = False
    ) -> Recent:
        """Reads the frames that a forecast is made from, without loading the network.

        Args:
            data: a DataArray (time, y, x) in mm/h (or another unit of rain that its attribute `units` states), a Dataset,
                a path of a file or a folder, a glob, a list of files, or a `RadarSequence`.
            at: the analysis: the last frame that is not later than this is the last one seen. Default: the sequence's
                last.
            any_resolution: accept any pixel size, as it is.
            resample: average whole blocks of pixels to the network's pixel size.

        Returns:
            What `predict` and `predict_file` take, too.

        Raises:
            FramesMissing: there are too few frames, or some in between are not there; gaps are never bridged.
            StepMismatch: no whole number of the sequence's steps makes the network's.
            ResolutionMismatch: the pixels have another size.
            NoValidPixels: the last frame is all nodata.
            OptionError: `at` is no time, or a unit is not one of rain.
            SourceUnreadable: a file is missing or damaged.
        """
        from geodl.inference.recent import Recent, read_recent

        if isinstance(data, Recent):
            return data
        return read_recent(data, self.contract, at=at, any_resolution=any_resolution, resample=resample)

    def predict(
        self,
        data: Any,
        *,
        members: int | None = None,
        probabilities: Sequence[float] | None = None,
        at: Instant | None = None,
        any_resolution: bool = False,
        resample: bool = False,
        memory: int = DEFAULT_MEMORY,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> xr.DataArray | xr.Dataset:
        """Forecasts from arrays or files, in memory.

        The forecast is nodata where the last frame is. The whole domain goes through the network in one pass where
        `memory` holds that, else in tiles that are blended.

        Args:
            data: as of `recent`.
            members: give an ensemble of so many, for networks that also tell their spread (`network.head=gaussian`).
            probabilities: also give the probability that each of these rain rates (mm/h, above 0) is exceeded, for the
                same networks.
            at: as of `recent`.
            any_resolution: as of `recent`.
            resample: as of `recent`.
            memory: bytes that may be taken beyond the backend, the frames and the forecast. Default: 2 GiB.
            seed: of the ensemble.
            progress: called with the pixels done and in all.

        Returns:
            Rain rates in mm/h, dims (lead_time, y, x), or (member, lead_time, y, x), on the grid of the frames, with
            the coordinates `time` (the analysis) and `valid_time`; float32. A Dataset of `rain_rate` and `exceedance`
            (threshold, lead_time, y, x) where probabilities were asked for.

        Raises:
            OptionError: the network tells no spread, or the memory does not hold one tile.
            GeodlError: as `recent` raises.

        Example:

        >>> forecast = model.predict("recent/", at="2016-09-28T16:00")
        >>> forecast.sel(lead_time="30min").plot()
        """
        self._check(members, probabilities)
        recent = self.recent(data, at=at, any_resolution=any_resolution, resample=resample)
        found = self._forecast(recent, members, probabilities, memory=memory, seed=seed, progress=progress)
        found = found.load()
        return found.rain_rate if probabilities is None else found

    def predict_file(
        self,
        source: Any,
        target: str | os.PathLike[str],
        *,
        geotiff: str | os.PathLike[str] | None = None,
        members: int | None = None,
        probabilities: Sequence[float] | None = None,
        at: Instant | None = None,
        any_resolution: bool = False,
        resample: bool = False,
        memory: int = DEFAULT_MEMORY,
        seed: int = 0,
        progress: Progress | None = None,
        overwrite: bool = False,
    ) -> list[Path]:
        """Forecasts from files to files.

        The forecast is a NetCDF file by CF conventions with dims ([member,] lead_time, y, x). It appears under its name
        only when it is whole; so does each GeoTIFF.

        Args:
            source: as of `recent`.
            target: path of the forecast, ending in `.nc`.
            geotiff: also write each lead time as a cloud-optimised GeoTIFF to this folder, called as the target:
                `forecast_+010min.tif`, …; members are its bands.
            members: as of `predict`. They are made, and written, one after the other.
            probabilities: as of `predict`.
            at: as of `recent`.
            any_resolution: as of `recent`.
            resample: as of `recent`.
            memory: as of `predict`.
            seed: as of `predict`.
            progress: called with the pixels done and in all.
            overwrite: replace existing files.

        Returns:
            Paths of what was written, the NetCDF file first.

        Raises:
            OutputExists: there is such a file.
            OutputUnwritable: no permission, disk full.
            GeodlError: as `predict` raises.

        Example:

        >>> model.predict_file("recent/", "forecast.nc", geotiff="maps/")
        """
        from geodl.inference.forecastarray import lead_times
        from geodl.inference.forecastfile import check_target, geotiff_paths, write_geotiffs, write_netcdf

        self._check(members, probabilities)
        path = Path(target)
        maps = [] if geotiff is None else geotiff_paths(Path(geotiff), path.stem, lead_times(self.contract))
        check_target(path, maps, (), overwrite=overwrite)
        recent = self.recent(source, at=at, any_resolution=any_resolution, resample=resample)
        check_target(path, maps, recent.paths, overwrite=overwrite)
        found = self._forecast(recent, members, probabilities, memory=memory, seed=seed, progress=progress)
        write_netcdf(found, path, title=f"Rain forecast from {recent.name}")
        if maps:
            import xarray as xr

            # Members are not made again for it.
            with xr.open_dataset(path, engine="h5netcdf") as written:
                write_geotiffs(written.rain_rate, maps, recent.grid, overwrite=overwrite)
        return [path, *maps]

    def forecast(
        self,
        frames: np.ndarray,
        *,
        velocity: np.ndarray | None = None,
        members: int | None = None,
        memory: int = DEFAULT_MEMORY,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Forecasts from plain arrays.

        Args:
            frames: rain rate in mm/h, (frame, height, width), one network step apart; not-a-number is nodata. The last
                ones are taken.
            velocity: displacement along rows and columns in pixels per step, (2, height, width). Default: what the frames
                show, where the network or the ensemble needs it.
            members: as of `predict`.
            memory: as of `predict`.
            seed: as of `predict`.
            progress: called with the pixels done and in all.

        Returns:
            mm/h, float32 of shape (lead, height, width), or (member, lead, height, width).

        Raises:
            OptionError: other shapes, the network tells no spread, or the memory does not hold one tile.
            FramesMissing: there are too few frames.
        """
        self._check(members, None)
        seen = self._seen(frames)
        if velocity is not None and np.shape(velocity) != (2, *seen.shape[1:]):
            expected = f"a velocity of shape {(2, *seen.shape[1:])}"
            raise OptionError("velocity", expected=expected, received=np.shape(velocity))
        height, width = seen.shape[1:]
        from rasterio import Affine

        grid = Grid(None, Affine.identity(), height, width)
        output = self._output(seen, grid, velocity, memory, progress)
        if members is None:
            return output[:, 0]
        make = self._members(output, seen, velocity, seed)
        return np.stack([make(number) for number in range(members)])

    def _seen(self, frames: np.ndarray) -> np.ndarray:
        given = np.asarray(frames, np.float32)
        count = self.contract.input.dim("time").size or 1
        if given.ndim != 3:
            raise OptionError("frames", expected="an array (frame, height, width)", received=given.shape)
        if len(given) < count:
            raise FramesMissing("frames", expected=f"{count} frames", received=str(len(given)), advice="Give more.")
        return given[-count:]

    def _check(self, members: int | None, probabilities: Sequence[float] | None) -> None:
        """Refuses what the network cannot give, before anything is read."""
        from geodl.inference.members import space_of

        if members is not None and members < 1:
            raise OptionError(_MEMBERS, expected="1 or more", received=members)
        for option, asked in ((_MEMBERS, members), (_PROBABILITIES, probabilities)):
            if asked is not None:
                space_of(self.contract, option)

    def _forecast(
        self,
        recent: Recent,
        members: int | None,
        probabilities: Sequence[float] | None,
        *,
        memory: int,
        seed: int,
        progress: Progress | None,
    ) -> xr.Dataset:
        """The forecast as a data set; members are lazy, one dask chunk each."""
        import xarray as xr

        from geodl.inference.forecastarray import forecast_array, probability_array

        output = self._output(recent.values, recent.grid, None, memory, progress)
        rates: Any = output[:, 0]
        if members is not None:
            import dask
            import dask.array as da

            make = self._members(output, recent.values, None, seed)
            one = dask.delayed(make, pure=False, traverse=False)
            rates = da.stack([da.from_delayed(one(k), make.shape, np.float32) for k in range(members)])
        found = {"rain_rate": forecast_array(rates, recent, self.contract)}
        if probabilities is not None:
            from geodl.inference.members import exceedance, space_of

            space = space_of(self.contract, _PROBABILITIES)
            chances = exceedance(output[:, 0], output[:, 1], probabilities, space)
            found["exceedance"] = probability_array(chances, probabilities, recent, self.contract)
        return xr.Dataset(found)

    def _output(
        self,
        frames: np.ndarray,
        grid: Grid,
        velocity: np.ndarray | None,
        memory: int,
        progress: Progress | None,
    ) -> np.ndarray:
        from geodl.inference.domain import run_domain

        return run_domain(
            self._running, self.contract, frames, grid=grid, velocity=velocity, memory=memory, progress=progress
        )

    def _members(self, output: np.ndarray, frames: np.ndarray, velocity: np.ndarray | None, seed: int) -> Members:
        from geodl.inference.members import Members, space_of

        space = space_of(self.contract, _MEMBERS)
        return Members(output[:, 0], output[:, 1], frames, space, seed=seed, velocity=velocity)
