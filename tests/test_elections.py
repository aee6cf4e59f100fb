"""Elections: real results, planted truths, intervals that hold, and clear errors."""

import time

import numpy as np
import pandas as pd
import pytest

from persona_kit.elections import MEASURES, YEARS, baselines, drift, electoral_votes, evaluate, forecast, position_bias, results
from persona_kit.population import electorate, us_adults
from persona_kit.surveys import Item, Survey, presidential_election
from persona_kit.tables import STATES, TableError

LABELS = {i.item_id: i.options for i in presidential_election()}


def ballots(votes, state="CA", year=2020, tier="meta", **columns):
    "Answers from a text: D, R, O(ther), x (refusal), ? (invalid)."
    labels = dict(zip("DR", LABELS[f"president_{year}"], strict=True)) | {"O": "Somebody Else"}
    status = {"x": "refusal", "?": "invalid"}
    ids = [f"{state}-{i:03d}" for i in range(len(votes))] if isinstance(state, str) else None
    frame = {"persona_id": ids, "state": state, "weight": 1.0, "item_id": f"president_{year}",
             "draw": 0, "option": [labels.get(v) for v in votes], "status": [status.get(v, "ok") for v in votes], "tier": tier,
             "generator": None, "simulator": "test", "mode": "choice", "order": [[labels["D"], labels["R"]]] * len(votes)}
    return pd.DataFrame(frame | columns)


def respondents(n, year=2020, lean=0.0, seed=0, copies=1, tier="meta", states=None):
    rng = np.random.default_rng(seed)
    real = results(year).set_index("state")["share"].loc[list(states or STATES)]
    state = np.tile(np.repeat(real.index, n), copies)
    votes = np.where(rng.random(len(state)) < real[state].to_numpy() + lean / 100, "D", "R")
    ids = [f"{s}-{i % n:03d}" for i, s in enumerate(state)]
    copy = np.repeat(np.arange(copies), n * len(real))
    return ballots(votes, state, year, tier, simulator=[f"s{c:03d}" for c in copy], persona_id=ids)


def test_real_results():
    for year, electors, share in ((2016, 232, 0.5111), (2020, 306, 0.5227), (2024, 226, 0.4925)):
        states, country = results(year), results(year, level="national").iloc[0]
        assert list(states["state"]) == list(STATES) and states["electors"].sum() == 538 and states["democratic_electors"].sum() == electors
        assert country["share"] == pytest.approx(share, abs=1e-4) and country["democratic_electors"] == electors
        assert np.allclose(states["votes"], states["democratic"] + states["republican"]) and states["share"].between(0, 1).all()
        units = results(year, level="unit")
        assert len(units) == 56 and units["electors"].sum() == 538
        count = electoral_votes(units.set_index("unit")["winner"], year)
        assert count["democratic"] == count["real_democratic"] == electors and count["undecided"] == 0
    assert np.allclose(results(2020)["previous"], results(2016)["share"])
    mine = results(2020)
    mine["share"] = 0.0
    assert results(2020)["share"].gt(0).all()


@pytest.mark.parametrize("year", [2012, 2018, "2020", 2020.0, True, None])
def test_unknown_year(year):
    with pytest.raises(ValueError, match="2016, 2020, 2024"):
        results(year)
    with pytest.raises(ValueError, match="2016, 2020, 2024"):
        baselines(year)


def test_electors_of_districts_ties_and_gaps():
    assert electoral_votes(pd.Series({"ME": 0.6}), 2020)[["democratic", "real_democratic", "real_republican"]].tolist() == [4, 3, 1]
    assert electoral_votes(pd.Series({"ME": 0.6, "ME-2": 0.4}), 2020)["democratic"] == 3
    assert electoral_votes(pd.Series({"ME-2": 0.4}), 2020)[["republican", "total"]].tolist() == [1, 1]
    assert electoral_votes(pd.Series({"CA": 0.5, "WY": np.nan}), 2020)[["democratic", "republican", "undecided", "total"]].tolist() == [
        27.5, 27.5, 3, 58]
    assert electoral_votes(results(2016).set_index("state")["share"], 2016)["democratic"] == 233
    for bad, message in (({"California": 0.5}, "California"), ({"CA": 55.0}, "between 0 and 1"), ({"CA": "Biden"}, "Biden")):
        with pytest.raises(ValueError, match=message):
            electoral_votes(pd.Series(bad), 2020)
    with pytest.raises(ValueError, match="stands twice"):
        electoral_votes(pd.Series([0.4, 0.5], index=["CA", "CA"]), 2020)
    with pytest.raises(ValueError, match="unknown level"):
        results(2020, level="county")


