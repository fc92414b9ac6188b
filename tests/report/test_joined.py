"""Pictures below each other."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from geodl.report.joined import joined


def png(width: int, height: int, colour: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(stream, format="PNG")
    return stream.getvalue()


def test_pictures_stand_below_each_other_in_the_middle():
    whole = np.asarray(Image.open(io.BytesIO(joined(png(10, 4, "red"), png(4, 3, "blue")))))
    assert whole.shape == (7, 10, 3)
    assert (whole[:4] == (255, 0, 0)).all()
    assert (whole[4:, 3:7] == (0, 0, 255)).all()
    assert (whole[4:, :3] == 255).all()
    assert (whole[4:, 7:] == 255).all()
