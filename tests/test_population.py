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
from scipy.optimize import LinearConstraint, minimize
from scipy.stats.contingency import association

from persona_kit.census import ATTRIBUTES, add_attributes
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
    (FRAME, {"a": {"x": 1, "y": 1}, "b": {"u": 2, "v": 1}}, r"margin b to 3 \(\+50\.00%\); scale one of them, or give shares"),
    (FRAME, {"a": {"x": 500, "y": 500}, "b": {"u": 499, "v": 500}}, r"a sums to 1,000, margin b to 999 \(-0\.10%\)"),
    (FRAME, {("a", "b"): {"x": 1, "y": 1}}, "2 attribute"),
    (FRAME, {"a": pd.Series([1, 2, 3], ["x", "x", "y"])}, "'x' has two targets"),
    (FRAME, {"a": {"x": 1, "y": 2}, "b": {"u": 2, "v": 1}}, "not met after .* worst is margin .*contradict"),
    (FRAME, {"a": {"x": "40%", "y": 0.6}}, "margin a: the target for 'x' is '40%', which is no number"),
    (FRAME, {"a": [0.4, 0.6]}, "margin a: targets must be a mapping or Series of category to share .*, got list"),
    (FRAME, {"a": 48.0}, "margin a: targets must be .*, got float"),
    (FRAME, {("a", "b"): {("x", "u"): 1, ("y", "v"): 2}, "a": {"x": 2, "y": 1}}, "a × b sums to 1 for 'x', margin a says 2"),
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


def records(seed, n=500):
    "People with three attributes and starting weights, and the margins of others like them."
    rng = np.random.default_rng(seed)
    frame, truth = (pd.DataFrame({"sex": rng.choice(["f", "m"], n, p=[share, 1 - share]), "age": rng.choice(["18", "35", "50", "65"], n),
                                  "area": rng.choice(list("nesw"), n, p=[0.1, 0.2, 0.3, 0.4]), "weight": rng.uniform(0.5, 3, n)})
                    for share in (0.4, 0.55))
    size = 10_000 / truth["weight"].sum()
    return frame, {by: truth.groupby(by)["weight"].sum() * size for by in ("sex", "age", "area")}


def test_raking_equals_svy():
    pl = pytest.importorskip("polars", reason="polars is not installed (it comes with svy, the second opinion on raking)")
    svy = pytest.importorskip("svy", reason="svy is not installed (pip install svy==0.35.0, the second opinion on raking)")
    frame, margins = records(5)
    sample = svy.Sample(pl.DataFrame({c: frame[c].tolist() for c in frame}), svy.Design(wgt="weight"))
    there = sample.weighting.rake(controls={by: target.to_dict() for by, target in margins.items()}, tol=1e-13, max_iter=10_000)
    here = rake(frame, margins, tol=1e-15)
    assert np.allclose(here, there.data["rk_wgt"].to_numpy(), rtol=1e-9, atol=0)
    assert not np.allclose(here / frame["weight"], here.sum() / frame["weight"].sum(), rtol=0.05)    # the weights had to move


# --- Raking within bounds --------------------------------------------------------------------------------------------

@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), slack=st.sampled_from([0.02, 0.2, 1.0]))
def test_weights_stay_within_their_bounds(seed, slack):
    frame, margins = records(seed)
    free = rake(frame, margins, tol=1e-12)
    ratio = free / (frame["weight"] * free.sum() / frame["weight"].sum())
    bounds = (ratio.min() / (1 + slack) * 1.05, ratio.max() * (1 + slack) / 1.05)     # narrow bounds bind, wide ones do not
    fitted = rake(frame, margins, bounds=bounds, tol=1e-12, max_iter=20_000)
    factor = fitted / (frame["weight"] * fitted.sum() / frame["weight"].sum())
    assert factor.min() >= bounds[0] * (1 - 1e-9) and factor.max() <= bounds[1] * (1 + 1e-9)
    assert all(np.allclose(fitted.groupby(frame[by]).sum(), target, rtol=1e-9) for by, target in margins.items())
    assert np.allclose(fitted, free, rtol=1e-8) == (slack > 0.1)


