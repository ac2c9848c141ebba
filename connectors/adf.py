"""Atlassian's rich text (ADF, the Atlassian Document Format) as the plain text that a reader would see.

Here belongs the format: https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/. Not here: which
fields hold it.
"""

from __future__ import annotations

from typing import Any

_LINES = ("paragraph", "heading", "codeBlock", "tableRow", "mediaSingle", "blockCard", "taskItem", "decisionItem")
_SHOWN = {
    "mention": "text",
    "emoji": "text",
    "status": "text",
    "inlineCard": "url",
    "blockCard": "url",
    "embedCard": "url",
}


def plain(document: Any) -> str | None:
    """The text of a document, one line per paragraph, heading, row or item. A plain text stays as it is."""
    if document is None or isinstance(document, str):
        return document
    pieces: list[str] = []
    _collect(document, pieces)
    lines = "".join(pieces).split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n") or None


def _collect(node: Any, pieces: list[str]) -> None:
    if isinstance(node, list):
        for each in node:
            _collect(each, pieces)
    if not isinstance(node, dict):
        return
    kind, shown = node.get("type"), node.get("attrs")
    if kind == "text":
        pieces.append(str(node.get("text", "")))
    elif kind == "hardBreak":
        pieces.append("\n")
    elif kind == "listItem":
        pieces.append("- ")
    elif kind in _SHOWN and isinstance(shown, dict):
        pieces.append(str(shown.get(_SHOWN[kind]) or shown.get("shortName") or ""))
    _collect(node.get("content"), pieces)
    if kind in _LINES:
        pieces.append("\n")
    elif kind in ("tableCell", "tableHeader") and pieces and pieces[-1] == "\n":
        pieces[-1] = "\t"  # the cells of a row stand side by side
