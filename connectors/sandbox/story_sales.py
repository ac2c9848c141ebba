"""What happens in sales by itself: deals open, move, slip, close; accounts come, change hands, go.

Here belong the events and how often they come. Not here: how a record is stamped, or the first day.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from connectors.sandbox import colleagues, names, salesforce_org, story_deals

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World


def _deal_is_opened(world: World) -> None:
    if account := world.any("account"):
        _open_deal(world, account)


def _open_deal(world: World, account: Record) -> None:
    closing = world.day(world.random.randrange(20, 120))
    amount = float(world.random.randrange(4, 120) * 1000)
    name = f"{account['Name'].rsplit(' ', 1)[0]}: Expansion"
    world.create(
        "opportunity",
        AccountId=account["Id"],
        OwnerId=account["OwnerId"],
        Name=name,
        CloseDate=closing,
        Amount=amount,
        Type="Expansion",
    )


def _deal_moves_on(world: World) -> None:
    stages = [stage for stage in salesforce_org.STAGES if stage != "Closed Lost"]
    if deal := world.any("opportunity", lambda deal: not deal["IsClosed"] and deal["StageName"] != "Negotiation/Review"):
        step = world.random.choice(names.NEXT_STEPS)
        world.change("opportunity", deal["Id"], StageName=stages[stages.index(deal["StageName"]) + 1], NextStep=step)


def _deal_is_won(world: World) -> None:
    if deal := world.any("opportunity", lambda deal: not deal["IsClosed"] and deal["Probability"] >= 40):
        world.change("opportunity", deal["Id"], StageName="Closed Won", CloseDate=world.day(0))
        world.change("account", deal["AccountId"], Type="Customer")


def _deal_is_lost(world: World) -> None:
    """Every third time nobody says why."""
    if deal := world.any("opportunity", lambda deal: not deal["IsClosed"]):
        reason = None if world.random.random() < 0.33 else world.random.choice(names.LOSS_REASONS)
        world.change(
            "opportunity",
            deal["Id"],
            StageName="Closed Lost",
            CloseDate=world.day(0),
            Loss_Reason__c=reason,
        )


def _loss_is_explained(world: World) -> None:
    if deal := world.any("opportunity", lambda deal: deal["StageName"] == "Closed Lost" and not deal["Loss_Reason__c"]):
        world.change("opportunity", deal["Id"], Loss_Reason__c=world.random.choice(names.LOSS_REASONS))


def _deal_slips(world: World) -> None:
    """The one that is longest overdue gets a new date."""
    overdue = sorted((d["CloseDate"], d["Id"]) for d in world.alive("opportunity") if not d["IsClosed"])[:1]
    for _, deal_id in overdue:
        world.change("opportunity", deal_id, CloseDate=world.day(30))


def _deal_is_deleted(world: World) -> None:
    if deal := world.any("opportunity", lambda deal: not deal["IsClosed"]):
        world.delete("opportunity", deal["Id"])


def _prospect_appears(world: World) -> None:
    name, domain, industry, country = world.company()
    owner = world.random.choice(colleagues.sellers(world))
    account = world.create("account", Name=name, Website=domain, Industry=industry, BillingCountry=country, OwnerId=owner)
    first, last = names.person(world.random)
    email = names.address(first, last, domain)
    world.create("contact", AccountId=account["Id"], FirstName=first, LastName=last, Email=email, OwnerId=owner)
    _open_deal(world, account)


def _account_is_renamed(world: World) -> None:
    if account := world.any("account"):
        world.change("account", account["Id"], Name=account["Name"].replace(" ", " International ", 1))


def _account_changes_hands(world: World) -> None:
    if account := world.any("account"):
        world.change("account", account["Id"], OwnerId=world.random.choice(colleagues.sellers(world)))


def _account_is_deleted(world: World) -> None:
    if account := world.any("account", lambda account: account["Type"] == "Prospect"):
        world.delete("account", account["Id"])


def _accounts_are_merged(world: World) -> None:
    loser = world.any("account", lambda account: account["Type"] == "Prospect")
    winner = world.any("account", lambda account: account["Type"] == "Customer")
    if loser and winner:
        world.merge("account", loser["Id"], winner["Id"])


def _contact_changes_jobs(world: World) -> None:
    if contact := world.any("contact"):
        world.change("contact", contact["Id"], Title=world.random.choice(names.JOB_TITLES))


def _contact_is_deleted(world: World) -> None:
    if contact := world.any("contact"):
        world.delete("contact", contact["Id"])


def _seller_leaves(world: World) -> None:
    if len(colleagues.sellers(world)) > 4 and (user := world.any("salesforce_user", lambda user: user["IsActive"])):
        world.change("salesforce_user", user["Id"], IsActive=False)


RATES: dict[Callable[[World], None], float] = {  # times a day in a world of the demo's size
    _deal_is_opened: 0.7, _deal_moves_on: 2, _deal_is_won: 0.5, _deal_is_lost: 0.4, _loss_is_explained: 0.2,
    _deal_slips: 0.5, _deal_is_deleted: 0.12, _prospect_appears: 0.35, _account_is_renamed: 0.15,
    _account_changes_hands: 0.2, _account_is_deleted: 0.08, _accounts_are_merged: 0.1, _contact_changes_jobs: 0.5,
    _contact_is_deleted: 0.12, _seller_leaves: 0.07, **story_deals.RATES,
}  # fmt: skip
