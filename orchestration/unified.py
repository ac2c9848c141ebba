"""What is made from the raw tables, as assets: one per model, the customer links, the gaps, the published copy.

Here belongs their order and what Dagster learns of them. Not here: what any of them means or how it is built
(warehouse).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import dagster as dg
from pydantic import Field, PrivateAttr

from orchestration import checks, faults, progress, published, settings
from orchestration.published import Published
from orchestration.settings import Settings, SettingsError
from orchestration.synced import column_schema, raw_tables
from warehouse import backup, freshness, gaps, history, identity, migrate, models, privacy, prune, schema, settings_tables
from warehouse.engine import Warehouse, WarehouseError
from warehouse.gaps import Rule
from warehouse.history import Ledger
from warehouse.models import Build, CheckFailed, Model, Models
from warehouse.selects import Shape

LINKS, MERGES, CANDIDATES = (
    dg.AssetKey(["unified", name]) for name in ("customer_links", "customer_merges", "match_candidates")
)
GAPS = dg.AssetKey(["unified", "gaps"])
GAP_EVENTS = dg.AssetKey(["unified", "gap_events"])
COPY = dg.AssetKey(["publish", "copy"])
BACKUP = dg.AssetKey(["publish", "backup"])
LEDGERS = {table.full_name: table for table in [*schema.LEDGERS, *history.tables()]}


class Refresh(dg.ConfigurableResource[Any]):
    """One refresh: the warehouse, held from the first table to the last, so that all of them speak of one moment."""

    accept: list[str] = Field(
        default=[], description="Tables whose new version is accepted although it lost more than half of its rows."
    )
    _stack: ExitStack = PrivateAttr()
    _settings: Settings | None = PrivateAttr(default=None)
    _warehouse: Warehouse | Exception | None = PrivateAttr(default=None)
    _published: bool = PrivateAttr(default=False)
    _backed_up: bool = PrivateAttr(default=False)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        with ExitStack() as self._stack:
            yield self
            if isinstance(self._warehouse, Warehouse) and not self._published:
                self._make_up_for("The copy was not published", self.publish, context)
            if isinstance(self._warehouse, Warehouse) and not self._backed_up:
                self._make_up_for("No backup was made", self.back_up, context)

    def publish(self) -> Published:
        """Puts everything in place that readers use."""
        self._published = True
        with self.warehouse.begin("drop what is not shown any more") as connection:
            privacy.drop_old_versions(connection)
        return published.publish(self.settings, self.warehouse)

    def back_up(self) -> Path:
        """Copies what no tool can give again."""
        self._backed_up = True
        keep = self.settings.config.warehouse.keep_backups
        return backup.make(self.warehouse, self.settings.backups, raw_tables(), keep=keep)

    @staticmethod
    def _make_up_for(what: str, step: Callable[[], object], context: dg.InitResourceContext) -> None:
        """A table that failed keeps its old version, and Dagster skips what comes last: the others must not wait for it."""
        try:
            step()
        except Exception as error:
            if context.log:
                context.log.error(f"{what}: {faults.line(error)}")

    @property
    def settings(self) -> Settings:
        if self._settings is None:
            self._settings = settings.load()
        return self._settings

    @property
    def warehouse(self) -> Warehouse:
        """Taken by the first step that needs it. What fails once is not waited for again."""
        if self._warehouse is None:
            try:
                self._warehouse = self._take()
            except Exception as error:
                self._stack.close()  # or the next step would wait for the lock that this one holds
                self._warehouse = error
        if isinstance(self._warehouse, Exception):
            raise faults.failure(self._warehouse) from faults.cause(self._warehouse)
        return self._warehouse

    @contextmanager
    def step(self, work: str) -> Iterator[Warehouse]:
        """The warehouse, for one step of the refresh, with what goes wrong in it told in one line."""
        try:
            warehouse = self.warehouse
            progress.tell(work)
            yield warehouse
        except dg.Failure:
            raise
        except Exception as error:
            raise faults.failure(error) from faults.cause(error)

    def _take(self) -> Warehouse:
        progress.tell("waiting for the warehouse")
        _known(self.accept)
        warehouse = self.settings.warehouse()
        self._stack.enter_context(warehouse.hold("refresh"))
        migrate.prepare(warehouse, raw_tables())
        with warehouse.begin("write the settings") as connection:
            people_key = privacy.people_key(connection, self.settings.privacy_key)
            settings_tables.write(connection, settings.tables(self.settings, people_key))
            _refuse_unread(backup.awaited(connection))
        with warehouse.begin("forget old runs") as connection:
            oldest = datetime.now(UTC) - timedelta(days=self.settings.config.warehouse.keep_run_days)
            prune.prune(connection, raw_tables(), oldest)
        with warehouse.begin("redact whom the tools have deleted") as connection:
            known = privacy.erased(connection, self.settings.privacy_key)
            privacy.redact_deleted(connection, raw_tables(), known)
        return warehouse

    @cached_property
    def shape(self) -> Shape:
        return models.library().shape(raw_tables())


def assets() -> list[dg.AssetsDefinition]:
    """Raises ModelError for a model or rule that cannot be built, with its file and line, when the location loads."""
    library, rules, raw = models.library(), gaps.rules(), raw_tables()
    library.check(raw)
    gaps.check(rules, library.shape(raw))
    kept = [_kept(ledger, library) for ledger in history.ledgers()]
    return [_customer_links(library), *[_table(model) for model in library], _gaps(rules), *kept, _copy(library), _backup()]


def _known(tables: Iterable[str]) -> None:
    names = [model.name for model in models.library()]
    for table in tables:
        if table not in names:
            raise SettingsError(f"{table} is not a table that is rebuilt{settings.nearest(table, names)}")


def _refuse_unread(reads: Sequence[str]) -> None:
    if reads:
        more = f" and {len(reads) - 3} more" if len(reads) > 3 else ""
        raise WarehouseError(
            f"A backup without the rows of {', '.join(reads[:3])}{more} was restored, and they have not been read since. Run "
            "fullpicture sync first: without them every link and gap that rests on them would be closed."
        )


def _key(table: str) -> dg.AssetKey | None:
    """The asset that writes a table which SQL reads; None for the settings and the machinery's own records."""
    schema_name, _, name = table.partition(".")
    if schema_name in ("settings", "sync"):
        return LINKS if table in identity.WRITES else None
    return dg.AssetKey([schema_name, name])


