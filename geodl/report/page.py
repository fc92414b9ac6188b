"""Pages that are one file: jinja2 templates with their style and script inlined, and nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

__all__ = ("data_address", "render")

_STYLES = ("page.css", "viewer.css")
_SCRIPTS = ("page.js", "viewer.js")


def render(template: str, **values: Any) -> str:
    """Fills a template of `geodl/report/templates`.

    What is filled in is escaped, whatever it is. The page states a policy by which browsers load nothing but the
    images that it holds, and run no script but its own, known by its digest.

    Args:
        template: its file's name.
        values: what it shows.

    Returns:
        The HTML document.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("geodl.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_address"] = data_address
    style, script = _joined(_STYLES), _joined(_SCRIPTS)
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return environment.get_template(template).render(
        **values, style=Markup(style), script=Markup(script), policy=Markup(policy)
    )


def data_address(png: bytes) -> str:
    """Returns the bytes of a PNG file as an address that holds them."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _joined(names: tuple[str, ...]) -> str:
    folder = resources.files("geodl.report") / "templates"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"
