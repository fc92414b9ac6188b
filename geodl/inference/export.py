"""Exports: a folder with a converted network and all that is needed to use it without geodl."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from geodl.bundle import CONTRACT, MLM, NETWORK, read_bundle
from geodl.contract import Band, Contract
from geodl.errors import BackendUnavailable, OptionError, OutputExists, OutputUnwritable
from geodl.inference.conversion import INPUT, OPSET, OUTPUT, Format, convert, require
from geodl.inference.scratch import scratch_folder
from geodl.storage import is_address

__all__ = ("export",)

EXAMPLE = "example.py"
README = "README.md"

_NETWORKS: dict[Format, str] = {"onnx": "network.onnx", "openvino": "network.xml", "saved_model": "network"}
_KNOWN = {*_NETWORKS.values(), "network.bin", CONTRACT, MLM, EXAMPLE, README}
"""All that an export may hold."""
_RUNS_ON: dict[Format, str] = {"onnx": "onnxruntime", "openvino": "openvino", "saved_model": "tensorflow"}
_MEDIA: dict[Format, tuple[str, str]] = {
    "onnx": ("application/octet-stream; application=onnx", "onnx"),
    "openvino": ("application/xml; application=openvino", "openvino"),
    "saved_model": ("application/octet-stream; application=tensorflow", "tf.keras.Model.export"),
}
"""Media type and, in the words of STAC's MLM extension, artifact type."""
_RASTERS = ("classes", "bands")
"""Kinds of output that the example can write."""
_TEMPLATES = {"series_label": "export_series.md"}
"""Of the README, where it is not `export.md`."""


def export(
    bundle: str | os.PathLike[str],
    target: str | os.PathLike[str] | None = None,
    *,
    format: Format,
    overwrite: bool = False,
) -> Path:
    """Converts a trained network for use without geodl.

    The folder holds the network (`network.onnx`; `network.xml` and `.bin`; or `network`, a SavedModel), `contract.json`,
    a README on what goes in and comes out and, where the network maps rasters, `mlm.json` and `example.py`, which does it
    with numpy, rasterio and the runtime alone. It appears under its name only when it is whole.

    Args:
        bundle: folder that `geodl.train` wrote, or its address.
        target: folder to write; default: beside the bundle, `<bundle>-<format>`. Of one at an address there is none.
        format: `onnx`, `openvino` or `saved_model`.
        overwrite: replace an older export there.

    Returns:
        The folder.

    Raises:
        BundleError: the folder is no bundle, or its network cannot be loaded.
        BackendUnavailable: the format's package is not installed, or a layer cannot be converted, as in networks for
            dynamics.
        OptionError: there is no such format; no target for a bundle at an address, or one at an address.
        OutputExists: there is such a folder.
        OutputUnwritable: it holds other things than an export, no permission, disk full.

    Example:

    >>> export("runs/a", "deploy/a", format="onnx")
    """
    require(format)
    if is_address(bundle if target is None else target):
        received = None if target is None else os.fspath(target)
        raise OptionError("target (--output)", expected="a local folder to export to", received=received)
    found = read_bundle(os.fspath(bundle))
    whole = Path(os.path.abspath(found.path))
    folder = whole.with_name(f"{whole.name}-{format}") if target is None else Path(os.path.abspath(target))
    _check_target(folder, overwrite=overwrite)
    if found.contract.output.kind == "trajectory":
        raise BackendUnavailable(
            f"{found.path} in the format {format}",
            "no format holds a network that integrates over time",
            advice="Use geodl.load(…).predict, or geodl predict.",
        )
    try:
        with scratch_folder(folder) as temporary:
            made = temporary / "made"
            made.mkdir()
            convert(found.path / NETWORK, made / _NETWORKS[format], format=format)
            _describe(made, found.path, found.contract, whole.name, format)
            _replace(folder, made, aside=temporary / "old")
    except OSError as error:
        raise OutputUnwritable(folder, error.strerror or error) from error
    return folder


