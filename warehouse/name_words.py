"""Names as words: what each word counts as and weighs as evidence, which numbers, legal forms and acronyms a name has.

The words that weigh little are known in advance (names.yaml). Here belongs what one name says; how alike two are is names.py's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import cleanco
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from anyascii import anyascii
from numpy.typing import NDArray
from publicsuffixlist import PublicSuffixList

from warehouse.selects import HOUSE

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Texts = NDArray[np.object_]

WORDS = HOUSE / "names.yaml"
LONGEST = 200  # characters of a name that count; the rest of a longer one is no name
MOST_WORDS = 16

# What a word weighs as evidence, by its kind. A distinctive word weighs 1. All set by hand; a score is no probability.
STOP, LEGAL, COMPANY, SOFT, GENERIC, PLACE, NUMBER, COMMON, WORD = range(9)
WEIGHTS = np.array([0.0, 0.0, 0.08, 0.3, 0.35, 0.5, 0.5, 0.6, 1.0])
AGAINST = np.array([0.0, 0.0, 0.08, 0.5, 0.8, 1.0, 0.5, 1.0, 1.0])  # and when the other name lacks it
SHORT_WORD = np.array([0.0, 0.4, 0.7, 0.9, 1.0])  # share of that for a distinctive word of 1, 2, 3 and more letters
LAST_WORD = 1.3  # how much more against the last word speaks: Acme Bank is a daughter of Acme; Old Acme may be Acme

_ALSO = "\x02"  # parts the names of one company: A dba B
_DOTTED = "\x01"
_ALIASES = (
    r"[\s(\[,;-]+\b(?:d[./]?b[./]?a|doing business as|t/a|trading as|operating as|f[./]?k[./]?a|formerly(?: known as)?"
    r"|previously(?: known as)?|a[./]?k[./]?a|also known as|now known as)\b[.:]*\s+"
)
_ROMANS = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii", "xiv", "xv", "xvi")
_ROMAN = {roman: str(number) for number, roman in enumerate(_ROMANS, start=1)}
_HOST = r"^\s*(?:https?://)?[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}/?\s*$"
# Spellings that sound alike; what transliterations of one word differ in. In this order.
_SOUNDS = (
    (r"(?:shch|sch|tch|ch|sh|sz|cz|zh|tj)", "s"),
    (r"(?:kh|gh)", "h"),
    (r"ph", "f"),
    (r"th", "t"),
    (r"(?:ks|cks)", "x"),
    (r"(?:ts|tz)", "c"),
    (r"(?:ck|q|c)", "k"),
    (r"w", "v"),
    (r"(?:ae|ai|ay|ei|ey)", "e"),
    (r"(?:oe|ou|oo|ow)", "o"),
    (r"(?:ue|yu|iu|ju)", "u"),
    (r"(?:ya|ia|ja)", "a"),
    (r"(?:ye|ie|je|ee)", "e"),
    (r"(?:iy|yy|yj|ij|ii|y|j)", "i"),
    (r"z", "s"),
)


@dataclass(frozen=True)
class Names:
    """Names as words. A name has one or several aliases, an alias has words: lists cut by `_starts`, one more than names."""

    alias_starts: Ints  # name → its aliases
    word_starts: Ints  # alias → its words
    words: Ints  # what each word means → vocabulary
    written: Ints  # how it is written → vocabulary
    weights: Floats  # of the words, as evidence for
    against: Floats  # and, if the other name lacks them, against
    pair_starts: Ints  # alias → its neighbouring words that other names write as one
    pair_places: Ints  # the place in the alias of the first of the two
    pair_words: Ints  # the one word → vocabulary
    joined: pa.Array  # alias → its words but for Company and the like, not spaced
    joined_codes: Ints  # the same as a number: → vocabulary if it is a word, too
    joined_counts: Ints  # of how many words
    acronyms: Sequence[Ints]  # alias → its acronym, a number like those; several readings, -1 is none
    spelled: Sequence[pa.Array]  # the acronyms themselves
    numbers: Ints  # alias → which numbers it has, as a code; 0 is none
    forms: Ints  # alias → bits of its families of legal forms
    vocabulary: pa.Array
    sounds: pa.Array  # as the words of the vocabulary sound
    kinds: Ints  # of the words of the vocabulary
    lengths: Ints


@dataclass(frozen=True)
class _Lexicon:
    """names.yaml and cleanco's legal forms, ready to look up."""

    canonical: Mapping[str, str]  # spelling → what it counts as
    kinds: Mapping[str, int]  # by what it counts as
    phrases: Sequence[tuple[str, str]]  # pattern → the mark of the family of legal forms
    families: Mapping[str, int]  # mark → bit
    native: Mapping[str, str]
    tens: Mapping[str, int]
    units: Mapping[str, int]


