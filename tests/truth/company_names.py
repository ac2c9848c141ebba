"""Names of companies that nobody founded, the ways in which people write them, and the domains that such companies have.

Here belongs what is done to a text; the words stand in company_words.yaml. Not here: which records a company has, and what is
hard about them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import yaml

_DATA: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("company_words.yaml").read_text(encoding="utf-8"))
_COUNTRIES: dict[str, dict[str, Any]] = _DATA["countries"]
_ENDINGS = {code: country["endings"].split() for code, country in _COUNTRIES.items()}
_DRAWN = [code for code, country in _COUNTRIES.items() for _ in range(country.get("share", 0))]
_SLOTS: dict[str, dict[str, list[str]]] = {
    language: {slot: [word.replace("_", " ") for word in words.split()] for slot, words in data["slots"].items()}
    for language, data in _DATA["languages"].items()
}
_TEMPLATES = {
    language: [template.split() for template, weight in data["templates"].items() for _ in range(weight)]
    for language, data in _DATA["languages"].items()
}
_BEGIN, _MIDDLE, _END = (_DATA["coined"][part].split() for part in ("begin", "middle", "end"))


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(left, right) for left, _, right in (pair.partition(":") for pair in text.split())]


NUMBERS = {language: _pairs(data["numbers"]) for language, data in _DATA["languages"].items()}  # as a word, as digits
LATIN = tuple(code for code, country in _COUNTRIES.items() if "language" in country)
SCRIPTS = tuple(_DATA["scripts"])  # where companies are written in another script at home

# Mailbox providers: no company may come to own one of these.
FREE_MAIL = ("gmail.com", "outlook.com", "hotmail.com", "yahoo.com", "icloud.com", "gmx.de", "web.de", "orange.fr", "proton.me")


@dataclass(frozen=True)
class Name:
    """What a company is called: the words, its legal form with the other ways to write that, and the country of both."""

    words: tuple[str, ...]
    forms: tuple[str, ...]
    country: str

    @property
    def short(self) -> str:
        return " ".join(self.words)

    @property
    def full(self) -> str:
        return f"{self.short} {self.forms[0]}"


@dataclass(frozen=True)
class Native:
    """A name in another script, without and with its legal form; `spelled` if its letters sound like the Latin name's."""

    short: str
    full: str
    spelled: bool


def language(country: str) -> str:
    return str(_COUNTRIES[country]["language"])


def country_name(country: str) -> str:
    return str(_COUNTRIES[country]["name"])


def country(rng: Random) -> str:
    return rng.choice(_DRAWN)


def word(rng: Random, language: str, slot: str) -> str:
    """One of the list, those in front the more often."""
    words = _SLOTS[language][slot]
    return words[int(len(words) * rng.random() ** 1.3)]


def coined(rng: Random) -> str:
    middle = rng.choice(_MIDDLE) if rng.random() < 0.75 else ""
    return f"{rng.choice(_BEGIN)}{middle}{rng.choice(_END)}".capitalize()


def _part(rng: Random, language: str, slot: str) -> str:
    if slot == "coined":
        return coined(rng)
    if slot == "compound":
        return word(rng, language, "first") + word(rng, language, "second")
    return word(rng, language, slot) if slot in _SLOTS[language] else slot


def draw(rng: Random, code: str | None = None, template: str | None = None) -> Name:
    """A name such as companies of the country have; `template` fixes how it is built."""
    code = code or country(rng)
    spoken = language(code)
    words = tuple(_part(rng, spoken, slot) for slot in (template.split() if template else rng.choice(_TEMPLATES[spoken])))
    if len(set(words)) < len(words):  # nobody is called Systems Systems
        return draw(rng, code, template)
    return Name(words, forms(rng, code), code)


def forms(rng: Random, country: str) -> tuple[str, ...]:
    """A legal form of the country: as the register has it, then the other ways to write it."""
    known = _COUNTRIES[country]["forms"]
    return tuple(known[int(len(known) * rng.random() ** 2)])


