"""Hashed n-grams against a literal oracle, and DSIR built on them."""

# ruff: noqa: RUF001 (letters that look like others are what is tested)

from __future__ import annotations

import hashlib
import itertools
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import coremax
from coremax import _core
from coremax._inputs.arrays import seed_of
from coremax.selection import dsir_log_weights
from coremax.text import _text as text
from coremax.text import ngram_counts
from coremax.text._text import HASHES, Hash
from helpers import ISAS, THREADS, output_when_interrupted
from oracles import dsir as oracle

NASTY = [
    "",
    " \n\t ",
    "The quick brown fox, the QUICK fox... isn't it?",
    "one",
    "...",
    "snake_case __init__ x_1 3.14159 1e-10 ١٢٣ ²½ ⅷ Ⅷ",
    "naïve café NAÏVE e\u0301 E\u0301 a\u0308\u0323b",  # combining marks are no word characters
    "ΣΑΣ ΟΔΥΣΣΕΥΣ Σ ΑΣ. ΑΣ\u0301 Σ\u00adΑ",  # a sigma depends on what is around it
    "İstanbul IĞDIR ıI ǅ Ǆ ẞ ß ŉ Ⱥ Ⱦ K Å ﬁ",  # lower case that is longer, shorter or ASCII
    "😀😀 👩‍👩‍👧‍👦 🇩🇪!🏳️‍🌈 a😀b",
    "日本語のテキスト、中文 한국어 עברית العربية हिन्दी ไทย",
    "nul\0nul \0 \0\0 a\0",
    "control \x1c\x1d\x1e\x1f \x85 \xa0 \u2003 \u3000 \u200b \ufeff x\x0by\x0cz",
    "\U0010ffff \ue000\uffff \U000e0001 𝔄𝔅 𐐀𐐁 𞤀",
    "x" * 100_001 + " " + "É" * 70_000 + "!" * 40_000 + " z " + "y" * 300,
    *("w" * n for n in range(1, 70)),  # all tails of the fast hash, and both paddings of SHA-256
    *("é" * n for n in range(20, 40)),
    "a b " * 2000,
    " " * 100_000 + "late" + " " * 100_000,
]


def words(n: int, seed: int, first: int = 0, n_words: int = 2000) -> list[str]:
    """Documents of 120 words of a Zipf-like vocabulary w{first}..."""
    rng = np.random.default_rng(seed)
    p = 1 / np.arange(1, n_words + 1)
    drawn = rng.choice(n_words, size=(n, 120), p=p / p.sum())
    return [" ".join(f"w{first + i}" for i in row) for row in drawn]


@pytest.mark.parametrize("hashing", HASHES)
@pytest.mark.parametrize(("ngrams", "n_buckets"), [(1, 10_000), (2, 10_000), (3, 97), (16, 1), (5, 2**20)])
def test_counts_of_nasty_text(hashing: Hash, ngrams: int, n_buckets: int) -> None:
    expected = oracle.counts(NASTY, n_buckets, ngrams, hashing)
    for threads in THREADS:
        got = ngram_counts(NASTY, n_buckets=n_buckets, ngrams=ngrams, hash=hashing, threads=threads)
        assert got.dtype == np.int64
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("hashing", HASHES)
def test_each_nasty_text_alone(hashing: Hash) -> None:
    for each in NASTY:
        assert np.array_equal(ngram_counts([each], hash=hashing), oracle.counts([each], 10_000, 2, hashing)), each[:40]


def test_known_buckets() -> None:
    # Digests of "hello" and "hello world", and the fast hash: a change of either shows here whatever the oracle does.
    assert np.flatnonzero(ngram_counts(["hello"], hash="sha256")).tolist() == [
        0x2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824 % 10_000
    ]
    pair = 0xB94D27B9934D3E08A52E52D7DA7DABFAC484EFE37A5380EE9088F7ACE2EFCDE9 % 10_000
    assert ngram_counts(["Hello\nWORLD"], hash="sha256")[pair] == 1
    assert np.flatnonzero(ngram_counts(["hello world"])).tolist() == [2387, 4541, 4903]


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), max_size=6),
    st.integers(1, 4),
    st.sampled_from(HASHES),
)
def test_counts_of_any_text(texts: list[str], ngrams: int, hashing: Hash) -> None:
    got = ngram_counts(texts, n_buckets=1009, ngrams=ngrams, hash=hashing, threads=1)
    assert np.array_equal(got, oracle.counts(texts, 1009, ngrams, hashing))