def _check_target(folder: Path, *, overwrite: bool) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputUnwritable(folder, "there is a file of that name")
    strange = sorted({path.name for path in folder.iterdir()} - _KNOWN)
    if strange:
        raise OutputUnwritable(folder, f"that folder holds other things than an export, such as {strange[0]}")
    if not overwrite and any(folder.iterdir()):
        raise OutputExists(folder, "an export")


def _replace(folder: Path, made: Path, *, aside: Path) -> None:
    """Renames `made` to `folder`; if that fails, what was there stays."""
    if folder.exists():
        os.replace(folder, aside)
    try:
        os.replace(made, folder)
    except OSError:
        if aside.exists():
            os.replace(aside, folder)
        raise


def _describe(made: Path, bundle: Path, contract: Contract, name: str, format: Format) -> None:
    """Writes what stands beside the network."""
    (made / CONTRACT).write_text(contract.to_json(), encoding="utf-8")
    if (bundle / MLM).is_file():
        item = json.loads((bundle / MLM).read_text(encoding="utf-8"))
        (made / MLM).write_text(json.dumps(_mlm_item(item, format), indent=2) + "\n", encoding="utf-8")
    package = resources.files("geodl.inference")
    if contract.output.kind in _RASTERS:
        (made / EXAMPLE).write_text((package / "example.py").read_text(encoding="utf-8"), encoding="utf-8")
    kind = contract.output.kind
    readme = Template((package / _TEMPLATES.get(kind, "export.md")).read_text(encoding="utf-8"))
    facts = {**_facts(contract, name, format), **(_series_facts(contract, format) if kind in _TEMPLATES else {})}
    (made / README).write_text(readme.substitute(facts), encoding="utf-8")


def _mlm_item(item: dict[str, Any], format: Format) -> dict[str, Any]:
    """The bundle's STAC item with the converted network as its model."""
    media, artifact = _MEDIA[format]
    asset = {"href": f"./{_NETWORKS[format]}", "type": media, "roles": ["mlm:model"], "mlm:artifact_type": artifact}
    properties = dict(item["properties"])
    for key, name in (("mlm:input", INPUT), ("mlm:output", OUTPUT)):
        properties[key] = [{**entry, "name": name} for entry in properties.get(key, [])]
    return {**item, "properties": properties, "assets": {"model": asset}}


def _facts(contract: Contract, name: str, format: Format) -> dict[str, str]:
    """What the README says of this network."""
    output, dims = contract.output, contract.input.dims
    classes = bool(output.classes)
    axes = [dim for dim in dims if dim.name in ("y", "x")]
    margins = [dim.margin for dim in axes]
    sizes = [
        f"{dim.name}: {dim.size or (f'a multiple of {dim.multiple}' if dim.multiple > 1 else 'any')}" for dim in axes
    ]
    steps = [f"{dim.step:g} {dim.unit}" for dim in axes if dim.step is not None and dim.unit]
    last = "class" if classes else "band"
    if classes:
        rows = [(k, c.value, c.name, c.colour) for k, c in enumerate(output.classes)]
        meaning = "Logits: a softmax over the last axis gives probabilities, its argmax the class.\n\n"
        meaning += _table(("index", "value in maps", "class", "colour"), rows)
    else:
        meaning = _table(("index", "band", "unit"), [(k, b.name, b.unit or "–") for k, b in enumerate(output.bands)])
    return {
        "name": name,
        "pipeline": contract.pipeline,
        "version": contract.geodl_version or "(unknown)",
        "format": format,
        "file": _NETWORKS[format] + (" (weights in network.bin)" if format == "openvino" else ""),
        "package": _RUNS_ON[format],
        "input": INPUT,
        "output": OUTPUT,
        "dtype": contract.input.dtype,
        "in_shape": ", ".join(["batch", *(dim.name for dim in dims)]),
        "out_shape": ", ".join(["batch", *(dim.name for dim in dims[:-1]), last]),
        "sizes": "; ".join(sizes) or "as in contract.json",
        "finer": f" {output.scale} times the input's along y and x." if output.scale != 1 else " The input's size.",
        "pixel": f"Pixels of {' × '.join(steps)}, as in training." if steps else "No pixel size is known.",
        "bands": _table(
            ("index", "band", "unit", "stored in training as", "scale", "offset", "nodata"),
            [(k, *_band(band)) for k, band in enumerate(contract.input.bands)],
        ),
        "meaning": meaning,
        "tiles": _tiles(margins, max((dim.lattice for dim in axes), default=1)),
        "note": _NOTES[format],
    }


