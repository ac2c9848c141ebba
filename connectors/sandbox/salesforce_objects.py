"""What describe says: the objects of the org, their fields and types, and the fields that are computed when read.

Here belongs the org's schema. Not here: records, queries or endpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from connectors.sandbox.names import LOSS_REASONS
from connectors.sandbox.salesforce_kinds import AUDIT, KINDS, MULTI_CURRENCY
from connectors.sandbox.salesforce_org import PREFIXES, STAGES

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

Compute = Callable[["World", "Record"], Any]


@dataclass(frozen=True)
class Field:
    name: str
    type: str
    compute: Compute | None = None
    formula: str | None = None  # formula or roll-up: its value changes without moving SystemModstamp
    values: tuple[str, ...] = ()
    currencies: bool = False  # only an org with several currencies has it
    help: str | None = None

    @property
    def label(self) -> str:
        return self.name.removesuffix("__c").replace("_", " ")


@dataclass(frozen=True)
class Object:
    name: str
    label: str
    kind: str | None  # of the world's records; None: the org has none
    fields: Mapping[str, Field]  # by name in lower case
    currencies: bool = False  # only an org with several currencies has it


def _billing_address(_: World, account: Record) -> Record:
    parts = {name.lower(): account[f"Billing{name}"] for name in ("City", "Country", "Street")}
    return {
        **parts,
        "postalCode": account["BillingPostalCode"],
        "state": None,
        "geocodeAccuracy": None,
        "latitude": None,
        "longitude": None,
    }


def _open_pipeline(world: World, account: Record) -> float:
    def by_account() -> dict[str, float]:
        sums: dict[str, float] = {}
        for deal in world.alive("opportunity"):
            if not deal["IsClosed"]:
                sums[deal["AccountId"]] = sums.get(deal["AccountId"], 0.0) + (deal["Amount"] or 0.0)
        return sums

    sums: dict[str, float] = world.derived("opportunity", "open pipeline", by_account)
    return sums.get(account["Id"], 0.0)


def _record_type(world: World, deal: Record) -> str | None:
    wanted = "Renewal" if deal["Type"] == "Renewal" else "New_Business"
    types = world.store("record_type").values()
    return next((found["Id"] for found in types if found["DeveloperName"] == wanted and "_deleted_at" not in found), None)


def _archived(world: World, activity: Record) -> bool:
    """Closed tasks and events of over a year ago, which `query` leaves out."""
    day = activity["ActivityDate"] or activity["CreatedDate"][:10]
    return bool(activity.get("IsClosed", True)) and day < (world.now - timedelta(days=365)).date().isoformat()


def currency(_: World, record: Record) -> str:
    deal = record.get("OpportunityId") or record["Id"]
    return ("USD", "EUR", "GBP")[sum(map(ord, deal)) % 3]


def _object(name: str, label: str, kind: str | None, fields: str, *more: Field, currencies: bool = False) -> Object:
    """`fields`: name:type, apart by spaces; what has no type is a string."""
    plain = [Field(field, field_type or "string") for field, _, field_type in (word.partition(":") for word in fields.split())]
    return Object(name, label, kind, {field.name.lower(): field for field in (*plain, *more)}, currencies)


_MONEY = Field("CurrencyIsoCode", "picklist", currency, currencies=True)
_COMPUTED: Mapping[str, tuple[Field, ...]] = {
    "opportunity_history": (_MONEY,),
    "opportunity_line_item": (_MONEY,),
    "pricebook_entry": (_MONEY,),
    "salesforce_task": (Field("IsArchived", "boolean", _archived),),
    "salesforce_event": (Field("IsArchived", "boolean", _archived),),
}
OBJECTS = {
    sobject.name.lower(): sobject
    for sobject in (
        _object(
            "Account",
            "Account",
            "account",
            "Id:id IsDeleted:boolean MasterRecordId:reference Name Type:picklist ParentId:reference BillingStreet:textarea"
            " BillingCity BillingPostalCode BillingCountry Phone:phone Website:url Industry:picklist"
            " AnnualRevenue:currency NumberOfEmployees:int Description:textarea OwnerId:reference" + AUDIT,
            Field("Success_Plan__c", "textarea", help="What we agreed with the customer for this year."),
            Field("BillingAddress", "address", _billing_address),
            Field("Open_Pipeline__c", "currency", _open_pipeline, formula="SUM(Opportunities.Amount)"),
        ),
        _object(
            "Contact",
            "Contact",
            "contact",
            "Id:id IsDeleted:boolean MasterRecordId:reference AccountId:reference LastName FirstName Name Email:email Title"
            " Phone:phone OwnerId:reference Newsletter__c:boolean" + AUDIT,
        ),
        _object(
            "Opportunity",
            "Opportunity",
            "opportunity",
            "Id:id IsDeleted:boolean AccountId:reference Name Description:textarea Amount:currency Probability:percent"
            " ExpectedRevenue:currency CloseDate:date Type:picklist NextStep LeadSource:picklist IsClosed:boolean"
            " IsWon:boolean ForecastCategory:picklist ForecastCategoryName:picklist OwnerId:reference ContractId:reference"
            " Blocking_Feature__c" + AUDIT,
            Field("StageName", "picklist", values=tuple(STAGES)),
            Field("Loss_Reason__c", "picklist", values=LOSS_REASONS),
            Field("RecordTypeId", "reference", _record_type),
            _MONEY,
        ),
        _object(
            "User",
            "User",
            "salesforce_user",  # users have no IsDeleted
            "Id:id Username LastName FirstName Name Email:email IsActive:boolean UserType:picklist Title Department"
            " ManagerId:reference" + AUDIT,
        ),
        *(
            _object(
                kind.sobject,
                kind.label,
                name,
                kind.fields,
                *_COMPUTED.get(name, ()),
                currencies=name in MULTI_CURRENCY,
            )
            for name, kind in KINDS.items()
        ),
        _object(
            "Attachment",
            "Attachment",
            None,
            "Id:id IsDeleted:boolean ParentId:reference Name Body:base64 BodyLength:int" + AUDIT,
        ),
        _object("UserPermissionAccess", "User Permission Access", None, "Id:id PermissionsViewAllData:boolean"),
    )
}

_SOAP = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "currency": "xsd:double",
    "double": "xsd:double",
    "percent": "xsd:double",
    "datetime": "xsd:dateTime",
    "base64": "xsd:base64Binary",
    "address": "urn:address",
    "anyType": "xsd:anyType",
    "boolean": "xsd:boolean",
    "int": "xsd:int",
    "date": "xsd:date",
}
_TO = {
    "AccountId": "Account",
    "ParentId": "Account",
    "OpportunityId": "Opportunity",
    "ContactId": "Contact",
    "ContractId": "Contract",
    "OwnerId": "User",
    "ManagerId": "User",
    "CreatedById": "User",
    "LastModifiedById": "User",
    "Product2Id": "Product2",
    "PricebookEntryId": "PricebookEntry",
    "RecordTypeId": "RecordType",
    "Account__c": "Account",
}


def described(sobject: Object) -> Record:
    """The short description of an object, as the list of all has it."""
    return {
        "name": sobject.name,
        "label": sobject.label,
        "labelPlural": sobject.label + "s",
        "custom": sobject.name.endswith("__c"),
        "keyPrefix": PREFIXES.get(sobject.kind or "", "00P"),
        "queryable": True,
        "retrieveable": True,
        "replicateable": True,
        "searchable": True,
        "createable": True,
        "updateable": True,
        "deletable": sobject.name != "User",
        "deprecatedAndHidden": False,
    }


def describe(sobject: Object, fields: Iterable[Field], labels: Mapping[str, str]) -> Record:
    """The whole description, with those fields that are to be seen; `labels`: names that people gave to fields."""
    shown = [_describe(field, labels.get(f"{sobject.name}.{field.name}", field.label)) for field in fields]
    return {**described(sobject), "fields": shown}


def _describe(field: Field, label: str) -> Record:
    texts = field.type in ("string", "textarea", "url", "email", "phone", "picklist", "combobox")
    return {
        "name": field.name,
        "label": label,
        "type": field.type,
        "soapType": _SOAP.get(field.type, "xsd:string"),
        "custom": field.name.endswith("__c"),
        "calculated": field.formula is not None,
        "calculatedFormula": field.formula,
        "inlineHelpText": field.help,
        "nillable": field.name not in ("Id", "IsDeleted"),
        "filterable": field.type not in ("base64", "textarea", "address", "anyType"),
        "sortable": field.type not in ("base64", "textarea", "address"),
        "length": 18 if field.type in ("id", "reference") else 255 if texts else 0,
        "precision": 18 if field.type == "currency" else 0,
        "scale": 2 if field.type == "currency" else 0,
        "referenceTo": [_TO[field.name]] if field.name in _TO else [],
        "compoundFieldName": "BillingAddress" if field.name.startswith("Billing") and field.type != "address" else None,
        "picklistValues": [{"value": value, "label": value, "active": True, "defaultValue": False} for value in field.values],
    }