@cache
def _lexicon() -> _Lexicon:
    told = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    marks = {family: f"zz{family}" for family in told["legal"]}
    legal = {form: marks[family] for family, forms in told["legal"].items() for form in forms}
    for _, words in cleanco.prepare_default_terms():
        form = " ".join(re.findall("[a-z0-9]+", anyascii(" ".join(words).replace(".", "")).lower()))
        if form not in told["not_legal"] and (len(form) > 2 or " " in form):  # two letters alone: only those listed
            legal.setdefault(form, marks["other"])
    canonical = {word: mark for word, mark in legal.items() if " " not in word}
    kinds = dict.fromkeys(marks.values(), LEGAL)
    for section, kind in (("generic", GENERIC), ("places", PLACE)):
        for heading, words in told[section].items():
            kinds[heading] = kind
            canonical |= dict.fromkeys(words, heading)
    for section, kind in (("left_out", SOFT), ("common", COMMON), ("company", COMPANY), ("stop", STOP)):
        kinds |= dict.fromkeys(told[section], kind)
    for word in told["stop"]:
        canonical.pop(word, None)
    for number, words in told["numbers"].items():
        canonical |= dict.fromkeys(words, str(number))
    phrases = [
        (rf"\b(?:{'|'.join(sorted(forms, key=len, reverse=True))})\b", mark)  # of two that begin alike, the longer one
        for mark in marks.values()
        if (forms := [form for form, of in legal.items() if of == mark and " " in form])
    ]
    numbers = {word: int(number) for number, words in told["numbers"].items() for word in words}
    return _Lexicon(
        canonical,
        kinds,
        phrases,
        {mark: 1 << bit for bit, (family, mark) in enumerate(marks.items()) if family != "other"},
        told["native"],
        {word: number for word, number in numbers.items() if 20 <= number <= 90},
        {word: number for word, number in numbers.items() if 1 <= number <= 9} | {str(n): n for n in range(1, 10)},
    )


def texts_of(names: pd.Series) -> pd.Series:
    """The names as text whatever the column holds; missing stays missing."""
    missing = names.isna().to_numpy(dtype=bool)
    if isinstance(names.dtype, pd.StringDtype):
        return names.astype(object).mask(missing, None).reset_index(drop=True)
    values = names.astype(object).to_numpy()
    texts = [None if gone else value if type(value) is str else str(value) for value, gone in zip(values, missing, strict=True)]
    return pd.Series(texts, dtype=object)


def read_names(names: Sequence[str]) -> Names:
    """Every step takes all names at once, in Arrow or numpy: a loop in Python over 400,000 names would take a minute."""
    lexicon = _lexicon()
    aliases = pc.split_pattern(_cleaned(names, lexicon), _ALSO)
    owners, texts = _flat(aliases)
    # An alias without letter or digit is none; the first one stays, so that every name has one.
    keep = pc.match_substring_regex(texts, "[a-z0-9]").to_numpy(zero_copy_only=False)
    keep |= np.diff(owners, prepend=-1) != 0
    owners, texts = owners[keep], texts.filter(pa.array(keep))
    for pattern, mark in lexicon.phrases:
        texts = pc.replace_substring_regex(texts, pattern, mark)
    alias_of, words = _flat(pc.split_pattern_regex(pc.ascii_trim_whitespace(texts), "[^a-z0-9]+"))
    rank = np.arange(len(alias_of)) - _starts(alias_of, len(owners))[alias_of]
    keep = pc.not_equal(words, "").to_numpy(zero_copy_only=False) & (rank < MOST_WORDS)
    return _weighed(lexicon, _starts(owners, len(names)), alias_of[keep], words.filter(pa.array(keep)))