def foreign(rng: Random, country: str) -> tuple[Name, Native]:
    """A name as it is written abroad, in Latin letters, and at home."""
    script = _DATA["scripts"][country]
    syllables, trades = _pairs(script["syllables"]), _pairs(script["trades"])
    drawn = rng.sample(syllables, 4 if country == "JP" else 3)
    trade, trade_abroad = rng.choice(trades)
    short = script["joiner"].join(("".join(native for native, _ in drawn).capitalize(), trade))
    abroad = ("".join(latin for _, latin in drawn).capitalize(), trade_abroad)
    form = script["latin"].replace("{}", "").strip()
    return Name(abroad, (form,), country), Native(short, script["native"].format(short), script["spelled"])


_LONG_WORD = re.compile(r"[^\W\d_]{5,}")


def mistyped(rng: Random, text: str, slips: int) -> str:
    """The text with so many slips of a finger, each within a word that is long enough to be known again."""
    for _ in range(slips):
        words = list(_LONG_WORD.finditer(text))
        if not words:
            return text
        found = rng.choice(words)
        at = found.start() + 1 + rng.randrange(len(found.group()) - 2)  # hardly anybody mistypes the first letter
        one, other = text[at], text[at + 1]
        slip = rng.choice((other + one, other, one + one + other, rng.choice("aeinorst") + other))
        text = text[:at] + slip + text[at + 2 :]
    return text


_SHORTER = dict(_pairs(_DATA["shorter"]))


def carelessly(rng: Random, text: str) -> str:
    """The same name, by somebody who spares signs and letters."""
    without_accents = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    ways = [
        without_accents,
        text.replace("&", rng.choice(("and", "+", "und", "y", "et"))),
        " ".join(_SHORTER.get(word, word) for word in text.split()),
        text.replace(" ", "-", 1),
        text.replace(" ", "", 1),
        text.replace(" ", "  ", 1),
        f"{text}.",
        f"The {text}",
    ]
    return rng.choice([way for way in ways if way != text])


def plain_letters(text: str) -> str:
    """In lower case and without accents, as a host would have it. Other scripts stay."""
    text = text.casefold()
    if text.isascii():
        return text
    for letter, written in (("ä", "ae"), ("ö", "oe"), ("ü", "ue")):
        text = text.replace(letter, written)
    return "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", plain_letters(text))


def initials(words: Iterable[str]) -> str:
    return "".join(word[0] for word in words if word[0].isalnum()).upper()


def endings(country: str) -> list[str]:
    """What domains of the country end in, its own ending first."""
    return sorted(_ENDINGS[country], key=lambda ending: not ending.endswith(country.lower().replace("gb", "uk")))


def domain(rng: Random, words: Sequence[str], country: str, taken: set[str], ending: str | None = None) -> str:
    """A domain such as a company of this name registers, that nobody has yet; from now on it is taken."""
    parts = [part for part in map(slug, words) if part]
    whole, first, last = "".join(parts), parts[0], parts[-1] if len(parts) > 1 else "group"
    labels = (whole, whole, whole, "-".join(parts), first, first + last, f"{first}-{last}", f"get{first}", f"{first}hq")
    for attempt in count():
        label = rng.choice(labels) if attempt < 4 else f"{whole}{rng.randrange(2, 10 * attempt)}"
        host = f"{label}.{ending or rng.choice(_ENDINGS[country])}"
        if host not in taken and len(label) > 3:
            taken.add(host)
            return host
    raise AssertionError("counting ended")


@cache
def _spelled_forms() -> frozenset[tuple[str, ...]]:
    latin = [text for country in _COUNTRIES.values() for form in country.get("forms", ()) for text in form]
    scripts = [script[kind].replace("{}", " ") for script in _DATA["scripts"].values() for kind in ("native", "latin")]
    return frozenset(tuple(_tokens(text)) for text in (*latin, *scripts))


def _tokens(text: str) -> list[str]:
    return re.findall(r"\w+", plain_letters(text).replace(".", ""))


def bare(text: str) -> str:
    """What remains of a name without its legal form (at its end or its beginning), accents, case and signs."""
    tokens = _tokens(re.sub("株式会社|有限公司", " ", text))  # written without a space
    for length in range(min(5, len(tokens) - 1), 0, -1):
        if tuple(tokens[-length:]) in _spelled_forms():
            return " ".join(tokens[:-length])
        if tuple(tokens[:length]) in _spelled_forms():
            return " ".join(tokens[length:])
    return " ".join(tokens)
