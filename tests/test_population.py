"The population: raking against a plain implementation, the shipped table against published counts, samples that nest."

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats.contingency import association

from persona_kit.population import Population, cramers_v, diagnostics, electorate, rake, us_adults
from persona_kit.tables import STATES, TableError, check, data_path

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("PERSONA_KIT_SHARED", ROOT.parent / "shared")) / "data"
TRAITS = ["state", "sex", "age_group", "age", "race_ethnicity", "education"]
RACES = ["White", "Black", "American Indian or Alaska Native", "Asian", "Native Hawaiian or Pacific Islander", "Some other race",
         "Two or more races", "Hispanic"]


@pytest.fixture(scope="module")
def adults():
    return us_adults()


# --- Raking ----------------------------------------------------------------------------------------------------------

def plain_rake(rows, margins, passes=3000):
    "Dictionaries and loops only: rows are (labels, weight); margins are (positions, {labels: target})."
    weights = [w for _, w in rows]
    for _ in range(passes):
        for positions, targets in margins:
            sums = dict.fromkeys(targets, 0.0)
            for (labels, _), w in zip(rows, weights, strict=True):
                sums[tuple(labels[p] for p in positions)] += w
            for i, (labels, _) in enumerate(rows):
                key = tuple(labels[p] for p in positions)
                weights[i] *= targets[key] / sums[key] if sums[key] else 0.0
    return weights


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_raking_equals_a_plain_implementation(seed):
    rng = np.random.default_rng(seed)
    shape = (2, 3, 4)
    truth, start = rng.uniform(0.5, 3, shape), rng.uniform(0.5, 3, shape)
    cells = pd.MultiIndex.from_product([range(k) for k in shape], names=list("abc"))
    frame = cells.to_frame(index=False).assign(weight=start.ravel())
    truth = pd.Series(truth.ravel(), cells)
    margins = {"a": truth.groupby("a").sum(), ("c", "b"): truth.groupby(["b", "c"]).sum(), ("a", "c"): truth.groupby(["a", "c"]).sum()}
    plain = [((0,), {(k,): v for k, v in margins["a"].items()}), ((1, 2), dict(margins["c", "b"].items())),
             ((0, 2), dict(margins["a", "c"].items()))]
    expected = plain_rake([(tuple(k), w) for k, w in zip(cells, start.ravel(), strict=True)], plain, 300)
    order = rng.permutation(len(frame))
    fitted = rake(frame.iloc[order], margins, tol=1e-14)
    assert list(fitted.index) == list(order)
    assert np.allclose(fitted.sort_index(), expected, rtol=0, atol=1e-9)


def test_raking_keeps_odds_ratios_zeros_and_records():
    frame = pd.DataFrame({"a": [0, 0, 1, 1, 1], "b": [0, 1, 0, 1, 1], "weight": [3.0, 1.0, 2.0, 0.0, 5.0]})
    fitted = rake(frame, {"a": {0: 10, 1: 30}, "b": {0: 25, 1: 15}})
    assert fitted[3] == 0
    assert np.isclose(fitted[0] * fitted[4] / (fitted[1] * fitted[2]), 3 * 5 / (1 * 2))
    assert np.allclose(fitted.groupby(frame["a"]).sum(), [10, 30])
    assert (rake(frame, {"a": {0: 1, 1: 0}}) == [0.75, 0.25, 0, 0, 0]).all()   # a target of zero empties its rows
    again = rake(frame.assign(w=frame["weight"] * 7), {"a": {0: 10, 1: 30}, "b": {0: 25, 1: 15}}, weight="w")
    assert np.allclose(again, fitted) and again.name == "w"


FRAME = pd.DataFrame({"a": ["x", "y"], "b": ["u", "v"], "weight": [1.0, 1.0]})


