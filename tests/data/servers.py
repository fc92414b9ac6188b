"""Loopback servers, each in a process of its own: rasterio holds Python's lock during some of its requests.

`serve_files` answers ranges, keeps a log of what it was asked for, and fails as it is told to; `serve_s3` is moto's S3.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

__all__ = ("Fault", "FileServer", "Request", "serve_files", "serve_s3")


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    """Without the leading slash."""
    start: int
    """First byte; 0 where no range was asked for."""
    length: int
    """Bytes asked for, inside the file: the whole file without a range, 0 for HEAD and for missing files."""
    headers: dict[str, str]
    """Names in lower case."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with which answers. The head of a cut answer promises the whole body."""

    status: int | None = None
    """Answer with this status and no data."""
    share: float = 1.0
    """Part of the body that is sent."""
    then: str = ""
    """What happens after that part: the connection is closed in order (`close`) or at once (`reset`), or nothing comes
    any more (`stall`)."""
    ranges: bool = True
    """False: the range is overlooked, and the whole file sent."""
    piece: int = 1 << 20
    """Bytes sent at once."""
    method: str = "GET"
    """Regular expression of the methods concerned."""
    path: str = ".*"
    """Regular expression of the paths concerned."""
    least: int = 0
    """Only requests of at least so many bytes are concerned."""
    skip: int = 0
    """The first so many requests that are concerned are answered well."""
    times: int = 1
    """So many are answered badly after that; -1: all."""

    def concerns(self, request: Request) -> bool:
        """Says whether it is about such requests."""
        return bool(
            re.fullmatch(self.method, request.method)
            and re.fullmatch(self.path, request.path)
            and request.length >= self.least
        )


@dataclass(frozen=True)
class FileServer:
    """A server that runs; made by `serve_files`."""

    port: int
    log: Path

    def url(self, name: str) -> str:
        """Address of a file."""
        return f"http://127.0.0.1:{self.port}/{name}"

    def requests(self, path: str = ".*") -> list[Request]:
        """What was asked for so far, in order; `path`: a regular expression."""
        found = [Request(**json.loads(line)) for line in self.log.read_text().splitlines()]
        return [request for request in found if re.fullmatch(path, request.path)]

    def requested(self, path: str = ".*") -> int:
        """Bytes that were asked for so far."""
        return sum(request.length for request in self.requests(path))


@contextmanager
def serve_files(folder: Path, faults: Sequence[Fault] = ()) -> Iterator[FileServer]:
    """Serves the files below `folder` on a free port of the loopback interface for the length of the block.

    Args:
        folder: its files are found by their path below it.
        faults: the first that concerns a request, and is not used up, says what goes wrong with the answer.
    """
    with tempfile.TemporaryDirectory() as logs:
        log = Path(logs, "requests.jsonl")
        log.touch()
        rules = json.dumps([asdict(fault) for fault in faults])
        command = [sys.executable, "-I", "-S", __file__, str(folder), str(log), rules]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield FileServer(int(process.stdout.readline()), log)
            finally:
                process.kill()


@contextmanager
def serve_s3() -> Iterator[str]:
    """Runs moto's S3 for the length of the block, and gives its `host:port`."""
    code = (
        "import signal\n"
        "from moto.server import ThreadedMotoServer\n"
        "server = ThreadedMotoServer('127.0.0.1', port=0, verbose=False)\n"
        "server.start()\n"
        "print('%s:%d' % server.get_host_and_port(), flush=True)\n"
        "signal.pause()\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGKILL)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, folder: Path, log: Path, faults: Sequence[Fault]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.log, self.faults = folder, log, faults
        self.counts = [0] * len(faults)
        self.lock = threading.Lock()

    def record(self, request: Request) -> Fault:
        """Writes a request down and says what goes wrong with its answer."""
        with self.lock:
            with self.log.open("a") as log:
                log.write(json.dumps(asdict(request)) + "\n")
            for k, fault in enumerate(self.faults):
                if fault.concerns(request):
                    self.counts[k] += 1
                    if self.counts[k] > fault.skip and (fault.times < 0 or self.counts[k] <= fault.skip + fault.times):
                        return fault
        return Fault()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *args: object) -> None:
        """The log is the server's."""

    def _answer(self) -> None:
        path = self.path.partition("?")[0].lstrip("/")
        file = self.server.folder / path
        size = file.stat().st_size if file.is_file() else None
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, stop = 0, size or 0
        if asked and size is not None:
            start, stop = int(asked[1]), min(int(asked[2] or size) + 1, size)
        length = max(stop - start, 0) if self.command == "GET" else 0
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = self.server.record(Request(self.command, path, start, length, headers))
        if not fault.ranges:
            asked, start, stop = None, 0, size or 0
        if fault.status is not None or size is None or start >= max(size, 1):
            self._head(fault.status or (404 if size is None else 416), {"Content-Length": 0})
            return
        span = {"Content-Range": f"bytes {start}-{stop - 1}/{size}"} if asked else {}
        accept = {"Accept-Ranges": "bytes"} if fault.ranges else {}
        self._head(206 if asked else 200, {"Content-Length": stop - start, **span, **accept})
        if self.command == "GET":
            self._body(file, start, int((stop - start) * fault.share), fault)

    def _head(self, status: int, headers: dict[str, object]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def _body(self, file: Path, start: int, length: int, fault: Fault) -> None:
        with file.open("rb") as opened:
            opened.seek(start)
            while length > 0:
                self.wfile.write(piece := opened.read(min(length, fault.piece)))
                length -= len(piece)
        if fault.then == "stall":
            threading.Event().wait()
        if fault.then == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if fault.then:
            self.close_connection = True


if __name__ == "__main__":
    folder_, log_, faults_ = sys.argv[1:]
    server_ = _Server(Path(folder_), Path(log_), [Fault(**fault) for fault in json.loads(faults_)])
    print(server_.server_port, flush=True)
    server_.serve_forever()
