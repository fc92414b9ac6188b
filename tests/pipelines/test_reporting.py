"""The report of a run: its command repeats it, and its numbers are those of metrics.json."""

import json
import re
import subprocess
from pathlib import Path

import keras
import pytest

import geodl
from geodl.data.simulate.scenes import simulate_scene, write_scene
from geodl.pipelines.reporting import repeating
from geodl.recipe import load_recipe

_STUB = 'geodl() { pwd; test -f "$2" && echo found; echo "$4"; }; '


def run_in(folder: Path, command: str) -> list[str]:
    """What a shell makes of a command, with a `geodl` that tells where it is, whether its recipe is there, its output."""
    done = subprocess.run(["bash", "-ec", _STUB + command], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("relative", [True, False], ids=["relative", "absolute"])
def test_command_finds_recipe_and_data_from_the_folder_of_the_run(
    relative: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, images = tmp_path / "my work", tmp_path / "my work" / "images"
    run = work / "runs" / "it's a"
    for folder in (images, run):
        folder.mkdir(parents=True)
    (run / "recipe.yaml").touch()
    monkeypatch.chdir(work)
    data = {"data.images": "images" if relative else str(images), "data.labels": str(images)}
    command, place = repeating(load_recipe("segmentation", data), "runs/it's a")
    where, found, output = run_in(run, command)
    assert found == "found" and "report lies" in place
    assert Path(where) == (work if relative else run)
    assert (Path(where) / output).resolve() == work / "runs" / "it's a-again"
    moved = (tmp_path / "moved").resolve()
    work.rename(moved)
    assert run_in(moved / "runs" / "it's a", command)[1] == "found"


def test_command_names_another_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert repeating(load_recipe("segmentation"), str(tmp_path))[0].startswith("KERAS_BACKEND=jax geodl train ")


def test_run_at_an_address_is_repeated_from_a_copy_of_its_recipe() -> None:
    command, place = repeating(load_recipe("segmentation"), "s3://bucket/runs/a")
    assert command.endswith("geodl train recipe.yaml --output a-again") and "copy" in place


@pytest.mark.slow
@pytest.mark.usefixtures("small_forest")
def test_report_holds_the_values_of_metrics_json(tmp_path: Path) -> None:
    for seed in range(5):
        image, label = (tmp_path / kind / f"scene_{seed}.tif" for kind in ("images", "labels"))
        image.parent.mkdir(exist_ok=True)
        label.parent.mkdir(exist_ok=True)
        write_scene(simulate_scene(seed, height=96, width=96), image, label)
    settings = {
        "data.images": str(tmp_path / "images"),
        "data.labels": str(tmp_path / "labels"),
        "data.patch": 32,
        "train.epochs": 2,
        "train.steps_per_epoch": 2,
        "train.batch_size": 2,
        "network": {"name": "unet", "width": 4, "depth": 2, "stem": 1},
    }
    run = geodl.train("segmentation", settings, output=tmp_path / "run")
    page = (run.path / "report.html").read_text(encoding="utf-8")
    stored = json.loads((run.path / "metrics.json").read_text(encoding="utf-8"))
    shown = {float(value) for value in re.findall(r'data-value="([^"]+)"', page)}
    scores = [stored["metrics"], *(other["metrics"] for other in stored["baselines"].values())]
    first = next(name for name in stored["metrics"] if "/" in name).split("/")[0]
    told = {
        value
        for of in scores
        for name, value in of.items()
        if value is not None and ("/" not in name or of is scores[0] or name.startswith(f"{first}/"))
    }
    assert told <= shown
    counts = [count for row in stored["details"]["confusion"] for count in row]
    assert all(f"<small>{count:,}</small>" in page for count in counts)
    training = stored["training"]
    assert (training["steps"], training["epochs"]) == (4, 2) and training["seconds"] > 0
    assert training["data"]["files"] == 10 and training["data"]["sha256"] in page
    assert page.count('data-layer="') == 5 and len(page) < 6_000_000
    for title in ("Trained on", "Learning curves", "Scores", "Classes", "Confusion matrix", "Contract", "Repeat it"):
        assert f">{title}</h2>" in page
