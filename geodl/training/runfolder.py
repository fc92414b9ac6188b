"""Where a run lives: a folder, or an address on object storage with a folder of the user's cache to work in."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from geodl.bundle import NETWORK, is_bundle, remove_bundle
from geodl.errors import OutputExists, OutputUnwritable
from geodl.storage import Storage, is_address, working_folder
from geodl.training.fit import CHECKPOINTS, LOG, is_unfinished
from geodl.training.trackers import TRACKED

__all__ = ("RunFolder",)


class RunFolder:
    """The folder that one run is written to.

    Args:
        output: a path, or an address such as `s3://bucket/runs/a`.

    Raises:
        OptionError: an address that nothing can be written to.
        BackendUnavailable: the package for it is not installed.
    """

    def __init__(self, output: str | os.PathLike[str]) -> None:
        self.name = os.fspath(output)
        """As it was asked for."""
        self.storage = Storage(self.name) if is_address(self.name) else None
        self.local = Path(output) if self.storage is None else working_folder(self.name)
        """Where files are made."""

    def prepare(self, *, overwrite: bool) -> None:
        """Looks whether the run can be written there; makes no folder, as there may be no run yet.

        Raises:
            OutputExists: a finished run is there, and `overwrite` is not set.
            OutputUnwritable: it cannot be written.
        """
        if self.storage is not None:
            self.storage.check_writable()
        else:
            _probe(self.local)
        if self._is_finished() and not overwrite:
            raise OutputExists(self.name)

    def clear(self) -> None:
        """Removes the run that is to be replaced: as late as can be, for the new one may yet turn out to be impossible.

        Raises:
            OutputUnwritable: it cannot be removed.
        """
        if self.storage is not None:
            names = self.storage.names()
            # The network first: without it the rest is no bundle.
            for name in sorted(names, key=lambda name: name != NETWORK):
                self.storage.remove(name)
        try:
            remove_bundle(self.local)
            shutil.rmtree(self.local / CHECKPOINTS, ignore_errors=True)
            for name in (LOG, TRACKED):
                (self.local / name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputUnwritable(self.local, error.strerror or error) from error

    def fetch_logs(self) -> None:
        """Brings the logs of what other machines did, to be continued here.

        Raises:
            SourceUnreadable: object storage cannot be reached.
        """
        if self.storage is None:
            return
        for name in (LOG, TRACKED):
            (self.local / name).unlink(missing_ok=True)
            if self.storage.exists(name):
                self.storage.fetch(name, self.local / name)

    def publish(self) -> None:
        """Uploads the finished run, the network last: where it is, all else is.

        Raises:
            OutputUnwritable: an upload failed; what is there is no finished run.
        """
        if self.storage is None:
            return
        files = [path for path in self.local.iterdir() if path.is_file() and not path.name.startswith(".")]
        for path in sorted(files, key=lambda path: path.name == NETWORK):
            self.storage.store(path, path.name)

    def _is_finished(self) -> bool:
        there = is_bundle(self.local) if self.storage is None else self.storage.exists(NETWORK)
        return there and not is_unfinished(self.local, storage=self.storage)


def _probe(folder: Path) -> None:
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        probe = there / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputUnwritable(folder, error.strerror or error) from error
