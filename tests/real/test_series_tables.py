"""Tables of crops as their authors wrote them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geodl.data.series.opening import open_series


def crops(folder: Path, name: str) -> Path:
    path = folder / "crops" / name
    if not path.exists():
        pytest.skip(f"real data absent: {path}")
    return path


@pytest.mark.parametrize(
    ("name", "shape", "counts", "years"),
    [
        ("modis_mato_grosso", (1237, 23, 6), [379, 29, 131, 298, 145, 69, 87, 99], range(2000, 2015)),
        ("cbers_bahia_points", (850, 23, 6), [215, 207, 201, 227], [2018]),
        ("sentinel2_rondonia", (481, 36, 11), [42, 144, 295], [2018]),
    ],
)
def test_points_with_dates(real_data: Path, name: str, shape: tuple[int, ...], counts: list[int], years: range) -> None:
    path = crops(real_data, f"{name}.npz")
    found = open_series(path)
    with np.load(path) as arrays:
        np.testing.assert_array_equal(found.values, arrays["X"])
        dates = arrays["days_since_1970"].astype(int).astype("datetime64[D]")
        assert found.labels is not None and found.years is not None
        assert [found.classes[k].name for k in found.labels] == arrays["label"].tolist()
        np.testing.assert_allclose(found.lonlat(), np.column_stack([arrays["lon"], arrays["lat"]]))
    assert found.values.shape == shape and found.counts.tolist() == counts
    begin = (found.years - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    np.testing.assert_array_equal(begin[:, None] + (found.days - 1).astype("timedelta64[D]"), dates)
    assert set(found.years.tolist()) == set(years)


def test_official_parts_of_ucr_crop(real_data: Path) -> None:
    found = open_series(crops(real_data, "ucr_crop/ucr_crop.npz"))
    assert found.parts is not None and found.values.shape == (18359, 46, 1) and not found.dated
    assert dict(zip(*np.unique(found.parts, return_counts=True))) == {"train": 4607, "validation": 1152, "test": 12600}
    assert [each.value for each in found.classes] == list(range(1, 25))


def test_rows_of_formosat_without_names(real_data: Path) -> None:
    folder = crops(real_data, "formosat_csv")
    found = open_series(folder, label="column_1", columns=["column_2"], bands=["green", "red", "nir"])
    assert found.parts is not None and found.labels is not None
    for part in ("train", "test"):
        rows = np.genfromtxt(folder / f"{part}_dataset.csv", delimiter=",")
        mine = found.take(found.parts == part)
        np.testing.assert_array_equal(mine.values, rows[:, 2:].reshape(260, 149, 3).astype(np.float32))
        assert mine.labels is not None and mine.labels.tolist() == rows[:, 0].tolist()
        assert mine.columns["column_2"].tolist() == rows[:, 1].tolist() and mine.counts.tolist() == [20] * 13
