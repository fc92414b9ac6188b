"""Maps made on clusters of Dask's, against those of one process."""

from __future__ import annotations

import logging
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import rasterio
import rasterio.shutil
import shapely
import xarray as xr
from distributed import Client, KilledWorker, LocalCluster
from hypothesis import given, settings
from hypothesis import strategies as st
from pyogrio import write_dataframe

from geodl import errors
from geodl.errors import BackendUnavailable, GeodlError, NoValidPixels, OptionError, SourceUnreadable
from geodl.inference import cluster as clusters
from geodl.inference import clustertasks, clusterwalk, planning
from geodl.inference.arrays import MemorySink
from geodl.inference.cluster import Cluster, check_cluster, open_cluster
from geodl.inference.converted import Converted
from geodl.inference.options import Options
from geodl.inference.portable import PortableCall
from geodl.inference.predictor import Predictor
from geodl.inference.unfinished import Journal
from tests.inference.cropfakes import make_classifier, make_cube
from tests.inference.fakes import TRANSFORM, BlurNetwork, make_contract, make_predictor, make_scene
from tests.inference.test_adapting import told_contract

OVERLAP = 12


class Counted:
    """Counts the tiles that a network sees."""

    def __init__(self, network: Callable[[np.ndarray], np.ndarray]) -> None:
        self.network, self.count = network, 0

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        self.count += 1
        return self.network(inputs)


def portable(network: Callable[[np.ndarray], np.ndarray], contract: Any) -> Predictor:
    """A predictor of a function that a journal knows again."""
    model = make_predictor(network, contract)
    model._running = Converted(PortableCall(network, lambda: b"network", "keras"), "keras", activations=64)
    return model


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Two workers in this process."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as connected,
    ):
        yield connected


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_TILE", 48)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def written(name: str = "scene.tif", height: int = 90, width: int = 130, *, holes: bool = True) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        values = make_scene(height, width, seed=height, holes=holes).read()[0]
        profile = {"count": 2, "dtype": "float32", "nodata": np.nan, "crs": "EPSG:32633", "transform": TRANSFORM}
        with rasterio.open(path, "w", driver="GTiff", height=height, width=width, **profile) as file:
            file.write(np.moveaxis(values, -1, 0))
            file.descriptions = ("B01", "B02")
        return path

    return written


