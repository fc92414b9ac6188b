"""Clips of radar sequences: what is in them, that none crosses a gap, and which windows are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from geodl.data.augment import Augmentation
from geodl.data.batches import Batches
from geodl.data.clips import Clip, ClipReader, ClipSamples, DomainClips, find_clips
from geodl.data.places import check_leakage
from geodl.data.radar import RadarSequence, open_sequence
from geodl.errors import FramesMissing, NoValidPixels, SplitLeakage


def rain(
    frames: int = 12, height: int = 40, width: int = 56, *, lost: tuple[int, ...] = (), **attrs: Any
) -> xr.DataArray:
    """A blob of rain that moves two pixels to the right and one down per frame of 5 minutes; some frames are lost."""
    rows, columns = np.mgrid[:height, :width]
    kept = [k for k in range(frames) if k not in lost]
    values = [8 * np.exp(-((rows - 12 - k) ** 2 + (columns - 14 - 2 * k) ** 2) / 40) for k in kept]
    times = np.datetime64("2020-10-31T00:00", "ns") + np.array(kept) * np.timedelta64(300, "s")
    coordinates = {"time": times, "y": 1000.0 * np.arange(height)[::-1], "x": 1000.0 * np.arange(width)}
    return xr.DataArray(
        np.float32(values), coordinates, ("time", "y", "x"), attrs={"units": "mm/h", "crs": "EPSG:3035", **attrs}
    )


def sequence(**options: Any) -> RadarSequence:
    return open_sequence(rain(**options), name="storm")


def clips(*sequences: RadarSequence, frames: int = 3, leads: int = 2, **options: Any) -> list[Clip]:
    return find_clips([(one.name, one, None) for one in sequences], frames=frames, leads=leads, **options)


def test_clips_of_a_whole_sequence() -> None:
    found = clips(sequence(frames=6), least=2)
    assert [(clip.start, clip.stop) for clip in found] == [(0, 5), (1, 6)]
    assert [(clip.start, clip.stop) for clip in clips(sequence(frames=6), least=2, stride=2)] == [(0, 5)]
    # With one lead time at least, the last clip lacks the second.
    assert [(clip.start, clip.stop) for clip in clips(sequence(frames=6))] == [(0, 5), (1, 6), (2, 6)]


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(1, 12), max_size=4), st.integers(2, 4), st.integers(1, 3))
def test_no_clip_crosses_a_gap(lost: set[int], frames: int, leads: int) -> None:
    whole = sequence(frames=14, height=4, width=4, lost=tuple(lost))
    for clip in clips(whole, frames=frames, leads=leads):
        steps = np.diff(whole.times[clip.start : clip.stop])
        assert (steps == np.timedelta64(300, "s")).all()
        assert frames < clip.stop - clip.start <= frames + leads


def test_a_clip_holds_what_was_observed_and_what_the_motion_says() -> None:
    source = sequence()
    (clip, *_) = clips(source, frames=3, leads=2)
    x, y, weight = ClipReader(3, 2, advected=True).read(clip)
    truth = rain().values
    np.testing.assert_array_equal(x[:3, ..., 0], truth[:3])
    np.testing.assert_array_equal(y[..., 0], truth[3:5])
    assert weight.shape == (2, 40, 56)
    assert weight.all()
    moved = np.nan_to_num(x[3:, ..., 0])
    assert np.abs(moved - truth[3:5]).max() < 0.1 * truth.max() < np.abs(truth[2] - truth[4]).max()


@settings(max_examples=25, deadline=None)
@given(st.integers(-20, 50), st.integers(-20, 60), st.integers(8, 40))
def test_a_window_is_cut_out_of_the_domain(top: int, left: int, side: int) -> None:
    (clip, *_) = clips(SEQUENCE, frames=3, leads=2)
    whole = WHOLE.read(clip)
    part = WHOLE.read(clip, Window(left, top, side, side))
    padded = [
        np.pad(array, [(0, 0), (40, 60), (40, 60)] + [(0, 0)] * (array.ndim - 3), constant_values=np.nan)
        for array in whole
    ]
    for one, other in zip(part[:2], padded, strict=False):
        expected = other[:, top + 40 : top + 40 + side, left + 40 : left + 40 + side]
        np.testing.assert_allclose(one, expected, atol=1e-5)
    np.testing.assert_array_equal(part[2], np.isfinite(part[1][..., 0]))


SEQUENCE = sequence()
WHOLE = ClipReader(3, 2, advected=True)


def test_lead_times_that_were_not_observed_do_not_count() -> None:
    clip = clips(sequence(frames=6))[-1]
    _, y, weight = ClipReader(3, 2, advected=False).read(clip)
    assert np.isnan(y[1]).all()
    assert weight[0].all()
    assert not weight[1].any()


def test_windows_with_rain_are_drawn_more_often() -> None:
    dry = rain(height=200, width=200)
    samples = ClipSamples(clips(open_sequence(dry, name="storm")), ClipReader(3, 2, advected=False), patch=32)
    wet = [np.nanmax(samples.read(k % len(samples), np.random.default_rng(k))[0]) > 1 for k in range(24)]
    # Windows of 32 pixels that the blob can be seen in are less than a tenth of all.
    assert np.mean(wet) > 0.5


def test_a_dry_sequence_is_learnt_from_all_the_same() -> None:
    samples = ClipSamples(clips(open_sequence(0 * rain(), name="dry")), ClipReader(3, 2, advected=True), patch=16)
    x, y, weight = samples.read(0, np.random.default_rng(0))
    assert not x[:3].any()
    assert not y.any()
    assert weight.all()


def test_nothing_observed_is_refused() -> None:
    samples = ClipSamples(
        clips(open_sequence(np.nan * rain(), name="blind")), ClipReader(3, 2, advected=False), patch=16
    )
    with pytest.raises(NoValidPixels, match="blind"):
        samples.read(0, np.random.default_rng(0))


def test_too_few_frames_are_refused_in_a_sentence() -> None:
    reader = ClipReader(3, 2, advected=False)
    with pytest.raises(FramesMissing, match="training part.*3 observed frames and 2 lead times.*clip.frames"):
        ClipSamples(clips(sequence(frames=1)), reader, patch=16)
    with pytest.raises(FramesMissing, match="test part"):
        DomainClips([], reader, part="test")


def test_batches_depend_on_seed_and_step_alone() -> None:
    reader = ClipReader(3, 2, advected=True)
    samples = ClipSamples(clips(sequence()), reader, patch=24, augment=Augmentation())
    fresh = ClipSamples(clips(sequence()), ClipReader(3, 2, advected=True), patch=24, augment=Augmentation())
    one = Batches(samples, batch_size=3, seed=1, workers=0)
    other = Batches(fresh, batch_size=3, seed=1, start=2, workers=2)
    one[0], one[1]
    for mine, theirs in zip(one[2], other[0], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    other.close()
    assert one[2][0].shape == (3, 5, 24, 24, 1)
    assert one[2][2].mean() == pytest.approx(1, abs=1e-5)


def test_turning_keeps_frames_and_truth_together() -> None:
    (clip, *_) = clips(SEQUENCE, frames=3, leads=2)
    samples = ClipSamples([clip], ClipReader(3, 2, advected=False), patch=40, augment=Augmentation())
    for seed in range(8):
        x, y, weight = samples.read(0, np.random.default_rng(seed))
        # The blob moves by the same vector from the last frame to the first lead time as between the frames.
        centres = [
            np.array(np.unravel_index(frame[..., 0].argmax(), (40, 40)))
            for frame in (*x, *y)
            if np.isfinite(frame).all()
        ]
        steps = np.diff(centres, axis=0)
        if len(steps) == 4 and frame_is_inside(centres):
            assert np.ptp(steps, axis=0).max() <= 1
        assert weight.shape == y.shape[:3]


def frame_is_inside(centres: list[np.ndarray]) -> bool:
    return all(2 < place < 37 for centre in centres for place in centre)


def test_halves_of_a_sequence_do_not_leak_and_overlapping_ones_do() -> None:
    whole = sequence()
    noon = whole.times[6]
    reader = ClipReader(3, 2, advected=False)
    early, late = (
        [samples.place(k) for k in range(len(samples))]
        for part in (whole.between(whole.times[0], noon), whole.between(noon, whole.times[-1] + whole.step))
        for samples in [DomainClips(clips(part), reader, part="test")]
    )
    check_leakage(early, late)
    with pytest.raises(SplitLeakage, match="storm"):
        check_leakage(early, [ClipSamples(clips(whole), reader, patch=16).place(0)])
