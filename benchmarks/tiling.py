"""Tiled against whole: how far a map made in tiles is from one forward pass over the scene, and whether it has seams.

    python benchmarks/tiling.py RUN SCENE

Prints JSON: for each overlap the greatest and mean difference of probabilities, the share of pixels whose class differs,
and the gradient across tile borders over that elsewhere (beside it, the same ratio in the whole pass). The scene must fit
one pass; little memory is given to the tiled maps, so that they have many tiles.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from harness import provenance, store
from scipy.special import softmax

import geodl
from geodl.data.raster import open_raster
from geodl.inference.planning import Cost, plan_tiling
from geodl.inference.runtime import activation_bytes


def border_ratio(probabilities: np.ndarray, rows: np.ndarray) -> float:
    """Mean gradient along y between rows k and k + 1, for k in `rows` over all others."""
    gradient = np.nanmean(np.abs(np.diff(probabilities, axis=0)), axis=(1, 2))
    return float(gradient[rows].mean() / np.delete(gradient, rows).mean())


def compare(model: Any, scene: str, memory: int) -> dict[str, Any]:
    """Maps a scene with each overlap and compares with one whole pass."""
    source = open_raster(scene, bands=[band.name for band in model.contract.input.bands])
    x, valid = source.read()
    whole = softmax(model.call(x[None])[0].astype(np.float64), axis=-1)
    whole[~valid.all(-1)] = np.nan
    cost = Cost(
        bands=x.shape[-1], channels=whole.shape[-1], activations=activation_bytes(model.network), scale=1, batch=1
    )
    found = {}
    for overlap in ("exact", "auto", 0):
        tiled = model.predict(source, probabilities=True, overlap=overlap, memory=memory)["probabilities"]
        tiled = np.moveaxis(tiled.values, 0, -1) if tiled.shape[0] == whole.shape[-1] else tiled.values
        tiling = plan_tiling(source.grid.shape, model.contract, cost=cost, overlap=overlap, memory=memory)
        rows = np.array([span.first - 1 for span in tiling.rows[1:]], int)
        error = np.abs(tiled - whole)[valid.all(-1)]
        differs = (tiled.argmax(-1) != whole.argmax(-1))[valid.all(-1)]
        found[str(overlap)] = {
            "tiles": len(tiling.rows) * len(tiling.columns),
            "max_difference": float(error.max()),
            "mean_difference": float(error.mean()),
            "classes_differ": float(differs.mean()),
            "gradient_at_borders": border_ratio(tiled, rows) if len(rows) else None,
            "gradient_at_borders_whole": border_ratio(whole, rows) if len(rows) else None,
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a bundle of a segmentation network")
    parser.add_argument("scene", help="a scene that fits one pass")
    parser.add_argument("--memory", type=int, default=256 << 20, help="bytes for the tiled maps")
    arguments = parser.parse_args()
    model = geodl.load(arguments.run)
    margin = model.contract.input.dim("y").margin
    result = {"margin": margin, "overlaps": compare(model, arguments.scene, arguments.memory)}
    store("tiling", result, provenance())


if __name__ == "__main__":
    main()
