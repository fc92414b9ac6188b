import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from geodl.errors import OptionError
from geodl.metrics import RestorationMetrics

BANDS = ("B05", "B06", "B07")
NAN = float("nan")


def images(count: int = 3, shape: tuple[int, int] = (30, 41), bands: int = 3, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Truth of range 0–4000 with its own brightness per image, and a noisy prediction of it."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 1000, (count, *shape, bands)) * np.arange(1, count + 1)[:, None, None, None] + 100
    return truth.astype(np.float32), (truth + rng.normal(5, 60, truth.shape)).astype(np.float32)


def scored(
    truth: np.ndarray, guess: np.ndarray, weight: np.ndarray | None = None, **options: object
) -> dict[str, float]:
    options = {"peak": 4000.0, **options}
    metrics = RestorationMetrics(BANDS[: truth.shape[-1]], **options)
    metrics.update(truth, guess, weight)
    return metrics.result()


def ssim(truth: np.ndarray, guess: np.ndarray, peak: float) -> float:
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return structural_similarity(truth.astype(np.float64), guess.astype(np.float64), data_range=peak, **options)


def test_whole_images_score_as_scikit_image_scores_them() -> None:
    truth, guess = images()
    result = scored(truth, guess)
    one, other = truth.astype(np.float64), guess.astype(np.float64)
    psnr = [
        [peak_signal_noise_ratio(a[..., b], c[..., b], data_range=4000) for b in range(3)] for a, c in zip(one, other)
    ]
    similar = [[ssim(a[..., b], c[..., b], 4000) for b in range(3)] for a, c in zip(truth, guess)]
    assert result["psnr"] == pytest.approx(np.mean(psnr), abs=1e-9)
    assert result["ssim"] == pytest.approx(np.mean(similar), abs=1e-9)
    assert result["rmse"] == pytest.approx(math.sqrt(mean_squared_error(one, other)), rel=1e-12)
    assert result["bias"] == pytest.approx((other - one).mean(), rel=1e-9)
    for band, name in enumerate(BANDS):
        assert result[f"psnr/{name}"] == pytest.approx(np.mean(psnr, axis=0)[band], abs=1e-9)
        assert result[f"ssim/{name}"] == pytest.approx(np.mean(similar, axis=0)[band], abs=1e-9)
        assert result[f"rmse/{name}"] == pytest.approx(math.sqrt(mean_squared_error(one[..., band], other[..., band])))


def test_spectral_scores_follow_their_formulas() -> None:
    truth, guess = images(count=2)
    one, other = truth.astype(np.float64), guess.astype(np.float64)
    mse, mean = np.square(other - one).mean(axis=(1, 2)), one.mean(axis=(1, 2))
    result = scored(truth, guess, ratio=2)
    assert result["ergas"] == pytest.approx(np.mean(50 * np.sqrt((mse / mean**2).mean(axis=1))), rel=1e-9)
    assert result["sre"] == pytest.approx(np.mean(10 * np.log10(mean**2 / mse)), rel=1e-9)
    norms = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    angles = np.degrees(np.arccos(np.clip((one * other).sum(-1) / norms, -1, 1)))
    assert result["sam"] == pytest.approx(angles.mean(), rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_windows_with_context_score_as_their_scene(data: st.DataObject) -> None:
    truth, guess = images(count=1, shape=(27, 33), bands=2)
    truth[0, 3:6, 4:9, 0] = np.nan
    truth[0, 20, 30] = np.nan
    whole = RestorationMetrics(BANDS[:2], peak=data.draw(st.sampled_from([4000.0])))
    whole.update(truth, guess)
    cut = RestorationMetrics(BANDS[:2], peak=whole.peak)
    rows = sorted({0, 27, *data.draw(st.sets(st.integers(1, 26), max_size=2))})
    cols = sorted({0, 33, *data.draw(st.sets(st.integers(1, 32), max_size=2))})
    margin = data.draw(st.integers(5, 8))
    for top, bottom in pairwise(rows):
        for left, right in pairwise(cols):
            weight = np.zeros((27, 33))
            weight[top:bottom, left:right] = 1
            part = (slice(max(top - margin, 0), bottom + margin), slice(max(left - margin, 0), right + margin))
            cut.update(truth[:, *part], guess[:, *part], weight[None, *part], scenes=("one",))
    for name, value in whole.result().items():
        assert cut.result()[name] == pytest.approx(value, rel=1e-9), name


def test_nodata_does_not_count_and_is_no_zero() -> None:
    truth, guess = images(count=1, bands=1)
    guess[0, 10:] = 1e9
    holes = truth.copy()
    holes[0, 10:] = np.nan
    above = scored(truth[:, :10], guess[:, :10])
    hidden = np.ones(truth.shape[:3])
    hidden[0, 10:] = 0
    for result in (scored(holes, guess), scored(truth, guess, hidden)):
        for name in ("psnr", "rmse", "bias", "sre", "ergas"):
            assert result[name] == pytest.approx(above[name], rel=1e-12)
    assert math.isnan(scored(holes, guess)["ssim"])


def test_ssim_leaves_out_windows_with_nodata() -> None:
    truth, guess = images(count=1, bands=1)
    _, full = structural_similarity(
        truth[0, ..., 0].astype(float), guess[0, ..., 0].astype(float), data_range=4000,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True,
    )  # fmt: skip
    truth[0, 14, 20] = np.nan
    near = np.zeros(full.shape, bool)
    near[9:20, 15:26] = True
    inside = np.zeros(full.shape, bool)
    inside[5:-5, 5:-5] = True
    assert scored(truth, guess)["ssim"] == pytest.approx(full[inside & ~near].mean(), abs=1e-12)


@pytest.mark.parametrize("bad", [NAN, math.inf, -math.inf])
@pytest.mark.parametrize("quantise", [None, (0, 255)])
def test_missing_prediction_spoils_the_scores_of_its_band(bad: float, quantise: tuple[float, float] | None) -> None:
    truth, guess = images(count=2, bands=2)
    guess[0, 12, 12, 1] = bad
    metrics = RestorationMetrics(BANDS[:2], peak=255, quantise=quantise)
    metrics.update(truth, guess)
    result = metrics.result()
    assert all(math.isnan(v) for name, v in result.items() if not name.endswith("/B05"))
    assert all(math.isfinite(v) for name, v in result.items() if name.endswith("/B05"))
    details = metrics.details()
    assert details["unpredicted"] == 1
    assert [row["psnr"] is None for row in details["scenes"]] == [True, False]
    truth[0, 12, 12, 1] = np.nan
    assert math.isfinite(scored(truth, guess, quantise=quantise)["rmse"])


def test_scenes_count_alike_whatever_their_size() -> None:
    truth, guess = images(count=4, bands=1)
    metrics = RestorationMetrics(("grey",), peak=4000)
    metrics.update(truth, guess, scenes=("a", "b", "b", "b"))
    each = [
        peak_signal_noise_ratio(truth[s].astype(float), guess[s].astype(float), data_range=4000)
        for s in (slice(0, 1), slice(1, 4))
    ]
    assert metrics.result()["psnr"] == pytest.approx(np.mean(each), abs=1e-9)
    assert [(row["scene"], row["pixels"]) for row in metrics.details()["scenes"]] == [("a", 1230), ("b", 3690)]


def test_peak_of_each_scene() -> None:
    truth, guess = images(count=2, bands=2)
    expected = [
        [
            peak_signal_noise_ratio(
                a[..., b].astype(float), c[..., b].astype(float), data_range=float(np.ptp(a[..., b]))
            )
            for b in range(2)
        ]
        for a, c in zip(truth, guess)
    ]
    assert scored(truth, guess, peak=None)["psnr"] == pytest.approx(np.mean(expected), abs=1e-6)
    similar = np.mean(
        [ssim(a[..., b], c[..., b], float(np.ptp(a[..., b]))) for a, c in zip(truth, guess) for b in (0, 1)]
    )
    assert scored(truth, guess, peak=None)["ssim"] == pytest.approx(similar, abs=1e-6)
    halves = RestorationMetrics(BANDS[:2], peak=None)
    for part in (slice(0, 9), slice(9, None)):
        halves.update(truth[:, part], guess[:, part], scenes=("a", "b"))
    assert halves.result()["psnr"] == pytest.approx(np.mean(expected), abs=1e-6)
    assert math.isnan(scored(np.ones((1, 12, 12, 1)), np.zeros((1, 12, 12, 1)), peak=None)["psnr"])


def test_eight_bit_protocol_rounds_and_clips_first() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 256, (1, 20, 20, 1)).astype(np.float32)
    guess = truth + rng.normal(0, 25, truth.shape).astype(np.float32)
    written = np.clip(np.round(guess), 0, 255).astype(np.uint8)
    expected = peak_signal_noise_ratio(truth.astype(np.uint8), written)
    assert scored(truth, guess, peak=255.0, quantise=(0, 255))["psnr"] == pytest.approx(expected, abs=1e-9)


def test_scores_of_bytes_do_not_overflow() -> None:
    truth, noisy = np.random.default_rng(2).integers(0, 256, (2, 1, 20, 20, 1), np.uint8)
    metrics = RestorationMetrics(("grey",), peak=255)
    metrics.update(truth, noisy, x=noisy)
    expected = peak_signal_noise_ratio(truth, noisy)
    assert metrics.result()["psnr"] == pytest.approx(expected)
    assert metrics.result()["psnr_input"] == pytest.approx(expected)


def test_noise_of_known_strength_has_its_decibels() -> None:
    truth = np.full((1, 400, 400, 1), 128.0)
    guess = truth + np.random.default_rng(0).normal(0, 25, truth.shape)
    assert scored(truth, guess, peak=255.0)["psnr"] == pytest.approx(20.17, abs=0.02)


def test_crop_scores_what_lies_inside() -> None:
    truth, guess = images()
    inside = (slice(None), slice(4, -4), slice(4, -4))
    cropped, expected = scored(truth, guess, crop=4), scored(truth[inside], guess[inside])
    assert cropped == pytest.approx(expected, rel=1e-12)


def halve(image: np.ndarray) -> np.ndarray:
    height, width, bands = image.shape
    return image.reshape(height // 2, 2, width // 2, 2, bands).mean(axis=(1, 3))


def test_consistency_degrades_the_prediction_again() -> None:
    truth, guess = images(shape=(12, 14), bands=2)
    x = np.concatenate([np.stack([halve(image) for image in guess]) + 3.0, np.zeros((3, 6, 7, 1))], axis=-1)
    metrics = RestorationMetrics(BANDS[:2], peak=4000, ratio=2, crop=2, quantise=(0, 4000), degrade=halve)
    x[0, 0, 0, 0] = np.nan
    x[1, 2, 3] = 1e6
    weight = np.ones(truth.shape[:3])
    weight[1, 5, 7] = 0
    metrics.update(truth, guess, weight, x=x)
    assert metrics.result()["consistency"] == pytest.approx(3.0, rel=1e-4)
    same = RestorationMetrics(BANDS[:2], peak=4000, degrade=lambda image: image)
    same.update(truth, guess, x=guess - 2)
    assert same.result()["consistency"] == pytest.approx(2.0, rel=1e-4)
    with pytest.raises(OptionError, match="degrade returns"):
        metrics.update(truth, guess, x=x[:, :-1])
    with pytest.raises(OptionError, match="^x: "):
        metrics.update(truth, guess)


def test_perfect_prediction() -> None:
    truth, _ = images()
    result = scored(truth, truth)
    assert result["psnr"] == result["sre"] == math.inf
    assert result["ssim"] == pytest.approx(1.0)
    assert result["rmse"] == result["bias"] == result["ergas"] == 0.0
    assert result["sam"] == pytest.approx(0.0, abs=1e-5)


def test_nothing_counted_is_not_a_number() -> None:
    assert all(math.isnan(value) for value in RestorationMetrics(BANDS, peak=1, degrade=halve).result().values())
    truth, guess = images(count=2)
    truth[0] = np.nan
    one = scored(truth, guess)
    other = scored(truth[1:], guess[1:])
    assert one == pytest.approx(other, rel=1e-12)
    truth[1, ..., 0] = np.nan
    assert math.isnan(scored(truth, guess)["psnr/B05"])
    assert math.isfinite(scored(truth, guess)["psnr"])


def test_details_state_the_protocol_as_strict_json() -> None:
    metrics = RestorationMetrics(("grey",), peak=None, crop=1, quantise=(0, 255), unit="DN")
    metrics.update(np.ones((1, 14, 14, 1)), np.ones((1, 14, 14, 1)), scenes=("flat",))
    details = json.loads(json.dumps(metrics.details(), allow_nan=False))
    assert (details["peak"], details["crop"], details["quantise"], details["unit"]) == ("scene", 1, [0, 255], "DN")
    assert details["scenes"][0]["scene"] == "flat"
    assert details["scenes"][0]["psnr"] is None


@pytest.mark.parametrize(
    "options",
    [{"bands": ()}, {"peak": 0}, {"peak": NAN}, {"ratio": 0}, {"crop": -1}, {"quantise": (255, 0)}],
    ids=str,
)
def test_options_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        RestorationMetrics(**{"bands": ("grey",), "peak": 255, **options})


def test_shapes_are_checked() -> None:
    truth, guess = images()
    metrics = RestorationMetrics(BANDS, peak=1, crop=20)
    for name, arguments in {
        "y": (truth[..., :2], guess[..., :2]),
        "prediction": (truth, guess[:, 1:]),
        "weight": (truth, guess, np.ones(3)),
        "crop": (truth, guess),
    }.items():
        with pytest.raises(OptionError, match=f"^{name}: "):
            metrics.update(*arguments)
    with pytest.raises(OptionError, match="scenes: expected 3 names"):
        metrics.update(truth, guess, scenes=("a",))
