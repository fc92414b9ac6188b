"""How the help shows examples."""

from __future__ import annotations

__all__ = ("examples",)


def examples(*commands: str) -> str:
    """Returns the epilog of a help page. Paragraphs, as Typer would join single lines."""
    return "\n\n".join(["[bold]Examples[/bold]", *(f"  {command}" for command in commands)])
