"""The command for whoever writes a table or a rule, and wants to know what it would change.

Here belong arguments and what is printed. Not here: how anything is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from orchestration import settings
from orchestration.terminal import out, spinner
from warehouse.trial import EXAMPLES, GapChange, RuleTrial, TableTrial


def try_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A model or gap rule, in the house or not yet.")],
) -> None:
    """Check a model or gap rule and run it against last night's data: what would it add, remove and change? Writes nothing."""
    from orchestration.synced import raw_tables
    from warehouse import trial

    current = settings.load()
    raw = raw_tables(current.config)
    with spinner("Waiting for the warehouse"):
        found = trial.run(current.warehouse(), file, raw)
    if isinstance(found, RuleTrial):
        _show_rule(found)
    else:
        _show_table(found)


def _say(text: str) -> None:
    out.print(text, highlight=False, markup=False, soft_wrap=True)


def _show_table(found: TableTrial) -> None:
    if not found.stands:
        _say(f"{found.table} does not stand yet: it would have {found.rows:,} rows.")
        return
    added, removed, changed = (found.counts[kind] for kind in ("added", "removed", "changed"))
    _say(f"{found.table}: {found.rows:,} rows; {added:,} added, {removed:,} removed, {changed:,} changed.")
    for word, names in (("New columns", found.columns_added), ("Columns that would go", found.columns_removed)):
        if names:
            _say(f"{word}: {', '.join(names)}")
    for kind, examples in found.examples.items():
        for key, columns in examples:
            what = "; ".join(f"{name}: {_shown(old)} → {_shown(new)}" for name, (old, new) in columns.items())
            _say(f"  {kind} {key}{f': {what}' if what else ''}")


def _show_rule(found: RuleTrial) -> None:
    _say(f"{found.rule}: {found.open:,} gaps; {len(found.opens):,} would open, {len(found.closes):,} would close.")
    for word, changes in (("opens", found.opens), ("closes", found.closes)):
        if stakes := _stakes(changes):
            _say(f"  {word} {stakes}")
        for change in changes[:EXAMPLES]:
            at_stake = f" ({_stakes([change])})" if change.stake_amount is not None else ""
            _say(f"  {word} {change.title}{at_stake}")
    if found.note:
        _say(found.note)


def _stakes(changes: Sequence[GapChange]) -> str:
    kinds = sorted({change.stake_kind or "" for change in changes if change.stake_amount is not None})
    sums = {kind: sum(c.stake_amount or 0 for c in changes if (c.stake_kind or "") == kind) for kind in kinds}
    return ", ".join(f"{amount:,.0f} {kind}".strip() for kind, amount in sums.items())


def _shown(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
