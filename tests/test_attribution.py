"""Attribution: paired differences, ablation, words and regression against loops and other implementations, and on planted truth."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from persona_kit.alignment import _skewed_ends, resample
from persona_kit.attribution import _chosen, ablation, ablation_effects, answer_regression, answer_words, item_scores, tier_drift
from persona_kit.personas import render
from persona_kit.surveys import topic_survey
from persona_kit.tables import TableError
from persona_kit.text import marked_words

ITEMS = pd.DataFrame(
    {
        "item_id": ["a", "b", "c"],
        "options": [["no", "so-so", "yes"], ["x", "y", "z"], ["left", "right"]],
        "values": [[1, 2, 4], None, None],
        "directions": [None, None, ["up", "down"]],
        "topic": ["one", "one", "two"],
    }
)


def answers(n, seed, tier="meta", shift=0.0, states=("CA", "WY"), draws=1, **columns):
    "n people answer three items; who has a higher number in `shift` answers with later options."
    rng = np.random.default_rng(seed)
    lean = np.random.default_rng(1).normal(size=n)
    rows = []
    for draw, (item, options) in itertools.product(range(draws), zip(ITEMS["item_id"], ITEMS["options"], strict=True)):
        place = np.clip(np.round((len(options) - 1) / 2 + lean + shift + rng.normal(size=n)), 0, len(options) - 1).astype(int)
        rows.append(
            pd.DataFrame(
                {
                    "persona_id": np.arange(n),
                    "state": np.array(states)[np.arange(n) % len(states)],
                    "weight": 1 + np.arange(n) % 3,
                    "item_id": item,
                    "draw": draw,
                    "option": np.array(options)[place],
                    "status": "ok",
                    "tier": tier,
                    **columns,
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


# scores and tiers ------------------------------------------------------------------------------------------------------------------------


def test_scores_by_hand():
    frame = answers(4, 1, draws=2).query("item_id != 'b'")
    scale = item_scores(frame, items=ITEMS, score="scale").set_index("persona_id")["score"]
    points = frame[frame["item_id"] == "a"].assign(v=lambda f: f["option"].map({"no": 0, "so-so": 1 / 3, "yes": 1}))
    assert np.allclose(scale, points.groupby("persona_id")["v"].mean())
    pole = item_scores(frame, items=ITEMS, score="pole")
    assert pole["option"].eq("down").all() and np.allclose(
        pole.set_index("persona_id")["score"],
        frame[frame["item_id"] == "c"].groupby("persona_id")["option"].agg(lambda o: (o == "right").mean()),
    )
    own = item_scores(frame, items=ITEMS, score={"c": {"left": 0.2, "right": 0.7}})
    assert own["score"].between(0.2, 0.7).all() and own["item_id"].eq("c").all()
    share = item_scores(frame, items=ITEMS).groupby(["persona_id", "item_id"])["score"].sum()
    assert np.allclose(share, 1)


def test_probabilities_are_scored_as_they_are():
    frame = pd.DataFrame(
        {
            "persona_id": [1, 2],
            "item_id": "c",
            "option": ["left", "left"],
            "status": "ok",
            "mode": "probability",
            "probabilities": [[0.9, 0.1], [0.6, 0.4]],
        }
    )
    assert item_scores(frame, items=ITEMS, score="pole")["score"].tolist() == pytest.approx([0.1, 0.4])


@pytest.mark.parametrize(
    "score, message",
    [
        ("mood", "no item has the score 'mood'"),
        ({"c": {"left": 0}}, "no number for its option 'right'"),
        ({"c": {"left": 0, "right": 2}}, "between 0 and 1"),
    ],
)
def test_scores_that_do_not_exist(score, message):
    with pytest.raises(ValueError, match=message):
        item_scores(answers(4, 1), items=ITEMS, score=score)


def test_tier_drift_equals_plain_loops():
    meta, other = answers(60, 2), answers(60, 3, "descriptive", shift=0.4, generator="writer")
    other.loc[::7, ["status", "option"]] = ["refusal", None]
    both = pd.concat([meta.assign(generator=None), other])
    found = tier_drift(both, items=ITEMS).set_index(["item_id", "option"])
    for item, options in zip(ITEMS["item_id"], ITEMS["options"], strict=True):
        for option in options:
            gap, mass = 0.0, 0.0
            for person in range(60):
                one, two = (f[(f["persona_id"] == person) & (f["item_id"] == item) & (f["status"] == "ok")] for f in (other, meta))
                if len(one) and len(two):
                    gap += one["weight"].item() * (float(one["option"].item() == option) - float(two["option"].item() == option))
                    mass += one["weight"].item()
            assert found.loc[(item, option), "difference"] == pytest.approx(gap / mass)
    assert np.allclose(found["mean"] - found["reference_mean"], found["difference"]) and found["n_pairs"].between(45, 60).all()
    assert ((found["low"] < found["difference"]) & (found["difference"] < found["high"])).all()
    pd.testing.assert_frame_equal(
        tier_drift(both.sample(frac=1, random_state=1), items=ITEMS).sort_values(["item_id", "option"], ignore_index=True),
        tier_drift(both, items=ITEMS).sort_values(["item_id", "option"], ignore_index=True),
    )


def test_tier_drift_by_topic_and_overall_is_the_mean_over_items():
    both = pd.concat([answers(60, 4), answers(60, 5, "descriptive", shift=0.5)])
    points = {i: dict(zip(o, np.linspace(0, 1, len(o)), strict=True)) for i, o in zip(ITEMS["item_id"], ITEMS["options"], strict=True)}
    by_item = tier_drift(both, items=ITEMS, score=points).set_index("item_id")["difference"]
    overall = tier_drift(both, items=ITEMS, score=points, level="overall")
    topics = tier_drift(both, items=ITEMS, score=points, level="topic").set_index("topic")["difference"]
    assert overall["difference"].item() == pytest.approx(by_item.mean()) and overall["n_pairs"].item() == 60
    assert topics["one"] == pytest.approx(by_item[["a", "b"]].mean()) and topics["two"] == pytest.approx(by_item["c"])
    with pytest.raises(ValueError, match="cannot be averaged over items"):
        tier_drift(both, items=ITEMS, level="overall")


def test_tier_drift_needs_a_reference_and_names_what_is_unclear():
    with pytest.raises(ValueError, match="no tier 'meta'"):
        tier_drift(answers(5, 1, "descriptive"), items=ITEMS)
    several = pd.concat([answers(5, s, generator=g) for s, g in ((1, "x"), (2, "y"))] + [answers(5, 3, "descriptive", generator="z")])
    with pytest.raises(ValueError, match="several generators"):
        tier_drift(several, items=ITEMS)
    with pytest.raises(TableError, match="missing column tier"):
        tier_drift(answers(5, 1).drop(columns="tier"), items=ITEMS)
    lonely = pd.concat([answers(5, 1), answers(5, 2, "descriptive").assign(persona_id=lambda f: f["persona_id"] + 100)])
    none = tier_drift(lonely, items=ITEMS)
    assert none["difference"].isna().all() and none["n_pairs"].eq(0).all() and none[["low", "high"]].isna().all(axis=None)


def test_tier_drift_covers_what_was_planted():
    "Pairs of people in six states, 1,000 times (the items of ten tables); also people of whom hardly anybody changes."
    n, times = 60, 100
    items = pd.concat([ITEMS[ITEMS["item_id"] == "c"].assign(item_id=f"c{i}") for i in range(times)], ignore_index=True)
    frame = pd.DataFrame(
        {
            "persona_id": np.tile(np.arange(n), 2 * times),
            "state": np.tile(np.repeat(list("ABCDEF"), n // 6), 2 * times),
            "item_id": np.repeat(items["item_id"], 2 * n).to_numpy(),
            "status": "ok",
            "tier": np.tile(np.repeat(["meta", "descriptive"], n), times),
        }
    )
    for moved in (0.3, 0.04):
        rng, held, runs = np.random.default_rng(7), 0, 1000
        for block in range(runs // times):
            first = rng.random((times, n)) < 0.5
            second = np.where(rng.random((times, n)) < moved, True, first)
            chosen = np.where(np.concatenate([first, second], axis=1), "right", "left").ravel()
            found = tier_drift(frame.assign(option=chosen), items=items, score="pole", n_boot=200, seed=block)
            held += ((found["low"] <= moved / 2) & (moved / 2 <= found["high"])).sum()
            assert len(found) == times
        assert 0.93 <= held / runs <= 0.97 + 3 * np.sqrt(0.97 * 0.03 / runs), (moved, held / runs)


def test_ends_of_skewed_means_are_covered_as_promised():
    "Exponential, ten people in each of six states: percentiles alone hold the truth in 91 to 92 of 100 cases."
    rng, strata, runs = np.random.default_rng(3), np.repeat(list("ABCDEF"), 10), 2000
    x = rng.exponential(size=(60, runs)) * np.repeat([0.5, 1, 1, 1.5, 1, 1], 10)[:, None]
    draws = resample(strata, 1000, 1) @ x / 60
    low, high = _skewed_ends(draws, x.mean(0), (x - x.mean(0)) / 60, strata, 0.95)
    plain = np.quantile(draws, [0.025, 0.975], axis=0)
    truth = 1.0
    share, before = ((low <= truth) & (truth <= high)).mean(), ((plain[0] <= truth) & (truth <= plain[1])).mean()
    assert 0.93 <= share <= 0.97 and before < share, (share, before)


def test_ends_are_those_of_bca_in_scipy():
    "One stratum; scipy has no widening by t, so the levels are narrowed by it before they are compared."
    x = np.random.default_rng(5).gamma(1.5, size=80)
    seen = stats.bootstrap(
        (x,), np.mean, n_resamples=20_000, method="BCa", confidence_level=0.95, rng=1, vectorized=True
    ).confidence_interval
    level = 1 - 2 * stats.t.sf(stats.norm.ppf(0.975), 79)  # of Student's t, so that its quantile is the normal one
    draws = resample([""] * 80, 20_000, 2) @ x[:, None] / 80
    low, high = _skewed_ends(draws, np.array([x.mean()]), (x[:, None] - x.mean()) / 80, [""] * 80, level)
    assert [low[0], high[0]] == pytest.approx(list(seen), rel=0.02)


# ablation --------------------------------------------------------------------------------------------------------------------------------

PEOPLE = pd.DataFrame(
    {
        "persona_id": ["p1", "p2", "p3"],
        "tier": "descriptive",
        "generator": "g",
        "state": ["CA", "WY", "CA"],
        "weight": 1.0,
        "age": [30, 40, 50],
        "sex": ["Male", "Female", None],
        "narrative": ["One. Two! Three?", 'He said "No." She left.', "Only this."],
    }
)


def test_ablation_leaves_out_one_thing_at_a_time():
    versions = ablation(PEOPLE, ["age", "sex"], format="sentence")
    assert list(versions) == ["nothing", "age", "sex"] and versions["sex"]["persona_id"].tolist() == ["p1", "p2"]
    assert versions["nothing"]["text"].tolist() == render(PEOPLE, "sentence").tolist()
    assert (
        "30" not in versions["age"]["text"].iloc[0]
        and "man" in versions["age"]["text"].iloc[0]
        and "One. Two! Three?" in versions["age"]["text"].iloc[0]
    )
    assert list(ablation(PEOPLE)) == ["nothing", "age", "sex", "state"]


def test_ablation_leaves_out_one_sentence_at_a_time():
    versions = ablation(PEOPLE, sentences="narrative")
    assert list(versions) == ["nothing", "sentence 1", "sentence 2", "sentence 3"]
    second = versions["sentence 2"].set_index("persona_id")
    assert second.loc["p1", "narrative"] == "One. Three?" and second.loc["p1", "sentence"] == "Two!" and "p3" not in second.index
    assert second.loc["p2", "sentence"] == "She left." and "Two!" not in second.loc["p1", "text"] and "age: 30" in second.loc["p1", "text"]
    mine = ablation(PEOPLE.assign(text="A b. C d."), sentences="text")
    assert mine["nothing"]["text"].tolist() == ["A b. C d."] * 3 and mine["sentence 1"]["text"].tolist() == ["C d."] * 3


@pytest.mark.parametrize(
    "spoil, options, message",
    [
        (lambda p: pd.concat([p, p.assign(tier="meta")]), {}, "one tier"),
        (lambda p: p, {"attributes": "shoe"}, "unknown attribute 'shoe'"),
        (lambda p: p, {"sentences": "story"}, "no column 'story'"),
        (lambda p: p.assign(narrative="One."), {"sentences": "narrative"}, "two sentences"),
        (lambda p: p, {"attributes": "age", "sentences": "text"}, "not both"),
    ],
)
def test_ablation_refuses(spoil, options, message):
    with pytest.raises(ValueError, match=message):
        ablation(spoil(PEOPLE), **options)


def test_effects_are_paired_differences_with_both_adjustments():
    full, cut = answers(80, 8, shift=0.5), {"age": answers(80, 9, shift=0.5), "party": answers(80, 10, shift=-0.5).query("persona_id > 9")}
    found = ablation_effects(full, cut, items=ITEMS, score="scale")
    drift = tier_drift(pd.concat([full.assign(tier="descriptive"), cut["party"].assign(tier="meta")]), items=ITEMS, score="scale")
    assert found.loc[found["removed"] == "party", "effect"].item() == pytest.approx(drift["difference"].item())
    assert found["n_pairs"].tolist() == [80, 70]
    shares = ablation_effects(full, cut, items=ITEMS)
    p = shares["p"].to_numpy()
    by_hand = np.empty(len(p))
    running = 0.0
    for rank, place in enumerate(np.argsort(p)):
        running = max(running, min(1.0, (len(p) - rank) * p[place]))
        by_hand[place] = running
    assert np.allclose(shares["p_adjusted"], by_hand)
    other = ablation_effects(full, cut, items=ITEMS, adjust="benjamini-hochberg")
    assert (
        np.allclose(other["p_adjusted"], stats.false_discovery_control(p)) and (other["p_adjusted"] <= shares["p_adjusted"] + 1e-12).all()
    )
    one = full[full["item_id"] == "a"].set_index("persona_id")["option"]
    two = cut["party"][cut["party"]["item_id"] == "a"].set_index("persona_id")["option"]
    weight = full[full["item_id"] == "a"].set_index("persona_id")["weight"][two.index]
    assert found.loc[found["removed"] == "party", "moved"].item() == pytest.approx(np.average(one[two.index] != two, weights=weight))
    with pytest.raises(ValueError, match="unknown adjustment"):
        ablation_effects(full, cut, items=ITEMS, adjust="bonferroni")
    with pytest.raises(ValueError, match="no row"):
        ablation_effects(full, {"age": full.head(0)}, items=ITEMS)


def test_adjustments_are_those_of_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is not installed")
    full, cut = answers(50, 11), {name: answers(50, 12 + i, shift=0.2 * i) for i, name in enumerate("klmn")}
    for ours, theirs in (("holm", "holm"), ("benjamini-hochberg", "fdr_bh")):
        found = ablation_effects(full, cut, items=ITEMS, adjust=ours)
        assert np.allclose(found["p_adjusted"], multitest.multipletests(found["p"], method=theirs)[1])


# words and regression --------------------------------------------------------------------------------------------------------------------


def test_words_within_one_tier_are_those_of_marked_words():
    rng = np.random.default_rng(4)
    texts = [" ".join(rng.choice(list("abcdefgh"), 12)) for _ in range(60)]
    people = pd.DataFrame({"persona_id": range(60), "tier": "meta", "text": texts})
    chosen = pd.DataFrame({"persona_id": range(60), "tier": "meta", "item_id": "c", "option": rng.choice(["left", "right"], 60)})
    found = answer_words(people, chosen, "c").set_index("word")
    plain = marked_words(people, chosen["option"], between=("left", "right")).set_index("word")
    for column in ("log_odds", "low", "high", "p"):
        assert np.allclose(found[column], plain.loc[found.index, column], atol=1e-9), column


def test_words_of_a_tier_mark_no_answer():
    "One tier says 'zebra' and answers left more often; within the tiers the word says nothing."
    rng = np.random.default_rng(6)
    parts, replies = [], []
    for tier, word, chance in (("meta", "zebra", 0.8), ("descriptive", "lion", 0.2)):
        happy = rng.random(300) < 0.5
        texts = [f"{word if rng.random() < 0.9 else ''} {'joy' if h else 'rain'} and some more words" for h in happy]
        left = rng.random(300) < np.where(happy, chance + 0.15, chance - 0.15)
        parts.append(pd.DataFrame({"persona_id": range(300), "tier": tier, "text": texts}))
        replies.append(pd.DataFrame({"persona_id": range(300), "tier": tier, "item_id": "c", "option": np.where(left, "left", "right")}))
    people, chosen = pd.concat(parts, ignore_index=True), pd.concat(replies, ignore_index=True)
    found, naive = (answer_words(people, chosen, "c", within=w).set_index("word") for w in ("tier", []))
    assert naive.loc["zebra", "q"] < 1e-6 < 0.05 < found.loc["zebra", "q"]
    assert found.loc["joy", "q"] < 0.01 and found.loc["joy", "group"] == "left" and found.loc["joy", "n_strata"] == 2
    with pytest.raises(ValueError, match="nobody gave a valid answer"):
        answer_words(people, chosen, "z")
    with pytest.raises(ValueError, match="1 answers occur"):
        answer_words(people, chosen.assign(option="left"), "c")
    with pytest.raises(ValueError, match="must be the same"):
        answer_words(people.assign(persona_id=-1), chosen, "c")


def attributes(n):
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "persona_id": np.arange(n),
            "party": rng.choice(["D", "I", "R"], n),
            "sex": rng.choice(["F", "M"], n),
            "age": rng.integers(18, 90, n),
        }
    )


def test_regression_equals_statsmodels():
    api = pytest.importorskip("statsmodels.formula.api", reason="statsmodels is not installed")
    frame, people = answers(120, 13), attributes(120)
    found = answer_regression(frame, people, ["party", "sex", "age"], items=ITEMS, score="scale")
    data = item_scores(frame, items=ITEMS, score="scale").merge(people, on="persona_id")
    heavy = data.groupby("party")["weight"].sum().idxmax(), data.groupby("sex")["weight"].sum().idxmax()
    model = api.wls(f"score ~ C(party, Treatment('{heavy[0]}')) + C(sex, Treatment('{heavy[1]}')) + age", data, weights=data["weight"])
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": data["persona_id"]}, use_t=True)
    assert np.allclose(found["coefficient"], fit.params.iloc[1:]) and np.allclose(found["p"], fit.pvalues.iloc[1:])
    assert np.allclose(found[["low", "high"]], fit.conf_int().iloc[1:])
    joint = fit.f_test(np.eye(5)[1:3]).pvalue
    p = np.array([float(joint), *fit.pvalues.iloc[3:]])
    assert found["p_attribute"].iloc[0] == pytest.approx(min(1.0, p[0] * (3 - np.argsort(np.argsort(p))[0])), abs=0.2)


def test_regression_equals_plain_least_squares():
    frame, people = answers(90, 14), attributes(90)
    found = answer_regression(frame, people, "sex", items=ITEMS, score="scale", weight=None)
    data = item_scores(frame, items=ITEMS, score="scale", weight=None).merge(people, on="persona_id")
    value = found["value"].item()
    sides = [data.loc[data["sex"] == v, "score"] for v in (value, found["reference"].item())]
    assert found["coefficient"].item() == pytest.approx(sides[0].mean() - sides[1].mean())
    n, g = len(data), len(data)
    plain = sum(((s - s.mean()) ** 2).sum() / len(s) ** 2 for s in sides) * g / (g - 1) * (n - 1) / (n - 2)
    assert (found["high"] - found["low"]).item() / 2 == pytest.approx(stats.t.ppf(0.975, g - 1) * plain**0.5)


def test_regression_refuses():
    frame, people = answers(40, 15), attributes(40)
    for spoil, chosen, message in (
        (people.assign(twin=people["sex"]), ["sex", "twin"], "cannot be told apart"),
        (people, ["shoe"], "unknown attribute 'shoe'"),
        (people.assign(one=range(40)).astype({"one": str}), ["one"], "cannot tell 40 coefficients"),
    ):
        with pytest.raises(ValueError, match=message):
            answer_regression(frame, spoil, chosen, items=ITEMS, score="scale")
    with pytest.raises(TableError, match="stands there twice"):
        answer_regression(frame, pd.concat([people, people]), "sex", items=ITEMS, score="scale")


def test_poles_of_the_topics():
    climate = topic_survey("climate")
    rows = pd.DataFrame([{"persona_id": 1, "item_id": i.item_id, "option": i.options[0], "status": "ok"} for i in climate])
    found = item_scores(rows, items=climate, score="pole")
    assert found["option"].eq("action").all() and found["score"].tolist() == [float(i.directions[0] == "action") for i in climate]


def test_the_most_frequent_answer_of_a_persona_is_pandas_mode():
    rng = np.random.default_rng(6)
    answers = pd.DataFrame({"persona_id": rng.integers(0, 60, 400), "tier": rng.choice(["meta", "descriptive"], 400), "item_id": "c",
                            "option": rng.choice(["left", "right", None], 400, p=[0.45, 0.45, 0.1])})
    people = answers[["persona_id", "tier"]].drop_duplicates().assign(text="words")
    found, between = _chosen(people, answers, "c", None)
    expected = answers.dropna().groupby(["persona_id", "tier"])["option"].agg(lambda o: o.mode().iloc[0])
    assert between == ("left", "right") and len(found) == len(expected)
    assert found.set_index(["persona_id", "tier"])["_answer"].sort_index().equals(expected.rename("_answer"))
