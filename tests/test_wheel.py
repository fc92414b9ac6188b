"""The wheel carries what is needed at run time besides code."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_wheel_carries_recipes_cards_and_the_report(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(next(tmp_path.glob("geodl-*.whl"))) as wheel:
        names = set(wheel.namelist())
    shipped = {
        f"geodl/_shipped/{path.relative_to(ROOT)}"
        for kind in ("pipelines", "datasets")
        for path in (ROOT / kind).glob("*.yaml")
    }
    templates = {str(path.relative_to(ROOT)) for path in (ROOT / "geodl" / "report" / "templates").iterdir()}
    assert shipped and len(templates) >= 8
    assert names >= {*shipped, "geodl/py.typed", *templates}
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]