@pytest.mark.parametrize(("frame", "margins", "message"), [
    (FRAME, {}, "no margin"),
    (FRAME, {"c": {"x": 1}}, "no column c"),
    (FRAME, {"a": {"x": 1}}, "'y', for which there is no target"),
    (FRAME, {"a": {"x": 1, "y": 1, "z": 1}}, "'z'.*no row of it has a positive weight"),
    (FRAME, {"a": {"x": 1, "y": -1}}, "'y' is -1"),
    (FRAME, {"a": {"x": 1, "y": np.nan}}, "'y' is nan"),
    (FRAME, {"a": {"x": 0, "y": 0}}, "sum is 0"),
    (FRAME, {"a": {"x": 1, "y": 1}, "b": {"u": 2, "v": 1}}, "totals differ: margin a sums to 2, margin b to 3"),
    (FRAME, {("a", "b"): {"x": 1, "y": 1}}, "2 attribute"),
    (FRAME, {"a": pd.Series([1, 2, 3], ["x", "x", "y"])}, "'x' has two targets"),
    (FRAME, {"a": {"x": 1, "y": 2}, "b": {"u": 2, "v": 1}}, "not met after .* worst is margin .*contradict"),
    (FRAME.assign(weight=[1, -1]), {"a": {"x": 1, "y": 1}}, "row 1 has -1"),
    (FRAME.assign(weight=[1, None]), {"a": {"x": 1, "y": 1}}, "weight must be a number"),
    (FRAME.assign(weight=0.0), {"a": {"x": 1, "y": 1}}, "sum to 0"),
    (FRAME.drop(columns="weight"), {"a": {"x": 1, "y": 1}}, "no column 'weight'"),
    (FRAME.iloc[:0], {"a": {"x": 1, "y": 1}}, "no rows"),
    (FRAME.assign(a=["x", None]), {"a": {"x": 1, "y": 1}}, "nan|None"),
])
def test_raking_refuses(frame, margins, message):
    with pytest.raises(ValueError, match=message):
        rake(frame, margins, max_iter=50)


# --- The shipped table -----------------------------------------------------------------------------------------------

def test_everyone_is_counted_once(adults):
    assert adults.total == pytest.approx(253_815_197, abs=0.01)
    assert list(adults.frame["race_ethnicity"].cat.categories) == RACES
    assert not adults.frame.duplicated(adults.attributes).any()
    assert set(adults.frame["state"]) == set(STATES)
    assert adults.frame["age_group"].cat.ordered and adults.frame["education"].cat.ordered
    assert (adults.frame["weight"] > 0).all() and data_path("population/us_adults_2018.parquet").stat().st_size < 1.5e6


def test_nobody_of_eighteen_has_a_degree(adults):
    young = adults.frame[adults.frame["age_group"] == "18-19"]
    assert not (young["education"] >= "Bachelor's degree").any()
    table = pd.read_parquet(data_path("population/acs_2018_published.parquet"))
    table = table[(table["table"] == "B15001") & (table["state"] == "US") & (table["age_group"] == "18-24")]
    here = adults.frame[adults.frame["age_group"].isin(["18-19", "20-24"])].groupby(["sex", "education"], observed=True)["weight"].sum()
    there = table.set_index(["sex", "education"])["persons"]
    assert np.allclose(here.reindex(there.index), there, rtol=1e-4)


@pytest.mark.parametrize(("table", "column", "labels", "group"), [
    ("B01001", "age_group", None, None), ("B01001H", "age_group", None, "White"), ("B01001I", "age_group", None, "Hispanic"),
    ("B15001", "education", None, None), ("C15002H", "four", None, "White"), ("C15002I", "four", None, "Hispanic"),
])
def test_published_counts_come_back_in_every_state(adults, table, column, labels, group):
    there = pd.read_parquet(data_path("population/acs_2018_published.parquet")).query("table == @table")
    here = adults.frame.astype(dict.fromkeys(adults.attributes, str))
    here = here[here["race_ethnicity"] == group] if group else here
    if column == "four":
        order = ["less than high school"] * 2 + ["high school"] + ["some college or associate"] * 2 + ["bachelor or more"] * 2
        levels = dict(zip(adults.frame["education"].cat.categories, order, strict=True))
        here = here[~here["age_group"].isin(["18-19", "20-24"])].assign(four=here["education"].map(levels))
        there = there.rename(columns={"education": "four"})
    sums = here.groupby(["state", "sex", column])["weight"].sum()
    sums = pd.concat([sums, pd.concat({"US": sums.groupby(["sex", column]).sum()})])
    known = there.groupby(["state", "sex", column])["persons"].sum()
    state = adults.margins("state").astype({"state": str}).set_index("state")["weight"]
    state["US"] = state.sum()
    points = 100 * (sums.reindex(known.index, fill_value=0) - known).abs() / state.reindex(known.index.get_level_values("state")).to_numpy()
    assert len(known) == 52 * len(known.loc["US"]) and points.max() < 0.1


