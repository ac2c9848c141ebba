"""The constructs that models and rules may use: each proven to give equal results on DuckDB and PostgreSQL.

The names are those of SQLGlot's syntax tree. What stands here is proven by the tests of the constructs, which run each on both.
"""

from __future__ import annotations

from collections.abc import Mapping

_STRUCTURE = """
    select from where join group having order ordered with cte subquery table tablealias alias column identifier literal null
    boolean star union distinct paren tuple values limit
"""
_OPERATORS = """
    and or not eq neq gt gte lt lte is in between like add sub mul div neg dpipe exists any
"""
_EXPRESSIONS = """
    case if coalesce nullif cast datatype datatypeparam
"""
_AGGREGATES = """
    count sum min max avg filter window windowspec rownumber rank
"""
ALLOWED = frozenset(" ".join((_STRUCTURE, _OPERATORS, _EXPRESSIONS, _AGGREGATES)).split())

BECAUSE: Mapping[str, str] = {
    "currenttimestamp": "Join settings.clock and use as_of: tables speak of one moment.",
    "currentdate": "Join settings.clock and use today: tables speak of one day.",
    "argmax": "PostgreSQL has none; rank with row_number() and take the first.",
    "argmin": "PostgreSQL has none; rank with row_number() and take the first.",
    "trycast": "PostgreSQL has none; test the text first, in a case.",
    "qualify": "PostgreSQL has none; rank in a CTE and filter after it.",
}
