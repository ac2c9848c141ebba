"""One flaw for each rule that looks at the tools' records: how it comes about, what looks alike and is none, how it is mended.

Here belongs what people do wrong in a small company without other flaws. Not here: what the rules must say of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from connectors.sandbox.names import JIRA_SITE
from connectors.sandbox.world import Record, World
from tests.night import Row
from tests.truth.picture import Nights


@dataclass
class Hands:
    """What people do in a small company: the parts that flaws are made of."""

    world: World

    def account(self, name: str, **fields: Any) -> Record:
        values = {"Name": f"{name} Ltd", "Website": f"www.{name.lower()}.co.uk", "OwnerId": self.seller(), **fields}
        return self.world.create("account", **values)

    def seller(self) -> str:
        found: str = next(user["Id"] for user in self.world.alive("salesforce_user") if user["IsActive"])
        return found

    def colleague(self, name: str, active: bool = True) -> Record:
        values: Row = {
            "FirstName": "Ada",
            "LastName": name,
            "Email": f"{name}@ours.example",
            "Username": f"{name}@ours.example",
        }
        return self.world.create("salesforce_user", **values, IsActive=active)

    def deal(self, account: Record, stage: str = "Qualification", closes_in: int = 200, **fields: Any) -> Record:
        values = {"Name": "A deal", "Amount": 12_000.0, "OwnerId": account["OwnerId"], **fields}
        closing = self.world.day(closes_in)
        return self.world.create("opportunity", AccountId=account["Id"], StageName=stage, CloseDate=closing, **values)

    def paying(self, name: str, **fields: Any) -> Record:
        """An account whose year began a hundred days ago."""
        account = self.account(name, **fields)
        self.deal(account, "Closed Won", closes_in=-100)
        return account

    def organization(self, name: str, **fields: Any) -> Record:
        values = {"name": name, "domain_names": [f"{name.lower()}.co.uk"], **fields}
        return self.world.create("organization", **values)

    def ask(self, organization: Record, status: str = "open", days_ago: int = 0) -> Record:
        email = f"someone@{organization['name'].lower()}.co.uk"
        at = self.world.now - timedelta(days=days_ago)
        user = self.world.create("zendesk_user", at=at, name="Someone", email=email, organization_id=organization["id"])
        agent = next(user["id"] for user in self.world.alive("zendesk_user") if user["role"] == "agent")
        about = {"requester_id": user["id"], "subject": "It fails", "status": status, "assignee_id": agent}
        return self.world.create("ticket", at=at, **about)

    def issue(self, status: str = "To Do") -> Record:
        project = next(project["id"] for project in self.world.alive("project") if project["key"] == "CORE")
        return self.world.create("issue", project=project, issuetype="Story", summary="Mend it", status=status)

    def link(self, ticket: Record, issue: Record) -> Record:
        return self.world.create("jira_link", ticket_id=ticket["id"], issue_id=issue["id"])

    def any_organization(self) -> Record:
        return next(self.world.alive("organization"))

    def any_account(self) -> Record:
        return next(self.world.alive("account"))


@dataclass
class Flaw(Hands, ABC):
    """One rule's flaw. `before` prepares what is older than it; `plant` returns the things that are in breach."""

    rule: ClassVar[str]

    def before(self) -> None: ...  # few have anything to prepare

    @abstractmethod
    def plant(self) -> dict[str, Row]:
        """Thing → what its gap says, beside title and detail."""

    def mend(self) -> None: ...  # some mend themselves


class AccountWithoutOrganization(Flaw):
    rule = "account_without_organization"

    def plant(self) -> dict[str, Row]:
        self.alone = self.paying("Aldermoor")
        self.organization("Birchlow")  # near misses: known by its domain alone, by its id alone, no longer and not yet paying
        self.paying("Birchlow")
        by_id = self.paying("Cindervale", Website=None)
        self.organization("Elsewhere", external_id=by_id["Id"][:15])
        self.deal(self.account("Dunmarsh"), "Closed Won", closes_in=-366)
        self.deal(self.account("Eddlestone"), closes_in=30)
        self.world.delete("account", self.paying("Fallowmere")["Id"])
        self.account("Aldermoor")  # typed in again, buys nothing itself
        self.paying("Ours", Website=self.world.internal_domains[0])
        said = {"severity": "high", "stake_amount": 12_000, "stake_kind": "arr", "owner": self._owner(), "category": "identity"}
        return {self.alone["Id"]: said}

    def _owner(self) -> str:
        name: str = self.world.salesforce_users[self.alone["OwnerId"]]["Name"]
        return name

    def mend(self) -> None:
        self.organization("Aldermoor", external_id=self.alone["Id"])  # the domain alone would name two accounts


