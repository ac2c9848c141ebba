"""What people read of a text that is stored as HTML: its words, line by line, without any mark.

Here belongs the flattening of HTML only. Not here: any vendor's other ways of formatting, or which fields are HTML.
"""

from __future__ import annotations

import re
from html import unescape

_UNSEEN = re.compile(r"<!--.*?-->|<(script|style|head)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_LINE_ENDS = re.compile(r"<(?:br|hr|/p|/div|/li|/tr|/h[1-6]|/blockquote|/pre|/table|/ul|/ol)\b[^>]*>", re.IGNORECASE)
_MARK = re.compile(r"</?[a-z][^>]*>", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\r\f\v\u00a0]+")
_EMPTY_LINES = re.compile(r" ?\n[ \n]*")


def plain(html: str) -> str:
    """The text of some HTML, one line for each of its paragraphs, rows and items."""
    if "<" in html:
        html = _UNSEEN.sub("", html)
        html = _LINE_ENDS.sub("\n", _BLANKS.sub(" ", html.replace("\n", " ")))
        html = _MARK.sub("", html)
    return _EMPTY_LINES.sub("\n", _BLANKS.sub(" ", unescape(html))).strip()
