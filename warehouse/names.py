"""How sure it is that two names mean the same company, and by which keys such names find each other.

Looks at names alone, each pair for itself. Not here: what the words of a name count as (name_words), domains, ids, countries
and what is decided from a score (matching).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz import process
from rapidfuzz.distance import OSA

from warehouse.name_words import (
    COMMON,
    GENERIC,
    NUMBER,
    PLACE,
    SOFT,
    WORD,
    Floats,
    Ints,
    Names,
    Texts,
    cuts_of,
    grid_of,
    lengths_of,
    read_names,
    spread_out,
    texts_of,
    written_as_one,
)

PAIRS_AT_ONCE = 100_000  # bounds the memory: about 3,000 bytes a pair

OTHER_WORD = 3.5  # words on both sides without counterpart speak this much louder against than equal ones speak for
MORE_WORDS = 0.75  # words that only one side has
OTHER_NUMBER = 0.25  # factor when both have numbers, and others
ONE_NUMBER = 0.6  # factor when only one has a number
OTHER_FORM = 0.93  # factor when both name a legal form, of another family: Ltd and AG
ACRONYM = np.array([0.0, 0.0, 0.55, 0.8, 0.85, 0.9])  # score of an acronym and its name, by the letters of the acronym
SLIPS = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3])  # wrong letters that a word of so many may have
SLIP = 0.5  # what a wrong letter costs, as a share of what it is of the word: one who errs means the same word
SAME_SOUND = 0.96  # likeness of words that only sound alike
OTHER_SPACES = 0.97  # score of names that differ by spaces, and by Group and the like
CUT_SHORT = 0.85  # likeness of a generic word and its beginning: Elec and Electronics


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
    codes, unique = pd.factorize(pd.concat([texts_of(left), texts_of(right)], ignore_index=True), use_na_sentinel=True)
    first, second = codes[: len(left)].astype(np.int64), codes[len(left) :].astype(np.int64)
    present = (first >= 0) & (second >= 0)
    low, high = np.minimum(first, second)[present], np.maximum(first, second)[present]
    pairs, back = np.unique(low * len(unique) + high, return_inverse=True)
    names = read_names(unique.tolist())
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
    codes, unique = pd.factorize(texts_of(names), use_na_sentinel=True)
    read = read_names(unique.tolist())
    spelt = written_as_one(read.vocabulary.take(pa.array(read.words)), read.word_starts, " ")
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
    codes, unique = pd.factorize(texts_of(names), use_na_sentinel=True)
    read = read_names(unique.tolist())
    owner, key = _keys(read)
    counts = np.bincount(owner, minlength=len(unique))
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    present = np.flatnonzero(codes >= 0)
    positions, rows = spread_out(starts[codes[present]], counts[codes[present]])
    return pd.Series(key[positions], index=names.index.take(present[rows]), name="key", dtype="str")


def _scored(names: Names, first: Ints, second: Ints) -> Floats:
    """Of all that the two are called, the best fit."""
    a, b = np.diff(names.alias_starts)[first], np.diff(names.alias_starts)[second]
    pair, within = grid_of(a * b)
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


def _aligned(names: Names, left: Ints, right: Ints) -> Floats:
    """Compares each word with each of the other name; then what found a counterpart is weighed against what did not."""
    counts = np.diff(names.word_starts)
    some = np.flatnonzero((counts[left] > 0) & (counts[right] > 0))
    scores = np.zeros(len(left))
    if not len(some):
        return scores
    left, right = left[some], right[some]
    a, b = counts[left], counts[right]
    pair, within = grid_of(a * b)
    at_left = names.word_starts[left][pair] + within // b[pair]
    at_right = names.word_starts[right][pair] + within % b[pair]
    like = _alike(names, at_left, at_right)
    best_left = np.maximum.reduceat(like, cuts_of(b[grid_of(a)[0]]))
    turned = (np.cumsum(a * b) - a * b)[pair] + within % a[pair] * b[pair] + within // a[pair]
    best_right = np.maximum.reduceat(like[turned], cuts_of(a[grid_of(b)[0]]))
    _mend(names, left, right, best_left, best_right)
    _mend(names, right, left, best_right, best_left)
    agreed_left, alone_left = _weighed_up(names, left, a, best_left)
    agreed_right, alone_right = _weighed_up(names, right, b, best_right)
    agreed = (agreed_left + agreed_right) / 2
    against = OTHER_WORD * np.minimum(alone_left, alone_right) + MORE_WORDS * np.abs(alone_left - alone_right)
    scores[some] = agreed / np.maximum(agreed + against, 1e-9)
    return scores


def _mend(names: Names, apart: Ints, whole: Ints, best_apart: Floats, best_whole: Floats) -> None:
    """Where one has as two words what the other has as one, all three have found their counterpart."""
    counts = np.diff(names.word_starts)
    some = np.flatnonzero(np.diff(names.pair_starts)[apart] > 0)
    at, row = spread_out(names.pair_starts[apart[some]], np.diff(names.pair_starts)[apart[some]])
    pair = some[row]
    other, which = spread_out(names.word_starts[whole[pair]], counts[whole[pair]])
    hit = np.flatnonzero(names.words[other] == names.pair_words[at[which]])
    pair, at, other = pair[which[hit]], at[which[hit]], other[hit]
    first = cuts_of(counts[apart])[pair] + names.pair_places[at]
    best_apart[first] = best_apart[first + 1] = 1.0
    best_whole[cuts_of(counts[whole])[pair] + other - names.word_starts[whole[pair]]] = 1.0


def _weighed_up(names: Names, alias: Ints, counts: Ints, best: Floats) -> tuple[Floats, Floats]:
    """The weight of the words that have a counterpart, and of those that have none."""
    positions, _ = spread_out(names.word_starts[alias], counts)
    cuts = cuts_of(counts)
    return (
        np.add.reduceat(names.weights[positions] * best, cuts),
        np.add.reduceat(names.against[positions] * (1 - best), cuts),
    )


def _alike(names: Names, left: Ints, right: Ints) -> Floats:
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


def _cut_short(names: Names, left: Ints, right: Ints, like: Floats) -> None:
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
    texts, lengths = words.to_numpy(zero_copy_only=False), lengths_of(words)
    slips = process.cpdist(texts[left], texts[right], scorer=OSA.distance, score_cutoff=int(SLIPS[-1]), dtype=np.int32)
    longest = np.maximum(lengths[left], lengths[right])
    few = slips <= SLIPS[np.minimum(longest, len(SLIPS) - 1)]
    return np.asarray(np.where(few, 1 - SLIP * slips / np.maximum(longest, 1), 0.0), dtype=np.float64)


def _abbreviated(names: Names, left: Ints, right: Ints) -> Floats:
    """How well a word of one is the acronym of the other; what else stands beside that word counts as words too many."""
    return np.maximum(_shortened(names, left, right), _shortened(names, right, left))


def _shortened(names: Names, short: Ints, long: Ints) -> Floats:
    scores = np.zeros(len(short))
    counts = np.diff(names.word_starts)
    joined_lengths = lengths_of(names.joined)
    whole = np.bincount(grid_of(counts)[0], names.against, minlength=len(counts))
    positions, row = spread_out(names.word_starts[short], counts[short])
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


def _keys(names: Names) -> tuple[Ints, Texts]:
    """Names and their keys, each once, in the order of the names."""
    owner, alias_of = grid_of(np.diff(names.alias_starts))[0], grid_of(np.diff(names.word_starts))[0]
    kind, lengths = names.kinds[names.words], names.lengths[names.written]
    rare = kind == WORD
    common = ~rare & (np.bincount(alias_of[rare], minlength=len(owner)) == 0)[alias_of]
    short = (rare | (kind == NUMBER)) & (lengths > 2) & (lengths < 7)
    filled = lengths_of(names.joined) > 0
    found = [
        _key("w:", names.sounds, names.written[rare], owner[alias_of[rare]]),
        _key("g:", names.vocabulary, names.words[common], owner[alias_of[common]]),
        _key("a:", names.vocabulary, names.written[short], owner[alias_of[short]]),
        _key("b:", pc.utf8_slice_codeunits(names.joined, 0, 5), np.flatnonzero(filled), owner[filled]),
        _key("e:", pc.utf8_slice_codeunits(names.joined, -5), np.flatnonzero(filled), owner[filled]),
    ]
    for reading in names.spelled:
        fit = (lengths_of(reading) > 2) & (lengths_of(reading) < 7)
        found.append(_key("a:", reading, np.flatnonzero(fit), owner[fit]))
    encoded = pa.concat_arrays([text for _, text in found]).dictionary_encode()
    texts = encoded.dictionary.to_numpy(zero_copy_only=False)
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    pairs = np.unique(np.concatenate([owners for owners, _ in found]) * max(len(texts), 1) + codes)
    return pairs // max(len(texts), 1), texts[pairs % max(len(texts), 1)]


def _key(prefix: str, texts: pa.Array, which: Ints, owners: Ints) -> tuple[Ints, pa.Array]:
    return owners, pc.binary_join_element_wise(prefix, texts, "").take(pa.array(which))
