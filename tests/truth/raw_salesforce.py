"""What Salesforce's raw tables must hold, from the world's own records by the vendor's rule for names alone.

Here belongs no connector's code: columns are listed once more, and each is looked up by the name that Salesforce gives it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from connectors.sandbox import sales
from connectors.sandbox.salesforce_kinds import MULTI_CURRENCY
from connectors.sandbox.salesforce_objects import OBJECTS
from connectors.sandbox.world import Record, World
from tests.truth.calendar import moment
from tests.truth.cases import Case, Key, Row

Rows = Callable[[World], dict[Key, Row]]

_STAMPS = " created_date:moment last_modified_date:moment system_modstamp:moment"
_ALL = " is_deleted" + _STAMPS
_ABSENT = ("segment", "arr", "currency_iso_code")  # nobody maps the first two, and the org has one currency
_RENAMED = {"blocking_feature": "Blocking_Feature__c", "loss_reason": "Loss_Reason__c"}


def _cents(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value)).quantize(Decimal("0.01"))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


_KINDS: dict[str, Callable[[Any], Any]] = {
    "": lambda value: value,
    "moment": moment,
    "day": lambda value: value and date.fromisoformat(value),
    "money": _cents,
    "text": _text,
}


def _field(column: str) -> str:
    return _RENAMED.get(column) or "".join(word.capitalize() for word in column.split("_"))


def _rows(kind: str, columns: str) -> Rows:
    """`columns`: column:kind, apart by spaces."""
    listed = [(name, _KINDS[of]) for name, _, of in (word.partition(":") for word in columns.split())]

    def row(world: World, record: Record) -> Row:
        return {name: None if name in _ABSENT else of(_value(world, record, name)) for name, of in listed}

    return lambda world: {(record["Id"],): row(world, record) for record in world.alive(kind)}


def _value(world: World, record: Record, column: str) -> Any:
    if column == "record_type_id":
        named = "Renewal" if record["Type"] == "Renewal" else "New_Business"
        return next((found["Id"] for found in world.alive("record_type") if found["DeveloperName"] == named), None)
    return record[_field(column)]


def fields(world: World) -> dict[Key, Row]:
    """The fields of the objects that have a table, in an org with one currency."""
    rows = {}
    for sobject in OBJECTS.values():
        if sobject.kind in (None, *MULTI_CURRENCY):
            continue
        for field in sobject.fields.values():
            if field.currencies:
                continue
            to = {"Id": None, "IsDeleted": None}.get(field.name, field.name)
            rows[(sobject.name, field.name, field.label)] = {
                "object": sobject.name,
                "name": field.name,
                "label": field.label,
                "type": field.type,
                "custom": field.name.endswith("__c"),
                "calculated": field.formula is not None,
                "calculated_formula": field.formula,
                "inline_help_text": field.help,
                "nillable": to is not None,
                "reference_to": _referred(field.name),
                "picklist_values": [
                    {"value": value, "label": value, "active": True, "defaultValue": False} for value in field.values
                ],
            }
    return rows


def _referred(name: str) -> list[str]:
    by_id = {name: [name.removesuffix("Id")] for name in ("AccountId", "OpportunityId", "ContactId", "ContractId")}
    people = {name: ["User"] for name in ("OwnerId", "ManagerId", "CreatedById", "LastModifiedById")}
    goods = {"Product2Id": ["Product2"], "PricebookEntryId": ["PricebookEntry"], "RecordTypeId": ["RecordType"]}
    return {**by_id, **people, **goods, "ParentId": ["Account"], "Account__c": ["Account"]}.get(name, [])


# how records come, change and go ----------------------------------------------------------------------------------------


def _any(world: World, kind: str) -> Record:
    """The newest living record of a kind."""
    return next(record for record in reversed(world.store(kind).values()) if "_deleted_at" not in record)


def _one(world: World, kind: str) -> Record:
    """A living record of a kind that others hang on, made where there is none."""
    return next(world.alive(kind), None) or _make(world, kind)


def _make(world: World, kind: str) -> Record:
    owner = next(iter(world.salesforce_users))
    if kind == "account":
        return world.create("account", Name="Truth Ltd", Website="truth.example", BillingCountry="Denmark", OwnerId=owner)
    if kind == "contact":
        about = {"FirstName": "Vera", "LastName": "Lund", "Email": "vera@truth.example", "Phone": "+45 1"}
        return world.create("contact", AccountId=_one(world, "account")["Id"], OwnerId=owner, **about)
    if kind == "opportunity":
        about = {"Name": "Truth: Renewal", "Type": "Renewal", "Amount": 1234.5, "CloseDate": world.day(30)}
        return world.create("opportunity", AccountId=_one(world, "account")["Id"], OwnerId=owner, LeadSource="Web", **about)
    if kind == "salesforce_user":
        return world.create("salesforce_user", FirstName="Sven", LastName="Holm", Email="sven@truth.example", ManagerId=owner)
    if kind == "opportunity_line_item":
        return sales.add_product(world, _one(world, "opportunity"), _one(world, "pricebook_entry"))
    if kind == "opportunity_contact_role":
        both = {"OpportunityId": _one(world, "opportunity")["Id"], "ContactId": _one(world, "contact")["Id"]}
        return world.create("opportunity_contact_role", **both, Role="Evaluator", IsPrimary=True)
    if kind == "salesforce_product":
        return world.create("salesforce_product", Name="Truth", ProductCode="T-1", Family="Services", StockKeepingUnit="T")
    if kind == "pricebook_entry":
        product = _one(world, "salesforce_product")
        return world.create("pricebook_entry", Product2Id=product["Id"], Pricebook2Id=sales.STANDARD_PRICEBOOK, UnitPrice=9.99)
    return _make_more(world, kind)


def _make_more(world: World, kind: str) -> Record:
    if kind == "opportunity_stage":
        about = {"ApiName": "Truth", "SortOrder": 9, "DefaultProbability": 55.0, "ForecastCategory": "Pipeline"}
        return world.create("opportunity_stage", MasterLabel="Truth", **about)
    if kind == "record_type":
        return world.create("record_type", Name="Truth", DeveloperName="Truth", SobjectType="Case", Description="For cases")
    if kind == "case":
        return sales.complain(world, _one(world, "account"))
    if kind == "salesforce_task":
        return sales.call(world, _one(world, "opportunity"), _one(world, "contact"))
    if kind == "salesforce_event":
        return sales.meet(world, _one(world, "opportunity"), _one(world, "contact"))
    if kind == "contract":
        return sales.sign(world, _one(world, "opportunity"))
    if kind == "currency_type":
        return world.create("currency_type", IsoCode="SEK", ConversionRate=10.443215, DecimalPlaces=2)
    if kind == "dated_conversion_rate":
        return world.create("dated_conversion_rate", IsoCode="SEK", StartDate=world.day(0), ConversionRate=10.5)
    return sales.wish(world, _one(world, "account"))


def _case(
    kind: str,
    columns: str,
    *,
    change: dict[str, Any] | None,
    delete: bool = True,
    undelete: bool = True,
    of: str = "",
) -> Case:
    """`of`: the kind whose records bring those of this kind along."""
    parent = of or kind

    def make(world: World, number: int) -> None:
        for _ in range(number):
            _make(world, parent)

    def changed(world: World) -> None:
        world.change(parent, _any(world, parent)["Id"], **(change or {}))

    def deleted(world: World) -> None:
        world.delete(parent, _any(world, parent)["Id"])

    def undeleted(world: World) -> None:
        gone = [record for record in world.store(parent).values() if "_deleted_at" in record and "_deleted_with" not in record]
        world.undelete(parent, max(gone, key=lambda record: record["_deleted_at"])["Id"])

    return Case(
        _rows(kind, columns),
        make,
        changed if change else None,
        deleted if delete else None,
        undeleted if delete and undelete else None,
    )


CASES: dict[str, Case] = {
    "accounts": _case(
        "account",
        "id name website parent_id owner_id type description phone industry billing_city billing_country number_of_employees"
        " annual_revenue:money master_record_id segment arr" + _ALL,
        change={"Name": "Truth Holding", "AnnualRevenue": 12_000_000, "NumberOfEmployees": 40},
    ),
    "contacts": _case(
        "contact",
        "id account_id owner_id name first_name last_name email phone title master_record_id" + _ALL,
        change={"Title": "Chief of Staff", "LastName": 'O\'Hara \\ "quoted"\nLund'},
    ),
    "opportunities": _case(
        "opportunity",
        "id account_id owner_id name stage_name amount:money currency_iso_code probability expected_revenue:money"
        " forecast_category close_date:day is_closed is_won type record_type_id lead_source contract_id next_step description"
        " blocking_feature loss_reason" + _ALL,
        change={"StageName": "Closed Lost", "Loss_Reason__c": "Price", "Blocking_Feature__c": "CORE-1", "Amount": 99.99},
    ),
    "users": _case(
        "salesforce_user",
        "id name email is_active user_type title department manager_id" + _STAMPS,
        change={"IsActive": False},
        delete=False,
    ),
    "opportunity_history": _case(
        "opportunity_history",
        "id opportunity_id created_by_id stage_name amount:money expected_revenue:money currency_iso_code close_date:day"
        " probability forecast_category prev_amount:money prev_close_date:day is_deleted created_date:moment",
        change={"StageName": "Negotiation/Review", "Amount": 777.0},
        of="opportunity",
    ),
    "opportunity_field_history": _case(
        "opportunity_field_history",
        "id opportunity_id created_by_id field data_type old_value:text new_value:text is_deleted created_date:moment",
        change={"Amount": 888.5, "CloseDate": "2027-01-31"},
        of="opportunity",
    ),
    "opportunity_line_items": _case(
        "opportunity_line_item",
        "id opportunity_id product2_id pricebook_entry_id product_code name sort_order quantity unit_price:money"
        " list_price:money total_price:money currency_iso_code service_date:day description" + _ALL,
        change={"Quantity": 3.0, "ServiceDate": "2026-12-01"},
    ),
    "opportunity_contact_roles": _case(
        "opportunity_contact_role", "id opportunity_id contact_id role is_primary" + _ALL, change={"Role": "Decision Maker"}
    ),
    "opportunity_stages": _case(
        "opportunity_stage",
        "id master_label api_name description is_active sort_order is_closed is_won default_probability forecast_category"
        " forecast_category_name" + _STAMPS,
        change={"IsActive": False, "Description": "Not used any more"},
        undelete=False,
    ),
    "products": _case(
        "salesforce_product",
        "id name product_code stock_keeping_unit family description quantity_unit_of_measure is_active is_archived" + _ALL,
        change={"IsActive": False},
    ),
    "pricebook_entries": _case(
        "pricebook_entry",
        "id pricebook2_id product2_id name product_code unit_price:money currency_iso_code is_active use_standard_price"
        " is_archived" + _ALL,
        change={"UnitPrice": 1_250_000.25},
    ),
    "record_types": _case(
        "record_type",
        "id sobject_type name developer_name description is_active" + _STAMPS,
        change={"IsActive": False},
        undelete=False,
    ),
    "cases": _case(
        "case",
        "id case_number account_id contact_id owner_id parent_id master_record_id subject description status priority type"
        " reason origin supplied_name supplied_email is_closed closed_date:moment is_escalated" + _ALL,
        change={"Status": "Closed", "SuppliedEmail": "somebody@truth.example"},
    ),
    "tasks": _case(
        "salesforce_task",
        "id who_id what_id account_id owner_id subject description task_subtype status priority activity_date:day is_closed"
        " completed_date_time:moment call_duration_in_seconds" + _ALL,
        change={"Status": "Completed", "CallDurationInSeconds": 340},
    ),
    "events": _case(
        "salesforce_event",
        "id who_id what_id account_id owner_id subject description location start_date_time:moment end_date_time:moment"
        " activity_date:day duration_in_minutes is_all_day_event" + _ALL,
        change={"DurationInMinutes": 90},
    ),
    "contracts": _case(
        "contract",
        "id contract_number account_id owner_id status status_code start_date:day end_date:day contract_term"
        " activated_date:moment special_terms description" + _ALL,
        change={"ContractTerm": 24},
    ),
    "currency_types": _case(
        "currency_type",
        "id iso_code conversion_rate decimal_places is_active is_corporate" + _STAMPS,
        change={"ConversionRate": 11.2},
        delete=False,
    ),
    "dated_conversion_rates": _case(
        "dated_conversion_rate",
        "id iso_code start_date:day next_start_date:day conversion_rate" + _STAMPS,
        change={"ConversionRate": 11.2},
        undelete=False,
    ),
    "fields": Case(fields),
    "product_request__c": _case("product_request", "id name owner_id" + _ALL, change={"Votes__c": 7.0, "Name": "PR-changed"}),
}
