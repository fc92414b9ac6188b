"""Demonstration of `crops`: simulated seasons of two years are learnt, and a cube of a third year becomes a map."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio

from geodl.cards.simulated import long_frame
from geodl.data.folds import PARTS
from geodl.data.timecube import open_time_cube
from geodl.pipelines.base import train
from geodl.pipelines.demos.result import DemoResult
from geodl.pipelines.evaluation import Evaluation, evaluate
from geodl.report.figures import map_figure, picture, to_png
from geodl.report.joined import joined
from geodl.report.series import early_season_figure, profiles_figure

if TYPE_CHECKING:
    import geopandas as gpd

    from geodl.contract import ClassInfo
    from geodl.data.series.table import SeriesTable

__all__ = ("show",)

_SEED = 0
_YEARS = (2019, 2020)
"""Of the seasons that are learnt; the map is of another."""
_MAPPED = 2021
_SERIES = {"train": 1600, "validation": 400, "test": 400}
_SIZE = 200
"""Pixels of the cube, along y and x."""
_SHOWN = ("B11", "B08", "B04")
_NDVI = 3


def show(folder: Path, *, overwrite: bool, progress: bool) -> DemoResult:
    """Trains on simulated series and maps a simulated cube; see `geodl.pipelines.demo`."""
    data = folder / "data"
    series, cube, fields = data / "series.parquet", data / "cube.nc", data / "fields.gpkg"
    learnt = _write(data, series, cube, fields)
    run = train(
        "crops-demo", {"data.series": str(series)}, output=folder / "run", overwrite=overwrite, progress=progress
    )
    unseen = {
        "data.series": str(cube),
        "data.labels": str(fields),
        "data.label_column": "crop",
        "verification.importance": 0,
    }
    evaluation = evaluate(run.path, unseen, baselines=True, json=folder / "metrics.json")
    made, drawing = folder / "map.tif", folder / "picture.png"
    run.predictor.predict_file(cube, made, confidence=True, overwrite=overwrite)
    drawing.write_bytes(_picture(cube, fields, made, learnt, evaluation, run.predictor.contract.output.classes))
    paths = {
        "data": data,
        "run": run.path,
        "report": run.path / "report.html",
        "map": made,
        "picture": drawing,
        "metrics": folder / "metrics.json",
    }
    return DemoResult(paths, evaluation)


def _write(folder: Path, series: Path, cube: Path, fields: Path) -> SeriesTable:
    """Simulates what is learnt, a table of single pixels, and what is mapped, a cube with its fields."""
    import pandas as pd

    from geodl.data.simulate.cropcube import simulate_crop_cube
    from geodl.data.simulate.phenology import simulate_series

    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        part: simulate_series(_SERIES[part], seed=_SEED, part=part, years=_YEARS, regions=("west",)) for part in PARTS
    }
    pd.concat([long_frame(table, part) for part, table in parts.items()]).to_parquet(series, index=False)
    images, polygons = simulate_crop_cube(seed=_SEED, size=_SIZE, year=_MAPPED, region="west")
    images.to_netcdf(cube)
    fields.unlink(missing_ok=True)
    polygons.to_file(fields)
    return parts["train"]


def _picture(
    cube: Path,
    fields: Path,
    made: Path,
    learnt: SeriesTable,
    evaluation: Evaluation,
    classes: tuple[ClassInfo, ...],
) -> bytes:
    """Draws the cube's clearest date, its fields and their map; how crops green up; how early they are told apart."""
    import geopandas as gpd

    opened = open_time_cube(cube, bands=list(_SHOWN), cloud_band="cloud", cloud_values=(1, 2))
    values, _ = opened.read()
    clear = np.isfinite(values).all(-1).mean((1, 2))
    # Among the dates from May to August, when fields differ most.
    months = opened.times.astype("datetime64[M]").astype(int) % 12 + 1
    best = int(np.argmax(np.where((months >= 5) & (months <= 8), clear, -1)))
    image = picture(values[best], _SHOWN)
    with rasterio.open(made) as file, rasterio.open(made.with_suffix(".confidence.tif")) as sure:
        positions = {info.value: k for k, info in enumerate(classes)}
        stored = file.read(1)
        predicted = np.full(stored.shape, -1)
        for value, position in positions.items():
            predicted[stored == value] = position
        confidence = sure.read(1)
    figure = map_figure(
        image,
        predicted,
        classes=classes,
        grid=opened.grid,
        truth=_rasterised(gpd.read_file(fields), opened.grid, [info.name for info in classes]),
        confidence=confidence,
        title=f"Crops of {_MAPPED}, told by seasons of {' and '.join(map(str, _YEARS))} "
        "(input: B11, B08, B04 of the clearest summer date)",
    )
    early = evaluation.details["early_season"]
    scores = {"accuracy": early["accuracy"], "macro F1": early["macro_f1"]}
    season = early_season_figure(early["days"], scores, title="Fields told apart before the season is over")
    return joined(
        to_png(figure), to_png(_profiles(learnt, {info.name: info.colour for info in classes})), to_png(season)
    )


def _profiles(table: SeriesTable, colours: dict[str, str]) -> Any:
    """Draws the NDVI of the crops by half-months, in the colours of the map."""
    assert table.labels is not None
    edges = np.arange(1, 367, 15)
    profiles = {}
    for k, info in enumerate(table.classes):
        of = table.labels == k
        values, days = table.values[of][..., _NDVI], table.days[of]
        curves = np.full((3, len(edges) - 1), np.nan)
        for step, (begin, end) in enumerate(itertools.pairwise(edges)):
            here = values[(days >= begin) & (days < end) & np.isfinite(values)]
            if len(here):
                curves[:, step] = np.quantile(here, (0.1, 0.5, 0.9))
        profiles[info.name] = (curves[0], curves[1], curves[2])
    middles = (edges[1:] + edges[:-1]) / 2
    return profiles_figure(middles, profiles, band="NDVI", colours=colours, title="NDVI of the series that are learnt")


def _rasterised(frame: gpd.GeoDataFrame, grid: Any, names: list[str]) -> np.ndarray:
    """Class indices of the fields on a grid; −1 between them."""
    from rasterio.features import rasterize

    shapes = [(shape, names.index(crop)) for shape, crop in zip(frame.geometry, frame["crop"], strict=True)]
    return np.asarray(rasterize(shapes, out_shape=grid.shape, transform=grid.transform, fill=-1, dtype="int16"))
