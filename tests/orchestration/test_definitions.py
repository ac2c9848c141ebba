"""What Dagster sees, and that neither a setting nor the network is needed to see it."""

import socket
from collections import defaultdict
from pathlib import Path

import dagster as dg
import pytest

from orchestration import unified
from orchestration.config import Config
from orchestration.definitions import assets, definitions

RAW = {
    tool: {stream.name for read in Config().tool(tool).reads() for stream in read.streams}
    for tool in ("salesforce", "jira", "zendesk", "pendo")
}


def tables_by_group() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for spec in definitions().resolve_all_asset_specs():
        found[spec.group_name or ""].add("/".join(spec.key.path))
    return found


def test_every_raw_table_is_an_asset_in_the_group_of_its_tool() -> None:
    groups = tables_by_group()
    for tool, tables in RAW.items():
        assert groups[tool] == {f"{tool}/{table}" for table in tables}


def test_the_tables_that_users_rely_on_are_assets_in_their_groups() -> None:
    groups = tables_by_group()
    assert groups["gaps"] == {"unified/gaps", "unified/gap_events"}
    assert groups["publish"] == {"publish/copy", "publish/backup"}
    assert {"unified/customers", "unified/customer_profiles", "unified/customer_links"} <= groups["customers"]
    assert {"unified/features", "unified/evidence"} <= groups["features"]
    assert {"unified/deals", "unified/tickets", "unified/issues", "unified/ticket_issue_links"} <= groups["facts"]
    assert set(groups) <= {*RAW, "customers", "features", "facts", "health", "gaps", "publish"}


def test_every_asset_says_what_it_holds_and_raw_ones_what_their_columns_mean() -> None:
    for spec in definitions().resolve_all_asset_specs():
        assert spec.description
        if spec.key.path[0] in RAW:
            columns = spec.metadata["dagster/column_schema"].columns
            assert all(column.description for column in columns)


def test_the_wide_tables_come_after_the_gaps_and_what_is_made_of_all_comes_last() -> None:
    deps = {spec.key: {dep.asset_key for dep in spec.deps} for spec in definitions().resolve_all_asset_specs()}
    assert unified.GAPS in deps[dg.AssetKey(["unified", "customers"])]
    before: set[dg.AssetKey] = set()
    waiting = set(deps[unified.COPY])
    while waiting:
        key = waiting.pop()
        before.add(key)
        waiting |= deps[key] - before
    derived = {key for key in deps if key.path[0] not in RAW}
    assert derived - before == {unified.COPY, unified.BACKUP}


def test_one_job_per_tool_reads_it_and_one_rebuilds_the_rest() -> None:
    names = {job.name for job in definitions().resolve_all_job_defs()} - {"__ASSET_JOB"}
    assert names == {*(f"sync_{tool}" for tool in RAW), "refresh"}


def test_loading_needs_no_network_and_no_right_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("loading the definitions reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("FULLPICTURE_CONFIG", str(tmp_path / "absent.yaml"))
    monkeypatch.setenv("SALESFORCE_URL", "http://not-loopback.example")
    monkeypatch.setenv("WAREHOUSE_URL", "nonsense")
    assert assets()