def same_files(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files, to the last bit."""
    names = sorted(os.listdir(one))
    return names == sorted(os.listdir(other)) and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in names
    )


@pytest.mark.parametrize("case", ["classes", "part", "residual", "finer", "told"])
def test_files_are_those_of_one_process(client: Client, write: Callable[..., Path], tmp_path: Path, case: str) -> None:
    options: dict[str, Any] = {"overlap": OVERLAP}
    contract = make_contract(margin=None, lattice=4, kind="classes" if case in ("classes", "part") else "bands")
    network: Any = BlurNetwork(channels=3)
    if case == "classes":
        options |= {"probabilities": True, "confidence": True, "entropy": True, "turns": 2}
    elif case == "part":
        area = shapely.box(500_150, 4_999_300, 500_900, 4_999_900)
        mask = shapely.to_geojson(shapely.difference(area, area.buffer(-200)))
        (tmp_path / "mask.geojson").write_text(mask)
        import geopandas

        write_dataframe(
            geopandas.GeoDataFrame(geometry=[shapely.from_geojson(mask)], crs=32633), tmp_path / "mask.gpkg"
        )
        options |= {"mask": tmp_path / "mask.gpkg", "bbox": (500_105, 4_999_200, 501_000, 4_999_905)}
    elif case == "residual":
        network = BlurNetwork(channels=2)
    elif case == "finer":
        contract, network = make_contract(scale=2, kind="bands"), BlurNetwork(channels=2, scale=2)
    else:
        contract = told_contract()

        def network(inputs: np.ndarray) -> np.ndarray:
            return inputs[..., :2] - inputs[..., 2:]

    model = make_predictor(network, contract)
    scene, told = write(), []
    for name, where in (("one", None), ("many", client)):
        if case == "residual":
            options["residual"] = tmp_path / name / "noise.tif"
        (path,) = model.predict_file(
            scene, tmp_path / name / "map.tif", cluster=where, progress=lambda *p: told.append(p), **options
        )
        assert path == tmp_path / name / "map.tif"
    assert same_files(tmp_path / "one", tmp_path / "many")
    with rasterio.open(path) as made:
        assert told[-1] == (told[-1][1],) * 2 == (made.height * made.width // contract.output.scale**2,) * 2


class Ready:
    """A future whose task is done as soon as it is submitted, unless its worker died of it."""

    def __init__(self, made: Callable[[], Any]) -> None:
        self.made = made

    def add_done_callback(self, function: Callable[[Ready], None]) -> None:
        function(self)

    def result(self, timeout: float | None = None) -> Any:
        return self.made()

    def release(self) -> None:
        pass


class AtOnce:
    """A client that does what it is given at once, in its own thread. Where `deadly` says so, workers die of it."""

    def __init__(self, deadly: Callable[[Any], bool] = lambda part: False) -> None:
        self.deadly = deadly

    def submit(self, function: Callable[..., Any], *arguments: Any, key: str, pure: bool) -> Ready:
        given = [each.result() if isinstance(each, Ready) else each for each in arguments]

        def made() -> Any:
            if self.deadly(given[-1]):
                raise KilledWorker(key, None, 3)
            return function(*given)

        return Ready(made)

    def nthreads(self) -> dict[str, int]:
        return {"one": 2, "other": 2}


class Disorder(queue.SimpleQueue):
    """Gives what is in it in any order."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.items: list[Any] = []

    def put(self, item: Any) -> None:  # type: ignore[override]
        self.items.append(item)

    def get(self, timeout: float) -> Any:  # type: ignore[override]
        return self.items.pop(self.random.randrange(len(self.items)))


class Stopped(Exception):
    """Stands for whatever ends a run early."""


@settings(max_examples=15)
@given(st.integers(1, 150), st.integers(1, 150), st.integers(0, 99), st.lists(st.integers(1, 8), max_size=4))
def test_however_often_it_is_broken_off_no_tile_is_done_twice(
    height: int, width: int, seed: int, stops: list[int]
) -> None:
    """Tiles arrive in any order; a run ends after so many of them, and the next one goes on."""
    from tempfile import TemporaryDirectory

    contract = make_contract(margin=None, lattice=4)
    network = Counted(BlurNetwork())
    model = make_predictor(network, contract)
    scene = make_scene(height, width, holes=True)
    request = model._mapper.request(scene, Options(overlap=OVERLAP, confidence=True))
    plan = model._mapper.plan(request)
    shape = request.grid.shape
    expected, found = (MemorySink(request.products.layers, *shape) for _ in range(2))
    valid = True
    try:
        model._mapper.map(request, plan, expected)
    except NoValidPixels:
        valid = False
    wanted, network.count = network.count, 0

    class Kept(MemorySink):
        flush = staticmethod(lambda to_disk=False: None)

    found = Kept(request.products.layers, *shape)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(clusterwalk.queue, "SimpleQueue", lambda: Disorder(seed))
        patch.setattr("geodl.inference.unfinished._SYNC", seed % 2)
        for fresh, stop in zip([True, *[False] * len(stops)], [*stops, None], strict=True):
            left = [stop]

            def count(done: int, total: int, left: list[int | None] = left) -> None:
                if left[0] is not None:
                    left[0] -= 1
                    if not left[0]:
                        raise Stopped

            journal = Journal(Path(folder), found, fresh=fresh)
            walk = clusterwalk._Walk(
                Cluster(AtOnce(), "at once", local=True), request, plan, found, journal, count
            )  # fmt: skip
            try:
                assert bool(walk.run()) is valid
            except Stopped:
                continue
    assert network.count == wanted
    for one, other in zip(found.arrays, expected.arrays, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_same_call_goes_on_where_one_was_broken_off(
    client: Client, write: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = Counted(BlurNetwork())
    model = portable(network, make_contract(margin=None, lattice=4))
    scene, told = write(holes=False), []
    model.predict_file(scene, tmp_path / "one" / "map.tif", overlap=OVERLAP)
    every, network.count = network.count, 0

    def interrupt(done: int, total: int) -> None:
        told.append(done)
        if len(told) == 5:
            raise KeyboardInterrupt

    target = tmp_path / "many" / "map.tif"
    with pytest.raises(KeyboardInterrupt), caplog.at_level(logging.WARNING, "geodl"):
        model.predict_file(scene, target, overlap=OVERLAP, cluster=client, progress=interrupt)
    assert "map.tif is unfinished" in caplog.text and os.listdir(target.parent) == [".map.tif.unfinished"]
    _settle(client)
    network.count = 0
    shutil.copytree(target.parent, tmp_path / "other")
    model.predict_file(scene, target, overlap=OVERLAP, cluster=client, progress=lambda done, _: told.append(done))
    assert network.count == every - 5 and told[5] > told[4]
    assert same_files(tmp_path / "one", tmp_path / "many")
    # Another option: it is another map, and what there was is of no use.
    network.count = 0
    model.predict_file(scene, tmp_path / "other" / "map.tif", overlap=OVERLAP, cluster=client, confidence=True)
    assert network.count == every and sorted(os.listdir(tmp_path / "other")) == ["map.confidence.tif", "map.tif"]


def test_one_process_that_makes_the_map_after_all_clears_up(
    client: Client, write: Callable[..., Path], tmp_path: Path
) -> None:
    model = portable(BlurNetwork(), make_contract(margin=None, lattice=4))

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.predict_file(write(), tmp_path / "map.tif", cluster=client, progress=interrupt)
    assert sorted(os.listdir(tmp_path)) == [".map.tif.unfinished", "scene.tif"]
    model.predict_file(tmp_path / "scene.tif", tmp_path / "map.tif")
    assert sorted(os.listdir(tmp_path)) == ["map.tif", "scene.tif"]


def test_of_many_scenes_those_that_are_finished_are_not_made_again(
    client: Client, write: Callable[..., Path], tmp_path: Path
) -> None:
    network = Counted(BlurNetwork())
    model = portable(network, make_contract(margin=None, lattice=4))
    for name in "abc":
        write(f"scenes/{name}.tif", 40, 30 + ord(name) - ord("a"), holes=False)

    def interrupt(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.predict_file(tmp_path / "scenes", tmp_path / "maps", cluster=client, progress=interrupt)
    _settle(client)
    network.count = 0
    assert (tmp_path / "maps" / "a.tif").exists() and not (tmp_path / "maps" / "c.tif").exists()
    made = model.predict_file(tmp_path / "scenes", tmp_path / "maps", cluster=client)
    assert [path.name for path in made] == ["a.tif", "b.tif", "c.tif"] and network.count == 1
    model.predict_file(tmp_path / "scenes", tmp_path / "one")
    assert same_files(tmp_path / "one", tmp_path / "maps")


def test_where_all_is_nodata_nothing_stays(client: Client, write: Callable[..., Path], tmp_path: Path) -> None:
    path = write()
    with rasterio.open(path, "r+") as file:
        file.write(np.full((2, 90, 130), np.nan, np.float32))
    model = portable(BlurNetwork(), make_contract(margin=None, lattice=4))
    with pytest.raises(NoValidPixels, match="Every pixel asked for is nodata"):
        model.predict_file(path, tmp_path / "maps" / "map.tif", cluster=client)
    assert os.listdir(tmp_path) == ["scene.tif"]


def test_cubes_of_dates_go_through_it_too(client: Client, tmp_path: Path) -> None:
    model, cube = make_classifier(), make_cube(20, 40)
    for name, where in (("one", None), ("many", client)):
        (tmp_path / name).mkdir()
        model.predict_file(cube, tmp_path / name / "map.tif", cluster=where, confidence=True)
    assert same_files(tmp_path / "one", tmp_path / "many")
    with pytest.raises(OptionError, match=r"cluster \(--cluster\): expected none: it is of maps"):
        model.predict_file("table.csv", tmp_path / "table.csv", cluster="local:2")


def test_a_scene_that_a_worker_cannot_read_is_told_as_it_was_there(
    client: Client, write: Callable[..., Path], tmp_path: Path
) -> None:
    path = tmp_path / "cog.tif"
    rasterio.shutil.copy(write(), path, driver="COG")
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) // 2)
    model = portable(BlurNetwork(), make_contract(margin=None, lattice=4))
    with pytest.raises(SourceUnreadable, match=r"cog\.tif.*damaged.*\(Worker inproc://.* says so\.\)"):
        model.predict_file(path, tmp_path / "map.tif", cluster=client)


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "GeodlError"])
def test_every_error_comes_back_as_it_was(name: str) -> None:
    made = clustertasks.Failure(name, "What is wrong. Expected this.", "tcp://there").error(local=True)
    assert type(made) is getattr(errors, name) and isinstance(made, GeodlError)
    assert str(made) == "What is wrong. Expected this."


def test_workers_that_die_of_a_tile_are_told_of(tmp_path: Path) -> None:
    model = make_predictor(BlurNetwork(), make_contract(margin=None, lattice=4))
    request = model._mapper.request(make_scene(90, 130), Options(overlap=OVERLAP))
    plan = model._mapper.plan(request)
    sink = MemorySink(request.products.layers, *request.grid.shape)
    journal = Journal(tmp_path, _Unflushed(), fresh=True)
    last = Cluster(AtOnce(lambda part: getattr(part, "top", 0) > 40), "tcp://there:8786", local=False)  # type: ignore[arg-type]
    with pytest.raises(BackendUnavailable, match="4 workers died of it, one after the other. Most often memory"):
        clusterwalk.map_on_cluster(last, request, plan, sink, journal)
    assert journal.valid, "what was done before is lost"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("local:0", "expected local:N for N processes, or the address of a scheduler"),
        ("local", "expected local:N"),
        ("there:8786", "Received: 'there:8786'"),
        (7, "expected a string, or a distributed.Client. Received: 'int'"),
    ],
    ids=["none", "no number", "no protocol", "no string"],
)
def test_what_is_no_cluster_is_refused_before_anything_is_done(asked: Any, sentence: str, tmp_path: Path) -> None:
    model = make_predictor(BlurNetwork(), make_contract())
    with pytest.raises(OptionError, match=rf"cluster \(--cluster\): .*{sentence}"):
        model.predict_file("nowhere.tif", tmp_path / "map.tif", cluster=asked)