@settings(deadline=None, max_examples=300)
@given(st.text("aBΣσς İıſK.'_ \u0301\u00ad\n1", max_size=40), st.sampled_from(HASHES))
def test_counts_of_text_with_peculiar_case(each: str, hashing: Hash) -> None:
    assert np.array_equal(ngram_counts([each], n_buckets=1009, hash=hashing), oracle.counts([each], 1009, 2, hashing))


def test_every_code_point_has_the_kind_and_the_case_that_python_gives_it() -> None:
    for code, entry in enumerate(text._entries().tolist()):
        character = chr(code)
        lower = character.lower()
        if len(lower) == 1:
            kind = 1 if re.match(r"\w", lower) else 2 if re.match(r"\s", lower) else 0
            assert entry == 4 * ord(lower) + kind, hex(code)


def test_code_points_of_all_lengths() -> None:
    # One in seventeen, and all that have a lower case, between letters and between spaces: a wrong one changes a token.
    every = (chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)
    some = [character for character in every if ord(character) % 17 == 0 or character.lower() != character]
    block = " ".join(f"x{character}y {character}" for character in some)
    assert np.array_equal(ngram_counts([block], ngrams=1), oracle.counts([block], 10_000, 1, "fast"))


def test_lower_case_depends_on_the_neighbours_of_the_sigma_only() -> None:
    # What text._special_characters relies on: any other character has a lower case of its own, which is its own lower case.
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        lower = character.lower()
        if character != "Σ":
            assert f"a{character}b{character} {character}".lower() == f"a{lower}b{lower} {lower}"
        assert lower.lower() == lower
        assert len(lower) == 1 or character in text._special_characters()


@pytest.mark.parametrize("hashing", HASHES)
def test_buckets_are_even(hashing: Hash) -> None:
    # 300,000 distinct tokens and pairs each: chi-square of 10,000 buckets within 5 standard deviations; fixed texts.
    numbers = [str(i) for i in range(300_000)]
    letters = ["".join(letters) for letters in itertools.islice(itertools.product("etaoinshrdlu", repeat=6), 300_000)]
    pairs = [f"{a} {b}" for a, b in itertools.product(range(550), repeat=2)]
    singles = ngram_counts([str(i) for i in range(550)], ngrams=1, hash=hashing)
    for found in (
        ngram_counts(numbers, ngrams=1, hash=hashing),
        ngram_counts(letters, ngrams=1, hash=hashing),
        ngram_counts(pairs, hash=hashing) - 2 * 550 * singles,
    ):
        mean = found.sum() / 10_000
        chi_square = ((found - mean) ** 2).sum() / mean
        assert abs(chi_square - 9999) < 5 * np.sqrt(2 * 9999)


@pytest.mark.parametrize("hashing", HASHES)
def test_pairs_know_their_order_and_are_no_words(hashing: Hash) -> None:
    def pair(each: str) -> int:
        left, right = each.split()
        alone = ngram_counts([left, right], n_buckets=2**20, hash=hashing)
        (bucket,) = np.flatnonzero(ngram_counts([each], n_buckets=2**20, hash=hashing) - alone)
        return int(bucket)

    buckets = [pair("alpha beta"), pair("beta alpha"), pair("alpha alpha"), pair("alph abeta")]
    joined = np.flatnonzero(ngram_counts(["alphabeta"], n_buckets=2**20, hash=hashing)).tolist()
    assert len({*buckets, *joined}) == 5


@pytest.mark.parametrize("hashing", HASHES)
def test_batches_threads_and_levels_do_not_matter(monkeypatch: pytest.MonkeyPatch, hashing: Hash) -> None:
    texts, target = words(300, 1) + NASTY, words(50, 2, first=100)
    expected_counts = oracle.counts(texts, 10_000, 2, hashing)
    expected = dsir_log_weights(texts, target, hash=hashing, min_tokens=0, threads=1)
    for n_bytes, n_documents, threads in ((1, 10**9, 1), (5000, 10**9, 2), (10**9, 7, 3), (10**9, 10**9, 2)):
        monkeypatch.setattr(text, "_BATCH_BYTES", n_bytes)
        monkeypatch.setattr(text, "_BATCH_DOCUMENTS", n_documents)
        for isa in ISAS:
            monkeypatch.setenv("COREMAX_ISA", isa)
            assert np.array_equal(ngram_counts(texts, hash=hashing, threads=threads), expected_counts)
            assert np.array_equal(dsir_log_weights(texts, target, hash=hashing, min_tokens=0, threads=threads), expected)


