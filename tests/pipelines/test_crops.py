"""The crops pipeline on short simulated seasons: the walk, its scores, what is drawn, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import rasterio
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score

import geodl
from geodl.cards.simulated import long_frame
from geodl.data.samples import Samples
from geodl.data.series import SeriesSamples, open_series
from geodl.data.simulate import simulate_crop_cube, simulate_series
from geodl.errors import BandMismatch, LabelsOutOfRange, RecipeError
from geodl.pipelines.crops import Crops
from geodl.pipelines.task import open_pipeline
from tests.pipeline_case import PipelineCase

CLOUDS = {"band": "cloud", "values": [1, 2]}
SMALL: dict[str, Any] = {
    "network": {"name": "ltae", "width": 16, "heads": 2, "mlp": [16]},
    "verification": {"early_season": 2, "importance": 4, "baselines": ["nearest"]},
    "data.clouds": CLOUDS,
    "data.split.by": "column",
    "data.split.column": "parcel",
    "train.epochs": 1,
    "train.steps_per_epoch": 2,
    "train.batch_size": 8,
    "train.jit": False,
}


def write(path: Path, count: int = 64, **options: Any) -> str:
    """A long table of simulated seasons, as a user has one."""
    table = simulate_series(count, seed=0, regions=("west",), revisit=20, **options)
    long_frame(table, "train").drop(columns="split").to_parquet(path, index=False)
    return str(path)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(tmp_path_factory.mktemp("table") / "series.parquet")


def pipeline(table: str | None, **changes: Any) -> Crops:
    renamed = {key.replace("__", "."): value for key, value in changes.items()}
    found = open_pipeline("crops", {**SMALL, "data.series": table, **renamed})
    assert isinstance(found, Crops)
    return found


class TestWalk(PipelineCase):
    """Train, resume, save, load and predict; what becomes a map here is a cube of dates."""

    recipe: ClassVar[str] = "crops"
    quick: ClassVar[dict[str, Any]] = {**SMALL, "train.epochs": 2}

    def data(self, folder: Path) -> dict[str, Any]:
        return {"data.series": write(folder / "series.parquet")}

    def scene(self, folder: Path) -> Path:
        cube, _ = simulate_crop_cube(seed=0, size=33, revisit=40, cloudiness=0)
        bands = [name for name in cube.data_vars if name != "cloud"]
        for name in bands:
            cube[name][:, :5, :7] = np.nan
        cube["cloud"][:] = 0
        cube.isel(x=slice(0, 32)).to_netcdf(folder / "cube.nc")
        return folder / "cube.nc"

    def test_bundle_is_whole(self, run: Any) -> None:
        folder = run[0].path
        content = json.loads((folder / "metrics.json").read_text())
        assert content["protocol"]["part"] == "validation"
        assert set(content["baselines"]) == {"nearest"}
        assert {path.name for path in folder.iterdir()} >= {
            "network.keras",
            "contract.json",
            "recipe.yaml",
            "report.html",
        }
        eaten = geodl.load(folder).contract.input
        assert eaten.cloud_band == "cloud" and eaten.cloud_values == (1, 2)
        assert (eaten.dim("time").step, eaten.dim("time").unit) == (20, "day")

    def test_map_lies_on_the_scene_and_keeps_nodata(self, run: Any, tmp_path: Path) -> None:
        geodl.load(run[0].path).predict_file(self.scene(tmp_path), tmp_path / "map.tif")
        with rasterio.open(tmp_path / "map.tif") as made:
            assert made.crs.is_projected
            assert made.shape == (33, 32)
            mask = made.dataset_mask()
            assert not mask[:5, :7].any()
            assert mask[5:, 7:].all()

    def test_evaluate_scores_another_table_whole(self, run: Any, tmp_path: Path) -> None:
        other = write(tmp_path / "other.parquet", 40, part="test")
        found = geodl.evaluate(run[0].path, {"data.series": other}, json=tmp_path / "scores.json")
        said = geodl.load(run[0].path).predict(open_series(other, cloud_band="cloud", cloud_values=(1, 2)))
        names = said["class"]
        truth = pd.read_parquet(other).drop_duplicates("series").set_index("series")["crop"]
        truth = truth.loc[[str(name) for name in said["series"]]] if "series" in said else truth
        assert found.metrics["accuracy"] == pytest.approx(accuracy_score(truth, names))
        assert found.metrics["kappa"] == pytest.approx(cohen_kappa_score(truth, names))
        assert found.metrics["macro_f1"] == pytest.approx(
            f1_score(truth, names, average="macro", labels=sorted({*truth, *names}), zero_division=0), abs=1e-6
        )
        content = json.loads((tmp_path / "scores.json").read_text())
        assert content["protocol"]["part"] == "all"
        assert len(content["details"]["early_season"]["accuracy"]) == 2
        assert content["details"]["early_season"]["accuracy"][-1] == pytest.approx(found.metrics["accuracy"])

    def test_report_shows_the_season(self, run: Any) -> None:
        text = (run[0].path / "report.html").read_text()
        for caption in ("Profiles of the classes (NDVI)", "Scores of series that end early", "Scores of each class"):
            assert caption in text


@pytest.mark.parametrize("name", ["lstm", "gru", "tempcnn", "inception", "transformer", "ltae"])
def test_every_network_is_built_for_series_with_dates_of_their_own(table: str, name: str) -> None:
    asked = pipeline(table, network={"name": name})
    parts = asked.samples()
    network = asked.network(parts)
    assert parts.input.days == () and parts.input.dim("time").size is None
    assert network.output.shape[-1] == len(parts.output.classes)
    assert [tensor.name for tensor in network.inputs] == ["values", "days"]


def test_a_common_calendar_makes_a_tempcnn_of_as_many_dates(tmp_path: Path) -> None:
    regular = write(tmp_path / "regular.parquet", 48, irregular=False)
    parts = pipeline(regular, network={"name": "tempcnn"}).samples()
    assert parts.input.dim("time").size == len(parts.input.days) == 19
    assert parts.input.dim("time").step == 20
    with pytest.raises(RecipeError, match=r"network.length: expected 19"):
        pipeline(regular, network={"name": "tempcnn", "length": 7}).samples()


def test_an_ensemble_is_one_network_whose_members_differ(table: str) -> None:
    asked = pipeline(table, ensemble=2)
    parts = asked.samples()
    one, other = (layer for layer in asked.network(parts).layers if layer.name.startswith("member_"))
    assert any(not np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_balanced_class_weights_follow_the_training_series(table: str) -> None:
    asked = pipeline(table, loss={"name": "cross_entropy", "class_weights": "balanced"})
    counts = asked.samples().train.class_counts  # type: ignore[attr-defined]
    weights = np.array(asked.loss().loss.class_weights)
    present = counts > 0
    np.testing.assert_allclose((weights * counts)[present], counts.sum() / present.sum())


def test_the_fold_is_reported_and_chooses_no_epoch(table: str) -> None:
    asked = open_pipeline("crops", {**SMALL, "data.series": table}, fold=1)
    parts = asked.samples()
    assert parts.validation is None
    groups = [{samples.place(k).group for k in range(len(samples))} for samples in (parts.train, _held(parts.test))]
    assert groups[0].isdisjoint(groups[1])


def test_dates_are_chosen_and_a_source_that_has_them_gives_these_alone(tmp_path: Path) -> None:
    regular = write(tmp_path / "regular.parquet", 48, irregular=False)
    every = pipeline(regular).samples().input.days
    some = [str(np.datetime64("2019-01-01") + int(day) - 1) for day in every[::2]]
    asked = pipeline(regular, data__dates=some)
    parts = asked.samples()
    assert parts.input.days == every[::2]
    trained = asked.held_out
    from geodl.pipelines.base import complete_contract

    contract = complete_contract("crops", parts, asked.network(parts))
    held, _ = pipeline(regular).held_out(contract, "all")
    assert isinstance(held, SeriesSamples) and held.length == len(some)
    assert trained(contract, "all")[0].read(0, np.random.default_rng(0))[0]["days"].tolist() == list(every[::2])


def test_what_cannot_be_learnt_from_is_refused_by_a_sentence(table: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"data.series: no series given"):
        pipeline(None).samples()
    with pytest.raises(RecipeError, match=r"data.images: crops learns from data.series"):
        pipeline(table, data__images=str(tmp_path)).samples()
    with pytest.raises(RecipeError, match=r"data.sampling: expected balanced or random"):
        pipeline(table, data__sampling="grid").samples()
    with pytest.raises(BandMismatch, match="B99"):
        pipeline(table, data__bands=["B99"]).samples()
    with pytest.raises(RecipeError, match=r"network.length: the training series have dates of their own"):
        pipeline(table, network={"name": "tempcnn", "length": 12}).samples()


def test_a_class_unseen_in_training_is_named(table: str, tmp_path: Path) -> None:
    asked = pipeline(table)
    parts = asked.samples()
    from geodl.pipelines.base import complete_contract

    contract = complete_contract("crops", parts, asked.network(parts))
    frame = pd.read_parquet(table)
    frame["crop"] = frame["crop"].replace({frame["crop"].iloc[0]: "hemp"})
    frame.to_parquet(tmp_path / "hemp.parquet")
    with pytest.raises(LabelsOutOfRange, match="hemp"):
        pipeline(str(tmp_path / "hemp.parquet")).held_out(contract, "all")


def _held(samples: Samples | None) -> Samples:
    assert samples is not None
    return samples