def _series_facts(contract: Contract, format: Format) -> dict[str, str]:
    """What it says besides where the network eats series."""
    eaten, time = contract.input, contract.input.dim("time")
    dates = f"these {len(eaten.days)}, in their order: {', '.join(f'{day:g}' for day in eaten.days)}."
    said = [f"exactly {time.size}." if time.size else "any number."]
    if time.size is None:
        said.append("Shorter series of a batch go on with not-a-number, and their days by 1 from date to date.")
    if time.unit:
        counted = (
            "A day is that of the year, 1 on the 1st of January of the year in which the series begins, and runs on "
        )
        counted += "beyond 365 in the next."
    else:
        counted = "Nobody stated dates in training: a day is the position of the date, 0, 1, 2, …."
    if eaten.days:
        counted += f" All series of the training were observed on {dates}"
    values = ", ".join(f"{value:g}" for value in eaten.cloud_values)
    clouds = f" So is an observation where the band {eaten.cloud_band} of its date has one of the values {values}."
    return {
        "code": _CODE[format],
        "length": " ".join(said),
        "days": counted,
        "clouds": clouds if eaten.cloud_band else "",
        "note": _NOTES[format] if format != "saved_model" else _SERIES_NOTE,
    }


def _tiles(margins: list[int | None], lattice: int) -> str:
    if None in margins:
        return "Each output depends on the whole input: maps that are made in tiles show seams."
    margin = max((margin for margin in margins if margin is not None), default=0)
    return (
        f"An output pixel depends on {margin} input pixels at most on each side. Tiles that start at multiples of "
        f"{lattice} and are read with that much around them give what one pass over the whole gives."
    )


def _band(band: Band) -> tuple[str, ...]:
    nodata = "–" if band.nodata is None else f"{band.nodata:g}"
    return band.name, band.unit or "–", band.dtype, f"{band.scale:g}", f"{band.offset:g}", nodata


def _table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    cells = [columns, ("---",) * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in cells)


_NOTES: dict[Format, str] = {
    "onnx": f"Opset {OPSET}. Any ONNX runtime will do; the example uses onnxruntime on the CPU.",
    "openvino": (
        "Ask for `INFERENCE_PRECISION_HINT: f32`: some processors compute in bfloat16 otherwise. Importing OpenVINO "
        "reports its use to Intel unless that is switched off (`opt_in_out --opt_out`)."
    ),
    "saved_model": (
        "Signature `serve` (for TensorFlow Serving also `serving_default`): "
        '`tf.saved_model.load("network").serve(image)["output"]`.'
    ),
}
_SERIES_NOTE = "Signature `serve` (for TensorFlow Serving also `serving_default`)."
_CODE: dict[Format, str] = {
    "onnx": f"""import onnxruntime

network = onnxruntime.InferenceSession("network.onnx", providers=["CPUExecutionProvider"])


def run(values, days):
    return network.run(["{OUTPUT}"], {{"values": values, "days": days}})[0]
""",
    "openvino": f"""import openvino

network = openvino.Core().compile_model("network.xml", "CPU", {{"INFERENCE_PRECISION_HINT": "f32"}})


def run(values, days):
    return network({{"values": values, "days": days}})["{OUTPUT}"]
""",
    "saved_model": f"""import tensorflow as tf

network = tf.saved_model.load("network")


def run(values, days):
    return network.serve(values=tf.constant(values), days=tf.constant(days))["{OUTPUT}"].numpy()
""",
}
"""How a network for series is loaded and run."""
