"""`geodl data`: data sets with a card are listed, told of, fetched and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geodl.cli import completion
from geodl.cli.examples import examples
from geodl.cli.options import Quiet, Told
from geodl.cli.terminal import Answer, console

if TYPE_CHECKING:
    from geodl.cards.card import Card

__all__ = ("data",)

_LICENCE = 16
"""Characters of a licence in the list."""
_FILES = 12
"""Files that are listed."""

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="Name of a data set, as geodl data list shows it.", autocompletion=completion.data_sets
    ),
]

data = typer.Typer(
    name="data",
    no_args_is_help=True,
    help="Data sets: what there is, under which licence; fetch them, and check what was fetched.",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples("geodl data list", "geodl data get simulated-landcover", "geodl data info simulated-rain"),
)


@data.command("list", epilog=examples("geodl data list", "geodl data list --task crops"))
def list_data(
    task: Annotated[
        str | None, typer.Option("--task", metavar="PIPELINE", help="Only those for this pipeline.")
    ] = None,
    json: Told = None,
    quiet: Quiet = False,
) -> None:
    """List the data sets that geodl knows, with their size and licence, and whether they are here."""
    from geodl.cards import is_here, list_cards, load_card

    to = Answer(json, quiet=quiet)
    cards = {name: load_card(name) for name in list_cards()}
    if task is not None:
        cards = {name: card for name, card in cards.items() if task in (card.task, *card.also)}
    here = {name: is_here(name) for name in cards}
    rows = [
        (name, card.task, _size_of(card), _short(card.licence), "yes" if here[name] else "")
        for name, card in sorted(cards.items(), key=lambda item: (item[1].task, item[0]))
    ]
    to.table("Data sets", ("name", "task", "size", "licence", "here"), rows)
    to.close(datasets={name: {**_facts(card), "here": here[name]} for name, card in cards.items()})


@data.command("info", epilog=examples("geodl data info simulated-landcover"))
def info_data(name: Name, json: Told = None, quiet: Quiet = False) -> None:
    """Say what a data set is: terms, citation, files, bands, classes, and where it lies."""
    from geodl.cards import find_folder, is_here, load_card

    to = Answer(json, quiet=quiet)
    card, here, folder = load_card(name), is_here(name), find_folder(name)
    to.line(card.description)
    simulator = "" if card.simulator is None else card.simulator.name
    properties = [
        ("title", card.title),
        ("for", ", ".join((card.task, *card.also))),
        ("version", card.version),
        ("licence", card.licence),
        ("terms", card.licence_url or ""),
        ("restricted", card.reason),
        ("citation", card.citation),
        ("homepage", card.homepage or ""),
        ("size", _size_of(card)),
        ("parts", ", ".join(card.parts)),
        ("computed by", simulator and f"geodl.data.simulate ({simulator})"),
        ("by hand", card.manual or ""),
        ("official split", ", ".join(card.split or {}) or ("train, test" if card.test else "")),
        ("folder", str(folder)),
        ("here", "yes" if here else f"no (geodl data get {name})"),
    ]
    to.table(name, ("property", "value"), [row for row in properties if row[1]], heading=False)
    if card.files:
        shown = [
            (file.path, _bytes(file.bytes), "known" if file.checksum else "unknown", file.part or "")
            for file in card.files[:_FILES]
        ]
        to.table("Files", ("file", "size", "checksum", "part"), shown)
        if len(card.files) > _FILES:
            to.line(f"… and {len(card.files) - _FILES} more files.")
    if card.index:
        to.line(f"Further files are named by {', '.join(index.listing for index in card.index)}.")
    if card.bands:
        to.table("Bands", ("band", "unit", "what"), [(band.name, band.unit, band.description) for band in card.bands])
    if card.classes:
        rows = [(str(entry.value), entry.name, entry.colour or "") for entry in card.classes]
        to.table("Classes", ("value", "class", "colour"), rows)
    to.close(name=name, here=here, folder=str(folder), card=card.model_dump())


@data.command("get", epilog=examples("geodl data get simulated-landcover", "geodl data get simulated-rain --to rain/"))
def get_data(
    name: Name,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Folder; default: in GEODL_DATASETS, else in the cache.")
    ] = None,
    part: Annotated[
        list[str] | None, typer.Option("--part", metavar="PART", help="Only this part of the set. May be repeated.")
    ] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Say that you read restrictive terms, and keep to them.")
    ] = False,
    json: Told = None,
    quiet: Quiet = False,
) -> None:
    """Fetch a data set, or compute a simulated one. What was interrupted is continued by the same command."""
    from geodl.cards import get, load_card

    answer = Answer(json, quiet=quiet)
    card = load_card(name)
    terms = f" ({card.licence_url})" if card.licence_url else ""
    answer.line(f"Licence of {name}: {card.licence}{terms}. {card.reason}".rstrip())
    answer.line(f"Cite: {card.citation}")
    with _bar(name, card, quiet) as progress:
        found = get(name, to, accept_licence=accept_licence, parts=part or None, progress=progress)
    verb = "computed" if card.simulator is not None else "fetched"
    answer.line(f"{len(found.new)} files were {verb}." if found.new else "All of it was here.")
    if found.unverified:
        answer.line(_unverified(found.unverified))
    answer.file("data set", found.folder)
    answer.close(name=name, new=list(found.new), unverified=list(found.unverified), licence=card.licence)


@data.command("check", epilog=examples("geodl data check ~/.cache/geodl/datasets/simulated-landcover"))
def check_data(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Folder of a data set, or the name of one.")],
    json: Told = None,
    quiet: Quiet = False,
) -> None:
    """Compare a fetched data set with what came and with its card. Exit code 2 says that something is wrong."""
    from geodl.cards import check_folder, find_folder, list_cards
    from geodl.cli.activity import progress_bar

    answer = Answer(json, quiet=quiet)
    place = find_folder(folder) if folder in list_cards() and not Path(folder).exists() else Path(folder)
    if quiet or not console(stderr=True).is_terminal:
        problems = check_folder(place)
    else:
        with progress_bar(f"Checking {place.name}", unit="files") as bar:
            problems = check_folder(place, progress=lambda path, done, total: bar(done, total or done))
    for problem in problems:
        # Errors are said with --quiet, too.
        typer.echo(f"Error: {place}: {problem}", err=True)
    if not problems:
        answer.line(f"{place}: all files are as they came.")
    answer.close(folder=str(place), problems=problems)
    if problems:
        raise typer.Exit(2)


@contextmanager
def _bar(name: str, card: Card, quiet: bool) -> Iterator[Callable[[str, int, int | None], None] | None]:
    """Shows a bar of all bytes that come, or of the files that are computed."""
    if quiet or not console(stderr=True).is_terminal:
        yield None
        return
    from geodl.cli.activity import progress_bar

    computed = card.simulator is not None
    with progress_bar(name, unit="files" if computed else "B") as bar:
        done: dict[str, int] = {}
        totals: dict[str, int] = {file.path: file.bytes or 0 for file in card.files}

        def show(path: str, count: int, total: int | None) -> None:
            if computed:
                bar(count, total or count)
            else:
                done[path] = count
                totals[path] = total or count
                bar(sum(done.values()), sum(totals.values()))

        yield show


def _unverified(files: Sequence[str]) -> str:
    shown = ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
    verb = "is" if len(files) == 1 else "are"
    return f"Unverified: the publisher states no checksum of {shown}, so {verb} only known to have come whole."


def _facts(card: Card) -> dict[str, Any]:
    return {
        "task": card.task,
        "also": card.also,
        "title": card.title,
        "licence": card.licence,
        "restrictive": card.restrictive,
        "bytes": _total(card),
        "simulated": card.simulator is not None,
    }


def _total(card: Card) -> int | None:
    sizes = [file.bytes for file in card.files]
    return None if card.index or None in sizes or not sizes else sum(size or 0 for size in sizes)


def _size_of(card: Card) -> str:
    if card.simulator is not None:
        return "computed"
    known = sum(file.bytes or 0 for file in card.files)
    total = _total(card)
    return _bytes(total) if total is not None else f"> {_bytes(known)}" if known else "unknown"


def _bytes(count: int | None) -> str:
    """Returns a size in decimal units, as disks are sold.

    Example:
        >>> _bytes(1_234_567), _bytes(None)
        ('1.23 MB', 'unknown')
    """
    if count is None:
        return "unknown"
    for size, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"


def _short(licence: str) -> str:
    return licence if len(licence) <= _LICENCE else f"{licence[: _LICENCE - 1].rstrip()}…"