class OrganizationWithoutAccount(Flaw):
    rule = "organization_without_account"

    def before(self) -> None:
        self.stranger, self.silent = self.organization("Gorseley"), self.organization("Hexwater")
        self.ask(self.stranger, days_ago=90)  # not yet: both asked just before the last ninety days
        self.ask(self.silent, days_ago=90)

    def plant(self) -> dict[str, Row]:
        self.ask(self.stranger)
        spam = self.ask(self.silent)  # near misses: the ticket was deleted, and the account is known by its domain
        self.world.delete("ticket", spam["id"])
        self.account("Inglefen")
        self.ask(self.organization("Inglefen"))
        self.world.internal_domains.append("ourlabs.co.uk")
        self.ask(self.organization("Ourlabs"))
        return {
            str(self.stranger["id"]): {
                "severity": "high",
                "stake_amount": None,
                "stake_kind": None,
                "owner": "sales operations",
            }
        }

    def mend(self) -> None:
        self.account("Gorseley")


class DanglingDeclaredId(Flaw):
    rule = "dangling_declared_id"

    def plant(self) -> dict[str, Row]:
        deleted, merged = self.account("Juniperholm"), self.account("Kestwick")
        self.world.delete("account", deleted["Id"])
        self.world.merge("account", merged["Id"], self.any_account()["Id"])
        ids = (deleted["Id"], merged["Id"][:15], "001Qm00000zZ9xWAAA")
        self.dangling = [self.organization(f"Larkmoor{place}", external_id=declared) for place, declared in enumerate(ids)]
        self.organization("Mossgate", external_id=self.any_account()["Id"][:15])  # near misses: 15 characters, no such id, gone
        self.organization("Nethercombe", external_id="ERP-4711")
        gone = self.organization("Oakbeck", external_id=deleted["Id"])
        self.world.delete("organization", gone["id"])
        self.world.create("pendo_account", accountId=deleted["Id"], name="Juniperholm Ltd")  # the application's own id
        said = {"severity": "high", "stake_amount": None, "owner": "customer success operations"}
        return {str(organization["id"]): said for organization in self.dangling}

    def mend(self) -> None:
        for organization, declared in zip(self.dangling, (None, self.any_account()["Id"], None), strict=True):
            self.world.change("organization", organization["id"], external_id=declared)


class BlockerWithoutIssue(Flaw):
    rule = "blocker_without_issue"

    def plant(self) -> dict[str, Row]:
        account = self.any_account()
        soon = self.deal(account, closes_in=60, Blocking_Feature__c="CORE-9999", Amount=7_000.0)
        left = self.colleague("Unwin", active=False)["Id"]
        later = self.deal(account, closes_in=61, Blocking_Feature__c="Something with dashboards", Amount=None, OwnerId=left)
        there = self.issue()["key"]
        right = (there, f"{JIRA_SITE}/browse/{there}", "Mapped by the settings", None)  # near misses
        self.world.feature_values["Mapped by the settings"] = there
        for blocker in right:
            self.deal(account, Blocking_Feature__c=blocker)
        self.deal(account, "Closed Lost", Blocking_Feature__c="CORE-9999", Loss_Reason__c="Price")
        self.waiting = [soon, later]
        return {
            soon["Id"]: {"severity": "critical", "stake_amount": 7_000, "stake_kind": "pipeline"},
            later["Id"]: {"severity": "high", "stake_amount": None, "stake_kind": None, "owner": "product operations"},
        }

    def mend(self) -> None:
        soon, later = self.waiting
        self.world.change("opportunity", soon["Id"], Blocking_Feature__c=self.issue()["key"])
        self.world.change("opportunity", later["Id"], StageName="Closed Won", CloseDate=self.world.day(0))


class LinkToMissingIssue(Flaw):
    rule = "link_to_missing_issue"

    def plant(self) -> dict[str, Row]:
        ask = self.any_organization()
        issue = self.issue()
        ticket, unlinked, deleted = self.ask(ask), self.ask(ask), self.ask(ask)
        self.broken = self.link(ticket, issue)
        self.world.delete("jira_link", self.link(unlinked, issue)["id"])  # near misses: no link any more, no ticket, moved
        self.link(deleted, issue)
        self.world.delete("ticket", deleted["id"])
        moved = self.issue()
        self.link(self.ask(ask), moved)
        self.world.move(moved["id"], next(project["id"] for project in self.world.alive("project") if project["key"] == "INT"))
        self.world.delete("issue", issue["id"])
        agent = self.world.zendesk_users[ticket["assignee_id"]]["name"]
        return {str(ticket["id"]): {"severity": "high", "stake_amount": None, "owner": agent}}

    def mend(self) -> None:
        self.world.delete("jira_link", self.broken["id"])


