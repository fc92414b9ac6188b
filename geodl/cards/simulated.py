"""Data sets that are computed: the files that a card's simulator stands for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from geodl.cards.simulators import CropSimulator, RainSimulator, SceneSimulator, Simulator, TrajectorySimulator
from geodl.errors import OutputUnwritable
from geodl.wholefile import whole_file

if TYPE_CHECKING:
    import pandas as pd

    from geodl.data.series.table import SeriesTable

__all__ = ("long_frame", "planned_files", "simulate_files")

_Maker = Callable[[], None]


def planned_files(simulator: Simulator) -> list[str]:
    """Lists the files that a simulator makes: relative paths with slashes."""
    return [path for paths, _ in _plan(simulator, Path()) for path in paths]


def simulate_files(
    simulator: Simulator, folder: Path, *, progress: Callable[[str, int, int], None] | None = None
) -> list[str]:
    """Computes those files that are missing; others stay.

    Args:
        simulator: of the card.
        folder: of the data set.
        progress: is told the name of what is being made, how many are there, and how many there will be.

    Returns:
        The files that were made.

    Raises:
        OutputUnwritable: no permission, disk full.
        OptionError: the card's numbers cannot be simulated.
    """
    made: list[str] = []
    plan = list(_plan(simulator, folder))
    for count, (paths, make) in enumerate(plan):
        if progress is not None:
            progress(paths[0], count, len(plan))
        if all((folder / path).is_file() for path in paths):
            continue
        try:
            make()
        except OSError as error:
            raise OutputUnwritable(folder, error.strerror or error) from error
        made += paths
    if progress is not None:
        progress("", len(plan), len(plan))
    return made


def _plan(simulator: Simulator, folder: Path) -> Iterator[tuple[list[str], _Maker]]:
    """Yields which files are made together, and what makes them."""
    if isinstance(simulator, SceneSimulator):
        yield from _scenes(simulator, folder)
    elif isinstance(simulator, RainSimulator):
        yield from _rain(simulator, folder)
    elif isinstance(simulator, CropSimulator):
        yield from _crops(simulator, folder)
    else:
        yield from _trajectories(simulator, folder)


def _scenes(simulator: SceneSimulator, folder: Path) -> Iterator[tuple[list[str], _Maker]]:
    from geodl.data.simulate.scenes import simulate_scene, write_scene

    for part, seeds, (height, width) in (
        ("train", simulator.train, simulator.size),
        ("test", simulator.test, simulator.test_size),
    ):
        for seed in seeds:
            paths = [f"{part}/{kind}/scene_{seed}.tif" for kind in ("images", "labels")]

            def make(
                seed: int = seed, paths: list[str] = paths, part: str = part, size: tuple[int, int] = (height, width)
            ) -> None:
                partial = folder / part / f".{os.getpid()}"
                partial.mkdir(parents=True, exist_ok=True)
                try:
                    scene = simulate_scene(seed, height=size[0], width=size[1])
                    write_scene(scene, partial / "image.tif", partial / "label.tif")
                    # The image comes last: it is what is looked for.
                    for made, path in (("label.tif", paths[1]), ("image.tif", paths[0])):
                        (folder / path).parent.mkdir(exist_ok=True)
                        os.replace(partial / made, folder / path)
                finally:
                    shutil.rmtree(partial, ignore_errors=True)

            yield paths, make


def _rain(simulator: RainSimulator, folder: Path) -> Iterator[tuple[list[str], _Maker]]:
    from geodl.data.simulate.rain import simulate_rain

    packed = {"dtype": "uint16", "scale_factor": 0.01, "_FillValue": 65535, "zlib": True, "complevel": 4}
    parts: tuple[tuple[Literal["train", "test"], list[int]], ...] = (
        ("train", simulator.train),
        ("test", simulator.test),
    )
    for part, seeds in parts:
        for seed in seeds:
            path = f"{part}/event_{seed:02d}/rain.nc"

            def make(seed: int = seed, path: str = path) -> None:
                # A day for each: events of one place at one time would be one event.
                day = np.datetime64("2024-06-01T12:00") + np.timedelta64(seed, "D")
                rain = simulate_rain(
                    (simulator.size[0], simulator.size[1]),
                    simulator.frames,
                    seed=seed,
                    step_minutes=simulator.step_minutes,
                    pixel_km=simulator.pixel_km,
                    start=str(day),
                )
                rain = rain.clip(max=600)  # More than falls, and no more than two bytes hold.
                with whole_file(folder / path) as temporary:
                    rain.to_netcdf(temporary, engine="h5netcdf", encoding={rain.name: packed})

            yield [path], make


def _crops(simulator: CropSimulator, folder: Path) -> Iterator[tuple[list[str], _Maker]]:
    from geodl.data.simulate.cropcube import simulate_crop_cube
    from geodl.data.simulate.phenology import simulate_series

    def series() -> None:
        import pandas as pd

        tables = {
            part: simulate_series(
                count, seed=simulator.seed, part=part, years=simulator.years, regions=(simulator.region,)
            )
            for part, count in simulator.series.items()
        }
        frame = pd.concat([long_frame(table, part) for part, table in tables.items()])
        with whole_file(folder / "series.parquet") as temporary:
            frame.to_parquet(temporary, index=False)

    def cube() -> None:
        images, polygons = simulate_crop_cube(
            seed=simulator.seed, size=simulator.size, year=simulator.mapped_year, region=simulator.region
        )
        with whole_file(folder / "fields.gpkg") as temporary:
            polygons.to_file(temporary, layer="fields")
        with whole_file(folder / "cube.nc") as temporary:
            images.to_netcdf(temporary)

    yield ["series.parquet"], series
    yield ["cube.nc", "fields.gpkg"], cube


def long_frame(table: SeriesTable, part: str) -> pd.DataFrame:
    """Writes a simulated table as a long one, as users have them: a row for each series and date, clouds in a column."""
    import pandas as pd

    assert table.years is not None and table.labels is not None
    rows, dates = np.nonzero(np.isfinite(table.days))
    first = (table.years - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    places = table.lonlat()
    assert places is not None
    columns: dict[str, Any] = {
        "series": [f"{part}_{name}" for name in table.ids[rows]],
        "date": first[rows] + (table.days[rows, dates].astype(int) - 1).astype("timedelta64[D]"),
        **{band.name: table.values[rows, dates, k] for k, band in enumerate(table.bands)},
        # Clouds are told by a column, as they are by a band of the cube.
        "cloud": (~np.isfinite(table.values[rows, dates]).any(-1)).astype(np.uint8),
        "crop": np.array([info.name for info in table.classes])[table.labels[rows]],
        "parcel": [f"{part}_{name}" for name in table.columns["parcel"][rows]],
        "lon": places[rows, 0],
        "lat": places[rows, 1],
        "split": part,
    }
    return pd.DataFrame(columns)


def _trajectories(simulator: TrajectorySimulator, folder: Path) -> Iterator[tuple[list[str], _Maker]]:
    from geodl.data.simulate.trajectories import simulate_trajectories

    parts: tuple[tuple[Literal["train", "test"], int], ...] = (("train", simulator.train), ("test", simulator.test))
    for part, count in parts:
        paths = [f"{part}/{simulator.system}_{part}_{k}.csv" for k in range(count)]

        def make(part: Literal["train", "test"] = part, paths: list[str] = paths) -> None:
            found = simulate_trajectories(
                simulator.system,
                len(paths),
                seed=simulator.seed,
                part=part,
                duration=simulator.duration,
                step=simulator.step,
            )
            for trajectory, path in zip(found, paths, strict=True):
                names = ",".join(("time", *trajectory.variables))
                columns = np.column_stack([trajectory.times, trajectory.states])
                with whole_file(folder / path) as temporary:
                    np.savetxt(temporary, columns, fmt="%.17g", delimiter=",", header=names, comments="")

        yield paths, make
