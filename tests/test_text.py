"Texts: every measure against one written out with loops, on planted truths, and on bad input."

import builtins
import itertools
import math
import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_kit.tables import TableError, data_path
from persona_kit.text import (
    diversity,
    hardship_words,
    lexicon_hits,
    lexicon_share,
    marked_words,
    near_duplicates,
    score_drift,
    score_means,
    sentiment,
    words,
)

pytestmark = pytest.mark.filterwarnings("error")
VOCABULARY = np.array(["".join(p) for p in itertools.product("bdfgklmnprst", "aeiou", "bdgklmnprst", "aeiou")][:400])
ZIPF = 1 / np.arange(1, 401)
ZIPF /= ZIPF.sum()


def texts(rng, n, length=40, repeat=0.0, p=ZIPF):
    "Texts of drawn words; with `repeat`, a word is often one that the text has already."
    drawn = rng.choice(len(VOCABULARY), (n, length), p=p)
    for t in range(1, length):
        again = rng.random(n) < repeat
        drawn[again, t] = drawn[again, rng.integers(0, t, n)[again]]
    return [" ".join(row) for row in VOCABULARY[drawn]]


# --- words


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_words_are_lower_case_letters_in_order(text):
    found = words(text)
    assert all(re.fullmatch(r"[^\W\d_]+('[^\W\d_]+)*", w) for w in found)
    plain = text.lower().replace("’", "'")
    place = 0
    for w in found:
        place = plain.index(w, place) + len(w)


def test_words_of_other_scripts_and_apostrophes():
    assert words("Größe, naïve élève; O’Neill's 3rd co-op_x") == ["größe", "naïve", "élève", "o'neill's", "rd", "co", "op", "x"]


# --- sentiment


def test_sentiment_is_that_of_the_libraries():
    from textblob import TextBlob
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    text = "I am proud of my lovely garden. But my awful, sad job hurts!\nWe hope."
    row = sentiment([text]).iloc[0]
    vader = SentimentIntensityAnalyzer()
    assert (row["polarity"], row["subjectivity"]) == tuple(TextBlob(text).sentiment)
    assert row["compound"] == vader.polarity_scores(text)["compound"]
    parts = ["I am proud of my lovely garden.", "But my awful, sad job hurts!", "We hope."]
    assert row["compound_sentence"] == pytest.approx(np.mean([vader.polarity_scores(p)["compound"] for p in parts]))
    assert row["n_words"] == 15


