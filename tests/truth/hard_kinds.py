"""The kinds of hard cases: what the tools have of a company that is not plain to join, one function each.

Here belongs what makes a case hard, and which of its records nobody can place by what the tools hold. Not here: how a tool
usually writes things, and how often each kind comes. A function may make several companies that are easily taken for one.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.truth.company_names import (
    FREE_MAIL,
    LATIN,
    NUMBERS,
    SCRIPTS,
    Name,
    country,
    country_name,
    domain,
    draw,
    endings,
    foreign,
    forms,
    initials,
    language,
    mistyped,
    slug,
    word,
)
from tests.truth.hard_draft import OWN, PUBLIC_SUFFIXES, SHARED_HOSTS, UNKNOWN_SHARED_HOST, Draft

_REGIONS = ("Europe", "Asia", "Nordic", "Iberia", "Americas", "International", "Middle East")
_LONG_NAMES = ("place adjective noun sector", "adjective surname sector sector", "surname place noun sector")
_LEGAL_AND_KNOWN_AS = ("dba {}", "d/b/a {}", "t/a {}", "trading as {}", "formerly {}", "(formerly {})", "f/k/a {}", "(now {})")
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")


def plain(draft: Draft) -> None:
    """The same domain and nearly the same name, or its first word; some companies are known to one tool only."""
    company = draft.company()
    account = draft.account(company) if draft.chance(0.93) else None
    if account is None or draft.chance(0.88):
        draft.organization(company, company.name.words[0] if draft.chance(0.08) else None)
    draft.others(company, account)


def declared_id(draft: Draft) -> None:
    """An organization that names its account by id, in one of the ways that ids get copied; its name may say nothing."""
    company = draft.company()
    account = draft.account(company)
    written = None if draft.chance(0.6) else draw(draft.rng, company.name.country).short
    draft.organization(company, written, host=OWN if draft.chance(0.5) else None, declared=_copied(draft, account.record_id))
    if draft.chance(0.5):
        draft.usage(company, declared=_copied(draft, account.record_id))
    if draft.chance(0.3):
        draft.value(company, account.record_id, declared=account.record_id)


def _copied(draft: Draft, id_: str) -> str:
    """Without its check characters, in another case (which these make good) or with spaces around."""
    return draft.rng.choice((id_, id_, id_[:15], id_[:15], id_.lower(), id_.upper(), f" {id_}", f"{id_} "))


def deleted_id(draft: Draft) -> None:
    """The id is of an account that was deleted, for the sake of another one mostly."""
    company = draft.company()
    gone = draft.account(company, deleted=True)
    if draft.chance(0.7):
        account = draft.account(company)
        draft.organization(company, declared=gone.record_id)
        draft.others(company, account)
    else:
        draft.organization(company, declared=gone.record_id)
        draft.usage(company, declared=gone.record_id)


def wrong_id(draft: Draft) -> None:
    """The id is another company's; domain, name and people all say so."""
    company, other = draft.company(), draft.company()
    account, wrong = draft.account(company), draft.account(other)
    draft.organization(company, declared=wrong.record_id, people={company.domain: draft.rng.randrange(2, 5)})
    if draft.chance(0.6):
        draft.organization(other)
    draft.others(company, account)
    draft.others(other, wrong)


def duplicates(draft: Draft) -> None:
    """Two accounts of one company, sometimes two organizations too."""
    company = draft.company()
    account = draft.account(company, company.name.full, located=True)
    roll = draft.rng.random()
    if roll < 0.45:
        draft.account(company, company.name.short)
    elif roll < 0.75:
        draft.account(company, company.name.full, host=None, located=True)
    else:
        draft.account(company, mistyped(draft.rng, company.name.full, 1))
    draft.organization(company)
    if draft.chance(0.15):
        draft.organization(company, host=None, people={company.domain: draft.rng.randrange(2, 4)})
    draft.others(company, account)


