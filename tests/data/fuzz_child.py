"""A process of its own that reads damaged files, so that a crash, a hang or a flood of memory is seen and survived."""

from __future__ import annotations

import faulthandler
import json
import os
import select
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

__all__ = ("Child", "Outcome")

Outcome = dict[str, Any]
"""`{"kind", "detail", "seconds", "noise"}`; kinds `values` and `refused` are as they should be."""

_VALUES = 1 << 18
"""Values that are read at once."""
_WINDOWS = 12
_MEMORY = 4 << 30
"""Bytes of address space that reading may take beyond what the process has after its imports."""
_LARGEST_FILE = 1 << 30
_HARMLESS = ("_tiffSeekProc: ", "Error: Key ", "Warning: ")
"""Libtiff and libgeotiff print the first two past GDAL's error handlers; the third is geodl's own."""


class Child:
    """Runs tasks on files in another process, which is started again when it dies.

    Tasks: `read`, `info`, `predict`; and `crash`, `flood`, to see that those are seen.

    Args:
        limit: seconds for one file.
        folder: for what the process writes.
    """

    def __init__(self, folder: Path, *, limit: float = 20) -> None:
        self._folder, self._limit = folder, limit
        self._process: subprocess.Popen[bytes] | None = None
        self._noise = folder / "noise"
        self._pending = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def run(self, task: str, path: Path) -> Outcome:
        """Does a task; `crash` and `hang` are outcomes too."""
        if self._process is None:
            environment = {**os.environ, "KERAS_BACKEND": "numpy", "GEODL_DEBUG": "0"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.data.fuzz_child", str(self._folder), str(self._limit)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], env=environment, bufsize=0,
            )  # fmt: skip
            if self._answer(120) != b"ready":
                raise RuntimeError(f"the process did not start: {self._noise.read_text()}")
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([task, str(path)]).encode() + b"\n")
        line = self._answer(self._limit + 5)
        if line:
            return json.loads(line)
        status = self._process.poll()
        noise = self._noise.read_text(errors="replace")[-20000:] if self._noise.exists() else ""
        kind = "hang" if line is None else "crash"
        self._end()
        return {"kind": kind, "detail": f"exit status {status}", "seconds": self._limit, "noise": noise}

    def _answer(self, seconds: float) -> bytes | None:
        """Returns one line; empty: the process has died; None: it took too long."""
        assert self._process is not None and self._process.stdout is not None
        end = time.monotonic() + seconds
        while b"\n" not in self._pending:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                return None
            more = self._process.stdout.read(65536)
            if not more:
                self._process.wait()
                return b""
            self._pending += more
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
        self._process, self._pending = None, b""


def _read(path: str) -> str:
    """Reads whatever `path` is, as an image and as labels."""
    from geodl.data.vectors import is_vector
    from geodl.errors import GeodlError

    said = []
    for use in (_labels,) if is_vector(path) else (_image, _labels):
        try:
            use(path)
        except GeodlError as error:
            said.append(f"{type(error).__name__}: {error}")
    return "\n".join(said)


def _image(path: str) -> None:
    import numpy as np

    from geodl.data.opening import find_scenes, open_source
    from geodl.data.pixelsize import metres_per_pixel

    for name, spec in find_scenes(path):
        source = open_source(spec, name=name)
        grid = source.grid
        assert grid.differs(grid) is None, "a grid that differs from itself"
        assert grid.lonlat_footprint is not None
        metres_per_pixel(grid)
        bands = len(source.bands) * (1 if source.times is None else len(source.times))
        for window in _windows(grid.height, grid.width, bands):
            values, valid = source.read(window)
            assert values.dtype == np.float32 and values.shape[-3:-1] == (window.height, window.width)
            assert (np.broadcast_to(valid, values.shape) == np.isfinite(values)).all(), "valid, yet not finite"


def _labels(path: str) -> None:
    from affine import Affine
    from pyproj import CRS

    from geodl.contract import ClassInfo
    from geodl.data.classes import infer_classes
    from geodl.data.labels import open_labels
    from geodl.data.rasterfile import RasterFile
    from geodl.data.source import Grid
    from geodl.data.vectors import is_vector
    from geodl.errors import GeodlError

    if is_vector(path):
        grid = Grid(CRS.from_epsg(32633), Affine(10, 0, 500_000, 0, -10, 5_000_000), 40, 40)
    else:
        grid = RasterFile(path).grid
    classes: tuple[ClassInfo, ...] = tuple(ClassInfo(k, f"class {k}", "#000000") for k in range(256))
    refused = None
    try:
        # All of a file is looked at for classes: of gigapixels nobody can say that it hangs.
        if grid.height * grid.width < 1 << 26:
            classes, _ = infer_classes([path])
    except GeodlError as error:
        refused = error
    labels = open_labels(path, grid, classes=classes)
    for window in _windows(grid.height, grid.width):
        labels.read(window)
    if refused is not None:
        raise refused


