"""A proxy on the loopback interface that passes requests on to a server, and fails as it is told to."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.data.servers import Fault, Request

__all__ = ("Proxy", "faulty")


class Proxy(ThreadingHTTPServer):
    """Passes requests on. Of a request with a body, a fault's `share` is the part that is taken before it is cut."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, server: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.server = server
        self.host = f"127.0.0.1:{self.server_port}"
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self._counts: dict[int, int] = {}
        self._lock = threading.Lock()

    def begin(self, *faults: Fault) -> None:
        """Forgets what was, and sets what goes wrong from now on."""
        self.faults, self.requests, self._counts = list(faults), [], {}

    def asked(self, method: str) -> int:
        """How many requests of that method there were."""
        return sum(request.method == method for request in self.requests)

    def record(self, request: Request) -> Fault:
        with self._lock:
            self.requests.append(request)
            for k, fault in enumerate(self.faults):
                if fault.concerns(request):
                    count = self._counts[k] = self._counts.get(k, 0) + 1
                    if count > fault.skip and (fault.times < 0 or count <= fault.skip + fault.times):
                        return fault
        return Fault()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """The log is the proxy's."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = self.server.record(Request(self.command, self.path.lstrip("/"), 0, length, headers))
        if headers.get("expect") == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        body = self.rfile.read(int(length * fault.share) if length else 0)
        if length and fault.share < 1:
            self._end(fault)
            return
        if fault.status is not None:
            self._answer(fault.status, {"Content-Length": "0"}, b"", Fault())
            return
        upstream = http.client.HTTPConnection(self.server.server)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        data = answer.read()
        upstream.close()
        if length and fault.then:
            self._end(fault)
            return
        named = {name: value for name, value in answer.getheaders() if name.lower() != "transfer-encoding"}
        if "content-length" not in {name.lower() for name in named} and answer.status != 204:
            named["Content-Length"] = str(len(data))
        self._answer(answer.status, named, data[: int(len(data) * fault.share)], fault)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def _answer(self, status: int, headers: dict[str, str], data: bytes, fault: Fault) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        self._end(fault)

    def _end(self, fault: Fault) -> None:
        if fault.then == "stall":
            threading.Event().wait(30)
        if fault.then == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if fault.then:
            self.close_connection = True


@contextmanager
def faulty(server: str) -> Iterator[Proxy]:
    """Runs a proxy before `server`, a `host:port`, for the length of the block."""
    proxy = Proxy(server)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
