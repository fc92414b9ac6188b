"""Clusters of Dask's that scenes are mapped on: some processes of this machine, or a scheduler that is there already."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from geodl._quiet import debugging
from geodl.data.files import is_local
from geodl.errors import BackendUnavailable, OptionError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ("OPTION", "Cluster", "check_cluster", "open_cluster")

OPTION = "cluster (--cluster)"

_ADDRESS = r"(tcp|tls|ws|wss|ucx)://\S+"
_PATIENCE = 10.0
"""Seconds in which a scheduler has to answer, and the first worker to be there."""
_AT_ONCE = 2
"""Tiles that a worker of this machine has at once: one is read while another is in the network."""
_SETTINGS = {
    # Memory that goes back to the system after each tile has to come from there for the next one.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    # Looking after itself fifty times a second, and watching each process, takes Dask a tenth of a core.
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.tick.interval": "500ms",
    "distributed.worker.memory.monitor-interval": "5s",
    "distributed.worker.profile.enabled": False,
}
"""Dask's own, for workers that do nothing else."""
_LOGGERS = ("distributed", "distributed.client", "tornado.application", "asyncio")


class Cluster:
    """A cluster that is there.

    Args:
        client: connected with it.
        name: what it is called in messages.
        local: whether its workers are processes of this machine that nobody else uses.
    """

    def __init__(self, client: Client, name: str, *, local: bool) -> None:
        self.client, self.name, self.local = client, name, local

    @property
    def size(self) -> int:
        """Number of workers that are there now."""
        return len(self.ask(lambda client: client.nthreads()))

    def ask(self, question: Callable[[Client], Any]) -> Any:
        """Asks something of the cluster; what goes wrong with the connection becomes `BackendUnavailable`."""
        try:
            return question(self.client)
        except (OSError, TimeoutError) as error:
            raise self.lost(error) from error

    def lost(self, error: object = "") -> BackendUnavailable:
        """What is to be raised where the scheduler does not answer any more."""
        why = next(iter(str(error).strip().splitlines()), "") or "the scheduler does not answer any more"
        advice = "Start it again and repeat the command: what was mapped is kept."
        return self.unavailable(f"the connection was lost ({why.rstrip('.')})" if error else why, advice)

    def unavailable(self, why: str, advice: str) -> BackendUnavailable:
        """What is to be raised where the cluster cannot be used."""
        return BackendUnavailable(f"The cluster {self.name}", why, advice=advice)

    def check_workers(self) -> None:
        """Checks that there are workers, and that each has this version of geodl.

        Raises:
            BackendUnavailable: there are none within ten seconds; or one has not.
        """
        deadline = time.monotonic() + _PATIENCE
        while not self.size:
            if time.monotonic() > deadline:
                advice = f"Start some: dask worker {self.client.scheduler.address}"
                raise self.unavailable("it has no workers", advice)
            time.sleep(0.1)
        if self.local:
            return

        def installed() -> str:
            from importlib.metadata import PackageNotFoundError, version

            try:
                return version("geodl")
            except PackageNotFoundError:
                return ""

        own = version("geodl")
        for worker, found in sorted(self._of_each(installed).items()):
            if found != own:
                why = f"worker {worker} has geodl {found}" if found else f"worker {worker} has no geodl"
                raise self.unavailable(why, f"Install geodl {own} on all workers.")

    def check_paths(self, paths: Sequence[str]) -> None:
        """Checks that all workers find some files. Remote ones are not looked at.

        Raises:
            BackendUnavailable: one does not.
        """
        local = [os.path.abspath(path) for path in paths if is_local(path)]
        if self.local or not local:
            return

        def missing() -> list[str]:
            import os

            return [path for path in local if not os.access(path, os.R_OK)]

        for worker, found in sorted(self._of_each(missing).items()):
            if found:
                advice = "Put the scenes on a file system that all workers share, or on object storage (s3://…)."
                raise self.unavailable(f"worker {worker} cannot read {found[0]}", advice)

    def _of_each(self, function: Callable[[], Any]) -> dict[str, Any]:
        """Calls a function on all workers. It is sent as code, so that it need not be installed there."""
        return dict(self.ask(lambda client: client.run(function)))


