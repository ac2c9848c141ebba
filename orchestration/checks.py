"""What Dagster shows of the checks: which exist on which asset, and what one evaluation found.

Here belongs the form: names, severities, counts. Not here: any judgement, which stands in the warehouse's checks and
rules; and no name, address or quote ever stands in a check's metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import dagster as dg

from connectors.base import Stream
from warehouse.gaps import Rule, RuleReport
from warehouse.models import CHECKS, Build, Model


def no_rejected_records(stream: Stream) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        "no_rejected_records",
        asset=[stream.tool, stream.name],
        description="The last run put no record and no value aside. Those it did are in sync.rejects, with the reason.",
    )


def rejected_result(stream: Stream, rejected: int) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name="no_rejected_records",
        asset_key=[stream.tool, stream.name],
        passed=rejected == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"rejected": rejected},
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
