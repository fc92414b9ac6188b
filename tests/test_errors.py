"""Every error builds its own sentence: what is wrong, what was expected, what was received, what to do."""

from __future__ import annotations

import inspect
import pickle

import pytest

from geodl import errors

SENTENCES = {
    errors.OptionError("--bbox", expected="four numbers", received="1,2"): ("--bbox", "four numbers", "'1,2'"),
    errors.RecipeError("train.epoch", "unknown key.", origin="a.yaml", line=3, valid=["epochs"]): (
        "a.yaml, line 3: train.epoch",
        "Did you mean 'epochs'?",
    ),
    errors.WorkersDiffer("the seed", first=3, index=1, other=4): ("the seed differs", "worker 0: 3", "worker 1: 4"),
    errors.SourceUnreadable("a.tif", "truncated"): ("a.tif", "truncated", "Check"),
    errors.EmptyDataset("scenes", expected="images"): ("scenes", "images", "nothing"),
    errors.PairingError("two labels.", images=["a"], labels=["b", "c"]): ("a", "b, c", "data.match"),
    errors.BandMismatch("s", expected=["B1", "B2"], received=["B1"]): ("Expected 2: B1, B2", "Received 1: B1"),
    errors.UnitMismatch("s", band="B1", expected="dB", received="1"): ("B1", "'dB'", "'1'", "Convert"),
    errors.ResolutionMismatch("s", expected="10 metre", received="20 metre"): (
        "10 metre",
        "20 metre",
        "--any-resolution",
    ),
    errors.GridMismatch("a", "b", differs="CRS", expected="EPSG:1", received="EPSG:2"): (
        "CRS",
        "EPSG:1",
        "EPSG:2",
        "--resample",
    ),
    errors.LabelsOutOfRange("l", expected=[0, 1], received=[7]): ("0, 1", "7", "data.ignore_label"),
    errors.NoValidPixels("s"): ("s", "nodata", "expected at least one"),
    errors.SplitError("too small.", advice="Choose less."): ("data.split", "too small.", "Choose less."),
    errors.SplitLeakage("a", "b", "overlap"): ("a", "b", "overlap", "data.split"),
    errors.BundleError("runs/a", "No network"): ("runs/a", "No network", "geodl train"),
    errors.CheckpointMismatch("runs/a", field="seed", expected=0, received=1): ("seed", "0", "1", "--overwrite"),
    errors.OutputExists("runs/a"): ("runs/a", "--overwrite"),
    errors.OutputUnwritable("map.tif", "disk full"): ("map.tif", "disk full", "free space"),
    errors.BackendUnavailable("mirrored", "one device", advice="Use single."): (
        "mirrored",
        "one device",
        "Use single.",
    ),
}


@pytest.mark.parametrize("error", SENTENCES, ids=lambda error: type(error).__name__)
def test_sentence_says_what_is_needed(error: errors.GeodlError) -> None:
    for part in SENTENCES[error]:
        assert part in str(error)


def test_all_errors_share_one_base_and_are_public() -> None:
    classes = {
        name for name, thing in inspect.getmembers(errors, inspect.isclass) if thing.__module__ == errors.__name__
    }
    assert classes == set(errors.__all__)
    assert all(issubclass(getattr(errors, name), errors.GeodlError) for name in errors.__all__)


def test_long_lists_are_cut() -> None:
    sentence = str(errors.BandMismatch("s", expected=[f"B{k}" for k in range(20)], received=[]))
    assert "B11, … (20 in all)" in sentence
    assert "Received 0: none" in sentence


@pytest.mark.parametrize("error", SENTENCES, ids=lambda error: type(error).__name__)
def test_an_error_comes_home_from_another_process_as_itself(error: errors.GeodlError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
