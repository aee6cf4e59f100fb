"""Weights, quotas and post-stratification: against other implementations, on planted truth, and the coverage of their intervals."""

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from persona_kit.calibration import (
    assign_quotas,
    balanced_shares,
    compare_weightings,
    entropy_balance,
    poststratify,
    quotas,
    resample,
    weighting_report,
)
from persona_kit.generation import _Job
from persona_kit.population import Population, rake, us_adults
from persona_kit.tables import TableError


def records(seed, n=400):
    rng = np.random.default_rng(seed)
    frame, truth = (
        pd.DataFrame(
            {
                "sex": rng.choice(["f", "m"], n, p=[share, 1 - share]),
                "age": rng.choice(["18", "35", "50", "65"], n),
                "area": rng.choice(list("nesw"), n, p=[0.1, 0.2, 0.3, 0.4]),
                "years": rng.normal(50, 10, n),
                "weight": rng.uniform(0.5, 3, n),
            }
        )
        for share in (0.4, 0.55)
    )
    return frame, {by: truth.groupby(by)["weight"].sum() / truth["weight"].sum() for by in ("sex", "age", "area")}


def primal(frame, design, targets, bounds=(0.0, 50.0)):
    "The weights closest to the start in Kullback-Leibler divergence, by an optimiser that knows nothing of the dual."
    start = (frame["weight"] / frame["weight"].sum()).to_numpy()
    found = optimize.minimize(
        lambda w: (w * np.log(np.maximum(w, 1e-300) / start) - w).sum(),
        start,
        method="SLSQP",
        jac=lambda w: np.log(np.maximum(w, 1e-300) / start),
        bounds=np.outer(start, bounds),
        constraints={"type": "eq", "fun": lambda w: design.T @ w - targets, "jac": lambda w: design.T},
        options={"maxiter": 1000, "ftol": 1e-15},
    )
    return found.x


# entropy balancing ------------------------------------------------------------------------------------------------------------------


def test_entropy_balancing_equals_svy():
    pl = pytest.importorskip("polars", reason="polars is not installed (it comes with svy, the second opinion)")
    svy = pytest.importorskip("svy", reason="svy is not installed (pip install svy==0.35.0, the second opinion)")
    frame, margins = records(5)
    sample = svy.Sample(pl.DataFrame({c: frame[c].tolist() for c in frame}), svy.Design(wgt="weight"))
    there = sample.weighting.rake(controls={by: target.to_dict() for by, target in margins.items()}, tol=1e-13, max_iter=10_000)
    here = entropy_balance(frame, margins, tol=1e-14)
    assert np.allclose(here, there.data["rk_wgt"].to_numpy(), rtol=1e-9, atol=0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), slack=st.sampled_from([0.1, 0.3, 1.0]))
def test_entropy_balancing_equals_raking(seed, slack):
    frame, margins = records(seed)
    free = rake(frame, margins, tol=1e-13)
    assert np.allclose(entropy_balance(frame, margins, tol=1e-13), free, rtol=1e-9)
    ratio = free / (frame["weight"] / frame["weight"].sum())
    bounds = (ratio.min() / (1 + slack) * 1.12, ratio.max() * (1 + slack) / 1.12)
    try:
        slow = rake(frame, margins, bounds=bounds, tol=1e-13, max_iter=20_000)
    except ValueError:
        with pytest.raises(ValueError, match="at the bounds"):
            entropy_balance(frame, margins, bounds=bounds)
    else:
        assert np.allclose(entropy_balance(frame, margins, bounds=bounds, tol=1e-13), slow, rtol=1e-8)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("bounds", [None, (0.4, 2.5)])
def test_means_and_joints_equal_an_optimiser(seed, bounds):
    frame, margins = records(seed, 60)
    joint = pd.Series({("f", "old"): 0.3, ("f", "young"): 0.25, ("m", "old"): 0.2, ("m", "young"): 0.25})
    frame["band"] = np.where(frame["age"].isin(["50", "65"]), "old", "young")
    here = entropy_balance(frame, {("sex", "band"): joint, "years": 52.0}, bounds=bounds, tol=1e-14)
    dummies = np.column_stack([(frame["sex"].eq(s) & frame["band"].eq(b)).astype(float) for s, b in joint.index] + [frame["years"] / 50])
    there = primal(frame, dummies, np.r_[joint.to_numpy(), 52 / 50], bounds or (0.0, 50.0))
    assert np.average(frame["years"], weights=here) == pytest.approx(52, abs=1e-9) and np.allclose(here, there, atol=2e-6)
    alone = entropy_balance(frame, {"years": 52.0}, bounds=bounds)
    assert alone.sum() == pytest.approx(frame["weight"].sum()) and np.average(frame["years"], weights=alone) == pytest.approx(52, abs=1e-7)


def test_a_large_frame_gives_the_same_as_a_small_one():
    "The Hessian is counted on some rows only; the solution is that of all."
    frame, margins = records(3, 150_000)
    assert np.allclose(entropy_balance(frame, margins, tol=1e-13), rake(frame, margins, tol=1e-13), rtol=1e-9)