class IssueDoneTicketsOpen(Flaw):
    rule = "issue_done_tickets_open"

    def before(self) -> None:
        self.quiet = self.issue("In Review")
        self.unlinked = self.link(self.ask(self.any_organization()), self.quiet)

    def plant(self) -> dict[str, Row]:
        ask = self.any_organization()
        done, quiet, busy = self.issue("Done"), self.quiet, self.issue("In Review")
        self.world.change("issue", quiet["id"], status="Done")
        self.waiting = [self.ask(ask, "pending"), self.ask(ask, "hold")]
        for ticket in (*self.waiting, self.ask(ask, "solved")):
            self.link(ticket, done)
        self.link(self.ask(ask, "solved"), quiet)  # near misses: solved, deleted, link removed, not done
        deleted = self.ask(ask)
        self.link(deleted, quiet)
        self.world.delete("ticket", deleted["id"])
        self.world.delete("jira_link", self.unlinked["id"])
        self.link(self.ask(ask), busy)
        return {done["id"]: {"severity": "high", "stake_amount": None, "owner": "support operations"}}

    def mend(self) -> None:
        for ticket in self.waiting:
            self.world.change("ticket", ticket["id"], status="solved")


class DealPastCloseDate(Flaw):
    rule = "deal_past_close_date"

    def plant(self) -> dict[str, Row]:
        account = self.account("Penhurst", OwnerId=self.colleague("Rowe", active=False)["Id"])
        self.late = self.deal(account, closes_in=-1, Amount=3_000.0)
        self.deal(account, closes_in=0)  # near misses: today, closed, deleted
        self.deal(account, "Closed Lost", closes_in=-1, Loss_Reason__c="Price")
        self.world.delete("opportunity", self.deal(account, closes_in=-1)["Id"])
        said = {"severity": "medium", "stake_amount": 3_000, "stake_kind": "pipeline", "owner": "sales operations"}
        return {self.late["Id"]: said}

    def mend(self) -> None:
        self.world.change("opportunity", self.late["Id"], CloseDate=self.world.day(0))

    def relapse(self) -> None:
        self.world.change("opportunity", self.late["Id"], CloseDate=self.world.day(-9))


class LostWithoutReason(Flaw):
    rule = "lost_without_reason"

    def plant(self) -> dict[str, Row]:
        account = self.any_account()
        self.lost = self.deal(account, "Closed Lost", closes_in=-700, Amount=9_000.0)
        left = self.colleague("Verney", active=False)["Id"]
        self.left_behind = self.deal(account, "Closed Lost", OwnerId=left)
        self.deal(
            account, "Closed Lost", closes_in=-3, Loss_Reason__c="Timing"
        )  # near misses: a reason, won, still open, deleted
        self.deal(account, "Closed Won", closes_in=-900)
        self.deal(account)
        self.world.delete("opportunity", self.deal(account, "Closed Lost", closes_in=-3)["Id"])
        owner = self.world.salesforce_users[account["OwnerId"]]["Name"]
        return {
            self.lost["Id"]: {"severity": "medium", "stake_amount": 9_000, "stake_kind": "pipeline", "owner": owner},
            self.left_behind["Id"]: {"severity": "medium", "stake_amount": 12_000, "owner": "sales operations"},
        }

    def mend(self) -> None:
        for deal in (self.lost, self.left_behind):
            self.world.change("opportunity", deal["Id"], Loss_Reason__c="Competitor")


class CustomerWithoutOwner(Flaw):
    rule = "customer_without_owner"

    def plant(self) -> dict[str, Row]:
        self.left = self.colleague("Quickley")
        paying = self.paying("Ravensford", OwnerId=self.left["Id"])
        self.organization("Ravensford")
        self.account("Sandmere", OwnerId=self.left["Id"])  # near misses: not paying, or owned by somebody who is there
        self.paying("Tallowby", OwnerId=self.colleague("Stay")["Id"])
        self.organization("Tallowby")
        self.world.change("salesforce_user", self.left["Id"], IsActive=False)
        customer_id = next(
            customer_id
            for customer_id, company in Nights(self.world).tonight().companies.items()
            if company.accounts and company.accounts[0]["Id"] == paying["Id"]
        )
        return {customer_id: {"severity": "high", "stake_amount": 12_000, "stake_kind": "arr", "owner": "sales operations"}}

    def mend(self) -> None:
        self.world.change("salesforce_user", self.left["Id"], IsActive=True)


FLAWS: tuple[type[Flaw], ...] = (
    AccountWithoutOrganization,
    OrganizationWithoutAccount,
    DanglingDeclaredId,
    BlockerWithoutIssue,
    LinkToMissingIssue,
    IssueDoneTicketsOpen,
    DealPastCloseDate,
    LostWithoutReason,
    CustomerWithoutOwner,
)