def _cleaned(names: Sequence[str], lexicon: _Lexicon) -> pa.Array:
    """Lower-case ASCII; aliases parted by a mark, words by anything but letters and digits."""
    text = pc.utf8_slice_codeunits(_arrow(names), 0, LONGEST)
    text = pc.replace_substring_regex(text, r"\p{So}", " ")  # emoji and the like are no words
    foreign = pc.invert(pc.string_is_ascii(text))
    text = _where(text, foreign, lambda some: _transliterated(some, lexicon))
    text = pc.ascii_lower(text)
    text = pc.replace_substring_regex(text, f"[{_ALSO}{_DOTTED}]", " ")
    text = _where(text, pc.match_substring_regex(text, _HOST), _labels)
    text = pc.replace_substring_regex(text, r"\((?:id|reg|registration)\b[^)]*\)", " ")  # a register's number
    text = pc.replace_substring_regex(text, _ALIASES, _ALSO)
    text = _where(text, pc.match_substring_regex(text, r"\([a-z0-9.]{2,10}\)"), lambda some: [_parted(one) for one in some])
    text = pc.replace_substring_regex(text, r"['`\x00]", "")
    text = pc.replace_substring_regex(text, r"\.(?:com|net|org|io)\b", " ")
    text = pc.replace_substring_regex(text, r"[&+]", " and ")
    text = pc.replace_substring_regex(text, r"\bco-op", "coop")
    text = pc.replace_substring_regex(text, r"\b([a-z])/([a-z])\b", r"\1\2")  # A/S
    # S.p.A., J. P. Morgan: letters with points are one word, and the longer word that follows is another.
    text = pc.replace_substring_regex(text, r"\b([a-z])\.[ ]?", r"\1" + _DOTTED)
    text = pc.replace_substring_regex(text, _DOTTED + r"([a-z0-9]{2,})", r" \1")
    text = pc.replace_substring(text, _DOTTED, "")
    text = pc.replace_substring_regex(text, r"\b([0-9]+)(?:st|nd|rd|th)\b", r"\1")
    text = pc.replace_substring_regex(text, f"[^a-z0-9{_ALSO}]+", " ")
    tens = r"\b(" + "|".join(lexicon.tens) + r") (" + "|".join(lexicon.units) + r")\b"
    return _where(text, pc.match_substring_regex(text, tens), lambda some: [_added(one, tens, lexicon) for one in some])


def _arrow(texts: Sequence[str]) -> pa.Array:
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:  # half a surrogate pair
        return pa.array([text.encode("utf-8", "replace").decode("utf-8") for text in texts], pa.string())


def _where(texts: pa.Array, mask: pa.Array, change: Callable[[list[str]], list[str]]) -> pa.Array:
    """Changes only the few texts that the mask names, in Python."""
    some = texts.filter(mask)
    return pc.replace_with_mask(texts, mask, pa.array(change(some.to_pylist()), pa.string())) if len(some) else texts


def _transliterated(texts: list[str], lexicon: _Lexicon) -> list[str]:
    native = re.compile("|".join(re.escape(form) for form in sorted(lexicon.native, key=len, reverse=True)))
    narrow = (unicodedata.normalize("NFKC", text) for text in texts)
    return [anyascii(native.sub(lambda form: f" {lexicon.native[form[0]]} ", text)) for text in narrow]


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def _labels(hosts: list[str]) -> list[str]:
    """What somebody registered, without its public suffix: acme for www.acme.co.uk."""
    bare = [host.strip().removeprefix("https://").removeprefix("http://").rstrip("/") for host in hosts]
    found = [_suffixes().privatesuffix(host) for host in bare]
    return [str(own).split(".")[0] if own else host for own, host in zip(found, bare, strict=True)]


def _parted(text: str) -> str:
    """The acronym that stands in parentheses behind what it is short for is another name of it, and no further word."""
    before, inside, behind = re.split(r"\(([a-z0-9.]{2,10})\)", text, maxsplit=1)
    letters = inside.replace(".", "")
    words = re.findall("[a-z0-9]+", before)
    telling = [word for word in words if word not in ("of", "the", "and", "for")]
    short = any("".join(word[0] for word in some).startswith(letters) for some in (words, telling))
    return f"{before} {behind}{_ALSO}{letters}" if short else text


def _added(text: str, tens: str, lexicon: _Lexicon) -> str:
    return re.sub(tens, lambda found: str(lexicon.tens[found[1]] + lexicon.units[found[2]]), text)


