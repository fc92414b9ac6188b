"""Tables and numbers on the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from geodl.cli.terminal import Answer, console, number, print_evaluation, print_table, write_json
from geodl.errors import OutputUnwritable


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.71236, "0.7124"), (31.7291, "31.73"), (12345.678, "12,345.68"), (float("nan"), "–"), (3, "3"), ("a", "a")],
)
def test_numbers(value: object, text: str) -> None:
    assert number(value) == text


def test_tables_fit_80_columns_without_colour_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    title = "/a/long/path/that/is/never/broken" * 4
    print_table(console(), title, ("name", "n"), [("[bold]x[/bold] " + "y" * 100, 1), ("z", 20)])
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == title
    assert max(map(len, rest)) <= 80
    assert any("[bold]x[/bold]" in line for line in rest)
    assert "\x1b" not in "".join(rest)


def test_scores_stand_beside_those_of_the_baselines(
    capsys: pytest.CaptureFixture[str], evaluation: SimpleNamespace
) -> None:
    print_evaluation(console(), evaluation)  # type: ignore[arg-type]
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["Scores", "(test)"] in lines
    assert ["metric", "segmentation", "forest"] in lines
    assert ["miou", "0.7123", "0.4000"] in lines
    assert ["kappa", "–", "–"] in lines
    assert ["class", "iou", "f1", "iou", "(forest)"] in lines
    assert ["water", "0.9000", "0.9500", "0.3000"] in lines
    assert ["land", "0.5000", "0.6000", "–"] in lines


def test_scores_by_band_stand_in_as_many_tables_as_fit(capsys: pytest.CaptureFixture[str]) -> None:
    bands = [f"B{number:02}" for number in range(1, 14)]
    kinds = ("edge_preservation", "psnr")
    scores = {f"{kind}/{band}": 0.5 + index for kind in kinds for index, band in enumerate(bands)}
    filtered = SimpleNamespace(metrics={"edge_preservation": 0.25, "edge_preservation/B13": 0.125})
    print_evaluation(
        console(),
        SimpleNamespace(  # type: ignore[arg-type]
            pipeline="denoising",
            metrics={"edge_preservation": 6.5, **scores},
            protocol={},
            details={"bands": bands},
            tables=(),
            baselines={"refined_lee": filtered},
        ),
    )
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert max(map(len, out.splitlines())) <= 80
    headings = [line[1:] for line in lines if line[:1] == ["metric"]][1:]
    assert [name for heading in headings for name in heading] == bands
    assert all(headings) and len(headings) == 3
    assert "By class" not in out and out.count("By band, continued") == 2
    values = [line for line in lines if line[:2] == ["edge_preservation", "(refined_lee)"]]
    assert [value for line in values for value in line[2:]] == ["–"] * 12 + ["0.1250"]
    assert ["psnr", "10.50", "11.50", "12.50"] in lines


def test_json_goes_to_a_file_or_to_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = {"pipeline": "segmentation", "metrics": {"iou/Wälder": None}}
    write_json(tmp_path / "a.json", content)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == content
    write_json(Path("-"), content)
    assert json.loads(capsys.readouterr().out) == content
    (tmp_path / "file").touch()
    with pytest.raises(OutputUnwritable):
        write_json(tmp_path / "file" / "a.json", content)


def test_of_many_methods_each_has_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("nowcasting", "persistence", "advection", "extrapolation", "sprog", "anvil")
    own, *others = (SimpleNamespace(metrics={"csi": k / 10, "mae": float(k)}) for k in range(6))
    scored = SimpleNamespace(
        pipeline=names[0],
        metrics=own.metrics,
        protocol={},
        details={},
        tables=(),
        baselines=dict(zip(names[1:], others)),
    )
    print_evaluation(console(), scored)  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith(" sprog")] == [["sprog", "0.4000", "4.0000"]]
    assert all(len(line) <= 80 for line in lines)


def test_what_is_told_is_written_as_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = Answer(Path("-"))
    answer.table("Bands", ("band", "mean"), [("B02", np.float32(0.5))])
    answer.table("a.tif", ("property", "value"), [("size", "3 × 4")], heading=False)
    answer.line("Fits.")
    answer.file("Map", tmp_path / "map.tif", "3 leads")
    answer.close(fits=True)
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "fits": True,
        "tables": [
            {"title": "Bands", "rows": [{"band": "B02", "mean": 0.5}]},
            {"title": "a.tif", "properties": {"size": "3 × 4"}},
        ],
        "lines": ["Fits."],
        "files": [{"what": "Map", "path": str(tmp_path / "map.tif")}],
    }
    assert f"Map: {tmp_path / 'map.tif'} (3 leads)" in captured.err


def test_quiet_leaves_paths_alone(capsys: pytest.CaptureFixture[str]) -> None:
    answer = Answer(quiet=True)
    answer.table("Bands", ("band",), [("B02",)])
    answer.line("Fits.")
    answer.file("Map", "map.tif", "3 leads")
    answer.close()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("map.tif\n", "")
