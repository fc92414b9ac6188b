from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from geodl.data.stacsearch import search
from geodl.errors import EmptyDataset, OptionError, SourceUnreadable
from tests.data.test_stac import item


@contextmanager
def api(items: list[dict[str, Any]], *, searchable: bool = True) -> Iterator[str]:
    """A STAC API that filters by collection, ids and datetime, and gives two items a page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            root = f"http://127.0.0.1:{server.server_port}"
            asked = {key: value[0] for key, value in parse_qs(urlsplit(self.path).query).items()}
            if urlsplit(self.path).path != "/search":
                self.answer(landing(root))
                return
            if "bbox" in asked and float(asked["bbox"].split(",")[0]) > 180:
                self.answer({"description": "bbox out of range"}, 400)
                return
            found = [one for one in items if "ids" not in asked or one["id"] in asked["ids"].split(",")]
            if "collections" in asked:
                found = [one for one in found if one["collection"] in asked["collections"].split(",")]
            if "datetime" in asked:
                found = [one for one in found if one["properties"]["datetime"][:10] in asked["datetime"]]
            begin = int(asked.pop("begin", 0))
            query = "&".join(f"{key}={value}" for key, value in asked.items())
            links = (
                [{"rel": "next", "href": f"{root}/search?{query}&begin={begin + 2}"}] if begin + 2 < len(found) else []
            )
            self.answer({"type": "FeatureCollection", "features": found[begin : begin + 2], "links": links})

        def answer(self, content: dict[str, Any], status: int = 200) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Silence."""

    def landing(root: str) -> dict[str, Any]:
        links = [{"rel": "search", "href": f"{root}/search", "type": "application/geo+json", "method": "GET"}]
        parts = ("core", "item-search", "item-search#query")
        conforms = [f"https://api.stacspec.org/v1.0.0/{part}" for part in parts]
        head = {"type": "Catalog", "stac_version": "1.0.0", "id": "api", "description": "api"}
        return {**head, "links": links if searchable else [], "conformsTo": conforms if searchable else []}

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_search_gives_items_sorted_by_id(caplog: pytest.LogCaptureFixture) -> None:
    items = [item({}, identifier=name) for name in ("e", "a", "c", "d", "b")]
    items[0] |= {"collection": "other"}
    items[1]["properties"]["datetime"] = "2024-07-01T00:00:00Z"
    with api(items) as address:
        assert [found.id for found in search({"stac": address})] == ["a", "b", "c", "d", "e"]
        found = search({"stac": address, "collections": ["sentinel-2-l2a"], "datetime": "2024-06-01"})
        assert [one.id for one in found] == ["b", "c", "d"]
        assert len(search({"stac": address, "limit": 2})) == 2
        assert [one.id for one in search({"stac": address, "ids": ["d", "e"]})] == ["d", "e"]
        assert not caplog.records
        with pytest.raises(EmptyDataset, match="items that match.*other-one.*widen the search"):
            search({"stac": address, "collections": ["other-one"]})
        with pytest.raises(SourceUnreadable, match="does not answer as it should .*bbox out of range"):
            search({"stac": address, "bbox": [200, 0, 210, 10]})
    with pytest.raises(SourceUnreadable, match="does not answer as it should"):
        search({"stac": address})


def test_searches_that_cannot_be() -> None:
    with api([], searchable=False) as address, pytest.raises(SourceUnreadable, match="that cannot be searched"):
        search({"stac": address})
    with pytest.raises(OptionError, match=r"keys among stac.*Did you mean 'collections'.*'colections'"):
        search({"stac": address, "colections": ["a"]})
    with pytest.raises(OptionError, match="expected the API's address as stac. Received: None"):
        search({"collections": ["a"]})
    with pytest.raises(OptionError, match="limit of a STAC search"):
        search({"stac": address, "limit": 0})
    with pytest.raises(OptionError, match="datetime of a STAC search: expected a date like 2024-06-01.*'yesterday'"):
        search({"stac": address, "datetime": "yesterday"})
    with api([]) as address, pytest.raises(OptionError, match="values that the API understands"):
        search({"stac": address, "datetime": "2024-13"})