def test_counts_add_up() -> None:
    texts = words(100, 3)
    assert np.array_equal(ngram_counts(texts[:37]) + ngram_counts(texts[37:]), ngram_counts(texts))
    assert ngram_counts([]).tolist() == [0] * 10_000


def test_sources(tmp_path: Path) -> None:
    texts = ["Plain text.", "", "Ünïcode 😀 ΑΣ", "last line"]
    expected = ngram_counts(texts)
    plain, objects, open_ended = tmp_path / "a.txt", tmp_path / "a.jsonl", tmp_path / "b.txt"
    plain.write_text("".join(f"{line}\n" for line in texts), "utf-8")
    objects.write_text("".join(json.dumps({"id": 1, "text": line}) + "\n\n" for line in texts), "utf-8")
    open_ended.write_bytes("\r\n".join(texts).encode())
    sources: list[Any] = [
        texts, tuple(texts), iter(texts), lambda: iter(texts), np.array(texts), [line.encode() for line in texts], plain,
        objects, open_ended, [plain], iter([objects]), dict.fromkeys(texts, 0).keys(), lambda: objects,
    ]  # fmt: skip
    for source in sources:
        assert np.array_equal(ngram_counts(source), expected), source
    assert np.array_equal(ngram_counts([plain, "Plain text.", objects]), 2 * expected + ngram_counts(texts[:1]))
    # An empty line of plain text is a document, one between objects is none: as for other readers (test_records.py).
    for path in (plain, objects):
        assert dsir_log_weights(path, texts, min_tokens=1)[1] == -np.inf
        assert len(dsir_log_weights(path, texts, min_tokens=1)) == 4


def test_an_iterator_is_read_lazily(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_BATCH_DOCUMENTS", 10)
    features = text.Features(100, 1, "fast", 1, False)
    read = 0

    def documents() -> Iterator[str]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield "a text"

    batches = features._batches(documents(), "texts")
    assert len(next(batches)) == 10
    assert read <= 11


def test_progress() -> None:
    calls: list[tuple[int, int]] = []
    ngram_counts(words(30, 1), progress=lambda done, total: calls.append((done, total)))
    assert calls == [(30, 30)]
    ngram_counts(iter(words(30, 1)), progress=lambda done, total: calls.append((done, total)))
    assert calls[1:] == [(30, 30)]


BAD_TEXTS: list[tuple[Any, type[Exception], str]] = [
    ("one text", TypeError, r"^texts must be an iterable of texts, got one str: put a text into a list"),
    (b"one text", TypeError, r"^texts must be an iterable of texts, got one bytes"),
    (5, TypeError, r"^texts must be an iterable of texts or a path, got int$"),
    (None, TypeError, r"^texts must be an iterable of texts or a path, got NoneType$"),
    (["a", "b", None], TypeError, r"^texts\[2\] must be str or bytes, got NoneType$"),
    (["a", 1.5], TypeError, r"^texts\[1\] must be str or bytes, got float$"),
    (["a", b"ab\xff"], ValueError, r"^texts\[1\] is not UTF-8 at byte 2: "),
    (["a", b"ab\xc3"], ValueError, r"^texts\[1\] is not UTF-8 at byte 2: "),
    (["a", b"\xed\xa0\x80"], ValueError, r"^texts\[1\] is not UTF-8 at byte 0: "),
    (["a", "b", "ab\ud800"], ValueError, r"^texts\[2\] has a lone surrogate at character 2, "),
    (Path("no such file"), FileNotFoundError, "no such file"),
]


@pytest.mark.parametrize(("texts", "error", "message"), BAD_TEXTS)
def test_bad_texts(texts: Any, error: type[Exception], message: str) -> None:
    for call in (ngram_counts, lambda texts: dsir_log_weights(texts, ["a"])):
        with pytest.raises(error, match=message):
            call(texts)
    with pytest.raises(error, match=message.replace("texts", "target", 1)):
        dsir_log_weights(["a"], texts)


def test_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    for line, message in (
        ("{", "is no JSON: "),
        ("[1]", 'is no object with a string "text"'),
        ('{"txt": "a"}', 'is no object with a string "text"'),
        ('{"text": 3}', 'is no object with a string "text"'),
        ('{"text": "\\ud800"}', "has a lone surrogate at character 0"),
    ):
        path.write_text('{"text": "good"}\n' + line + "\n")
        with pytest.raises(ValueError, match=rf"bad\.jsonl', line 2: {message}"):
            ngram_counts(path)
    for name in ("bad.jsonl", "bad.txt"):
        (tmp_path / name).write_bytes(b'{"text": "good"}\n{"text": "\xff"}\n')
        with pytest.raises(ValueError, match=rf"{name}', line 2: is no.* (UTF-8|codec)"):
            ngram_counts([tmp_path / name])


def test_bad_options() -> None:
    calls: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"n_buckets": 0}, ValueError, "n_buckets must be from 1 to 16777216, got 0"),
        ({"n_buckets": 2**24 + 1}, ValueError, "n_buckets must be from 1 to"),
        ({"n_buckets": 1.5}, TypeError, "n_buckets must be an int"),
        ({"ngrams": 0}, ValueError, "ngrams must be from 1 to 16, got 0"),
        ({"ngrams": 17}, ValueError, "ngrams must be from 1 to 16, got 17"),
        ({"hash": "md5"}, ValueError, "hash must be one of 'fast', 'sha256', got 'md5'"),
        ({"threads": 0}, ValueError, "threads must be from 1"),
    ]
    for options, error, message in calls:
        with pytest.raises(error, match=message):
            ngram_counts(["a"], **options)
        with pytest.raises(error, match=message):
            coremax.dsir(["a"], ["a"], 1, **options)
    of_dsir: list[tuple[str, Any, type[Exception]]] = [
        *(("smoothing", value, ValueError) for value in (0, -1.0, np.nan, np.inf)),
        ("smoothing", "x", TypeError),
        ("min_tokens", -1, ValueError),
        ("min_tokens", 1.0, TypeError),
        ("seed", -1, ValueError),
        ("seed", "x", TypeError),
    ]
    for name, value, error in of_dsir:
        wrong: dict[str, Any] = {"min_tokens": 1, name: value}
        with pytest.raises(error, match=f"^{name} must be"):
            coremax.dsir(["a"], ["a"], 1, **wrong)


