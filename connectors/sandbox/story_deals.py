"""What sellers and administrators do around the deals: products, people, calls, meetings, contracts, cases, wishes.

Here belong the events and how often they come. Not here: what befalls accounts and deals themselves (`story_sales`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from connectors.sandbox import names, sales, salesforce_org

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World


def _one(world: World, kind: str, fits: Callable[[Record], bool] = lambda _: True) -> Record | None:
    """One of the living records that fit, by a chance of its own; None if there is none."""
    found = [record for record in world.alive(kind) if fits(record)]
    return world.chance("around the deals").choice(found) if found else None


def _open_deal(world: World) -> Record | None:
    return _one(world, "opportunity", lambda deal: not deal["IsClosed"])


def _contact_of(world: World, deal: Record) -> Record | None:
    return next((person for person in sales.people(world).get(deal["AccountId"], []) if not person["IsDeleted"]), None)


def _product_is_added(world: World) -> None:
    deal, entry = _open_deal(world), _one(world, "pricebook_entry")
    if deal and entry:
        sales.add_product(world, deal, entry)


def _quantity_changes(world: World) -> None:
    if item := _one(world, "opportunity_line_item"):
        world.change("opportunity_line_item", item["Id"], Quantity=item["Quantity"] + 1)


def _product_is_taken_off(world: World) -> None:
    if item := _one(world, "opportunity_line_item"):
        world.delete("opportunity_line_item", item["Id"])


def _person_joins(world: World) -> None:
    deal = _open_deal(world)
    person = deal and _contact_of(world, deal)
    if deal and person:
        world.create("opportunity_contact_role", OpportunityId=deal["Id"], ContactId=person["Id"], Role="Evaluator")


def _role_changes(world: World) -> None:
    if role := _one(world, "opportunity_contact_role"):
        world.change("opportunity_contact_role", role["Id"], Role=sales.ROLES[len(role["Role"]) % len(sales.ROLES)])


def _person_leaves(world: World) -> None:
    if role := _one(world, "opportunity_contact_role"):
        world.delete("opportunity_contact_role", role["Id"])


def _call_is_planned(world: World) -> None:
    if deal := _open_deal(world):
        sales.call(world, deal, _contact_of(world, deal))


def _call_is_made(world: World) -> None:
    if task := _one(world, "salesforce_task", lambda task: not task["IsClosed"]):
        world.change("salesforce_task", task["Id"], Status="Completed", CallDurationInSeconds=340)


def _task_is_deleted(world: World) -> None:
    if task := _one(world, "salesforce_task"):
        world.delete("salesforce_task", task["Id"])


def _old_tasks_are_purged(world: World) -> None:
    """An administrator's clean-up, which leaves nothing in the recycle bin."""
    if task := _one(world, "salesforce_task", lambda task: task["IsClosed"]):
        salesforce_org.purge(world, "salesforce_task", task["Id"])


def _task_comes_back(world: World) -> None:
    deleted = [
        task
        for task in world.store("salesforce_task").values()
        if task["IsDeleted"] and not {"_purged", "_deleted_with"} & task.keys()
    ]
    if deleted:
        world.undelete("salesforce_task", world.chance("around the deals").choice(deleted)["Id"])


def _meeting_is_fixed(world: World) -> None:
    if deal := _open_deal(world):
        sales.meet(world, deal, _contact_of(world, deal))


def _meeting_moves(world: World) -> None:
    if event := _one(world, "salesforce_event"):
        later = sales.moment(event["ActivityDateTime"]) + timedelta(days=7)
        world.change("salesforce_event", event["Id"], ActivityDateTime=f"{later:%Y-%m-%dT%H:%M:%S}.000+0000")


def _meeting_is_called_off(world: World) -> None:
    if event := _one(world, "salesforce_event"):
        world.delete("salesforce_event", event["Id"])


def _contract_is_signed(world: World) -> None:
    if deal := _one(world, "opportunity", lambda deal: deal["IsWon"] and not deal["ContractId"]):
        world.change("opportunity", deal["Id"], ContractId=sales.sign(world, deal)["Id"])


def _contract_is_renewed(world: World) -> None:
    if contract := _one(world, "contract"):
        world.change("contract", contract["Id"], ContractTerm=contract["ContractTerm"] + 12)


