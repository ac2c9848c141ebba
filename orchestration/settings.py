"""What people set: the environment and fullpicture.yaml, validated, in one object.

Here belongs everything that reads either of them, and every message about a wrong one. Not here: what is done with a
setting; and reading them is never needed to load Dagster's definitions, so a bad setting shows when a run starts, not
as a broken location.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from pydantic import ValidationError
from rapidfuzz import process

from connectors.base import Connector, SourceError
from orchestration.config import TOOLS, Config, ToolSection
from warehouse.engine import Warehouse
from warehouse.schema import PAIR

# Where pydantic's own words would puzzle a reader.
EXPECTED = {
    "model_type": "should hold keys and values",
    "dict_type": "should hold keys and values",
    "missing": "is missing",
    "time_parsing": 'should be a time of day such as "02:00"',
    "string_pattern_mismatch": "should be three capital letters such as USD",  # only the currency has a pattern
}
VENDOR_VARIABLES = tuple(dict.fromkeys(name for tool in TOOLS.values() for way in tool.ways for name in way))


class SettingsError(Exception):
    """What is wrong with the settings, in one line that names the variable or the key and says what to do."""


@dataclass(frozen=True)
class Tool:
    """One tool as it is set here. `variables` holds those of its variables that are set, secrets among them; in `work` its
    processes keep what each must know."""

    section: ToolSection
    variables: Mapping[str, str] = field(repr=False)
    work: Path

    @property
    def name(self) -> str:
        return self.section.tool

    @property
    def off(self) -> bool:
        """Whether the tool is not used. Half of its variables are a mistake, which `connector` names."""
        return not self.section.on(self.variables)

    @property
    def url(self) -> str | None:
        return self.variables.get(f"{self.name.upper()}_URL")

    def connector(self, **more: Any) -> Connector:
        """The tool's connector; `more` goes to its constructor. Raises SettingsError if variables are missing or the
        address is not safe."""
        way = self._way()
        credentials = {name: _content(name, self.variables[name]) for name in way}
        shared = {"quota_folder": self.work / "quota"} if self.section.daily_quota else {}
        try:
            return self.section.connect(credentials, **shared, **more)
        except SourceError as error:
            raise SettingsError(str(error)) from None

    def _way(self) -> tuple[str, ...]:
        """The variables of the way to log in that is set in full."""
        label, ways = self.section.label, self.section.ways
        if self.off:
            choices = self.section.switch or ", or ".join(" ".join(way) for way in ways)
            raise SettingsError(f"{label} is off: set {choices} to read it")
        for way in ways:
            if all(name in self.variables for name in way):
                return way
        nearest = max(ways, key=lambda way: sum(name in self.variables for name in way))
        missing = " and ".join(name for name in nearest if name not in self.variables)
        raise SettingsError(f"{label} is only half set: set {missing} too, or unset {' and '.join(self.variables)}")


@dataclass(frozen=True)
class Settings:
    """Everything that is set, read once at the start of a run or a command."""

    home: Path
    dagster_home: Path
    config: Config
    warehouse_url: str = field(repr=False)
    now: datetime
    tools: Mapping[str, Tool]

    @property
    def published(self) -> Path:
        return self.home / "published"

    @property
    def backups(self) -> Path:
        return self.home / "backup"

    def privacy_key(self, make: bool) -> bytes:
        """What the hashes of erased people are made with: never in the warehouse, nor in a backup of it. `make`: if there
        is none yet."""
        path = self.home / "privacy.key"
        try:
            if make and not path.exists():
                self.home.mkdir(parents=True, exist_ok=True)
                aside = path.with_suffix(f".{os.getpid()}")
                aside.touch(0o600)
                aside.write_text(secrets.token_hex(32))
                with suppress(FileExistsError):  # another process was faster
                    os.link(aside, path)
                aside.unlink()
            return path.read_bytes()
        except OSError as error:
            raise SettingsError(
                f"{path} cannot be read or made: {error.strerror}. People were, or are to be, erased under it: put it back."
            ) from None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.config.timezone)

    @property
    def connected(self) -> list[Tool]:
        return [tool for tool in self.tools.values() if not tool.off]

    @property
    def work(self) -> Path:
        return self.home / "work"

    def warehouse(self) -> Warehouse:
        return Warehouse(self.warehouse_url, self.work, wait_seconds=self.config.warehouse.wait_minutes * 60)

    def chosen(self, names: Sequence[str]) -> list[Tool]:
        """The tools of these names, else all that are connected."""
        tools = [self.tool(name) for name in names] or self.connected
        if not tools:
            raise SettingsError(
                f"No tool is set: set the variables of {', '.join(section.label for section in TOOLS.values())} "
                "(see the README), or try fullpicture demo"
            )
        return tools

    def tool(self, name: str) -> Tool:
        if name in self.tools:
            return self.tools[name]
        raise SettingsError(f"{name} is not a tool{nearest(name, self.tools)}")


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings as they are now. Raises SettingsError; reads no network and opens no database."""
    env = {name: value for name, value in (os.environ if environment is None else environment).items() if value.strip()}
    home = Path(env.get("FULLPICTURE_HOME", "data")).absolute()
    config = _config(env)
    return Settings(
        home=home,
        dagster_home=Path(env.get("DAGSTER_HOME", home / "dagster")).absolute(),
        config=config,
        warehouse_url=env.get("WAREHOUSE_URL", f"duckdb:///{home / 'work' / 'warehouse.duckdb'}"),
        now=_clock(env),
        tools={name: Tool(config.tool(name), _variables(section, env), home / "work") for name, section in TOOLS.items()},
    )