def test_recorded_deviations_are_within_the_limit():
    fit = pd.read_csv(data_path("population/us_adults_2018_fit.csv"))
    assert set(fit["table"]) == {"B01001", "B15001", "B15002", *(f"{t}{c}" for t in ("B01001", "C15002") for c in "ABCDEFGHI")}
    assert fit[["state_points", "us_points"]].to_numpy().max() < 0.1


def test_only_2018():
    with pytest.raises(ValueError, match="2023.*2018"):
        us_adults(2023)
    mine = us_adults().frame      # a caller's own copy
    mine["weight"] = 0.0
    assert us_adults().total > 2e8


# --- Sampling --------------------------------------------------------------------------------------------------------

def test_samples_are_personas(adults):
    people = adults.sample(per_state=3, seed=2)
    check(people, "personas")
    assert list(people) == ["persona_id", *TRAITS, "weight", "tier", "status"]
    assert len(people) == 153 and people["persona_id"].iloc[0] == "AK-2-00000"
    assert (people["tier"] == "meta").all() and (people["status"] == "ok").all()
    assert people["weight"].sum() == pytest.approx(adults.total)
    assert np.allclose(people.groupby("state", observed=True)["weight"].sum(), adults.margins("state")["weight"])
    low = people["age_group"].astype(str).str.extract(r"(\d+)")[0].astype(int)
    assert (people["age"] >= low).all() and (people["age"] <= low + 9).all() and pd.api.types.is_integer_dtype(people["age"])


def test_the_same_seed_gives_the_same_people(adults):
    assert adults.sample(n=500, seed=7).equals(us_adults().sample(n=500, seed=7))
    assert not adults.sample(n=500, seed=7)[TRAITS].equals(adults.sample(n=500, seed=8)[TRAITS])
    code = "from persona_kit.population import us_adults; s = us_adults().sample(per_state=2, seed=5); print(s.to_csv())"
    runs = [subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
                           env={**os.environ, "PYTHONHASHSEED": h}).stdout for h in "12"]
    assert runs[0] == runs[1] == adults.sample(per_state=2, seed=5).to_csv() + "\n"


def test_samples_nest(adults):
    keys = ["persona_id", *TRAITS]
    large, small = adults.sample(per_state=40, seed=3), adults.sample(per_state=7, seed=3, states=["WY", "CA", "DC"])
    merged = small[keys].astype(str).merge(large[keys].astype(str), on="persona_id", suffixes=("", "_"))
    assert len(merged) == 21 and list(small["state"].unique()) == ["CA", "DC", "WY"]
    assert all((merged[c] == merged[c + "_"]).all() for c in TRAITS)
    first, more = adults.sample(n=100, seed=3), adults.sample(n=1000, seed=3)
    assert first[keys].equals(more[keys].iloc[:100]) and more["persona_id"].is_unique
    merged = more[keys].astype(str).merge(large[keys].astype(str), on="persona_id", suffixes=("", "_"))
    assert len(merged) > 500 and all((merged[c] == merged[c + "_"]).all() for c in TRAITS)
    two = adults.margins("state").set_index("state").loc[["CA", "NY"], "weight"].sum()
    assert adults.sample(n=10, states=["CA", "NY"], seed=1)["weight"].sum() == pytest.approx(two)


@pytest.mark.parametrize("column", ["sex", "age_group", "race_ethnicity", "education"])
def test_frequencies_converge(adults, column):
    people = adults.sample(n=60_000, seed=11)
    expected = adults.margins(column).set_index(column)["share"] * len(people)
    observed = people[column].value_counts().reindex(expected.index, fill_value=0)
    chi2, freedom = float(((observed - expected) ** 2 / expected).sum()), len(expected) - 1
    assert chi2 < freedom + 4 * (2 * freedom) ** 0.5      # four standard deviations; the seed is fixed


def test_joint_frequencies_converge(adults):
    people = adults.sample(per_state=20_000, states=["HI"], seed=1)
    joint = Population(adults.frame[adults.frame["state"] == "HI"]).margins("race_ethnicity", "education")
    expected = joint.set_index(["race_ethnicity", "education"])["share"] * len(people)
    observed = people.groupby(["race_ethnicity", "education"], observed=False).size().reindex(expected.index)
    large = expected > 5
    chi2, freedom = float(((observed - expected)[large] ** 2 / expected[large]).sum()), int(large.sum()) - 1
    assert chi2 < freedom + 4 * (2 * freedom) ** 0.5
    ages = people.loc[people["age_group"] == "35-44", "age"].value_counts(normalize=True)
    assert len(ages) == 10 and ages.max() < 0.13


