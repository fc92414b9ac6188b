import base64
import math
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import pytest

from geodl.contract import Band, ClassInfo, Contract, Dim, ModelInput, ModelOutput
from geodl.report.html import Report, environment, to_html

EVIL = "<script>alert('x')</script> & $title \"quoted\""
VOID = {"meta", "img", "br", "link"}


@dataclass
class Table:
    title: str
    columns: tuple
    rows: tuple


class Reader(HTMLParser):
    """Checks nesting and gathers tables, images and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.images: list[dict] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data


@pytest.fixture
def report():
    contract = Contract(
        "segmentation",
        ModelInput(
            (Dim("y", margin=None, step=10.0, unit="metre"), Dim("x"), Dim("band", size=1)), (Band("B02", "dB"),)
        ),
        ModelOutput("classes", classes=(ClassInfo(1, "water", "#0072b2"), ClassInfo(2, EVIL, "#e69f00"))),
    )
    return Report(
        f"Run {EVIL}",
        contract,
        command="geodl train segmentation --set data.images='a & b'",
        tables=(Table(EVIL, ("scene", "pixels"), (("a.tif", 12_345), (EVIL, 3))),),
        metrics={"miou": 0.5, "ece": 0.02, "kappa": math.nan, "iou/water": 0.25, f"iou/{EVIL}": 0.75},
        baselines={"forest": {"miou": 0.25, "ece": 0.01, "iou/water": 0.125}},
        protocol={"part": "test", "scenes": [EVIL]},
        figures={f"Curves {EVIL}": b"\x89PNG bytes"},
        environment={"python": "3.11"},
        recipe="data: {images: '<x>'}",
    )


@pytest.fixture
def read(report):
    reader = Reader()
    reader.feed(to_html(report))
    assert not reader.open
    return reader


def test_no_text_becomes_markup(report, read):
    assert "script" not in read.tags
    assert "<script" not in to_html(report)
    assert read.text.count(EVIL) >= 6


def test_scores_stand_beside_those_of_the_baselines(read):
    scores, classes = read.tables[:2]
    assert scores == [
        ["metric", "segmentation", "forest"],
        ["miou", "0.500", "0.250"],
        ["ece", "0.020", "0.010"],
        ["kappa", "–", "–"],
    ]
    assert classes == [["", "iou", "iou of forest"], ["water", "0.250", "0.125"], [EVIL, "0.750", "–"]]


def test_the_better_score_is_marked(report):
    marked = re.findall(r'<td class="number best">([^<]*)</td>', to_html(report))
    assert marked == ["0.500", "0.010"]


def test_scores_of_values_are_by_band_and_the_nearest_to_the_ideal_is_marked(report):
    metrics = {"psnr": 30.0, "psnr_input": 20.0, "ergas": 2.0, "bias": -0.25, "psnr/VV": 31.0}
    others = {"psnr": 28.0, "psnr_input": 20.0, "ergas": 1.5, "bias": 0.125}
    output = ModelOutput("bands", bands=(Band("VV"),))
    restored = replace(
        report,
        contract=replace(report.contract, output=output),
        metrics=metrics,
        baselines={"lee": others},
        protocol={"noise": {"kind": "speckle", "looks": 1.0}},
    )
    text = to_html(restored)
    assert re.findall(r'<td class="number best">([^<]*)</td>', text) == ["30.000", "1.500", "0.125"]
    assert "<h2>Bands</h2>" in text and "Classes" not in text
    assert "noise: kind speckle, looks 1.000" in text


def test_tables_contract_and_command_are_told(read):
    assert [["scene", "pixels"], ["a.tif", "12345"], [EVIL, "3"]] in read.tables
    assert ["B02", "dB"] in read.tables[3]
    assert ["y", "any", "all", "10 metre"] in read.tables[4]
    assert "geodl train segmentation --set data.images='a & b'" in read.text
    assert "data: {images: '<x>'}" in read.text


def test_one_file_for_all_screens(report, read):
    page = to_html(report)
    (image,) = read.images
    assert base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) == b"\x89PNG bytes"
    assert image["alt"] == f"Curves {EVIL}"
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


def test_what_is_missing_leaves_no_empty_section(report):
    page = to_html(Report("Bare", report.contract))
    assert "<h2>Contract</h2>" in page
    for title in ("Scores", "Classes", "Figures", "Trained on", "Repeat it", "Environment"):
        assert f"<h2>{title}</h2>" not in page


def test_environment_names_versions():
    found = environment()
    assert re.fullmatch(r"3\.\d+\.\d+.*", found["python"])
    assert re.match(r"\d+\.\d+", found["numpy"])
    assert found["platform"]
