"""The command `geodl`: its commands, and what becomes of errors."""

from __future__ import annotations

import errno
import logging
import os
import sys
import warnings
from types import TracebackType
from typing import Annotated, Any, NoReturn, TextIO

import typer
from typer.core import TyperGroup

from geodl._quiet import debugging, settle
from geodl.activity import shown_by
from geodl.cli.activity import spinner
from geodl.cli.check import check
from geodl.cli.data import data
from geodl.cli.demo import demo
from geodl.cli.doctor import doctor
from geodl.cli.evaluate import evaluate
from geodl.cli.examples import examples
from geodl.cli.export import export
from geodl.cli.info import info
from geodl.cli.predict import predict
from geodl.cli.report import report
from geodl.cli.train import train
from geodl.errors import GeodlError

__all__ = ("app", "main")

_PACKAGE = os.path.dirname(os.path.dirname(__file__))
_USERS = {
    getattr(errno, name)
    for name in (
        "ENOENT", "EACCES", "EPERM", "EROFS", "ENOSPC", "EISDIR", "ENOTDIR", "EEXIST", "ENAMETOOLONG", "ELOOP", "EFBIG",
    )
}  # fmt: skip
"""What the file system says where a path or a disk, not geodl, is at fault."""


class _Group(TyperGroup):
    """Turns errors that users can mend into one sentence and exit code 2; others are bugs and keep their traceback."""

    def invoke(self, ctx: Any) -> Any:
        settle()
        _speak_plainly()
        try:
            with shown_by(spinner()):
                return super().invoke(ctx)
        except GeodlError as error:
            _fail(str(error), error)
        except OSError as error:
            if error.errno not in _USERS:
                raise
            _fail(f"{error.strerror}: {error.filename}" if error.filename else str(error), error)
        except KeyboardInterrupt:
            _say("Interrupted.", "yellow")
            raise typer.Exit(130) from None


def _fail(sentence: str, error: Exception) -> NoReturn:
    if debugging():
        raise error
    _say(f"Error: {sentence}", "red")
    raise typer.Exit(2) from None


def _say(sentence: str, colour: str) -> None:
    """Prints a sentence to stderr, its first word in colour on a terminal; a live line stays below it."""
    from rich.text import Text

    from geodl.cli.terminal import console

    to = console(stderr=True)
    if not to.is_terminal:
        typer.echo(sentence, err=True)
        return
    first, space, rest = sentence.partition(" ")
    to.print(Text.assemble((first, f"bold {colour}"), space, rest))


def _speak_plainly() -> None:
    """Shows geodl's own warnings as one line each, and nobody else's."""
    if debugging():
        return
    logger = logging.getLogger("geodl")
    if not any(isinstance(handler, _Echo) for handler in logger.handlers):
        logger.addHandler(_Echo(logging.WARNING))
        logger.propagate = False
    warnings.showwarning = _show_warning
    # What can't be raised is ignored anyway: messages of GDAL that quote bytes, files that were never quite opened.
    sys.unraisablehook = lambda unraisable: None
    sys.excepthook = _show_uncaught


class _Echo(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _say(f"{record.levelname.capitalize()}: {record.getMessage()}", "yellow")


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if filename.startswith(_PACKAGE) and issubclass(category, UserWarning):
        _say(f"Warning: {message}", "yellow")


def _show_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if trace is not None:  # Cython prints in this way, too, what it is about to ignore; it comes from nowhere.
        sys.__excepthook__(kind, error, trace)


def _version(asked: bool) -> None:
    if asked:
        import geodl

        typer.echo(f"geodl {geodl.__version__}")
        raise typer.Exit


app = typer.Typer(
    name="geodl",
    cls=_Group,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "geodl demo",
        "geodl train segmentation --set data.images=IMAGES --set data.labels=LABELS --output runs/a",
        "geodl predict runs/a scene.tif map.tif",
    ),
)
app.command(
    epilog=examples(
        "geodl train segmentation --set data.images=scenes/ --set data.labels=labels/ --output runs/a",
        "geodl train segmentation --set data.images=scenes/ --set data.labels=fields.gpkg --set train.epochs=10",
        "geodl train denoising --set data.images=scenes/ --set noise.sigma=25 --output runs/denoise",
        "geodl train superresolution --set data.images=scenes/ --set scale=2 --output runs/finer",
        "geodl train nowcasting --set data.sequences=radar/ --output runs/now",
        "geodl train dynamics --set system=lorenz96 --output runs/l96",
        "geodl train crops --set data.series=series.parquet --output runs/crops",
        "geodl train my-recipe.yaml --fold 0 --output runs/fold-0",
    )
)(train)
app.command(
    epilog=examples(
        "geodl evaluate runs/a",
        "geodl evaluate runs/a --set data.images=other/ --set data.labels=other-labels/ --json metrics.json",
    )
)(evaluate)
app.command(
    epilog=examples(
        "geodl predict runs/a scene.tif map.tif",
        "geodl predict runs/a scene.tif map.tif --confidence --overlap exact --mask area.gpkg",
        "geodl predict runs/a scenes/ maps/",
        "geodl predict runs/denoise noisy.tif clean.tif --residual noise.tif",
        "geodl predict runs/now recent/ forecast.nc --geotiff maps/",
        "geodl predict runs/l63 states.csv forecast.nc --steps 5000 --ensemble 100",
    )
)(predict)
app.command(
    epilog=examples(
        "geodl export runs/a --format onnx",
        "geodl export runs/a --format openvino --output deploy/a",
        "geodl export runs/a --format saved_model",
    )
)(export)
app.command(epilog=examples("geodl info runs/a", "geodl info scene.tif", "geodl info runs/a scene.tif"))(info)
app.command(
    epilog=examples("geodl check segmentation --set data.images=scenes/ --set data.labels=labels/"),
)(check)
app.command(epilog=examples("geodl demo", "geodl demo denoising", "geodl demo superresolution --output somewhere"))(
    demo
)


app.command(
    epilog=examples(
        "geodl report map.tif --scene scene.tif", "geodl report map.tif --scene scene.tif --truth labels.tif"
    )
)(report)
app.add_typer(data)
app.command(epilog=examples("geodl doctor", "geodl doctor --json doctor.json"))(doctor)


@app.callback()
def geodl(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Keras models for satellites, radars and climate data: from a georeferenced scene to a georeferenced answer."""


def main() -> None:
    """Runs the command line: the `geodl` script."""
    app(prog_name="geodl")
