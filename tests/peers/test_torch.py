"""Networks, losses and scores against torch and torchmetrics."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest

from geodl.losses import CrossEntropy
from geodl.metrics.segmentation import SegmentationMetrics
from geodl.models import UNet

pytestmark = pytest.mark.peers

CLASSES = 5


@pytest.fixture(scope="module")
def torch() -> ModuleType:
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def pair(torch: ModuleType) -> tuple[keras.Model, Any]:
    """A U-Net with random weights and statistics, and its twin in torch with the same."""
    from benchmarks.torch_unet import TorchUNet

    statistics = {"mean": [0.1, 0.2, 0.3, 0.4], "std": [0.5, 1.0, 1.5, 2.0]}
    keras.utils.set_random_seed(0)
    ours = UNet(4, CLASSES, width=8, depth=3, **statistics)
    rng = np.random.default_rng(0)
    for variable in ours.variables:
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))
        elif variable.name != "kernel":
            variable.assign(rng.normal(0, 0.3, variable.shape))
    twin = TorchUNet(4, CLASSES, width=8, depth=3, **statistics)
    twin.take({variable.path: keras.ops.convert_to_numpy(variable) for variable in ours.variables})
    return ours, twin.to(memory_format=torch.channels_last).eval()


def _torch_call(torch: ModuleType, twin: Any, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return twin(torch.from_numpy(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()


def test_twin_has_as_many_parameters(pair: tuple[keras.Model, Any]) -> None:
    ours, twin = pair
    trainable = sum(int(np.prod(variable.shape)) for variable in ours.trainable_variables)
    assert trainable == sum(parameter.numel() for parameter in twin.parameters())


@pytest.mark.parametrize("shape", [(2, 64, 64), (1, 61, 90), (1, 7, 5)])
def test_unet_gives_what_torch_gives(
    torch: ModuleType, pair: tuple[keras.Model, Any], shape: tuple[int, int, int]
) -> None:
    ours, twin = pair
    rng = np.random.default_rng(1)
    x = rng.normal(0, 2, (*shape, 4)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    expected = _torch_call(torch, twin, x)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(ours(x, training=False)), expected, rtol=1e-3, atol=1e-3)


def test_unet_in_training_gives_what_torch_gives(torch: ModuleType, pair: tuple[keras.Model, Any]) -> None:
    ours, twin = pair
    x = np.random.default_rng(2).normal(0, 1, (4, 32, 32, 4)).astype(np.float32)
    ours, before = keras.models.clone_model(ours), ours
    ours.set_weights(before.get_weights())
    own = keras.ops.convert_to_numpy(ours(x, training=True))
    statistics = {name: buffer.clone() for name, buffer in twin.named_buffers()}
    try:
        expected = _torch_call(torch, twin.train(), x)
    finally:
        twin.eval().load_state_dict(statistics, strict=False)
    np.testing.assert_allclose(own, expected, rtol=1e-3, atol=1e-3)


# Not both at once: torch weighs the smoothed part by every class, geodl by the true one.
@pytest.mark.parametrize(("weights", "smoothing"), [(None, 0.0), ((1.0, 2.0, 0.5, 0.0, 3.0), 0.0), (None, 0.1)])
def test_cross_entropy_is_torchs(torch: ModuleType, weights: tuple[float, ...] | None, smoothing: float) -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 3, (2, 9, 7, CLASSES)).astype(np.float32)
    y = rng.integers(-1, CLASSES, (2, 9, 7)).astype(np.int32)
    own = CrossEntropy(class_weights=weights, label_smoothing=smoothing).call(y, keras.ops.convert_to_tensor(logits))
    expected = torch.nn.functional.cross_entropy(
        torch.from_numpy(logits).permute(0, 3, 1, 2),
        torch.from_numpy(y).long(),
        weight=None if weights is None else torch.tensor(weights),
        ignore_index=-1,
        reduction="none",
        label_smoothing=smoothing,
    )
    np.testing.assert_allclose(keras.ops.convert_to_numpy(own), expected.numpy(), rtol=1e-5, atol=1e-5)


def test_scores_are_torchmetrics(torch: ModuleType) -> None:
    from benchmarks.torchgeo_grid import declare_operators

    declare_operators()
    scores = pytest.importorskip("torchmetrics.classification")
    rng = np.random.default_rng(4)
    names = [str(k) for k in range(CLASSES)]
    own = SegmentationMetrics(names)
    options = {"num_classes": CLASSES, "ignore_index": -1}
    # Its confusion matrix cannot leave pixels out where it is given probabilities of this shape: it gets classes.
    peers = {
        "miou": scores.MulticlassJaccardIndex(average="macro", **options),
        "accuracy": scores.MulticlassAccuracy(average="micro", **options),
        "kappa": scores.MulticlassCohenKappa(**options),
    }
    each = {
        "iou": scores.MulticlassJaccardIndex(average="none", **options),
        "f1": scores.MulticlassF1Score(average="none", **options),
        "precision": scores.MulticlassPrecision(average="none", **options),
        "recall": scores.MulticlassRecall(average="none", **options),
    }
    confusion = scores.MulticlassConfusionMatrix(**options)
    calibration = scores.MulticlassCalibrationError(n_bins=15, norm="l1", **options)
    for _ in range(3):
        p = rng.dirichlet(np.full(CLASSES, 0.4), (2, 20, 30)).astype(np.float32)
        drawn = (p.cumsum(-1) < rng.random((2, 20, 30, 1))).sum(-1).clip(max=CLASSES - 1)
        y = np.where(rng.random(drawn.shape) < 0.2, -1, drawn)
        own.update(y, p)
        chosen, truth = torch.from_numpy(p.argmax(-1)), torch.from_numpy(y)
        for peer in (*peers.values(), *each.values(), confusion):
            peer.update(chosen, truth)
        calibration.update(torch.from_numpy(p).permute(0, 3, 1, 2), truth)
    found = own.result()
    np.testing.assert_array_equal(own.confusion, confusion.compute().numpy())
    for name, peer in peers.items():
        assert found[name] == pytest.approx(float(peer.compute()), abs=1e-6), name
    for name, peer in each.items():
        values = [found[f"{name}/{k}"] for k in names]
        np.testing.assert_allclose(values, peer.compute().numpy(), atol=1e-6, err_msg=name)
    assert found["ece"] == pytest.approx(float(calibration.compute()), abs=1e-5)
