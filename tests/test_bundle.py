"""Bundles: written whole, read without running code from them, old ones too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import keras
import numpy as np
import pystac
import pytest

import geodl
from geodl.bundle import is_bundle, read_bundle, remove_bundle, replace_text, write_bundle
from geodl.contract import Band, ClassInfo, Contract, Dim, ModelInput, ModelOutput
from geodl.errors import BundleError, ContractError, OptionError, OutputUnwritable
from geodl.inference.export import export
from geodl.models import UNet
from tests.data.servers import Fault, serve_files

STORED = Path(__file__).parent / "stored" / "bundle_v1"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[fsspec.AbstractFileSystem]:
    """Object storage that holds the stored bundle as memory://bucket/run."""
    monkeypatch.setenv("GEODL_CACHE", str(tmp_path / "cache"))
    files = fsspec.filesystem("memory")
    for path in STORED.iterdir():
        files.pipe_file(f"/bucket/run/{path.name}", path.read_bytes())
    yield files
    files.rm("/bucket", recursive=True)


def contract() -> Contract:
    dims = (Dim("y", margin=5, lattice=2), Dim("x", margin=5, lattice=2), Dim("band", size=2))
    classes = (ClassInfo(1, "water", "#0072b2"), ClassInfo(2, "land", "#117733"))
    return Contract(
        "segmentation", ModelInput(dims, (Band("VV", "dB"), Band("VH", "dB"))), ModelOutput("classes", classes)
    )


def network() -> keras.Model:
    return UNet(2, 2, width=2, depth=1, mean=[-10.0, -17.0], std=[3.0, 4.0])


def test_what_was_written_is_read(tmp_path: Path) -> None:
    made = network()
    write_bundle(
        tmp_path,
        network=made,
        contract=contract(),
        recipe="seed: 1\n",
        metrics={"metrics": {"miou": 0.5}},
        report="<p>",
    )
    bundle = read_bundle(tmp_path)
    assert (bundle.contract, bundle.recipe, bundle.metrics) == (contract(), {"seed": 1}, {"metrics": {"miou": 0.5}})
    x = np.random.default_rng(0).normal(-12, 4, (1, 9, 7, 2)).astype(np.float32)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(bundle.network(x)), keras.ops.convert_to_numpy(made(x)), atol=1e-6
    )
    names = {"network.keras", "contract.json", "mlm.json", "recipe.yaml", "metrics.json", "report.html"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_mlm_is_a_stac_item_with_the_bands(tmp_path: Path) -> None:
    write_bundle(tmp_path, network=network(), contract=contract(), recipe="", metrics={})
    item = pystac.Item.from_dict(json.loads((tmp_path / "mlm.json").read_text()))
    assert item.properties["mlm:input"][0]["bands"] == ["VV", "VH"]
    assert item.properties["mlm:tasks"] == ["semantic-segmentation"]
    assert (tmp_path / item.assets["model"].href).is_file()


def replace_bytes(path: Path, after: bytes, offset: int, new: bytes) -> None:
    """Overwrites bytes so far behind the start of the first part of an archive that begins like `after`."""
    content = bytearray(path.read_bytes())
    start = content.index(after) + offset
    content[start : start + len(new)] = new
    path.write_bytes(content)


def test_bundle_of_the_first_version_is_still_read() -> None:
    bundle = read_bundle(STORED)
    x = np.load(STORED / "input.npy")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(bundle.network(x)), np.load(STORED / "output.npy"), atol=1e-4)
    assert [info.name for info in bundle.contract.output.classes] == ["water", "land"]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: shutil.rmtree(folder), "No such folder"),
        (lambda folder: (folder / "network.keras").unlink(), r"No network.keras in it"),
        (lambda folder: (folder / "network.keras").write_bytes(b"PK"), "cannot be loaded"),
        (
            lambda folder: replace_bytes(folder / "network.keras", b"PK\x01\x02", 8, b"\x01"),
            "cannot be loaded: .*encrypt",
        ),
        (
            lambda folder: replace_bytes(folder / "network.keras", b"PK\x01\x02", 10, b"c"),
            "cannot be loaded: .*compress",
        ),
        (lambda folder: (folder / "contract.json").unlink(), "missing or damaged"),
        (lambda folder: (folder / "recipe.yaml").write_text("{"), "missing or damaged"),
    ],
)
def test_damaged_bundle_is_refused(tmp_path: Path, spoil, sentence: str) -> None:
    folder = tmp_path / "run"
    write_bundle(folder, network=network(), contract=contract(), recipe="", metrics={})
    spoil(folder)
    with pytest.raises(BundleError, match=sentence):
        read_bundle(folder)


