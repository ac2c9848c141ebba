"""The shape of fullpicture.yaml: every key, its type, its default and what it means, one section per tool.

Here belongs what a company may choose. Not here: secrets and addresses, which only ever come from the environment
(each tool's section names its variables), and reading or explaining the file.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NoReturn, Self
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError
from rapidfuzz import process

from connectors.base import Choices, Connector, Read, SourceError, Type


def _time_of_day(value: Any) -> Any:
    """Pydantic would take a number for seconds, and cron knows none."""
    try:
        return datetime.strptime(value, "%H:%M").time()
    except (TypeError, ValueError):
        raise PydanticCustomError("time_parsing", "should be a time of day") from None


Count = Annotated[int, Field(ge=1)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
RecordName = Annotated[str, Field(pattern=r"^[a-z_]+/[a-z_]+/.+$")]
Pair = tuple[RecordName, RecordName]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _a_section_with_nothing_in_it_is_the_default(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, Mapping) else data


class ToolSection(Section):
    """One tool: the variables of each way to log in (the address first), what of it is read, and what its fields mean."""

    tool: ClassVar[str]
    label: ClassVar[str]
    ways: ClassVar[tuple[tuple[str, ...], ...]]
    switch: ClassVar[str] = ""  # what to set, where that is no variable
    daily_quota: ClassVar[bool] = False  # whether the vendor counts the requests of a day, so that all processes must

    fields: dict[str, dict[str, str]] = Field(default_factory=dict, description="table → column → the vendor's field")
    without: list[str] = Field(default=[], description="Tables, and single fields such as tickets.description, not to read")
    since: date | None = Field(
        default=None, description="The first read leaves out what was last changed before; may move back later"
    )

    @classmethod
    @abstractmethod
    def connector_class(cls) -> type[Any]:
        """Imported when it is needed; a subclass of Connector, which declares no constructor of its own."""

    def declared(self) -> tuple[Read, ...]:
        """Every read there is, switched off or not."""
        reads: tuple[Read, ...] = self.connector_class().reads
        return reads

    def reads(self) -> tuple[Read, ...]:
        """The reads that are wanted, each with its wanted tables."""
        wanted = [
            replace(read, streams=tuple(stream for stream in read.streams if stream.name not in self.without))
            for read in self.declared()
        ]
        return tuple(read for read in wanted if read.streams)

    def choices(self) -> Choices:
        fields: dict[str, set[str]] = {}
        for stream, _, name in (wanted.partition(".") for wanted in self.without):
            if name:
                fields.setdefault(stream, set()).add(name)
        since = datetime.combine(self.since, time(), UTC) if self.since else None
        return Choices(self.fields, {stream: frozenset(names) for stream, names in fields.items()}, since)

    def chosen(self, read: Read) -> dict[str, Any]:
        """What decides which data a read brings: if it changes, everything is read once more."""
        names = {stream.name for stream in read.streams}
        whole = next(declared for declared in self.declared() if declared.name == read.name)
        chosen = {
            "fields": {name: self.fields[name] for name in names if self.fields.get(name)},
            "without": sorted(wanted for wanted in self.without if wanted.partition(".")[0] in names),
            "tables": sorted(names) if len(names) < len(whole.streams) else [],
            "since": self.since.isoformat() if self.since else None,
        }
        return {key: value for key, value in chosen.items() if value}

    def arguments(self) -> dict[str, Any]:
        """What the connector must know beside credentials and choices."""
        return {}

    def on(self, variables: Mapping[str, str]) -> bool:
        """Whether the tool is used at all. Some of its variables without the others are a mistake, and use it, too."""
        return bool(variables)

    def connect(self, variables: Mapping[str, str], **more: Any) -> Connector:
        """The connector, whose arguments are named as the variables are: SALESFORCE_CLIENT_ID is `client_id`."""
        names = {name: name.lower().removeprefix(f"{self.tool}_").removesuffix("_file") for name in variables}
        arguments = {names[name]: value for name, value in variables.items()} | self.arguments() | more
        connector: Connector = self.connector_class()(**arguments, choices=self.choices())
        return connector

    @model_validator(mode="after")
    def _only_what_there_is(self) -> Self:
        if not self.fields and not self.without:
            return self  # nearly always; and what a tool has costs time to find out
        streams = {stream.name: stream for read in self.declared() for stream in read.streams}
        mappable = [f"{name}.{column.name}" for name, stream in streams.items() for column in stream.columns if column.mapped]
        for name in (f"{table}.{column}" for table, columns in self.fields.items() for column in columns):
            if name not in mappable:
                _unknown("fields", name, "a column that can be mapped", mappable)
        for name in self.without:
            if name.partition(".")[0] not in streams:
                _unknown("without", name, "a table", list(streams))
        return self


def _unknown(key: str, name: str, kind: str, known: list[str]) -> NoReturn:
    found = process.extractOne(name, known, score_cutoff=60)
    hint = f"did you mean {found[0]}?" if found else f"there are {', '.join(known)}"
    raise ValueError(f".{key}: {name} is not {kind}; {hint}")  # behind the name of the section


class Salesforce(ToolSection):
    tool = "salesforce"
    label = "Salesforce"
    ways = (
        ("SALESFORCE_URL", "SALESFORCE_CLIENT_ID", "SALESFORCE_CLIENT_SECRET"),
        ("SALESFORCE_URL", "SALESFORCE_CLIENT_ID", "SALESFORCE_USERNAME", "SALESFORCE_PRIVATE_KEY_FILE"),
    )
    daily_quota = True

    objects: list[str] = Field(default=[], description="Custom objects to read, such as Product_Request__c")
    daily_share: float = Field(
        default=0.8, gt=0, le=1, description="Stop when this share of the org's daily requests is used, by anybody"
    )
    formula_days: Count = Field(default=7, description="How often formula fields are read anew, which change unnoticed")

    @classmethod
    def connector_class(cls) -> type[Any]:
        from connectors.salesforce import Salesforce

        return Salesforce

    def declared(self) -> tuple[Read, ...]:
        if not self.objects:
            return super().declared()
        from connectors.salesforce_streams import custom

        return (*super().declared(), *(custom(name) for name in self.objects))

    def arguments(self) -> dict[str, Any]:
        return {"objects": tuple(self.objects), "daily_share": self.daily_share, "formulas_days": self.formula_days}


class Jira(ToolSection):
    tool = "jira"
    label = "Jira"
    ways = (("JIRA_URL", "JIRA_EMAIL", "JIRA_API_TOKEN"), ("JIRA_URL", "JIRA_ACCESS_TOKEN"))

    concurrency: Count = Field(default=8, description="Requests at a time; Jira's limits may allow fewer, and are obeyed")

    @classmethod
    def connector_class(cls) -> type[Any]:
        from connectors.jira import Jira

        return Jira

    def arguments(self) -> dict[str, Any]:
        return {"concurrency": self.concurrency}


class Zendesk(ToolSection):
    tool = "zendesk"
    label = "Zendesk"
    ways = (
        ("ZENDESK_URL", "ZENDESK_CLIENT_ID", "ZENDESK_CLIENT_SECRET"),
        ("ZENDESK_URL", "ZENDESK_EMAIL", "ZENDESK_API_TOKEN"),
    )

    jira_integration: str | None = Field(default=None, description="Id of the newer Jira integration, to read its links too")

    @classmethod
    def connector_class(cls) -> type[Any]:
        from connectors.zendesk import Zendesk

        return Zendesk

    def arguments(self) -> dict[str, Any]:
        return {"jira_integration": self.jira_integration}


class Pendo(ToolSection):
    tool = "pendo"
    label = "Pendo"
    ways = (("PENDO_URL", "PENDO_INTEGRATION_KEY"),)

    anonymous: bool = Field(default=False, description="Whether to read visitors without a name, who may be very many")
    first_days: Count = Field(default=90, description="How many days back the first read of events begins, if not by since")

    @classmethod
    def connector_class(cls) -> type[Any]:
        from connectors.pendo import Pendo

        return Pendo

    def arguments(self) -> dict[str, Any]:
        return {"anonymous": self.anonymous, "first_days": self.first_days}


class FileColumn(Section):
    model_config = ConfigDict(populate_by_name=True)

    type: Type = Field(description="What its values are")
    header: str = Field(default="", alias="from", description="What the file calls it, if otherwise; a dotted path in JSON")
    format: str = Field(default="", description="How dates are written, if not as ISO 8601, such as %d.%m.%Y")
    description: str = Field(default="", description="What it means")
    personal: bool = Field(default=False, description="Whether it holds names or addresses of people")

    @model_validator(mode="before")
    @classmethod
    def _a_type_alone_is_enough(cls, data: Any) -> Any:
        return {"type": data} if isinstance(data, str) else data


class FileStream(Section):
    path: str = Field(description="Where its files are, such as imports/notes/*.csv")
    key: list[str] = Field(default=[], description="The columns that tell its rows apart; else their whole content does")
    columns: dict[str, FileColumn] = Field(default={}, description="Column → its type; else what the files have, as text")
    description: str = Field(default="", description="What it is")
    timezone: str = Field(default="UTC", description="Of times that are written without a zone")


class Files(ToolSection):
    tool = "files"
    label = "Files"
    ways = ((),)
    switch = "files.streams"

    streams: dict[str, FileStream] = Field(default={}, description="Table → the CSV or JSON-lines files that it is read from")
    folder: Path = Field(default=Path(), description="Where the paths begin, from the folder of this file")

    @model_validator(mode="before")
    @classmethod
    def _begin_at_the_settings_file(cls, data: Any, info: ValidationInfo) -> Any:
        if not info.context or not isinstance(data, Mapping) or not data.get("streams"):
            return data
        return {**data, "folder": info.context["folder"] / (data.get("folder") or "")}

    @classmethod
    def connector_class(cls) -> type[Any]:
        from connectors.files import Files

        return Files

    def on(self, variables: Mapping[str, str]) -> bool:  # noqa: ARG002
        return bool(self.streams)

    def declared(self) -> tuple[Read, ...]:
        if not self.streams:
            return ()
        from connectors.files import reads_of

        return reads_of(**self.arguments())

    def arguments(self) -> dict[str, Any]:
        return {
            "streams": {name: said.model_dump(by_alias=True) for name, said in self.streams.items()},
            "folder": self.folder,
        }

    @model_validator(mode="after")
    def _described_so_that_it_can_be_read(self) -> Self:
        try:
            self.declared()
        except SourceError as error:
            raise ValueError(str(error).removeprefix(self.tool)) from None  # which stands before every message
        return self


TOOLS: Mapping[str, type[ToolSection]] = {section.tool: section for section in (Salesforce, Jira, Zendesk, Pendo, Files)}


class Night(Section):
    starts: TimeOfDay = Field(default=time(2), description="When the tools are read, in the time zone above")
    refresh_after_hours: Count = Field(default=4, description="The tables are rebuilt when all reads ended, at the latest then")
    read_minutes: Count = Field(default=120, description="How long one read may take")
    retries: int = Field(default=2, ge=0, description="How often a read that failed for a passing reason is tried again")


class Customers(Section):
    segments: dict[str, Decimal] = Field(
        default={"small": Decimal(0), "mid": Decimal(10_000), "large": Decimal(100_000)},
        description="Segment → the annual recurring revenue it starts from",
    )
    internal_domains: list[str] = Field(default=[], description="Our own domains: who writes from them is no customer")
    shared_domains: list[str] = Field(default=[], description="Domains that several companies share, so that they join nobody")
    always_match: list[Pair] = Field(default=[], description="Pairs of records that are one company, each as tool/type/id")
    never_match: list[Pair] = Field(default=[], description="Pairs of records that are two companies, whatever they share")
    renewal_days: Count = Field(default=90, description="A renewal is near from so many days before it")


class Features(Section):
    types: list[str] = Field(default=["Epic", "Idea", "New Feature"], description="Jira issue types that are features")
    values: dict[str, str] = Field(default={}, description="A field's value that means a feature → the key of its Jira issue")
    declined_resolutions: list[str] = Field(
        default=["Won't Do", "Declined", "Won't Fix"], description="Jira resolutions by which a feature is declined"
    )
    evidence_closed_months: Count = Field(default=12, description="A closed deal counts as evidence for so long")


class Escalations(Section):
    tags: list[str] = Field(default=["escalated"], description="Zendesk tags that mark a ticket as escalated")
    priorities: list[str] = Field(default=["urgent"], description="Zendesk priorities that do")


class Gaps(Section):
    fresh_hours: Count = Field(default=26, description="A read that ended well so long ago still counts as fresh")
    late_critical_hours: Count = Field(default=24, description="A source that is late for longer is critical")
    blocker_close_days: Count = Field(default=60, description="A blocked deal that closes within so many days is critical")
    organization_ticket_days: Count = Field(default=90, description="An organization with a ticket since then is active")


class Publish(Section):
    raw: bool = Field(default=False, description="Whether the published copy also holds the tools' raw tables")
    parquet: bool = Field(default=True, description="Whether the unified tables are published as Parquet files as well")
    role: str = Field(default="fullpicture_reader", description="On PostgreSQL, the role that may read them; empty for none")


class Privacy(Section):
    unified: Literal["keep", "hash", "drop"] = Field(
        default="hash", description="What becomes there of the names and addresses of customers' people"
    )


class WarehouseSection(Section):
    wait_minutes: Count = Field(default=15, description="How long to wait while another process writes to the warehouse")
    keep_run_days: Count = Field(default=400, description="How long is known what runs did; of the last ones always")
    keep_backups: Count = Field(default=14, description="How many backups are left, one a refresh; and of those with --all")


class Config(Section):
    timezone: str = Field(default="UTC", description="What a day and the night mean, such as Europe/Berlin")
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$", description="The currency of every reported amount")
    night: Night = Night()
    salesforce: Salesforce = Salesforce()
    jira: Jira = Jira()
    zendesk: Zendesk = Zendesk()
    pendo: Pendo = Pendo()
    files: Files = Files()
    customers: Customers = Customers()
    features: Features = Features()
    escalations: Escalations = Escalations()
    gaps: Gaps = Gaps()
    publish: Publish = Publish()
    privacy: Privacy = Privacy()
    warehouse: WarehouseSection = WarehouseSection()

    def tool(self, name: str) -> ToolSection:
        section: ToolSection = getattr(self, name)
        return section

    @field_validator("timezone")
    @classmethod
    def _a_zone_that_exists(cls, name: str) -> str:
        if name not in available_timezones():
            found = process.extractOne(name, sorted(available_timezones()), score_cutoff=60)
            raise ValueError(f"{name!r} is not a time zone; did you mean {found[0] if found else 'Europe/Berlin'}?")
        return name
