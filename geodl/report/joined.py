"""Pictures put below each other, to be looked at as one."""

from __future__ import annotations

import io

from PIL import Image

__all__ = ("joined",)


def joined(*pictures: bytes) -> bytes:
    """Joins PNG files into one, each below the one before it and in the middle, on white.

    Example:
        >>> from geodl.report.figures import to_png
        >>> from geodl.report.lines import line_figure
        >>> whole = joined(to_png(line_figure(2, 1)), to_png(line_figure(3, 1)))
    """
    images = [Image.open(io.BytesIO(picture)) for picture in pictures]
    width = max(image.width for image in images)
    whole = Image.new("RGB", (width, sum(image.height for image in images)), "white")
    top = 0
    for image in images:
        whole.paste(image, ((width - image.width) // 2, top))
        top += image.height
    stream = io.BytesIO()
    whole.save(stream, format="PNG")
    return stream.getvalue()
