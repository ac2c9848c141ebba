"""The raw tables as assets: one per read of a tool, or one multi-asset for a read that fills several tables.

Here belongs how a read is run: its lock, its time bound, what is tried again, what Dagster learns of it. Not here:
how a vendor is asked (connectors) and how rows are written (warehouse).
"""

import gc
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Self

import dagster as dg
from pydantic import PrivateAttr

from connectors.base import Batch, Connector, Read, SourceError, Stream, Unavailable
from orchestration import checks, faults, forgotten, progress, settings
from orchestration.config import TOOLS, Config, Night, ToolSection
from orchestration.declared import raw_table
from orchestration.refill import refill
from orchestration.settings import Settings, SettingsError
from warehouse import load, migrate, schema
from warehouse.engine import Warehouse, WarehouseError
from warehouse.merge import TableReport

TRIGGER = "fullpicture/trigger"
SECONDS_BETWEEN_LOG_LINES = 15.0


def raw_tables(config: Config | None = None) -> list[schema.RawTable]:
    """Every raw table of every known tool, on or off, read or left out."""
    config = config or settings.config_or_defaults()
    reads = (read for tool in TOOLS for read in config.tool(tool).declared())
    return [raw_table(stream) for read in reads for stream in read.streams]


def vendor_fields(config: Config) -> dict[str, str]:
    """Raw column, as schema.table.column → what the tool calls it and where it has it."""
    reads = (read for tool in TOOLS for read in config.tool(tool).declared())
    streams = [stream for read in reads for stream in read.streams]
    return {
        f"{stream.tool}.{stream.name}.{column.name}": " ".join(filter(None, (stream.source, column.source)))
        for stream in streams
        for column in stream.columns
        if column.source
    }


def prepared(current: Settings) -> Warehouse:
    """The warehouse, with every table in place. Raises WarehouseError."""
    warehouse = current.warehouse()
    migrate.prepare(warehouse, raw_tables())
    return warehouse


class Tools(dg.ConfigurableResource[Any]):
    """What the reads of one run share: the settings, the warehouse, and of each tool its lock and its one connector."""

    _stack: ExitStack = PrivateAttr()
    _settings: Settings | None = PrivateAttr(default=None)
    _warehouse: Warehouse | Exception | None = PrivateAttr(default=None)
    _connectors: dict[str, Connector | Exception] = PrivateAttr(default_factory=dict)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:  # noqa: ARG002, Dagster's
        gc.freeze()  # what there is by now outlives the run: the collector need not go through it again and again
        with ExitStack() as self._stack:
            self._stack.callback(gc.unfreeze)
            yield self

    @property
    def settings(self) -> Settings:
        if self._settings is None:
            self._settings = settings.load()
        return self._settings

    @property
    def warehouse(self) -> Warehouse:
        """With every table in place. What fails once is not waited for again."""
        if self._warehouse is None:
            try:
                self._warehouse = prepared(self.settings)
            except (SettingsError, WarehouseError) as error:
                self._warehouse = error
        if isinstance(self._warehouse, Exception):
            raise self._warehouse
        return self._warehouse

    def connector(self, name: str) -> Connector:
        """The tool's connector, with the tool locked until the run ends. What fails once is not waited for again."""
        if name not in self._connectors:
            try:
                connector = self.settings.tool(name).connector()
                self._stack.enter_context(self.warehouse.tool_lock(name))
                self._connectors[name] = connector
            except (SettingsError, WarehouseError) as error:
                self._connectors[name] = error
        found = self._connectors[name]
        if isinstance(found, Exception):
            raise found
        return found


def assets(config: Config) -> list[dg.AssetsDefinition]:
    return [_asset(config.tool(tool), read, config.night) for tool in TOOLS for read in config.tool(tool).reads()]


def _asset(section: ToolSection, read: Read, night: Night) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"{section.tool}__{read.name}",
        specs=[_spec(stream) for stream in read.streams],
        check_specs=[check for stream in read.streams for check in checks.of_raw_table(stream)],
        retry_policy=dg.RetryPolicy(
            max_retries=night.retries, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
        ),
    )
    def loaded(context: dg.AssetExecutionContext, tools: Tools) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        ran = _attempt(context, tools, section.tool, read, night.retries)
        for stream in read.streams:
            yield dg.MaterializeResult(asset_key=[stream.tool, stream.name], metadata=_metadata(stream, ran))
            yield from checks.raw_table_results(stream, ran.report)

    return loaded


def _spec(stream: Stream) -> dg.AssetSpec:
    return dg.AssetSpec(
        key=[stream.tool, stream.name],
        group_name=stream.tool,
        description=stream.description,
        kinds={stream.tool, "table"},
        metadata={
            "dagster/table_name": f"{stream.tool}.{stream.name}",
            "dagster/column_schema": column_schema([*raw_table(stream).columns, *schema.RAW_COLUMNS], stream.key),
        },
    )


def column_schema(columns: Sequence[schema.Column], key: Sequence[str]) -> dg.TableSchema:
    return dg.TableSchema(
        [
            dg.TableColumn(
                column.name,
                column.type,
                column.description,
                constraints=dg.TableColumnConstraints(nullable=column.name not in key),
            )
            for column in columns
        ]
    )