def test_forecast_by_hand():
    answers = pd.concat([ballots("DDDRO x?".replace(" ", "")), ballots("xx?", "WY"), ballots("DR", "NY")])
    frame = forecast(answers).set_index("state")
    real = results(2020).set_index("state")
    assert frame.loc["CA", "share"] == 0.75
    assert frame.loc["CA", ["n", "n_valid", "n_refusal", "n_invalid", "n_missing"]].tolist() == [7, 5, 1, 1, 0]
    assert frame.loc["CA", "error"] == pytest.approx(100 * (0.75 - real.loc["CA", "share"])) and frame.loc["CA", "electors"] == 55
    assert frame.loc["CA", "real"] == real.loc["CA", "share"]
    assert frame.loc["CA", "previous"] == results(2016).set_index("state").loc["CA", "share"]
    assert frame.loc["WY", ["share", "low", "high", "error", "called"]].isna().all() and frame.loc["WY", "n"] == 3
    assert bool(frame.loc["CA", "called"]) and pd.isna(frame.loc["NY", "called"]) and frame.loc["CA", "votes"] == real.loc["CA", "votes"]


def test_weights_and_draws():
    answers = ballots("DR", weight=[3.0, 1.0])
    assert forecast(answers)["share"][0] == 0.75
    often = pd.concat([answers.assign(draw=d) for d in range(4)])
    pd.testing.assert_frame_equal(forecast(often)[["share", "low", "high"]], forecast(answers)[["share", "low", "high"]])
    assert forecast(often)["n"][0] == 8


def test_probabilities_count_as_fractions():
    answers = ballots("DR", mode="probability", probabilities=[[0.8, 0.2], [0.3, 0.3]])
    assert forecast(answers)["share"][0] == pytest.approx(0.65)
    three = answers.assign(probabilities=[[0.5, 0.1, 0.4], [0.2, 0.0, 0.8]])
    with pytest.raises(ValueError, match="give survey="):
        forecast(three)
    democrat, republican = LABELS["president_2020"]
    survey = Survey([Item("president_2020", "?", (democrat, "Somebody Else", republican))])
    assert forecast(three, survey=survey)["share"][0] == pytest.approx(0.7 / 1.9)


def test_people_are_joined_and_checked():
    answers = ballots("DR")
    personas = pd.DataFrame({"persona_id": ["CA-000", "CA-001"], "state": "CA", "weight": [3.0, 1.0], "tier": "meta"})
    bare = answers.drop(columns=["state", "weight"])
    assert forecast(bare, personas)["share"][0] == 0.75
    assert forecast(answers.assign(state=[None, "CA"]), personas)["share"][0] == 0.5
    for people, message in ((None, "state and weight missing"), (pd.concat([personas, personas]), "stands twice"),
                            (personas.assign(persona_id=["a", "b"]), "no persona 'CA-000'"),
                            (personas.drop(columns="state"), "missing column state")):
        with pytest.raises(TableError, match=message):
            forecast(bare, people)


@pytest.mark.parametrize(("change", "message"), [
    (lambda a: pd.concat([a, a]), "twice in one run"), (lambda a: a.assign(state="California"), "unknown state 'California'"),
    (lambda a: a.assign(weight=-1.0), "weight must be"), (lambda a: a.assign(item_id="climate_1"), "no election item"),
    (lambda a: a.assign(item_id="president_2012"), "2012"), (lambda a: a.drop(columns="status"), "missing column status"),
    (lambda a: a.assign(persona_id="p", draw=[0, 1], state=["CA", "NY"]), "more than one state"),
])
@pytest.mark.parametrize("function", [forecast, evaluate])
def test_bad_answers(function, change, message):
    with pytest.raises(ValueError, match=message):
        function(change(ballots("DR")))


