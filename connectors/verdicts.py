"""What a fault means to the reader, and whether trying again helps: one table for every vendor.

Here belong the words of a person's message and the vendor's. Not here: who asks, or how often.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from requests import RequestException, exceptions

LARGEST = 256 << 20  # bytes of one reply


@dataclass(frozen=True)
class Verdict:
    """What a fault means to the reader, and whether trying again can help."""

    transient: bool
    meaning: str
    at_once: bool = True  # a transient fault that a few seconds can cure


VERDICTS: Mapping[int | str, Verdict] = {
    400: Verdict(False, "the request is refused as wrong. Update fullpicture"),
    401: Verdict(False, "the token is refused. Set {login} to a login that is valid"),
    403: Verdict(False, "the permission is missing. Let the user of {login} read this"),
    404: Verdict(False, "there is no such thing. Check {url_variable}, and that the user of {login} may see this"),
    408: Verdict(True, "the vendor took too long"),
    410: Verdict(False, "the vendor has switched this off. Update fullpicture"),
    425: Verdict(True, "the vendor is not ready"),
    429: Verdict(True, "too many requests. Run at another time or ask the vendor for a higher limit"),
    "redirect": Verdict(False, "it points to another address. Set {url_variable} to where {tool} is now"),
    "client": Verdict(False, "the request is refused. Update fullpicture"),
    "server": Verdict(True, "the vendor has a fault of its own"),
    "unreachable": Verdict(True, "the host cannot be reached. Check {url_variable} and the network"),
    "certificate": Verdict(False, "the host's certificate is not trusted. Check {url_variable} and the network's proxy"),
    "slow": Verdict(True, "no reply in time"),
    "cut off": Verdict(True, "it was cut off"),
    "not JSON": Verdict(True, "it should be JSON. Check that {url_variable} is the address of {tool} itself"),
    "too large": Verdict(False, f"it should be smaller than {LARGEST >> 20} MB"),
    "REQUEST_LIMIT_EXCEEDED": Verdict(True, "the requests of the day are used up", at_once=False),
    "QUERY_TIMEOUT": Verdict(True, "the query took the vendor too long"),
    "INVALID_QUERY_LOCATOR": Verdict(True, "the vendor has dropped the rest of the pages", at_once=False),
}


NETWORK: tuple[tuple[type[RequestException], tuple[str, str]], ...] = (
    (exceptions.SSLError, ("certificate", "no reply")),
    (exceptions.ReadTimeout, ("slow", "no reply")),
    (exceptions.ChunkedEncodingError, ("cut off", "a reply")),
    (exceptions.ContentDecodingError, ("cut off", "a reply")),
    (RequestException, ("unreachable", "no reply")),
)
CODES = tuple(
    code for code in VERDICTS if isinstance(code, str) and code.isupper()
)  # a vendor's own code says more than the status


def words(body: bytes) -> str:
    """What the vendor says about a fault, whatever keys it uses, in one line."""

    def texts(value: Any) -> list[str]:
        inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        return [value] if isinstance(value, str) else [text for each in inner for text in texts(each)]

    try:
        said = ": ".join(texts(msgspec.json.decode(body)))
        return " ".join("".join(letter if letter.isprintable() else " " for letter in said).split())
    except (ValueError, RecursionError):
        return ""