def decoys(draft: Draft) -> None:
    """Two companies whose names are nearly the same: a word more, another number, letter, trade or place."""
    tell = draft.rng.choice((_longer, _numbered, _other_letter, _other_trade, _other_place))
    one, other = tell(draft)
    first = draft.company(one)
    # Funds are at their manager's domain.
    second = draft.company(other, first.domain if tell is _numbered and draft.chance(0.3) else None)
    for company in (first, second):
        account = draft.account(company) if company is first or draft.chance(0.8) else None
        # Nobody could tell a letter from a typing error if there was nothing else.
        hosted = tell is _other_letter or draft.chance(0.75)
        if account is None or draft.chance(0.85):
            draft.organization(company, host=OWN if hosted else None)
        draft.others(company, account, domain_known=first.domain != second.domain)


def _longer(draft: Draft) -> tuple[Name, Name]:
    name = draw(draft.rng)
    more = word(draft.rng, language(name.country), "sector")
    return name, Name((*name.words, more if more not in name.words else "Holding"), name.forms, name.country)


def _numbered(draft: Draft) -> tuple[Name, Name]:
    name = draw(draft.rng, template="coined sector")
    if draft.chance(0.6):
        at = draft.rng.randrange(1, len(_ROMAN))
        tails = [f"Fund {_ROMAN[at - 1]}", f"Fund {_ROMAN[at]}"]
    else:
        number = draft.rng.randrange(2, 30)
        tails = [str(number), str(number + draft.rng.choice((1, 10)))]
    one, other = (Name((*name.words, tail), name.forms, name.country) for tail in tails)
    return one, other


def _other_letter(draft: Draft) -> tuple[Name, Name]:
    name = draw(draft.rng, template="coined sector")
    first = name.words[0]
    at = draft.rng.randrange(1, len(first))
    letter = draft.rng.choice([letter for letter in "aelnorstv" if letter != first[at]])
    return name, Name((first[:at] + letter + first[at + 1 :], *name.words[1:]), name.forms, name.country)


def _other_trade(draft: Draft) -> tuple[Name, Name]:
    name = draw(draft.rng, template="surname sector")
    return name, _other_words(draft, name, lambda: (name.words[0], word(draft.rng, language(name.country), "sector")))


def _other_place(draft: Draft) -> tuple[Name, Name]:
    name = draw(draft.rng, template="surname sector place")
    return name, _other_words(draft, name, lambda: (*name.words[:-1], word(draft.rng, language(name.country), "place")))


def _other_words(draft: Draft, name: Name, words: Callable[[], tuple[str, ...]]) -> Name:
    """A name of other words in the same country."""
    drawn = next(found for found in iter(words, None) if found != name.words)
    return Name(drawn, forms(draft.rng, name.country), name.country)


def namesakes(draft: Draft) -> None:
    """Two companies of one name in two countries, each with its own domain."""
    name = draw(draft.rng)
    elsewhere = draft.rng.choice([code for code in LATIN if code != name.country])
    for called in (name, Name(name.words, forms(draft.rng, elsewhere), elsewhere)):
        company = draft.company(called)
        account = draft.account(company, located=True) if draft.chance(0.9) else None
        if account is None or draft.chance(0.85):
            draft.organization(company, host=OWN if draft.chance(0.8) else None, located=True)
        draft.others(company, account)


def subsidiaries(draft: Draft) -> None:
    """A parent and its children, which are customers of their own, at the parent's domain or at theirs."""
    parent = draft.company()
    above = draft.account(parent)
    if draft.chance(0.8):
        draft.organization(parent)
    draft.others(parent, above)
    for _ in range(draft.rng.randrange(1, 3)):
        code = country(draft.rng)
        tail = country_name(code) if draft.chance(0.5) else draft.rng.choice(_REGIONS)
        name = Name((*parent.name.words, tail), forms(draft.rng, code), code)
        if any(company.name.words == name.words for company in draft.companies[parent.company_id :]):
            continue
        shared = draft.chance(0.5)
        child = draft.company(name, parent.domain if shared else None)
        host = f"{code.lower()}.{parent.domain}" if shared and draft.chance(0.4) else child.domain
        account = draft.account(child, host=host, parent=above)
        if draft.chance(0.8):
            draft.organization(child, host=host)
        draft.others(child, account, domain_known=not shared)


def renamed(draft: Draft) -> None:
    """One tool has the old name, another one the new; the domain stayed."""
    company = draft.company()
    old = draw(draft.rng, company.name.country)
    account = draft.account(company, old.full if draft.chance(0.3) else None)
    name = company.name if account.name.startswith(old.short) else old
    draft.organization(company, draft.typed(name))
    draft.others(company, account, old.short, company.name.short)


