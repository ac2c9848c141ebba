"""What describe says: the objects of the org, their fields and types, and the fields that are computed when read.

Here belongs the org's schema. Not here: records, queries or endpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.sandbox.names import LOSS_REASONS
from connectors.sandbox.salesforce_org import STAGES

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

Compute = Callable[["World", "Record"], Any]


@dataclass(frozen=True)
class Field:
    name: str
    type: str
    compute: Compute | None = None
    calculated: bool = False  # formula or roll-up: its value changes without moving SystemModstamp
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Object:
    name: str
    label: str
    kind: str | None  # of the world's records; None: the org has none
    fields: Mapping[str, Field]  # by name in lower case


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


def _object(name: str, label: str, kind: str | None, fields: str, *more: Field) -> Object:
    """`fields`: name:type, apart by spaces; what has no type is a string."""
    plain = [Field(field, field_type or "string") for field, _, field_type in (word.partition(":") for word in fields.split())]
    return Object(name, label, kind, {field.name.lower(): field for field in (*plain, *more)})


_AUDIT = (
    " CreatedDate:datetime CreatedById:reference LastModifiedDate:datetime LastModifiedById:reference SystemModstamp:datetime"
)
OBJECTS = {
    sobject.name.lower(): sobject
    for sobject in (
        _object(
            "Account",
            "Account",
            "account",
            "Id:id IsDeleted:boolean MasterRecordId:reference Name Type:picklist ParentId:reference BillingStreet:textarea"
            " BillingCity BillingPostalCode BillingCountry Phone:phone Website:url Industry:picklist"
            " AnnualRevenue:currency NumberOfEmployees:int Description:textarea OwnerId:reference Success_Plan__c:textarea"
            + _AUDIT,
            Field("BillingAddress", "address", _billing_address),
            Field("Open_Pipeline__c", "currency", _open_pipeline, calculated=True),
        ),
        _object(
            "Contact",
            "Contact",
            "contact",
            "Id:id IsDeleted:boolean MasterRecordId:reference AccountId:reference LastName FirstName Name Email:email Title"
            " Phone:phone OwnerId:reference Newsletter__c:boolean" + _AUDIT,
        ),
        _object(
            "Opportunity",
            "Opportunity",
            "opportunity",
            "Id:id IsDeleted:boolean AccountId:reference Name Description:textarea Amount:currency Probability:percent"
            " ExpectedRevenue:currency CloseDate:date Type:picklist NextStep LeadSource:picklist IsClosed:boolean"
            " IsWon:boolean ForecastCategory:picklist ForecastCategoryName:picklist OwnerId:reference Blocking_Feature__c"
            + _AUDIT,
            Field("StageName", "picklist", values=tuple(STAGES)),
            Field("Loss_Reason__c", "picklist", values=LOSS_REASONS),
        ),
        _object(
            "User",
            "User",
            "salesforce_user",  # users have no IsDeleted
            "Id:id Username LastName FirstName Name Email:email IsActive:boolean UserType:picklist Title Department"
            " ManagerId:reference" + _AUDIT,
        ),
        _object(
            "Attachment",
            "Attachment",
            None,
            "Id:id IsDeleted:boolean ParentId:reference Name Body:base64 BodyLength:int" + _AUDIT,
        ),
    )
}

_SOAP = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "currency": "xsd:double",
    "percent": "xsd:double",
    "datetime": "xsd:dateTime",
    "base64": "xsd:base64Binary",
    "address": "urn:address",
    "boolean": "xsd:boolean",
    "int": "xsd:int",
    "date": "xsd:date",
}


def describe(sobject: Object, hidden: AbstractSet[str]) -> tuple[Record, Record]:
    """The whole description and the short one of the list. Hidden fields are missing without a word."""
    short: Record = {
        "name": sobject.name,
        "label": sobject.label,
        "labelPlural": sobject.label + "s",
        "custom": sobject.name.endswith("__c"),
        "keyPrefix": {"Account": "001", "Contact": "003", "User": "005", "Opportunity": "006", "Attachment": "00P"}[
            sobject.name
        ],
        "queryable": True,
        "retrieveable": True,
        "replicateable": True,
        "searchable": True,
        "createable": True,
        "updateable": True,
        "deletable": sobject.name != "User",
        "deprecatedAndHidden": False,
    }
    fields = [_describe(field) for field in sobject.fields.values() if f"{sobject.name}.{field.name}" not in hidden]
    return {**short, "fields": fields}, short


def _describe(field: Field) -> Record:
    texts = field.type in ("string", "textarea", "url", "email", "phone", "picklist")
    label = field.name.removesuffix("__c").replace("_", " ")
    return {
        "name": field.name,
        "label": label,
        "type": field.type,
        "soapType": _SOAP.get(field.type, "xsd:string"),
        "custom": field.name.endswith("__c"),
        "calculated": field.calculated,
        "nillable": field.name not in ("Id", "IsDeleted"),
        "filterable": field.type not in ("base64", "textarea", "address"),
        "sortable": field.type not in ("base64", "textarea", "address"),
        "length": 18 if field.type in ("id", "reference") else 255 if texts else 0,
        "precision": 18 if field.type == "currency" else 0,
        "scale": 2 if field.type == "currency" else 0,
        "referenceTo": [],
        "compoundFieldName": "BillingAddress" if field.name.startswith("Billing") and field.type != "address" else None,
        "picklistValues": [{"value": value, "label": value, "active": True, "defaultValue": False} for value in field.values],
    }