def test_targets_of_zero_and_weights_of_zero_stay_zero():
    frame, margins = records(1)
    margins["area"] = pd.Series({"n": 0.0, "e": 0.3, "s": 0.3, "w": 0.4})
    frame.loc[:9, "weight"] = 0
    fitted = entropy_balance(frame, margins)
    assert fitted[frame["area"] == "n"].eq(0).all() and fitted[:10].eq(0).all() and np.allclose(fitted, rake(frame, margins), atol=1e-9)
    with pytest.raises(ValueError, match="begin bounds at 0"):
        entropy_balance(frame, margins, bounds=(0.1, 10))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sex": {"f": 0.5, "m": 0.4}}, "totals differ"),
        ({"sex": {"f": 0.5, "x": 0.5}}, "'m', for which there is no target"),
        ({"sex": {"f": 0.5, "m": 0.3, "x": 0.2}}, "target for 'x' is 0.2, but no row"),
        ({"years": 200.0}, "mean of 'years': 200 is outside of what people have"),
        ({"income": 3.0}, "no such column"),
        ({"area": 3.0}, "which is no number"),
        (
            {("sex", "age"): {(s, a): 0.125 for s in "fm" for a in ("18", "35", "50", "65")}, "sex": {"f": 0.6, "m": 0.4}},
            "contradict each other.*'f'",
        ),
        ({"sex": {"f": "40%", "m": 0.6}}, "margin sex: the target for 'f' is '40%', which is no number"),
        ({"sex": "40%"}, "margin sex: targets must be a mapping or Series .* or one number, a mean; not '40%'"),
        ({"sex": [0.4, 0.6]}, "margin sex: targets must be a mapping or Series of category to share .*, got list"),
        ({}, ""),
    ],
)
def test_what_cannot_be_met_is_named(change, message):
    frame, margins = records(1)
    margins = {k: v for k, v in margins.items() if not change or k == "area"} | change if change else {}
    with pytest.raises(ValueError, match=message or "no margin"):
        entropy_balance(frame, margins)


def test_contradictory_margins_name_the_worst():
    frame = pd.DataFrame({"a": list("xxyy"), "b": list("ppqq"), "weight": 1.0})
    with pytest.raises(ValueError, match="cannot be met together; worst is margin . . .*|cannot be met together; worst is margin"):
        entropy_balance(frame, {"a": {"x": 0.3, "y": 0.7}, "b": {"p": 0.6, "q": 0.4}})
    with pytest.raises(ValueError, match=r"4 of 4 weights are at the bounds \(0.9, 1.1\)"):
        entropy_balance(frame, {"a": {"x": 0.3, "y": 0.7}}, bounds=(0.9, 1.1))


@pytest.mark.parametrize("fit", [entropy_balance, rake])
def test_margins_that_share_an_attribute_must_agree(fit):
    people = pd.DataFrame({"party": list("DDRR"), "sex": list("fmfm"), "age": list("oyyo"), "weight": 1.0})
    joint = pd.Series({("D", "f"): 0.5, ("D", "m"): 0.3, ("R", "f"): 0.1, ("R", "m"): 0.1})
    with pytest.raises(ValueError, match="party × sex sums to 0.8 for 'D', margin party says 0.6"):
        fit(people, {("party", "sex"): joint, "party": {"D": 0.6, "R": 0.4}})
    other = pd.Series({("o", "D"): 0.2, ("y", "D"): 0.4, ("o", "R"): 0.2, ("y", "R"): 0.2})
    with pytest.raises(ValueError, match=r"party × sex sums to 0\.[28] for '[DR]', age × party sums to 0\.[46]"):
        fit(people, {("party", "sex"): joint, ("age", "party"): other})
    agreeing = {("party", "sex"): joint, "party": {"D": 0.8 + 1e-4, "R": 0.2 - 1e-4}}
    assert fit(people, agreeing, tol=1e-3).sum() == pytest.approx(1, abs=1e-3)  # as near as was asked


def test_both_count_the_weights_at_bounds_that_cannot_be_met():
    frame, _ = records(1)
    margins = {"sex": {"f": 0.7, "m": 0.3}}
    for fit, text in ((entropy_balance, "400 of 400 weights are at the bounds"), (rake, " 400 weights are at the bounds")):
        with pytest.raises(ValueError, match=text):
            fit(frame, margins, bounds=(0.9, 1.1))


@pytest.mark.parametrize("fit", [entropy_balance, rake])
def test_exploding_weights_are_warned_of_with_numbers(fit):
    frame = pd.DataFrame({"a": ["x"] * 2 + ["y"] * 998, "weight": 1.0})
    with pytest.warns(UserWarning, match=r"effective sample size falls from 1,000 to 8\.0, and one weight grows 250-fold"):
        fit(frame, {"a": {"x": 0.5, "y": 0.5}})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(*records(1))
        fit(frame, {"a": {"x": 1, "y": 0}})  # only two are wanted
        Population.from_margins({"a": {"x": 0.999, "y": 0.001}, "b": {str(i): 1 / 200 for i in range(200)}})  # cells are no people