def _weighed(lexicon: _Lexicon, alias_starts: Ints, alias_of: Ints, texts: pa.Array) -> Names:
    aliases = int(alias_starts[-1])
    encoded = texts.dictionary_encode()
    raw = encoded.dictionary.to_pylist()
    meant = [lexicon.canonical.get(word, word) for word in raw]
    codes, unique = pd.factorize(np.array([*raw, *meant, *_ROMAN.values()], dtype=object))
    written, meaning, roman = (part.astype(np.int64) for part in np.split(codes, [len(raw), 2 * len(raw)]))
    kinds = np.array([_kind(lexicon.canonical.get(word, word), lexicon) for word in unique], dtype=np.int64)
    own = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    written, words = written[own], meaning[own]
    romans = pd.Index(list(_ROMAN)).get_indexer(pd.Index(raw, dtype=object))[own]
    words = np.where(_are_roman(romans, kinds[words], alias_of, aliases), roman[romans], words)
    forms = np.zeros(aliases, dtype=np.int64)
    bits = np.array([lexicon.families.get(word, 0) for word in unique], dtype=np.int64)
    np.bitwise_or.at(forms, alias_of, bits[words])
    # A name of nothing but legal forms and little words keeps them as its words: The SE.
    bare = np.bincount(alias_of[kinds[words] > LEGAL], minlength=aliases) == 0
    forms[bare] = 0
    vocabulary = pa.array(unique.tolist(), pa.string())
    spelled = _acronyms(vocabulary, written, kinds[words], alias_of, aliases)
    telling = (kinds[words] > LEGAL) | bare[alias_of]
    words, written, alias_of = words[telling], written[telling], alias_of[telling]
    starts = _starts(alias_of, aliases)
    core = (kinds[words] > COMPANY) | (np.bincount(alias_of[kinds[words] > COMPANY], minlength=aliases) == 0)[alias_of]
    last = np.zeros(len(words), dtype=bool)
    at = np.flatnonzero(kinds[words] > SOFT)
    last[at] = np.diff(alias_of[at], append=-1) != 0
    joined = written_as_one(vocabulary.take(pa.array(words[core])), _starts(alias_of[core], aliases), "")
    known = _codes([vocabulary, joined, *spelled])
    lengths = lengths_of(vocabulary)
    size = np.where(kinds == WORD, SHORT_WORD[np.minimum(lengths, len(SHORT_WORD) - 1)], 1.0)
    worth, loss = WEIGHTS[kinds] * size, AGAINST[kinds] * size
    pair_alias, pair_places, pair_words = _neighbours(vocabulary, written, alias_of, starts, lexicon)
    return Names(
        alias_starts=alias_starts,
        word_starts=starts,
        words=words,
        written=written,
        weights=np.where(bare[alias_of], WEIGHTS[GENERIC], worth[words]),
        against=np.where(bare[alias_of], AGAINST[GENERIC], loss[words]) * np.where(last, LAST_WORD, 1.0),
        pair_starts=_starts(pair_alias, aliases),
        pair_places=pair_places,
        pair_words=pair_words,
        joined=joined,
        joined_codes=known[1],
        joined_counts=np.bincount(alias_of[core], minlength=aliases),
        acronyms=[np.where(lengths_of(text) > 1, codes, -1) for text, codes in zip(spelled, known[2:], strict=True)],
        spelled=spelled,
        numbers=_numbers(unique, words, alias_of, aliases),
        forms=forms,
        vocabulary=vocabulary,
        sounds=_sounds(vocabulary),
        kinds=kinds,
        lengths=lengths,
    )


def written_as_one(words: pa.Array, starts: Ints, between: str) -> pa.Array:
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(starts, pa.int32()), words), between)


def _codes(texts: Sequence[pa.Array]) -> list[Ints]:
    """The same number for the same text, wherever it stands; in the first list, whose texts all differ, its place."""
    encoded = pa.concat_arrays(texts).dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return list(np.split(encoded, np.cumsum([len(text) for text in texts])[:-1]))


def _neighbours(
    vocabulary: pa.Array, written: Ints, alias_of: Ints, starts: Ints, lexicon: _Lexicon
) -> tuple[Ints, Ints, Ints]:
    """Neighbouring words that some name writes as one, Face Book: their alias, their place in it, and that one word."""
    at = np.flatnonzero(np.diff(alias_of) == 0)
    texts = vocabulary.take(pa.array(written))
    both = pc.binary_join_element_wise(texts.take(pa.array(at)), texts.take(pa.array(at + 1)), "")
    found = pc.index_in(both, vocabulary).to_numpy(zero_copy_only=False)
    some = np.flatnonzero(~np.isnan(found))
    one = found[some].astype(np.int64)
    meant = vocabulary.take(pa.array(one)).to_pylist()
    words = pc.index_in(pa.array([lexicon.canonical.get(word, word) for word in meant], pa.string()), vocabulary)
    at = at[some]
    return alias_of[at], at - starts[alias_of[at]], words.to_numpy(zero_copy_only=False).astype(np.int64)


