"""The constructs that models and rules may use: each proven to give equal results on DuckDB and PostgreSQL.

The names are those of SQLGlot's syntax tree. A test runs every one of them on both; add one there first, then here.
"""

from __future__ import annotations

from collections.abc import Mapping

_STRUCTURE = """
    select from where join group having order ordered with cte subquery table tablealias alias column identifier literal null
    boolean star union distinct paren var
"""
_OPERATORS = "and or not eq neq gt gte lt lte is in between like add sub mul div dpipe exists"
_EXPRESSIONS = """
    case if coalesce nullif least cast datatype datatypeparam interval attimezone timestamptrunc timetostr timetounix
"""
_TEXT = "concatws left length lower upper trim splitpart startswith strposition regexplike regexpreplace sha2"
_JSON = "jsonextractscalar jsonpath jsonpathkey jsonpathroot jsonpathsubscript"
_AGGREGATES = "count sum min max logicalor groupconcat filter window rownumber"

ALLOWED = frozenset(" ".join((_STRUCTURE, _OPERATORS, _EXPRESSIONS, _TEXT, _JSON, _AGGREGATES)).split())

BECAUSE: Mapping[str, str] = {
    "now()": "Join settings.clock and use as_of: tables speak of one moment.",
    "currenttimestamp": "Join settings.clock and use as_of: tables speak of one moment.",
    "currentdate": "Join settings.clock and use today: tables speak of one day.",
    "argmax": "PostgreSQL has none; rank with row_number() and take the first.",
    "argmin": "PostgreSQL has none; rank with row_number() and take the first.",
    "avg": "It is a decimal on one database and a double on the other; divide a sum, cast to double, by a count.",
    "trycast": "PostgreSQL has none; test the text first, in a case.",
    "qualify": "PostgreSQL has none; rank in a CTE and filter after it.",
    "round": "The databases round halves differently; cast to decimal(18, 2).",
    "regexpextract": "PostgreSQL has none; use split_part, or regexp_replace with anchors.",
}
