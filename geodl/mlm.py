"""The contract as a STAC item with the Machine Learning Model extension, so that catalogues can find the network."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import keras
import pystac
from pystac.extensions.mlm import (
    InputStructure,
    MLMExtension,
    ModelInput,
    ModelOutput,
    ResultStructure,
    TaskType,
)

from geodl.contract import Contract

__all__ = ("mlm_item",)


def mlm_item(contract: Contract, network: keras.Model, identifier: str) -> dict[str, Any]:
    """Describes a network.

    Args:
        contract: what it eats and gives.
        network: the network itself, for its size and name.
        identifier: of the item.

    Returns:
        A STAC item as plain dictionaries; its asset `model` is the network's file beside it.
    """
    item = pystac.Item(
        id=identifier or contract.pipeline,
        geometry=None,
        bbox=None,
        datetime=datetime.now(UTC).replace(microsecond=0),
        properties={},
    )
    names = [dim.name for dim in contract.input.dims]
    sizes = [dim.size or -1 for dim in contract.input.dims]
    if "time" in names:
        sizes[names.index("time")] += contract.input.advected
    leads = {"lead_time": contract.output.leads} if contract.output.kind == "sequence" else {}
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
                    shape=[-1, *leads.values(), -1, -1, channels],
                    dim_order=["batch", *leads, "y", "x", "channel"],
                    data_type="float32",  # type: ignore[arg-type]
                ),
            )
        ],
    )
    item.add_asset(
        "model",
        pystac.Asset(
            href="./network.keras",
            media_type="application/zip; application=keras",
            roles=["mlm:model"],
            extra_fields={"mlm:artifact_type": "tf.keras.Model.save"},
        ),
    )
    return item.to_dict(include_self_link=False)