def test_tiles_do_not_go_together() -> None:
    with pytest.raises(OptionError, match=r"batch_size \(--batch-size\): expected 1 with cluster"):
        check_cluster("local:2", batch_size=2)


def test_without_its_package_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match=r"distributed is not installed.*pip install 'geodl\[cluster\]'"):
        check_cluster("local:2")


def test_where_no_scheduler_answers_it_is_said_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "_PATIENCE", 0.3)
    with (
        pytest.raises(
            BackendUnavailable, match=r"The cluster tcp://127\.0\.0\.1:9 cannot be had: no scheduler answers"
        ),
        open_cluster("tcp://127.0.0.1:9"),
    ):
        pass


def test_workers_have_to_be_there_with_this_geodl_and_the_scenes(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with open_cluster(client) as cluster:
        assert cluster.size == 2
        cluster.check_paths([os.fspath(tmp_path), "s3://bucket/scene.tif"])
        with pytest.raises(
            BackendUnavailable, match=r"worker inproc://\S+ cannot read /\S+nowhere.tif.*that all workers share"
        ):
            cluster.check_paths(["nowhere.tif"])
        monkeypatch.setattr(clusters, "version", lambda name: "99.1")
        with pytest.raises(BackendUnavailable, match=r"worker inproc://\S+ has geodl .*Install geodl 99\.1"):
            cluster.check_workers()
    assert client.status == "running", "a client that was given is closed"
    monkeypatch.setattr(clusters, "_PATIENCE", 0.1)
    monkeypatch.setattr(Cluster, "size", 0)
    with pytest.raises(BackendUnavailable, match="it has no workers. Start some: dask worker"), open_cluster(client):
        pass


def test_lazy_maps_take_the_network_to_a_cluster_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []

    def content() -> bytes:
        sent.append(1)
        return b"network"

    network = BlurNetwork()
    model = make_predictor(network, make_contract(margin=None, lattice=4))
    model._running = Converted(PortableCall(network, content, "keras"), "keras", activations=64)
    values = make_scene(150, 170, holes=True).read()[0]
    scene = xr.DataArray(da.from_array(values, chunks=(50, 50, 2)), dims=("y", "x", "band"))
    scene = scene.assign_coords(band=["B01", "B02"])
    lazy = model.predict(scene, overlap=OVERLAP)
    expected = model.predict(scene.compute(), overlap=OVERLAP)
    np.testing.assert_array_equal(lazy.compute(scheduler="threads"), expected)
    assert not sent
    np.testing.assert_array_equal(client.compute(lazy).result(), expected)
    assert len(sent) <= 3


def _settle(client: Client) -> None:
    """Waits until the workers are done with what was given up."""
    while any(client.processing().values()):
        time.sleep(0.01)


class _Unflushed:
    def flush(self, *, to_disk: bool = False) -> None:
        pass


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a small U-Net with random weights."""
    import keras

    from geodl.bundle import write_bundle
    from geodl.models import UNet
    from geodl.models.receptive import receptive_margin, total_stride

    folder = tmp_path_factory.mktemp("runs") / "a"
    keras.utils.set_random_seed(3)
    network = UNet(channels=2, classes=3, width=8, depth=2)
    contract = make_contract(margin=receptive_margin(network), lattice=total_stride(network))
    write_bundle(folder, network=network, contract=contract, recipe="pipeline: segmentation\n", metrics={})
    return folder


@pytest.mark.slow
def test_a_worker_killed_half_way_costs_its_tiles(
    run: Path, write: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import geodl

    scene, model = write(height=800, width=900), geodl.load(run, runtime="keras")
    for name in ("one", "many"):
        (tmp_path / name).mkdir()
    model.predict_file(scene, tmp_path / "one" / "map.tif", overlap=OVERLAP)
    killed: list[int] = []
    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as started, Client(started) as client:

        def kill(done: int, total: int) -> None:
            if done > total // 2 and not killed:
                killed.append(next(iter(client.run(os.getpid).values())))
                os.kill(killed[0], signal.SIGKILL)

        model.predict_file(
            scene, tmp_path / "many" / "map.tif", overlap=OVERLAP, cluster=client, progress=kill
        )  # fmt: skip
    assert killed and same_files(tmp_path / "one", tmp_path / "many")
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
def test_a_client_killed_is_gone_on_with_on_processes_of_this_machine(
    run: Path, write: Callable[..., Path], tmp_path: Path
) -> None:
    scene, target = write(height=3000, width=3000, holes=False), tmp_path / "many" / "map.tif"
    command = [
        sys.executable, "-m", "geodl", "predict", str(run), str(scene), str(target), "--cluster", "local:2",
        "--memory", "150MB", "--runtime", "keras",
    ]  # fmt: skip
    journal = target.parent / ".map.tif.unfinished" / "journal"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        while client.poll() is None and (not journal.exists() or journal.read_text().count("tile") < 6):
            time.sleep(0.05)
        client.kill()
        assert client.wait() == -signal.SIGKILL, client.stderr.read()
    assert not target.exists()
    done = [line for line in journal.read_text().splitlines() if line.startswith("tile")]
    seen = subprocess.run([*command, "--quiet"], capture_output=True, text=True, check=True)
    assert seen.stdout.splitlines() == [str(target)] and not seen.stderr
    assert len(done) >= 6 and os.listdir(target.parent) == ["map.tif"]
    (tmp_path / "one").mkdir()
    one = [word if word != str(target) else str(tmp_path / "one" / "map.tif") for word in command]
    one = [word for word in one if word not in ("--cluster", "local:2")]
    subprocess.run(one, check=True, capture_output=True)
    with rasterio.open(target) as found, rasterio.open(tmp_path / "one" / "map.tif") as expected:
        assert (found.read() != expected.read()).mean() < 1e-4
