"""What Dagster shows of the checks: which exist on which asset, and what one evaluation found.

Here belongs the form: names, severities, counts. Not here: any judgement, which stands in the warehouse's checks and
rules; and no name, address or quote ever stands in a check's metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg

from connectors.base import Stream
from warehouse.gaps import Rule, RuleReport
from warehouse.load import LoadReport
from warehouse.models import CHECKS, Build, Model

RAW = {
    "no_rejected_records": "The last run put no record and no value aside. Those it did are in sync.rejects, with the reason.",
    "counts_reconcile": "The table has as many living records as the tool says it has, and the same ones. See sync.counts.",
}


def of_raw_table(stream: Stream) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(name, asset=[stream.tool, stream.name], description=description) for name, description in RAW.items()
    ]


def raw_table_results(stream: Stream, report: LoadReport) -> Iterator[dg.AssetCheckResult]:
    proof = report.proofs.get(stream.name)
    counted = {"counted_by": proof.counted_by, "source": proof.source_rows, "stored": proof.stored_rows} if proof else {}
    found: dict[str, tuple[bool, dict[str, Any]]] = {
        "no_rejected_records": (report.rejected == 0, {"rejected": report.rejected}),
        "counts_reconcile": (proof is None or proof.reconciled, counted or {"counted_by": "nothing"}),
    }
    for name, (passed, metadata) in found.items():
        yield dg.AssetCheckResult(
            check_name=name,
            asset_key=[stream.tool, stream.name],
            passed=passed,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=metadata,
        )


def table_checks(model: Model) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(name, asset=["unified", model.name], blocking=True, description=description)
        for name, description in CHECKS.items()
    ]


def table_results(model: Model, build: Build) -> Iterator[dg.AssetCheckResult]:
    for verdict in build.checks:
        yield dg.AssetCheckResult(
            check_name=verdict.name,
            asset_key=["unified", model.name],
            passed=verdict.passed,
            severity=dg.AssetCheckSeverity.ERROR,
            description=verdict.message,
            metadata=dict(verdict.metadata),
        )


def rule_checks(rules: Iterable[Rule], gaps_key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    return [dg.AssetCheckSpec(rule.name, asset=gaps_key, description=f"{rule.title}. {rule.fix}") for rule in rules]


def rule_result(report: RuleReport, gaps_key: dg.AssetKey) -> dg.AssetCheckResult:
    """A rule that did not run is no reason to warn: what it lacks is a gap of its own."""
    counts = {"open": report.open, "opened": report.opened, "resolved": report.resolved, "reopened": report.reopened}
    return dg.AssetCheckResult(
        check_name=report.rule,
        asset_key=gaps_key,
        passed=report.open == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=report.why_not if report.ran else f"Did not run: {report.why_not}",
        metadata={"severity": report.severity, "category": report.category, **counts},
    )
