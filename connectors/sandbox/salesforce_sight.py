"""What the connected user sees of the org: objects, fields and records, and which of them a query chooses.

Here belong permissions, visibility and the meaning of a query. Not here: the query language (`soql`), endpoints or pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from connectors.sandbox import salesforce_org, soql
from connectors.sandbox.salesforce_objects import OBJECTS, Field, Object
from connectors.sandbox.server import RefusedError
from connectors.sandbox.world import Record, World

DATA = "/services/data/v66.0"


def failure(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> RefusedError:
    return RefusedError(status, [{"message": message, "errorCode": code}], headers)


class Sight:
    """`hidden` names objects and fields that permissions hide, `unseen` the ids of records that nobody shares with the
    user, `labels` what administrators have called a field since. `short_ids`: ids come with 15 characters."""

    world: World
    multi_currency = False
    short_ids = False
    sees_all = True  # the permission View All Data, as the user's own permissions tell it
    visibility_lag = timedelta(0)  # rows younger than this are not visible yet
    history_kept: timedelta | None = None  # what fields were before is gone after this, without a mark; None: never

    def __init__(self) -> None:
        self.hidden: set[str] = set()  # such as "Case" or "Opportunity.Loss_Reason__c"
        self.unseen: set[str] = set()
        self.labels: dict[str, str] = {}  # such as "Account.Success_Plan__c"

    # objects and fields ---------------------------------------------------------------------------------------------

    def object(self, name: str) -> Object | None:
        sobject = OBJECTS.get(name.lower())
        if sobject is None or sobject.name in self.hidden or (sobject.currencies and not self.multi_currency):
            return None
        return sobject

    def fields(self, sobject: Object) -> list[Field]:
        return [
            field
            for field in sobject.fields.values()
            if f"{sobject.name}.{field.name}" not in self.hidden and (self.multi_currency or not field.currencies)
        ]

    def field(self, sobject: Object, name: str) -> Field:
        field = sobject.fields.get(name.lower())
        if field is None or field not in self.fields(sobject):
            raise failure(
                400,
                "INVALID_FIELD",
                f"\nSELECT {name} FROM {sobject.name}\n       ^\nERROR at Row:1:Column:8\nNo such column '{name}' on entity "
                f"'{sobject.name}'. If you are attempting to use a custom field, be sure to append the '__c' after the "
                "custom field name. Please reference your WSDL or the describe call for the appropriate names.",
            )
        return field

    # queries --------------------------------------------------------------------------------------------------------

    def parsed(self, text: str) -> soql.Query:
        """The query with the fields in the object's own spelling; what is unknown or of a wrong type is refused."""
        try:
            query = soql.parse(text)
        except soql.MalformedError as error:
            raise failure(400, "MALFORMED_QUERY", str(error)) from None
        sobject = self.object(query.object)
        if sobject is None:
            raise failure(
                400,
                "INVALID_TYPE",
                f"sObject type '{query.object}' is not supported. If you are attempting to use a custom object, "
                "be sure to append the '__c' after the entity name.",
            )
        fields = tuple(self.field(sobject, name).name for name in query.fields)
        for name, _ in query.order:
            self.field(sobject, name)
        for condition in _leaves(query.conditions):
            self._check(sobject, condition)
        return soql.Query(fields, sobject.name, query.conditions, query.order, query.limit, query.offset)

    def _check(self, sobject: Object, condition: soql.Condition) -> None:
        field = self.field(sobject, condition.field)
        for literal in condition.values:
            if literal.kind not in ("null", *_LITERALS.get(field.type, ("string",))):
                quoted = "should not be enclosed in quotes" if literal.kind == "string" else "should be enclosed in quotes"
                raise failure(
                    400,
                    "INVALID_FIELD",
                    f"{condition.field} {condition.sign} {literal.value}\n^\nERROR at Row:1:Column:1\n"
                    f"value of filter criterion for field '{field.name}' must be of type {field.type} and {quoted}",
                )

    def chosen(self, query: soql.Query, *, everything: bool) -> list[Record]:
        """`everything`: deleted and archived records too, as queryAll shows them."""
        sobject = OBJECTS[query.object.lower()]
        rows = [row for row in self.rows(sobject).values() if self._shows(sobject, row, everything)]
        for condition in query.conditions:
            rows = [row for row in rows if self._holds(condition, sobject, row)]
        for name, descending in reversed(query.order):
            is_id = _is_id(self.field(sobject, name))
            keys = {row["Id"]: _sortable(self.value(sobject, row, name), is_id) for row in rows}
            rows.sort(key=lambda row, keys=keys: keys[row["Id"]], reverse=descending)  # type: ignore[misc]
        return rows[query.offset :][: query.limit]

    def rows(self, sobject: Object) -> Mapping[str, Record]:
        if sobject.name == "UserPermissionAccess":
            return {"000": {"Id": "000", "PermissionsViewAllData": self.sees_all}}
        return self.world.store(sobject.kind) if sobject.kind else {}

    def _shows(self, sobject: Object, row: Record, everything: bool) -> bool:
        kept = self.history_kept if sobject.name.endswith("FieldHistory") else None
        if kept and row["CreatedDate"] < salesforce_org.time(self.world.now - kept):
            return False
        if "_purged" in row or row["Id"] in self.unseen or ("_deleted_at" in row and "IsDeleted" not in row):
            return False
        if self.visibility_lag:
            latest = salesforce_org.time(self.world.now - self.visibility_lag)
            if (row.get("SystemModstamp") or row.get("CreatedDate") or "") > latest:
                return False
        archived = "isarchived" in sobject.fields and sobject.kind in ("salesforce_task", "salesforce_event")
        return everything or not (row.get("IsDeleted") or (archived and self.value(sobject, row, "IsArchived")))

    def value(self, sobject: Object, row: Record, name: str) -> Any:
        field = sobject.fields[name.lower()]
        value = field.compute(self.world, row) if field.compute else row[field.name]
        return value[:15] if self.short_ids and value and _is_id(field) else value

    def shown(self, sobject: Object, row: Record, fields: tuple[str, ...]) -> Record:
        attributes = {"type": sobject.name, "url": f"{DATA}/sobjects/{sobject.name}/{row['Id']}"}
        return {"attributes": attributes, **{name: self.value(sobject, row, name) for name in fields}}

    def _holds(self, condition: soql.Condition | soql.Either, sobject: Object, row: Record) -> bool:
        """Text compares without regard to case, ids in either form; null is neither smaller nor greater than anything."""
        if isinstance(condition, soql.Either):
            return any(self._holds(each, sobject, row) for each in condition.conditions)
        is_id = _is_id(sobject.fields[condition.field.lower()])
        wanted = [_comparable(literal.value, is_id) for literal in condition.values]
        value = _comparable(self.value(sobject, row, condition.field), is_id)
        if condition.sign in ("=", "IN"):
            return value in wanted
        if condition.sign in ("!=", "NOT IN"):
            return value not in wanted
        if value is None or wanted[0] is None:
            return False
        below, equal = value < wanted[0], value == wanted[0]
        return bool({"<": below, "<=": below or equal, ">": not below and not equal, ">=": not below}[condition.sign])


_LITERALS = {
    "datetime": ("datetime",),
    "date": ("date",),
    "boolean": ("boolean",),
    "double": ("number",),
    "currency": ("number",),
    "percent": ("number",),
    "int": ("number",),
}


def _leaves(conditions: Iterable[soql.Condition | soql.Either]) -> Iterable[soql.Condition]:
    for condition in conditions:
        if isinstance(condition, soql.Either):
            yield from _leaves(condition.conditions)
        else:
            yield condition


def _is_id(field: Field) -> bool:
    return field.type in ("id", "reference")


def _comparable(value: Any, is_id: bool) -> Any:
    if not isinstance(value, str):
        return value
    if is_id:
        return salesforce_org.long_id(value) if len(value) == 15 else value
    return value.lower()


def _sortable(value: Any, is_id: bool) -> tuple[bool, Any]:
    """Nulls first, as Salesforce sorts them; ids by their characters."""
    return (value is not None, "" if value is None else _comparable(value, is_id))