def _kind(word: str, lexicon: _Lexicon) -> int:
    return NUMBER if any(letter.isdigit() for letter in word) else lexicon.kinds.get(word, WORD)


def _are_roman(romans: Ints, kind: Ints, alias_of: Ints, aliases: int) -> Bools:
    """VII is a number behind another word; a single letter only as the last word of the name: Fund I, but V Bank."""
    at = np.flatnonzero((kind > LEGAL) | (romans >= 0))
    first, last = np.zeros(aliases, dtype=np.int64), np.zeros(aliases, dtype=np.int64)
    first[alias_of[at][::-1]], last[alias_of[at]] = at[::-1], at
    place = np.arange(len(romans))
    single = np.isin(romans, [i for i, roman in enumerate(_ROMAN) if len(roman) == 1])
    roman: Bools = (romans >= 0) & (place > first[alias_of]) & (~single | (place == last[alias_of]))
    return roman


def _numbers(vocabulary: Texts, words: Ints, alias_of: Ints, aliases: int) -> Ints:
    """Which numbers a name has, whatever stands around them and in whatever order, as one code; 0 is none."""
    digits = np.array(["-".join(re.findall("[0-9]+", word)) for word in vocabulary], dtype=object)
    at = np.flatnonzero((digits != "")[words])
    found = pd.DataFrame({"alias": alias_of[at], "digits": digits[words[at]]}).drop_duplicates()
    joined = found.sort_values(["alias", "digits"]).groupby("alias")["digits"].agg("-".join)
    codes = np.zeros(aliases, dtype=np.int64)
    codes[joined.index.to_numpy(dtype=np.int64)] = pd.factorize(joined)[0] + 1
    return codes


def _acronyms(vocabulary: pa.Array, written: Ints, kind: Ints, alias_of: Ints, aliases: int) -> list[pa.Array]:
    """The first letters of all words, of the telling ones, of these less a last Company, and of those without any."""
    letters = pc.utf8_slice_codeunits(vocabulary, 0, 1)
    telling = kind > LEGAL
    last = np.zeros(len(kind), dtype=bool)
    at = np.flatnonzero(telling)
    last[at] = np.diff(alias_of[at], append=-1) != 0
    readings = (kind != LEGAL, telling, telling & ~(last & (kind == COMPANY)), kind > COMPANY)
    return [written_as_one(letters.take(pa.array(written[mask])), _starts(alias_of[mask], aliases), "") for mask in readings]


def _sounds(words: pa.Array) -> pa.Array:
    for pattern, sound in _SOUNDS:
        words = pc.replace_substring_regex(words, pattern, sound)
    doubled = pc.match_substring_regex(words, "|".join(letter * 2 for letter in "abcdefghijklmnopqrstuvwxyz"))
    return _where(words, doubled, lambda some: [re.sub(r"([a-z])\1+", r"\1", word) for word in some])


def lengths_of(texts: pa.Array) -> Ints:
    lengths: Ints = pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)  # all is ASCII
    return lengths


def _flat(lists: pa.Array) -> tuple[Ints, pa.Array]:
    """Of which list each item is, and the items."""
    return pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64), pc.list_flatten(lists)


def _starts(owners: Ints, count: int) -> Ints:
    """Where each owner's items start, of items in the order of their owners, and the end."""
    return np.searchsorted(owners, np.arange(count + 1)).astype(np.int64)


def cuts_of(counts: Ints) -> Ints:
    return np.asarray(np.cumsum(counts) - counts, dtype=np.int64)


def grid_of(counts: Ints) -> tuple[Ints, Ints]:
    """For rows of so many items each: of every item its row, and its place in it."""
    row = np.repeat(np.arange(len(counts)), counts)
    return row, np.arange(len(row)) - cuts_of(counts)[row]


def spread_out(starts: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """The positions of all items of rows that start there and have so many, and the row of each."""
    row, place = grid_of(counts)
    return starts[row] + place, row
