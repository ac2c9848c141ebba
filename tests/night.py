"""The real thing over an invented company: stand-ins over HTTP, the jobs of the command line, a warehouse to read back.

Here belongs how a test lets a night pass. Not here: what must be in the tables afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from graphlib import TopologicalSorter
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import sqlalchemy as sa
import yaml

from connectors.base import Connector, SourceError, Unavailable
from connectors.http import Limiter, Patience
from connectors.sandbox.serve import Running, serve
from connectors.sandbox.world import World
from orchestration import runs, settings
from orchestration.declared import raw_table
from orchestration.refill import refill
from orchestration.settings import Settings
from orchestration.synced import raw_tables
from tests import prepared
from tests.truth.facts import PRIVACY_KEY
from warehouse import gaps, history, identity, load, migrate, models, privacy, settings_tables
from warehouse.engine import Warehouse
from warehouse.gaps import RuleReport
from warehouse.merge import TableReport
from warehouse.models import Model

Row = dict[str, Any]


@dataclass
class Company:
    """One world, its stand-ins and the warehouse that reads them.

    `night` calls what the jobs call and leaves Dagster out, which costs seconds a night; `night_of_jobs` is the way of
    the command line.
    """

    running: Running
    warehouse: Warehouse
    home: Path
    off: tuple[str, ...] = ()  # tools that this company does not use
    chosen: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # beside what every company writes into its settings
    patience: Patience | None = None  # of its connectors, where not the default
    keep_open: bool = True  # DuckDB's file through a night, since no other process needs it
    _runs: Iterator[int] = field(default_factory=count)
    _known: tuple[Any, Settings] | None = None

    @property
    def world(self) -> World:
        return self.running.world

    def night(self) -> list[RuleReport]:
        self.sync()
        return self.refresh()

    def night_of_jobs(self) -> None:
        settings.put(self.environment)
        home = runs.prepare_home(settings.load())
        with self._opened():
            for job in (*(f"sync_{tool.name}" for tool in settings.load().connected), "refresh"):
                outcome = runs.execute(job, home)
                assert outcome.succeeded, outcome.failures

    def sync(self, tools: Sequence[str] = ()) -> dict[str, TableReport]:
        """Reads these tools, or all, as far as they are connected, and says what became of each raw table."""
        with self._opened():
            return self._sync(tools)

    def _opened(self) -> AbstractContextManager[None]:
        return opened(self.warehouse) if self.keep_open else nullcontext()

    def _sync(self, tools: Sequence[str]) -> dict[str, TableReport]:
        reports: dict[str, TableReport] = {}
        connected = [tool.name for tool in self.settings().connected]
        for tool in (tool for tool in connected if not tools or tool in tools):
            section = self.settings().tool(tool).section
            connector = self.connector(tool)
            migrate.prepare(self.warehouse, raw_tables(self.settings().config))
            for read in section.reads():
                started = datetime.now(UTC)
                named: dict[str, Any] = {"tool": tool, "read": read.name, "run_id": f"run {next(self._runs)}"}
                chosen = section.chosen(read)
                remap = partial(refill, self.warehouse, connector, read, named["run_id"])
                cursor = load.cursor(self.warehouse, tool, read.name, connector.host, choices=chosen, remap=remap)
                tables = {stream.name: raw_table(stream) for stream in read.streams}
                try:
                    report = load.load(
                        self.warehouse,
                        **named,
                        host=connector.host,
                        tables=tables,
                        batches=connector.batches(read, cursor),
                        again=partial(connector.again, read, cursor),
                        choices=chosen,
                        doubted=cursor is not None,
                    )
                except SourceError as error:
                    ended: dict[str, Any] = {"status": "failed"}
                    if isinstance(error, Unavailable):
                        ended = {"status": "unavailable", "covered_until": connector.clock}
                    load.record_end(self.warehouse, **named, started_at=started, error=str(error), **ended)
                    continue
                reports |= {f"{tool}.{stream}": table for stream, table in report.tables.items()}
        return reports

    def connector(self, tool: str) -> Connector:
        return self.settings().tool(tool).connector(**({"patience": self.patience} if self.patience else {}))

    def refresh(self) -> list[RuleReport]:
        """Rebuilds every table at the world's own time, and says what each rule found."""
        with self._opened():
            return self._refresh()

    def _refresh(self) -> list[RuleReport]:
        migrate.prepare(self.warehouse, raw_tables(self.settings().config))
        with self.warehouse.begin("write the settings") as connection:
            people_key = privacy.people_key(connection, self.settings().privacy_key)
            settings_tables.write(connection, settings.tables(self.settings(), people_key))
            known = privacy.erased(connection, self.settings().privacy_key)
            privacy.redact_deleted(connection, raw_tables(self.settings().config), known)
        shape = models.library().shape(raw_tables(self.settings().config))
        reports: list[RuleReport] = []
        for step in _steps():
            with self.warehouse.begin("a step of a refresh") as connection:
                if isinstance(step, Model):
                    models.build(connection, step, shape)
                elif step == "identity":
                    identity.resolve(connection)
                else:
                    reports = gaps.review(connection, f"run {next(self._runs)}", gaps.rules())
        for ledger in history.ledgers():
            with self.warehouse.begin("a step of a refresh") as connection:
                history.keep(connection, ledger)
        return reports

    def settings(self) -> Settings:
        environment = {name: value for name, value in self.environment.items() if value is not None}
        written = (environment, Path(environment["FULLPICTURE_CONFIG"]).read_bytes())
        if self._known is None or self._known[0] != written:  # to read it hundreds of times takes long
            self._known = written, settings.load(environment)
        return self._known[1]

    @property
    def environment(self) -> dict[str, str | None]:
        return {
            **dict.fromkeys([*settings.VENDOR_VARIABLES, "DAGSTER_HOME"]),
            **{name: value for name, value in self.running.environment.items() if name.split("_")[0].lower() not in self.off},
            "FULLPICTURE_HOME": str(self.home),
            "FULLPICTURE_CONFIG": str(self._config()),
            "FULLPICTURE_NOW": self.world.now.isoformat(),
            "WAREHOUSE_URL": self.warehouse.url.render_as_string(hide_password=False),
        }

    def _config(self) -> Path:
        """What this company would write into fullpicture.yaml; and a key like everybody else's, so that two can be compared."""
        (self.home / "privacy.key").write_text(PRIVACY_KEY, encoding="utf-8")
        path = self.home / "fullpicture.yaml"
        chosen: dict[str, Any] = {tool: {"fields": fields} for tool, fields in self.running.fields.items()}
        chosen.setdefault("salesforce", {})["objects"] = ["Product_Request__c"]
        for section, more in self.chosen.items():
            chosen[section] = {**chosen.get(section, {}), **more}
        chosen["customers"] = {"internal_domains": self.world.internal_domains}
        chosen["features"] = {"values": self.world.feature_values}
        path.write_text(yaml.dump(chosen, Dumper=yaml.CSafeDumper), encoding="utf-8")
        return path

    def told(self) -> dict[str, str]:
        """Everything, in lower case, that readers and the last backup have, by where it stands; on PostgreSQL, where readers
        have the database itself, every table of it."""
        published, [*_, backup] = self.home / "published", sorted((self.home / "backup").iterdir())
        found = {"dictionary": (published / "dictionary.html").read_text(encoding="utf-8")}
        for file in [*(published / "parquet").glob("**/*.parquet"), *backup.glob("*.parquet")]:
            found[f"{file.parent.name} {file.stem}"] = str(pq.read_table(file).to_pylist())
        copy = published / "fullpicture.duckdb"
        reading = Warehouse(f"duckdb:///{copy}", self.home / "reading") if copy.exists() else self.warehouse
        with reading.begin("look everywhere") as connection:
            tables = connection.execute(
                sa.text(
                    "select table_schema, table_name from information_schema.tables where table_catalog = current_catalog"
                    " and table_schema not in ('pg_catalog', 'information_schema')"
                )
            )
            for schema, table in tables.all():
                found[f"{schema}.{table}"] = str(connection.execute(sa.text(f'select * from {schema}."{table}"')).all())
        if copy.exists():
            found["the copy's bytes"] = copy.read_bytes().decode("latin-1")  # also of what it shows to nobody any more
        return {place: text.lower() for place, text in found.items()}

    def rows(self, table: str) -> list[Row]:
        return self.ask(f"select * from {table}")

    def ask(self, statement: str) -> list[Row]:
        with self.warehouse.begin("a test asks") as connection:
            return [dict(row) for row in connection.execute(sa.text(statement)).mappings()]