@pytest.mark.parametrize(("keywords", "message"), [
    ({"ci": 95}, "ci must be"), ({"n_boot": 1}, "n_boot"), ({"year": 2016}, "no item 'president_2016'"), ({"year": 2018}, "2018"),
    ({"interval": "exact"}, "unknown interval"),
])
def test_bad_arguments(keywords, message):
    with pytest.raises(ValueError, match=message):
        forecast(ballots("DR"), **keywords)


def test_order_of_rows_does_not_matter():
    answers = pd.concat([respondents(3, 2020, 0, 1, tier=t, states=["CA", "NY", "TX", "WY"]) for t in ("descriptive", "meta")])
    mixed = answers.sample(frac=1, random_state=1)
    for function in (forecast, evaluate, drift, position_bias):
        pd.testing.assert_frame_equal(function(answers, n_boot=50), function(mixed, n_boot=50))
    assert forecast(answers, n_boot=50)["tier"].drop_duplicates().tolist() == ["meta", "descriptive"]


def test_a_state_alone_has_the_same_interval():
    answers = respondents(5, states=["CA", "TX", "WY"])
    alone = forecast(answers[answers["state"] == "TX"])
    whole = forecast(answers).query("state == 'TX'").reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, whole)


def test_equal_answers_and_single_personas_keep_an_interval():
    for votes in ("D", "R", "DD", "DDDDDDDDDD"):
        row = forecast(ballots(votes)).iloc[0]
        assert row["high"] - row["low"] > 0.1 and row["low"] <= row["share"] <= row["high"]
    from scipy.stats import beta
    row = forecast(ballots("DDDRRRRRRR"), n_boot=20000).iloc[0]
    assert [row["low"], row["high"]] == pytest.approx(beta(3.5, 7.5).ppf([0.025, 0.975]), abs=0.01)
    summary = evaluate(respondents(1, 2020)).iloc[0]
    assert summary["bias_high"] - summary["bias_low"] > 5


def test_state_intervals_cover():
    answers = respondents(10, copies=40, seed=1)
    frame = forecast(answers, n_boot=400)
    assert 0.92 < ((frame["low"] <= frame["real"]) & (frame["real"] <= frame["high"])).mean() < 0.97


def test_perfect_respondents_have_the_error_of_noise():
    summary = evaluate(respondents(10, copies=60, seed=2), n_boot=400).query("kind == 'personas'")
    assert summary["mae"].mean() == pytest.approx(summary["mae_noise"].mean(), abs=0.25)
    inside = (summary["mae"] >= summary["mae_noise_low"]) & (summary["mae"] <= summary["mae_noise_high"])
    assert inside.mean() > 0.85
    assert ((summary["bias_low"] <= 0) & (summary["bias_high"] >= 0)).mean() > 0.85
    mean = summary["mae"].mean()
    assert ((summary["mae_low"] <= mean) & (summary["mae_high"] >= mean)).mean() > 0.85


def test_a_planted_bias_is_found():
    summary = evaluate(respondents(40, 2024, lean=7, seed=3)).iloc[0]
    assert summary["bias_low"] < 6.9 < summary["bias_high"] and summary["bias_low"] > 0