def check_cluster(asked: Any, *, batch_size: int = 1) -> None:
    """Checks what was asked for without looking for it.

    Args:
        asked: see `open_cluster`.
        batch_size: tiles that shall go through the network together.

    Raises:
        OptionError: it is no cluster; or tiles shall go through the network together.
        BackendUnavailable: Dask's package for clusters is not installed.
    """
    if importlib.util.find_spec("distributed") is None:
        advice = "Install with: pip install 'geodl[cluster]'"
        raise BackendUnavailable("Clusters", "distributed is not installed", advice=advice)
    if batch_size != 1:
        expected = f"1 with {OPTION}, where each tile is a task of its own"
        raise OptionError("batch_size (--batch-size)", expected=expected, received=batch_size)
    if isinstance(asked, str):
        if not re.fullmatch(r"local:[1-9]\d*|" + _ADDRESS, asked):
            expected = "local:N for N processes, or the address of a scheduler, such as tcp://host:8786"
            raise OptionError(OPTION, expected=expected, received=asked)
        return
    from distributed import Client

    if not isinstance(asked, Client) or asked.asynchronous:
        received = "one that is asynchronous" if isinstance(asked, Client) else type(asked).__name__
        raise OptionError(OPTION, expected="a string, or a distributed.Client", received=received)


@contextmanager
def open_cluster(asked: Any) -> Iterator[Cluster]:
    """Connects with a cluster, or starts one, for the time of the block.

    Args:
        asked: `local:N`: that many processes of this machine, which share its cores; the address of a scheduler; or a
            `distributed.Client`, which stays open.

    Yields:
        The cluster, with at least one worker, all of this version of geodl.

    Raises:
        OptionError: it is no cluster.
        BackendUnavailable: no answer within ten seconds; no workers, or not with this version of geodl.

    Example:

    >>> with open_cluster("local:2") as cluster:
    ...     cluster.size
    2
    """
    check_cluster(asked)
    with ExitStack() as opened:
        opened.enter_context(_quiet())
        if not isinstance(asked, str):
            cluster = Cluster(asked, asked.scheduler.address if asked.scheduler else "(closed)", local=False)
        elif asked.startswith("local:"):
            cluster = Cluster(_start(int(asked.removeprefix("local:")), opened), asked, local=True)
        else:
            cluster = Cluster(_connect(asked, opened), asked, local=False)
        cluster.check_workers()
        yield cluster


def _start(count: int, opened: ExitStack) -> Client:
    """Starts processes on this machine, each with its share of the cores."""
    import dask
    from distributed import Client, LocalCluster

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = str(max(cores // count, 1))
    names = ("GEODL_THREADS", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    try:
        with dask.config.set(_SETTINGS):
            cluster = LocalCluster(
                n_workers=count,
                threads_per_worker=_AT_ONCE,
                processes=True,
                # What a worker takes is bounded by the size of the tiles.
                memory_limit=0,
                dashboard_address=None,
                # Its usual port may be taken, of which Dask would warn.
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                silence_logs=logging.WARNING if debugging() else logging.CRITICAL + 1,
                env=dict.fromkeys(names, threads),
                preload=["geodl.inference.clustertasks"],
            )
    except (OSError, RuntimeError) as error:
        advice = 'In a script of yours the call belongs below `if __name__ == "__main__":`.'
        raise BackendUnavailable(f"The cluster local:{count}", "its processes did not start", advice=advice) from error
    opened.enter_context(cluster)
    return opened.enter_context(Client(cluster, set_as_default=False, direct_to_workers=True))


def _connect(address: str, opened: ExitStack) -> Client:
    from distributed import Client

    try:
        return opened.enter_context(Client(address, timeout=_PATIENCE, set_as_default=False))
    except (OSError, TimeoutError, TypeError, ValueError) as error:
        why = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
        if isinstance(error, OSError | TimeoutError):
            why = f"no scheduler answers there within {_PATIENCE:.0f} s ({why})"
        advice = "Check the address, and that the scheduler runs (dask scheduler) and can be reached from here."
        raise BackendUnavailable(f"The cluster {address}", why, advice=advice) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps off the terminal what Dask logs of workers that come and go."""
    if debugging():
        yield
        return
    # Imported first: it sets up its loggers.
    import distributed  # noqa: F401

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