@pytest.mark.parametrize("fit", [entropy_balance, rake])
def test_weights_at_the_bounds_are_counted(fit):
    frame = pd.DataFrame({"a": ["x"] * 300 + ["y"] * 700, "b": ["p", "q"] * 500, "weight": 1.0})
    with pytest.warns(UserWarning, match=r"150 of 1000 weights are at the bounds \(0\.5, 1\.5\): 0 at the lower, 150 at the upper"):
        fitted = fit(frame, {"a": {"x": 0.42, "y": 0.58}, "b": {"p": 0.6, "q": 0.4}}, bounds=(0.5, 1.5))
    assert fitted.attrs["at_bounds"] == (0, 150)
    report = weighting_report(frame["weight"], fitted, bounds=(0.5, 1.5)).set_index("measure")["after"]
    assert report["at upper bound"] == 150 and report["at lower bound"] == 0


def test_weighting_report_by_hand():
    report = weighting_report([1, 1, 1, 1], [2, 2, 0, 4], bounds=(0.5, 2)).set_index("measure")
    assert report.loc["effective sample size"].tolist() == [4, pytest.approx(64 / 24)]
    assert report.loc["design effect", "after"] == pytest.approx(3 * 24 / 64) and report.loc["weights of 0", "after"] == 1
    assert report.loc[["largest ratio", "at upper bound", "at lower bound"], "after"].tolist() == [2, 1, 1]
    with pytest.raises(ValueError, match="same people"):
        weighting_report([1, 2], [1])
    with pytest.raises(ValueError, match="row 1 has -1"):
        weighting_report([1, 2], [1, -1])


# importance resampling --------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:only . of 8 people")
def test_resampling_keeps_whole_parts_and_is_unbiased():
    frame = pd.DataFrame({"persona_id": list("abcd"), "weight": [0.5, 1.25, 2.25, 0.0]})
    draws = [resample(frame, "weight", 8, seed=s)["source_id"].value_counts() for s in range(2000)]
    counts = pd.concat(draws, axis=1).reindex(list("abcd")).fillna(0)
    assert counts.loc["d"].eq(0).all() and (counts.T - [1, 2.5, 4.5, 0]).abs().lt(1).all().all()
    assert np.allclose(counts.mean(axis=1), [1, 2.5, 4.5, 0], atol=0.05)
    drawn = resample(frame, [1, 1, 1, 1], 8, seed=1)
    assert drawn["persona_id"].is_unique and drawn["weight"].eq(0.5).all() and drawn.attrs["effective_sample_size"] == 4
    with pytest.warns(UserWarning, match="only 1 of 10 people drawn are different"):
        resample(frame, [1, 0, 0, 0], 10)
    with pytest.raises(ValueError, match="one number per row"):
        resample(frame, [1, 2], 3)
    with pytest.raises(ValueError, match="no column 'wgt' of weights; the frame has persona_id"):
        resample(frame, "wgt", 3)


@pytest.mark.filterwarnings("ignore:only . of 8 people")
def test_series_of_weights_go_by_their_labels():
    frame = pd.DataFrame({"persona_id": list("abcd")}, index=[7, 8, 9, 10])
    weights = pd.Series([0, 0, 1.0, 3.0], index=[10, 9, 8, 7])
    drawn = resample(frame, weights, 8)["source_id"].value_counts()
    assert drawn.to_dict() == {"a": 6, "b": 2} and resample(frame, weights.to_numpy(), 8)["source_id"].isin(["c", "d"]).all()
    before = pd.Series([1.0, 1, 2, 2], index=frame.index)
    report = weighting_report(before, weights).set_index("measure")["after"]
    assert report["largest ratio"] == pytest.approx(4.5) and report["smallest ratio"] == 0
    for change, message in (
        (lambda w: w.set_axis([0, 8, 9, 10]), "label 0 is none of .* (1 such labels)"),
        (lambda w: w.set_axis([8, 8, 9, 10]), "label 8 stands twice"),
    ):
        for work in (lambda w: resample(frame, w, 8), lambda w: weighting_report(before, w)):
            with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
                work(change(weights))


# quotas -----------------------------------------------------------------------------------------------------------------------------


def test_quotas_are_the_shares_rounded():
    benchmark = pd.DataFrame({"a": list("xxyz"), "weight": [0.1, 0.2, 0.3, 0.4]})
    frames = [quotas(benchmark, "a", 7, seed=s) for s in range(1000)]
    assert all(f["n"].sum() == 7 and (f["n"] - 7 * f["share"]).abs().max() < 1 for f in frames)
    assert np.allclose(np.mean([f["n"] for f in frames], axis=0), [2.1, 2.1, 2.8], atol=0.06)
    adults = quotas(us_adults(), ["sex", "education"], 1000)
    assert adults["n"].sum() == 1000 and len(adults) == 14


