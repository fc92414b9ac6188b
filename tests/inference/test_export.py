"""Exports hold all that is needed to map without geodl."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pystac
import pytest
import rasterio
from scipy.special import softmax

import geodl
from geodl.bundle import load_network, write_bundle
from geodl.contract import Contract
from geodl.errors import BackendUnavailable, BundleError, OptionError, OutputExists, OutputUnwritable
from geodl.inference import export as module
from geodl.inference.conversion import available
from geodl.inference.export import export
from geodl.models import LTAE
from tests.inference.convertedseries import convert_quickly, random_series
from tests.inference.cropfakes import make_contract
from tests.inference.fakes import TRANSFORM

STORED = Path(__file__).parents[1] / "stored" / "bundle_v1"
NETWORKS = {"onnx": {"network.onnx"}, "openvino": {"network.xml", "network.bin"}, "saved_model": {"network"}}
BESIDE = {"contract.json", "mlm.json", "example.py", "README.md"}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(STORED, tmp_path / "run"))


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for the conversion, and for what it needs."""
    monkeypatch.setattr(module, "require", lambda format: None)
    monkeypatch.setattr(module, "convert", lambda network, target, *, format: target.write_text(format))


def write_scene(path: Path) -> None:
    """Backscatter in hundredths of a decibel, the bands in another order than the network's, with gaps."""
    rng = np.random.default_rng(5)
    stored = rng.normal((-1700, -1000), 300, (75, 58, 2)).round().astype(np.int16)
    stored[20:30, 10:40] = -32768
    stored[rng.random(stored.shape) < 0.02] = -32768
    profile = {"driver": "GTiff", "height": 75, "width": 58, "count": 2, "dtype": "int16", "nodata": -32768}
    with rasterio.open(path, "w", crs="EPSG:32633", transform=TRANSFORM, **profile) as file:
        file.write(np.moveaxis(stored, -1, 0))
        file.descriptions, file.scales = ("VH", "VV"), (0.01, 0.01)


def vary(bundle: Path) -> None:
    """Gives the network of a bundle weights that tell about as many pixels to be of one class as of the other."""
    network, rng = load_network(bundle / "network.keras"), np.random.default_rng(12)
    for weight in network.trainable_weights:
        weight.assign(rng.normal(0, 0.6, weight.shape))
    logits = network.predict(rng.normal((-10, -17), 3, (1, 64, 64, 2)).astype(np.float32), verbose=0)
    head = network.get_layer("head")
    head.bias.assign(head.bias - np.median(logits, axis=(0, 1, 2)))
    network.save(bundle / "network.keras")


@pytest.mark.parametrize("format", ["onnx", *(pytest.param(f, marks=pytest.mark.slow) for f in list(NETWORKS)[1:])])
def test_the_example_maps_as_geodl_does(bundle: Path, tmp_path: Path, format: Any) -> None:
    if not available(format):
        pytest.skip(f"what {format} needs is not installed")
    vary(bundle)
    folder = export(bundle, tmp_path / "deploy" / "a", format=format)
    assert {path.name for path in folder.iterdir()} == BESIDE | NETWORKS[format]
    assert [path.name for path in folder.parent.iterdir()] == ["a"]
    scene, target = tmp_path / "scene.tif", tmp_path / "map.tif"
    write_scene(scene)
    program = (
        "import runpy, sys; sys.modules['geodl'] = None; sys.argv = sys.argv[1:]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-I", "-c", program, folder / "example.py", scene, target]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    model = geodl.load(bundle, runtime="keras")
    expected = model.predict(scene, probabilities=True)
    near = np.abs(np.diff(expected["probabilities"].values, axis=0)[0]) < 1e-3
    with rasterio.open(target) as file:
        found = file.read(1)
        assert file.crs == expected.rio.crs and file.transform == expected.rio.transform()
    assert near.mean() < 0.02 and {1, 2, 255} == set(np.unique(found))
    np.testing.assert_array_equal(found[~near], expected["classes"].values[~near])


@pytest.mark.usefixtures("converted")
def test_contract_mlm_and_readme_stand_beside_the_network(bundle: Path) -> None:
    folder = export(bundle, format="onnx")
    assert folder == bundle.with_name("run-onnx")
    assert {path.name for path in folder.iterdir()} == BESIDE | NETWORKS["onnx"]
    read = (folder / "contract.json").read_text()
    assert Contract.from_json(read) == Contract.from_json((bundle / "contract.json").read_text())
    item = pystac.Item.from_dict(json.loads((folder / "mlm.json").read_text()))
    asset = item.assets["model"]
    assert (folder / asset.href).is_file() and asset.extra_fields["mlm:artifact_type"] == "onnx"
    assert [entry["name"] for key in ("mlm:input", "mlm:output") for entry in item.properties[key]] == [
        "image",
        "output",
    ]
    readme = (folder / "README.md").read_text()
    assert "| 0 | VV | dB | float32 | 1 | 0 | – |" in readme
    assert "| 1 | 2 | land | #117733 |" in readme
    assert "Nodata is not-a-number" in readme and "float32, (batch, y, x, class)" in readme
    assert "depends on 5 input pixels" in readme and "multiples of 2 " in readme and "$" not in readme