def test_summary_by_hand():
    answers = pd.concat([ballots("DDDR", "CA"), ballots("DR", "TX"), ballots("RRRR", "WY"), ballots("x", "NY")])
    row = evaluate(answers, n_boot=100).iloc[0]
    real = results(2020).set_index("state").loc[["CA", "TX", "WY"]]
    share = np.array([0.75, 0.5, 0.0])
    error = 100 * (share - real["share"])
    assert row["bias"] == pytest.approx(error.mean()) and row["mae"] == pytest.approx(error.abs().mean())
    assert row["rmse"] == pytest.approx((error**2).mean() ** 0.5) and row["alignment"] == pytest.approx(1 - error.abs().mean() / 100)
    assert row["correlation"] == pytest.approx(np.corrcoef(share, real["share"])[0, 1])
    assert row["states_called"] == 2.5 and row["electoral_votes"] == 55 + 19 and row["real_electoral_votes"] == 55
    assert row["popular_vote"] == pytest.approx(np.average(share, weights=real["votes"])) and row["n_states"] == 3 and row["n"] == 11
    assert row["valid_rate"] == pytest.approx(10 / 11) and row["refusal_rate"] == pytest.approx(1 / 11) and row["invalid_rate"] == 0
    assert row["real_popular_vote"] == pytest.approx(real["democratic"].sum() / real["votes"].sum()) and row["electors"] == 96
    assert row["first_option_share"] == pytest.approx(0.4)
    for name in MEASURES:
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


def test_what_became_of_the_replies():
    answers = ballots("DR?xDDRR").assign(request_key="k")
    answers["status"] = answers["status"].tolist()[:4] + ["truncated", "error", "filtered", "invalid"]
    answers.loc[4:, "option"] = None
    answers.loc[[3, 7], "request_key"] = None  # never asked: a persona that was refused, and one that was not usable
    row = evaluate(answers, n_boot=50).iloc[0]
    assert [row[f"{k}_rate"] for k in ("valid", "refusal", "invalid", "missing")] == [2 / 8, 0, 2 / 8, 4 / 8]
    state = forecast(answers, n_boot=50).iloc[0]
    assert state[["n", "n_valid", "n_refusal", "n_invalid", "n_missing"]].tolist() == [8, 2, 0, 2, 4]


def test_baselines_stand_in_the_summary():
    summary = evaluate(pd.concat([respondents(2, y) for y in YEARS]), n_boot=50)
    base = summary[summary["kind"] == "baseline"].set_index(["tier", "year"])
    assert len(base) == 6 and base["mae_low"].isna().all()
    for year in YEARS:
        frame = baselines(year).set_index("baseline")
        for name in ("50/50", "previous election"):
            assert base.loc[(name, year), "mae"] == pytest.approx(frame.loc[name, "error"].abs().mean())
    assert (base.xs("50/50")["states_called"] == 25.5).all() and (base.xs("50/50")["electoral_votes"] == 269).all()
    assert base.loc[("previous election", 2020), "mae"] < 2.5
    few = evaluate(ballots("DR", "WY"), n_boot=50).query("kind == 'baseline'")
    assert few["n_states"].eq(1).all() and few["electors"].eq(3).all()


def test_nobody_valid():
    summary = evaluate(ballots("xx?"), n_boot=50).iloc[0]
    assert summary[list(MEASURES)].isna().all() and summary["n_states"] == 0 and summary["refusal_rate"] == pytest.approx(2 / 3)
    assert pd.isna(summary["mae_noise"]) and pd.isna(summary["first_option_share"])


def test_drift_is_paired_weighted_and_counts_pairs():
    answers = pd.concat([ballots("DRRRx"), ballots("DDRxD", tier="descriptive", generator="g")]).assign(weight=[1, 5, 1, 1, 1] * 2)
    row = drift(answers).iloc[0]
    assert len(drift(answers)) == 1 and row["n_pairs"] == 3 and row["difference"] == pytest.approx(100 * 5 / 7)
    assert row["low"] <= row["difference"] <= row["high"] and row["reference"] == "meta" and row["generator"] == "g"
    with pytest.raises(ValueError, match="no tier 'objective_tabular'"):
        drift(answers, reference="objective_tabular")
    none = drift(pd.concat([ballots("Dx"), ballots("xD", tier="descriptive")])).iloc[0]
    assert none["n_pairs"] == 0 and pd.isna(none["difference"])