def test_sentiment_needs_no_corpus_and_no_network(tmp_path):
    code = """
import socket
def refuse(*a, **k): raise OSError("no network here")
socket.socket.connect = socket.getaddrinfo = refuse
from persona_kit.text import sentiment
print(sentiment(["a happy day", "a terrible day"])["polarity"].tolist())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
                          env={"HOME": str(tmp_path), "NLTK_DATA": str(tmp_path), "PATH": "", "MPLCONFIGDIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    happy, terrible = eval(done.stdout)
    assert happy > 0.5 and terrible < -0.5


def test_missing_and_wordless_texts_have_no_score():
    scores = sentiment(pd.Series(["good", None, np.nan, "", " 123 !", pd.NA], index=list("abcdef")))
    assert scores["polarity"].notna().tolist() == [True] + 5 * [False] and scores["n_words"].tolist() == [1, 0, 0, 0, 0, 0]
    assert list(scores.index) == list("abcdef")


def test_ignored_words_do_not_count():
    assert sentiment(["A Black cat."])["polarity"].item() < 0
    assert sentiment(["A Black cat."], ignore=["black"])["polarity"].item() == 0
    plain, without = (sentiment(["A blackish great cat.", None], ignore=ignore)["polarity"] for ignore in ((), "black"))
    pd.testing.assert_series_equal(plain, without)


def test_scores_stand_beside_the_personas():
    personas = pd.DataFrame({"persona_id": ["p", "q"], "state": ["CA", "NY"], "weight": [1.0, 2.0], "tier": "meta", "sex": "Male",
                             "text": ["good", "bad"]}, index=[7, 3])
    keys = ["persona_id", "state", "weight", "tier"]
    assert list(sentiment(personas)) == [*keys, "polarity", "subjectivity", "compound", "compound_sentence", "n_words"]
    assert list(lexicon_hits(personas, ["bad"])["any"]) == [0, 1] and list(sentiment(personas).index) == [7, 3]


@pytest.mark.parametrize("call, name", [(lambda: sentiment(["one"]), "textblob"), (lambda: near_duplicates(["one", "two"]), "datasketch")])
def test_a_missing_extra_is_named(monkeypatch, call, name):
    import persona_kit.text as module

    module._instruments.cache_clear()
    real = builtins.__import__

    def absent(wanted, *args, **kwargs):
        if wanted.split(".")[0] == name:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(wanted, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=r'pip install "persona_kit\[text\]"'):
        call()


# --- means and drift


def tiers(differences, meta=0.0, **columns):
    base = pd.DataFrame({"persona_id": range(len(differences)), **columns})
    return pd.concat([base.assign(tier="meta", generator=None, score=meta),
                      base.assign(tier="descriptive", generator="writer", score=np.add(meta, differences))])


def test_drift_is_the_weighted_mean_of_paired_differences():
    scores = tiers([1.0, 2.0, 6.0, np.nan], meta=np.array([5.0, -5.0, 1.0, 9.0]), weight=[1.0, 2.0, 1.0, 50.0])
    row = score_drift(scores, "score").iloc[0]
    assert row["difference"] == pytest.approx((1 + 2 * 2 + 6) / 4) and row["n_pairs"] == 3 and row["low"] < row["difference"] < row["high"]
    assert row["mean"] - row["reference_mean"] == pytest.approx(row["difference"])
    assert score_drift(scores, "score", weight=None)["difference"].item() == pytest.approx(3)
    pd.testing.assert_frame_equal(score_drift(scores.sample(frac=1, random_state=1), "score").sort_index(), score_drift(scores, "score"))


@pytest.mark.parametrize("draw, least", [(lambda rng: rng.normal(1, 1, 60), 0.93), (lambda rng: rng.gamma(4, 0.25, 60), 0.93)])
def test_drift_intervals_cover_what_they_say(draw, least):
    rng, state = np.random.default_rng(3), np.repeat(list("ABCDEF"), 10)
    held = [score_drift(tiers(draw(rng), meta=rng.normal(size=60), state=state), "score", n_boot=400, seed=i)[["low", "high"]].to_numpy()[0]
            for i in range(800)]
    share = np.mean([low <= 1 <= high for low, high in held])
    assert least <= share <= 0.97, share                      # Monte Carlo error at 95 %: ± 1.5 points


def test_drift_between_generators_and_without_pairs():
    one, two = tiers([1.0] * 5), tiers([3.0] * 5)
    both = pd.concat([one, two[two["tier"] != "meta"].assign(generator="other")])
    assert score_drift(both, "score").set_index("generator")["difference"].to_dict() == {"writer": 1.0, "other": 3.0}
    alone = score_drift(one.assign(score=one["score"].where(one["tier"] == "meta")), "score").iloc[0]
    assert alone["n_pairs"] == 0 and alone[["difference", "low", "high"]].isna().all()
    single = score_drift(one[one["persona_id"] == 0], "score").iloc[0]
    assert single["difference"] == 1 and math.isnan(single["low"])


@pytest.mark.parametrize("spoil, words_", [
    (lambda s: s.drop(columns="persona_id"), "missing column persona_id"), (lambda s: s[s["tier"] != "meta"], "no tier 'meta'"),
    (lambda s: pd.concat([s, s]), "more than one text"), (lambda s: s.assign(score="high"), "not numeric"),
    (lambda s: s.drop(columns="score"), "no column 'score'"), (lambda s: s.head(0), "with rows"),
    (lambda s: s.assign(weight=-1.0), "must be a number")])
def test_drift_refuses(spoil, words_):
    with pytest.raises(ValueError, match=words_):
        score_drift(spoil(tiers([1.0, 2.0, 3.0])), "score")


def test_means_by_group():
    frame = pd.DataFrame({"group": list("aabb"), "x": [1.0, 3.0, 5.0, np.nan], "weight": [1.0, 3.0, 1.0, 1.0]})
    table = score_means(frame, "x", by="group").set_index("group")
    assert table["mean"].to_dict() == {"a": 2.5, "b": 5.0} and table["n"].to_dict() == {"a": 2, "b": 1}
    assert math.isnan(table.loc["b", "low"])
    with pytest.raises(TableError, match="no column 'c'"):
        score_means(frame, "x", by="c")
    with pytest.raises(ValueError, match="ci must be"):
        score_means(frame, "x", ci=95)


# --- lexicon


def hits_by_hand(text, entries):
    "Marks words one entry and one place at a time."
    tokens, marked = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*", text.lower()), set()
    for entry in entries:
        parts = entry.lower().split()
        for i in range(len(tokens) - len(parts) + 1):
            here = tokens[i: i + len(parts)]
            if all(t.startswith(p[:-1]) if p.endswith("*") else t == p for t, p in zip(here, parts, strict=True)):
                marked |= set(range(i, i + len(parts)))
    return len(marked), len(tokens)


SOME = st.lists(st.sampled_from(["laid", "off", "poor", "struggling", "struggle", "happy", "off-laid", "."]), max_size=8)


@given(st.lists(SOME, min_size=1, max_size=5).filter(lambda t: any(w not in ("", ".") for row in t for w in row)))
@settings(max_examples=100, deadline=None)
def test_hits_are_those_counted_by_hand(drawn):
    entries, series = ["laid off", "poor", "struggl*", "off laid off", "happy poor*"], [" ".join(row) for row in drawn]
    found = lexicon_hits(series, entries)
    for text, (_, row) in zip(series, found.iterrows(), strict=True):
        hits, n = hits_by_hand(text, entries)
        assert row["n_words"] == n
        assert math.isnan(row["hits"]) if n == 0 else (row["hits"], row["share"], row["any"]) == (hits, hits / n, hits > 0)


def test_a_phrase_does_not_cross_texts():
    assert lexicon_hits(["he was laid", "off he went"], ["laid off"])["hits"].sum() == 0


def test_shares_of_texts_and_words():
    personas = pd.DataFrame({"group": list("aab"), "text": ["poor poor man", "rich man", None]})
    row = lexicon_share(personas, ["poor"]).iloc[0]
    assert (row["n"], row["words"], row["hits"], row["of_texts"], row["of_words"]) == (2, 5, 2, 0.5, 0.4)
    assert 0 <= row["of_texts_low"] < 0.5 < row["of_texts_high"] <= 1
    assert list(lexicon_share(personas, ["poor"], by="group")["group"]) == ["a"]


def test_the_share_of_words_is_covered():
    rng, held = np.random.default_rng(4), 0
    rate = rng.beta(2, 18, (600, 150))                         # texts differ in how sad they are: words are no independent draws
    length = rng.integers(20, 80, (600, 150))
    for one, n in zip(rate, length, strict=True):
        hits = rng.binomial(n, one)
        series = [" ".join(["sad"] * h + ["day"] * (k - h)) for h, k in zip(hits, n, strict=True)]
        row = lexicon_share(series, ["sad"]).iloc[0]
        held += row["of_words_low"] <= 0.1 <= row["of_words_high"]
    assert 0.93 <= held / 600 <= 0.97, held / 600


def test_the_list_of_hardship():
    table = hardship_words()
    assert table["entry"].is_unique and table["theme"].nunique() == 8 and table.notna().all().all()
    assert all(e == e.lower().strip() for e in table["entry"])
    assert data_path("text/hardship.csv").exists()
    assert lexicon_hits(["She was evicted and could not make ends meet."])["hits"].item() == 4
    for entry in table["entry"]:                               # each entry finds itself
        assert lexicon_hits([f"x {entry.replace('*', 'ing')} y"])["hits"].item() == len(words(entry)), entry


@pytest.mark.parametrize("lexicon, words_", [([], "no entry"), (["*"], "no word"), (["a1"], "no word"), ([3], "no word"),
                                             (pd.DataFrame({"word": ["a"]}), "no column 'entry'"), (["str*ggle"], "no word")])
def test_bad_lexicons_are_refused(lexicon, words_):
    with pytest.raises(TableError, match=words_):
        lexicon_hits(["a text"], lexicon)


# --- marked words


def fightin(first, second, background, alpha0):
    "Equations 16, 20 and 22 of Monroe, Colaresi and Quinn with loops."
    y = [Counter(w for t in group for w in t.split()) for group in (first, second)]
    n, total = [sum(c.values()) for c in y], sum(background.values())
    z, delta = {}, {}
    for w in y[0] | y[1]:
        a = alpha0 * background[w] / total
        odds = [(c[w] + a) / (m + alpha0 - c[w] - a) for c, m in zip(y, n, strict=True)]
        delta[w] = math.log(odds[0]) - math.log(odds[1])
        z[w] = delta[w] / math.sqrt(1 / (y[0][w] + a) + 1 / (y[1][w] + a))
    return delta, z


@pytest.mark.parametrize("size", [None, 7.0, 500.0])
def test_marked_words_are_those_of_the_equations(size):
    rng = np.random.default_rng(5)
    first, second = texts(rng, 30, 25), texts(rng, 20, 35, p=np.roll(ZIPF, 3))
    found = marked_words(first + second, ["a"] * 30 + ["b"] * 20, prior_size=size, min_texts=1).set_index("word")
    alpha0 = size or (30 * 25 + 20 * 35) / 50
    delta, z = fightin(first, second, Counter(w for t in first + second for w in t.split()), alpha0)
    assert set(found.index) == set(z)
    np.testing.assert_allclose(found["log_odds"], [delta[w] for w in found.index], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["z"], [z[w] for w in found.index], rtol=1e-9, atol=1e-12)
    for w in found.index[:20]:
        assert found.loc[w, "count_first"] == sum(t.split().count(w) for t in first)
        assert found.loc[w, "texts_second"] == sum(w in t.split() for t in second)


def test_a_background_of_ones_own():
    rng = np.random.default_rng(6)
    first, second, other = texts(rng, 20), texts(rng, 20), texts(rng, 50)
    counts = Counter(w for t in other for w in t.split())
    known = Counter({w: max(counts[w], 1) for w in {w for t in first + second for w in t.split()}}) | counts
    _, z = fightin(first, second, known, 100)
    for prior in (other, pd.Series(counts)):
        found = marked_words(first + second, ["a"] * 20 + ["b"] * 20, prior=prior, prior_size=100, min_texts=1)
        np.testing.assert_allclose(found["z"], [z[w] for w in found["word"]], rtol=1e-9, atol=1e-12)


def test_planted_words_are_found_and_others_are_not():
    rng = np.random.default_rng(7)
    first, second = texts(rng, 300), texts(rng, 300)
    planted = ["alpha", "beta"]
    first = [t + " alpha" * (rng.random() < 0.3) for t in first]
    second = [t + " beta" * (rng.random() < 0.3) for t in second]
    found = marked_words(first + second, ["a"] * 300 + ["b"] * 300)
    assert found["word"].iloc[0] == "alpha" and found["word"].iloc[-1] == "beta"
    assert set(found.loc[found["q"] < 0.001, "word"]) == set(planted)
    assert found.set_index("word").loc[planted, "group"].tolist() == ["a", "b"]
    assert not set(planted) & set(marked_words(first + second, ["a"] * 300 + ["b"] * 300, exclude=planted)["word"])


def test_q_is_benjamini_and_hochbergs():
    rng = np.random.default_rng(8)
    found = marked_words(texts(rng, 60) + texts(rng, 60, p=np.roll(ZIPF, 1)), ["a"] * 60 + ["b"] * 60)
    p = np.sort(found["p"].to_numpy())
    by_hand, least = [], 1.0
    for rank in range(len(p), 0, -1):
        least = min(least, p[rank - 1] * len(p) / rank)
        by_hand.append(least)
    np.testing.assert_allclose(np.sort(found["q"]), by_hand[::-1])


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_labels_drawn_at_random_mark_no_more_than_chance(share):
    rng = np.random.default_rng(20)
    series, labels = texts(rng, 300, repeat=0.5), np.where(np.arange(300) < 300 * share, "a", "b")
    null = pd.concat([marked_words(series, rng.permutation(labels)) for _ in range(80)])
    holding = null["texts_first"] + null["texts_second"]
    assert 0.035 < (null["p"] < 0.05)[holding >= 50].mean() < 0.06
    for least in (2, 5, 10, 20):                                # rare words, of unequal groups too
        assert (null["p"] < 0.05)[(holding >= least) & (holding < 2.5 * least)].mean() < 0.055
        assert (null["p"] < 0.001)[(holding >= least) & (holding < 2.5 * least)].mean() < 0.0025
    assert (null["z"].abs() > 1.96)[holding >= 50].mean() > 0.1     # z takes repetition for evidence


def test_a_word_of_all_texts_of_one_group_is_marked():
    rng = np.random.default_rng(21)
    found = marked_words([t + " zebra" for t in texts(rng, 50)] + texts(rng, 50), ["a"] * 50 + ["b"] * 50)
    assert found["word"].iloc[0] == "zebra" and found["q"].iloc[0] < 1e-5


def odds_of(first, second, alpha, alpha0):
    y = [np.sum(g, axis=0) for g in (first, second)]
    log = [np.log((c + alpha) / (c.sum() + alpha0 - c - alpha)) for c in y]
    return log[0] - log[1]


@pytest.mark.parametrize("paired", [False, True])
def test_the_spread_over_texts_is_that_of_a_bootstrap(paired):
    import persona_kit.text as module

    rng, n = np.random.default_rng(9), 150
    first = texts(rng, n, repeat=0.5)
    second = [" ".join([*a.split()[:20], *b.split()[:20]]) for a, b in zip(first, texts(rng, n, repeat=0.5), strict=True)]
    frame = pd.DataFrame({"persona_id": [*range(n), *range(0 if paired else n, n if paired else 2 * n)], "text": first + second})
    corpus = module._corpus(frame["text"])
    counts = corpus.counts().toarray()
    found = module._evidence(corpus, corpus.counts(), [np.arange(n), np.arange(n, 2 * n)], frame["persona_id"].to_numpy(), None, None)
    alpha0 = corpus.lengths.mean()
    alpha = alpha0 * counts.sum(0) / counts.sum()
    draws = []
    for _ in range(600):
        one = rng.integers(0, n, n)
        draws.append(odds_of(counts[:n][one], counts[n:][one if paired else rng.integers(0, n, n)], alpha, alpha0))
    often = counts.sum(0) > 150
    ratio = found["spread"].to_numpy()[often] / np.std(draws, axis=0)[often]
    assert often.sum() > 10 and 0.9 < ratio.mean() < 1.1 and np.all((ratio > 0.8) & (ratio < 1.2))
    exchanged = []
    for _ in range(1500):
        swap = rng.random(n) < 0.5
        order = np.concatenate([np.where(swap, np.arange(n, 2 * n), np.arange(n)), np.where(swap, np.arange(n), np.arange(n, 2 * n))])
        rows = counts[order if paired else rng.permutation(2 * n)]
        exchanged.append(rows[:n].sum(0) / rows[:n].sum() - rows[n:].sum(0) / rows[n:].sum())
    apart = counts[:n].sum(0) / counts[:n].sum() - counts[n:].sum(0) / counts[n:].sum()
    np.testing.assert_allclose(found["t"].to_numpy()[often], apart[often] / np.std(exchanged, axis=0)[often], rtol=0.1)
    apart = module._evidence(corpus, corpus.counts(), [np.arange(n), np.arange(n, 2 * n)], np.arange(2 * n), None, None)["spread"]
    narrower = (found["spread"] / apart)[often].mean()
    assert narrower < 0.85 if paired else narrower == 1
    assert (apart / found["model"])[often].mean() > 1.1        # repetition within texts widens


def test_intervals_of_marked_words_cover_in_bursty_texts():
    rng, held, model = np.random.default_rng(10), [], []
    tilt = ZIPF.copy()
    tilt[:5] *= 1.5
    tilt /= tilt.sum()
    truth = [math.log(a / (1 - a)) - math.log(b / (1 - b)) for a, b in zip(ZIPF[:5], tilt[:5], strict=True)]
    for _ in range(200):
        both = texts(rng, 120, repeat=0.5) + texts(rng, 120, repeat=0.5, p=tilt)
        found = marked_words(both, ["a"] * 120 + ["b"] * 120).set_index("word").loc[VOCABULARY[:5]]
        held += list((found["low"] <= truth) & (truth <= found["high"]))
        half = 1.96 * (found["log_odds"] / found["z"]).abs()
        model += list((found["log_odds"] - truth).abs() <= half)
    assert 0.93 <= np.mean(held) <= 0.97, np.mean(held)
    assert np.mean(model) < 0.85                                # the published variance alone is too small here


def test_several_groups():
    frame = pd.DataFrame({"text": ["x a", "x b", "x c", "x a", None], "race": ["A", "B", "C", "A", "B"]})
    assert set(marked_words(frame, "race", between=("A", "C"), min_texts=1)["word"]) == {"x", "a", "c"}
    rest = marked_words(frame, "race", between=("A", None), min_texts=1)
    assert set(rest["word"]) == {"x", "a", "b", "c"} and rest["second"].unique().item() == "all others"
    assert rest["count_second"].sum() == 4


@pytest.mark.parametrize("arguments, options, words_", [
    ((["a b", "a c"], ["x", "x"]), {}, "only 'x'"), ((["a", "b", "c"], ["x", "y", "z"]), {}, "two groups are compared"),
    ((["a", "b"], ["x", "y"]), {"between": ("x", "z")}, "no text of group 'z'"), ((["a", None], ["x", "y"]), {}, "group 'y' has no word"),
    ((["a", "b"], ["x", "y"]), {}, "no word is left"), ((["a b", "a b"], ["x", "y"]), {"exclude": "a b"}, "is not excluded"),
    ((["a", "a"], ["x", "y"]), {}, "one word, 'a'"),
    ((["a", "b"], ["x"]), {}, "1 entries for 2 texts"), ((["a", "b"], "sex"), {}, "no column 'sex'"),
    ((["a", 3], ["x", "y"]), {}, "row 1 .* holds 3"), (([], []), {}, "the list is empty"),
    (([None, ""], ["x", "y"]), {}, "missing or empty"),
    (("a text", ["x"]), {}, "put a single text into a list"), ((["a b", "a b"], ["x", "y"]), {"prior_size": 0}, "prior_size"),
    ((["a b", "a b"], ["x", "y"]), {"prior": pd.Series([-1.0], index=["a"])}, "prior: counts"),
    ((["a", "a"], ["x", "y"]), {"ci": 1.5}, "ci must"),
    ((pd.Series(["a", "a"]), pd.Series(["x", "y"], index=[5, 6])), {}, "same index"),
    ((pd.DataFrame({"words": ["a"]}), "words"), {}, "no column 'text'")])
def test_marked_words_refuse(arguments, options, words_):
    with pytest.raises(ValueError, match=words_):
        marked_words(*arguments, **options)


# --- diversity


def distinct_by_hand(rows, n, m):
    "Mean over all subsets of m texts of the number of different n-grams per n-gram."
    grams = [[tuple(r[i: i + n]) for i in range(len(r) - n + 1)] for r in rows]
    found = [len({g for t in some for g in t}) / sum(map(len, some)) for some in itertools.combinations(grams, m)]
    return sum(found) / len(found)


def by_hand(rows, m, window):
    sets = [set(r) for r in rows]
    overlap = [len(a & b) / len(a | b) for a, b in itertools.combinations(sets, 2)]
    mattr = [np.mean([len(set(r[i: i + window])) / window for i in range(len(r) - window + 1)]) for r in rows]
    return {**{f"distinct_{n}": distinct_by_hand(rows, n, m) for n in (1, 2, 3)},
            "type_token_ratio": np.mean([len(s) / len(rows[0]) for s in sets]), "mattr": np.mean(mattr), "overlap": np.mean(overlap)}


@pytest.mark.parametrize("m", [1, 3, 6])
def test_diversity_is_that_counted_by_hand(m):
    rng = np.random.default_rng(11)
    series = texts(rng, 7, 15, repeat=0.3)
    table = diversity([t + " more words" for t in series], n_texts=m, n_words=15, window=6).set_index("measure")
    for name, value in by_hand([t.split() for t in series], m, 6).items():
        assert table.loc[name, "value"] == pytest.approx(value), name


def test_the_jackknife_is_that_done_by_hand():
    rng = np.random.default_rng(12)
    series = texts(rng, 8, 12, repeat=0.3)
    table = diversity(series, n_texts=4, n_words=12, window=5).set_index("measure")
    from scipy.stats import t

    for name in ("distinct_1", "distinct_2", "mattr", "overlap"):
        without = [by_hand([r.split() for j, r in enumerate(series) if j != i], 4, 5)[name] for i in range(8)]
        error = math.sqrt(7 / 8 * sum((x - np.mean(without)) ** 2 for x in without))
        assert (table.loc[name, "high"] - table.loc[name, "value"]) == pytest.approx(t.ppf(0.975, 7) * error), name


def test_number_and_length_do_not_matter_where_texts_are_alike():
    rng = np.random.default_rng(13)
    frame = pd.DataFrame({"text": texts(rng, 600, 40) + texts(rng, 150, 90), "group": ["many"] * 600 + ["long"] * 150})
    table = diversity(frame, "group", reference="many")
    assert table["n_words"].nunique() == table["n_texts"].nunique() == 1
    far = table[table["group"] == "long"]
    assert (far["difference"].abs() < 1.5 * (far["difference_high"] - far["difference"])).all()
    naive = frame.assign(ratio=frame["text"].map(lambda t: len(set(t.split())) / len(t.split()))).groupby("group")["ratio"].mean()
    assert naive["many"] - naive["long"] > 0.05                 # what a plain ratio would have claimed


def test_planted_uniformity_is_seen_in_every_measure():
    rng = np.random.default_rng(14)
    narrow = np.where(np.arange(400) < 60, ZIPF, 0)
    frame = pd.DataFrame({"text": texts(rng, 200) + texts(rng, 200, p=narrow / narrow.sum()), "group": ["wide"] * 200 + ["narrow"] * 200})
    table = diversity(frame, "group", reference="wide").query("group == 'narrow'").set_index("measure")
    assert (table.drop("overlap")["difference_high"] < 0).all() and table.loc["overlap", "difference_low"] > 0


@pytest.mark.parametrize("n", [40, 100])
def test_intervals_of_diversity_cover(n):
    import persona_kit.text as module

    rng = np.random.default_rng(15)
    all_ = module._corpus(pd.Series(texts(rng, 4000, 30, repeat=0.3))).ids.reshape(4000, 30)
    m, reps = n // 2, 300
    from scipy.stats import t

    truth = {name: value for name, (value, _) in module._diverse(all_, m, 25, 0).items()}
    held = dict.fromkeys(truth, 0)
    for _ in range(reps):
        for name, (value, part) in module._diverse(all_[rng.choice(4000, n, replace=False)], m, 25, 0).items():
            held[name] += abs(value - truth[name]) <= t.ppf(0.975, n - 1) * math.sqrt((part**2).sum() / (n * (n - 1)))
    for name, count in held.items():
        assert 0.92 <= count / reps <= 0.985, (name, count / reps)     # ± 2.5 points of Monte Carlo error


def test_overlap_of_many_texts_is_near_that_of_all_pairs(monkeypatch):
    import persona_kit.text as module

    matrix = module._corpus(pd.Series(texts(np.random.default_rng(16), 900, 30))).ids.reshape(900, 30)
    exact, _ = module._overlap(matrix, 0)
    monkeypatch.setattr(module, "_ALL_PAIRS", 100)
    some, part = module._overlap(matrix, 0)
    assert abs(some - exact) < 0.002 and abs(part.mean()) < 1e-12 and module._overlap(matrix, 0)[0] == some


def test_the_same_people_are_paired():
    rng = np.random.default_rng(17)
    one = texts(rng, 100, 30)
    two = [" ".join([*t.split()[:-1], "zebra"]) for t in one]
    frame = pd.DataFrame({"persona_id": [*range(100), *range(100)], "text": one + two, "tier": ["x"] * 100 + ["y"] * 100})
    paired, apart = (diversity(f, "tier", reference="x").query("tier == 'y' and measure == 'distinct_1'").iloc[0]
                     for f in (frame, frame.assign(persona_id=range(200))))
    assert paired["difference"] == apart["difference"]
    assert paired["difference_high"] - paired["difference"] < 0.7 * (apart["difference_high"] - apart["difference"])


@pytest.mark.parametrize("options, words_", [({"n_words": 99}, "has 0 text"), ({"n_words": 2}, "at least 3"),
                                            ({"n_texts": 99}, "n_texts must be"),
                                            ({"by": "sex"}, "no column 'sex'"), ({"by": "group", "reference": "c"}, "no group 'c'"),
                                            ({"window": 1}, "window"), ({"ci": 0}, "ci must")])
def test_diversity_refuses(options, words_):
    frame = pd.DataFrame({"text": texts(np.random.default_rng(18), 20, 10), "group": ["a", "b"] * 10})
    with pytest.raises(ValueError, match=words_):
        diversity(frame, **options)


def test_groups_need_a_table():
    with pytest.raises(TableError, match="plain list"):
        diversity(["a b c d"] * 9, "sex")


# --- near-duplicates


def jaccard(a, b, n=3):
    runs = [{tuple(t.split()[i: i + n]) for i in range(len(t.split()) - n + 1)} or {tuple(t.split())} for t in (a, b)]
    return len(runs[0] & runs[1]) / len(runs[0] | runs[1])


def test_near_duplicates_are_those_of_all_pairs():
    rng = np.random.default_rng(19)
    series = texts(rng, 120, 40)
    for i in range(40):                                         # copies with 0 to 7 words changed
        copy = series[i].split()
        for place in rng.choice(40, i % 8, replace=False):
            copy[place] = "changed"
        series.append(" ".join(copy))
    exact = {(i, j): jaccard(series[i], series[j]) for i, j in itertools.combinations(range(160), 2)}
    for threshold in (0.5, 0.8):
        found = near_duplicates(series, threshold)
        pairs = {(int(a), int(b)): s for a, b, s in found[["first", "second", "similarity"]].itertuples(index=False)}
        assert all(s == pytest.approx(exact[p]) and s >= threshold for p, s in pairs.items())                         # no false alarm
        assert not {p for p, s in exact.items() if s >= threshold + 0.1 and p not in pairs}                 # none missed well above
        assert len(pairs) >= 0.9 * sum(s >= threshold for s in exact.values())


def test_identical_texts_are_one_star_and_one_group():
    series = pd.Series(["a b c d", "x y", "a b c d", None, "A b, c d!", "x y", "one", "z"], index=list("stuvwxyz"))
    found = near_duplicates(series, 0.9)
    assert set(map(tuple, found[["first", "second"]].to_numpy())) == {("s", "u"), ("s", "w"), ("t", "x")}
    assert found["similarity"].eq(1).all() and found.groupby("group").size().tolist() == [2, 1]


def test_no_near_duplicates_is_an_empty_frame():
    assert list(near_duplicates(["a b c", "d e f", "g"])) == ["first", "second", "similarity", "group"]
    assert near_duplicates(["a", "b"]).empty


@pytest.mark.parametrize("threshold", [0, 1.1, -1])
def test_thresholds(threshold):
    with pytest.raises(ValueError, match="threshold"):
        near_duplicates(["a b c", "a b c"], threshold)
