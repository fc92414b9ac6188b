"""Searches of STAC APIs, whose items are scenes."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from geodl.data.handles import without_warnings
from geodl.errors import EmptyDataset, OptionError, SourceUnreadable, nearest

if TYPE_CHECKING:
    import pystac

__all__ = ("SEARCH_KEYS", "search")

SEARCH_KEYS = ("stac", "collections", "ids", "bbox", "intersects", "datetime", "query", "filter", "limit")
"""Keys of a search: the API's address, what is handed on to it, and how many items at most."""

_LOG = logging.getLogger("geodl")
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d([T ][\d:.]+(Z|[+-][\d:]+)?)?)?)?$")
_LIMIT = 100
"""Items that a search gives without `limit`."""


def search(query: Mapping[str, Any]) -> list[pystac.Item]:
    """Searches a STAC API.

    Args:
        query: `stac`, the API's address, and any of the other `SEARCH_KEYS`: `collections`, `ids`, `bbox` (west, south,
            east, north in degrees), `intersects` (a GeoJSON geometry), `datetime` (`2024-05-01/2024-08-31`), `query` or
            `filter` on properties (`{"eo:cloud_cover": {"lt": 20}}`), `limit` (items in all; default 100).

    Returns:
        The items, sorted by id.

    Raises:
        OptionError: an unknown key, or a value that cannot be used.
        SourceUnreadable: the API does not answer, refuses, or cannot search.
        EmptyDataset: no item was found.

    Example:

    >>> search({"stac": "https://earth-search.aws.element84.com/v1", "collections": ["sentinel-2-l2a"],
    ...         "bbox": [13.0, 52.3, 13.8, 52.7], "datetime": "2024-06"})
    """
    for key in query:
        if key not in SEARCH_KEYS:
            hint = nearest(str(key), SEARCH_KEYS)
            raise OptionError("a STAC search", expected=f"keys among {', '.join(SEARCH_KEYS)}.{hint}", received=key)
    if not isinstance(query.get("stac"), str):
        raise OptionError("a STAC search", expected="the API's address as stac", received=query.get("stac"))
    limit = query.get("limit", _LIMIT)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise OptionError("limit of a STAC search", expected="a whole number above 0", received=limit)
    asked = {key: value for key, value in query.items() if key not in ("stac", "limit")}
    if "datetime" in asked:
        asked["datetime"] = str(asked["datetime"])
        if not all(part in ("", "..") or _DATE.match(part) for part in asked["datetime"].split("/")):
            raise OptionError(
                "datetime of a STAC search",
                expected="a date like 2024-06-01, part of one, or two with / between them",
                received=asked["datetime"],
            )
    items = sorted(_items(query["stac"], asked, limit + 1), key=lambda item: item.id)
    if not items:
        raise EmptyDataset(
            f"A search of {query['stac']}", expected=f"items that match {asked}", received="no item; widen the search"
        )
    if len(items) > limit:
        if "limit" not in query:
            _LOG.warning("The search of %s gives more than %d items: set limit to take more.", query["stac"], limit)
        items = items[:limit]
    return items


def _items(address: str, asked: Mapping[str, Any], most: int) -> list[pystac.Item]:
    import pystac
    from pystac_client import Client
    from pystac_client.exceptions import APIError, ParametersError
    from pystac_client.warnings import PystacClientWarning
    from requests.exceptions import RequestException

    try:
        with without_warnings(PystacClientWarning):
            client = Client.open(address, timeout=60)
            methods = {str(link.extra_fields.get("method", "GET")) for link in client.get_links("search")}
            if not methods:
                raise SourceUnreadable(
                    address, "it is a catalogue that cannot be searched", advice="Give its items by their addresses."
                )
            method = "POST" if "POST" in methods else "GET"
            return list(client.search(method=method, max_items=most, **asked).items())
    except (APIError, RequestException, pystac.STACError, OSError) as error:
        status = getattr(error, "status_code", None)
        cause = f"status {status}" if status else type(error).__name__
        cause = f"{cause}: {str(error).strip()[:300]}".replace("\n", " ")
        raise SourceUnreadable(
            address, f"the STAC API does not answer as it should ({cause})",
            advice="Check the address, the search and the network.",
        ) from error  # fmt: skip
    except (ParametersError, ValueError, TypeError, KeyError, NotImplementedError) as error:
        raise OptionError(
            f"a STAC search ({error})", expected="values that the API understands", received=dict(asked)
        ) from error
