"""Where the parts of a split lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import shapely
from matplotlib.colors import to_hex
from matplotlib.patches import PathPatch

from geodl.data.places import Place
from geodl.report.palette import PARTS, UNUSED
from geodl.report.splitmap import split_map


@dataclass
class Placed:
    """Samples of which only the places are known."""

    places: list[Place]

    def __len__(self) -> int:
        return len(self.places)

    def read(self, index, rng):
        raise AssertionError("nothing is read")

    def place(self, index: int) -> Place:
        return self.places[index]


def squares(
    left: float, right: float, *, space: str = "lonlat", source: str = "scene", step: float = 0.01
) -> list[Place]:
    """Squares side by side over 0.1°, drawn in by a little as real footprints are."""
    corners = [(x, y) for x in np.arange(left, right - 1e-9, step) for y in np.arange(50, 50.1 - 1e-9, step)]
    thin = 0.0005
    return [
        Place(shapely.box(x + thin / 9, y + thin / 9, x + step - thin / 9, y + step - thin / 9), space, source=source)
        for x, y in corners
    ]


def areas(axes) -> dict[str, float]:
    """Area drawn in each colour."""
    found = {}
    names = {look["colour"]: part for part, look in (*PARTS.items(), ("unused", UNUSED))}
    for patch in axes.patches:
        if isinstance(patch, PathPatch):
            rings = [shapely.Polygon(ring) for ring in patch.get_path().to_polygons()]
            colour = to_hex(patch.get_facecolor())
            found[names[colour]] = sum(ring.area for ring in rings)
    return found


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_areas_of_a_scene_and_the_buffer_between_them():
    parts = {"training": Placed(squares(10, 10.06)), "validation": Placed(squares(10.08, 10.1))}
    figure = split_map(parts)
    (axes,) = figure.axes
    found = areas(axes)
    assert found["training"] == pytest.approx(0.006, rel=0.02) and found["validation"] == pytest.approx(0.002, rel=0.02)
    assert found["unused"] == pytest.approx(0.01, rel=0.02)
    assert legend(figure) == [
        "training: 60 samples", "validation: 20 samples", "unused: buffer, or nothing to learn from",
    ]  # fmt: skip
    hatches = {patch.get_hatch() for patch in axes.patches}
    assert len(hatches) == 3
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("longitude (°)", "latitude (°)")
    assert axes.get_aspect() == pytest.approx(1 / np.cos(np.radians(50.05)), rel=1e-3)
    assert axes.texts[0].get_text() == "2 km"
    figure.draw_without_rendering()
    assert not figure.legends[0].get_window_extent().overlaps(axes.get_tightbbox())


def test_scenes_have_a_panel_each_and_pixels_count_downwards():
    places = [*squares(0, 0.1, space="a", source="a"), *squares(0, 0.1, space="b", source="b")]
    figure = split_map({"training": Placed(places), "test": Placed(squares(0, 0.1, space="c", source="c"))})
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c"]
    assert legend(figure) == ["training: 200 samples", "test: 100 samples"]
    for axes in figure.axes:
        low, high = axes.get_ylim()
        assert low > high and axes.get_ylabel() == "row (pixels)" and not axes.texts


def test_fields_are_points_with_markers_of_their_own():
    rng = np.random.default_rng(0)
    parts = {
        part: Placed([Place(shapely.Point(x, y), "lonlat", source="table") for x, y in rng.uniform(0, 1, (n, 2))])
        for part, n in (("training", 300), ("validation", 50), ("test", 40))
    }
    figure = split_map(parts, title="Fields")
    (axes,) = figure.axes
    assert [len(drawn.get_offsets()) for drawn in axes.collections] == [300, 50, 40]
    assert len({len(drawn.get_paths()[0].vertices) for drawn in axes.collections}) == 3
    # What there is less of lies on top.
    assert np.argsort([drawn.get_zorder() for drawn in axes.collections]).tolist() == [0, 1, 2]
    assert figure.get_suptitle() == "Fields"
    assert [handle.get_marker() for handle in figure.legends[0].legend_handles] == ["o", "^", "s"]


def test_many_scenes_share_a_map_and_many_pictures_are_counted():
    scenes = [place for k in range(20) for place in squares(10 + k, 10.1 + k, source=f"s{k}", step=0.05)]
    figure = split_map({"training": Placed(scenes), "test": Placed(squares(40, 40.1, source="far"))})
    (axes,) = figure.axes
    assert [len(drawn.get_offsets()) for drawn in axes.collections] == [20, 1]
    pictures = [place for k in range(20) for place in squares(0, 0.1, space=f"p{k}", source=f"p{k}", step=0.05)]
    figure = split_map({"training": Placed(pictures[:60]), "test": Placed(pictures[60:])})
    assert [bar.get_width() for bar in figure.axes[0].patches] == [15, 5]
    assert figure.axes[0].get_xlabel() == "scenes"


def test_samples_that_lie_nowhere_are_counted_with_their_groups():
    places = [Place(None, "table", group=f"parcel {k // 2}", source="table") for k in range(10)]
    figure = split_map({"training": Placed(places[:6]), "validation": Placed(places[6:])})
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [6, 4]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["training (3 groups)", "validation (2 groups)"]


def test_of_many_samples_some_are_asked():
    asked = []

    class Watched(Placed):
        def place(self, index):
            asked.append(index)
            return super().place(index)

    figure = split_map({"training": Watched(squares(0, 1, step=0.0025) + squares(1, 2, step=0.0025))})
    assert len(asked) == 4000 and (asked[0], asked[-1]) == (0, 31_999)
    assert "Of the training samples 4,000 are drawn." in figure.legends[0].get_title().get_text()
