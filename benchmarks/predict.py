"""A whole `geodl predict` against the network alone and against TorchGeo's grid loop.

    python benchmarks/predict.py [--quick] [--busy] [--batch 8] [--workers 1]

Measured in turn, three rounds, each toolkit in a process of its own:

- the network alone on one tile of 1024 x 1024 pixels: Keras on TensorFlow without and with XLA, ONNX Runtime, OpenVINO,
  and its twin in torch (channels_last), all checked to give the same logits;
- `geodl predict` of a scene of 4096 x 4096 pixels (4 bands, uint16, COG) as a command, start of Python included, map
  written; with blended and with exact tiles; and `Predictor.predict_file` in a process that is already there;
- TorchGeo: RasterDataset, GridGeoSampler of 256 pixels with an overlap of 64, DataLoader, the torch twin. Its logits are
  thrown away: nothing is stitched, nothing written;
- rasterio alone: the scene's blocks read, as many bytes as a map has written.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from apart import Apart, apart
from harness import Check, begin, measure, parser, report, store

from geodl._quiet import load_backend

BANDS = ("B02", "B03", "B04", "B08")
CLASSES = ("water", "forest", "cropland", "grassland", "built-up")
MEAN, STD = (0.08, 0.09, 0.09, 0.22), (0.05, 0.05, 0.06, 0.10)
RUNTIMES = ("Keras on TensorFlow", "Keras on TensorFlow, XLA", "ONNX Runtime", "OpenVINO")
"""What geodl may run a network with."""
FORWARDS = 3
"""Tiles that the network alone is given in a round."""


def write_run(folder: Path, side: int) -> None:
    """Writes a bundle with random weights and statistics; its weights for the twin; a tile and its logits."""
    load_backend()
    import keras

    from geodl.bundle import write_bundle
    from geodl.contract import Band, ClassInfo, Contract, Dim, ModelInput, ModelOutput
    from geodl.models import UNet
    from geodl.models.receptive import receptive_margin, total_stride

    network = UNet(len(BANDS), len(CLASSES), width=16, depth=4, stem=1, mean=MEAN, std=STD)
    rng = np.random.default_rng(0)
    for variable in network.variables:
        around = {"gamma": 1.0, "moving_variance": 1.0}.get(variable.name)
        if around:
            variable.assign(rng.uniform(0.7, 1.4, variable.shape))
        elif variable.name != "kernel":
            variable.assign(rng.normal(0, 0.1, variable.shape))
    margin, lattice = receptive_margin(network), total_stride(network)
    axes = [Dim(axis, margin=margin, lattice=lattice, step=10.0, unit="metre") for axis in "yx"]
    contract = Contract(
        "segmentation",
        ModelInput((*axes, Dim("band", len(BANDS))), tuple(Band(name) for name in BANDS)),
        ModelOutput("classes", tuple(ClassInfo(k + 1, name, "#0072b2") for k, name in enumerate(CLASSES))),
    )
    write_bundle(folder, network=network, contract=contract, recipe="pipeline: segmentation\n", metrics={})
    np.savez(folder / "weights.npz", **{variable.path: variable.numpy() for variable in network.variables})
    tile = rng.normal(MEAN, STD, (1, side, side, len(BANDS))).astype(np.float32)
    logits = keras.ops.convert_to_numpy(network(tile, training=False))
    np.savez(folder / "tile.npz", tile=tile, logits=logits)


def write_scene(path: Path, side: int) -> None:
    """Writes a cloud-optimised GeoTIFF of simulated landscape: reflectance times 10,000, its scale as a tag."""
    import rasterio
    import rasterio.shutil

    from geodl.data.simulate.scenes import simulate_scene

    own = min(side, 1024)
    scene = simulate_scene(1, height=own, width=own)
    tile = np.where(np.isnan(scene.values), 0, np.rint(scene.values * 10_000)).astype(np.uint16)
    tile = np.moveaxis(tile[..., : len(BANDS)], -1, 0)
    # Mirrored, so that the landscape goes on across the seams.
    mirrored = np.block([[tile, tile[:, :, ::-1]], [tile[:, ::-1], tile[:, ::-1, ::-1]]])
    values = np.tile(mirrored, (1, -(-side // (2 * own)), -(-side // (2 * own))))[:, :side, :side]
    grid = {"crs": scene.grid.crs.to_wkt(), "transform": scene.grid.transform, "height": side, "width": side}
    plain = path.with_suffix(".plain.tif")
    with rasterio.open(plain, "w", driver="GTiff", count=len(BANDS), dtype="uint16", nodata=0, **grid) as file:
        file.write(values)
        file.descriptions = BANDS
        file.scales, file.offsets = (1e-4,) * len(BANDS), (0.0,) * len(BANDS)
        file.units = ("reflectance",) * len(BANDS)
    rasterio.shutil.copy(plain, path, driver="COG", compress="deflate", predictor=2, blocksize=512)
    plain.unlink()


def prepare_forward(runtime: str, run: Path) -> Callable[[], None]:
    """The network alone, on a tile that lies in memory."""
    stored = np.load(run / "tile.npz")
    tile, logits = stored["tile"], stored["logits"]
    call = _prepare_torch(run) if runtime == "torch, channels_last" else _PREPARE[runtime](run, tile.shape)
    error = np.abs(call(tile) - logits).max()
    assert error < 1e-3 * max(1.0, np.abs(logits).max()), f"{runtime} is off by {error}"

    def forward() -> None:
        for _ in range(FORWARDS):
            call(tile)

    return forward


def _graph(run: Path, shape: tuple[int, ...], **options: Any) -> Any:
    """The network of a bundle as a TensorFlow function for one shape."""
    load_backend()
    import tensorflow as tf

    from geodl.bundle import read_bundle

    network = read_bundle(run).network
    return tf.function(
        lambda inputs: network(inputs, training=False),
        input_signature=[tf.TensorSpec(shape, tf.float32, name="image")],
        autograph=False,
        **options,
    )


def _prepare_keras(run: Path, shape: tuple[int, ...], **options: Any) -> Callable[[np.ndarray], np.ndarray]:
    graph = _graph(run, shape, **options)
    import tensorflow as tf

    return lambda tile: graph(tf.constant(tile)).numpy()


def _prepare_onnx(run: Path, shape: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime
    import tf2onnx

    graph = _graph(run, shape)
    model, _ = tf2onnx.convert.from_function(graph, input_signature=graph.input_signature, opset=18)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda tile: session.run(None, {name: tile})[0]


def _prepare_openvino(run: Path, shape: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    import openvino

    model = openvino.convert_model(_graph(run, shape).get_concrete_function())
    # Processors with 16-bit units would otherwise compute in bfloat16.
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    return lambda tile: request.infer({0: tile})[0]


def _prepare_torch(run: Path) -> Callable[[np.ndarray], np.ndarray]:
    import torch

    network = _twin(run)

    def call(tile: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            # A channels-last array seen as channels-first is what torch calls channels_last: nothing is copied.
            return network(torch.from_numpy(tile).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()

    return call


def _twin(run: Path) -> Any:
    import torch
    from torch_unet import TorchUNet

    network = TorchUNet(len(BANDS), len(CLASSES), width=16, depth=4, mean=MEAN, std=STD)
    network.take(np.load(run / "weights.npz"))
    return network.to(memory_format=torch.channels_last).eval()


_PREPARE: dict[str, Callable[..., Callable[[np.ndarray], np.ndarray]]] = {
    "Keras on TensorFlow": _prepare_keras,
    "Keras on TensorFlow, XLA": lambda run, shape: _prepare_keras(run, shape, jit_compile=True),
    "ONNX Runtime": _prepare_onnx,
    "OpenVINO": _prepare_openvino,
}


def prepare_predictor(run: Path, scene: Path, target: Path) -> Callable[[], None]:
    """geodl in a process that is already there, with the network loaded and its first map made."""
    import geodl

    model = geodl.load(run, runtime="auto")

    def predict() -> None:
        model.predict_file(scene, target, overwrite=True)

    predict()
    return predict


def prepare_torchgeo(run: Path, scene: Path, batch: int, workers: int) -> Callable[[], None]:
    """TorchGeo's grid loop, as in its tutorials."""
    import torch
    from torchgeo_grid import grid_loader

    network = _twin(run)
    loader = grid_loader(scene, size=256, overlap=64, batch=batch, workers=workers)

    def loop() -> None:
        with torch.inference_mode():
            for sample in loader:
                network(sample["image"].to(memory_format=torch.channels_last))

    with torch.inference_mode():
        network(torch.zeros(batch, len(BANDS), 256, 256).to(memory_format=torch.channels_last))
    return loop


