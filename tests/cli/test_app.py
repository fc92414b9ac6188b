"""What every command shares: help, version, errors, exit codes, a quiet terminal."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest

from geodl.errors import OptionError


def _raiser(error: BaseException) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        raise error

    return function


def test_version(geodl_cli: Callable[..., Any]) -> None:
    result = geodl_cli("--version")
    assert (result.exit_code, result.stdout) == (0, f"geodl {version('geodl')}\n")


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("train",),
        ("evaluate",),
        ("predict",),
        ("info",),
        ("check",),
        ("demo",),
        ("export",),
        ("report",),
        ("data",),
        ("data", "get"),
        ("doctor",),
    ],
)
def test_help_has_examples_and_fits_80_columns(geodl_cli: Callable[..., Any], command: tuple[str, ...]) -> None:
    result = geodl_cli(*command, "--help")
    assert result.exit_code == 0
    assert f"geodl {' '.join(command)}".strip() in result.stdout.partition("Examples")[2]
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, typer.testing, geodl.cli;"
        "assert typer.testing.CliRunner().invoke(geodl.cli.app, ['train', '--help']).exit_code == 0;"
        "heavy = {'numpy', 'keras', 'rasterio', 'yaml', 'tensorflow', 'xarray'} & set(sys.modules);"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OptionError("--x", expected="a", received="b"), "Error: --x: expected a. Received: 'b'.\n"),
        (FileNotFoundError(2, "No such file or directory", "a.tif"), "Error: No such file or directory: a.tif\n"),
        (PermissionError(13, "Permission denied", "/root/x"), "Error: Permission denied: /root/x\n"),
        (OSError(28, "No space left on device"), "Error: [Errno 28] No space left on device\n"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_exit_code_2(
    geodl_cli: Callable[..., Any], replaced: Callable[..., Any], error: Exception, sentence: str
) -> None:
    replaced("check", _raiser(error))
    result = geodl_cli("check", "segmentation")
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", sentence)


def test_tracebacks_are_shown_when_asked_for(
    geodl_cli: Callable[..., Any], replaced: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OptionError("--x", expected="a", received="b")
    replaced("check", _raiser(error))
    monkeypatch.setenv("GEODL_DEBUG", "1")
    result = geodl_cli("check", "segmentation")
    assert result.exception is error


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError(5, "Input/output error")])
def test_bugs_are_not_hidden(geodl_cli: Callable[..., Any], replaced: Callable[..., Any], error: Exception) -> None:
    replaced("check", _raiser(error))
    result = geodl_cli("check", "segmentation")
    assert (result.exit_code, result.exception) == (1, error)


def test_ctrl_c_is_exit_code_130(geodl_cli: Callable[..., Any], replaced: Callable[..., Any]) -> None:
    replaced("check", _raiser(KeyboardInterrupt()))
    result = geodl_cli("check", "segmentation")
    assert (result.exit_code, result.stderr) == (130, "Interrupted.\n")


@pytest.mark.parametrize(
    "arguments", [("trian",), ("train",), ("train", "x", "--nope"), ("train", "x", "--fold", "-1")]
)
def test_wrong_usage_is_exit_code_2(geodl_cli: Callable[..., Any], arguments: tuple[str, ...]) -> None:
    result = geodl_cli(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
    assert result.stdout == ""


def test_own_warnings_are_one_line_and_others_are_not_shown(
    geodl_cli: Callable[..., Any], replaced: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def warn(*args: Any, **kwargs: Any) -> Any:
        logging.getLogger("geodl.data.raster").warning("%s has no CRS.", "a")
        logging.getLogger("geodl.data.raster").info("not shown")
        logging.getLogger("tensorflow").warning("not shown")
        warnings.warn_explicit("theirs", UserWarning, "/site-packages/keras/x.py", 1)
        warnings.warn_explicit("ours", UserWarning, geodl_file, 1)
        raise KeyboardInterrupt

    import geodl

    geodl_file = str(geodl.__file__)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    replaced("check", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        result = geodl_cli("check", "segmentation")
    assert result.stderr == "Warning: a has no CRS.\nWarning: ours\nInterrupted.\n"


def test_names_too_long_for_the_file_system_are_the_users_mistake(geodl_cli: Callable[..., Any]) -> None:
    result = geodl_cli("info", "n" * 300)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: File name too long: nnn")