def _contract_is_deleted(world: World) -> None:
    if contract := _one(world, "contract"):
        world.delete("contract", contract["Id"])


def _case_is_opened(world: World) -> None:
    if account := _one(world, "account"):
        sales.complain(world, account)


def _case_is_closed(world: World) -> None:
    if case := _one(world, "case", lambda case: not case["IsClosed"]):
        world.change("case", case["Id"], Status="Closed", Reason="User didn't attend training")


def _case_is_deleted(world: World) -> None:
    if case := _one(world, "case"):
        world.delete("case", case["Id"])


def _wish_is_written_down(world: World) -> None:
    if account := _one(world, "account"):
        sales.wish(world, account)


def _wish_gains_votes(world: World) -> None:
    if request := _one(world, "product_request"):
        world.change("product_request", request["Id"], Votes__c=request["Votes__c"] + 1)


def _wish_is_dropped(world: World) -> None:
    if request := _one(world, "product_request"):
        world.delete("product_request", request["Id"])


def _product_is_listed(world: World) -> None:
    sales.list_product(world, f"{world.chance('products').choice(names.PRODUCT_AREAS)} workshop", world.now)


def _product_is_described(world: World) -> None:
    if product := _one(world, "salesforce_product"):
        world.change("salesforce_product", product["Id"], Description=f"As listed on {world.day(0)}.")


def _price_changes(world: World) -> None:
    if entry := _one(world, "pricebook_entry"):
        world.change("pricebook_entry", entry["Id"], UnitPrice=round(entry["UnitPrice"] * 1.05, 2))


def _product_is_withdrawn(world: World) -> None:
    sold = {item["Product2Id"] for item in world.alive("opportunity_line_item")}
    if product := _one(world, "salesforce_product", lambda product: product["Id"] not in sold):
        world.delete("salesforce_product", product["Id"])


def _stage_is_explained(world: World) -> None:
    if stage := _one(world, "opportunity_stage"):
        world.change("opportunity_stage", stage["Id"], Description=f"As agreed on {world.day(0)}.")


def _record_type_is_explained(world: World) -> None:
    if record_type := _one(world, "record_type"):
        world.change("record_type", record_type["Id"], Description=f"As agreed on {world.day(0)}.")


def _rates_are_published(world: World) -> None:
    """A new rate of one currency from today, and the currency's own with it."""
    if currency := _one(world, "currency_type", lambda currency: not currency["IsCorporate"]):
        rate = round(currency["ConversionRate"] * 1.01, 6)
        code = currency["IsoCode"]
        for known in [known for known in world.alive("dated_conversion_rate") if known["IsoCode"] == code]:
            if known["NextStartDate"] > world.day(0):
                world.change("dated_conversion_rate", known["Id"], NextStartDate=world.day(0))
        world.create("dated_conversion_rate", IsoCode=code, StartDate=world.day(0), ConversionRate=rate)
        world.change("currency_type", currency["Id"], ConversionRate=rate)


RATES: dict[Callable[[World], None], float] = {  # times a day in a world of the demo's size
    _product_is_added: 0.6, _quantity_changes: 0.4, _product_is_taken_off: 0.15, _person_joins: 0.4, _role_changes: 0.3,
    _person_leaves: 0.15, _call_is_planned: 1, _call_is_made: 0.9, _task_is_deleted: 0.2, _old_tasks_are_purged: 0.15,
    _task_comes_back: 0.12, _meeting_is_fixed: 0.5, _meeting_moves: 0.3, _meeting_is_called_off: 0.15,
    _contract_is_signed: 0.5, _contract_is_renewed: 0.15, _contract_is_deleted: 0.1, _case_is_opened: 0.5,
    _case_is_closed: 0.4, _case_is_deleted: 0.15, _wish_is_written_down: 0.3, _wish_gains_votes: 0.5,
    _wish_is_dropped: 0.12, _product_is_listed: 0.1, _product_is_described: 0.12, _price_changes: 0.15,
    _product_is_withdrawn: 0.1, _stage_is_explained: 0.1, _record_type_is_explained: 0.1, _rates_are_published: 0.1,
}  # fmt: skip