@contextmanager
def opened(warehouse: Warehouse) -> Iterator[None]:
    """Keeps DuckDB's file open in this process: to open it for each transaction is most of the time of a small one."""
    with warehouse._connect() if warehouse.dialect == "duckdb" else nullcontext():
        yield


@contextmanager
def company(world: World, home: Path, warehouse_url: str | None = None, *, processes: bool = False) -> Iterator[Company]:
    """The company until the block ends; the environment is then what it was. `processes`: others open its warehouse too."""
    before = dict(os.environ)
    file = home / "work" / "warehouse.duckdb"
    if not (processes or warehouse_url or file.exists()):
        prepared.file(file)
    warehouse = Warehouse(warehouse_url or f"duckdb:///{file}", home / "work", wait_seconds=20)
    with serve(world) as running, nullcontext() if processes else opened(warehouse):
        try:
            yield Company(running, warehouse, home)
        finally:
            os.environ.clear()
            os.environ.update(before)
            Limiter._all.clear()  # the ports come again


def _steps() -> list[Model | str]:
    """The models, the resolving of identities and the review of gaps, each after what it reads."""
    library = {model.full_name: model for model in models.library()}
    writers = {**dict.fromkeys(identity.WRITES, "identity"), **dict.fromkeys(("unified.gaps", "unified.gap_events"), "gaps")}
    reads: dict[str, set[str]] = {name: set(model.inputs) for name, model in library.items()}
    reads["identity"] = {table for tables in identity.WRITES.values() for table in tables}
    reads["gaps"] = {table for rule in gaps.rules() for table in rule.inputs}
    steps = TopologicalSorter({name: {writers.get(table, table) for table in tables} for name, tables in reads.items()})
    return [library.get(step, step) for step in steps.static_order() if step in reads]