def _windows(height: int, width: int, bands: int = 1) -> Iterator[Any]:
    """All of a small grid; of a large one its corners, its middle and some between."""
    from rasterio.windows import Window

    side = max(1, int((_VALUES / bands) ** 0.5))
    down, across = -(-height // side), -(-width // side)
    step = max(1, down * across // _WINDOWS)
    for k in range(0, down * across, step):
        top, left = (k // across) * side, (k % across) * side
        yield Window(left, top, min(side, width - left), min(side, height - top))


def _info(path: str) -> str:
    return _command("info", path)


def _predict(path: str) -> str:
    import geodl
    from geodl.data.opening import find_scenes, open_source
    from geodl.errors import GeodlError

    try:
        source = open_source(find_scenes(path)[0][1])
    except GeodlError:
        bands, pixels = 1, 0
    else:
        bands, pixels = len(source.bands), source.grid.height * source.grid.width
    if 1 << 24 < pixels < 1 << 31:
        return "large"
    geodl.load = lambda run, **options: _predictor(bands)  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        said = _command("predict", "run", path, f"{folder}/map.tif", "--any-resolution", "--quiet", refused := [])
        left = sorted(entry.name for entry in Path(folder).iterdir())
        assert left == ([] if refused else ["map.tif"]), f"left in the folder: {left}; said: {said}"
    return said


def _predictor(bands: int) -> Any:
    """A network of a kind that needs no backend, for as many bands without names."""
    import keras

    from geodl.contract import Band, ClassInfo, Contract, Dim, ModelInput, ModelOutput
    from geodl.inference.predictor import Predictor

    dims = (Dim("y", margin=0), Dim("x", margin=0), Dim("band", size=bands))
    inputs = ModelInput(dims, tuple(Band(f"band_{k}") for k in range(1, bands + 1)))
    output = ModelOutput("classes", (ClassInfo(1, "a", "#000000"), ClassInfo(2, "b", "#ffffff")))
    given = keras.Input((None, None, bands))
    network = keras.Model(given, keras.layers.Dense(2, activation="softmax")(given))
    return Predictor(network, Contract("segmentation", inputs, output))


def _command(*arguments: Any) -> str:
    """Runs a command line; a list at the end is appended to where the exit code is not 0."""
    from typer.testing import CliRunner

    from geodl.cli import app

    refused = arguments[-1] if isinstance(arguments[-1], list) else []
    result = CliRunner().invoke(app, [word for word in arguments if isinstance(word, str)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 2), f"exit code {result.exit_code}: {result.output}"
    assert "Traceback" not in result.output, result.output
    if result.exit_code:
        refused.append(result.output)
        assert "Error: " in result.output or "Does not fit" in result.output, result.output
    return result.output if result.exit_code else ""


def _flood(path: str) -> str:
    return str(bytearray(16 << 30)[0])


def _crash(path: str) -> str:
    os.abort()


_TASKS: dict[str, Callable[[str], str]] = {
    "read": _read, "info": _info, "predict": _predict, "flood": _flood, "crash": _crash,
}  # fmt: skip


def _attempt(task: str, path: str) -> Outcome:
    start = time.monotonic()
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            said = _TASKS[task](path)
        kind, detail = ("refused", said) if said else ("values", "")
        # Those of others are not shown by the command line.
        own = [warning for warning in warned if f"{os.sep}geodl{os.sep}" in warning.filename]
        if own:
            kind, detail = (
                "warning",
                "; ".join(f"{w.filename}:{w.lineno} {w.category.__name__} {w.message}" for w in own[:3]),
            )
    except MemoryError:
        kind, detail = "memory", traceback.format_exc()
    except BaseException as error:  # noqa: BLE001  whatever comes is what this is for
        kind, detail = f"raised {type(error).__name__}", traceback.format_exc()
    return {"kind": kind, "detail": detail, "seconds": round(time.monotonic() - start, 3)}


@contextmanager
def _apart(folder: Path) -> Iterator[tuple[int, Path]]:
    """Turns stdout and stderr into a file; gives a descriptor for answers, and the file."""
    answers, noise = os.dup(1), folder / "noise"
    descriptor = os.open(noise, os.O_CREAT | os.O_RDWR | os.O_TRUNC | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    yield answers, noise


def _main(folder: Path, limit: float) -> None:
    import resource

    with _apart(folder) as (answers, noise):
        faulthandler.enable()
        import geodl.cli
        import geodl.data.labels
        import geodl.data.opening
        import geodl.inference.predictor  # noqa: F401

        _command("info", "nowhere")  # Sets up what is said where, as every command does.
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + _MEMORY, size + _MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))
        os.truncate(noise, 0)
        os.write(answers, b"ready\n")
        for line in sys.stdin:
            faulthandler.dump_traceback_later(limit, exit=False)
            outcome = _attempt(*json.loads(line))
            faulthandler.cancel_dump_traceback_later()
            sys.stdout.flush()
            sys.stderr.flush()
            lines = noise.read_text(errors="replace").splitlines()
            outcome["noise"] = "\n".join(line for line in lines if not line.startswith(_HARMLESS))[:3000]
            os.truncate(noise, 0)
            if outcome["noise"] and outcome["kind"] in ("values", "refused"):
                outcome["kind"] = "noise"
            os.write(answers, json.dumps(outcome).encode() + b"\n")


if __name__ == "__main__":
    _main(Path(sys.argv[1]), float(sys.argv[2]))