def merged(draft: Draft) -> None:
    """A company that bought another one, whose organization goes on under its old name and domain."""
    company = draft.company()
    account = draft.account(company)
    bought = draw(draft.rng)
    before = domain(draft.rng, bought.words, bought.country, draft.domains)
    if draft.chance(0.5):
        draft.account(company, bought.full, host=before, deleted=True)
    roll = draft.rng.random()
    if roll < 0.45:
        draft.organization(company, draft.typed(bought), host=before, declared=account.record_id)
    elif roll < 0.85:
        people = {company.domain: draft.rng.randrange(3, 6), before: 1}
        draft.organization(company, draft.typed(bought), host=before, people=people)
    else:
        draft.undecided(draft.organization(company, draft.typed(bought), host=before), "bought, and nothing says by whom")
    if draft.chance(0.6):
        draft.organization(company)
    draft.others(company, account)


def free_mail(draft: Draft) -> None:
    """An organization whose people write from a mailbox provider, which may even be given as its domain."""
    company = draft.company()
    provider = draft.rng.choice(FREE_MAIL)
    account = draft.account(company, host=draft.rng.choice((OWN, OWN, OWN, None, None, provider)), located=True)
    people = {provider: draft.rng.randrange(1, 4)}
    draft.organization(company, host=provider if draft.chance(0.4) else None, located=draft.chance(0.5), people=people)
    draft.others(company, account, domain_known=False)


def agency(draft: Draft) -> None:
    """An agency that asks on behalf of its clients: their organizations have its people, sometimes its domain."""
    name = draw(draft.rng, template="coined sector")
    theirs = domain(draft.rng, name.words, name.country, draft.domains)
    if draft.chance(0.8):
        company = draft.company(name, theirs)
        account = draft.account(company)
        draft.organization(company)
        draft.others(company, account)
    for _ in range(draft.rng.randrange(2, 5)):
        client = draft.company()
        own = draft.account(client) if draft.chance(0.85) else None
        people = {theirs: draft.rng.randrange(2, 5)}
        draft.organization(client, host=theirs if draft.chance(0.25) else None, people=people)
        if own:
            draft.others(client, own)


def shared_host(draft: Draft) -> None:
    """A site at somebody's who hosts many: known to the settings, known as a public suffix, or known to nobody."""
    name = draw(draft.rng)
    hosts = (*SHARED_HOSTS, UNKNOWN_SHARED_HOST, *PUBLIC_SUFFIXES)
    host = draft.rng.choice(hosts)
    company = draft.company(name, domain(draft.rng, name.words, name.country, draft.domains, ending=host))
    account = draft.account(company)
    roll = draft.rng.random()
    if roll < 0.7:
        draft.organization(company)
    else:
        draft.organization(company, host=host if roll < 0.85 else None, located=True, people={})
    draft.others(company, account, domain_known=False)


def no_domain(draft: Draft) -> None:
    """Name and country are all that there is."""
    company = draft.company()
    account = draft.account(company, host=None, located=True)
    draft.organization(company, host=None, located=True)
    draft.others(company, account, domain_known=False)


def requesters(draft: Draft) -> None:
    """An organization under another name and without a domain, most of whose people are at the company's."""
    company = draft.company()
    account = draft.account(company)
    people = {company.domain: draft.rng.randrange(2, 5)}
    if people[company.domain] > 2 and draft.chance(0.5):
        people[draft.rng.choice(FREE_MAIL)] = 1
    draft.organization(company, draw(draft.rng, company.name.country).short, host=None, people=people)
    draft.others(company, account)


def few_requesters(draft: Draft) -> None:
    """People at a company's domain who are too few to tell: one, or as many as at another one's."""
    company = draft.company()
    account = draft.account(company)
    draft.others(company, account)
    elsewhere = draw(draft.rng)
    there = domain(draft.rng, elsewhere.words, elsewhere.country, draft.domains)
    people = {company.domain: 2, there: 2} if draft.chance(0.4) else {company.domain: 1}
    roll = draft.rng.random()
    if roll < 0.5:
        draft.organization(company, host=None, people=people)
    elif roll < 0.7:
        own = draft.organization(company, elsewhere.short, host=None, people=people)
        draft.undecided(own, "another name, and too few people at its domain")
    else:
        draft.organization(draft.company(elsewhere, there), host=None, people=people)


