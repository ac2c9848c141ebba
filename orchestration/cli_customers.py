"""The commands about which records are one customer: what waits for a person's word, and giving it.

Here belong arguments, questions and files. Not here: what speaks for two records being one (warehouse).
"""

from __future__ import annotations

import csv
import getpass
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from orchestration import query, settings
from orchestration.query import QueryError
from orchestration.terminal import out, show, spinner

app = typer.Typer(no_args_is_help=True, help="Say which records of the tools are the same company.")

WAITING = """
select
    pair.left_tool || '/' || pair.left_type || '/' || pair.left_id as "left",
    left_record.name as left_name,
    left_customer.arr as left_arr,
    pair.right_tool || '/' || pair.right_type || '/' || pair.right_id as "right",
    right_record.name as right_name,
    right_customer.arr as right_arr,
    right_customer.currency,
    pair.score,
    pair.evidence,
    cast(null as text) as decision
from unified.match_candidates as pair
join unified.customer_records as left_record
    on left_record.tool = pair.left_tool
    and left_record.record_type = pair.left_type
    and left_record.record_id = pair.left_id
join unified.customer_records as right_record
    on right_record.tool = pair.right_tool
    and right_record.record_type = pair.right_type
    and right_record.record_id = pair.right_id
left join unified.customers as left_customer on left_customer.customer_id = left_record.customer_id
left join unified.customers as right_customer on right_customer.customer_id = right_record.customer_id
where not exists (
    select 1
    from unified.match_overrides as decided
    where
        decided.left_tool = pair.left_tool
        and decided.left_type = pair.left_type
        and decided.left_id = pair.left_id
        and decided.right_tool = pair.right_tool
        and decided.right_type = pair.right_type
        and decided.right_id = pair.right_id
)
order by greatest(coalesce(left_customer.arr, 0), coalesce(right_customer.arr, 0)) desc, pair.score desc, 1, 4
"""
_ANSWERS = {"y": "always", "n": "never", "s": None, "q": None}
Decided = tuple[str, str, str]  # left and right as tool/type/id, and always or never


@app.command()
def review(
    to: Annotated[
        Path | None, typer.Option("--to", metavar="CSV", help="Write the pairs into a file, to be filled in.")
    ] = None,
    back: Annotated[
        Path | None, typer.Option("--from", metavar="CSV", help="Take always or never from the last column of such a file.")
    ] = None,
) -> None:
    """Go through the pairs of records that may be one customer, those with the most revenue first. What is decided holds for
    ever, from the next refresh on."""
    if back:
        _keep(_read(back))
        return
    waiting = query.ask(settings.load(), WAITING, ours=True)
    if to:
        with to.open("w", encoding="utf-8", newline="") as file:
            waiting.write_csv(file)
        out.print(f"{len(waiting.rows)} pairs are in {to}. Fill its last column and run this with --from.", soft_wrap=True)
    elif not waiting.rows:
        out.print("No pair waits for a decision.")
    elif interactive():
        _keep(_asked([dict(zip(waiting.columns, row, strict=True)) for row in waiting.rows]))
    else:
        show(waiting, f"{len(waiting.rows)} pairs wait for a decision")


def interactive() -> bool:
    return sys.stdin.isatty()


def _asked(pairs: Sequence[dict[str, object]]) -> Iterator[Decided]:
    for place, pair in enumerate(pairs, 1):
        out.print(f"\n{place} of {len(pairs)}: {pair['evidence']} ({pair['score']:.2f})", markup=False, soft_wrap=True)
        for side in ("left", "right"):
            arr, currency = pair[f"{side}_arr"], pair["currency"] or ""
            money = f"  {arr:,.0f} {currency} a year" if arr is not None else ""
            out.print(f"  {pair[side]}  {pair[f'{side}_name']}{money}", markup=False, highlight=False, soft_wrap=True)
        answer = ""
        while answer not in _ANSWERS:
            answer = typer.prompt("The same company? yes, no, skip or quit").strip().lower()[:1]
        if answer == "q":
            return
        if decision := _ANSWERS[answer]:
            yield str(pair["left"]), str(pair["right"]), decision


def _read(file: Path) -> list[Decided]:
    """The decisions of a file that was filled in; a row without one waits on."""
    with file.open(encoding="utf-8-sig", newline="") as opened:
        head = opened.readline()
        opened.seek(0)
        rows = csv.DictReader(opened, delimiter=";" if head.count(";") > head.count(",") else ",")
        if lacking := {"left", "right", "decision"} - set(rows.fieldnames or ()):
            raise QueryError(
                f"{file} has no column {', '.join(sorted(lacking))}. Make it with fullpicture customers review --to."
            )
        decided = []
        for row in rows:
            decision = (row["decision"] or "").strip().lower()
            if decision not in ("", "always", "never"):
                raise QueryError(f"{file}, line {rows.line_num}: write always or never, or leave it empty; not {decision!r}.")
            if decision:
                decided.append((row["left"], row["right"], decision))
    return decided


def _keep(decisions: Iterator[Decided] | list[Decided]) -> None:
    from orchestration import published
    from orchestration.synced import prepared
    from warehouse import identity

    kept, current = 0, settings.load()
    warehouse = prepared(current)
    try:
        for left, right, decision in decisions:  # each by itself: whoever is interrupted has said what he has said
            with warehouse.begin("decide about a pair of records") as connection:
                identity.decide(connection, left, right, decision, getpass.getuser())
            kept += 1
    finally:
        if kept:
            with spinner("Publishing"), warehouse.hold("publish what was decided"):
                published.publish(current, warehouse)
    out.print(f"{kept} decided. The next refresh goes by it: fullpicture refresh." if kept else "Nothing was decided.")