def test_the_engine_checks_too() -> None:
    entries = text._entries()
    with pytest.raises(ValueError, match="one number per code point"):
        _core.Characters(entries[:-1])
    for bad_entry in (2**32 - 1, 3, 4 * len(entries)):
        with pytest.raises(ValueError, match="out of range"):
            _core.Characters(np.append(entries[:-1], np.uint32(bad_entry)))
    table = text._characters()
    for options in (("md5", 2, 10, ""), ("fast", 0, 10, ""), ("fast", 2, 0, ""), ("fast", 2, 10, "mmx")):
        with pytest.raises(ValueError, match=r"md5|ngrams|n_buckets|mmx"):
            _core.NgramHasher(table, *options)
    hasher = _core.NgramHasher(table, "fast", 2, 10, "")
    for bad in (1, "é", None):
        with pytest.raises(TypeError, match="bytes or ASCII"):
            hasher.count((bad,), 1)  # type: ignore[arg-type]
    for bytes_ in (
        b"\xff",
        b"a\x80",
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf5",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
    ):
        for threads in THREADS:
            with pytest.raises(ValueError, match=r"^document 1: byte \d is not UTF-8"):
                hasher.count((b"good", bytes_, bytes_), threads)
    with pytest.raises(ValueError, match="one element per bucket"):
        hasher.sum(("a",), _core.import_array(np.ones(9), "values"), 1)
    assert hasher.sum((), _core.import_array(np.ones(10), "values"), 1)[0].shape == (0,)


# ---- DSIR ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hashing", HASHES)
@pytest.mark.parametrize("smoothing", [1e-8, 1e-3])
def test_log_weights(hashing: Hash, smoothing: float) -> None:
    texts = [*words(40, 1), "too short", *NASTY[:8], *words(20, 2, first=1000)]
    target = words(30, 3, first=1000)
    options: dict[str, Any] = {"smoothing": smoothing, "min_tokens": 10}
    got = dsir_log_weights(texts, target, hash=hashing, **options)
    expected = oracle.log_weights(texts, target, texts, hashing=hashing, **options)
    # Sums of some 240 terms of at most 20, in another order.
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)
    assert np.flatnonzero(got == -np.inf).tolist() == [40, 41, 42, 44, 45]
    # Counts stand for their corpus, and an iterator will do for what is read once.
    counts = {name: ngram_counts(corpus, hash=hashing) for name, corpus in (("target", target), ("raw", texts))}
    for given_target, raw, read in (
        (counts["target"], None, texts),
        (counts["target"].astype(np.float64) * 0.5, None, texts),
        (torch.from_numpy(counts["target"]), torch.from_numpy(counts["raw"]), iter(texts)),
        (iter(target), iter(texts), iter(texts)),
        (lambda: target, None, lambda: iter(texts)),
    ):
        assert np.array_equal(dsir_log_weights(read, given_target, raw=raw, hash=hashing, **options), got)