def test_quotas_reach_the_generator():
    "Attributes that are fixed are shown to the generator, and it is not asked for them."
    people = us_adults().sample(400, seed=1)
    rng = np.random.default_rng(1)
    benchmark = pd.DataFrame({"sex": ["Female", "Female", "Male", "Male"], "party": ["Democrat", "Republican"] * 2, "weight": [3, 1, 1, 1]})
    fixed = assign_quotas(people.assign(weight=rng.uniform(1, 2, 400)), benchmark, "party", given="sex", seed=3)
    shares = fixed.groupby(["sex", "party"], observed=True)["weight"].sum() / fixed.groupby("sex", observed=True)["weight"].sum()
    assert shares["Female", "Democrat"] == pytest.approx(0.75, abs=0.01) and shares["Male", "Democrat"] == pytest.approx(0.5, abs=0.01)
    job = _Job(fixed, "subjective_tabular", SimpleNamespace(id="m"), 0, 1, "list")
    for party, request in zip(fixed["party"], job.requests(), strict=True):
        assert f": {party}\n" in str(request.messages[1]["content"]) + "\n" or f": {party}" in str(request.messages)
        assert "party" not in request.schema["properties"] and "ideology" in request.schema["properties"]
    with pytest.raises(ValueError, match="party 'Whig' is not in the list"):
        assign_quotas(people, benchmark.assign(party="Whig"), "party", given="sex")
    assert fixed.equals(assign_quotas(fixed.drop(columns="party"), benchmark, "party", given="sex", seed=3))
    with pytest.raises(ValueError, match="'party' already"):
        assign_quotas(fixed, benchmark, "party")
    with pytest.raises(ValueError, match="nobody has sex"):
        assign_quotas(people, benchmark[:2], "party", given="sex")
    with pytest.raises(ValueError, match="no column 'religion'"):
        assign_quotas(people, benchmark, "religion")


def test_joints_are_compared_too():
    people = pd.DataFrame({"a": pd.Categorical(list("xxyy")), "b": list("pqpp"), "weight": [1.0, 1, 1, 1]})
    joint = pd.Series({("x", "p"): 1, ("x", "q"): 1, ("y", "q"): 2})
    row = compare_weightings({"as is": people}, {("a", "b"): joint}).iloc[0]
    assert row["margin"] == "a × b" and row["total_variation"] == pytest.approx(0.5) and abs(row["largest"]) == pytest.approx(0.5)


def test_comparison_of_designs_by_hand():
    people = pd.DataFrame({"a": list("xxyy"), "weight": [1.0, 1, 1, 1]})
    designs = {"as is": people, "weights": people.assign(weight=[3, 3, 1, 1])}
    table = compare_weightings(designs, {"a": {"x": 0.75, "y": 0.25}}).set_index("design")
    assert table.loc["as is", "total_variation"] == pytest.approx(0.25) and table.loc["weights", "total_variation"] == pytest.approx(0)
    assert table.loc["weights", "effective_sample_size"] == pytest.approx(64 / 20) and table.loc["as is", "largest"] == pytest.approx(-0.25)


# post-stratification ----------------------------------------------------------------------------------------------------------------

CELLS = pd.DataFrame({"state": ["A", "A", "B", "B"], "sex": ["f", "m"] * 2, "weight": [3.0, 1, 2, 4]})
TRUTH = np.array([[0.7, 0.2, 0.1], [0.4, 0.4, 0.2], [0.5, 0.1, 0.4], [0.1, 0.8, 0.1]])


def asked(n, seed, items=1, draws=1):
    "n people whose answers depend on their cell; the sample has other shares of the cells than the population."
    rng = np.random.default_rng(seed)
    cell = rng.choice(4, n, p=[0.35, 0.25, 0.2, 0.2])
    state, sex = CELLS["state"].to_numpy()[cell], CELLS["sex"].to_numpy()[cell]
    said = lambda: np.array(list("xyz"))[(rng.random(n)[:, None] > TRUTH[cell].cumsum(1)).sum(1).clip(0, 2)]
    rows = [
        pd.DataFrame(
            {"persona_id": np.arange(n), "state": state, "sex": sex, "item_id": f"q{i:04d}", "draw": d, "option": said(), "status": "ok"}
        )
        for i in range(items)
        for d in range(draws)
    ]
    return pd.concat(rows, ignore_index=True)


def by_hand(answers, option):
    "Post-stratified share and stratified variance, cell by cell."
    share = spread = 0.0
    for row in CELLS.itertuples():
        hit = answers.loc[answers["state"].eq(row.state) & answers["sex"].eq(row.sex), "option"].eq(option)
        share += row.weight / 10 * hit.mean()
        spread += (row.weight / 10) ** 2 * hit.var(ddof=1) / len(hit)
    return share, spread**0.5