def typing(draft: Draft) -> None:
    """One or two slips of a finger in all tools but Salesforce."""
    company = draft.company(_long(draft))
    account = draft.account(company, located=True)
    hosted = draft.chance(0.5)
    written = mistyped(draft.rng, draft.typed(company.name), draft.rng.choice((1, 1, 2)))
    draft.organization(company, written, host=OWN if hosted else None, located=not hosted)
    if draft.chance(0.4):
        people = {company.domain: 2} if draft.chance(0.5) else {}
        draft.usage(company, mistyped(draft.rng, company.name.short, 1), people=people)
    if draft.chance(0.35):
        draft.value(company, mistyped(draft.rng, company.name.short, 1))
    draft.others(company, account)


def _long(draft: Draft) -> Name:
    """A name that is still known when a letter of it is wrong."""
    return next(name for name in iter(lambda: draw(draft.rng), None) if len(name.short) >= 14)


def scripts(draft: Draft) -> None:
    """One tool has the name as it is written at home, another one in Latin letters."""
    name, native = foreign(draft.rng, draft.rng.choice(SCRIPTS))
    company = draft.company(name)
    at_home = draft.chance(0.5)
    account = draft.account(company, native.full if at_home else name.full, located=True)
    written = name.short if at_home else native.short
    roll = draft.rng.random()
    if roll < 0.6:
        draft.organization(company, written)
    elif roll < 0.8:
        draft.organization(company, written, host=None, people={company.domain: draft.rng.randrange(2, 4)})
    else:
        organization = draft.organization(company, written, host=None, located=True)
        if not native.spelled:
            draft.undecided(organization, "another script that does not spell the same sounds, and no domain")
    as_salesforce = native.short if at_home else name.short
    if draft.chance(0.45):
        draft.usage(company, as_salesforce, declared=account.record_id)
    if draft.chance(0.35):
        draft.value(company, as_salesforce)


def legal_forms(draft: Draft) -> None:
    """The legal form is dropped, moved to the front, spelled otherwise or translated."""
    company = draft.company()
    name = company.name
    account = draft.account(company, name.full, located=True)

    def written() -> str:
        other = draft.rng.choice(name.forms)
        return draft.rng.choice((name.short, f"{other} {name.short}", f"{name.short} {other}", f"{name.short}, {other}"))

    hosted = draft.chance(0.4)
    draft.organization(company, written(), host=OWN if hosted else None, located=not hosted)
    draft.others(company, account, written())


def domain_as_name(draft: Draft) -> None:
    """Somebody typed the domain where the name belongs."""
    company = draft.company()
    account = draft.account(company)
    site = draft.rng.choice((company.domain, company.domain.capitalize(), f"www.{company.domain}"))
    draft.organization(company, site, host=None)
    draft.others(company, account, company.name.short, company.domain)


def acronym(draft: Draft) -> None:
    """The first letters stand for the name."""
    name = draw(draft.rng, draft.rng.choice(("US", "GB", "AU", "CA")), draft.rng.choice(_LONG_NAMES))
    letters = initials(name.words)
    company = draft.company(name)
    account = draft.account(company, f"{name.short} ({letters})" if draft.chance(0.25) else None)
    if draft.chance(0.85):
        draft.organization(company, letters)
        draft.others(company, account, name.short, letters)
    else:
        draft.undecided(draft.organization(company, letters, host=None), "first letters that stand for many names")
        draft.others(company, account)


def dba(draft: Draft) -> None:
    """Salesforce has the legal name with the one that the company goes by, or went by; the others have that one."""
    company = draft.company()
    known_as = draw(draft.rng, company.name.country)
    mark = draft.rng.choice(
        ("dba {}", "d/b/a {}", "t/a {}", "trading as {}", "formerly {}", "(formerly {})", "f/k/a {}", "(now {})")
    )
    account = draft.account(company, f"{company.name.full} {mark.format(known_as.short)}", located=True)
    hosted = draft.chance(0.5)
    draft.organization(company, draft.typed(known_as), host=OWN if hosted else None, located=not hosted)
    draft.others(company, account, known_as.short)


