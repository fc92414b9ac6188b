"""Learning curves."""

from __future__ import annotations

import numpy as np
import pytest

from geodl.report.curves import learning_curves


def rows(**metrics: list[float]) -> list[dict[str, float]]:
    count = len(next(iter(metrics.values())))
    return [
        {"epoch": k + 1, "step": 50 * (k + 1), "loss": 1 / (k + 1)}
        | {name: values[k] for name, values in metrics.items()}
        for k in range(count)
    ]


def marks(figure) -> list[float]:
    return [line.get_xdata()[0] for axes in figure.axes for line in axes.lines if line.get_label() == "_chosen"]


def told(figure) -> str:
    return figure.legends[0].get_texts()[0].get_text()


def test_the_loss_and_the_metrics_of_the_whole_are_drawn():
    figure = learning_curves(rows(val_miou=[0.2, 0.4, 0.3], **{"val_iou/water": [0.1] * 3}), monitor="miou")
    loss, scores = figure.axes
    np.testing.assert_allclose(loss.lines[0].get_ydata(), [1, 1 / 2, 1 / 3])
    np.testing.assert_array_equal(scores.lines[0].get_ydata(), [0.2, 0.4, 0.3])
    assert loss.get_xlabel() == "epoch (of 50 steps)" and loss.get_ylabel() == "loss (no unit)"
    assert [axes.get_title() for axes in figure.axes] == ["Training: loss", "Validation: mean IoU"]


@pytest.mark.parametrize(("mode", "epoch"), [("max", 2), ("min", 3)])
def test_the_epoch_that_was_kept_is_marked_in_every_panel(mode, epoch):
    found = rows(val_nrmse=[0.5, 0.9, 0.2, np.nan], val_vpt=[1.0, 2.0, 3.0, 4.0])
    figure = learning_curves(found, monitor="val_nrmse", mode=mode)
    assert marks(figure) == [epoch] * 3
    assert told(figure).startswith(
        f"epoch {epoch} was kept: {'highest' if mode == 'max' else 'lowest'} normalised RMSE"
    )


def test_without_a_validation_the_last_epoch_was_kept():
    figure = learning_curves([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.4}], monitor="miou")
    assert len(figure.axes) == 1 and marks(figure) == [2]
    assert told(figure) == "epoch 2, the last one, was kept"
    assert figure.axes[0].get_xlabel() == "epoch"


def test_what_differs_in_unit_has_an_axis_of_its_own():
    names = ("rmse_1", "rmse_lt", "nrmse", "vpt", "vpt_q25", "vpt_q75", "failures")
    found = rows(**{f"val_{name}": [1.0, 2.0] for name in names})
    figure = learning_curves(found, monitor="nrmse", mode="min", units={"vpt": "Lyapunov times", "rmse": "m"})
    drawn = {
        axes.get_title().partition(": ")[2]: (axes.get_ylabel(), [line.get_label() for line in axes.lines[:-1]])
        for axes in figure.axes[1:]
    }
    assert drawn == {
        "normalised RMSE": ("no unit", ["normalised RMSE"]),
        "errors": ("m", ["RMSE 1", "RMSE lt"]),
        "valid prediction time": ("Lyapunov times", ["VPT", "VPT q25", "VPT q75"]),
        "failures": ("score (no unit)", ["failures"]),
    }


@pytest.mark.parametrize(
    ("name", "values", "scale"),
    [
        pytest.param("rmse", [1e-5, 1e-2, 1.0], "log", id="decades"),
        pytest.param("rmse", [1.0, 2.0, 3.0], "linear", id="no decade"),
        pytest.param("bias", [-1.0, 1e-3, 1.0], "linear", id="below zero"),
        pytest.param("rmse", [np.nan, np.nan, np.nan], "linear", id="unknown"),
    ],
)
def test_an_axis_that_spans_decades_is_logarithmic(name, values, scale):
    figure = learning_curves(rows(**{f"val_{name}": values}), monitor=name, mode="min")
    figure.draw_without_rendering()
    assert figure.axes[1].get_yscale() == scale


def test_shares_stay_linear_and_first_weights_have_no_loss():
    found = [
        {"epoch": 0, "step": 0, "val_ece": 0.5, "val_accuracy": 0.1},
        *rows(val_ece=[0.2, 0.001], val_accuracy=[0.5, 0.9]),
    ]
    figure = learning_curves(found, monitor="accuracy")
    loss, scores = figure.axes
    assert scores.get_yscale() == "linear"
    assert np.isnan(loss.lines[0].get_ydata()[0]) and loss.get_xlabel() == "epoch (of 50 steps)"


def test_legends_do_not_lie_on_lines():
    figure = learning_curves(rows(val_miou=[0.2, 0.9], val_accuracy=[0.1, 0.8], val_kappa=[0.3, 0.4]), monitor="miou")
    figure.draw_without_rendering()
    for axes in figure.axes[1:]:
        assert not axes.get_window_extent().overlaps(axes.get_legend().get_window_extent())
