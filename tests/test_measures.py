"""The measures beyond shares: against plain loops and other implementations, on planted truth, and the coverage of their intervals."""

import warnings
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from persona_kit import measures
from persona_kit.alignment import alignment, distribution
from persona_kit.measures import (
    _correlations,
    adjusted_shares,
    alignment_difference,
    conditioning_gain,
    correlation_distance,
    cronbach_alpha,
    group_variance,
    human_baselines,
    matched,
    order_effects,
    reply_rates,
    retest,
    spread,
)

SCALE = ["--", "-", "0", "+", "++"]
COLORS = ["red", "green", "blue"]
ITEMS = pd.DataFrame({"item_id": ["a", "b", "c", "d"], "text": "?", "options": [SCALE, SCALE, SCALE, COLORS],
                      "values": [[1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [2, 4, 6, 8, 10], None], "refusals": [["no"]] * 4,
                      "topic": ["x", "x", "y", "y"]})
SAMPLES, N = 300, 60
TOLERANCE = 3 * (0.05 * 0.95 / SAMPLES) ** 0.5       # three Monte Carlo standard errors of a coverage: 0.038


def people(n, seed, *, party=0.5, draws=1, first=0.0, backwards=0.5, samples=1, lean=0.7):
    "n people in each of some samples (the states) answer four items by leaning; some take what stands first."
    rng = np.random.default_rng(seed)
    total = n * samples
    side = np.arange(total) % 2
    position = lean * rng.normal(size=total) + party * (2 * side - 1)
    parts = []
    for d in range(draws):
        for item, options in zip(ITEMS["item_id"], ITEMS["options"], strict=True):
            k = len(options)
            place = np.round((k - 1) / 2 + 0.9 * position + 0.6 * rng.normal(size=total)).clip(0, k - 1).astype(int)
            if item == "d":
                orders = np.argsort(rng.random((total, k)), axis=1)
            else:
                orders = np.where(rng.random((total, 1)) < backwards, np.arange(k)[::-1], np.arange(k))
            place = np.where(rng.random(total) < first, orders[:, 0], place)
            labels = np.array(options)
            parts.append(pd.DataFrame({
                "persona_id": np.arange(total), "state": np.repeat(np.arange(samples), n), "party": np.array(["D", "R"])[side],
                "item_id": item, "draw": d, "option": labels[place], "status": "ok",
                "order": [[*o, "no"] for o in labels[orders].tolist()]}))
    return pd.concat(parts, ignore_index=True)


def held(low, high, truth):
    share = ((low <= truth) & (truth <= high)).mean()
    assert 0.93 - TOLERANCE < share < 0.97 + TOLERANCE, share
    return share


def codes(frame, item):
    options = ITEMS.set_index("item_id").loc[item, "options"]
    return frame.loc[frame["item_id"] == item, "option"].map(options.index).to_numpy()


def values(frame, item):
    return np.array(ITEMS.set_index("item_id").loc[item, "values"])[codes(frame, item)]


BIG = people(40_000, 99)


# refusals ---------------------------------------------------------------------------------------------------------------------------

def test_reply_rates_by_hand():
    frame = pd.DataFrame({"persona_id": [1, 1, 2, 2, 3], "item_id": list("abaab"), "option": ["no", "-", None, None, "+"],
                          "status": ["ok", "ok", "refusal", "invalid", "ok"], "weight": [1.0, 1, 2, 2, 4]})
    found = reply_rates(frame, items=ITEMS).set_index("status")["rate"]
    assert found["refusal"] == pytest.approx(0.3) and found["invalid"] == pytest.approx(0.2)
    assert reply_rates(frame).set_index("status").loc["refusal", "rate"] == pytest.approx(0.2)
    filtered = reply_rates(frame.assign(status=["ok", "ok", "refusal", "filtered", "ok"]), weight=None).set_index("status")
    assert filtered.loc["filtered", "rate"] == 0.2 and filtered.loc["invalid", "rate"] == 0 < filtered.loc["invalid", "high"]
    topics = reply_rates(frame, by="topic", items=ITEMS)
    assert topics["topic"].tolist() == ["x", "x"] and topics["n"].eq(5).all() and topics["n_personas"].eq(3).all()


@pytest.mark.parametrize(("chance", "alike"), [(0.1, False), (0.3, True)])
def test_reply_rates_cover_the_truth(chance, alike):
    rng = np.random.default_rng(1)
    answers = people(N, 2, samples=SAMPLES)
    who = rng.beta(chance, 1 - chance, SAMPLES * N) if alike else np.full(SAMPLES * N, chance)
    answers.loc[rng.random(len(answers)) < who[answers["persona_id"]], ["status", "option"]] = ["refusal", None]
    found = reply_rates(answers, by="state", n_boot=400).query("status == 'refusal'")
    held(found["low"], found["high"], chance)


# spread ------------------------------------------------------------------------------------------------------------------------------

def test_spread_equals_plain_formulas():
    ours, human = people(90, 3, lean=0.4), distribution(people(500, 4), items=ITEMS)
    found = spread(ours, human, items=ITEMS).set_index(["measure", "item_id"])
    for item in "abc":
        theirs = human[human["item_id"] == item]
        v, p = np.array(ITEMS.set_index("item_id").loc[item, "values"], float), theirs["share"].to_numpy()
        assert found.loc[("sd", item), "simulated"] == pytest.approx(values(ours, item).std(ddof=1))
        assert found.loc[("sd", item), "human"] == pytest.approx(np.sqrt((p @ v**2 - (p @ v) ** 2) * 500 / 499))
    for item in "abcd":
        count = np.bincount(codes(ours, item))
        expected = stats.entropy(count, base=2) + ((count > 0).sum() - 1) / (2 * 90 * np.log(2))
        assert found.loc[("entropy", item), "simulated"] == pytest.approx(expected)
    assert ("sd", "d") not in found.index
    overall = spread(ours, human, items=ITEMS, level="overall").set_index("measure")
    means = found.groupby("measure")[["simulated", "human"]].mean()
    assert np.allclose(overall["ratio"], (means["simulated"] / means["human"])[overall.index]) and overall.loc["sd", "n_items"] == 3
    assert spread(ours, human.drop(columns="n"), items=ITEMS, level="topic")["topic"].tolist() == ["x", "y"] * 2


def test_spread_covers_the_truth_of_two_populations():
    answers = people(N, 5, samples=SAMPLES, lean=0.4)
    many = people(400 * SAMPLES, 6).assign(state=lambda f: f["persona_id"] // 400)
    human = distribution(many, by="state", items=ITEMS)
    found = spread(answers, human, items=ITEMS, by="state", level="overall", n_boot=400)
    large = people(40_000, 7, lean=0.4)
    sd = [np.mean([values(f, i).std() for i in "abc"]) for f in (large, BIG)]
    entropy = [np.mean([stats.entropy(np.bincount(codes(f, i)), base=2) for i in "abcd"]) for f in (large, BIG)]
    for name, (one, other) in (("sd", sd), ("entropy", entropy)):
        mine = found[found["measure"] == name]
        held(mine["low"], mine["high"], one / other)


# groups ------------------------------------------------------------------------------------------------------------------------------

def test_group_variance_equals_plain_loops():
    ours = people(80, 8, party=0.6)
    ours = ours[(ours["persona_id"] % 5 > 0) | (ours["party"] == "R")]
    found = group_variance(ours, "party", items=ITEMS, weight=None).set_index("item_id")
    for item in "abcd":
        mine = ours[ours["item_id"] == item]
        x = values(ours, item)[:, None] if item != "d" else np.eye(3)[codes(ours, item)]
        sides = [x[(mine["party"] == p).to_numpy()] for p in "DR"]
        pi, s2 = [len(s) / len(x) for s in sides], [s.var(axis=0, ddof=1).sum() for s in sides]
        between = sum(w * ((s.mean(0) - x.mean(0)) ** 2).sum() for w, s in zip(pi, sides, strict=True))
        between -= sum(w * (1 - w) * v / len(s) for w, s, v in zip(pi, sides, s2, strict=True))
        within = sum(w * v for w, v in zip(pi, s2, strict=True))
        assert found.loc[item, ["between", "within", "share"]].tolist() == pytest.approx([between, within, between / (between + within)])


def test_group_variance_covers_planted_truth_and_is_nought_without_groups():
    def eta(frame, item):
        x, side = values(frame, item), (frame.loc[frame["item_id"] == item, "party"] == "D").to_numpy()
        means = np.array([x[side].mean(), x[~side].mean()])
        return means.var() / (means.var() + (x[side].var() + x[~side].var()) / 2)

    found = group_variance(people(N, 9, samples=SAMPLES).query("item_id == 'a'"), "party", items=ITEMS, by="state", n_boot=400)
    held(found["low"], found["high"], eta(BIG, "a"))
    assert abs(found["share"].mean() - eta(BIG, "a")) < 4 * found["share"].std() / SAMPLES**0.5
    none = group_variance(people(N, 10, samples=SAMPLES, party=0).query("item_id == 'a'"), "party", items=ITEMS, by="state", n_boot=50)
    assert abs(none["share"].mean()) < 4 * none["share"].std() / SAMPLES**0.5
    human = distribution(BIG, by="party", items=ITEMS)
    beside = group_variance(people(400, 11), "party", items=ITEMS, human=human).set_index("item_id")
    assert beside.loc["a", "human"] == pytest.approx(eta(BIG, "a"), abs=1e-3) and beside.loc["a", "n_groups"] == 2


# structure ---------------------------------------------------------------------------------------------------------------------------

def wide(frame):
    return pd.DataFrame({i: pd.Series(values(frame, i), frame.loc[frame["item_id"] == i, "persona_id"]) for i in "abc"})


def test_correlation_distance_equals_pandas_with_missing_answers():
    ours, human = people(150, 12, lean=0.2), people(300, 13)
    ours = ours.drop(ours.index[::7])
    found = correlation_distance(ours, human, items=ITEMS, n_boot=50)
    apart = wide(ours).corr() - wide(human).corr()
    assert found["frobenius"] == pytest.approx(np.linalg.norm(apart))
    assert found["distance"] == pytest.approx(np.linalg.norm(apart) / 6**0.5)
    assert found["n_items"] == 3 and found["n_simulated"] == 150
    with pytest.raises(ValueError, match="at least two items"):
        correlation_distance(ours, human[human["item_id"] == "a"], items=ITEMS)


def test_replicates_of_correlations_equal_one_at_a_time_and_pandas():
    rng = np.random.default_rng(4)
    values = rng.normal(size=(40, 4)) @ rng.normal(size=(4, 4))
    values[rng.random(values.shape) < 0.1] = np.nan
    values[:, 3] = np.where(np.isnan(values[:, 3]), np.nan, 2.0)
    times = rng.multinomial(39, np.full(40, 1 / 40), size=7)
    found = _correlations(values, times)
    assert found.shape == (7, 4, 4)
    for row, one in zip(times, found, strict=True):
        expected = pd.DataFrame(np.repeat(values, row, axis=0)).corr().fillna(0).to_numpy()
        assert np.allclose(one, _correlations(values, row)) and np.allclose(one, expected, atol=1e-7)


def test_the_floor_is_the_distance_of_two_samples_of_the_same_people():
    distances = []
    for seed in range(80):
        both = [wide(people(n, 200 + seed + 1000 * n)).corr().to_numpy() for n in (60, 250)]
        distances.append(np.sqrt(((both[0] - both[1]) ** 2).sum() / 6))
    floors = [correlation_distance(people(60, s), people(250, 50 + s), items=ITEMS, n_boot=60)["floor"] for s in range(8)]
    assert np.mean(floors) == pytest.approx(np.mean(distances), rel=0.15)


def test_cronbach_alpha_equals_the_formula_and_covers_the_truth():
    def alpha(x):
        return x.shape[1] / (x.shape[1] - 1) * (1 - x.var(axis=0, ddof=1).sum() / x.sum(axis=1).var(ddof=1))

    ours = people(120, 14)
    assert cronbach_alpha(ours, ["a", "b", "c"], items=ITEMS)["alpha"][0] == pytest.approx(alpha(wide(ours).to_numpy()))
    turned = wide(ours).to_numpy() * [1, -1, 1]
    assert cronbach_alpha(ours, ["a", "b", "c"], items=ITEMS, reverse=["b"])["alpha"][0] == pytest.approx(alpha(turned))
    found = cronbach_alpha(people(N, 15, samples=SAMPLES), ["a", "b", "c"], items=ITEMS, by="state", n_boot=400)
    held(found["low"], found["high"], alpha(wide(BIG).to_numpy()))
    for bad in (["a"], ["a", "d"], ["a", "z"]):
        with pytest.raises(ValueError, match="battery"):
            cronbach_alpha(ours, bad, items=ITEMS)


# order -------------------------------------------------------------------------------------------------------------------------------

def test_order_effects_by_hand():
    rows = [("a", "--", SCALE), ("a", "0", SCALE[::-1]), ("a", "++", SCALE), ("d", "blue", ["blue", "red", "green"]), ("d", "no", COLORS)]
    frame = pd.DataFrame([{"persona_id": i, "item_id": item, "option": o, "order": [*order, "no"], "status": "ok"}
                          for i, (item, o, order) in enumerate(rows)])
    found = order_effects(frame, items=ITEMS, n_boot=50).set_index("position")
    assert found["share"].tolist() == [0.5, 0.25] and found["expected"].tolist() == [pytest.approx((0.5 + 0 + 0.5 + 1 / 3) / 4)] * 2
    fixed = order_effects(people(30, 16, backwards=0).query("item_id == 'a'"), items=ITEMS)
    assert fixed["n"].eq(0).all() and fixed["n_fixed"].eq(30).all() and fixed["share"].isna().all()
    with pytest.raises(ValueError, match="the item has"):
        order_effects(frame.assign(order=[["x", "y"]] * 5), items=ITEMS)


def test_the_chance_of_an_order_is_that_of_drawn_orders():
    "Without any effect the differences are nought on average, and hold their chance limits 95 times in 100; also item by item."
    found = order_effects(people(N, 17, samples=SAMPLES), items=ITEMS, by="state", n_boot=400)
    for position in ("first", "last"):
        mine = found[found["position"] == position]
        held(mine["low"], mine["high"], 0)
        held(mine["expected_low"], mine["expected_high"], mine["share"])
        assert abs(mine["difference"].mean()) < 4 * mine["difference"].std() / SAMPLES**0.5
    biased = order_effects(people(2000, 18, first=0.2), items=ITEMS, by="item_id").query("position == 'first'")
    assert (biased["low"] > 0).all()


def test_adjusted_shares_find_those_of_an_even_design():
    even = people(60_000, 19, first=0.3)
    uneven = people(3000, 20, first=0.3, backwards=0.85)
    found = adjusted_shares(uneven, items=ITEMS, n_boot=200).merge(distribution(even, items=ITEMS)[["item_id", "option", "share"]],
                                                                   on=["item_id", "option"], suffixes=("", "_even"))
    scales = found[found["item_id"] != "d"]
    assert (scales["adjusted"] - scales["share_even"]).abs().max() < 0.04 < (scales["share"] - scales["share_even"]).abs().max()
    assert np.allclose(found.groupby("item_id")["adjusted"].sum(), 1)
    assert found.groupby("item_id")["n_strata"].first().tolist() == [2, 2, 2, 3]
    a = uneven[uneven["item_id"] == "a"]
    forwards = np.array([o[0] == "--" for o in a["order"]])
    by_hand = [np.mean([(a["option"] == o)[side].mean() for side in (forwards, ~forwards)]) for o in SCALE]
    assert np.allclose(found.loc[found["item_id"] == "a", "adjusted"], by_hand)
    d = uneven[uneven["item_id"] == "d"]
    raw = [np.mean([(d["option"] == o)[[x[p] == o for x in d["order"]]].mean() for p in range(3)]) for o in COLORS]
    assert np.allclose(found.loc[found["item_id"] == "d", "adjusted"], np.array(raw) / sum(raw))


def test_adjusted_shares_cover_the_truth():
    uneven = people(2 * N, 21, first=0.3, backwards=0.8, samples=SAMPLES).query("item_id == 'a'")
    truth = distribution(people(100_000, 22, first=0.3).query("item_id == 'a'"), items=ITEMS).set_index("option")["share"]
    found = adjusted_shares(uneven, items=ITEMS, by="state", n_boot=300)
    for option in ("-", "0", "++"):
        mine = found[found["option"] == option]
        held(mine["low"], mine["high"], truth[option])
        assert mine["n_eff"].median() == pytest.approx(truth[option] * (1 - truth[option]) / mine["adjusted"].var(), rel=0.25)
    assert found["n_eff"].median() < found["n"].median()      # 80 to 20 of the two directions tell less than half and half


def test_one_order_only_is_said():
    answers = people(40, 23)
    first = answers.groupby("item_id")["order"].transform("first")
    with pytest.warns(UserWarning, match=r"4 of 4 groups of answers, such as a, saw one order only \(n_strata 1\)"):
        found = adjusted_shares(answers.assign(order=first), items=ITEMS, n_boot=20)
    assert found["n_strata"].eq(1).all() and np.allclose(found["adjusted"], found["share"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adjusted_shares(answers, items=ITEMS, n_boot=20)


# repetition --------------------------------------------------------------------------------------------------------------------------

def kappa_by_loops(frame):
    agree, chance = [], []
    for item in ITEMS["item_id"]:
        table = frame[frame["item_id"] == item].pivot(index="persona_id", columns="draw", values="option")
        for a, b in combinations(table.columns, 2):
            both = table[[a, b]].dropna()
            p, q = (both[c].value_counts(normalize=True) for c in (a, b))
            agree += [(both[a] == both[b]).mean()] * len(both)
            chance += [(p * q).sum()] * len(both)
    return np.mean(agree), np.mean(chance)


def test_retest_equals_plain_loops_and_the_classical_kappa():
    frame = people(50, 23, draws=3)
    frame.loc[::11, ["status", "option"]] = ["invalid", None]
    agree, chance = kappa_by_loops(frame[frame["status"] == "ok"])
    found = retest(frame, items=ITEMS).iloc[0]
    assert [found["agreement"], found["chance"]] == pytest.approx([agree, chance])
    assert found["kappa"] == pytest.approx((agree - chance) / (1 - chance))
    yes, no = ["red"], ["green"]
    first, second = yes * 25 + no * 25, yes * 20 + no * 5 + yes * 10 + no * 15
    classic = pd.DataFrame({"persona_id": [*range(50)] * 2, "item_id": "d", "draw": [0] * 50 + [1] * 50, "option": first + second})
    classic["status"] = "ok"
    found = retest(classic).iloc[0]         # 20, 5, 10, 15: agreement 0.7, chance 0.5, κ 0.4
    assert [found["agreement"], found["chance"], found["kappa"]] == pytest.approx([0.7, 0.5, 0.4])
    assert found["entropy"] == pytest.approx(15 / 50) and found["n_pairs"] == 50
    with pytest.raises(ValueError, match="more than once"):
        retest(classic.assign(draw=0))
    single = retest(classic[classic["draw"] == 0]).iloc[0]
    assert np.isnan(single["kappa"]) and single["n_pairs"] == 0


def test_retest_covers_the_truth():
    found = retest(people(N, 24, draws=2, samples=SAMPLES), items=ITEMS, by="state", n_boot=400)
    agree, chance = kappa_by_loops(people(30_000, 25, draws=2))
    held(found["low"], found["high"], agree)
    held(found["kappa_low"], found["kappa_high"], (agree - chance) / (1 - chance))


# conditioning, persons, baselines ------------------------------------------------------------------------------------------------------

def test_conditioning_gain_is_the_difference_of_two_alignments():
    from persona_kit.alignment import alignment

    ours, bare = people(100, 26), people(70, 27, party=0, lean=0.1)
    human = distribution(BIG, by="party", items=ITEMS)
    for level in ("item", "overall"):
        found = conditioning_gain(ours, bare, human, items=ITEMS, by="party", level=level)
        one = alignment(ours, human, items=ITEMS, by="party", level=level)
        both = pd.concat([bare.assign(party=p) for p in "DR"])
        other = alignment(both, human, items=ITEMS, by="party", level=level)
        assert np.allclose(found["gain"], one["alignment"] - other["alignment"]) and (found["low"] < found["gain"]).all()
    with pytest.raises(ValueError, match="no answers to item 'd'"):
        conditioning_gain(ours, bare[bare["item_id"] != "d"], human, items=ITEMS, by="party")


def test_conditioning_gain_holds_what_many_people_would_gain():
    human = distribution(BIG, items=ITEMS)

    def study(seed, n_boot, n=N, draws=400):
        bare = people(draws, 50_000 + seed, party=0, lean=0.2)
        return conditioning_gain(people(n, seed), bare, human, items=ITEMS, level="overall", n_boot=n_boot)

    truth = study(5000, 2, 20_000, 20_000)["gain"][0]
    fresh = [study(7000 + s, 300) for s in range(100)]
    share = np.mean([f["low"][0] <= truth <= f["high"][0] for f in fresh])
    assert share > 0.93 - 3 * (0.0475 / 100) ** 0.5 and truth > np.mean([f["gain"][0] for f in fresh]) > 0


def test_tau_of_a_gain_is_open_where_the_order_of_options_is():
    "Everything settled: a point. Two options nearly tied among the personas: from the least to the greatest difference."
    three = pd.DataFrame({"item_id": ["q"], "options": [["a", "b", "c"]], "values": [[1, 2, 3]]})
    human = pd.DataFrame({"item_id": "q", "option": ["a", "b", "c"], "share": [0.5, 0.3, 0.2]})

    def answered(*counts):
        return pd.DataFrame({"persona_id": range(sum(counts)), "item_id": "q", "option": np.repeat(["a", "b", "c"], counts)})

    sure = conditioning_gain(answered(300, 150, 50), answered(50, 150, 300), human, items=three, measure="kendall_tau", n_boot=100).iloc[0]
    assert sure[["gain", "low", "high"]].to_list() == pytest.approx([2, 2, 2])
    open_ = conditioning_gain(answered(102, 98, 20), answered(50, 150, 300), human, items=three, measure="kendall_tau", n_boot=100).iloc[0]
    assert open_[["gain", "low", "high"]].to_list() == pytest.approx([2, 4 / 3, 2])
    both = pd.concat([answered(102, 98, 20).assign(form="new"), answered(20, 50, 150).assign(form="old")])
    table = alignment_difference(both, human, "form", "old", items=three, measure="kendall_tau", n_boot=100).set_index("form")
    assert table.loc["new", ["alignment", "low", "high"]].to_list() == pytest.approx([1, 1 / 3, 1])
    assert table.loc["new", ["difference", "difference_low", "difference_high"]].to_list() == pytest.approx([2, 4 / 3, 2])
    assert table.loc["old", ["difference", "difference_low", "difference_high"]].eq(0).all()


def test_matched_equals_plain_loops_and_scipy():
    human = people(60, 30)
    rng = np.random.default_rng(31)
    ours = human.assign(option=human["option"].where(rng.random(len(human)) < 0.5, rng.permutation(human["option"])))
    ours = ours[[o in ITEMS.set_index("item_id").loc[i, "options"] for i, o in zip(ours["item_id"], ours["option"], strict=True)]]
    found = matched(ours, human.drop(columns=["status"]), items=ITEMS).iloc[0]
    both = ours.merge(human, on=["persona_id", "item_id"])
    best = both.groupby("item_id")["option_y"].agg(lambda o: o.value_counts().max()).sum() / len(both)
    assert found["accuracy"] == pytest.approx((both["option_x"] == both["option_y"]).mean()) and found["majority"] == pytest.approx(best)
    r = [stats.pearsonr(*(g[c].map(SCALE.index) for c in ("option_x", "option_y"))).statistic
         for i, g in both.groupby("item_id") if i != "d"]
    assert found["correlation"] == pytest.approx(np.mean(r)) and found["n"] == len(both)
    with pytest.raises(ValueError, match="answered the same item twice"):
        matched(ours, pd.concat([human, human]), items=ITEMS)
    with pytest.raises(ValueError, match="no simulated answer"):
        matched(ours.assign(persona_id=ours["persona_id"] + 1000), human, items=ITEMS)


def test_matched_covers_the_truth():
    def spoilt(human, seed):
        rng = np.random.default_rng(seed)
        places = {i: np.array(o) for i, o in zip(ITEMS["item_id"], ITEMS["options"], strict=True)}
        other = np.concatenate([rng.choice(places[i], len(g)) for i, g in human.groupby("item_id", sort=False)])
        return human.assign(option=np.where(rng.random(len(human)) < 0.5, human["option"], other))

    human = people(N, 32, samples=SAMPLES)
    found = matched(spoilt(human, 33), human, items=ITEMS, by="state", n_boot=400)
    large = spoilt(BIG, 34)
    accuracy = (large["option"].to_numpy() == BIG["option"].to_numpy()).mean()
    held(found["low"], found["high"], accuracy)
    held(found["correlation_low"], found["correlation_high"], np.mean([np.corrcoef(values(large, i), values(BIG, i))[0, 1] for i in "abc"]))


def test_baselines_of_groups_by_hand():
    human = pd.DataFrame({"item_id": "d", "party": ["D"] * 3 + ["R"] * 3, "option": COLORS * 2, "share": [0.6, 0.3, 0.1, 0.2, 0.2, 0.6],
                          "n": [300] * 3 + [100] * 3})
    found = human_baselines(human, "party", items=ITEMS).set_index("party")
    assert found["population"].tolist() == pytest.approx([1 - 0.125, 1 - 0.375]) and found["measure"].eq("total_variation").all()
    assert sorted(found["best_group"]) == pytest.approx([0.5, 1])
    assert found.loc[found["best_group_name"].iloc[0], "best_group"] == pytest.approx(1)
    assert found["majority"].tolist() == pytest.approx([0.6, 0.6]) and found.loc["D", "uniform"] == pytest.approx(1 - 0.8 / 3)
    more = pd.concat([human, human.head(3).assign(item_id="a", option=SCALE[:3])])
    assert human_baselines(more, "party", items=ITEMS)["best_group_name"].isin(["D", "R"]).all()     # R did not answer all items
    with pytest.raises(ValueError, match="missing column n"):
        human_baselines(human.drop(columns="n"), "party", items=ITEMS)


def test_results_do_not_depend_on_the_order_of_rows():
    frame = people(40, 35, draws=2)
    frame.loc[::13, ["status", "option"]] = ["refusal", None]
    mixed = frame.sample(frac=1, random_state=1, ignore_index=True)
    for work in (lambda f: reply_rates(f, by="party"), lambda f: order_effects(f, items=ITEMS, by="party"),
                 lambda f: retest(f, by="item_id"), lambda f: adjusted_shares(f, items=ITEMS),
                 lambda f: group_variance(f, "party", items=ITEMS)):
        pd.testing.assert_frame_equal(work(frame), work(mixed))


@pytest.mark.parametrize("name", ["reply_rates", "order_effects", "retest", "adjusted_shares"])
def test_bad_input(name):
    function, extra = getattr(measures, name), {} if name in ("reply_rates", "retest") else {"items": ITEMS}
    frame = people(10, 36, draws=2)
    with pytest.raises(ValueError, match="missing column"):
        function(frame.drop(columns="status"), **extra)
    with pytest.raises(ValueError, match="no column 'religion'"):
        function(frame, by="religion", **extra)
    with pytest.raises(ValueError, match="between 0 and 1"):
        function(frame, ci=95, **extra)
    with pytest.raises(ValueError, match="mix several values of tier"):
        function(frame.assign(tier=["meta", "descriptive"] * (len(frame) // 2)), **extra)


def test_nothing_to_measure_gives_missing_values_or_no_rows():
    human = distribution(people(50, 37), items=ITEMS, by="party")
    every = {"reply_rates": (), "order_effects": (), "retest": (), "adjusted_shares": (), "group_variance": ("party",),
             "cronbach_alpha": (["a", "b"],)}
    for nobody in (people(12, 38).assign(status="invalid", option=None), people(12, 38).iloc[:0]):
        for name, rest in every.items():
            found = getattr(measures, name)(nobody, *rest, items=ITEMS, by=None if name == "group_variance" else "party")
            assert not found.filter(["share", "alpha", "kappa", "adjusted"]).notna().any(axis=None), name
        gain = conditioning_gain(nobody, people(12, 39), human, items=ITEMS, by="party", n_boot=10)
        assert gain["gain"].isna().all() and spread(nobody, human, items=ITEMS, by="party").empty


def conditions(n, seed, shift):
    "The same people under two conditions; under the second some answers move to the end of the scale."
    first = people(n, seed)
    moved = np.random.default_rng(seed + 1).random(len(first)) < shift
    second = first.assign(option=np.where(moved & first["item_id"].ne("d"), "++", first["option"]))
    return pd.concat([first.assign(format="list"), second.assign(format="json")], ignore_index=True)


def test_conditions_have_the_alignment_that_they_have_alone():
    both, human = conditions(60, 50, 0.4), distribution(people(400, 51), items=ITEMS, by="party")
    table = alignment_difference(both, human, "format", "list", items=ITEMS, by="party", n_boot=200).set_index("format")
    for name, rows in both.groupby("format"):
        alone = alignment(rows, human, by="party", items=ITEMS, level="overall")["alignment"].mean()
        assert table.loc[name, "alignment"] == pytest.approx(alone)
    assert table.loc["list", ["difference", "difference_low", "difference_high"]].eq(0).all() and table["n_cells"].eq(8).all()
    json = table.loc["json"]
    assert json["difference"] == pytest.approx(json["alignment"] - table.loc["list", "alignment"])
    assert json["difference_low"] < json["difference"] < json["difference_high"]
    paired, alone = json["difference_high"] - json["difference_low"], json["high"] - json["low"]
    assert paired < alone * 2**0.5, "the same people: less uncertain than two samples would be"


@pytest.mark.parametrize(("states", "per_state", "studies"), [(1, 100, 40), (3, 2, 60), (12, 2, 40)])
def test_the_interval_of_a_difference_holds_the_truth(states, per_state, studies):
    "Also with six people in three states, and two dozen in twelve; humans answer as the first condition does three times in four."
    crowd = people(20_000, 52)
    off = np.random.default_rng(1).random(len(crowd)) < 0.25
    human = distribution(crowd.assign(option=np.where(off & crowd["item_id"].ne("d"), "--", crowd["option"])), items=ITEMS)

    def compare(answers, n_boot):
        return alignment_difference(answers, human, "format", "list", items=ITEMS, n_boot=n_boot).set_index("format").loc["json"]

    truth, inside = compare(conditions(20_000, 53, 0.3), 2)["difference"], 0
    assert truth < -0.05
    for seed in range(studies):
        answers = conditions(states * per_state, 1000 + 2 * seed, 0.3)
        row = compare(answers.assign(state=answers["persona_id"] // per_state), 200)
        inside += row["difference_low"] <= truth <= row["difference_high"]
    assert inside / studies >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / studies), inside


def test_only_what_both_conditions_have_is_compared():
    both, human = conditions(40, 54, 0.4), distribution(people(400, 55), items=ITEMS)
    part = both[both["format"].eq("list") | both["item_id"].isin(["a", "d"])]
    table = alignment_difference(part, human, "format", "list", items=ITEMS, n_boot=20).set_index("format")
    assert table["n_cells"].to_dict() == {"list": 4, "json": 2}
    none = part.assign(status=part["status"].where(part["format"].eq("list"), "invalid"))
    gone = alignment_difference(none, human, "format", "list", items=ITEMS, n_boot=20).set_index("format")
    assert "json" not in gone.index or gone.loc["json", "n_cells"] == 0
    for factor, reference, said in (("format", "yaml", "no format 'yaml'"), ("form", "list", "no column 'form'")):
        with pytest.raises(ValueError, match=said):
            alignment_difference(both, human, factor, reference, items=ITEMS)
