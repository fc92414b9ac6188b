"""The bundle: a folder that holds a trained network with its contract, its recipe and what was measured."""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import pystac
import yaml
from pystac.extensions.mlm import (
    InputStructure,
    MLMExtension,
    ModelInput,
    ModelOutput,
    ResultStructure,
    TaskType,
)

import geodl.models.blocks  # noqa: F401  registers the layers that a network in a bundle may hold
from geodl.contract import Contract
from geodl.errors import BundleError, OutputUnwritable

__all__ = ("Bundle", "is_bundle", "read_bundle", "remove_bundle", "replace_text", "write_bundle")

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
    network: keras.Model
    contract: Contract
    recipe: dict[str, Any]
    """The effective recipe that it was trained by."""
    metrics: dict[str, Any]
    """`{"pipeline", "metrics", "protocol", …}` as measured at the end of training; empty if none were."""


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
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise OutputUnwritable(path, error.strerror or error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


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
        replace_text(folder / MLM, json.dumps(_mlm_item(contract, network, folder.name), indent=2) + "\n")
    temporary = folder / f".{os.getpid()}.{NETWORK}"
    try:
        network.save(temporary)
        os.replace(temporary, folder / NETWORK)
    except OSError as error:
        raise OutputUnwritable(folder / NETWORK, error.strerror or error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return folder


def read_bundle(folder: str | Path) -> Bundle:
    """Reads a bundle. No code from the bundle is executed (Keras' safe mode, no pickle).

    Raises:
        BundleError: the folder is no bundle, is not finished, or a file of it is damaged.
        ContractError: its contract is of a newer geodl.
    """
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
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BundleError(folder, f"A file is missing or damaged: {error}") from error
    try:
        network = keras.saving.load_model(folder / NETWORK, compile=False, safe_mode=True)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BundleError(folder / NETWORK, f"The network cannot be loaded: {first_line}") from error
    return Bundle(folder, network, contract, recipe or {}, metrics)


def _mlm_item(contract: Contract, network: keras.Model, identifier: str) -> dict[str, Any]:
    """The contract as a STAC item with the Machine Learning Model extension, so that catalogues can find the model."""
    item = pystac.Item(
        id=identifier or contract.pipeline,
        geometry=None,
        bbox=None,
        datetime=datetime.now(UTC).replace(microsecond=0),
        properties={},
    )
    names = [dim.name for dim in contract.input.dims]
    sizes = [dim.size or -1 for dim in contract.input.dims]
    tasks = [TaskType.SEMANTIC_SEGMENTATION] if contract.output.kind == "classes" else [TaskType.REGRESSION]
    channels = len(contract.output.classes) or len(contract.output.bands)
    MLMExtension.add_to(item)
    MLMExtension.ext(item).apply(
        name=f"geodl {contract.pipeline}",
        architecture=network.name,
        tasks=tasks,
        framework="Keras",
        framework_version=keras.__version__,
        total_parameters=int(network.count_params()),
        input=[
            ModelInput.create(
                name="scene",
                bands=[band.name for band in contract.input.bands],
                input=InputStructure.create(
                    shape=[-1, *sizes],
                    dim_order=["batch", *names],
                    data_type=contract.input.dtype,  # type: ignore[arg-type]
                ),
            )
        ],
        output=[
            ModelOutput.create(
                name=contract.output.kind,
                tasks=tasks,
                result=ResultStructure.create(
                    shape=[-1, -1, -1, channels],
                    dim_order=["batch", "y", "x", "channel"],
                    data_type="float32",  # type: ignore[arg-type]
                ),
            )
        ],
    )
    item.add_asset(
        "model", pystac.Asset(href=f"./{NETWORK}", media_type="application/zip; application=keras", roles=["mlm:model"])
    )
    return item.to_dict(include_self_link=False)
