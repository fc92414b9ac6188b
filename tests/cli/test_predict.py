"""`geodl predict`: which scenes become which maps, and with which options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

import geodl
from geodl.contract import Contract, ModelInput, ModelOutput
from geodl.errors import NoValidPixels
from tests.inference.fakes import make_contract, make_predictor


class _Predictor:
    """Stands for a trained network."""

    def __init__(self) -> None:
        self.contract = Contract("guided", ModelInput((), ()), ModelOutput("bands"))
        self.calls: list[tuple[Any, str, dict[str, Any]]] = []
        self.runtime: str | None = None

    def predict_file(self, source: Any, target: str, *, progress: Any = None, **options: Any) -> list[Path]:
        self.calls.append((source, target, options))
        if "bad" in str(source):
            raise NoValidPixels(source)
        if progress is not None:
            progress(1, 2)
        return [Path(target, "a.tif"), Path(target, "b.tif")] if isinstance(source, list) else [Path(target)]


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> _Predictor:
    predictor = _Predictor()

    def load(run: Path, *, runtime: str | None) -> _Predictor:
        predictor.runtime = runtime
        return predictor

    monkeypatch.setattr(geodl, "load", load)
    return predictor


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    folder = tmp_path / "scenes"
    folder.mkdir()
    profile = {"driver": "GTiff", "height": 2, "width": 2, "count": 1, "dtype": "uint8"}
    for name in ("a", "b"):
        with rasterio.open(
            folder / f"{name}.tif", "w", **profile, crs="EPSG:32633", transform=Affine(10, 0, 0, 0, -10, 0)
        ) as file:
            file.write(np.ones((1, 2, 2), np.uint8))
    return folder


def test_one_scene_becomes_one_map(geodl_cli: Callable[..., Any], predictor: _Predictor, scenes: Path) -> None:
    target = scenes.parent / "map.tif"
    result = geodl_cli("predict", "runs/a", scenes / "a.tif", target)
    assert result.exit_code == 0
    assert predictor.calls == [
        (
            str(scenes / "a.tif"),
            str(target),
            {
                "probabilities": False,
                "confidence": False,
                "entropy": False,
                "overlap": "auto",
                "mosaic": False,
                "any_resolution": False,
                "overwrite": False,
            },
        )
    ]
    assert result.stdout == f"Map: {target}\n"


def test_options_reach_the_predictor(geodl_cli: Callable[..., Any], predictor: _Predictor, scenes: Path) -> None:
    result = geodl_cli(
        *(
            "predict",
            "runs/a",
            scenes / "a.tif",
            scenes.parent / "map.tif",
            "--quiet",
            "--probabilities",
            "--confidence",
        ),
        *(
            "--entropy",
            "--overlap",
            "32",
            "--batch-size",
            "4",
            "--bbox",
            "-10,0,10,5.5",
            "--mask",
            "s3://bucket/area.gpkg",
        ),
        *("--any-resolution", "--overwrite", "--runtime", "onnx", "--tta", "4", "--vectorize", "map.gpkg"),
        *("--simplify", "20", "--min-pixels", "9", "--mosaic", "--resample", "cubic", "--memory", "1GB"),
        *("--residual", "noise.tif", "--noise-level", "25"),
    )
    assert result.output == f"{scenes.parent / 'map.tif'}\nmap.gpkg\n"
    assert predictor.runtime == "onnx"
    assert predictor.calls[0][2] == {
        "probabilities": True,
        "confidence": True,
        "entropy": True,
        "overlap": 32,
        "batch_size": 4,
        "bbox": (-10.0, 0.0, 10.0, 5.5),
        "mask": "s3://bucket/area.gpkg",
        "any_resolution": True,
        "overwrite": True,
        "turns": 4,
        "vectorise": "map.gpkg",
        "simplify": 20.0,
        "minimum": 9,
        "mosaic": True,
        "resample": "cubic",
        "memory": 10**9,
        "residual": "noise.tif",
        "noise_level": 25.0,
    }


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--simplify", "5"), "--simplify: expected --vectorize FILE beside it"),
        (("--min-pixels", "5"), "--min-pixels: expected --vectorize FILE beside it"),
        (("--mosaic", "--stack"), "--mosaic: expected scenes; --stack makes one scene of them"),
    ],
)
def test_options_that_do_not_go_together(
    geodl_cli: Callable[..., Any], predictor: _Predictor, scenes: Path, options: tuple[str, ...], sentence: str
) -> None:
    result = geodl_cli("predict", "runs/a", scenes / "a.tif", "map.tif", *options)
    assert (result.exit_code, predictor.calls) == (2, [])
    assert sentence in result.stderr


def test_several_scenes_become_a_folder_of_maps(
    geodl_cli: Callable[..., Any], predictor: _Predictor, scenes: Path
) -> None:
    both = [scenes / "a.tif", scenes / "b.tif"]
    result = geodl_cli("predict", "runs/a", *both, "maps", "--quiet")
    assert result.output == "maps/a.tif\nmaps/b.tif\n"
    geodl_cli("predict", "runs/a", scenes, "maps")
    geodl_cli("predict", "runs/a", scenes / "*.tif", "maps")
    geodl_cli("predict", "runs/a", scenes / "a.tif", "maps/")
    assert [call[:2] for call in predictor.calls] == [
        ([str(path) for path in both], "maps"),
        (str(scenes), "maps"),
        (str(scenes / "*.tif"), "maps"),
        ([str(scenes / "a.tif")], "maps/"),
    ]


def test_the_files_of_a_folder_may_be_bands_of_one_scene(
    geodl_cli: Callable[..., Any], predictor: _Predictor, scenes: Path
) -> None:
    assert geodl_cli("predict", "runs/a", scenes, "map.tif", "--stack").exit_code == 0
    source = predictor.calls[0][0]
    assert source.paths == (str(scenes / "a.tif"), str(scenes / "b.tif"))
    assert (source.name, len(source.bands)) == ("scenes", 2)


def test_bands_of_several_pixel_sizes_are_brought_onto_one_grid(
    geodl_cli: Callable[..., Any], predictor: _Predictor, scenes: Path
) -> None:
    with rasterio.open(scenes / "b.tif", "r+") as file:
        file.transform = Affine(20, 0, 0, 0, -20, 0)
    result = geodl_cli("predict", "runs/a", scenes, "map.tif", "--stack")
    assert result.exit_code == 2 and "--resample" in result.stderr
    assert geodl_cli("predict", "runs/a", scenes, "map.tif", "--stack", "--resample", "nearest").exit_code == 0
    ((source, _, options),) = predictor.calls
    assert (len(source.bands), source.grid.resolution, options["resample"]) == (2, (10, 10), "nearest")
    result = geodl_cli("predict", "runs/a", scenes, "map.tif", "--stack", "--resample", "best")
    assert result.stderr.startswith("Error: resample: expected one of nearest, bilinear")
    eaten = replace(predictor.contract.input, resample="cubic")
    predictor.contract = replace(predictor.contract, input=eaten)
    assert geodl_cli("predict", "runs/a", scenes, "map.tif", "--stack").exit_code == 0
    assert (predictor.calls[1][0].grid.resolution, "resample" in predictor.calls[1][2]) == ((10, 10), False)


def test_a_scene_that_cannot_be_mapped_is_one_sentence(
    geodl_cli: Callable[..., Any], predictor: _Predictor, scenes: Path
) -> None:
    (scenes / "a.tif").rename(scenes / "bad.tif")
    result = geodl_cli("predict", "runs/a", scenes / "bad.tif", "map.tif", "--quiet")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: {NoValidPixels(scenes / 'bad.tif')}\n"


def test_what_a_network_cannot_do_is_one_sentence(
    geodl_cli: Callable[..., Any], scenes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = make_contract(bands=1, scale=2, kind="bands")
    finer = make_predictor(lambda inputs: inputs.repeat(2, 1).repeat(2, 2), contract)
    monkeypatch.setattr(geodl, "load", lambda run, *, runtime: finer)
    with rasterio.open(scenes / "a.tif", "r+") as file:
        file.descriptions = ("B01",)
    target = scenes.parent / "map.tif"
    for option, value, sentence in (
        (
            "--residual",
            "noise.tif",
            "residual (--residual): expected a network whose output is on the grid of its input",
        ),
        (
            "--noise-level",
            "25",
            "noise_level (--noise-level): expected a network whose last band is called noise_level",
        ),
    ):
        result = geodl_cli("predict", "runs/a", scenes / "a.tif", target, option, value, "--quiet")
        assert (result.exit_code, result.stderr.count("\n"), target.exists()) == (2, 1, False)
        assert result.stderr.startswith(f"Error: {sentence}")
    assert geodl_cli("predict", "runs/a", scenes / "a.tif", target).exit_code == 0
    with rasterio.open(target) as made:
        assert (made.shape, made.res) == ((4, 4), (5, 5))


@pytest.mark.parametrize(
    ("text", "size"), [("500MB", 500_000_000), ("2GiB", 2 * 1024**3), ("1.5 kB", 1500), ("1000000", 1_000_000)]
)
def test_memory_is_read_as_bytes(
    geodl_cli: Callable[..., Any], predictor: _Predictor, scenes: Path, text: str, size: int
) -> None:
    geodl_cli("predict", "runs/a", scenes / "a.tif", "map.tif", "--memory", text)
    assert predictor.calls[0][2]["memory"] == size


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.tif", "map.tif"], "Error: Cannot read nowhere.tif: there is no such file or folder."),
        (["a.tif"], "Error: geodl predict: expected at least one scene and a target. Received: 'a.tif'."),
        (
            ["a.tif", "m.tif", "--overlap", "much"],
            "Error: --overlap: expected auto, exact or a number of pixels. Received: 'much'.",
        ),
        (
            ["a.tif", "m.tif", "--bbox", "1,2,3"],
            "Error: --bbox: expected four numbers minx,miny,maxx,maxy. Received: '1,2,3'.",
        ),
        (
            ["a.tif", "m.tif", "--bbox", "3,0,1,1"],
            "Error: --bbox: expected minx < maxx and miny < maxy. Received: '3,0,1,1'.",
        ),
        (
            ["a.tif", "m.tif", "--memory", "lots"],
            "Error: --memory: expected a size such as 500MB or 2GiB. Received: 'lots'.",
        ),
    ],
)
def test_mistakes(geodl_cli: Callable[..., Any], predictor: _Predictor, arguments: list[str], sentence: str) -> None:
    result = geodl_cli("predict", "runs/a", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(sentence)
    assert predictor.calls == []