def command(run: Path, scene: Path, target: Path, *options: str) -> Callable[[], None]:
    """`geodl predict` as it is typed."""
    geodl = Path(sys.executable).with_name("geodl")
    words = [str(geodl), "predict", str(run), str(scene), str(target), "--overwrite", "--quiet", "--runtime", "auto"]
    words += options
    return lambda: subprocess.run(words, check=True, stdout=subprocess.DEVNULL) and None


def read_and_write(scene: Path, target: Path) -> None:
    """rasterio alone: reads a scene block by block and writes one band of bytes."""
    import rasterio

    with rasterio.open(scene) as source:
        profile = {**source.profile, "driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 255}
        with rasterio.open(target, "w", **profile) as written:
            for _, window in source.block_windows(1):
                values = source.read(window=window)
                written.write((values[0] >> 8).astype(np.uint8), 1, window=window)


def check_map(scene: Path, target: Path) -> None:
    """Raises AssertionError unless a map covers its scene."""
    import rasterio

    with rasterio.open(scene) as source, rasterio.open(target) as made:
        assert (made.shape, made.transform, made.crs) == (source.shape, source.transform, source.crs)
        valid = source.read_masks(1) > 0
        assert ((made.read_masks(1) > 0) == valid).mean() > 0.999
        assert len(np.unique(made.read(1)[valid])) > 1


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--batch", type=int, default=8, help="batch size of TorchGeo's DataLoader")
    options.add_argument("--workers", type=int, default=1, help="its reading processes")
    chosen = options.parse_args()
    origin = begin(chosen)
    side, tile = (512, 256) if chosen.quick else (4096, 1024)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with tempfile.TemporaryDirectory() as folder, ExitStack() as open_now:
        run, scene = Path(folder) / "run", Path(folder) / "scene.tif"
        maps = {name: Path(folder) / f"{name}.tif" for name in ("auto", "exact", "loaded", "plain")}
        # Converted networks are kept there: made once, before anything is timed, and never taken from earlier runs.
        os.environ["GEODL_CACHE"] = str(Path(folder) / "cache")
        apart(write_run, run, tile)
        write_scene(scene, side)
        commands = {
            "geodl predict": command(run, scene, maps["auto"]),
            "geodl predict --overlap exact": command(run, scene, maps["exact"], "--overlap", "exact"),
        }
        for warm in commands.values():
            warm()
        for name in ("auto", "exact"):
            check_map(scene, maps[name])

        def start(*words: Any) -> Apart:
            return open_now.enter_context(Apart(*words))

        forwards = {name: start(prepare_forward, name, run) for name in (*RUNTIMES, "torch, channels_last")}
        contenders: dict[str, Callable[[], float | None]] = {
            **forwards,
            **commands,
            "Predictor.predict_file": start(prepare_predictor, run, scene, maps["loaded"]),
            "TorchGeo grid, overlap 64": start(prepare_torchgeo, run, scene, chosen.batch, chosen.workers),
            "rasterio: read and write": lambda: read_and_write(scene, maps["plain"]),
        }
        amounts = {name: (FORWARDS * tile**2 if name in forwards else side**2) / 1e6 for name in contenders}
        timings = measure(contenders, amounts=amounts, repeat=1 if chosen.quick else 3)
    fastest = max(RUNTIMES, key=lambda name: timings[name].rate)
    whole = timings["geodl predict"].rate
    checks = [
        Check("whole geodl predict / fastest network alone", whole / timings[fastest].rate, at_least=0.75),
        Check(
            "geodl predict --overlap exact / fastest network alone",
            timings["geodl predict --overlap exact"].rate / timings[fastest].rate,
            at_least=0.6,
        ),
        Check(
            "whole geodl predict / TorchGeo's grid loop",
            whole / timings["TorchGeo grid, overlap 64"].rate,
            at_least=2,
            aim=2.5,
        ),
    ]
    protocol = (
        f"U-Net of width 16 and depth 4, {len(BANDS)} bands, {len(CLASSES)} classes; scene {side} x {side} uint16, COG, "
        f"deflate; network alone on tiles of {tile} x {tile}, batch 1; TorchGeo: patches of 256, batch {chosen.batch}, "
        f"{chosen.workers} reading process; Mpx: pixels of the scene, overlaps not counted; fastest: {fastest}"
    )
    title = "Mapping a scene"
    store(
        "predict",
        report(title, protocol=protocol, timings=list(timings.values()), checks=checks, fastest=fastest),
        origin,
        quick=chosen.quick,
    )


if __name__ == "__main__":
    main()