@pytest.mark.parametrize("bounds", [None, (0.6, 1.5), (0.0, 1.4), (0.75, 3.0)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_bounded_raking_equals_an_optimiser(seed, bounds):
    "The weights closest to the start in Kullback-Leibler divergence, under margins and bounds."
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": np.repeat(list("xyz"), 5), "b": np.tile(list("uvuvw"), 3), "weight": rng.uniform(0.5, 2, 15)})
    frame["weight"] /= frame["weight"].sum()
    start = frame["weight"].to_numpy()
    wanted = start * rng.choice([0.8, 1.0, 1.35], 15)       # weights within the bounds, so that the margins can be met
    margins = {by: pd.Series(wanted / wanted.sum()).groupby(frame[by]).sum() for by in "ab"}
    rows = np.array([(frame[by] == label).to_numpy(float) for by in "ab" for label in margins[by].index][:-1])     # the last follows
    targets = np.array([margins[by][label] for by in "ab" for label in margins[by].index][:-1])
    low, high = bounds or (1e-9, 1e9)
    found = minimize(lambda w: float((w * np.log(w / start) - w + start).sum()), wanted / wanted.sum(), method="SLSQP",
                     jac=lambda w: np.log(w / start), bounds=[(max(low, 1e-9) * d, high * d) for d in start],
                     constraints=[{"type": "eq", "fun": lambda w: rows @ w - targets, "jac": lambda w: rows}],
                     options={"ftol": 1e-16, "maxiter": 2000})
    fitted = rake(frame, margins, bounds=bounds, tol=1e-14, max_iter=50_000).to_numpy()
    assert np.abs(rows @ found.x - targets).max() < 1e-9
    assert np.abs(fitted - found.x).max() < 1e-6
    if bounds in ((0.6, 1.5), (0.75, 3.0)):
        assert LinearConstraint(np.eye(15), low * start, high * start).residual(fitted)[0].min() > -1e-12


def test_bounds_bind_where_they_must():
    frame = pd.DataFrame({"a": list("xxyy"), "b": list("uvuv"), "weight": 1.0})
    margins = {"a": {"x": 2.6, "y": 1.4}, "b": {"u": 2.6, "v": 1.4}}
    assert rake(frame, margins)[0] == pytest.approx(1.69) and rake(frame, margins, bounds=(0.1, 3))[0] == pytest.approx(1.69)
    assert rake(frame, margins, bounds=(0.1, 1.5)).tolist() == pytest.approx([1.5, 1.1, 1.1, 0.3])
    assert rake(frame, margins, bounds=(0.4, 2)).tolist() == pytest.approx([1.69, 0.91, 0.91, 0.49])
    ten = {by: {k: 10 * v for k, v in target.items()} for by, target in margins.items()}      # bounds are on weights scaled to the total
    assert rake(frame, ten, bounds=[0.1, 1.5]).tolist() == pytest.approx([15, 11, 11, 3])


@pytest.mark.parametrize(("target", "count"), [({"x": 3.0, "y": 1.0}, 4), ({"x": 0.5, "y": 3.5}, 4)])
def test_bounds_that_the_margins_do_not_allow_are_counted(target, count):
    frame = pd.DataFrame({"a": list("xxyy"), "weight": 1.0})
    with pytest.raises(ValueError, match=rf"not met after 20 passes; .*{count} weights are at the bounds \(0\.6, 1\.4\): widen them"):
        rake(frame, {"a": target}, bounds=(0.6, 1.4), max_iter=20)
    with pytest.raises(ValueError, match=r"more passes needed \(max_iter\)\?$"):      # without bounds, nothing about them
        rake(FRAME, {"a": {"x": 1, "y": 2}, "b": {"u": 2, "v": 1}}, max_iter=20)


def test_rows_of_weight_zero_are_not_at_the_bounds():
    frame = pd.DataFrame({"a": list("xxyyy"), "weight": [1.0, 1, 1, 1, 0]})
    with pytest.raises(ValueError, match=" 4 weights are at the bounds"):
        rake(frame, {"a": {"x": 3, "y": 1}}, bounds=(0.6, 1.4), max_iter=20)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_bounds_far_from_the_margins_give_no_warning():
    with pytest.raises(ValueError, match="widen them"):
        rake(pd.DataFrame({"a": list("xyz"), "weight": 1.0}), {"a": {"x": 98, "y": 1, "z": 1}}, bounds=(0.5, 1.2))


@pytest.mark.parametrize("bounds", [(1, 3), (0.3, 1), (3, 0.3), (-0.1, 2), (1.2, 3), (0.2, 0.8), (float("nan"), 3), (0.3, float("nan"))])
def test_bounds_below_and_above_one(bounds):
    with pytest.raises(ValueError, match=r"a least ratio below 1 and a largest above 1, such as \(0\.3, 3\), not \("):
        rake(FRAME, {"a": {"x": 1, "y": 1}}, bounds=bounds)


@pytest.mark.parametrize("bounds", [0.5, (0.5,), (None, 3)])
def test_bounds_are_a_pair(bounds):
    with pytest.raises(ValueError, match="a least ratio below 1 and a largest above 1"):
        rake(FRAME, {"a": {"x": 1, "y": 1}}, bounds=bounds)


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


# --- Designs ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("by", ["state", "age_group", ["sex", "race_ethnicity"]])
@pytest.mark.parametrize("allocation", ["proportional", "equal"])
@pytest.mark.parametrize("method", ["random", "systematic"])
def test_weights_undo_the_design(adults, by, allocation, method):
    people = adults.sample(n=4000, stratify=by, allocation=allocation, method=method, seed=3)
    keys = [by] if isinstance(by, str) else by
    check(people, "personas")
    assert len(people) == 4000 and people["persona_id"].is_unique and list(people) == ["persona_id", *TRAITS, "weight", "tier", "status"]
    there = adults.margins(*keys).set_index(keys)
    groups = people.groupby(keys, observed=True)["weight"]
    assert np.allclose(groups.sum().reindex(there.index), there["weight"], rtol=1e-9) and (groups.nunique() == 1).all()
    wanted = there["share"] * 4000 if allocation == "proportional" else 4000 / len(there)
    assert ((groups.size().reindex(there.index) - wanted).abs() < 1).all()


def test_an_allocation_of_ones_own(adults):
    mine = {"Female": 30, "Male": 10}
    people = adults.sample(n=40, stratify="sex", allocation=mine, seed=1)
    assert people["sex"].value_counts().to_dict() == mine
    assert np.allclose(people.groupby("sex", observed=True)["weight"].sum(), adults.margins("sex")["weight"])
    part = adults.where(state=["OH", "WY"])
    both = {("OH", "Male"): 3, ("WY", "Male"): 1, ("OH", "Female"): 2, ("WY", "Female"): 5}
    people = part.sample(n=11, stratify=["state", "sex"], allocation=both)
    assert people.groupby(["state", "sex"], observed=True).size().to_dict() == both
    assert people["weight"].sum() == pytest.approx(part.total)


def test_remainders_go_to_the_largest_first():
    frame = pd.DataFrame({"a": list("xyz"), "weight": [5.4, 3.3, 1.3]})
    counts = Population.from_frame(frame).sample(n=10, stratify="a")["a"].value_counts()
    assert counts.to_dict() == {"x": 6, "y": 3, "z": 1}
    with pytest.raises(ValueError, match="n = 3 is too few for 3 strata: z would get nobody"):
        Population.from_frame(frame).sample(n=3, stratify="a")


def test_strata_are_drawn_as_the_population_is(adults):
    people = adults.sample(n=40_000, stratify="race_ethnicity", allocation="equal", seed=5)
    for column in ("sex", "age_group", "education"):
        true = adults.margins(column).set_index(column)["share"]
        weighted = people.groupby(column, observed=True)["weight"].sum() / people["weight"].sum()
        error = (true * (1 - true) * (people["weight"] ** 2).sum()) ** 0.5 / people["weight"].sum()     # Kish
        assert ((weighted - true).abs() < 4 * error).all()
    assert abs((people["education"] >= "Bachelor's degree").mean() - adults.margins("education")["share"].iloc[-2:].sum()) > 0.02


@pytest.mark.parametrize(("arguments", "message"), [
    ({"n": 50, "stratify": "state"}, r"n = 50 is too few for 51 strata: [A-Z]{2} would get nobody \(\d+ such strata\). Take more people"),
    ({"n": 50, "stratify": "state", "allocation": "equal"}, r"n = 50 is too few for 51 strata: \w\w would get nobody \(1 such strata\)"),
    ({"n": 9, "stratify": "sex", "allocation": {"Male": 4, "Other": 5}}, "allocation: stratum Other is empty or unknown; .* Male, Female"),
    ({"n": 9, "stratify": "sex", "allocation": {"Male": 9}}, "allocation: stratum Female is not named; the strata are Male, Female"),
    ({"n": 9, "stratify": "sex", "allocation": {"Male": 4, "Female": 4}}, "the allocation sums to 8, but n is 9"),
    ({"n": 9, "stratify": "sex", "allocation": {"Male": 9, "Female": 0}}, "allocation of Female must be a whole number ≥ 1, not 0"),
    ({"n": 9, "stratify": "sex", "allocation": {"Male": 4.5, "Female": 4.5}}, "allocation of Male must be a whole number ≥ 1, not 4.5"),
    ({"n": 9, "stratify": ["sex", "age_group"], "allocation": {("Male", "15"): 9}}, "stratum Male × 15 is empty or unknown"),
    ({"n": 9, "stratify": "sex", "allocation": "optimal"}, "unknown allocation 'optimal'; 'proportional', 'equal', or a mapping"),
    ({"n": 9, "stratify": "income"}, "unknown attribute 'income' in stratify; this population has state, sex"),
    ({"n": 9, "stratify": ["sex", "weight"]}, "unknown attribute 'weight' in stratify"),
    ({"per_state": 9, "stratify": "sex"}, "a stratified sample takes n; for as many from each state give stratify='state'"),
    ({"stratify": "sex"}, "give n .* not neither"), ({"n": 9, "per_state": 9, "method": "systematic"}, "not both"),
    ({"n": 9, "method": "snowball"}, "unknown method 'snowball'; one of random, systematic"),
    ({"n": 0, "method": "systematic"}, "n must be a whole number ≥ 1"), ({"per_state": 0, "method": "systematic"}, "per_state must be"),
    ({"n": 9, "method": "systematic", "states": ["PR"]}, "unknown state 'PR'"),
    ({"n": 9, "stratify": []}, "stratify names no attribute"),
    ({"n": 9, "attributes": "religion"}, "unknown attribute 'religion'"), ({"n": 9, "attributes": []}, "no attribute named"),
])
def test_designs_refuse(adults, arguments, message):
    with pytest.raises(ValueError, match=message):
        adults.sample(**arguments)


@pytest.mark.parametrize("allocation", ["optimal", {"Male": 4, "Female": 5}])
def test_an_allocation_needs_strata(adults, allocation):
    with pytest.raises(ValueError, match="allocation"):
        adults.sample(n=9, allocation=allocation)


def test_missing_values_are_a_stratum():
    jobs = Population.from_frame(pd.DataFrame({"job": ["sales", "legal", None], "weight": [1.0, 1.0, 2.0]}))
    people = jobs.sample(n=8, stratify="job")
    assert people["weight"].sum() == pytest.approx(jobs.total) == jobs.margins("job")["weight"].sum()
    assert people["job"].isna().sum() == 4


def test_a_systematic_sample_has_the_floor_or_the_ceiling_of_every_cell(adults):
    "Cells follow each other in the sorted list, and every k-th person is taken: neither a cell nor a run of cells can be off by 1."
    frame = adults.where(state="OH").frame.drop(columns="state")
    ohio = Population(frame.sample(frac=1, random_state=1).reset_index(drop=True), "Ohio")       # in any order
    for seed in range(5):
        people = ohio.sample(n=500, method="systematic", seed=seed)
        for by in (["sex"], ["sex", "age_group"], ["sex", "age_group", "race_ethnicity", "education"]):
            wanted = ohio.margins(*by).set_index(by)["share"] * 500
            assert ((people.groupby(by, observed=True).size().reindex(wanted.index, fill_value=0) - wanted).abs() < 1 + 1e-9).all()


def test_systematic_samples_vary_less_and_are_unbiased(adults):
    part = adults.where(state=["OH", "WY", "CA"])
    shares = {}
    for method in ("random", "systematic"):
        draws = [part.sample(n=250, method=method, seed=seed) for seed in range(60)]
        shares[method] = pd.DataFrame([{"CA": (d["state"] == "CA").mean(), "women": (d["sex"] == "Female").mean(),
                                        "old": (d["age_group"] >= "65-74").mean(), "white": (d["race_ethnicity"] == "White").mean(),
                                        "graduates": (d["education"] >= "Bachelor's degree").mean()} for d in draws])
    cells, weight = part.frame, part.frame["weight"] / part.total
    true = pd.Series({"CA": weight[cells["state"] == "CA"].sum(), "women": weight[cells["sex"] == "Female"].sum(),
                      "old": weight[cells["age_group"] >= "65-74"].sum(), "white": weight[cells["race_ethnicity"] == "White"].sum(),
                      "graduates": weight[cells["education"] >= "Bachelor's degree"].sum()})
    spread = shares["systematic"].std() / shares["random"].std()
    assert (spread[["CA", "women", "old", "white"]] < 0.6).all() and spread["graduates"] < 0.95
    for drawn in shares.values():
        assert ((drawn.mean() - true).abs() < 4 * drawn.std() / 60**0.5 + 1e-3).all()


@pytest.mark.parametrize("arguments", [{"n": 300, "method": "systematic"}, {"per_state": 4, "method": "systematic"},
                                       {"n": 900, "stratify": "state"}, {"n": 300, "stratify": ["sex", "education"], "allocation": "equal"},
                                       {"n": 300, "stratify": "sex", "method": "systematic"}])
def test_designs_repeat_and_have_ids_of_their_own(adults, arguments):
    people = adults.sample(**arguments, seed=7)
    assert people.equals(us_adults().sample(**arguments, seed=7)) and people["persona_id"].is_unique
    other = adults.sample(**arguments, seed=8)
    assert not people[TRAITS].equals(other[TRAITS]) and not set(people["persona_id"]) & set(other["persona_id"])
    kind = ("s" if "stratify" in arguments or "per_state" in arguments else "") + ("y" if "method" in arguments else "")
    assert people["persona_id"].str.fullmatch(rf"[A-Z]{{2}}-7{kind}([0-9a-f]{{6}})?-\d{{5}}").all()
    assert (people["persona_id"].str[:2] == people["state"].astype(str)).all()
    plain = adults.sample(per_state=300, seed=7)
    assert not set(people["persona_id"]) & set(plain["persona_id"])


def test_systematic_samples_of_each_state(adults):
    people = adults.sample(per_state=6, states=["TX", "AK"], method="systematic", seed=2)
    assert people["state"].astype(str).tolist() == ["AK"] * 6 + ["TX"] * 6
    there = adults.margins("state").set_index("state")["weight"]
    assert people.groupby("state", observed=True)["weight"].sum().to_dict() == pytest.approx({s: there[s] for s in ("AK", "TX")})
    assert people.loc[people["state"] == "AK", "sex"].value_counts().to_dict() == {"Male": 3, "Female": 3}


@pytest.mark.parametrize("design", [{}, {"stratify": "sex"}, {"method": "systematic"}])
def test_attributes_pass_through(adults, design):
    plain, more = adults.sample(n=60, seed=4, **design), adults.sample(n=60, seed=4, attributes=["veteran", "race"], **design)
    assert list(more) == [*plain, "veteran", "race"] and more[[*plain]].equals(plain)
    assert more.equals(add_attributes(plain, ["veteran", "race"], seed=4))
    assert set(ATTRIBUTES) <= set(adults.sample(n=3, seed=4, attributes="all", **design))


@pytest.mark.parametrize("design", [{}, {"stratify": "state"}, {"method": "systematic"}])
def test_graduates_are_at_least_22(adults, design):
    people = adults.where(age_group=["20-24", "25-29"]).sample(n=60_000, seed=4, **design)
    graduates = people["education"] == "Graduate or professional degree"
    young = people[people["age_group"] == "20-24"]
    ages = young.loc[graduates, "age"].value_counts(normalize=True)
    assert set(ages.index) == {22, 23, 24} and ages.max() < 0.45
    assert young.loc[~graduates, "age"].value_counts(normalize=True).between(0.18, 0.22).all() and young["age"].min() == 20
    assert people.loc[graduates & (people["age_group"] == "25-29"), "age"].min() == 25


# --- Parts and other weights -----------------------------------------------------------------------------------------

def test_where_keeps_a_part(adults):
    part = adults.where(state=["OH", "MI"], sex="Female")
    cells = adults.frame[adults.frame["state"].isin(["OH", "MI"]) & (adults.frame["sex"] == "Female")]
    assert part.frame.equals(cells.reset_index(drop=True)) and part.name == adults.name and part.attributes == adults.attributes
    assert adults.where(state={"OH", "MI"}).where(sex=pd.Series(["Female"])).frame.equals(part.frame)
    assert adults.where().frame.equals(adults.frame) and len(adults.frame) == 52_500
    assert set(part.sample(n=50)["state"]) == {"OH", "MI"} and set(part.sample(per_state=2)["sex"]) == {"Female"}
    numbers = Population.from_frame(pd.DataFrame({"k": [1, 2, 3, 2], "weight": [1.0, 2.0, 4.0, 8.0]}))
    assert numbers.where(k=2).total == 10 and numbers.where(k=range(1, 3)).total == 11 and numbers.where(k=np.array([3])).total == 4


@pytest.mark.parametrize(("values", "message"), [
    ({"income": "high"}, "unknown attribute 'income'; this population has state, sex, age_group"),
    ({"weight": 1}, "unknown attribute 'weight'"),
    ({"sex": "Man"}, "nobody has sex 'Man'; there is Male, Female$"),
    ({"sex": ["Male", "Man"]}, "nobody has sex 'Man'"),
    ({"state": "PR"}, "nobody has state 'PR'; there is AK, AL.* …$"),
    ({"age_group": "18-19", "education": "Bachelor's degree"}, "nobody is age_group '18-19' and education \"Bachelor's degree\""),
    ({"sex": []}, r"nobody is sex \[\]"),
])
def test_where_refuses(adults, values, message):
    with pytest.raises(ValueError, match=message):
        adults.where(**values)


def test_people_of_weight_zero_are_nobody():
    frame = pd.DataFrame({"party": ["L", "R"], "weight": [1.0, 0.0]})
    with pytest.raises(ValueError, match="nobody is party 'R'"):
        Population.from_frame(frame).where(party="R")


def test_reweight_rakes(adults):
    part = adults.where(state="OH")
    before = part.frame.copy()
    margins = {"sex": {"Male": 40.0, "Female": 60.0}, "education": adults.margins("education").set_index("education")["share"] * 100}
    fitted = part.reweight(margins)
    assert fitted.frame["weight"].equals(rake(part.frame, margins)) and part.frame.equals(before) and fitted.name == part.name
    assert fitted.total == pytest.approx(100) and fitted.margins("sex").set_index("sex")["share"]["Female"] == pytest.approx(0.6)
    assert fitted.frame.drop(columns="weight").equals(before.drop(columns="weight"))
    bounded = part.reweight(margins, bounds=(0.75, 1.9))
    factor = bounded.frame["weight"] / (before["weight"] * 100 / part.total)
    assert factor.between(0.75 - 1e-9, 1.9 + 1e-9).all() and not np.allclose(bounded.frame["weight"], fitted.frame["weight"], rtol=1e-3)
    with pytest.raises(ValueError, match=r"at the bounds \(0\.99, 1\.01\)"):
        part.reweight(margins, bounds=(0.99, 1.01))


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


def test_the_registered_are_the_voters_and_some_of_the_others(adults):
    cells = adults.frame
    for year, published in ((2016, 0.703), (2020, 0.727)):  # CPS, table 1: self-reports, those who did not answer counted as not registered
        citizens, registered, voters = (electorate(cells, kind, year) for kind in ("citizens", "registered", "voters"))
        assert (registered >= voters - 1e-6).all() and (registered <= citizens + 1e-6).all()
        assert registered.sum() / citizens.sum() == pytest.approx(published, abs=0.06)
    with pytest.raises(ValueError, match="registered need a year"):
        electorate(cells, "registered")


def test_a_drawn_citizenship_counts(adults):
    people = adults.sample(per_state=400, attributes="citizenship", seed=3)
    foreign = people["citizenship"].eq("not a citizen")
    citizens = electorate(people, "citizens")
    assert (citizens[foreign] == 0).all() and (citizens[~foreign] == people["weight"][~foreign]).all()
    assert (electorate(people, "voters", 2020)[foreign] == 0).all()
    assert citizens.sum() == pytest.approx(electorate(people.drop(columns="citizenship"), "citizens").sum(), rel=0.01)
    written = people.assign(citizenship="naturalized citizen, probably")  # a model's words are no census category
    assert electorate(written, "citizens").equals(electorate(people.drop(columns="citizenship"), "citizens"))


def test_diagnostics_count_the_impossible(adults):
    people = adults.sample(n=500, attributes="all", seed=1)
    of = Population.from_frame(people.drop(columns=["persona_id", "tier", "status"]))
    told = diagnostics(people, of).set_index("measure")["people"]
    assert told["impossible"] == 0 and diagnostics(people, of)["difference"].fillna(0).abs().max() < 1e-12
    assert diagnostics(people.assign(veteran="yes"), of).set_index("measure")["people"]["impossible"] > 0


@pytest.mark.parametrize(
    "change, arguments, words",
    [
        (lambda p: p, ("electors",), "unknown electorate 'electors'; one of adults, citizens, registered, voters"),
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
