"""The report of a run: what it tells, that nothing becomes markup, and that nothing is loaded."""

import base64
import hashlib
import json
import math
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import numpy as np
import pytest

from geodl.contract import Band, ClassInfo, Contract, Dim, ModelInput, ModelOutput
from geodl.report.html import Report, environment, to_html
from geodl.report.layers import Viewer, class_layer

EVIL = "</script><img src=x onerror=alert('x')> & {{ title }} \"quoted\""
VOID = {"meta", "img", "br", "link", "input", "rect", "path"}


@dataclass
class Table:
    title: str
    columns: tuple
    rows: tuple


class Reader(HTMLParser):
    """Checks nesting and gathers tables, images, ids and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.values: list[float] = []
        self.images: list[dict] = []
        self.tags: list[str] = []
        self.attributes: list[tuple] = []
        self.best: list[str] = []
        self.text = self.policy = ""
        self._marked = self._cell = False

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "img":
            self.images.append(found)
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._cell, self._marked = True, "best" in (found.get("class") or "").split()
            self.values += [float(found["data-value"])] if "data-value" in found else []
        elif tag in ("span", "small"):
            self._cell = False

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th") and self._cell:
            self.tables[-1][-1][-1] += data
            self.best += [data] if self._marked else []


def read(report: Report) -> Reader:
    reader = Reader()
    reader.feed(to_html(report))
    assert not reader.open
    return reader


@pytest.fixture
def report():
    classes = (ClassInfo(1, "water", "#0072b2"), ClassInfo(2, EVIL, "#e69f00"))
    contract = Contract(
        "segmentation",
        ModelInput(
            (Dim("y", margin=None, step=10.0, unit="metre"), Dim("x"), Dim("band", size=1)), (Band(EVIL, "dB"),)
        ),
        ModelOutput("classes", classes=classes),
    )
    layers = tuple(class_layer(name, np.array([[0, 1], [1, -1]]), classes) for name in ("truth", EVIL))
    return Report(
        f"Run {EVIL}",
        contract,
        command="geodl train recipe.yaml --output '../a & b'",
        place="Here:",
        main="miou",
        tables=(Table(EVIL, ("scene", "pixels"), (("a.tif", 12_345), (EVIL, 3))),),
        data={"data SHA-256": "ab" * 32},
        training={"steps": "1,200 of 8 samples each"},
        metrics={"miou": 0.5, "ece": 0.02, "kappa": math.nan, "iou/water": 0.25, f"iou/{EVIL}": 0.75},
        baselines={"forest": {"miou": 0.25, "ece": 0.01, "iou/water": 0.125}},
        details={"classes": ["water", EVIL], "confusion": [[30, 10], [0, 0]]},
        protocol={"part": "test", "scenes": [EVIL]},
        viewer=Viewer(EVIL, layers, 2, 2, pixel=(10.0, 10.0), north=0.0),
        figures={f"Curves {EVIL}": b"\x89PNG bytes"},
        environment={"python": "3.11", "platform": EVIL},
        recipe=f"data: {{images: '<x>'}} # {EVIL}",
    )


def test_no_text_becomes_markup(report):
    found = read(report)
    assert found.tags.count("script") == 1 and found.tags.count("style") == 1
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert {image.get("alt") for image in found.images} == {f"Curves {EVIL}", "", "truth", EVIL}
    assert all(image.get("src", "data:image/png").startswith("data:image/png") for image in found.images)
    assert found.text.count(EVIL) >= 8
    assert "{{ title }}" in found.text


def test_browsers_are_told_to_load_nothing_and_to_run_this_script_only(report):
    page, found = to_html(report), read(report)
    rules = dict(rule.strip().partition(" ")[::2] for rule in found.policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert not [value for name, value in found.attributes if name in ("src", "href") and value[:1] not in "#d"]
    assert "style" not in dict(found.attributes)


def test_scores_stand_beside_those_of_the_baselines(report):
    _, scores, classes, confusion = read(report).tables[:4]
    assert scores == [
        ["metric", "better", "segmentation", "forest"],
        ["miou", "higher", "0.500", "0.250"],
        ["ece", "lower", "0.020", "0.010"],
        ["kappa", "higher", "–", "–"],
    ]
    assert classes == [["class", "iou", "iou of forest"], ["water", "0.250", "0.125"], [EVIL, "0.750", "–"]]
    assert confusion == [
        ["true class", "water", EVIL, "in all"],
        ["water", "75.0", "25.0", "40"],
        [EVIL, "–", "–", "0"],
    ]


def test_cells_hold_the_values_with_all_their_digits(report):
    exact = {"miou": 1 / 3, "iou/water": math.pi / 10}
    found = read(replace(report, metrics=json.loads(json.dumps(exact)), baselines={}))
    assert set(exact.values()) <= set(found.values)


def test_the_better_score_is_marked_and_the_first_sentence_says_who_is_ahead(report):
    found = read(report)
    assert found.best == ["0.500", "0.010", "0.250"]
    assert (
        "The segmentation network reaches a mean IoU of 0.500 on the held-out test part; the baseline, forest, 0.250: "
        "the network is ahead by 0.250." in found.text
    )


def test_scores_of_values_are_by_band_and_the_nearest_to_the_ideal_is_marked(report):
    metrics = {"psnr": 30.0, "psnr_input": 20.0, "ergas": 2.0, "bias": -0.25, "psnr/VV": 31.0}
    others = {"psnr": 28.0, "psnr_input": 20.0, "ergas": 1.5, "bias": 0.125}
    restored = replace(
        report,
        contract=replace(report.contract, output=ModelOutput("bands", bands=(Band("VV"),))),
        metrics=metrics,
        baselines={"lee": others},
        details={},
        protocol={"noise": {"kind": "speckle", "looks": 1.0}},
    )
    found, page = read(restored), to_html(restored)
    assert found.best == ["30.000", "1.500", "0.125"]
    assert ">Bands</h2>" in page and ">Classes</h2>" not in page and "Confusion" not in page
    assert "kind speckle, looks 1.000" in found.text


def test_tables_contract_data_and_command_are_told(report):
    found = read(report)
    assert [["scene", "pixels"], ["a.tif", "12345"], [EVIL, "3"]] in found.tables
    assert [["band", "unit"], [EVIL, "dB"]] in found.tables
    assert ["y", "any", "all", "10 metre"] in [row for table in found.tables for row in table]
    for words in ("geodl train recipe.yaml --output '../a & b'", "data: {images: '<x>'}", "ab" * 32, "1,200 of 8"):
        assert words in found.text


def test_one_file_for_all_screens(report):
    found, page = read(report), to_html(report)
    (picture,) = [image for image in found.images if image.get("alt", "").startswith("Curves")]
    assert base64.b64decode(picture["src"].removeprefix("data:image/png;base64,")) == b"\x89PNG bytes"
    for rule in ("prefers-color-scheme: dark", "@media print", 'name="viewport"', 'lang="en"'):
        assert rule in page


def test_contents_lead_to_every_part(report):
    found = read(report)
    targets = [value[1:] for name, value in found.attributes if name == "href"]
    ids = [value for name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids)) and set(targets) <= set(ids) and "repeat-it" in targets


def test_long_tables_are_folded(report):
    long = Table("Files", ("file",), tuple((f"{k}.tif",) for k in range(40)))
    assert "Files: 40 rows</summary>" in to_html(replace(report, tables=(long,)))


def test_what_is_missing_leaves_no_empty_section(report):
    page = to_html(Report("Bare", report.contract))
    assert ">Contract</h2>" in page
    for title in ("Scores", "Classes", "Pictures", "Trained on", "Repeat it", "Environment", "Confusion matrix"):
        assert f">{title}</h2>" not in page


def test_environment_names_versions_and_devices():
    found = environment(backend="jax", devices=("cpu:0", "cpu:1"))
    assert re.fullmatch(r"3\.\d+\.\d+.*", found["python"])
    assert re.match(r"\d+\.\d+", found["numpy"])
    assert found["Keras backend"] == "jax" and found["devices"] == "cpu:0, cpu:1"
    assert int(found["processor cores"]) >= 1
