"""The shape of fullpicture.yaml: every key, its type, its default and what it means, one section per tool.

Here belongs what a company may choose. Not here: secrets and addresses, which only ever come from the environment
(each tool's section names its variables), and reading or explaining the file.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime, time
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError
from rapidfuzz import process

from connectors.base import Connector
from connectors.columns import streams


def _time_of_day(value: Any) -> Any:
    """Pydantic would take a number for seconds, and cron knows none."""
    try:
        return datetime.strptime(value, "%H:%M").time()
    except (TypeError, ValueError):
        raise PydanticCustomError("time_parsing", "should be a time of day") from None


Count = Annotated[int, Field(ge=1)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _a_section_with_nothing_in_it_is_the_default(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, Mapping) else data


class ToolSection(Section):
    """One tool: the variables of each way to log in (the address first), and which of its own fields mean what."""

    tool: ClassVar[str]
    label: ClassVar[str]
    ways: ClassVar[tuple[tuple[str, ...], ...]]

    fields: dict[str, dict[str, str]] = Field(default_factory=dict, description="table → column → the vendor's field")

    @field_validator("fields")
    @classmethod
    def _only_mapped_columns(cls, fields: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        allowed = [f"{s.name}.{c.name}" for s in streams(cls.tool).values() for c in s.columns if c.mapped]
        for name in (f"{table}.{column}" for table, columns in fields.items() for column in columns):
            if name not in allowed:
                found = process.extractOne(name, allowed, score_cutoff=60)
                hint = f"did you mean {found[0]}?" if found else f"there are {', '.join(allowed)}"
                raise ValueError(f"{name} is not a column that can be mapped; {hint}")
        return fields

    @classmethod
    @abstractmethod
    def connector_class(cls) -> type[Any]:
        """Imported when it is needed; a subclass of Connector, which declares no constructor of its own."""

    def connect(self, variables: Mapping[str, str]) -> Connector:
        """The connector, whose arguments are named as the variables are: SALESFORCE_CLIENT_ID is `client_id`."""
        names = {name: name.lower().removeprefix(f"{self.tool}_").removesuffix("_file") for name in variables}
        arguments = {names[name]: value for name, value in variables.items()}
        connector: Connector = self.connector_class()(**arguments, fields=self.fields)
        return connector


class Salesforce(ToolSection):
    tool = "salesforce"
    label = "Salesforce"
    ways = (
        ("SALESFORCE_URL", "SALESFORCE_CLIENT_ID", "SALESFORCE_CLIENT_SECRET"),
        ("SALESFORCE_URL", "SALESFORCE_CLIENT_ID", "SALESFORCE_USERNAME", "SALESFORCE_PRIVATE_KEY_FILE"),
    )

    @classmethod
    def connector_class(cls) -> type[Any]:
        from connectors.salesforce import Salesforce

        return Salesforce


class Jira(ToolSection):
    tool = "jira"
    label = "Jira"
    ways = (("JIRA_URL", "JIRA_EMAIL", "JIRA_API_TOKEN"), ("JIRA_URL", "JIRA_ACCESS_TOKEN"))

    @classmethod
    def connector_class(cls) -> type[Any]:
        from connectors.jira import Jira

        return Jira


class Zendesk(ToolSection):
    tool = "zendesk"
    label = "Zendesk"
    ways = (
        ("ZENDESK_URL", "ZENDESK_CLIENT_ID", "ZENDESK_CLIENT_SECRET"),
        ("ZENDESK_URL", "ZENDESK_EMAIL", "ZENDESK_API_TOKEN"),
    )

    @classmethod
    def connector_class(cls) -> type[Any]:
        from connectors.zendesk import Zendesk

        return Zendesk


TOOLS: Mapping[str, type[ToolSection]] = {section.tool: section for section in (Salesforce, Jira, Zendesk)}


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


class WarehouseSection(Section):
    wait_minutes: Count = Field(default=15, description="How long to wait while another process writes to the warehouse")


class Config(Section):
    timezone: str = Field(default="UTC", description="What a day and the night mean, such as Europe/Berlin")
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$", description="The currency of every reported amount")
    night: Night = Night()
    salesforce: Salesforce = Salesforce()
    jira: Jira = Jira()
    zendesk: Zendesk = Zendesk()
    customers: Customers = Customers()
    features: Features = Features()
    escalations: Escalations = Escalations()
    gaps: Gaps = Gaps()
    publish: Publish = Publish()
    warehouse: WarehouseSection = WarehouseSection()

    @field_validator("timezone")
    @classmethod
    def _a_zone_that_exists(cls, name: str) -> str:
        if name not in available_timezones():
            found = process.extractOne(name, sorted(available_timezones()), score_cutoff=60)
            raise ValueError(f"{name!r} is not a time zone; did you mean {found[0] if found else 'Europe/Berlin'}?")
        return name
