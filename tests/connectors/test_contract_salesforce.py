"""The contract of every stream of Salesforce, one of them of a custom object."""

from contract import Contract, every

from connectors.sandbox.serve import Running
from tests.truth.raw_salesforce import CASES


def several_currencies(running: Running, name: str) -> None:
    running.salesforce.multi_currency = name in ("currency_types", "dated_conversion_rates")


@every("salesforce", CASES, chosen={"objects": ["Product_Request__c"]}, prepare=several_currencies)
class TestSalesforce(Contract):
    pass
