"""What is told of an error: one line, and nothing of anybody's data."""

import duckdb
import pytest
import sqlalchemy as sa

from connectors.base import SourceError
from orchestration import faults

STATEMENT = "insert into people values (:email)"


def refused(words: str) -> Exception:
    return sa.exc.IntegrityError(STATEMENT, {"email": "ann@acme.example"}, duckdb.ConstraintException(words))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SourceError('Set JIRA_URL; it\'s "wrong".'), 'Set JIRA_URL; it\'s "wrong".'),
        (KeyError("Ann"), "KeyError: …"),
        (RuntimeError("\n first\nsecond"), "RuntimeError: first"),
        (RuntimeError(), "RuntimeError: "),
        (refused("Duplicate key\nDETAIL: Key (email)=(ann@acme.example)"), "ConstraintException: Duplicate key"),
        (refused('Duplicate key "email: ann@acme.example" is there'), "ConstraintException: Duplicate key … is there"),
        (refused("No 'O'Hara@acme.example' here"), "ConstraintException: No … here"),
        (refused('relation "unified.people" does not exist'), 'ConstraintException: relation "unified.people" does not exist'),
    ],
)
def test_an_error_is_told_in_one_line_that_quotes_no_data(error: Exception, told: str) -> None:
    assert faults.line(error) == told


def test_a_long_line_is_cut() -> None:
    assert faults.line(RuntimeError("x" * 1000)) == "RuntimeError: " + "x" * 200