@dataclass(frozen=True)
class _Ran:
    """What came of a read. `unavailable`: why this account of the tool has no such thing."""

    report: load.LoadReport
    requests: int
    unavailable: str | None = None


def _attempt(context: dg.AssetExecutionContext, tools: Tools, tool: str, read: Read, retries: int) -> _Ran:
    """Runs the read once. What went wrong is recorded when nothing is left to try."""
    started = datetime.now(UTC)
    # Who started the run by hand can start it again, and wants to know now.
    last = context.retry_number >= retries or TRIGGER in context.run.tags
    connector, before = None, 0
    try:
        connector = tools.connector(tool)
        before = connector.requests
        return _Ran(_load(context, tools, connector, read), connector.requests - before)
    except Unavailable as missing:
        requests = connector.requests - before if connector else 0
        until = connector.clock if connector else None
        _record(tools, context, tool, read, started, missing, requests, status="unavailable", covered_until=until)
        context.log.warning(str(missing))
        report = load.LoadReport(tables={stream.name: TableReport() for stream in read.streams})
        return _Ran(report, requests, str(missing))
    except Exception as error:
        transient = getattr(error, "transient", not isinstance(error, SettingsError))
        again = transient and not last
        # Where the warehouse cannot be had nothing can be recorded, and another run of the tool records itself.
        if not again and (connector or not isinstance(error, WarehouseError)):
            _record(tools, context, tool, read, started, error, connector.requests - before if connector else 0)
        raise faults.failure(error, allow_retries=again) from faults.cause(error)


def _load(context: dg.AssetExecutionContext, tools: Tools, connector: Connector, read: Read) -> load.LoadReport:
    work = f"{connector.tool}/{read.name}"
    said = time.monotonic()

    def tell(rows: int) -> None:
        nonlocal said
        progress.tell(work, rows)
        if time.monotonic() - said > SECONDS_BETWEEN_LOG_LINES:
            said = time.monotonic()
            context.log.info(f"{work}: {rows:,} rows so far")

    before = connector.requests
    progress.tell(work)
    chosen = tools.settings.tool(connector.tool).section.chosen(read)
    minutes = tools.settings.config.night.read_minutes
    connector.stop_at(time.monotonic() + minutes * 60)
    remap = partial(refill, tools.warehouse, connector, read, context.run.run_id)
    tables = {stream.name: raw_table(stream) for stream in read.streams}
    with tools.warehouse.hold(f"look where {work} stands"):
        cursor = load.cursor(tools.warehouse, connector.tool, read.name, connector.host, choices=chosen, remap=remap)
        guarded = forgotten.guard(tools.warehouse, tools.settings, tables)
    return load.load(
        tools.warehouse,
        tool=connector.tool,
        read=read.name,
        host=connector.host,
        run_id=context.run.run_id,
        tables=tables,
        batches=guarded(_in_time(connector.batches(read, cursor), minutes)),
        again=lambda missing: guarded(connector.again(read, cursor, missing)),
        choices=chosen,
        doubted=cursor is not None,  # a first read knows nothing that could be gone
        requests=lambda: connector.requests - before,
        progress=tell,
    )


def _in_time(batches: Iterable[Batch], minutes: int) -> Iterator[Batch]:
    """Stops a read that takes too long. What it has committed stays, and the next run goes on from there."""
    end = time.monotonic() + minutes * 60
    for batch in batches:
        yield batch
        if time.monotonic() > end:
            raise SourceError(
                f"Stopped after {minutes} minutes; the next run goes on from here. "
                "Raise night.read_minutes if this tool needs longer.",
                transient=True,
            )


def _record(
    tools: Tools,
    context: dg.AssetExecutionContext,
    tool: str,
    read: Read,
    started: datetime,
    error: Exception,
    requests: int,
    *,
    status: str = "failed",
    covered_until: datetime | None = None,
) -> None:
    try:
        load.record_end(
            tools.warehouse,
            tool=tool,
            read=read.name,
            run_id=context.run.run_id,
            started_at=started,
            error=faults.line(error),
            requests=requests,
            status=status,
            covered_until=covered_until,
        )
    except Exception as second:  # the first error is the one to show
        context.log.warning(f"The end could not be recorded in sync.runs: {faults.line(second)}")


def _metadata(stream: Stream, ran: _Ran) -> dict[str, Any]:
    if ran.unavailable:
        return {"unavailable": ran.unavailable, "requests": ran.requests}
    counts, proof = ran.report.tables[stream.name], ran.report.proofs.get(stream.name)
    metadata: dict[str, Any] = {
        "dagster/row_count": counts.rows_total,
        "inserted": counts.inserted,
        "updated": counts.updated,
        "deleted": counts.deleted,
        "unchanged": counts.unchanged,
        "rejected": ran.report.rejected,
        "requests": ran.requests,
    }
    if proof is not None:
        metadata |= {"source_rows": proof.source_rows, "stored_rows": proof.stored_rows}
    if ran.report.covered_until is not None:
        metadata["covered_until"] = dg.MetadataValue.timestamp(ran.report.covered_until)
    return metadata
