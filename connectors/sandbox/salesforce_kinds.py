"""The kinds of Salesforce records beside accounts, contacts, deals and users: what each is called and which fields it has.

Here belong names, types and first values. Not here: what is computed when it is read, or what a change brings along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

AUDIT = (
    " CreatedDate:datetime CreatedById:reference LastModifiedDate:datetime LastModifiedById:reference SystemModstamp:datetime"
)


@dataclass(frozen=True)
class Kind:
    """`fields`: name:type, apart by spaces; what has no type is a string. `first`: what is not null in a new record."""

    sobject: str
    label: str
    prefix: str  # of its ids
    store: str
    fields: str
    first: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [word.partition(":")[0] for word in self.fields.split()]


KINDS: Mapping[str, Kind] = {
    "opportunity_history": Kind(
        "OpportunityHistory",
        "Opportunity History",
        "008",
        "opportunity_history",
        "Id:id IsDeleted:boolean OpportunityId:reference CreatedById:reference CreatedDate:datetime StageName:picklist"
        " Amount:currency ExpectedRevenue:currency CloseDate:date Probability:percent ForecastCategory:picklist"
        " PrevAmount:currency PrevCloseDate:date SystemModstamp:datetime",
    ),
    "opportunity_field_history": Kind(
        "OpportunityFieldHistory",
        "Opportunity Field History",
        "017",
        "opportunity_field_history",
        "Id:id IsDeleted:boolean OpportunityId:reference CreatedById:reference CreatedDate:datetime Field:picklist"
        " DataType:picklist OldValue:anyType NewValue:anyType",
    ),
    "opportunity_line_item": Kind(
        "OpportunityLineItem",
        "Opportunity Product",
        "00k",
        "opportunity_line_items",
        "Id:id IsDeleted:boolean OpportunityId:reference SortOrder:int PricebookEntryId:reference Product2Id:reference"
        " ProductCode Name Quantity:double TotalPrice:currency UnitPrice:currency ListPrice:currency ServiceDate:date"
        " Description" + AUDIT,
        {"Quantity": 1.0},
    ),
    "opportunity_contact_role": Kind(
        "OpportunityContactRole",
        "Opportunity Contact Role",
        "00K",
        "opportunity_contact_roles",
        "Id:id IsDeleted:boolean OpportunityId:reference ContactId:reference Role:picklist IsPrimary:boolean" + AUDIT,
        {"IsPrimary": False},
    ),
    "opportunity_stage": Kind(
        "OpportunityStage",
        "Opportunity Stage",
        "01J",
        "opportunity_stages",
        "Id:id MasterLabel ApiName IsActive:boolean SortOrder:int IsClosed:boolean IsWon:boolean ForecastCategory:picklist"
        " ForecastCategoryName:picklist DefaultProbability:percent Description" + AUDIT,
        {"IsActive": True, "IsClosed": False, "IsWon": False},
    ),
    "salesforce_product": Kind(
        "Product2",
        "Product",
        "01t",
        "salesforce_products",
        "Id:id IsDeleted:boolean Name ProductCode Description:textarea IsActive:boolean Family:picklist"
        " QuantityUnitOfMeasure:picklist StockKeepingUnit IsArchived:boolean" + AUDIT,
        {"IsActive": True, "IsArchived": False},
    ),
    "pricebook_entry": Kind(
        "PricebookEntry",
        "Price Book Entry",
        "01u",
        "pricebook_entries",
        "Id:id IsDeleted:boolean Name Pricebook2Id:reference Product2Id:reference UnitPrice:currency IsActive:boolean"
        " UseStandardPrice:boolean ProductCode IsArchived:boolean" + AUDIT,
        {"IsActive": True, "UseStandardPrice": False, "IsArchived": False},
    ),
    "record_type": Kind(
        "RecordType",
        "Record Type",
        "012",
        "record_types",
        "Id:id Name DeveloperName NamespacePrefix Description BusinessProcessId:reference SobjectType:picklist"
        " IsActive:boolean" + AUDIT,
        {"IsActive": True},
    ),
    "case": Kind(
        "Case",
        "Case",
        "500",
        "cases",
        "Id:id IsDeleted:boolean MasterRecordId:reference CaseNumber ContactId:reference AccountId:reference"
        " ParentId:reference SuppliedName SuppliedEmail:email Type:picklist Status:picklist Reason:picklist Origin:picklist"
        " Subject Priority:picklist Description:textarea IsClosed:boolean ClosedDate:datetime IsEscalated:boolean"
        " OwnerId:reference" + AUDIT,
        {"Status": "New", "Priority": "Medium", "Origin": "Web", "IsClosed": False, "IsEscalated": False},
    ),
    "salesforce_task": Kind(
        "Task",
        "Task",
        "00T",
        "salesforce_tasks",
        "Id:id IsDeleted:boolean WhoId:reference WhatId:reference AccountId:reference Subject:combobox ActivityDate:date"
        " Status:picklist Priority:picklist IsHighPriority:boolean OwnerId:reference Description:textarea IsClosed:boolean"
        " TaskSubtype:picklist CompletedDateTime:datetime CallDurationInSeconds:int" + AUDIT,
        {"Status": "Not Started", "Priority": "Normal", "IsHighPriority": False, "IsClosed": False, "TaskSubtype": "Task"},
    ),
    "salesforce_event": Kind(
        "Event",
        "Event",
        "00U",
        "salesforce_events",
        "Id:id IsDeleted:boolean WhoId:reference WhatId:reference AccountId:reference Subject:combobox Location"
        " IsAllDayEvent:boolean ActivityDateTime:datetime ActivityDate:date DurationInMinutes:int StartDateTime:datetime"
        " EndDateTime:datetime Description:textarea OwnerId:reference IsPrivate:boolean ShowAs:picklist" + AUDIT,
        {"IsAllDayEvent": False, "IsPrivate": False, "ShowAs": "Busy"},
    ),
    "contract": Kind(
        "Contract",
        "Contract",
        "800",
        "contracts",
        "Id:id IsDeleted:boolean AccountId:reference OwnerId:reference Status:picklist StatusCode:picklist ContractNumber"
        " StartDate:date EndDate:date ContractTerm:int ActivatedDate:datetime SpecialTerms:textarea Description:textarea"
        + AUDIT,
        {"Status": "Draft", "StatusCode": "Draft", "ContractTerm": 12},
    ),
    "currency_type": Kind(
        "CurrencyType",
        "Currency Type",
        "01L",
        "currency_types",
        "Id:id IsoCode:picklist ConversionRate:double DecimalPlaces:int IsActive:boolean IsCorporate:boolean" + AUDIT,
        {"ConversionRate": 1.0, "DecimalPlaces": 2, "IsActive": True, "IsCorporate": False},
    ),
    "dated_conversion_rate": Kind(
        "DatedConversionRate",
        "Dated Conversion Rate",
        "04w",
        "dated_conversion_rates",
        "Id:id IsoCode:picklist StartDate:date NextStartDate:date ConversionRate:double" + AUDIT,
        {"ConversionRate": 1.0, "NextStartDate": "9999-12-31"},
    ),
    "product_request": Kind(
        "Product_Request__c",
        "Product Request",
        "a00",
        "product_requests",
        "Id:id IsDeleted:boolean OwnerId:reference Name Account__c:reference Summary__c:textarea Status__c:picklist"
        " Votes__c:double" + AUDIT,
        {"Status__c": "New", "Votes__c": 1.0},
    ),
}
MULTI_CURRENCY = ("currency_type", "dated_conversion_rate")  # kinds that only an org with several currencies has