def test_drift_knows_pairs_better_than_independent_samples():
    base = respondents(20, seed=4)
    turn = (base["option"] == LABELS["president_2020"][1]) & (base.groupby("state").cumcount() % 10 == 0)
    same = base.assign(option=base["option"].where(~turn, LABELS["president_2020"][0]), tier="descriptive")
    frame = drift(pd.concat([base, same, respondents(20, lean=5, seed=5, tier="objective_tabular")])).set_index("tier")
    width = frame["high"] - frame["low"]
    assert width["descriptive"] < width["objective_tabular"] / 2 and frame.loc["descriptive", "low"] > 0
    unchanged = drift(pd.concat([base, base.assign(tier="descriptive")])).iloc[0]
    assert unchanged["difference"] == 0 and unchanged["low"] < 0 < unchanged["high"]


def test_drift_intervals_cover():
    one, other = respondents(4, copies=80, seed=6), respondents(4, copies=80, lean=5, seed=7, tier="descriptive")
    frame = drift(pd.concat([one, other]), n_boot=400)
    real = results(2020)["share"]
    truth = 100 * ((real + 0.05).clip(upper=1) - real).mean()
    assert ((frame["low"] <= truth) & (truth <= frame["high"])).mean() > 0.87


def test_position_bias():
    democrat, republican = LABELS["president_2020"]
    answers = ballots("DDRRx", order=[[democrat, republican], [republican, democrat], [republican, democrat], [democrat, republican], None])
    row = position_bias(answers).iloc[0]
    assert row["first_option_share"] == 0.5 and row["expected"] == 0.5 and row["n"] == 4 and row["n_personas"] == 4
    always = position_bias(ballots("D" * 40), by=[]).iloc[0]
    assert always["first_option_share"] == 1 and always["low"] > 0.85 and always["high"] == 1
    three = ballots("D" * 3, order=[[democrat, republican, "Other"]] * 3)
    assert position_bias(three)["expected"][0] == pytest.approx(1 / 3)
    with pytest.raises(TableError, match="missing column order"):
        position_bias(answers.drop(columns="order"))


def test_a_whole_study_is_summarised_quickly():
    tiers = ("meta", "objective_tabular", "subjective_tabular", "descriptive")
    answers = pd.concat([respondents(10, y, seed=8, tier=t) for y in YEARS for t in tiers], ignore_index=True)
    start = time.perf_counter()
    summary = evaluate(answers)
    assert len(summary) == 12 + 6 and time.perf_counter() - start < 15


# Electorates


def test_the_voters_are_counted():
    people = us_adults().sample(per_state=60, states=["OH", "TX", "CA"], seed=2)
    graduate = people["education"] >= "Bachelor's degree"
    votes = pd.concat([ballots(np.where(graduate, "D", "R"), people["state"].tolist(), year, persona_id=people["persona_id"].to_numpy(),
                               weight=people["weight"].to_numpy()) for year in (2016, 2020)], ignore_index=True)
    adults, voters = forecast(votes, people, n_boot=50), forecast(votes, people, n_boot=50, electorate="voters")
    pd.testing.assert_frame_equal(adults, forecast(votes, n_boot=50, electorate="adults"))
    for year in (2016, 2020):
        weight = electorate(people, "voters", year)
        by_hand = (weight * graduate).groupby(people["state"]).sum() / weight.groupby(people["state"]).sum()
        found = voters[voters["year"] == year].set_index("state")["share"]
        assert np.allclose(found, by_hand[found.index])
    assert (voters["share"].to_numpy() > adults["share"].to_numpy()).all()
    assert evaluate(votes, people, n_boot=50, electorate="voters").iloc[0]["bias"] > evaluate(votes, people, n_boot=50).iloc[0]["bias"]


def test_an_electorate_needs_the_people():
    people = us_adults().sample(per_state=2, states=["OH"], seed=2)
    votes = ballots("DR", persona_id=people["persona_id"].to_numpy(), state=["OH"] * 2)
    with pytest.raises(TableError, match="give the personas that were asked"):
        forecast(votes, electorate="voters")
    with pytest.raises(TableError, match="no persona 'OH-2-00001'"):
        evaluate(votes, people.head(1), electorate="voters")
    with pytest.raises(ValueError, match="unknown electorate"):
        drift(votes, people, electorate="elders")
