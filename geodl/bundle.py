"""The bundle: a folder that holds a trained network with its contract, its recipe and what was measured."""

from __future__ import annotations

import json
import lzma
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from geodl.contract import Contract
from geodl.errors import BundleError
from geodl.storage.address import is_address
from geodl.wholefile import whole_file

if TYPE_CHECKING:
    import keras

__all__ = (
    "NETWORK",
    "Bundle",
    "is_bundle",
    "load_network",
    "read_bundle",
    "remove_bundle",
    "replace_text",
    "write_bundle",
)

NETWORK = "network.keras"
CONTRACT = "contract.json"
MLM = "mlm.json"
RECIPE = "recipe.yaml"
METRICS = "metrics.json"
REPORT = "report.html"


@dataclass(frozen=True)
class Bundle:
    """What `read_bundle` found in a folder."""

    path: Path
    """Its folder on this machine; of one at an address, with a copy."""
    contract: Contract
    recipe: dict[str, Any]
    """The effective recipe that it was trained by."""
    metrics: dict[str, Any]
    """`{"pipeline", "metrics", "protocol", …}` as measured at the end of training; empty if none were."""

    @cached_property
    def network(self) -> keras.Model:
        """The network, loaded when first asked for; see `load_network`."""
        return load_network(self.path / NETWORK)


def is_bundle(folder: str | Path) -> bool:
    """Says whether `folder` holds a finished run: the network is written last."""
    return (Path(folder) / NETWORK).is_file()


def remove_bundle(folder: str | Path) -> None:
    """Removes a bundle's files, the network first; the folder and what else it holds stay."""
    for name in (NETWORK, CONTRACT, MLM, RECIPE, METRICS, REPORT):
        (Path(folder) / name).unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all (temporary name, then rename).

    Raises:
        OutputUnwritable: no permission, disk full.
    """
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bundle(
    folder: str | Path,
    *,
    network: keras.Model,
    contract: Contract,
    recipe: str,
    metrics: dict[str, Any],
    report: str | None = None,
) -> Path:
    """Writes a bundle; each file appears whole or not at all, the network last.

    Args:
        folder: made if missing; files of an older bundle in it are replaced.
        network: a built model.
        contract: what it eats and gives.
        recipe: the effective recipe, YAML text.
        metrics: what was measured, JSON-serialisable.
        report: HTML text, or None.

    Returns:
        The folder.

    Raises:
        OutputUnwritable: no permission, disk full.
    """
    folder = Path(folder)
    replace_text(folder / CONTRACT, contract.to_json())
    replace_text(folder / RECIPE, recipe)
    replace_text(folder / METRICS, json.dumps(metrics, indent=2, ensure_ascii=False) + "\n")
    if report is not None:
        replace_text(folder / REPORT, report)
    if {"y", "x"} <= {dim.name for dim in contract.input.dims}:
        from geodl.mlm import mlm_item

        replace_text(folder / MLM, json.dumps(mlm_item(contract, network, folder.name), indent=2) + "\n")
    with whole_file(folder / NETWORK) as temporary:
        network.save(temporary)
    return folder


def read_bundle(folder: str | Path) -> Bundle:
    """Reads a bundle, all but its network, which is loaded when it is first asked for: that takes a backend.

    Args:
        folder: of the bundle; or its address (`s3://`, `gs://` or `https://`), from which it is copied into the user's
            cache, once for each version.

    Raises:
        BundleError: the folder is no bundle, is not finished, or a file of it is damaged.
        ContractError: its contract is of a newer geodl.
        SourceUnreadable: there is no access to the address, or the service does not answer.
        BackendUnavailable: the package for the address is not installed.
    """
    if is_address(folder):
        return _read_copy(str(folder))
    folder = Path(folder)
    if not folder.is_dir():
        raise BundleError(folder, "No such folder" if not folder.exists() else "Not a folder")
    if not is_bundle(folder):
        unfinished = (folder / "checkpoints").is_dir()
        raise BundleError(
            folder,
            f"No {NETWORK} in it" + (": the training is not finished" if unfinished else ""),
            advice="Repeat the geodl train command to continue it."
            if unfinished
            else "Expected a folder written by geodl train.",
        )
    try:
        contract = Contract.from_json((folder / CONTRACT).read_text(encoding="utf-8"))
        recipe = yaml.safe_load((folder / RECIPE).read_text(encoding="utf-8"))
        metrics = json.loads((folder / METRICS).read_text(encoding="utf-8")) if (folder / METRICS).is_file() else {}
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise BundleError(folder, f"A file is missing or damaged: {error}") from error
    _check_archive(folder / NETWORK)
    return Bundle(folder, contract, recipe or {}, metrics)


def _read_copy(address: str) -> Bundle:
    from geodl.storage import fetched_folder
    from geodl.storage.address import shown

    needed = (CONTRACT, RECIPE, NETWORK)
    folder = fetched_folder(address, needed, optional=(METRICS, MLM, REPORT))
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise BundleError(
            shown(address),
            f"No {' and no '.join(missing)} there",
            advice="Expected what geodl train wrote, once the training is finished.",
        )
    return read_bundle(folder)


def load_network(path: Path) -> keras.Model:
    """Loads a saved network. No code from it is executed (Keras' safe mode, no pickle).

    Raises:
        BundleError: the file is missing or damaged, or holds what is no network of known layers.
    """
    from geodl._quiet import load_backend

    load_backend()
    import keras

    import geodl.models.registered  # noqa: F401  the layers that a network in a bundle may hold

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise _unloadable(path, error) from error


def _check_archive(path: Path) -> None:
    """Refuses a damaged network at once, although it is loaded much later, or never where a converted one is run."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
        raise _unloadable(path, error) from error
    if damaged is not None:
        raise _unloadable(path, zipfile.BadZipFile(f"{damaged} in it is damaged"))


def _unloadable(path: Path, error: Exception) -> BundleError:
    lines = str(error).strip().splitlines()
    return BundleError(path, f"The network cannot be loaded: {lines[0] if lines else type(error).__name__}")