def test_selection_of_a_topic() -> None:
    # 900 documents of one topic and 100 of another, which the target is of; half of the words are common to both. The
    # weights leave the draw no choice: they differ by hundreds.
    def mixed(n: int, seed: int, first: int) -> list[str]:
        return [f"{a} {b}" for a, b in zip(words(n, seed), words(n, seed + 1, first), strict=True)]

    others, wanted = mixed(900, 10, 10_000), mixed(100, 20, 20_000)
    order = np.random.default_rng(0).permutation(1000)
    texts = [(others + wanted)[i] for i in order]
    truth = np.flatnonzero(order >= 900)
    target = mixed(50, 30, 20_000)
    for hashing in HASHES:
        for top in (False, True):
            chosen = coremax.dsir(texts, target, 0.1, hash=hashing, top=top)
            assert np.array_equal(chosen.indices, truth)
    assert chosen.n == 1000
    assert chosen.method == "dsir"
    assert chosen.weights is None
    assert chosen.parameters["candidates"] == 1000
    # Against itself every document weighs the same: the draw is a uniform one.
    same = coremax.dsir(texts, texts, 100)
    assert not np.array_equal(same.indices, truth)
    assert np.array_equal(same.indices, np.sort(coremax.sample(np.zeros(1000), 100, log_weights=True, seed=seed_of("dsir", 0))))


def test_draws() -> None:
    texts, target = words(200, 1), words(50, 2, first=3)
    log_weights = dsir_log_weights(texts, target)
    for seed in (0, 1):
        expected = np.sort(coremax.sample(log_weights, 20, log_weights=True, seed=seed_of("dsir", seed)))
        for threads in THREADS:
            assert np.array_equal(coremax.dsir(texts, target, 20, seed=seed, threads=threads).indices, expected)
    assert not np.array_equal(coremax.dsir(texts, target, 20, seed=1).indices, coremax.dsir(texts, target, 20, seed=2).indices)
    assert set(coremax.dsir(texts, target, 10).indices) < set(coremax.dsir(texts, target, 0.2).indices)
    best = coremax.dsir(texts, target, 20, top=True).indices
    assert set(best) == set(np.argsort(-log_weights)[:20])


def test_ties_go_to_any() -> None:
    texts = ["b", "a", "b", "a", "a"]
    kept = {tuple(coremax.dsir(texts, ["a"], 2, top=True, min_tokens=1, seed=s).indices.tolist()) for s in range(40)}
    assert kept == {(1, 3), (1, 4), (3, 4)}, "one is missing with a chance of 3e-7"


def test_short_documents_are_never_kept() -> None:
    texts = ["a b", *words(5, 1), "c " * 99, "d " * 100]
    assert coremax.dsir(texts, ["a b"], 6).indices.tolist() == [1, 2, 3, 4, 5, 7]
    assert coremax.dsir(texts, ["a b"], 8, min_tokens=0).indices.tolist() == list(range(8))
    with pytest.raises(ValueError, match=r"^budget is 7, but only 6 of 8 documents have at least min_tokens = 100 tokens"):
        coremax.dsir(texts, ["a b"], 7)
    with pytest.raises(ValueError, match=r"^budget is 1, but only 0 of 1 documents"):
        coremax.dsir(["short"], ["a b"], 1)
    with pytest.raises(ValueError, match=r"^budget must be from 1 to the number of samples, 8, got 9"):
        coremax.dsir(texts, ["a b"], 9)


def test_bad_budgets_are_told_before_the_texts_are_read() -> None:
    def never() -> list[str]:
        raise AssertionError("read")

    for budget, error in ((0, ValueError), (1.5, ValueError), (0.0, ValueError), ("1", TypeError), (True, TypeError)):
        with pytest.raises(error, match=r"^budget"):
            coremax.dsir(never, never, budget)  # type: ignore[arg-type]