def _keys(tables: Iterable[str]) -> list[dg.AssetKey]:
    return sorted({key for key in map(_key, tables) if key is not None})


def _table(model: Model) -> dg.AssetsDefinition:
    @dg.asset(
        key=["unified", model.name],
        deps=_keys(model.inputs),
        group_name=model.group,
        description=model.description,
        kinds={"sql", "table"},
        check_specs=checks.table_checks(model),
        metadata={
            "dagster/table_name": model.full_name,
            "dagster/column_schema": column_schema(model.columns, model.key),
            "sql": dg.MetadataValue.md(f"```sql\n{model.select.text}\n```"),
        },
    )
    def built(refresh: Refresh) -> Iterator[Any]:
        with refresh.step(model.full_name) as warehouse:
            try:
                with warehouse.begin(f"build {model.full_name}") as connection:
                    build = models.build(connection, model, refresh.shape, accept=model.name in refresh.accept)
            except CheckFailed as failed:
                yield from checks.table_results(model, failed.build)
                raise
        metadata: dict[str, Any] = {"dagster/row_count": build.rows, "dagster/column_lineage": _lineage(build)}
        for column, (anew, parts) in (build.parts or {}).items():
            metadata[f"built anew by {column}"] = f"{anew} of {parts}"
        yield dg.MaterializeResult(metadata=metadata | ({"unchanged": True} if build.unchanged else {}))
        yield from checks.table_results(model, build)

    return built


def _lineage(build: Build) -> dg.TableColumnLineage:
    def column(source: str) -> dg.TableColumnDep | None:
        table, _, name = source.rpartition(".")
        key = _key(table)
        return None if key is None else dg.TableColumnDep(asset_key=key, column_name=name)

    return dg.TableColumnLineage(
        {name: [dep for dep in map(column, sources) if dep is not None] for name, sources in build.lineage.items()}
    )


def _ledger(key: dg.AssetKey, group: str, inputs: Iterable[str], ledger_key: tuple[str, ...]) -> dg.AssetSpec:
    table = LEDGERS[".".join(key.path)]
    return dg.AssetSpec(
        key,
        deps=_keys(inputs),
        group_name=group,
        description=table.description,
        kinds={"python", "table"},
        metadata={
            "dagster/table_name": table.full_name,
            "dagster/column_schema": column_schema(table.columns, ledger_key),
        },
    )


def _customer_links(library: Models) -> dg.AssetsDefinition:
    inputs = {table for tables in identity.WRITES.values() for table in tables}
    keys = {
        LINKS: ("tool", "record_type", "record_id", "valid_from"),
        MERGES: ("customer_id", "valid_from"),
        CANDIDATES: schema.PAIR,
    }

    @dg.multi_asset(
        name="unified__customer_links", specs=[_ledger(asset, "customers", inputs, tuple(key)) for asset, key in keys.items()]
    )
    def resolved(refresh: Refresh) -> Iterator[dg.MaterializeResult[Any]]:
        with (
            refresh.step("unified.customer_links") as warehouse,
            warehouse.begin("resolve which records are the same customer") as connection,
        ):
            changed = identity.resolve(connection)
            rows = {key: models.count(connection, ".".join(key.path)) for key in keys}
            for key in rows:
                freshness.note(connection, key.path[1], rows[key], library.reads(".".join(key.path)))
        for key in rows:
            more = {"changed": changed} if key == LINKS else {}
            yield dg.MaterializeResult(asset_key=key, metadata={"dagster/row_count": rows[key], **more})

    return resolved


