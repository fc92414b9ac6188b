"""How the API pages read docstrings: an extension of griffe, the reader behind mkdocstrings."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ("Examples",)


class Examples(griffe.Extension):
    """Takes what follows `Example:` as an example, also where it is not indented."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrites the docstring of a module, class or function that was read."""
        if obj.docstring:
            obj.docstring.value = with_examples(obj.docstring.value)


def with_examples(text: str) -> str:
    """Returns a docstring whose `Example:` is the section that griffe knows, its lines indented."""
    before, sign, after = (
        re.split(r"(?m)^(Example:)\s*\n", text, maxsplit=1) if "\nExample:" in text else (text, "", "")
    )
    if not sign or after.startswith(" "):
        return f"{before}Examples:\n{after}" if sign else text
    inside = "\n".join(f"    {line}" if line else line for line in after.strip("\n").splitlines())
    return f"{before}Examples:\n{inside}\n"