def test_a_hundred_thousand_people_are_quick(adults):
    start = time.perf_counter()
    assert len(adults.sample(n=100_000, seed=1)) == 100_000
    assert time.perf_counter() - start < 5      # a fraction of a second on an idle machine


@pytest.mark.parametrize(("arguments", "message"), [
    ({}, "neither"), ({"n": 5, "per_state": 5}, "both"), ({"n": 0, "per_state": 5}, "both"),
    ({"n": 0}, "n must be a whole number ≥ 1, not 0"), ({"n": -3}, "not -3"), ({"n": 2.5}, "not 2.5"),
    ({"n": True}, "not True"), ({"per_state": 0}, "per_state must be"),
    ({"per_state": "9"}, "not '9'"), ({"n": 5, "states": ["PR"]}, "unknown state 'PR'"), ({"n": 5, "states": []}, "no state"),
    ({"n": 5, "states": ["CA", "CA"]}, "twice"), ({"n": 5, "states": ["California"]}, "postal codes"),
])
def test_samples_refuse(adults, arguments, message):
    with pytest.raises(ValueError, match=message):
        adults.sample(**arguments)


# --- Other populations -----------------------------------------------------------------------------------------------

def test_margins(adults):
    table = adults.margins("sex", "age_group")
    assert list(table) == ["sex", "age_group", "weight", "share"] and len(table) == 20 and table["share"].sum() == pytest.approx(1)
    for by, message in [((), "no attribute"), (("income",), "unknown attribute 'income'.*education"), (("weight",), "unknown")]:
        with pytest.raises(ValueError, match=message):
            adults.margins(*by)
    assert repr(adults) == ("Population('US adults 2018': 253,815,197 persons in 52,500 cells by state, sex, age_group, "
                            "race_ethnicity, education)")


def test_populations_from_frames():
    frame = pd.DataFrame({"party": ["L", "R", "R"], "n": [1, 2, 5]}, index=[4, 4, 9])
    assert Population.from_frame(frame[["party"]]).total == 3
    assert Population.from_frame(frame, weight="n").total == 8
    assert Population.from_frame(frame, weight=frame["n"]).attributes == ["party", "n"]
    people = Population.from_frame(frame, weight="n", name="club").sample(n=4000, seed=1)
    check(people, "personas")
    assert people["persona_id"].iloc[1] == "club-1-00001" and "age" not in people
    assert abs((people["party"] == "R").mean() - 7 / 8) < 0.02
    old = Population.from_frame(pd.DataFrame({"state": ["CA", "NY"], "age": [40, 50], "age_group": ["a", "b"], "weight": [1, 0]}))
    assert (old.sample(per_state=2)["age"] == 40).all() and list(old.sample(n=3)["state"]) == ["CA"] * 3
    for bad, message in [(lambda: old.sample(per_state=2, states=["NY"]), "nobody lives in NY"),
                         (lambda: Population.from_frame(frame).sample(n=1, states=["CA"]), "no column 'state'"),
                         (lambda: Population.from_frame(frame, weight="w"), "no column 'w'"),
                         (lambda: Population.from_frame(frame.assign(n=-1), weight="n"), "must be a number ≥ 0"),
                         (lambda: Population.from_frame(frame.iloc[:0]), "no rows"),
                         (lambda: Population.from_frame(frame[["n"]], weight="n"), "at least one attribute"),
                         (lambda: Population.from_frame(pd.DataFrame({"state": ["XX"]})), "unknown state 'XX'")]:
        with pytest.raises((ValueError, TableError), match=message):
            bad()


def test_per_state_needs_states():
    with pytest.raises(ValueError, match="no column 'state'"):
        Population.from_frame(pd.DataFrame({"party": ["L"]})).sample(per_state=2)


def test_populations_from_margins():
    margins = {"a": {"x": 3.0, "y": 7.0}, ("b", "c"): {("u", 1): 4.0, ("u", 2): 1.0, ("v", 1): 2.0, ("v", 2): 3.0}}
    population = Population.from_margins(margins, name="made")
    assert len(population) == 8 and population.total == pytest.approx(10)
    joint = population.margins("a", "b", "c").set_index(["a", "b", "c"])["share"]
    assert joint["x", "u", 1] == pytest.approx(0.3 * 0.4)
    lent = population.frame.assign(weight=[5.0, 1, 1, 1, 1, 1, 1, 1])
    assert Population.from_margins(margins, lent).margins("a")["share"].tolist() == pytest.approx([0.3, 0.7])
    assert Population.from_margins(margins, lent).margins("a", "b", "c")["share"].iloc[0] > 0.2


