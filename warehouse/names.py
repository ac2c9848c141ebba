"""How sure it is that two names mean the same company, and by which keys such names find each other.

Looks at names alone, each pair for itself: the words that weigh little are known in advance (names.yaml). Not here: domains,
ids, countries and what is decided from a score; that is identity.py's.
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
from rapidfuzz import process
from rapidfuzz.distance import OSA

from warehouse.selects import HOUSE

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Texts = NDArray[np.object_]

WORDS = HOUSE / "names.yaml"
LONGEST = 200  # characters of a name that count; the rest of a longer one is no name
MOST_WORDS = 16
PAIRS_AT_ONCE = 100_000  # bounds the memory: about 3,000 bytes a pair

# What a word weighs as evidence, by its kind. A distinctive word weighs 1. All set by hand; a score is no probability.
STOP, LEGAL, COMPANY, SOFT, GENERIC, PLACE, NUMBER, COMMON, WORD = range(9)
WEIGHTS = np.array([0.0, 0.0, 0.08, 0.3, 0.35, 0.5, 0.5, 0.6, 1.0])
AGAINST = np.array([0.0, 0.0, 0.08, 0.5, 0.8, 1.0, 0.5, 1.0, 1.0])  # and when the other name lacks it
SHORT_WORD = np.array([0.0, 0.4, 0.7, 0.9, 1.0])  # share of that for a distinctive word of 1, 2, 3 and more letters
OTHER_WORD = 3.5  # words on both sides without counterpart speak this much louder against than equal ones speak for
MORE_WORDS = 0.75  # words that only one side has
LAST_WORD = 1.3  # how much more against the last word speaks: Acme Bank is a daughter of Acme; Old Acme may be Acme
OTHER_NUMBER = 0.25  # factor when both have numbers, and others
ONE_NUMBER = 0.6  # factor when only one has a number
OTHER_FORM = 0.93  # factor when both name a legal form, of another family: Ltd and AG
ACRONYM = np.array([0.0, 0.0, 0.55, 0.8, 0.85, 0.9])  # score of an acronym and its name, by the letters of the acronym
SLIPS = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3])  # wrong letters that a word of so many may have
SLIP = 0.5  # what a wrong letter costs, as a share of what it is of the word: one who errs means the same word
SAME_SOUND = 0.96  # likeness of words that only sound alike
OTHER_SPACES = 0.97  # score of names that differ by spaces, and by Group and the like
CUT_SHORT = 0.85  # likeness of a generic word and its beginning: Elec and Electronics

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


def score_names(left: pd.Series, right: pd.Series) -> pd.Series:
    """How sure it is that two names mean the same company: 0 to 1, element by element, with the index of `left`.

    Both must be equally long; they are compared by position. The score of a pair depends on nothing but its two names, and
    not on which stands left. A missing name, or one without any letter or digit, gives 0. What is not text counts as the
    text it prints as.

    No or little difference make: capitals, diacritics, script (as far as transliteration goes), punctuation, legal forms
    (Ltd, GmbH, OOO, spelt out or not, in front or behind), `&` and `and`, words such as Group or Company, the order of words,
    spaces (Face Book), one or two letters of a long word, numbers as words or Roman (Seven, VII, 7th), usual abbreviations
    (Intl), a domain in place of a name (acme.com). Of names joined by dba, trading as, formerly and the like, one that fits
    suffices. An acronym fits the name it is short for.

    Against it speak: other numbers; other places; a word that is missing, the last one most (Acme, Acme Bank), and more so one
    that is another. That both have a word of many names (Bank, Technologies) says little; that one lacks it says less where
    people leave it out (Technologies) than where it tells the trade (Bank).

    Raises ValueError when the two are not equally long.
    """
    if len(left) != len(right):
        raise ValueError(f"Names are compared pair by pair, but there are {len(left)} and {len(right)} of them.")
    # Each name is read once, and each pair scored once, however often they occur; the smaller number first: symmetric.
    codes, unique = pd.factorize(pd.concat([_texts(left), _texts(right)], ignore_index=True), use_na_sentinel=True)
    first, second = codes[: len(left)].astype(np.int64), codes[len(left) :].astype(np.int64)
    present = (first >= 0) & (second >= 0)
    low, high = np.minimum(first, second)[present], np.maximum(first, second)[present]
    pairs, back = np.unique(low * len(unique) + high, return_inverse=True)
    names = _read(unique.tolist())
    scores = np.zeros(len(pairs))
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        part = pairs[start : start + PAIRS_AT_ONCE]
        scores[start : start + PAIRS_AT_ONCE] = _scored(names, part // max(len(unique), 1), part % max(len(unique), 1))
    found = np.zeros(len(left))
    found[present] = np.round(scores[back], 6)  # sums differ in the last bit by where a pair stands among the others
    return pd.Series(found, index=left.index, name="score")


def normal_forms(names: pd.Series) -> pd.Series:
    """The name without legal forms, words that tell nothing, punctuation, capitals and accents; missing when nothing is left.

    Of several joined names (A dba B) the first. Equal forms are a sign of the same company, and cheap to look up.
    """
    codes, unique = pd.factorize(_texts(names), use_na_sentinel=True)
    read = _read(unique.tolist())
    spelt = _joined(read.vocabulary.take(pa.array(read.words)), read.word_starts, " ")
    firsts = [text or None for text in spelt.take(pa.array(read.alias_starts[:-1])).to_pylist()]
    forms = np.array([*firsts, None], dtype=object)[codes]
    return pd.Series(forms, index=names.index, name="normal_form", dtype="str")


def keys(names: pd.Series) -> pd.Series:
    """The keys under which names of the same company meet: text, several a name, each with the name's index.

    Only names that share a key need be compared. There is one for each distinctive word as it sounds (w:), for the beginning
    (b:) and the end (e:) of the name without spaces, and for the acronym of three to six letters that it is or that is short
    for it (a:). A name of words that many names have has these as keys (g:). Missing names have none. Keys that many of the
    caller's names share make big blocks; it is the caller who can count them.
    """
    codes, unique = pd.factorize(_texts(names), use_na_sentinel=True)
    read = _read(unique.tolist())
    owner, key = _keys(read)
    counts = np.bincount(owner, minlength=len(unique))
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    present = np.flatnonzero(codes >= 0)
    positions, rows = _spread(starts[codes[present]], counts[codes[present]])
    return pd.Series(key[positions], index=names.index.take(present[rows]), name="key", dtype="str")


@dataclass(frozen=True)
class _Names:
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


def _texts(names: pd.Series) -> pd.Series:
    """The names as text whatever the column holds; missing stays missing."""
    missing = names.isna().to_numpy(dtype=bool)
    if isinstance(names.dtype, pd.StringDtype):
        return names.astype(object).mask(missing, None).reset_index(drop=True)
    values = names.astype(object).to_numpy()
    texts = [None if gone else value if type(value) is str else str(value) for value, gone in zip(values, missing, strict=True)]
    return pd.Series(texts, dtype=object)


def _read(names: Sequence[str]) -> _Names:
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


def _weighed(lexicon: _Lexicon, alias_starts: Ints, alias_of: Ints, texts: pa.Array) -> _Names:
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
    joined = _joined(vocabulary.take(pa.array(words[core])), _starts(alias_of[core], aliases), "")
    known = _codes([vocabulary, joined, *spelled])
    lengths = _lengths(vocabulary)
    size = np.where(kinds == WORD, SHORT_WORD[np.minimum(lengths, len(SHORT_WORD) - 1)], 1.0)
    worth, loss = WEIGHTS[kinds] * size, AGAINST[kinds] * size
    pair_alias, pair_places, pair_words = _neighbours(vocabulary, written, alias_of, starts, lexicon)
    return _Names(
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
        acronyms=[np.where(_lengths(text) > 1, codes, -1) for text, codes in zip(spelled, known[2:], strict=True)],
        spelled=spelled,
        numbers=_numbers(unique, words, alias_of, aliases),
        forms=forms,
        vocabulary=vocabulary,
        sounds=_sounds(vocabulary),
        kinds=kinds,
        lengths=lengths,
    )


def _joined(words: pa.Array, starts: Ints, between: str) -> pa.Array:
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
    return [_joined(letters.take(pa.array(written[mask])), _starts(alias_of[mask], aliases), "") for mask in readings]


def _sounds(words: pa.Array) -> pa.Array:
    for pattern, sound in _SOUNDS:
        words = pc.replace_substring_regex(words, pattern, sound)
    doubled = pc.match_substring_regex(words, "|".join(letter * 2 for letter in "abcdefghijklmnopqrstuvwxyz"))
    return _where(words, doubled, lambda some: [re.sub(r"([a-z])\1+", r"\1", word) for word in some])


def _scored(names: _Names, first: Ints, second: Ints) -> Floats:
    """Of all that the two are called, the best fit."""
    a, b = np.diff(names.alias_starts)[first], np.diff(names.alias_starts)[second]
    pair, within = _grid(a * b)
    left = names.alias_starts[first][pair] + within // b[pair]
    right = names.alias_starts[second][pair] + within % b[pair]
    scores = np.maximum(_aligned(names, left, right), _abbreviated(names, left, right))
    scores *= _numbers_factor(names.numbers[left], names.numbers[right])
    spaced = (names.joined_codes[left] == names.joined_codes[right]) & (names.joined_counts[left] != names.joined_counts[right])
    scores[spaced] = np.maximum(scores[spaced], OTHER_SPACES)
    forms = names.forms[left], names.forms[right]
    scores *= np.where((forms[0] > 0) & (forms[1] > 0) & (forms[0] & forms[1] == 0), OTHER_FORM, 1.0)
    return np.asarray(np.maximum.reduceat(scores, np.cumsum(a * b) - a * b), dtype=np.float64)


def _numbers_factor(left: Ints, right: Ints) -> Floats:
    one = (left > 0) != (right > 0)
    factor: Floats = np.where(left == right, 1.0, np.where(one, ONE_NUMBER, OTHER_NUMBER))
    return factor


def _aligned(names: _Names, left: Ints, right: Ints) -> Floats:
    """Compares each word with each of the other name; then what found a counterpart is weighed against what did not."""
    counts = np.diff(names.word_starts)
    some = np.flatnonzero((counts[left] > 0) & (counts[right] > 0))
    scores = np.zeros(len(left))
    if not len(some):
        return scores
    left, right = left[some], right[some]
    a, b = counts[left], counts[right]
    pair, within = _grid(a * b)
    at_left = names.word_starts[left][pair] + within // b[pair]
    at_right = names.word_starts[right][pair] + within % b[pair]
    like = _alike(names, at_left, at_right)
    best_left = np.maximum.reduceat(like, _cuts(b[_grid(a)[0]]))
    turned = (np.cumsum(a * b) - a * b)[pair] + within % a[pair] * b[pair] + within // a[pair]
    best_right = np.maximum.reduceat(like[turned], _cuts(a[_grid(b)[0]]))
    _mend(names, left, right, best_left, best_right)
    _mend(names, right, left, best_right, best_left)
    agreed_left, alone_left = _weighed_up(names, left, a, best_left)
    agreed_right, alone_right = _weighed_up(names, right, b, best_right)
    agreed = (agreed_left + agreed_right) / 2
    against = OTHER_WORD * np.minimum(alone_left, alone_right) + MORE_WORDS * np.abs(alone_left - alone_right)
    scores[some] = agreed / np.maximum(agreed + against, 1e-9)
    return scores


def _mend(names: _Names, apart: Ints, whole: Ints, best_apart: Floats, best_whole: Floats) -> None:
    """Where one has as two words what the other has as one, all three have found their counterpart."""
    counts = np.diff(names.word_starts)
    some = np.flatnonzero(np.diff(names.pair_starts)[apart] > 0)
    at, row = _spread(names.pair_starts[apart[some]], np.diff(names.pair_starts)[apart[some]])
    pair = some[row]
    other, which = _spread(names.word_starts[whole[pair]], counts[whole[pair]])
    hit = np.flatnonzero(names.words[other] == names.pair_words[at[which]])
    pair, at, other = pair[which[hit]], at[which[hit]], other[hit]
    first = _cuts(counts[apart])[pair] + names.pair_places[at]
    best_apart[first] = best_apart[first + 1] = 1.0
    best_whole[_cuts(counts[whole])[pair] + other - names.word_starts[whole[pair]]] = 1.0


def _weighed_up(names: _Names, alias: Ints, counts: Ints, best: Floats) -> tuple[Floats, Floats]:
    """The weight of the words that have a counterpart, and of those that have none."""
    positions, _ = _spread(names.word_starts[alias], counts)
    cuts = _cuts(counts)
    return (
        np.add.reduceat(names.weights[positions] * best, cuts),
        np.add.reduceat(names.against[positions] * (1 - best), cuts),
    )


def _alike(names: _Names, left: Ints, right: Ints) -> Floats:
    """1 for the same word, less for slips of the pen and spellings that sound alike, 0 for other words.

    A known word is never a slip of another known one: Iran and Iraq.
    """
    like: Floats = (names.words[left] == names.words[right]).astype(np.float64)
    left, right = names.written[left], names.written[right]
    lengths = names.lengths
    free = (names.kinds == WORD) & (lengths > 3)
    could = np.isin(names.kinds, (WORD, COMMON, GENERIC, SOFT, PLACE)) & (lengths > 3)
    maybe = (like == 0) & could[left] & could[right] & (free[left] | free[right])
    maybe &= np.abs(lengths[left] - lengths[right]) <= SLIPS[-1]
    at = np.flatnonzero(maybe)
    low, high = np.minimum(left[at], right[at]), np.maximum(left[at], right[at])
    pairs, back = np.unique(low * len(lengths) + high, return_inverse=True)
    low, high = pairs // max(len(lengths), 1), pairs % max(len(lengths), 1)
    seen = _slipped(names.vocabulary, low, high)
    heard = _slipped(names.sounds, low, high) * SAME_SOUND
    like[at] = np.maximum(seen, heard)[back]
    _cut_short(names, left, right, like)
    return like


def _cut_short(names: _Names, left: Ints, right: Ints, like: Floats) -> None:
    """Marks the words that are the beginning of a generic word."""
    texts = names.vocabulary
    begins = pc.index_in(pc.utf8_slice_codeunits(texts, 0, 1), pa.array([*"abcdefghijklmnopqrstuvwxyz"])).fill_null(-1)
    begin = begins.to_numpy(zero_copy_only=False)
    word, generic = (names.kinds == WORD) & (names.lengths > 2), np.isin(names.kinds, (GENERIC, SOFT))
    one_each = word[left] & generic[right] | generic[left] & word[right]
    at = np.flatnonzero((like == 0) & (begin[left] == begin[right]) & one_each)
    swap = generic[left[at]]
    part, whole = np.where(swap, right[at], left[at]), np.where(swap, left[at], right[at])
    pairs, back = np.unique(part * max(len(texts), 1) + whole, return_inverse=True)
    words = texts.to_numpy(zero_copy_only=False)
    part, whole = words[pairs // max(len(texts), 1)], words[pairs % max(len(texts), 1)]
    fits = np.array([long.startswith(short) for short, long in zip(part, whole, strict=True)], dtype=bool)
    like[at[fits[back]]] = CUT_SHORT


def _slipped(words: pa.Array, left: Ints, right: Ints) -> Floats:
    """1 less the share of wrong letters, if they are few enough for slips of the pen."""
    texts, lengths = words.to_numpy(zero_copy_only=False), _lengths(words)
    slips = process.cpdist(texts[left], texts[right], scorer=OSA.distance, score_cutoff=int(SLIPS[-1]), dtype=np.int32)
    longest = np.maximum(lengths[left], lengths[right])
    few = slips <= SLIPS[np.minimum(longest, len(SLIPS) - 1)]
    return np.asarray(np.where(few, 1 - SLIP * slips / np.maximum(longest, 1), 0.0), dtype=np.float64)


def _abbreviated(names: _Names, left: Ints, right: Ints) -> Floats:
    """How well a word of one is the acronym of the other; what else stands beside that word counts as words too many."""
    return np.maximum(_shortened(names, left, right), _shortened(names, right, left))


def _shortened(names: _Names, short: Ints, long: Ints) -> Floats:
    scores = np.zeros(len(short))
    counts = np.diff(names.word_starts)
    joined_lengths = _lengths(names.joined)
    whole = np.bincount(_grid(counts)[0], names.against, minlength=len(counts))
    positions, row = _spread(names.word_starts[short], counts[short])
    written = names.written[positions]
    for reading in names.acronyms:
        # A T & T are several words, but together an acronym.
        at = np.flatnonzero(names.joined_codes[short] == reading[long])
        scores[at] = np.maximum(scores[at], ACRONYM[np.minimum(joined_lengths[short[at]], len(ACRONYM) - 1)])
        at = np.flatnonzero(written == reading[long[row]])
        beside = whole[short[row[at]]] - names.against[positions[at]]
        score = ACRONYM[np.minimum(names.lengths[written[at]], len(ACRONYM) - 1)] / (1 + MORE_WORDS * beside)
        np.maximum.at(scores, row[at], score)
    return scores


def _keys(names: _Names) -> tuple[Ints, Texts]:
    """Names and their keys, each once, in the order of the names."""
    owner, alias_of = _grid(np.diff(names.alias_starts))[0], _grid(np.diff(names.word_starts))[0]
    kind, lengths = names.kinds[names.words], names.lengths[names.written]
    rare = kind == WORD
    common = ~rare & (np.bincount(alias_of[rare], minlength=len(owner)) == 0)[alias_of]
    short = (rare | (kind == NUMBER)) & (lengths > 2) & (lengths < 7)
    filled = _lengths(names.joined) > 0
    found = [
        _key("w:", names.sounds, names.written[rare], owner[alias_of[rare]]),
        _key("g:", names.vocabulary, names.words[common], owner[alias_of[common]]),
        _key("a:", names.vocabulary, names.written[short], owner[alias_of[short]]),
        _key("b:", pc.utf8_slice_codeunits(names.joined, 0, 5), np.flatnonzero(filled), owner[filled]),
        _key("e:", pc.utf8_slice_codeunits(names.joined, -5), np.flatnonzero(filled), owner[filled]),
    ]
    for reading in names.spelled:
        fit = (_lengths(reading) > 2) & (_lengths(reading) < 7)
        found.append(_key("a:", reading, np.flatnonzero(fit), owner[fit]))
    encoded = pa.concat_arrays([text for _, text in found]).dictionary_encode()
    texts = encoded.dictionary.to_numpy(zero_copy_only=False)
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    pairs = np.unique(np.concatenate([owners for owners, _ in found]) * max(len(texts), 1) + codes)
    return pairs // max(len(texts), 1), texts[pairs % max(len(texts), 1)]


def _key(prefix: str, texts: pa.Array, which: Ints, owners: Ints) -> tuple[Ints, pa.Array]:
    return owners, pc.binary_join_element_wise(prefix, texts, "").take(pa.array(which))


def _lengths(texts: pa.Array) -> Ints:
    lengths: Ints = pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)  # all is ASCII
    return lengths


def _flat(lists: pa.Array) -> tuple[Ints, pa.Array]:
    """Of which list each item is, and the items."""
    return pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64), pc.list_flatten(lists)


def _starts(owners: Ints, count: int) -> Ints:
    """Where each owner's items start, of items in the order of their owners, and the end."""
    return np.searchsorted(owners, np.arange(count + 1)).astype(np.int64)


def _cuts(counts: Ints) -> Ints:
    return np.asarray(np.cumsum(counts) - counts, dtype=np.int64)


def _grid(counts: Ints) -> tuple[Ints, Ints]:
    """For rows of so many items each: of every item its row, and its place in it."""
    row = np.repeat(np.arange(len(counts)), counts)
    return row, np.arange(len(row)) - _cuts(counts)[row]


def _spread(starts: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """The positions of all items of rows that start there and have so many, and the row of each."""
    row, place = _grid(counts)
    return starts[row] + place, row
