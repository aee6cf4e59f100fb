"""Distances against scipy, their properties, and distributions from answers."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, kendalltau, norm, t, wasserstein_distance

from persona_kit.alignment import (
    _freedom,
    alignment,
    ceiling,
    distribution,
    jensen_shannon,
    kendall_tau,
    kullback_leibler,
    resample,
    total_variation,
    wasserstein,
)
from persona_kit.surveys import Item, Survey
from persona_kit.tables import TableError, check

DISTANCES = [wasserstein, total_variation, jensen_shannon]
SCALE = ["low", "middle", "high"]
SURVEY = Survey([Item("q", "How much?", SCALE, values=(1, 2, 3), refusals=("Refused",)), Item("c", "Which?", ("red", "blue"))])


def shares(k=5):
    return st.lists(st.integers(0, 50), min_size=k, max_size=k).filter(lambda x: sum(x) > 0).map(lambda x: np.array(x) / sum(x))


def some_answers(options, item="q", **columns):
    n = len(options)
    frame = {"persona_id": [f"p{i:03d}" for i in range(n)], "item_id": item, "option": options, "status": "ok", "weight": 1.0,
             "state": "CA"}
    return pd.DataFrame(frame | columns)


def test_distances_equal_scipy():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.full(6, 0.4), 40), rng.dirichlet(np.ones(6), 40)
    p[0, :5], p[0, 5] = 0, 1
    values = [-2, 0, 1, 1.5, 4, 9]
    positions = np.arange(6)
    assert np.allclose(wasserstein(p, q), [wasserstein_distance(positions, positions, a, b) for a, b in zip(p, q, strict=True)])
    assert np.allclose(wasserstein(p, q, values), [wasserstein_distance(values, values, a, b) for a, b in zip(p, q, strict=True)])
    assert np.allclose(jensen_shannon(p, q), jensenshannon(p, q, base=2, axis=1))
    assert np.allclose(total_variation(p, q), [abs(a - b).sum() / 2 for a, b in zip(p, q, strict=True)])


def test_kendall_equals_scipy_with_ties():
    rng = np.random.default_rng(1)
    p, q = rng.integers(0, 4, (50, 6)), rng.integers(0, 4, (50, 6))
    p[0] = 2
    expected = [kendalltau(a, b).statistic for a, b in zip(p, q, strict=True)]
    assert np.allclose(kendall_tau(p, q), expected, equal_nan=True) and np.isnan(kendall_tau(p, q)[0])


@settings(max_examples=60, deadline=None)
@given(shares(), shares(), shares())
def test_distances_are_metrics(p, q, r):
    for distance in DISTANCES:
        top = 4 if distance is wasserstein else 1
        assert distance(p, p) == pytest.approx(0, abs=1e-7)
        assert distance(p, q) == pytest.approx(distance(q, p), abs=1e-12)
        assert -1e-12 <= distance(p, q) <= top + 1e-9
        assert distance(p, r) <= distance(p, q) + distance(q, r) + 1e-7


@settings(max_examples=30, deadline=None)
@given(shares(2), shares(2))
def test_two_options_make_wasserstein_and_total_variation_one(p, q):
    assert wasserstein(p, q) == pytest.approx(total_variation(p, q), abs=1e-12) == pytest.approx(abs(p[0] - q[0]), abs=1e-12)


def test_leading_axes_broadcast():
    p = np.random.default_rng(2).dirichlet(np.ones(4), (3, 7))
    for distance in DISTANCES:
        assert distance(p, np.full(4, 0.25)).shape == (3, 7)
    assert kendall_tau(p, np.arange(4)).shape == (3, 7)


@pytest.mark.parametrize(("p", "message"), [
    ([0.5, np.nan], "p has 1 missing"), ([1.5, -0.5], "p has a negative"), ([3, 4], "p must sum to 1"), ([1.0], "at least two"),
    (["a", "b"], "p must be an array"), ([0.2, 0.3, 0.5], "p has 3 options and q has 2"),
])
@pytest.mark.parametrize("distance", DISTANCES)
def test_what_is_no_distribution_is_refused(distance, p, message):
    with pytest.raises(ValueError, match=message):
        distance(p, [0.5, 0.5])


def test_bad_values_and_ranks():
    with pytest.raises(ValueError, match="values must be 2 numbers"):
        wasserstein([0.5, 0.5], [1, 0], [1, 2, 3])
    with pytest.raises(ValueError, match="rise or fall"):
        wasserstein([0.5, 0.25, 0.25], [1, 0, 0], [1, 3, 2])
    with pytest.raises(ValueError, match="p has missing"):
        kendall_tau([1, np.nan], [1, 2])
    with pytest.raises(ValueError, match="shapes"):
        kendall_tau([1, 2, 3], [1, 2])


def test_distribution_by_hand():
    answers = some_answers(["low", "low", "high", "Refused", None], status=["ok", "ok", "ok", "ok", "refusal"], weight=[1, 2, 3, 9, 9])
    frame = check(distribution(answers, items=SURVEY), "distributions")
    assert frame["option"].tolist() == SCALE and frame["share"].tolist() == [0.5, 0, 0.5] and frame["n"].eq(3).all()
    assert distribution(answers, items=SURVEY, weight=None)["share"].tolist() == [2 / 3, 0, 1 / 3]
    assert distribution(answers, items=SURVEY.to_frame())["share"].tolist() == [0.5, 0, 0.5]


def test_options_shown_are_known_without_items():
    frame = distribution(some_answers(["low", "high"], order=[SCALE, SCALE[::-1]]))
    assert dict(zip(frame["option"], frame["share"], strict=True)) == {"high": 0.5, "low": 0.5, "middle": 0}


def test_probabilities_count_as_fractions():
    answers = some_answers(["low", "high"], mode="probability", probabilities=[[0.5, 0.25, 0.25, 0.0], [0.1, 0.2, 0.2, 0.5]])
    assert np.allclose(distribution(answers, items=SURVEY)["share"], [0.35, 0.325, 0.325])
    with pytest.raises(ValueError, match="give items="):
        distribution(answers)
    with pytest.raises(ValueError, match="must be 3 numbers"):
        distribution(answers.assign(probabilities=[[0.5, 0.5]] * 2), items=SURVEY)


def test_row_order_and_intervals():
    rng = np.random.default_rng(3)
    answers = pd.concat([some_answers(rng.choice(SCALE, 60), tier=t, state=["CA", "NY", "WY"] * 20) for t in ("meta", "descriptive")])
    frame = distribution(answers, by="tier", items=SURVEY, ci=0.9, seed=5)
    mixed = distribution(answers.sample(frac=1, random_state=1), by="tier", items=SURVEY, ci=0.9, seed=5)
    pd.testing.assert_frame_equal(frame, mixed)
    assert ((frame["low"] <= frame["share"]) & (frame["share"] <= frame["high"])).all() and (frame["high"] > frame["low"]).all()
    assert np.allclose(frame.groupby("tier")["share"].sum(), 1)


def test_nobody_valid_gives_missing_shares():
    frame = distribution(some_answers([None, None], status="invalid"), items=SURVEY, ci=0.95)
    assert frame["share"].isna().all() and frame["low"].isna().all() and frame["n"].eq(0).all() and len(frame) == 3


def test_draws_of_one_persona_stay_together():
    answers = pd.concat([some_answers(["low"] * 10 + ["high"] * 10, draw=d) for d in range(5)])
    once = distribution(answers[answers["draw"] == 0], items=SURVEY, ci=0.95)
    often = distribution(answers, items=SURVEY, ci=0.95)
    assert np.allclose(once[["low", "high"]], often[["low", "high"]], atol=1e-9) and often["n"].eq(100).all()


@pytest.mark.parametrize(("change", "keywords", "message"), [
    ({"item_id": "z"}, {"items": SURVEY}, "item 'z'"), ({"option": "medium"}, {"items": SURVEY}, "option 'medium'"),
    ({"tier": ["meta", "descriptive"]}, {}, "mix several values of tier"), ({}, {"by": "party"}, "no column 'party'"),
    ({"weight": -1.0}, {}, "weight must be a number"), ({}, {"weight": "w"}, "no column 'w'"), ({}, {"ci": 95}, "between 0 and 1"),
    ({"state": ["CA", "NY"], "persona_id": "p"}, {"ci": 0.9}, "more than one state"),
])
def test_bad_answers(change, keywords, message):
    with pytest.raises(ValueError, match=message):
        distribution(some_answers(["low", "high"]).assign(**change), **keywords)
    with pytest.raises(TableError, match="missing column option"):
        distribution(some_answers(["low"]).drop(columns="option"))


def test_resample_has_the_right_variance_and_grows_by_state():
    weights = resample(["CA"] * 4 + ["NY"] + ["WY"] * 6, 4000, seed=2)
    assert np.allclose(weights[:, :5].sum(1), 5) and weights[:, 4].var() > 0.5, "who is alone joins the smallest state"
    assert np.allclose(weights[:, 5:].sum(1), 6)
    two = resample(["CA", "NY", *["WY"] * 6], 4000, seed=2)
    assert np.allclose(two[:, :2].sum(1), 2) and np.array_equal(two[:, 2:], weights[:, 5:]), "two of them share a stratum"
    assert (weights[:, 5:] @ np.arange(6) / 6).var() == pytest.approx(np.arange(6).var(ddof=1) / 6, rel=0.1)
    assert np.array_equal(resample(["WY"] * 6, 4000, seed=2), weights[:, 5:]) and resample([], 3).shape == (3, 0)
    with pytest.raises(ValueError, match="n_boot"):
        resample(["CA"], 1)


def test_alignment_ordinal_and_nominal_by_hand():
    answers = pd.concat([some_answers(["low", "low", "high", "high"]), some_answers(["red", "red", "red", "blue"], item="c")])
    human = pd.DataFrame({"item_id": ["q"] * 4 + ["c"] * 2, "option": [*SCALE, "Refused", "red", "blue"],
                          "share": [0.2, 0.2, 0.4, 0.2, 0.5, 0.5], "n": 100})
    frame = alignment(answers, human, items=SURVEY, ci=0.95).set_index("item_id")
    assert frame.loc["q", "alignment"] == pytest.approx(1 - 0.25 / 2) and frame.loc["q", "measure"] == "wasserstein"
    assert frame.loc["c", "alignment"] == pytest.approx(0.75) and frame.loc["c", "measure"] == "total_variation"
    assert frame.loc["q", "majority"] == pytest.approx(1 - 0.75 / 2) and frame.loc["c", "uniform"] == 1
    assert ((frame["low"] <= frame["alignment"]) & (frame["alignment"] <= frame["high"])).all()
    again = alignment(distribution(answers, items=SURVEY), human, items=SURVEY).set_index("item_id")
    assert np.allclose(again["alignment"], frame["alignment"])


def test_alignment_matches_groups_of_the_benchmark():
    answers = pd.concat([some_answers(["red", "red"], "c", tier=t, state=s, persona_id=[f"{s}1", f"{s}2"])
                         for t in ("meta", "descriptive") for s in ("CA", "WY")])
    human = pd.DataFrame({"item_id": "c", "state": ["CA", "CA", "WY", "WY"], "option": ["red", "blue"] * 2, "share": [0.9, 0.1, 0.3, 0.7]})
    frame = alignment(answers, human, by=["tier", "state"])
    assert frame.groupby("state")["alignment"].first().round(6).to_dict() == {"CA": 0.9, "WY": 0.3} and len(frame) == 4
    with pytest.raises(ValueError, match="no shares for item_id=c, tier=descriptive, state=WY"):
        alignment(answers, human[human["state"] == "CA"], by=["tier", "state"])
    with pytest.raises(ValueError, match="stands twice"):
        alignment(answers, human, by="tier")
    with pytest.raises(ValueError, match="unknown measure"):
        alignment(answers, human, by=["tier", "state"], measure="W1")
    with pytest.raises(ValueError, match="ci needs the answers"):
        alignment(human, human, by="state", ci=0.9)


def test_ceiling_falls_with_fewer_people():
    human = pd.DataFrame({"item_id": ["few"] * 3 + ["many"] * 3, "option": SCALE * 2, "share": [0.2, 0.5, 0.3] * 2})
    human["n"] = [40] * 3 + [4000] * 3
    frame = ceiling(human).set_index("item_id")["ceiling"]
    assert frame["few"] < frame["many"] < 1 and frame["many"] > 0.98
    with pytest.raises(ValueError, match="column n"):
        ceiling(human.drop(columns="n"))


def test_the_ceiling_uses_the_measure_of_alignment_and_the_effective_number():
    from persona_kit import Item, Survey

    items = Survey([Item("z", "?", ["x", "y", "w"]), Item("q", "?", SCALE, values=[1, 2, 3], refusals=["DK"])])
    human = pd.DataFrame({"item_id": ["z"] * 3 + ["q"] * 4, "option": ["w", "x", "y", *SCALE[::-1], "DK"],
                          "share": [0.2, 0.7, 0.1, 0.27, 0.45, 0.18, 0.1], "n": [400] * 7})  # fmt: skip
    rng = np.random.default_rng(5)

    def halves(p, n):
        return [rng.multinomial(n, p, size=20_000) / n for _ in range(2)]

    a, b = halves([0.7, 0.1, 0.2], 200)
    nominal = 1 - np.abs(a - b).sum(1).mean() / 2
    a, b = halves([0.2, 0.5, 0.3], 200)
    ordinal = 1 - np.abs((a - b).cumsum(1)[:, :2]).sum(1).mean() / 2
    frame = ceiling(human, items=items, n_draws=20_000).set_index("item_id")
    assert frame["ceiling"].to_dict() == pytest.approx({"z": nominal, "q": ordinal}, abs=1e-3)
    a, b = halves([0.7, 0.1, 0.2], 50)
    weighted = ceiling(human.assign(n_effective=100.9), items=items, n_draws=20_000).set_index("item_id")
    assert weighted["ceiling"]["z"] == pytest.approx(1 - np.abs(a - b).sum(1).mean() / 2, abs=2e-3) and (weighted["n"] == 100).all()


def test_kullback_leibler_equals_scipy():
    rng = np.random.default_rng(4)
    p, q = rng.dirichlet(np.full(5, 0.5), 30), rng.dirichlet(np.ones(5), 30)
    assert np.allclose(kullback_leibler(p, q, 0), entropy(p, q, base=2, axis=1))
    assert np.allclose(kullback_leibler(p, q, 0.1), entropy(0.9 * p + 0.02, 0.9 * q + 0.02, base=2, axis=1))
    assert kullback_leibler([1, 0], [0, 1], 0) == np.inf and kullback_leibler([1, 0], [0, 1]) < np.log2(2 / 0.01)
    with pytest.raises(ValueError, match="smoothing"):
        kullback_leibler([1, 0], [0, 1], 1)


BATTERY = pd.DataFrame({"item_id": ["a", "b", "c", "d"], "text": "?", "options": [SCALE, SCALE, ["x", "y"], list("uvwxyz")],
                        "values": [[1, 2, 3], [1, 2, 3], None, [1, 2, 3, 4, 5, 6]], "topic": ["one", "one", "two", "two"]})


def a_battery(people=40, seed=0, states=("CA", "WY")):
    "Answers and human shares by state, some answers missing, weights that differ."
    rng = np.random.default_rng(seed)
    rows = [{"persona_id": f"p{i:03d}", "state": states[i % len(states)], "item_id": item, "option": rng.choice(options),
             "status": "ok" if rng.random() < 0.9 else "invalid", "weight": 1 + i % 3}
            for i in range(people) for item, options in zip(BATTERY["item_id"], BATTERY["options"], strict=True)]
    human = [{"state": s, "item_id": item, "option": o, "share": p} for s in states
             for item, options in zip(BATTERY["item_id"], BATTERY["options"], strict=True)
             for o, p in zip(options, rng.dirichlet(np.ones(len(options))), strict=True)]
    return pd.DataFrame(rows), pd.DataFrame(human)


ORACLES = {
    "wasserstein": lambda p, q: 1 - wasserstein_distance(range(len(p)), range(len(p)), p, q) / (len(p) - 1),
    "total_variation": lambda p, q: 1 - sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2,
    "jensen_shannon": lambda p, q: 1 - jensenshannon(p, q, base=2),
    "kullback_leibler": lambda p, q: 1 - entropy(0.99 * q + 0.01 / len(q), 0.99 * p + 0.01 / len(p), base=2),
    "kendall_tau": lambda p, q: kendalltau(p, q).statistic,
}


def by_loops(answers, human, measure, state):
    "Scores of the four items, in plain loops."
    out = []
    for item, options, values in zip(BATTERY["item_id"], BATTERY["options"], BATTERY["values"], strict=True):
        mine = answers[(answers["item_id"] == item) & (answers["status"] == "ok") & (answers["state"] == state)]
        p = np.array([mine.loc[mine["option"] == o, "weight"].sum() for o in options]) / mine["weight"].sum()
        theirs = human[(human["item_id"] == item) & (human["state"] == state)].set_index("option")["share"]
        name = "total_variation" if measure == "wasserstein" and values is None else measure
        out.append(ORACLES[name](p, theirs[options].to_numpy()))
    return np.array(out)


@pytest.mark.parametrize("measure", ORACLES)
def test_every_measure_and_level_equals_plain_loops(measure):
    answers, human = a_battery()
    keywords = {"by": "state", "items": BATTERY, "measure": measure}
    items = alignment(answers, human, **keywords).set_index(["state", "item_id"])["alignment"]
    topics = alignment(answers, human, level="topic", **keywords).set_index(["state", "topic"])["alignment"]
    overall = alignment(answers, human, level="overall", **keywords).set_index("state")["alignment"]
    for state in ("CA", "WY"):
        expected = by_loops(answers, human, measure, state)
        assert np.allclose(items[state][list("abcd")], expected)
        assert np.allclose(topics[state][["one", "two"]], [expected[:2].mean(), expected[2:].mean()])
        assert np.isclose(overall[state], expected.mean())


@pytest.mark.parametrize("measure", ["wasserstein", "kullback_leibler"])
def test_the_interval_of_a_mean_over_items_equals_plain_loops(measure):
    "Replicates, their spread as wide as t, and the models on the way from the people past the simulated, each in loops."
    answers, human = a_battery()
    frame = alignment(answers, human, by="state", items=BATTERY, measure=measure, level="overall", ci=0.9, n_boot=60, seed=3)
    frame = frame.set_index("state")
    who = answers.drop_duplicates("persona_id").sort_values("persona_id")
    draws = resample(who["state"], 60, seed=3)
    for state in ("CA", "WY"):
        of_all = shares_by_loops(answers, human, state)
        again = []
        for multiplicity in draws:
            times = dict(zip(who["persona_id"], multiplicity, strict=True))
            again.append(shares_by_loops(answers.assign(weight=answers["weight"] * answers["persona_id"].map(times)), human, state))
        score = lambda pairs: np.mean([scored(p, q, measure, v) for (p, q), v in zip(pairs, BATTERY["values"], strict=True)])
        values, estimate = np.array([score(pairs) for pairs in again]), score(of_all)
        weight = np.zeros(len(who))       # of each person in the mean of the four items
        for item in BATTERY["item_id"]:
            valid = (answers["item_id"] == item) & (answers["status"] == "ok") & (answers["state"] == state)
            mine = answers[valid].set_index("persona_id")["weight"]
            weight += who["persona_id"].map(mine / mine.sum()).fillna(0).to_numpy() / 4
        n = (who["state"] == state).sum()
        freedom = min(n - 1, weight.sum() ** 2 / (weight**2).sum() - 1)
        part = 10 / (10 + freedom)
        far = (1 - part) * (np.quantile(values, [0.05, 0.95], method="weibull") - values.mean())
        far += part * values.std() * norm.ppf([0.05, 0.95])
        reach = np.abs(far).max() * t.ppf(0.95, freedom) / norm.ppf(0.95)
        noise = [[one[i][0] - np.mean([other[i][0] for other in again], axis=0) for i in range(4)] for one in again]
        fall = (values - values.mean()) / values.std()
        worse = [-t.ppf(0.95, freedom) * np.mean([z * e[i] for z, e in zip(fall, noise, strict=True)], axis=0) for i in range(4)]
        models = [[q + times * (p - q) for p, q in of_all] for times in (0, 0.5, 1)]
        models += [[p + times * w for (p, _), w in zip(of_all, worse, strict=True)] for times in (0.6, 1.2)]
        truth, mean, spread = [], [], []
        for model in models:
            truth.append(score([(m, q) for m, (_, q) in zip(model, of_all, strict=True)]))
            found = [score([(m + e, q) for m, e, (_, q) in zip(model, errors, of_all, strict=True)]) for errors in noise]
            mean, spread = [*mean, np.mean(found)], [*spread, np.std(found)]
        edges = reach * np.array(spread) / spread[2]
        curves = np.maximum.accumulate((mean + edges)[::-1])[::-1], np.minimum.accumulate(mean - edges)
        truth = np.minimum.accumulate(truth)
        freed = [truth[-1] + estimate - c[-1] if estimate < c[-1] else np.interp(estimate, c[::-1], truth[::-1]) for c in curves]
        low, high = min(freed[0], estimate), min(max(freed[1], estimate), 1)
        assert np.allclose(frame.loc[state, ["low", "high"]].astype(float), [low, high])


def shares_by_loops(answers, human, state):
    "Simulated and human shares of the four items."
    out = []
    for item, options in zip(BATTERY["item_id"], BATTERY["options"], strict=True):
        mine = answers[(answers["item_id"] == item) & (answers["status"] == "ok") & (answers["state"] == state)]
        p = np.array([mine.loc[mine["option"] == o, "weight"].sum() for o in options]) / mine["weight"].sum()
        theirs = human[(human["item_id"] == item) & (human["state"] == state)].set_index("option")["share"]
        out.append((p, theirs[options].to_numpy()))
    return out


def scored(p, q, measure, values):
    "W1 and total variation are defined by differences; the divergence needs shares, so that they are cut off at 0."
    if measure == "wasserstein":
        gaps = np.abs(np.cumsum(p - q)[:-1]).sum() / (len(p) - 1)
        return 1 - (np.abs(p - q).sum() / 2 if values is None else gaps)
    p = np.maximum(p, 0)
    return ORACLES[measure](p / p.sum(), q)


def ranked(shares, n):
    "n answers with exactly these shares, and its survey."
    counts = np.round(np.array(shares) * n).astype(int)
    return some_answers(np.repeat(SCALE, counts)), Survey([Item("q", "How much?", SCALE, values=(1, 2, 3))])


def human_ranks(shares):
    return pd.DataFrame({"item_id": "q", "option": SCALE, "share": shares})


def test_the_interval_of_tau_is_a_point_where_the_order_is_settled():
    answers, survey = ranked([0.6, 0.3, 0.1], 400)
    for theirs in ([0.5, 0.3, 0.2], [0.3, 0.5, 0.2], [0.2, 0.3, 0.5], [0.2, 0.6, 0.2]):
        row = alignment(answers, human_ranks(theirs), items=survey, measure="kendall_tau", ci=0.95).iloc[0]
        assert row["alignment"] == pytest.approx(kendalltau([0.6, 0.3, 0.1], theirs).statistic)
        assert row["low"] == pytest.approx(row["alignment"]) and row["high"] == pytest.approx(row["alignment"])


def test_the_interval_of_tau_leaves_open_what_is_nearly_tied():
    answers, survey = ranked([0.36, 0.34, 0.3], 100)
    row = alignment(answers, human_ranks([0.5, 0.3, 0.2]), items=survey, measure="kendall_tau", ci=0.95).iloc[0]
    assert [row["low"], row["alignment"], row["high"]] == [-1, 1, 1]
    answers, _ = ranked([0.46, 0.44, 0.1], 200)                         # the first two may stand either way: 2/3 of pairs are sure
    row = alignment(answers, human_ranks([0.2, 0.5, 0.3]), items=survey, measure="kendall_tau", ci=0.95).iloc[0]
    assert row[["low", "alignment", "high"]].to_list() == pytest.approx([-1 / 3, -1 / 3, 1 / 3])
    even = alignment(answers, human_ranks([1 / 3] * 3), items=survey, measure="kendall_tau", ci=0.95).iloc[0]
    assert even[["low", "alignment", "high"]].isna().all()


def test_the_interval_of_tau_holds_the_order_of_the_population():
    "500 samples of 80 people, two items of which one is nearly tied; never below 95 % by more than three Monte Carlo errors."
    rng, n, samples = np.random.default_rng(8), 80, 500
    survey = Survey([Item(i, i, SCALE, values=(1, 2, 3)) for i in "qr"])
    truth = {"q": [0.34, 0.33, 0.33], "r": [0.5, 0.3, 0.2]}
    parts = [some_answers(rng.choice(SCALE, n * samples, p=p), item=i, state=np.repeat(np.arange(samples), n)) for i, p in truth.items()]
    answers = pd.concat([p.assign(persona_id=range(n * samples)) for p in parts])
    human = pd.concat([human_ranks([0.4, 0.35, 0.25]).assign(item_id=i) for i in "qr"])
    planted = np.mean([kendalltau(p, (0.4, 0.35, 0.25)).statistic for p in truth.values()])
    found = alignment(answers, human, by="state", items=survey, measure="kendall_tau", level="overall", ci=0.95, n_boot=200)
    held = ((found["low"] - 1e-9 <= planted) & (planted <= found["high"] + 1e-9)).mean()
    assert held >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / samples) and (found["low"] <= found["alignment"]).all()
    assert (found["high"] - found["low"]).mean() < 2 and found["alignment"].mean() < planted


def test_intervals_of_topics_and_overall_hold_what_many_people_would_score():
    "300 samples of 40 people whose ten answers hang together; tolerance: three Monte Carlo standard errors about 93-97 %."
    rng, n, samples = np.random.default_rng(5), 40, 300
    items = pd.DataFrame({"item_id": list("abcdefghij"), "options": [SCALE] * 10, "values": [[1, 2, 3]] * 10})
    items["topic"] = ["one"] * 4 + ["two"] * 6
    human = pd.DataFrame({"item_id": np.repeat(items["item_id"].to_numpy(), 3), "option": SCALE * 10, "share": [0.2, 0.5, 0.3] * 10})
    place = np.clip(np.round(1 + 0.7 * rng.normal(size=(samples * n, 1)) + 0.5 * rng.normal(size=(samples * n, 10))), 0, 2).astype(int)
    answers = pd.DataFrame({"persona_id": np.repeat(np.arange(samples * n), 10), "state": np.repeat(np.arange(samples), 10 * n),
                            "item_id": np.tile(items["item_id"].to_numpy(), samples * n), "option": np.array(SCALE)[place.ravel()]})
    outer = norm.sf(0.5 / np.hypot(0.7, 0.5))
    truth = 1 - (abs(outer - 0.2) + abs(1 - outer - 0.7)) / 2
    for level in ("overall", "topic"):
        frame = alignment(answers, human, by="state", items=items, level=level, ci=0.95, n_boot=400)
        held = ((frame["low"] <= truth) & (truth <= frame["high"])).mean()
        assert 0.93 - 3 * (0.05 * 0.95 / samples) ** 0.5 < held < 0.97 + 3 * (0.05 * 0.95 / samples) ** 0.5
        assert frame["alignment"].mean() < truth, "single studies score less, by noise"


def test_a_stratified_mean_has_the_textbook_variance_and_degrees_of_freedom():
    "Strata of two to six people with weights of their own: Σ W_h² s_h² / n_h, as in any book on sampling."
    rng, sizes = np.random.default_rng(4), np.array([2, 2, 3, 6])
    strata, weight = np.repeat(list("abcd"), sizes), np.repeat([0.1, 0.4, 0.3, 0.2], sizes) / np.repeat(sizes, sizes)
    x = rng.normal(size=13)
    book = sum(weight[strata == h].sum() ** 2 * x[strata == h].var(ddof=1) / (strata == h).sum() for h in "abcd")
    means = resample(strata, 40_000, seed=1) @ (weight * x)
    assert means.var() == pytest.approx(book, rel=0.04) and means.mean() == pytest.approx(weight @ x, abs=0.01)
    parts = np.array([(weight[strata == h] ** 2).sum() for h in "abcd"])
    found = _freedom(sparse.csr_array(weight[None]), pd.factorize(strata)[0])
    assert found[0] == pytest.approx(min(parts.sum() ** 2 / (parts**2 / (sizes - 1)).sum(), 1 / (weight**2).sum() - 1))


@pytest.mark.parametrize(("states", "people"), [(3, 2), (12, 2), (5, 3)])
def test_intervals_of_shares_hold_with_few_people_in_a_state(states, people):
    "500 studies whose states differ: at least 93 % and, with an imaginary persona among so few, as much as 99.5 %."
    rng, studies = np.random.default_rng(6), 500
    chance = np.linspace(0.25, 0.75, states)
    frame = pd.DataFrame(list(np.ndindex(studies, states, people)), columns=["study", "place", "person"])
    frame["option"] = np.where(rng.random(len(frame)) < chance[frame["place"]], "yes", "no")
    frame = frame.assign(persona_id=range(len(frame)), item_id="q", state=frame["study"] * states + frame["place"])
    found = distribution(frame, by="study", ci=0.95, n_boot=200).query("option == 'yes'")
    held = (found["low"] <= 0.5) & (found["high"] >= 0.5)
    assert 0.93 - 3 * np.sqrt(0.05 * 0.95 / studies) < held.mean() <= 0.995


def test_levels_need_what_they_name():
    answers, human = a_battery()
    with pytest.raises(ValueError, match="unknown level 'all'"):
        alignment(answers, human, by="state", items=BATTERY, level="all")
    with pytest.raises(ValueError, match="needs the topic"):
        alignment(answers, human, by="state", items=BATTERY.drop(columns="topic"), level="topic")
    swapped = pd.DataFrame({"item_id": "a", "state": ["CA"] * 3 + ["WY"] * 3, "option": [*SCALE, *SCALE[::-1]]}).assign(share=1 / 3)
    with pytest.raises(ValueError, match="different orders"):
        alignment(answers[answers["item_id"] == "a"], swapped, by="state")