# --- The build -------------------------------------------------------------------------------------------------------

@pytest.mark.skipif(not (SHARED / "census").is_dir(), reason=f"no source figures in {SHARED}; set PERSONA_KIT_SHARED")
def test_the_build_repeats(tmp_path, adults):
    (tmp_path / "data").mkdir()
    shutil.copy(ROOT / "data" / "build_population.py", tmp_path / "data")
    subprocess.run([sys.executable, "data/build_population.py", str(SHARED)], cwd=tmp_path, check=True, capture_output=True,
                   env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=300)
    again = pd.read_parquet(tmp_path / "data" / "population" / "us_adults_2018.parquet")
    merged = again.merge(adults.frame, on=adults.attributes, how="outer", suffixes=("", "_shipped"))
    assert (merged["weight"].fillna(0) - merged["weight_shipped"].fillna(0)).abs().max() < 0.01


# Independent draws


def test_independent_education_keeps_the_rest():
    census, independent = us_adults(), us_adults(joint="independent")
    assert independent.attributes == census.attributes and independent.total == pytest.approx(census.total)
    assert independent.frame.dtypes.equals(census.frame.dtypes)
    for by in (["state", "education"], ["state", "sex", "age_group", "race_ethnicity"]):
        kept = independent.margins(*by).set_index(by)["weight"]
        assert np.allclose(kept, census.margins(*by).set_index(by)["weight"].reindex(kept.index))
    table = independent.frame[independent.frame["state"] == "OH"].pivot_table(
        index=["sex", "age_group", "race_ethnicity"], columns="education", values="weight", aggfunc="sum", observed=True)
    shares = table.div(table.sum(axis=1), axis=0)
    assert np.allclose(shares, shares.iloc[0]) and (shares > 0).all(axis=None)
    people = independent.sample(per_state=50, seed=1)
    assert check(people, "personas") is people and us_adults().sample(per_state=1, seed=1).shape[1] == people.shape[1]
    odd = independent.frame[(independent.frame["age_group"] == "18-19") & (independent.frame["education"] == "Bachelor's degree")]
    assert len(odd) > 500 and electorate(odd, "voters", 2020).gt(0).all()  # nobody in the census; they vote as others of their kind
    assert electorate(independent.frame, "citizens").sum() == pytest.approx(233.6e6, rel=0.02)
    with pytest.raises(ValueError, match="unknown joint 'none'"):
        us_adults(joint="none")


# Diagnostics


@given(st.lists(st.lists(st.integers(0, 60), min_size=3, max_size=3), min_size=2, max_size=5))
@settings(max_examples=60, deadline=None)
def test_cramers_v_equals_scipy(counts):
    table = np.array(counts)
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    frame = pd.DataFrame([(i, j, n) for (i, j), n in np.ndenumerate(table)], columns=["a", "b", "weight"])
    if not table.size or min(table.shape) < 2:
        assert frame.empty or np.isnan(cramers_v(frame, "a", "b"))
    else:
        assert cramers_v(frame, "a", "b") == pytest.approx(association(table, method="cramer"), abs=1e-9)


def test_diagnostics_by_hand(adults):
    people = pd.DataFrame({"state": ["OH", "OH", "OH"], "sex": ["Male", "Male", "Female"], "weight": [1.0, 2.0, 1.0]})
    told = diagnostics(people, adults)
    share = told[told["measure"] == "share"].set_index(["attribute", "category"])
    assert share.loc[("sex", "Male"), "people"] == pytest.approx(0.75) and share.loc[("state", "OH"), "population"] == pytest.approx(1)
    ohio = adults.frame[adults.frame["state"] == "OH"]
    assert share.loc[("sex", "Male"), "population"] == pytest.approx(ohio.loc[ohio["sex"] == "Male", "weight"].sum() / ohio["weight"].sum())
    value = told.set_index("measure")["people"]
    assert value["effective sample size"] == pytest.approx(16 / 6) and value["design effect"] == pytest.approx(3 / (16 / 6))
    assert value["distinct per 1,000"] == pytest.approx(2000 / 3) and np.isnan(value["Cramér's V"])
    with pytest.raises(ValueError, match="unknown attribute 'party'; people and population share state, sex"):
        diagnostics(people, adults, attributes=["party"])
    with pytest.raises(ValueError, match="no attribute in common"):
        diagnostics(pd.DataFrame({"weight": [1.0]}), adults)
    with pytest.raises(ValueError, match="no column 'weight'"):
        diagnostics(people.drop(columns="weight"), adults)