def test_poststratified_shares_and_errors_by_hand():
    answers = asked(200, 1)
    found = poststratify(answers, None, CELLS, ["state", "sex"]).set_index("option")
    boot = poststratify(answers, None, CELLS, ["state", "sex"], variance="bootstrap", n_boot=4000).set_index("option")
    for option in "xyz":
        share, se = by_hand(answers, option)
        assert found.loc[option, "share"] == pytest.approx(share, abs=1e-12) and found.loc[option, "se"] == pytest.approx(se, abs=1e-12)
        assert boot.loc[option, "share"] == pytest.approx(share, abs=1e-12) and boot.loc[option, "se"] == pytest.approx(se, rel=0.05)
        assert found.loc[option, "n_eff"] == pytest.approx(share * (1 - share) / se**2)
        assert found.loc[option, "uncorrected"] == pytest.approx(answers["option"].eq(option).mean())
    separate = answers.drop(columns=["state", "sex"])
    people = answers[["persona_id", "state", "sex"]].assign(weight=2.0)
    cells = Population(CELLS.rename(columns={"state": "region"}))
    joined = poststratify(separate, people.rename(columns={"state": "region"}), cells, ["region", "sex"]).set_index("option")
    assert np.allclose(joined["share"], found["share"])
    states = poststratify(answers, None, CELLS, ["state", "sex"], within="state").set_index(["state", "option"])["share"]
    assert (0.4 * states["A"] + 0.6 * states["B"]).to_numpy() == pytest.approx(found["share"].to_numpy())


def test_poststratified_shares_and_errors_equal_svy():
    "As a stratified sample; with weights within cells, cell by cell."
    pl = pytest.importorskip("polars", reason="polars is not installed (it comes with svy, the second opinion)")
    svy = pytest.importorskip("svy", reason="svy is not installed (pip install svy==0.35.0, the second opinion)")
    answers = asked(300, 3)
    answers["cell"], size = answers["state"] + answers["sex"], dict(zip(CELLS["state"] + CELLS["sex"], CELLS["weight"] / 10, strict=True))

    def theirs(frame, **design):
        sample = svy.Sample(pl.DataFrame({c: frame[c].tolist() for c in ("cell", "option", "weight")}), svy.Design(wgt="weight", **design))
        return sample.estimation.prop(y="option").to_polars().to_pandas().set_index("option")

    plain = answers.assign(weight=answers["cell"].map(size) / answers["cell"].map(answers["cell"].value_counts()))
    there = theirs(plain, stratum="cell")
    here = poststratify(answers.drop(columns="cell"), None, CELLS, ["state", "sex"]).set_index("option")
    assert np.allclose(here[["share", "se"]], there.loc[here.index, ["est", "se"]], rtol=1e-9, atol=0)
    answers["weight"] = np.random.default_rng(1).uniform(0.5, 3, 300)
    parts = {cell: theirs(rows).reindex(here.index).fillna(0) for cell, rows in answers.groupby("cell")}
    share, spread = sum(size[c] * p["est"] for c, p in parts.items()), sum((size[c] * p["se"]) ** 2 for c, p in parts.items())
    here = poststratify(answers.drop(columns="cell"), None, CELLS, ["state", "sex"]).set_index("option")
    assert np.allclose(here["share"], share, rtol=1e-9, atol=0) and np.allclose(here["se"], spread**0.5, rtol=1e-9, atol=0)


@pytest.mark.parametrize("variance", ["linearised", "bootstrap"])
def test_poststratified_intervals_hold(variance):
    "1,000 samples of 200 as items of one table: bias gone, 95 % intervals hold."
    samples = 1000
    answers = asked(200, 7, items=samples)
    rng = np.random.default_rng(3)
    cell = rng.choice(4, (samples, 200), p=[0.35, 0.25, 0.2, 0.2]).ravel()
    answers["state"], answers["sex"] = CELLS["state"].to_numpy()[cell], CELLS["sex"].to_numpy()[cell]
    answers["option"] = np.array(list("xyz"))[(rng.random(len(cell))[:, None] > TRUTH[cell].cumsum(1)).sum(1).clip(0, 2)]
    answers["persona_id"] = np.arange(len(answers))
    found = poststratify(answers, None, CELLS, ["state", "sex"], variance=variance, n_boot=200, collapse=True)
    truth = pd.Series(CELLS["weight"].to_numpy() / 10 @ TRUTH, index=list("xyz"))
    for option, rows in found.groupby("option"):
        assert abs(rows["share"].mean() - truth[option]) < 0.005 and abs(rows["uncorrected"].mean() - truth[option]) > 0.01
        assert 0.93 <= ((rows["low"] <= truth[option]) & (truth[option] <= rows["high"])).mean() <= 0.97


def parties(n, shares, seed, studies=1):
    "Answers of D and R, an item per study, and the items."
    rng = np.random.default_rng(seed)
    party = np.tile(np.repeat(["D", "R"], n), studies)
    said = np.where(rng.random(len(party)) < np.where(party == "D", *shares), "yes", "no")
    names = [f"q{i:04d}" for i in range(studies)]
    answers = pd.DataFrame({"persona_id": np.arange(len(party)), "party": party, "status": "ok", "option": said})
    return answers.assign(item_id=np.repeat(names, sum(n))), pd.DataFrame({"item_id": names, "options": [["yes", "no"]] * studies})


HALVES = pd.DataFrame({"party": ["D", "R"], "weight": [1.0, 1.0]})