def put(environment: Mapping[str, str | None]) -> None:
    """Sets variables for this process and those that it starts; None takes one away."""
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def warehouse_is_named() -> bool:
    """Whether the environment names a warehouse, right or wrong."""
    return bool(os.environ.get("WAREHOUSE_URL", "").strip())


def config_or_defaults() -> Config:
    """What the definitions need when they load (the hour of the night): the defaults while the settings are wrong."""
    try:
        return load().config
    except SettingsError:
        return Config()


def _variables(section: type[ToolSection], env: Mapping[str, str]) -> dict[str, str]:
    names = dict.fromkeys(name for way in section.ways for name in way)
    return {name: env[name].strip() for name in names if name in env}


def _content(variable: str, value: str) -> str:
    """The value, or what stands in the file that it names."""
    if not variable.endswith("_FILE"):
        return value
    try:
        return Path(value).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"{variable} names {value}, which cannot be read: {reason}") from None


def _clock(env: Mapping[str, str]) -> datetime:
    text = env.get("FULLPICTURE_NOW")
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise SettingsError(f"FULLPICTURE_NOW is {text!r}: it must be a moment with its zone, such as 2026-11-02T04:00:00Z")
    return moment.astimezone(UTC)


def tables(settings: Settings, people_key: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of the `settings.*` tables, which the models join in place of any constant or clock. `people_key`: what
    customers' people are hashed with."""
    config = settings.config
    clock = {"as_of": settings.now, "today": settings.now.astimezone(settings.zone).date(), "timezone": config.timezone}
    options = {
        "currency": config.currency,
        "fresh_hours": config.gaps.fresh_hours,
        "late_critical_hours": config.gaps.late_critical_hours,
        "blocker_close_days": config.gaps.blocker_close_days,
        "evidence_closed_months": config.features.evidence_closed_months,
        "renewal_days": config.customers.renewal_days,
        "organization_ticket_days": config.gaps.organization_ticket_days,
        "people": config.privacy.unified,
        "people_key": people_key,
    }
    tools = settings.tools.values()
    return {
        "clock": [clock],
        "options": [options],
        "tools": [{"tool": tool.name, "connected": not tool.off, "url": tool.url} for tool in tools],
        "reads": [
            {"tool": tool.name, "read": read.name, "connected": not tool.off} for tool in tools for read in tool.section.reads()
        ],
        "mapped_fields": [
            {"tool": tool.name, "stream": stream, "column_name": column, "field": vendor_field}
            for tool in tools
            for stream, columns in tool.section.fields.items()
            for column, vendor_field in columns.items()
        ],
        "internal_domains": [{"domain": domain.lower()} for domain in config.customers.internal_domains],
        "shared_domains": [{"domain": domain.lower()} for domain in config.customers.shared_domains],
        "match_overrides": [
            dict(zip((*PAIR, "decision"), (*left.split("/", 2), *right.split("/", 2), decision), strict=True))
            for decision, pairs in (("always", config.customers.always_match), ("never", config.customers.never_match))
            for left, right in pairs
        ],
        "segments": [{"segment": name, "arr_from": arr} for name, arr in config.customers.segments.items()],
        "feature_types": [{"name": name} for name in config.features.types],
        "feature_values": [{"value": value, "issue_key": key.upper()} for value, key in config.features.values.items()],
        "declined_resolutions": [{"name": name} for name in config.features.declined_resolutions],
        "escalation_marks": [
            *({"kind": "tag", "value": tag} for tag in config.escalations.tags),
            *({"kind": "priority", "value": priority} for priority in config.escalations.priorities),
        ],
    }


# The settings file -------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML in which a key that is given twice is an error, where PyYAML would silently keep the last, and in which 22:30
    is a text, where it would make a number to the base of sixty."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value} is set twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> Any:
        return node.value if ":" in node.value else super().construct_yaml_int(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def _config(env: Mapping[str, str]) -> Config:
    path = Path(env.get("FULLPICTURE_CONFIG", "fullpicture.yaml"))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if "FULLPICTURE_CONFIG" not in env and isinstance(error, FileNotFoundError):
            return Config()
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"{path} cannot be read: {reason} (set by FULLPICTURE_CONFIG)") from None
    try:
        content = yaml.load(text, _Loader) or {}  # noqa: S506, a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsError(f"{path.name}, line {line}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path.name}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise SettingsError(f"{path.name} must hold keys and values, as in fullpicture.example.yaml")
    try:
        return Config.model_validate(content, context={"folder": path.absolute().parent})
    except ValidationError as error:
        raise SettingsError("; ".join(f"{path.name}: {line}" for line in _explained(error))) from None


def _explained(error: ValidationError) -> Iterator[str]:
    keys = list(_keys(Config))
    for detail in error.errors(include_url=False):
        where = ".".join(str(part) for part in detail["loc"] if part != "[key]")
        if detail["type"] == "extra_forbidden":
            yield f"{where} is not a setting{nearest(where, keys)}"
        elif detail["type"] == "value_error":
            said = str(detail["ctx"]["error"])
            yield where + (said if said.startswith(".") else f": {said}")
        else:
            said = detail["msg"] if detail["type"] == "literal_error" else detail["msg"].split(", ")[0]
            expected = EXPECTED.get(detail["type"], said.removeprefix("Input "))
            yield f"{where} is {detail['input']!r}: it {expected}"


def _keys(model: type[Any], prefix: str = "") -> Iterator[str]:
    """Every dotted key that the settings file may hold."""
    for name, info in model.model_fields.items():
        yield prefix + name
        if hasattr(info.annotation, "model_fields"):
            yield from _keys(info.annotation, f"{prefix}{name}.")


def nearest(wrong: str, right: Sequence[str] | Mapping[str, Any]) -> str:
    """The end of a message: which right one is meant, by the whole key, else by its last part; else what there is."""
    found = process.extractOne(wrong, list(right), score_cutoff=75)
    if found is None:
        last = {key.rsplit(".", 1)[-1]: key for key in right}
        inner = process.extractOne(wrong.rsplit(".", 1)[-1], list(last), score_cutoff=75)
        if inner is None:
            return f"; there are {', '.join(sorted({key.split('.')[0] for key in right}))}"
        return f"; did you mean {last[inner[0]]}?"
    return f"; did you mean {found[0]}?"
