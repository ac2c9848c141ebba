"""The invented vocabulary: companies, people, features, complaints.

Here belong words and how they are put together. Not here: which record gets which name, or when.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count

VENDOR = "Quillmere Software"
VENDOR_DOMAIN = "quillmere-software.com"
JIRA_SITE = "https://quillmere.atlassian.net"  # as people paste it, whatever port the stand-in listens on

_STARTS = [
    "Vel",
    "Tarn",
    "Ostre",
    "Quor",
    "Brin",
    "Kestra",
    "Morv",
    "Sund",
    "Halvo",
    "Erst",
    "Grund",
    "Lavis",
    "Pell",
    "Wex",
    "Orla",
    "Thum",
    "Yarra",
    "Cald",
    "Fjel",
    "Nord",
    "Zell",
    "Arken",
    "Bost",
    "Dram",
]
_ENDS = [
    "mar",
    "holt",
    "vik",
    "vane",
    "del",
    "lund",
    "ald",
    "rel",
    "rix",
    "haven",
    "brook",
    "stad",
    "wick",
    "dale",
    "mond",
    "feld",
    "quist",
    "berg",
    "havn",
    "gate",
]

INDUSTRIES = {  # Salesforce's Industry → the words such companies carry in their names
    "Transportation": ("Logistics", "Freight", "Shipping"),
    "Banking": ("Bank", "Capital"),
    "Insurance": ("Insurance", "Mutual"),
    "Healthcare": ("Clinics", "Medical", "Care"),
    "Biotechnology": ("Biotech", "Labs"),
    "Manufacturing": ("Machinery", "Components", "Tools"),
    "Energy": ("Energy", "Wind"),
    "Utilities": ("Water", "Networks"),
    "Retail": ("Retail", "Outfitters"),
    "Food & Beverage": ("Foods", "Breweries"),
    "Construction": ("Construction", "Timber"),
    "Education": ("Academy", "Learning"),
    "Media": ("Media", "Publishing"),
    "Telecommunications": ("Telecom", "Mobile"),
    "Hospitality": ("Hotels", "Travel"),
    "Agriculture": ("Farms", "Seeds"),
}
COUNTRIES = {  # country → legal form, top-level domain, city
    "Germany": ("GmbH", "de", "Hamburg"),
    "United Kingdom": ("Ltd", "co.uk", "Leeds"),
    "Denmark": ("A/S", "dk", "Aarhus"),
    "Sweden": ("AB", "se", "Malmö"),
    "Netherlands": ("B.V.", "nl", "Utrecht"),
    "France": ("SAS", "fr", "Lyon"),
    "United States": ("Inc.", "com", "Columbus"),
    "Canada": ("Corp.", "com", "Halifax"),
    "Australia": ("Pty Ltd", "com.au", "Adelaide"),
}
FIRST_NAMES = [
    "Amina",
    "Anders",
    "Aoife",
    "Bram",
    "Carla",
    "Chidi",
    "Daniela",
    "Dmitri",
    "Elif",
    "Emil",
    "Fatima",
    "Gideon",
    "Hana",
    "Ibrahim",
    "Ingrid",
    "Jonas",
    "Kaito",
    "Katarzyna",
    "Leila",
    "Lars",
    "Mateo",
    "Mei",
    "Nadia",
    "Niels",
    "Olumide",
    "Petra",
    "Priya",
    "Rasmus",
    "Rosa",
    "Sanne",
    "Sofia",
    "Tariq",
    "Tomás",
    "Ulrike",
    "Viktor",
    "Wanjiru",
    "Yusuf",
    "Zoë",
]
LAST_NAMES = [
    "Achterberg",
    "Almgren",
    "Bakare",
    "Brandvold",
    "Castellane",
    "Dahlquist",
    "Eberhart",
    "Farouk",
    "Grønvold",
    "Haldane",
    "Iversholm",
    "Janowicz",
    "Kaltenberg",
    "Lindqvist",
    "Marchetto",
    "Nakagome",
    "Okonjo",
    "Pedrazzi",
    "Quistgaard",
    "Rahmani",
    "Sandoval",
    "Thorvaldsen",
    "Umarov",
    "Vandersteen",
    "Wexelblatt",
    "Yamashiro",
    "Zielonka",
]
JOB_TITLES = """Head of Operations|Operations Analyst|IT Manager|Chief Information Officer|Support Lead|Finance Director
Planning Manager|Data Engineer|Procurement Lead|Process Owner""".replace("\n", "|").split("|")
FREE_MAIL = ("gmail.com", "outlook.com", "web.de")

PRODUCT_AREAS = ("Planning", "Reporting", "Integrations", "Access", "Mobile", "Billing")
FEATURES = {  # product area → things that customers ask for
    "Planning": (
        "Capacity planning across sites",
        "Recurring schedules",
        "What-if scenarios",
        "Shift swap approvals",
        "Calendar overlays",
    ),
    "Reporting": (
        "Scheduled report export",
        "Custom dashboards",
        "Year-over-year comparison",
        "Row-level drill-down",
        "Shared report folders",
    ),
    "Integrations": (
        "Outbound webhooks",
        "Data warehouse export",
        "ERP connector",
        "Bulk import API",
        "Event streaming",
    ),
    "Access": ("Single sign-on with SAML", "Role-based permissions", "Audit log", "SCIM provisioning", "IP allow list"),
    "Mobile": ("Offline mode", "Push notifications", "Barcode scanning", "Tablet layout", "Photo attachments"),
    "Billing": (
        "Invoice splitting",
        "Multi-currency price lists",
        "Usage alerts",
        "Purchase order field",
        "Cost centres",
    ),
}
TASKS = (
    "Add endpoint for",
    "Write migration for",
    "Design review of",
    "Document",
    "Add telemetry to",
    "Load test",
    "Handle time zones in",
)
BUGS = (
    "Timeout when saving",
    "Wrong totals in",
    "Blank page after opening",
    "Duplicate rows in",
    "Slow loading of",
    "Error 500 in",
)
COMPLAINTS = (
    "Cannot export the weekly overview", "Totals differ between screen and export", "Users are logged out at random",
    "How do I add a second site?", "Import stops at row 1,000", "Notifications arrive twice",
    "Please add a filter by region",
    "Dashboard is blank since this morning", "Dates are shown in the wrong time zone", "Need an invoice copy",
    "Search finds nothing", "Wish: approve shifts on the phone", "API answers 500",
    "Special characters break the UTF-8 import",
)  # fmt: skip
LOSS_REASONS = ("Price", "Missing feature", "No decision", "Competitor", "Timing")
NEXT_STEPS = (
    "Send revised proposal",
    "Security review with IT",
    "Call with procurement",
    "Pilot debrief",
    "Await budget approval",
)


def companies(random: random.Random) -> Iterator[tuple[str, str, str, str]]:
    """Endless (name, bare domain, industry, country); no name and no domain comes twice."""
    seen: set[str] = set()
    for number in count():
        industry = random.choice(list(INDUSTRIES))
        country = random.choice(list(COUNTRIES))
        stem = random.choice(_STARTS) + random.choice(_ENDS)
        if number > 2_000:  # the single stems run out in large worlds
            stem += " " + random.choice(_STARTS) + random.choice(_ENDS)
        word = random.choice(INDUSTRIES[industry])
        legal_form, top_level, _ = COUNTRIES[country]
        if random.random() < 0.2:
            top_level = random.choice(("com", "io", "eu"))
        label = f"{stem} {word}".lower().replace(" ", "-")
        if label in seen:
            continue
        seen.add(label)
        yield f"{stem} {word} {legal_form}", f"{label}.{top_level}", industry, country


def person(random: random.Random) -> tuple[str, str]:
    return random.choice(FIRST_NAMES), random.choice(LAST_NAMES)


def as_typed(random: random.Random, domain: str) -> str:
    """A web address the way people type it into a form."""
    return random.choice(("https://www.{}", "http://{}/", "www.{}", "{}", "https://{}/en/home", "HTTPS://WWW.{}/")).format(
        domain
    )


def address(first: str, last: str, domain: str) -> str:
    plain = str.maketrans("äöüéèøåáóčžëñ", "aoueeoaaoczen")
    return f"{first}.{last}".lower().translate(plain) + "@" + domain
