"""Atlassian's rich text (ADF, the Atlassian Document Format) as the plain text that a reader would see.

Here belongs the format: https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/. Not here: which
fields hold it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

_LINES = frozenset(
    ("paragraph", "heading", "codeBlock", "tableRow", "mediaSingle", "blockCard", "taskItem", "decisionItem", "expand")
)
_CELLS = frozenset(("tableCell", "tableHeader"))
_SHOWN = {  # the attribute that a reader sees
    "mention": "text",
    "emoji": "text",
    "status": "text",
    "inlineCard": "url",
    "blockCard": "url",
    "embedCard": "url",
    "date": "timestamp",
}


def plain(document: Any) -> str | None:
    """The text of a document, one line per paragraph, heading, row or item. A plain text stays as it is."""
    if document is None or isinstance(document, str):
        return document
    pieces: list[str] = []
    _collect(document, pieces)
    lines = "".join(pieces).split("\n")
    return "\n".join([line.rstrip() for line in lines]).strip("\n") or None


def _collect(node: Any, pieces: list[str]) -> None:
    if not isinstance(node, dict):
        return
    kind = node.get("type")
    if kind == "text":
        pieces.append(str(node.get("text", "")))
        return
    if kind == "hardBreak":
        pieces.append("\n")
    elif kind == "listItem":
        pieces.append("- ")
    elif kind in _SHOWN:
        pieces.append(_attribute(kind, node.get("attrs")))
    content = node.get("content")
    if isinstance(content, list):
        for each in content:
            _collect(each, pieces)
    if kind in _LINES:
        pieces.append("\n")
    elif kind in _CELLS and pieces and pieces[-1] == "\n":
        pieces[-1] = "\t"  # the cells of a row stand side by side


def _attribute(kind: str, attributes: Any) -> str:
    if not isinstance(attributes, dict):
        return ""
    value = attributes.get(_SHOWN[kind]) or attributes.get("shortName") or ""
    if kind == "date" and str(value).isdigit():  # milliseconds of a midnight in UTC
        return f"{datetime.fromtimestamp(int(value) / 1000, UTC):%Y-%m-%d}"
    return str(value)
