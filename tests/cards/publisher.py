"""A publisher of data sets on the loopback interface, who may be slow, forgetful or dishonest."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ("Publisher", "publish")


@dataclass
class Publisher:
    """What is published, how it is served, and what was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    """Answers before the good ones, by path."""
    cuts: dict[str, list[int]] = field(default_factory=dict)
    """Bytes after which bodies are cut, by path; of the first answers with more than a byte."""
    longer: int = 0
    """By how much Content-Length is too large (or too small, where negative) for what comes of more than a byte."""
    ranges: bool = True
    etags: bool = True
    chunk: int = 1 << 16
    pause: float = 0.0
    """Seconds between chunks."""
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    """Path, first byte and bytes of each answer with a body of more than a byte."""
    port: int = 0

    def url(self, path: str) -> str:
        """Address of a file."""
        return f"http://127.0.0.1:{self.port}/{path}"

    def sent(self, path: str) -> int:
        """Bytes of a file that were sent in all."""
        return sum(count for name, _, count in self.asked if name == path)


@contextmanager
def publish(**files: bytes) -> Iterator[Publisher]:
    """Serves files for the length of the block; `__` in a name stands for a dot."""
    publisher = Publisher({name.replace("__", "."): content for name, content in files.items()})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *args: object) -> None:
            """Says nothing."""

        def do_GET(self) -> None:
            path = self.path.lstrip("/").partition("?")[0]
            waiting = publisher.statuses.get(path, [])
            if waiting or path not in publisher.files:
                self._head(waiting.pop(0) if waiting else 404, 0, {})
                return
            content = publisher.files[path]
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if publisher.ranges else None
            start, stop = (int(asked[1]), int(asked[2] or len(content) - 1) + 1) if asked else (0, len(content))
            body = content[start:stop]
            headers = {"ETag": f'"{hashlib.md5(content).hexdigest()}"'} if publisher.etags else {}
            if asked:
                headers["Content-Range"] = f"bytes {start}-{start + len(body) - 1}/{len(content)}"
            told = len(body) + (publisher.longer if len(body) > 1 else 0)
            self._head(206 if asked else 200, told, headers)
            cuts = publisher.cuts.get(path, [])
            cut = cuts.pop(0) if cuts and len(body) > 1 else len(body)
            self._body(path, start, body[:cut], whole=cut >= len(body) and publisher.longer == 0)

        def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def _body(self, path: str, start: int, body: bytes, *, whole: bool) -> None:
            if len(body) > 1:
                publisher.asked.append((path, start, len(body)))
            try:
                for begin in range(0, len(body), publisher.chunk):
                    piece = body[begin : begin + publisher.chunk]
                    self.wfile.write(piece)
                    time.sleep(publisher.pause)
            except OSError:
                whole = False
            if not whole:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    publisher.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield publisher
    finally:
        server.shutdown()
        server.server_close()