def test_bad_corpora() -> None:
    for corpus in ([], ["", " "], np.zeros(10_000)):
        with pytest.raises(ValueError, match=r"^target holds no token"):
            coremax.dsir(["a"], corpus, 1)
        with pytest.raises(ValueError, match=r"^raw holds no token"):
            coremax.dsir(["a"], ["a"], 1, raw=corpus)
    for corpus in ([], ["", " "]):
        with pytest.raises(ValueError, match=r"^texts holds no token"):
            coremax.dsir(corpus, ["a"], 1)
    with pytest.raises(ValueError, match=r"^texts is empty"):
        coremax.dsir([], ["a"], 1, raw=["a"])
    with pytest.raises(TypeError, match=r"^texts is read twice, but a list_iterator can be read only once"):
        coremax.dsir(iter(["a"]), ["a"], 1)
    for column, kind in ((pa.array([{"a": "a"}]), "struct"), (pa.array([["a"]]), "list"), (pa.array([True]), "bool")):
        with pytest.raises(TypeError, match=rf"^texts must be a column of texts, got an Arrow column of {kind}"):
            coremax.dsir(column, ["a"], 1)
    with pytest.raises(TypeError, match=r"^texts\[0\] must be str or bytes, got tuple"):
        coremax.dsir(pd.DataFrame({"text": ["a"], "b": [1]}).groupby("b"), ["a"], 1)
    once = iter(["a"])
    with pytest.raises(ValueError, match=r"^texts gave 1 documents when read first, but 0 the second time"):
        coremax.dsir(lambda: once, ["a"], 1)


def test_names_of_files_are_no_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Counted as a text of one or two words, without a word, before.
    monkeypatch.chdir(tmp_path)
    Path("web.jsonl").write_text('{"text": "a b", "title": "c"}\n')
    for names in (["web.jsonl"], ["web.jsonl:title"], [str(tmp_path / "web.jsonl")], pd.Series(["web.jsonl", "web.jsonl"])):
        with pytest.raises(ValueError, match=r"^texts\[0\] is '.*web\.jsonl.*', the name of a file: .* pathlib\.Path"):
            ngram_counts(names)
        with pytest.raises(ValueError, match=r"^target\[0\] is "):
            coremax.dsir(["a"], names, 1)
    assert ngram_counts([Path("web.jsonl")]).sum() == ngram_counts(["a b"]).sum()
    for item in (b"web.jsonl", "web.jsonl is there", "absent.jsonl", "a" * 5000 + ".txt", "a\0.txt", "\n.txt", ""):
        assert ngram_counts([item]).shape == (10_000,)


def test_bad_counts() -> None:
    for index, value in ((3, -1.0), (4, np.nan), (5, np.inf)):
        counts = np.ones(10_000)
        counts[index] = value
        with pytest.raises(ValueError, match=rf"^target\[{index}\] is {value}; counts must be finite and not negative"):
            dsir_log_weights(["a"], counts)
    with pytest.raises(ValueError, match=r"^raw has 5 elements, but n_buckets is 10000: pass texts"):
        dsir_log_weights(["a"], ["a"], raw=np.ones(5))
    with pytest.raises(ValueError, match=r"^target must be one-dimensional"):
        dsir_log_weights(["a"], np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"^the counts of target add up to inf"):
        dsir_log_weights(["a"], np.full(10_000, 1e308))
    with pytest.raises(TypeError, match=r"^target must be float64, got bool"):
        dsir_log_weights(["a"], np.ones(10_000, bool))


def test_buckets_are_those_of_the_published_package() -> None:
    # Its hash as its source writes it, for the texts that its readers can meet.
    for word in ("the", "quick", "don", "'", "日本語", "a" * 55, "a" * 56, "a" * 64):
        expected = int(hashlib.sha256(word.encode("utf-8")).hexdigest(), 16) % 10_000
        assert np.flatnonzero(ngram_counts([word], hash="sha256")).tolist() == [expected]


@pytest.mark.parametrize(
    "texts", ["['a b ' * 5_000_000] * 10_000", "['x' * 100_000_000] * 10_000", "[' ' * 100_000_000] * 10_000"]
)
def test_interrupt(texts: str) -> None:
    code = f"""
from coremax.text import HASHES, Hash, ngram_counts
texts = {texts}
print("started", flush=True)
try:
    ngram_counts(texts, hash="fast", threads=2)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    assert output_when_interrupted(code) == "started\ninterrupted\n"
