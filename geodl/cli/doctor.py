"""`geodl doctor`."""

from __future__ import annotations

import json as json_format
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer

from geodl.activity import stage
from geodl.cli.options import Quiet, Told
from geodl.cli.terminal import Answer

__all__ = ("doctor",)

_VERSIONS = ("geodl", "keras", "tensorflow", "jax", "torch", "numpy", "xarray", "rasterio", "pyogrio", "scikit-learn")
_EXTRAS: dict[str, tuple[tuple[str, ...], str]] = {
    "openvino": (("openvino",), "the fastest maps on processors"),
    "onnx": (("onnxruntime", "tf2onnx"), "geodl export --format onnx; fast maps"),
    "cuda": (("nvidia.cudnn",), "NVIDIA GPUs with TensorFlow"),
    "jax": (("jax",), "KERAS_BACKEND=jax, training on several machines"),
    "cluster": (("distributed",), "geodl predict --cluster"),
    "s3": (("s3fs",), "runs and data at s3://"),
    "gcs": (("gcsfs",), "runs and data at gs://"),
    "nowcasting": (("pysteps", "cv2"), "more radar formats, S-PROG, ANVIL"),
    "tensorboard": (("tensorboard",), "train.tensorboard"),
}
"""Extra → modules, and what for."""
_RASTER_DRIVERS = ("GTiff", "COG", "VRT", "PNG", "JPEG", "JP2OpenJPEG")
_VECTOR_DRIVERS = ("GPKG", "GeoJSON", "FlatGeobuf", "ESRI Shapefile")
_SETTINGS = ("GEODL_", "KERAS_", "GDAL_", "PROJ_", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "XLA_FLAGS")
_PROBE = """
import json, time
start = time.perf_counter()
from geodl._quiet import load_backend
load_backend()
import keras
from geodl.training.distribution import accelerators
one = float(keras.ops.sum(keras.ops.ones((8, 8)) @ keras.ops.ones((8, 8))))
print(json.dumps({"backend": keras.backend.backend(), "accelerators": accelerators(), "sum": one,
                  "seconds": time.perf_counter() - start}))
"""
_SECONDS = 300


def doctor(json: Told = None, quiet: Quiet = False) -> None:
    """Say what geodl runs on here: versions, backend, devices, GDAL's drivers, memory; and what is missing for what.

    Exit code 2 says that something is missing which every command needs.
    """
    # Before rasterio, which sets some itself.
    settings = sorted((name, value) for name, value in os.environ.items() if name.startswith(_SETTINGS))
    answer = Answer(json, quiet=quiet)
    problems: list[str] = []
    answer.table("Versions", ("package", "version"), _versions())
    with stage("Starting Keras in a process of its own"):
        answer.table("Backend", ("property", "value"), _backend(problems), heading=False)
    answer.table("Machine", ("property", "value"), _machine(), heading=False)
    answer.table("Formats", ("through", "here", "missing"), _formats(problems))
    answer.table("Extras", ("extra", "here", "for"), _extras())
    if settings:
        answer.table("Settings in the environment", ("variable", "value"), settings)
    for problem in problems:
        answer.line(f"Missing: {problem}")
    if not problems:
        answer.line("Nothing that geodl needs is missing. What an extra lacks: pip install 'geodl[EXTRA]'.")
    answer.close(problems=problems)
    if problems:
        raise typer.Exit(2)


def _versions() -> Iterator[tuple[str, str]]:
    yield "Python", f"{platform.python_version()} ({sys.executable})"
    for package in _VERSIONS:
        try:
            yield package, metadata.version(package)
        except metadata.PackageNotFoundError:
            yield package, "–"


def _backend(problems: list[str]) -> Iterator[tuple[str, str]]:
    """Starts Keras elsewhere: a backend built for another processor ends its process without a word."""
    try:
        found = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        problems.append(f"a backend that starts: Keras took more than {_SECONDS} s.")
        return
    told = _last_json(found.stdout)
    if found.returncode or told is None:
        last = (found.stderr.strip().splitlines() or [f"its process ended with {found.returncode}"])[-1]
        problems.append(f"a backend that starts. Keras says: {last}")
        yield "Keras", "does not start"
        return
    yield "backend", str(told["backend"])
    yield "accelerators", ", ".join(told["accelerators"]) or "none: networks run on the processor"
    yield "starts in", f"{told['seconds']:.1f} s"
    if told["sum"] != 512:
        problems.append(f"a backend that computes: a product of two matrices sums to {told['sum']}, not 512.")


def _last_json(text: str) -> Mapping[str, Any] | None:
    try:
        return json_format.loads(text.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return None


def _machine() -> Iterator[tuple[str, str]]:
    from geodl.data.cache import free_memory
    from geodl.folders import cache_folder

    yield "system", platform.platform()
    yield "processor", f"{platform.machine()}, {_cores()} cores for this process"
    yield "free memory", _size(free_memory())
    for what, folder in (("free here", Path()), ("free in the cache", cache_folder())):
        there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
        yield what, f"{_size(shutil.disk_usage(there).free)} ({folder.absolute()})"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _formats(problems: list[str]) -> Iterator[tuple[str, str, str]]:
    import pyogrio
    import rasterio
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    with rasterio.Env() as environment:
        rasters = environment.drivers()
    vectors = pyogrio.list_drivers(read=True)
    for what, version, wanted, known in (
        ("rasters", rasterio.__gdal_version__, _RASTER_DRIVERS, rasters),
        ("vectors", ".".join(map(str, pyogrio.__gdal_version__)), _VECTOR_DRIVERS, vectors),
    ):
        here, missing = ([name for name in wanted if (name in known) is there] for there in (True, False))
        yield f"GDAL {version}, {what}", ", ".join(here) or "–", ", ".join(missing) or "–"
        if wanted[0] in missing:
            problems.append(f"GDAL's driver {wanted[0]}, by which {what} are written.")
    try:
        CRS.from_epsg(4326)
        yield "PROJ", "database of CRSs", "–"
    except CRSError as error:
        yield "PROJ", "–", "database of CRSs"
        problems.append(f"PROJ's database ({error}). Unset PROJ_DATA and PROJ_LIB, if they are set.")


def _extras() -> Iterator[tuple[str, str, str]]:
    for extra, (modules, use) in _EXTRAS.items():
        missing = [module for module in modules if not _is_here(module)]
        yield extra, "yes" if not missing else "no", use


def _is_here(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a package that it would lie in
        return False


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"