def number_words(draft: Draft) -> None:
    """A number in words here, in digits there."""
    code = country(draft.rng)
    spoken = language(code)
    in_words, digits = draft.rng.choice(NUMBERS[spoken])
    if int(digits) <= len(_ROMAN) and draft.chance(0.25):
        in_words = _ROMAN[int(digits) - 1]
    one, other = word(draft.rng, spoken, "surname"), word(draft.rng, spoken, "sector")
    as_words = (one, in_words if in_words.isupper() else in_words.title(), other)
    company = draft.company(Name(as_words, forms(draft.rng, code), code))
    with_digits = f"{one} {digits} {other}"
    account = draft.account(company, with_digits if draft.chance(0.5) else None, located=True)
    written = company.name.short if account.name == with_digits else with_digits
    hosted = draft.chance(0.5)
    draft.organization(company, written, host=OWN if hosted else None, located=not hosted)
    draft.others(company, account, company.name.short, with_digits)


def word_order(draft: Draft) -> None:
    """The same words in another order, with a comma sometimes."""
    company = draft.company(
        draw(draft.rng, template=draft.rng.choice(("surname sector", "coined sector", "coined sector place")))
    )
    account = draft.account(company, located=True)
    turned = _turned(draft, company.name.words)
    hosted = draft.chance(0.5)
    draft.organization(company, turned, host=OWN if hosted else None, located=not hosted)
    draft.others(company, account, company.name.short, turned)


def _turned(draft: Draft, words: tuple[str, ...]) -> str:
    return draft.rng.choice((" ", ", ")).join((" ".join(words[1:]), words[0]))


def all_wrong(draft: Draft) -> None:
    """Every tool is wrong in its own way, and right in another one."""
    company = draft.company(_long(draft))
    name = company.name
    account = draft.account(company, mistyped(draft.rng, name.full, 1), located=True)
    people = {company.domain: draft.rng.randrange(2, 4)}
    draft.organization(company, _turned(draft, name.words).upper(), host=None, people=people)
    if draft.chance(0.7):
        draft.usage(company, initials(name.words), declared=_copied(draft, account.record_id))
    if draft.chance(0.5):
        draft.value(company, draft.rng.choice((company.domain, name.short, account.name)))


def country_siblings(draft: Draft) -> None:
    """Acme at acme.de and Acme at acme.fr.

    If the accounts are linked as parent and child, they are two customers of one group. Without such a link they are one
    customer with two sites, of whom Salesforce has one account; that it is not a namesake in another country, nobody can tell.
    """
    name = draw(draft.rng, template="coined sector")
    label = slug(name.short)
    elsewhere = draft.rng.choice([code for code in LATIN if endings(code)[0] != endings(name.country)[0]])
    here, there = f"{label}.{endings(name.country)[0]}", f"{label}.{endings(elsewhere)[0]}"
    if {here, there} & draft.domains:
        return
    draft.domains.update((here, there))
    company = draft.company(name, here)
    account = draft.account(company, located=True)
    draft.organization(company)
    draft.others(company, account)
    if draft.chance(0.7):
        sibling = draft.company(Name(name.words, forms(draft.rng, elsewhere), elsewhere), there)
        draft.account(sibling, located=True, parent=account)
        draft.organization(sibling)
    else:
        draft.undecided(draft.organization(company, host=there), "the same name at a domain of another country")


# Kind → of a hundred companies, how many are such. Plain ones make up the rest.
SHARES: dict[Callable[[Draft], None], float] = {
    declared_id: 8,
    deleted_id: 2,
    wrong_id: 1.5,
    duplicates: 3,
    decoys: 4,
    namesakes: 2,
    subsidiaries: 3,
    renamed: 2,
    merged: 1.5,
    free_mail: 3,
    agency: 2,
    shared_host: 2,
    no_domain: 3,
    requesters: 2,
    few_requesters: 1,
    typing: 3,
    scripts: 2,
    legal_forms: 3,
    domain_as_name: 1.5,
    acronym: 1.5,
    dba: 1.5,
    number_words: 1,
    word_order: 1,
    all_wrong: 1.5,
    country_siblings: 1,
}