def _gaps(rules: Sequence[Rule]) -> dg.AssetsDefinition:
    inputs = frozenset[str]().union(*(rule.inputs for rule in rules))

    @dg.multi_asset(
        name="unified__gaps",
        specs=[
            _ledger(GAPS, "gaps", inputs, ("gap_id",)),
            _ledger(GAP_EVENTS, "gaps", inputs, ("gap_id", "event", "happened_at")),
        ],
        check_specs=checks.rule_checks(rules, GAPS),
    )
    def reviewed(context: dg.AssetExecutionContext, refresh: Refresh) -> Iterator[Any]:
        with refresh.step("unified.gaps") as warehouse, warehouse.begin("review the gaps") as connection:
            reports = gaps.review(connection, context.run.run_id, rules)
            rows = {key: models.count(connection, ".".join(key.path)) for key in (GAPS, GAP_EVENTS)}
            for key in rows:
                freshness.note(connection, key.path[1], rows[key], frozenset().union(*(rule.reads for rule in rules)))
        counts = {name: sum(getattr(report, name) for report in reports) for name in ("open", "opened", "resolved", "reopened")}
        yield dg.MaterializeResult(asset_key=GAPS, metadata={"dagster/row_count": rows[GAPS], **counts})
        yield dg.MaterializeResult(asset_key=GAP_EVENTS, metadata={"dagster/row_count": rows[GAP_EVENTS]})
        for report in reports:
            yield checks.rule_result(report, GAPS)

    return reviewed


def _kept(ledger: Ledger, library: Models) -> dg.AssetsDefinition:
    key, source = dg.AssetKey(["unified", ledger.name]), library[ledger.model]

    @dg.multi_asset(name=f"unified__{ledger.name}", specs=[_ledger(key, source.group, [ledger.source], ledger.ledger_key)])
    def kept(refresh: Refresh) -> dg.MaterializeResult[Any]:
        with refresh.step(ledger.full_name) as warehouse, warehouse.begin(f"keep {ledger.full_name}") as connection:
            rows = history.keep(connection, ledger, source.reads)
        if rows is None:
            note = f"Nothing was kept: {ledger.source} was not built on this day, or a later day is kept already."
            return dg.MaterializeResult(asset_key=key, metadata={"note": note})
        return dg.MaterializeResult(asset_key=key, metadata={"dagster/row_count": rows})

    return kept


def _copy(library: Models) -> dg.AssetsDefinition:
    # It comes after everything; the tables that nothing else reads say so with the fewest edges in the graph.
    read = {table for model in library for table in model.inputs}.union(*identity.WRITES.values())
    read |= {ledger.source for ledger in history.ledgers()}
    last = [model.full_name for model in library if model.full_name not in read]

    @dg.asset(
        key=COPY,
        deps=_keys(
            [
                *last,
                "unified.customer_merges",
                "unified.match_candidates",
                "unified.gap_events",
                *(ledger.full_name for ledger in history.ledgers()),
            ]
        ),
        group_name="publish",
        description="What readers use: the unified tables in a DuckDB file of their own, and as Parquet; on PostgreSQL, the"
        " role that may read the views.",
        kinds={"duckdb", "file"},
    )
    def ready(refresh: Refresh) -> dg.MaterializeResult[Any]:
        with refresh.step("what readers use"):
            done = refresh.publish()
        metadata: dict[str, Any] = {path.name: dg.MetadataValue.path(path) for path in done.paths}
        return dg.MaterializeResult(metadata=metadata | ({"note": done.note} if done.note else {}))

    return ready


def _backup() -> dg.AssetsDefinition:
    @dg.asset(
        key=BACKUP,
        deps=[dg.AssetKey(name.split(".")) for name in LEDGERS if name != "unified.tables"],
        group_name="publish",
        description="Customer ids, links, gaps, decisions, history and cursors in files, for fullpicture restore.",
        kinds={"parquet", "file"},
    )
    def backed_up(refresh: Refresh) -> dg.MaterializeResult[Any]:
        with refresh.step("the backup"):
            path = refresh.back_up()
        return dg.MaterializeResult(
            metadata={"path": dg.MetadataValue.path(path), "bytes": sum(file.stat().st_size for file in path.iterdir())}
        )

    return backed_up