def test_diagnostics_find_what_is_wrong(adults):
    people = adults.sample(per_state=300, seed=4)
    told = diagnostics(people, adults)
    assert told.loc[told["measure"].eq("share") & told["attribute"].ne("state"), "difference"].abs().max() < 0.02
    skewed = people.assign(weight=people["weight"] * np.where(people["sex"] == "Male", 3, 1))
    wrong = diagnostics(skewed, adults)
    assert wrong.loc[wrong["category"].eq("Male"), "difference"].item() > 0.2


# Electorates


def test_citizens_and_voters_add_up_to_the_published_numbers():
    cells = us_adults().frame
    citizens = electorate(cells, "citizens")
    assert citizens.sum() == pytest.approx(233_565_298, rel=1e-4)  # B29001_001E, US
    assert electorate(cells, "adults").equals(cells["weight"])
    assert (citizens <= cells["weight"]).all() and citizens.index.equals(cells.index)
    votes = pd.read_csv(data_path("elections/president_by_state.csv")).set_index(["year", "state"])["total"]
    for year in (2016, 2020, 2024):
        voters = electorate(cells, "voters", year)
        counted = voters.groupby(cells["state"], observed=True).sum()
        assert np.allclose(counted, votes[year].reindex(counted.index), rtol=1e-5) and (voters <= citizens).all()


def test_who_votes():
    people = us_adults().sample(n=40_000, seed=3).sample(frac=1, random_state=1)
    voters = electorate(people, "voters", 2020)
    assert voters.index.equals(people.index) and voters.sum() == pytest.approx(158.4e6, rel=0.01)

    def share(what, weight):
        return np.average(what, weights=weight)

    old, hispanic, graduate = people["age"] >= 65, people["race_ethnicity"] == "Hispanic", people["education"] >= "Bachelor's degree"
    assert share(old, voters) > share(old, people["weight"]) + 0.02 and share(hispanic, voters) < share(hispanic, people["weight"]) - 0.04
    assert share(graduate, voters) > share(graduate, people["weight"]) + 0.05


@pytest.mark.parametrize(
    "change, arguments, words",
    [
        (lambda p: p, ("electors",), "unknown electorate 'electors'; one of adults, citizens, voters"),
        (lambda p: p, ("voters",), "voters need a year: one of 2016, 2020, 2024; got None"),
        (lambda p: p, ("voters", 2012), "got 2012"),
        (lambda p: p.drop(columns=["sex", "education"]), ("citizens",), "no column sex, education"),
        (lambda p: p.assign(education="PhD"), ("citizens",), "row 0: nobody in the census is"),
        (lambda p: p.drop(columns="weight"), ("citizens",), "no column 'weight'"),
    ],
)
def test_electorate_refuses(change, arguments, words):
    people = us_adults().sample(per_state=1, states=["OH", "TX"], seed=1)
    with pytest.raises(ValueError, match=re.escape(words)):
        electorate(change(people), *arguments)
    assert electorate(people.head(0), "citizens").empty


@pytest.mark.skipif(not (SHARED / "census").is_dir(), reason=f"no source figures in {SHARED}; set PERSONA_KIT_SHARED")
def test_the_electorates_are_built_again(tmp_path):
    for name in ("build_electorates.py", "build_population.py"):
        (tmp_path / "data").mkdir(exist_ok=True)
        shutil.copy(ROOT / "data" / name, tmp_path / "data")
    for folder in ("population", "elections"):
        shutil.copytree(ROOT / "data" / folder, tmp_path / "data" / folder)
    (tmp_path / "data/population/us_electorates.parquet").unlink()
    subprocess.run([sys.executable, "data/build_electorates.py", str(SHARED)], cwd=tmp_path, check=True, capture_output=True,
                   env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=300)
    made = pd.read_parquet(tmp_path / "data/population/us_electorates.parquet")
    pd.testing.assert_frame_equal(made, pd.read_parquet(data_path("population/us_electorates.parquet")), rtol=1e-4)