@pytest.mark.parametrize("format", ["onnx", *(pytest.param(f, marks=pytest.mark.slow) for f in list(NETWORKS)[1:])])
def test_the_readme_runs_a_network_for_series(tmp_path: Path, format: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if not available(format):
        pytest.skip(f"what {format} needs is not installed")
    keras.utils.set_random_seed(0)
    network = LTAE(2, 3, width=16, heads=2, mlp=(8,), mean=[0.2, 0.4], std=[0.1, 0.1])
    contract = make_contract(cloud_band="scl", cloud_values=(8.0, 9.0))
    write_bundle(tmp_path / "run", network=network, contract=contract, recipe="", metrics={})
    # A process of its own, which other tests start, would take as long as all of this.
    monkeypatch.setattr(module, "convert", convert_quickly)
    folder = export(tmp_path / "run", tmp_path / "deploy", format=format)
    assert {path.name for path in folder.iterdir()} == {"contract.json", "README.md"} | NETWORKS[format]
    readme = (folder / "README.md").read_text()
    assert "$" not in readme and "python example.py" not in readme
    for sentence in (
        "float32, (batch, time, band). Dates: any number.",
        "So is an observation where the band scl of its date has one of the values 8, 9.",
        "1 on the 1st of January of the year in which the series begins",
        "| 2 | 7 | bare soil | #0072b2 |",
    ):
        assert sentence in readme, sentence
    values, days = random_series((4, 11), bands=2)
    np.save(folder / "values.npy", values)
    np.save(folder / "days.npy", days)
    code = "import sys; sys.modules['geodl'] = None\n" + readme.split("```python\n")[1].split("```")[0]
    ended = subprocess.run([sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    shares = softmax(keras.ops.convert_to_numpy(network({"values": values, "days": days}, training=False)), -1)
    for line, row in zip(ended.stdout.splitlines(), shares, strict=True):
        best = contract.output.classes[row.argmax()]
        value, *name, share = line.split()
        assert (int(value), " ".join(name)) == (best.value, best.name)
        assert float(share) == pytest.approx(row.max(), abs=2e-4)


@pytest.mark.usefixtures("converted")
def test_the_readme_tells_which_dates_a_network_wants(tmp_path: Path) -> None:
    bundle = write_bundle(
        tmp_path / "run", network=keras.Sequential(), contract=make_contract(size=3, days=(32, 48.5, 64)), recipe="",
        metrics={},
    )  # fmt: skip
    readme = (export(bundle, format="saved_model") / "README.md").read_text()
    assert "Dates: exactly 3." in readme and "observed on these 3, in their order: 32, 48.5, 64." in readme
    assert "network.serve(values=" in readme and "band scl" not in readme
    undated = write_bundle(
        tmp_path / "undated", network=keras.Sequential(), contract=make_contract(unit=""), recipe="", metrics={}
    )
    readme = (export(undated, format="saved_model") / "README.md").read_text()
    assert "a day is the position of the date, 0, 1, 2, …." in readme


@pytest.mark.usefixtures("converted")
def test_an_older_export_is_replaced_if_asked_for(bundle: Path, tmp_path: Path) -> None:
    target = tmp_path / "deploy"
    target.mkdir()
    export(bundle, target, format="onnx")
    with pytest.raises(OutputExists, match="deploy already holds an export"):
        export(bundle, target, format="openvino")
    export(bundle, target, format="openvino", overwrite=True)
    assert {path.name for path in target.iterdir()} == BESIDE | {"network.xml"}
    assert {path.name for path in tmp_path.iterdir()} == {"run", "deploy"}


@pytest.mark.usefixtures("converted")
def test_other_folders_are_left_alone(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputUnwritable, match=r"holds other things than an export, such as (input.npy|network.keras)"):
        export(bundle, bundle, format="onnx", overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(OutputUnwritable, match="there is a file of that name"):
        export(bundle, tmp_path / "file", format="onnx", overwrite=True)


@pytest.mark.parametrize("error", [BackendUnavailable("A", "b", advice="C."), OSError(28, "No space left on device")])
def test_nothing_is_left_of_an_export_that_failed(
    monkeypatch: pytest.MonkeyPatch, bundle: Path, tmp_path: Path, error: Exception
) -> None:
    monkeypatch.setattr(module, "require", lambda format: None)
    monkeypatch.setattr(module, "convert", lambda network, target, *, format: target.write_text(format))
    export(bundle, tmp_path / "deploy", format="onnx")
    before = (tmp_path / "deploy" / "network.onnx").stat()

    def fails(network: Path, target: Path, *, format: str) -> None:
        target.write_text("half")
        raise error

    monkeypatch.setattr(module, "convert", fails)
    with pytest.raises(OutputUnwritable if isinstance(error, OSError) else BackendUnavailable):
        export(bundle, tmp_path / "deploy", format="onnx", overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"run", "deploy"}
    assert (tmp_path / "deploy" / "network.onnx").stat() == before


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="No such folder"):
        export(tmp_path / "nowhere", format="saved_model")
    with pytest.raises(OptionError, match="expected onnx, openvino or saved_model"):
        export(tmp_path, format="keras")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
