"""A terminal without the chatter of backends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_NOISY = """\
import os
os.write(2, b"noise from a library\\n")
{then}
"""


def _run(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[1])])
    # TensorFlow sets its level in whatever process imports it, this one too.
    inherited = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**inherited, "PYTHONPATH": path, "GEODL_DEBUG": "0", **environment},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tensorflow").mkdir()
    return tmp_path


def test_what_libraries_print_while_they_start_is_put_aside(folder: Path) -> None:
    (folder / "tensorflow" / "__init__.py").write_text(_NOISY.format(then="value = 3"))
    code = (
        "import os, sys; from geodl._quiet import settle; settle(); settle(); import tensorflow;"
        "print(tensorflow.value, tensorflow.__spec__.name, os.environ['TF_CPP_MIN_LOG_LEVEL']);"
        "sys.stderr.write('after')"
    )
    result = _run(code, folder)
    assert (result.stdout, result.stderr, result.returncode) == ("3 tensorflow 3\n", "after", 0)
    assert "noise from a library" in _run(code, folder, GEODL_DEBUG="1", TF_CPP_MIN_LOG_LEVEL="0").stderr


def test_what_they_printed_is_shown_when_they_fail(folder: Path) -> None:
    (folder / "tensorflow" / "__init__.py").write_text(_NOISY.format(then="raise ImportError('broken')"))
    result = _run("from geodl._quiet import settle; settle(); import tensorflow", folder)
    assert result.returncode == 1
    assert result.stderr.startswith("noise from a library\n")
    assert "ImportError: broken" in result.stderr


def test_the_real_backend_starts_silently(tmp_path: Path) -> None:
    code = (
        "from geodl._quiet import load_backend; load_backend(); import keras;"
        "model = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)]);"
        "model.compile('adam', 'mse', jit_compile=False);"
        "x = keras.ops.zeros((2, 8, 8, 1)); y = keras.ops.zeros((2, 6, 6, 2));"
        f"model.fit(x, y, verbose=0); model.save(r'{tmp_path}/a.keras'); keras.saving.load_model(r'{tmp_path}/a.keras')"
    )
    result = _run(code, tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