def weighted(answers, items, kind, population=HALVES):
    if kind == "balanced":
        return balanced_shares(answers, None, {"party": population.set_index("party")["weight"]}, items=items)
    return poststratify(answers, None, population, "party", items=items, variance=kind, n_boot=200)


@pytest.mark.parametrize("kind", ["linearised", "bootstrap", "balanced"])
@pytest.mark.parametrize(("n", "shares"), [((200, 12), (0.1, 0.05)), ((300, 20), (0.05, 0.05))])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_intervals_hold_where_a_small_heavy_cell_is_often_of_one_mind(kind, n, shares):
    "Without imaginary persons they hold in 67 to 75 of 100 studies."
    found = weighted(*parties(n, shares, 1, studies=100), kind).query("option == 'yes'")
    truth = np.mean(shares)
    assert ((found["low"] <= truth) & (truth <= found["high"])).mean() >= 0.93
    assert found["n_eff"].max() < sum(n) / 2 and found["low"].min() >= 0


@pytest.mark.parametrize("kind", ["linearised", "bootstrap", "balanced"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_three_of_one_mind_do_not_speak_for_everybody(kind):
    answers, items = parties((297, 3), (0.5, 0.0), 1)
    found = weighted(answers, items, kind, HALVES.assign(weight=[1, 99])).set_index("option")
    assert found["n_eff"].max() < 4 and found.loc["yes", "high"] > 0.5 and found["low"].min() >= 0 and found["high"].max() <= 1


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_cells_of_one_mind_have_one_imaginary_person_of_each_kind():
    answers, items = parties((40, 10), (1.0, 0.0), 1)
    answers.loc[:9, "option"] = "no"
    found = weighted(answers, items, "linearised").set_index("option").loc["yes"]
    hidden = 1 / 12 * 11 / 12 / 10
    assert found["se"] == pytest.approx((0.25 * (0.75 * 0.25 / 39 + hidden)) ** 0.5)
    moved = found["share"] + 0.5 / 12
    assert found["share"] == 0.375 and found["n_eff"] == pytest.approx(moved * (1 - moved) / found["se"] ** 2)
    answers.loc[40, "option"] = "yes"  # one who differs, and the cell speaks for itself
    assert weighted(answers, items, "linearised")["se"].iloc[0] == pytest.approx(
        (0.25 * (0.75 * 0.25 / 39 + 0.1 * 0.9 / 9)) ** 0.5, rel=1e-12
    )
    opposed, items = parties((40, 10), (1.0, 0.0), 1)
    assert all(
        weighted(opposed, items, k)["n_eff"].max() <= 1 / (0.25 / 40 + 0.25 / 10) + 1e-9 for k in ("linearised", "bootstrap", "balanced")
    )


def test_many_cells_of_one_mind_make_up_for_each_other():
    "100 cells of two: the variance is right on average without imaginary persons, who may not widen the intervals much."
    rng = np.random.default_rng(1)
    cells = pd.DataFrame({"cell": [f"{i:02d}" for i in range(100)], "weight": 1.0})
    se = []
    for _ in range(20):
        answers = pd.DataFrame({"persona_id": range(200), "cell": np.repeat(cells["cell"], 2).to_numpy(), "item_id": "q", "status": "ok"})
        se.append(poststratify(answers.assign(option=np.where(rng.random(200) < 0.3, "yes", "no")), None, cells, "cell")["se"].iloc[0])
    assert np.mean(se) == pytest.approx((0.3 * 0.7 / 200) ** 0.5, rel=0.06)


def test_repeated_draws_are_not_new_people():
    once, thrice = asked(150, 4), pd.concat([asked(150, 4).assign(draw=d) for d in range(3)], ignore_index=True)
    a, b = (poststratify(f, None, CELLS, ["state", "sex"]) for f in (once, thrice))
    assert np.allclose(a[["share", "se", "n_eff", "n"]], b[["share", "se", "n_eff", "n"]])


def test_empty_cells_are_named_or_merged():
    answers = asked(100, 1)
    answers = answers[~(answers["state"].eq("A") & answers["sex"].eq("f"))]
    with pytest.raises(ValueError, match=r"1 of 4 cells, 30\.0% of the population, have fewer than 2 respondents, such as A, f"):
        poststratify(answers, None, CELLS, ["state", "sex"])
    merged = poststratify(answers, None, CELLS, ["state", "sex"], collapse=True).set_index("option")
    parts = {k: g["option"].eq("x").mean() for k, g in answers.groupby(["state", "sex"])}
    assert merged.loc["x", "share"] == pytest.approx(0.4 * parts["A", "m"] + 0.2 * parts["B", "f"] + 0.4 * parts["B", "m"])
    assert merged.loc["x", "n_collapsed"] == 2 and merged.loc["x", "n_cells"] == 3
    with pytest.raises(ValueError, match=r"\['A'\] has fewer than 2 respondents in all"):
        poststratify(answers[answers["state"] == "B"], None, CELLS, ["state", "sex"], within="state", collapse=True)


def test_bad_input_of_poststratification():
    answers = asked(60, 1)
    with pytest.raises(TableError, match="missing column age"):
        poststratify(answers, None, CELLS.assign(age=1), ["state", "age"])
    with pytest.raises(ValueError, match="written the same way"):
        poststratify(answers.assign(sex="Female"), None, CELLS, ["state", "sex"])
    with pytest.warns(UserWarning, match="in no cell of the population"):
        poststratify(answers.assign(sex=np.where(answers["persona_id"] == 0, "?", answers["sex"])), None, CELLS, ["state", "sex"])
    with pytest.raises(ValueError, match="first attributes of by"):
        poststratify(answers, None, CELLS, ["state", "sex"], within="sex")
    with pytest.raises(ValueError, match=r"1 of 4 cells, 30\.0% of the population, have fewer than 2 respondents, such as A, f"):
        weightless = answers["state"].eq("A") & answers["sex"].eq("f")
        poststratify(answers.assign(weight=np.where(weightless, 0.0, 1.0)), None, CELLS, ["state", "sex"])
    with pytest.raises(ValueError, match="smallest must be"):
        poststratify(answers, None, CELLS, ["state", "sex"], smallest=1)
    with pytest.raises(ValueError, match="persona 0 has more than one sex"):
        other = answers.assign(item_id="r", sex=answers["sex"].mask(answers["persona_id"] == 0, "f" if answers["sex"][0] == "m" else "m"))
        poststratify(pd.concat([answers, other]), None, CELLS, ["state", "sex"])
    with pytest.raises(TableError, match="answers: the table has no rows"):
        poststratify(answers.iloc[:0], None, CELLS, ["state", "sex"])


def test_respondents_worth_few_are_warned_of_with_numbers():
    n = 200
    answers = pd.DataFrame(
        {"persona_id": range(n), "item_id": "q", "status": "ok", "option": ["a", "b"] * (n // 2), "sex": ["f", "f", "m", "m"] * (n // 4)}
    )
    population = pd.DataFrame({"sex": ["f", "m"], "weight": [5.0, 5.0]})
    with pytest.warns(UserWarning, match="item 'q': 200 respondents are worth 4.0 once they are weighted"):
        poststratify(answers.assign(weight=np.where(np.arange(n) == 3, 1e6, 1.0)), None, population, "sex")
    with pytest.warns(UserWarning, match="item 'q': 24 respondents are worth 24.0"):
        poststratify(answers.head(24), None, population, "sex")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        poststratify(answers.head(28), None, population, "sex")


def selected(seed, n=300, strength=1.0, pull=1.0):
    "People of whom the old and the schooled come too often; their answers depend on both."
    rng = np.random.default_rng(seed)
    school, age = rng.choice(["school", "degree"], 4000), rng.choice(["young", "middle", "old"], 4000)
    lean = pull * (1.2 * (school == "degree") - 0.9 * (age == "old") + 0.3 * (age == "young") - 0.3)
    chance = np.exp(strength * ((school == "degree") + 0.7 * (age == "old")))
    who = rng.choice(4000, n, p=chance / chance.sum())
    said = np.where(rng.random(n) < 1 / (1 + np.exp(-lean[who])), "yes", "no")
    people = pd.DataFrame({"persona_id": np.arange(n), "school": school[who], "age": age[who]})
    answers = people.assign(item_id="q", status="ok", option=said)
    margins = {"school": pd.Series(school).value_counts(normalize=True), "age": pd.Series(age).value_counts(normalize=True)}
    return answers, margins, float((1 / (1 + np.exp(-lean))).mean())


def test_balanced_shares_equal_weights_and_residuals_of_statsmodels():
    "The share is that of the fitted weights; the variance is that of the residuals of a weighted regression, with leverages (HC3)."
    api = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed (extra dev)")
    answers, margins, _ = selected(1)
    found = balanced_shares(answers, None, margins).set_index("option")
    w, y = entropy_balance(answers.assign(weight=1.0), margins).to_numpy(), answers["option"].eq("yes").to_numpy(float)
    x = pd.get_dummies(answers[["school", "age"]], drop_first=True, dtype=float)
    root = np.sqrt(w)
    fit = api.OLS(root * y, api.add_constant(x).mul(root, axis=0)).fit()
    variance = (w * fit.get_influence().resid_press ** 2).sum() / w.sum() ** 2
    row = found.loc["yes"]
    assert row["share"] == pytest.approx(w @ y / w.sum(), abs=1e-12) and row["se"] == pytest.approx(variance**0.5, rel=1e-9)
    assert row["uncorrected"] == pytest.approx(y.mean()) and row["n_eff"] == pytest.approx(row["share"] * (1 - row["share"]) / variance)
    assert row["n"] == 300 and row["n_at_bounds"] == 0 and found["share"].sum() == pytest.approx(1)


def test_balanced_shares_of_cells_are_poststratified_ones():
    answers, _, _ = selected(2)
    cells = pd.DataFrame({"school": ["school", "degree"], "weight": [0.6, 0.4]})
    post = poststratify(answers, None, cells, "school")
    found = balanced_shares(answers, None, {"school": {"school": 0.6, "degree": 0.4}})
    assert np.allclose(found["share"], post["share"]) and np.allclose(found[["se", "low", "high"]], post[["se", "low", "high"]], rtol=0.01)


def test_balanced_shares_vary_as_a_bootstrap_says():
    "Weights fitted again to every replicate."
    answers, margins, _ = selected(3)
    rng, y = np.random.default_rng(1), answers["option"].eq("yes").to_numpy(float)
    again = []
    for _ in range(400):
        some = rng.integers(0, len(answers), len(answers))
        w = entropy_balance(answers.iloc[some].assign(weight=1.0), margins).to_numpy()
        again.append(w @ y[some] / w.sum())
    assert balanced_shares(answers, None, margins)["se"].iloc[0] == pytest.approx(np.std(again), rel=0.12)


@pytest.mark.parametrize("n", [100, 200])
def test_balanced_intervals_hold_where_margins_explain_the_answers(n):
    "Intervals with weights taken as given are wider, and not needed."
    held, ours, given = [], [], []
    for seed in range(250):
        answers, margins, truth = selected(seed, n, pull=1.7)
        row = balanced_shares(answers, None, margins).set_index("option").loc["yes"]
        w = entropy_balance(answers.assign(weight=1.0), margins).to_numpy()
        held.append(row["low"] <= truth <= row["high"])
        ours.append(row["se"])
        given.append((row["share"] * (1 - row["share"]) * (w**2).sum()) ** 0.5 / w.sum())
    assert abs(np.mean(held) - 0.95) < 3 * (0.05 * 0.95 / 250) ** 0.5
    assert np.mean(ours) < 0.95 * np.mean(given)


def test_balanced_shares_take_items_draws_weights_and_bounds():
    answers, margins, _ = selected(4)
    twice = pd.concat([answers, answers]).assign(draw=np.repeat([0, 1], len(answers)))
    assert np.allclose(balanced_shares(twice, None, margins)["se"], balanced_shares(answers, None, margins)["se"])
    other = answers.iloc[:200].assign(item_id="r")
    both = balanced_shares(pd.concat([answers, other]), None, margins)
    assert both.groupby("item_id")["n"].first().tolist() == [300, 200]
    assert np.allclose(both.loc[both["item_id"] == "r", "share"], balanced_shares(other, None, margins)["share"])
    people = answers[["persona_id", "school", "age"]].assign(weight=1.0)
    bare = answers.drop(columns=["school", "age"])
    assert balanced_shares(bare, people, margins, bounds=(0.3, 3))["n_at_bounds"].gt(0).all()
    old = answers["age"].eq("old")
    mean = balanced_shares(answers.assign(old=old.astype(float)), None, {"old": 0.3})
    assert np.allclose(mean["share"], balanced_shares(answers.assign(old=old), None, {"old": {True: 0.3, False: 0.7}})["share"])


def four(answers):
    return answers.groupby("school").head(2).assign(x=range(4), y=[0, 3, 1, 7])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda a, m: (a.drop(columns="age"), m), TableError, "missing column age"),
        (lambda a, m: (a, m | {"age": {"young": 0.5, "old": 0.5}}), ValueError, "middle"),
        (lambda a, m: (pd.concat([a[a["age"] != "old"], a[a["age"] == "old"].iloc[:1]]), m), ValueError, "one respondent is 'old'"),
        (lambda a, m: (four(a), {"x": 1.5, "y": 2.75, "school": {"school": 1, "degree": 1}}), ValueError, "item 'q': 4 people"),
        (lambda a, m: (a.assign(persona_id=a["persona_id"].where(a.index != 3)), m), TableError, "row 3 has no persona_id"),
        (lambda a, m: (pd.concat([a, a.assign(item_id="r", age="old")]), m), ValueError, "has more than one age"),
        (lambda a, m: (pd.concat([a, a.assign(item_id="r", status="refusal")]), m), ValueError, "item 'r': no valid answer"),
        (lambda a, m: (a.assign(weight=0.0), m), ValueError, "item 'q': no valid answer has a weight above 0"),
        (lambda a, m: (a, {}), ValueError, "no margin"),
        (lambda a, m: (a.iloc[:0], m), TableError, "answers: the table has no rows"),
    ],
)
def test_bad_input_of_balanced_shares(change, error, message):
    answers, margins, _ = selected(5)
    asked, targets = change(answers, margins)
    with pytest.raises(error, match=message):
        balanced_shares(asked, None, targets)


def test_a_weight_that_is_not_there_and_small_categories_are_named():
    answers, margins, _ = selected(6)
    cells = pd.DataFrame({"school": ["school", "degree"], "weight": 1})
    for function, more in ((balanced_shares, (margins,)), (poststratify, (cells, "school"))):
        with pytest.raises(TableError, match="no column 'wgt' for the weights"):
            function(answers, None, *more, weight="wgt")
    few = pd.concat([answers[answers["age"] != "old"], answers[answers["age"] == "old"].iloc[:3]])
    with pytest.warns(UserWarning, match="margin age: a category has 3 respondents"):
        balanced_shares(few, None, margins)