def test_unfinished_run_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    assert not is_bundle(tmp_path)
    with pytest.raises(BundleError, match=r"not finished.*Repeat the geodl train command"):
        read_bundle(tmp_path)


def test_contract_of_a_newer_geodl_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path, network=network(), contract=contract(), recipe="", metrics={})
    content = json.loads((tmp_path / "contract.json").read_text())
    (tmp_path / "contract.json").write_text(json.dumps({**content, "format_version": 99}))
    with pytest.raises(ContractError, match="Upgrade geodl"):
        read_bundle(tmp_path)


def test_code_in_a_network_is_not_run(tmp_path: Path) -> None:
    image = keras.Input((None, None, 2))
    harmful = keras.Model(image, keras.layers.Lambda(lambda x: x * 2)(image))
    write_bundle(tmp_path, network=harmful, contract=contract(), recipe="", metrics={})
    with pytest.raises(BundleError, match="cannot be loaded"):
        read_bundle(tmp_path).network  # noqa: B018


def test_text_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    replace_text(target, "old")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputUnwritable, match="Nothing half-written"):
        replace_text(tmp_path / "file" / "a.json", "new")
    replace_text(target, "new")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.json", "file"]
    assert target.read_text() == "new"


def test_a_bundle_is_removed_and_the_rest_stays(tmp_path: Path) -> None:
    for name in ("network.keras", "contract.json", "mlm.json", "recipe.yaml", "metrics.json", "log.csv"):
        (tmp_path / name).touch()
    remove_bundle(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def test_a_bundle_at_an_address_is_copied_once_for_each_version(bucket: fsspec.AbstractFileSystem) -> None:
    first, here = read_bundle("memory://bucket/run/"), read_bundle(STORED)
    assert (first.contract, first.recipe, first.metrics) == (here.contract, here.recipe, here.metrics)
    assert (first.path / "network.keras").read_bytes() == (STORED / "network.keras").read_bytes()
    assert first.path.name == "run"
    assert read_bundle("memory://bucket/run").path == first.path
    bucket.pipe_file("/bucket/run/metrics.json", b'{"metrics": {"miou": 0.25}}')
    assert read_bundle("memory://bucket/run").metrics == {"metrics": {"miou": 0.25}}
    assert read_bundle(first.path).metrics == here.metrics, "who has the old one open keeps it"


def test_a_bundle_on_the_web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEODL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.001")
    cut = Fault(path="network.keras", share=0.5, then="reset", least=2, times=2)
    with serve_files(STORED, [cut, Fault(path="report.html", status=403, times=-1)]) as server:
        bundle = read_bundle(server.url("").rstrip("/"))
        assert bundle.contract == read_bundle(STORED).contract
        assert (bundle.path / "network.keras").read_bytes() == (STORED / "network.keras").read_bytes()


def test_what_is_no_bundle_at_an_address(bucket: fsspec.AbstractFileSystem) -> None:
    bucket.rm_file("/bucket/run/network.keras")
    with pytest.raises(BundleError, match=r"^memory://bucket/run: No network.keras there\. Expected what geodl train"):
        read_bundle("memory://bucket/run")
    with pytest.raises(BundleError, match=r"No contract.json and no recipe.yaml and no network.keras there"):
        read_bundle("memory://bucket/none")


def test_a_network_at_an_address_is_loaded_but_nothing_exported_beside_it(bucket: fsspec.AbstractFileSystem) -> None:
    assert geodl.load("memory://bucket/run").contract == read_bundle(STORED).contract
    with pytest.raises(OptionError, match=r"target .*expected a local folder to export to"):
        export("memory://bucket/run", format="onnx")
    with pytest.raises(OptionError, match=r"Received: 's3://bucket/x'"):
        export(STORED, "s3://bucket/x", format="onnx")
