"""Learned corrections, ensembles, tilting: on planted truth, out of sample, and what they refuse."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

from persona_kit import correction
from persona_kit.benchmarks import load_benchmark
from persona_kit.calibration import poststratify
from persona_kit.correction import _simplex, acquiescence, conformal_radius, fit_correction, fit_ensemble, hold_out, leave_out, verdict
from persona_kit.election_correction import (
    _errors,
    _group_means,
    _with_sampling,
    calibration_table,
    correct_elections,
    human_sample_table,
    tilt,
)
from persona_kit.elections import YEARS, drift, evaluate, forecast, results
from persona_kit.multilevel import mrp
from persona_kit.population import us_adults
from persona_kit.respondent import Respondent, sample_answers
from persona_kit.tables import TableError
from persona_kit.surveys import Item, Survey, presidential_election

OPTIONS = ["low", "middle", "high"]


def planted(items, seed, slope=0.5, shift=(0.0, 0.2, 0.5), noise=0.05):
    "Real shares, and those of a model that squeezes and shifts their log-odds."
    rng = np.random.default_rng(seed)
    real = rng.dirichlet([3, 3, 2], items)
    wrong = np.exp(slope * np.log(real) + shift + noise * rng.normal(size=real.shape))
    frame = lambda p: pd.DataFrame(
        {"item_id": np.repeat([f"q{i:03d}" for i in range(items)], 3), "option": OPTIONS * items, "share": p.ravel()}
    )
    return frame(wrong / wrong.sum(1, keepdims=True)), frame(real)


def scale_items(items):
    return pd.DataFrame(
        {
            "item_id": [f"q{i:03d}" for i in range(items)],
            "text": "?",
            "options": [OPTIONS] * items,
            "values": [[1, 2, 3]] * items,
            "refusals": [[]] * items,
            "topic": ["xyz"[i % 3] for i in range(items)],
        }
    )


# conformal --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [19, 38, 51, 200])
def test_conformal_intervals_hold(n):
    "Not more often than they should either: rounded up to a rank, 38 residuals would give 97.4 %."
    rng = np.random.default_rng(n)
    held = np.mean([abs(rng.standard_t(3)) <= conformal_radius(rng.standard_t(3, size=n)) for _ in range(8000)])
    assert abs(held - 0.95) < 3 * (0.05 * 0.95 / 8000) ** 0.5
    assert conformal_radius(np.arange(1, 39.0)) == pytest.approx(37.05) and conformal_radius(-np.arange(1, 20.0)) == 19
    with pytest.warns(UserWarning, match=r"18 residuals carry an interval of 95% at most|18 residuals carry"):
        conformal_radius(rng.normal(size=18))
    with pytest.raises(ValueError, match="no residual"):
        conformal_radius([np.nan])


# maps -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["shift", "shrinkage"])
def test_maps_repair_what_was_planted_and_their_intervals_hold(kind):
    slope = 1.0 if kind == "shift" else 0.5
    simulated, truth = planted(340, 1, slope)
    correction = fit_correction(simulated[:120], truth[:120], kind)
    found = correction.apply(simulated[120:])
    table = verdict(found, truth["share"][120:]).iloc[0]
    assert table["after"] < 0.4 * table["before"] and table["gain_low"] > 0 and table["verdict"] == "better"
    assert np.allclose(found.groupby("item_id")["corrected"].sum(), 1) and found["n_eff"].gt(0).all()
    assert np.array_equal(found["uncorrected"], simulated["share"][120:])
    covered = [
        verdict(fit_correction(s[:120], t[:120], kind).apply(s[120:]), t["share"][120:])["coverage"].iloc[0]
        for s, t in (planted(340, seed, slope) for seed in range(10))
    ]
    assert 0.93 <= np.mean(covered) <= 0.97


def unequal(items, seed):
    "The middle option is much harder to foretell than the others."
    rng = np.random.default_rng(seed)
    real = rng.dirichlet([6, 2, 6], items)
    wrong = real * np.exp(rng.normal(0, 1, (items, 3)) * [0.1, 1.5, 0.1])
    frame = lambda p: pd.DataFrame(
        {"item_id": np.repeat([f"q{i:03d}" for i in range(items)], 3), "option": OPTIONS * items, "share": p.ravel()}
    )
    return frame(wrong / wrong.sum(1, keepdims=True)), frame(real)


@pytest.mark.parametrize("known", [8, 40])
def test_each_option_has_an_interval_of_its_own(known):
    held = []
    for seed in range(60):
        simulated, truth = unequal(known + 60, seed)
        found = fit_correction(simulated[: 3 * known], truth[: 3 * known], "shift").apply(simulated[3 * known :])
        real = truth["share"][3 * known :].to_numpy()
        held.append(found["low"].le(real).to_numpy() & found["high"].ge(real).to_numpy())
    each = np.array(held).reshape(60, -1, 3).mean(1)
    by_option, error = each.mean(0), each.std(0) / 60**0.5
    assert (np.abs(by_option - 0.95) < 0.01 + 3 * error).all(), by_option
    found = found.assign(width=found["high"] - found["low"]).groupby("option")["width"].mean()
    assert found["middle"] > 1.5 * found["low"]


def test_few_residuals_of_an_option_take_a_quantile_of_t():
    simulated, truth = planted(13, 1)
    learned = fit_correction(simulated[:36], truth[:36], "shift")
    found = learned.apply(simulated[36:]).set_index("option")
    for option in OPTIONS:
        radius = stats.t.ppf(0.975, 12) * np.sqrt(np.mean(learned.residuals[[option]] ** 2))
        assert special.logit(found["high"])[option] == pytest.approx(special.logit(found["corrected"])[option] + radius)
    with pytest.warns(
        UserWarning, match="5 items: their residuals carry an interval of 83.3% at most, not 95%; normal errors are assumed. 19 items"
    ):
        fit_correction(simulated[:15], truth[:15], "shift").apply(simulated[36:])


@pytest.mark.parametrize("by", [[], ["state"]])
@pytest.mark.parametrize("kind", correction.KINDS)
def test_residuals_are_those_of_fits_without_the_item(kind, by):
    sides = planted(9, 3)
    if by:
        sides = [pd.concat([f.assign(state=s) for s in ("CA", "NY")], ignore_index=True) for f in sides]
    learned = fit_correction(*sides, kind, by=by, items=scale_items(9))
    for item in ("q000", "q008"):
        inside = sides[0]["item_id"] == item
        rest = fit_correction(sides[0][~inside], sides[1][~inside], kind, by=by, items=scale_items(9))
        new = rest.apply(sides[0][inside])
        gap = special.logit(sides[1]["share"][inside].to_numpy()) - special.logit(new["corrected"].to_numpy())
        assert all(np.isclose(learned.residuals, g, atol=1e-9).any() for g in gap) and len(learned.residuals) == len(sides[0])


def clustered(units, rows, seed, new=4, names=("item_id", "state"), spread=0.6):
    "Yes and no in rows of each unit (states of an item, items of a topic), which share a part of the model's error."
    rng, n = np.random.default_rng(seed), units + new
    real = special.expit(rng.normal(0, 0.6, (n, rows)))
    wrong = special.expit(special.logit(real) + 0.3 + rng.normal(0, spread, n)[:, None] + rng.normal(0, 0.2, (n, rows)))
    keys = {
        names[0]: np.repeat([f"u{i:03d}" for i in range(n)], 2 * rows),
        names[1]: np.tile(np.repeat([f"r{j}" for j in range(rows)], 2), n),
    }
    frame = lambda p: pd.DataFrame({**keys, "option": ["yes", "no"] * (n * rows), "share": np.stack([p, 1 - p], -1).ravel()})
    return frame(wrong), frame(real), units * rows * 2


@pytest.mark.parametrize(("items", "warned"), [(4, True), (20, False)])
def test_states_of_an_item_err_together(items, warned):
    held = []
    for seed in range(20):
        simulated, truth, known = clustered(items, 6, seed, new=30)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = fit_correction(simulated[:known], truth[:known], "shift", by="state").apply(simulated[known:])
        assert [str(w.message).startswith("4 items: their residuals carry an interval of 80.0% at most, not 95%") for w in said] == [
            True
        ] * warned
        real = truth["share"][known:].to_numpy()
        held.append(((found["low"] <= real) & (real <= found["high"])).mean())
    assert np.mean(held) > 0.95 - 2 * np.std(held) / 20**0.5 and np.mean(held) > 0.93, np.mean(held)


def test_an_interval_by_rank_takes_one_residual_of_each_unit():
    "Of equal ones it is the rank of the units, not of the rows; with one row each the radius of the residuals."
    rng = np.random.default_rng(0)
    size = np.abs(rng.normal(size=24))
    unit = np.repeat(np.arange(24), 10)
    assert correction._radius(np.repeat(size, 10), unit, 0.95) == pytest.approx(conformal_radius(size))
    assert correction._radius(size, np.arange(24), 0.95) == conformal_radius(size)
    apart = np.abs(rng.normal(size=240))
    assert 2 < correction._radius(apart, unit, 0.95) < 2.6 < np.quantile(apart, 0.9975)
    assert correction._radius(np.repeat(size[:4], 10), unit[:40], 0.95) == pytest.approx(
        stats.t.ppf(0.975, 3) * np.sqrt(np.mean(size[:4] ** 2))
    )


@pytest.mark.parametrize("kind", ["shift", "shrinkage"])
def test_items_of_a_topic_err_together(kind):
    held = []
    for seed in range(9):
        simulated, truth, _ = clustered(6, 5, seed, new=0, names=("topic", "item_id"))
        simulated, truth = (f.assign(item_id=f["topic"] + f["item_id"]) for f in (simulated, truth))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = leave_out(simulated, truth.drop(columns="topic"), kind)
        assert [str(w.message)[:41] for w in said] == ["5 values of 'topic': their residuals carr"]
        held.append((found["low"].le(found["real"]) & found["high"].ge(found["real"])).mean())
    assert np.mean(held) > 0.94
    learned = fit_correction(simulated, truth, kind, over="topic")
    assert len(set(learned.units)) == 6 and learned.over == "topic"
    with pytest.warns(UserWarning, match="topic is 'u000' throughout: intervals do not know"):
        assert fit_correction(simulated[:10], truth[:10], kind, over="topic").over == "item_id"
    with pytest.warns(UserWarning, match="fewer than three items were trained on"):
        one = lambda f: f[f["topic"] == "u000"].assign(state=lambda g: g["item_id"], item_id="q1")
        fit_correction(one(simulated), one(truth), "shift", by="state").apply(one(simulated).assign(item_id="q2"), allow="equal")


def test_cutpoints_spread_a_scale_out_again():
    rng = np.random.default_rng(2)
    n, cuts = 200, np.array([-0.8, 0.9])
    centre = rng.normal(0, 0.6, n)
    shares = lambda scale, move: np.diff(np.column_stack([np.zeros(n), special.expit((cuts - centre[:, None]) * scale + move), np.ones(n)]))
    real, wrong = shares(1.0, 0.0), shares(2.0, [-0.3, 0.5])
    frame = lambda p: pd.DataFrame({"item_id": np.repeat([f"q{i:03d}" for i in range(n)], 3), "option": OPTIONS * n, "share": p.ravel()})
    correction = fit_correction(frame(wrong)[:60], frame(real)[:60], "cutpoints", items=scale_items(n))
    assert correction.to_frame()["slope"].iloc[0] == pytest.approx(0.5, abs=0.03)
    found = correction.apply(frame(wrong)[60:])
    assert np.abs(found["corrected"] - frame(real)["share"][60:].to_numpy()).max() < 0.02
    with pytest.raises(ValueError, match="cutpoints need items="):
        fit_correction(frame(wrong), frame(real), "cutpoints")


def test_what_was_trained_on_is_refused_by_name():
    simulated, truth = planted(10, 1)
    correction = fit_correction(simulated[:24], truth[:24], "shift")
    with pytest.raises(ValueError, match=r"q007 was trained on .* \(1 such"):
        correction.apply(simulated[21:])
    states = pd.concat([simulated.assign(state=s) for s in ("CA", "NY")])
    by_state = fit_correction(states, pd.concat([truth.assign(state=s) for s in ("CA", "NY")]), "shrinkage", by="state")
    with pytest.raises(ValueError, match="q000 in CA was trained on"):
        by_state.apply(states[:3])
    with pytest.raises(ValueError, match="option or cut 'none' was not trained on"):
        correction.apply(simulated[24:].replace({"option": {"low": "none"}}))
    with pytest.raises(ValueError, match="at least 3"):
        fit_correction(simulated[:6], truth[:6])
    with pytest.raises(ValueError, match="unknown kind"):
        fit_correction(simulated, truth, "magic")


def test_what_was_trained_on_is_refused_in_other_groups_with_other_spaces_and_under_other_names():
    simulated, truth = planted(10, 1)
    by = lambda f, *names: pd.concat([f.assign(party=p) for p in names])
    parted = fit_correction(by(simulated, "R", "D"), by(truth, "R", "D"), "shift", by="party")
    pooled = simulated.assign(party="all", share=np.tile([0.2, 0.3, 0.5], 10))
    with pytest.raises(ValueError, match=r"q000 in all: other groups of this item were trained on \(10 such"):
        parted.apply(pooled)
    assert len(parted.apply(pooled, allow="groups")) == 30
    with pytest.raises(ValueError, match="q000 in R was trained on"):
        parted.apply(by(simulated, "R"), allow=["groups", "equal"])
    correction = fit_correction(simulated[:24], truth[:24], "shift")
    with pytest.raises(ValueError, match="q000 was trained on"):
        correction.apply(simulated[:3].assign(item_id=" q000 "))
    renamed = simulated.assign(item_id="new " + simulated["item_id"])
    with pytest.raises(ValueError, match="8 of 10 rows have the same shares as rows that were trained on"):
        correction.apply(renamed.sample(frac=1, random_state=1))
    assert len(correction.apply(renamed, allow="equal")) == 30 and len(correction.apply(renamed[24:])) == 6
    with pytest.raises(ValueError, match="allow: unknown 'all'; one of groups, equal"):
        correction.apply(renamed, allow="all")


@pytest.mark.parametrize("digits", [lambda v: float(f"{v:.5g}"), lambda v: round(v, 4)])
def test_what_was_trained_on_is_refused_rounded_and_in_capitals(digits):
    simulated, truth = planted(30, 1)
    learned = fit_correction(simulated[:66], truth[:66], "shift")
    rounded = simulated.assign(share=simulated["share"].map(digits))
    with pytest.raises(ValueError, match="Q000 was trained on"):
        learned.apply(rounded.assign(item_id=rounded["item_id"].str.upper()))
    renamed = rounded.assign(item_id="new " + rounded["item_id"], option=rounded["option"])
    with pytest.raises(ValueError, match="22 of 30 rows have the same shares"):
        learned.apply(renamed)
    with pytest.warns(UserWarning, match="1 of 1 rows have the same shares"):
        learned.apply(renamed[:3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learned.apply(renamed[66:])
        many, real = planted(600, 2)
        fit_correction(many[:1740], real[:1740], "shift").apply(many[1740:].round(4))
        yes, no = (
            f[f["option"] != "high"].assign(share=lambda g: g["share"] / g.groupby("item_id")["share"].transform("sum"))
            for f in (many, real)
        )
        fit_correction(yes[:1160], no[:1160], "shift").apply(yes[1160:].round(4))


def test_an_effective_number_of_answers_is_no_more_than_a_million():
    simulated, truth = planted(30, 1, slope=1, shift=(0, 0, 0), noise=0)
    assert fit_correction(simulated[:66], truth[:66], "shift").apply(simulated[66:])["n_eff"].eq(1e6).all()


def test_options_that_are_missing_are_named():
    simulated, truth = planted(30, 1)
    learned = fit_correction(simulated[:66], truth[:66], "shift")
    new = simulated[66:]
    part = new[new["option"] == "low"]
    for given in ({}, {"items": scale_items(30)}):
        with pytest.raises(ValueError, match="item q022 has no option 'high'; the options that it has would be made to sum to 1"):
            learned.apply(part, **given)
    with pytest.raises(ValueError, match="item q022 has no option 'middle'"):
        learned.apply(part.assign(share=1.0), items=scale_items(30).assign(options=[["low", "middle"]] * 30))
    two = scale_items(30).assign(options=[["low", "high"]] * 30)  # of an item with fewer options nothing is missing
    assert len(learned.apply(new[new["option"] != "middle"].assign(share=0.5), items=two)) == 16
    with pytest.raises(ValueError, match="simulated_new: row 1, item 'q022', option 'middle', has no share"):
        learned.apply(new.assign(share=new["share"].where(new.index != 67)))
    with pytest.raises(ValueError, match="simulated_new: there is no row"):
        learned.apply(new[:0])
    low = lambda f: f[f["option"] == "low"]
    with (
        pytest.raises(ValueError, match="item 'q000' has only the option 'low' on both sides"),
        pytest.warns(UserWarning, match="do not sum"),
    ):
        fit_correction(low(simulated), low(truth))
    for ci in (0.95, None):
        with pytest.raises(ValueError, match="item q003 has no option 'low'"), pytest.warns(UserWarning, match="do not sum"):
            leave_out(simulated.drop(index=9), truth, over="item_id", ci=ci)


def test_items_without_truth_and_too_few_items_are_warned_of_once():
    simulated, truth = planted(25, 1)
    with pytest.warns(UserWarning, match="21 of 25 items have no truth, such as 'q004': nothing is learned from them"):
        fit_correction(simulated, truth[:12])
    for known, words in (
        (57, ["6 of 25 items have no truth", "18 items: their residuals carry an interval of 94.7% at most, not 95%"]),
        (75, []),
    ):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            leave_out(simulated, truth[:known], over="item_id")
        assert len(said) == len(words) and all(str(w.message).startswith(text) for w, text in zip(said, words, strict=True))


@pytest.mark.parametrize(
    ("move", "words"),
    [
        (lambda n, rng: np.full(n, 0.1), "no better than no correction"),
        (lambda n, rng: np.full(n, 0.2), "worse than no correction"),
        (lambda n, rng: 0.099 + 0.05 * stats.zscore(rng.uniform(size=n)), "not distinguishable from no correction"),
        (lambda n, rng: 0.02 + 0.01 * rng.normal(size=n), "better"),
    ],
)
def test_better_is_said_of_clear_gains_only(move, words):
    real = np.full(20, 0.5)
    frame = pd.DataFrame(
        {"item_id": np.arange(20).astype(str), "uncorrected": real + 0.1, "corrected": real + move(20, np.random.default_rng(1))}
    )
    assert verdict(frame, real)["verdict"].item() == words
    assert verdict(frame, real, baseline=frame["corrected"])["verdict"].item().endswith("no better than the baseline")


def test_a_few_people_may_answer_two_items_alike():
    "A row or two of many people may be equal by chance, of ten people even most."
    rng = np.random.default_rng(2)
    _, truth = planted(20, 1)
    draw = lambda n: truth.assign(share=(rng.multinomial(n, [0.3, 0.4, 0.3], size=20) / n).ravel())
    ten, many = draw(10), draw(200)
    many.loc[45:50, "share"] = many.loc[:5, "share"].to_numpy()
    assert len(fit_correction(many[:45], truth[:45], "shift").apply(many[45:])) == 15
    again = lambda f: f[:18].assign(item_id="new " + f["item_id"])
    with pytest.raises(ValueError, match="6 of 6 rows have the same shares"):
        fit_correction(many[:45], truth[:45], "shift").apply(again(many))
    with pytest.warns(UserWarning, match="6 of 6 rows have the same shares .* of so few people or rows this may be chance"):
        assert len(fit_correction(ten[:45], truth[:45], "shift").apply(again(ten))) == 18


@pytest.mark.parametrize("kind", ["shift", "shrinkage", "cutpoints"])
def test_rows_stay_in_their_order(kind):
    simulated, truth = planted(12, 3)
    names = {f"q{i:03d}": f"i{i}" for i in range(12)}
    items = scale_items(12).replace({"item_id": names})
    simulated, truth = (f.assign(item_id=f["item_id"].map(names)) for f in (simulated, truth))
    new = simulated[24:].sample(frac=1, random_state=4)
    correction = fit_correction(simulated[:24], truth[:24], kind, items=items)
    found, sorted_ = correction.apply(new, items=items), correction.apply(simulated[24:], items=items)
    assert np.array_equal(found[["item_id", "option", "uncorrected"]], new[["item_id", "option", "share"]])
    both = found.merge(sorted_, on=["item_id", "option"])
    assert np.allclose(both["corrected_x"], both["corrected_y"]) and np.allclose(found.groupby("item_id")["corrected"].sum(), 1)
    by_rows, by_names = verdict(found, truth.loc[new.index, "share"]), verdict(found, truth)
    assert by_rows.equals(by_names) and by_names["n"].iloc[0] == 4 and by_names["rows"].iloc[0] == 12
    with pytest.raises(ValueError, match="truth lacks 3 of 12 rows, such as i10 × "):
        verdict(found, truth[truth["item_id"] != "i10"])
    with pytest.raises(ValueError, match="stands twice"):
        verdict(found, pd.concat([truth, truth]))


def test_the_gain_is_as_uncertain_as_its_items():
    "Options of one item err together: 95 % intervals from 18 items hold the mean gain in 93 to 97 %."

    def study(n, rng):
        off = [rng.normal(0, s, (n, 1)) * [1, -0.5, -0.5] + rng.normal(0, 0.02, (n, 3)) for s in (0.08, 0.05)]
        return pd.DataFrame(
            {
                "item_id": np.repeat(np.arange(n).astype(str), 3),
                "uncorrected": 0.3 + off[0].ravel(),
                "corrected": 0.3 + off[1].ravel(),
            }
        )

    rng = np.random.default_rng(7)
    real = verdict(study(40_000, rng), np.full(120_000, 0.3), n_boot=2)["gain"].iloc[0]
    found = pd.concat([verdict(study(18, rng), np.full(54, 0.3), n_boot=300) for _ in range(1500)])
    assert 0.93 <= ((found["gain_low"] <= real) & (real <= found["gain_high"])).mean() <= 0.97
    assert found["n"].eq(18).all() and found["rows"].eq(54).all()
    one = verdict(study(1, rng), np.full(3, 0.3))
    assert one[["gain_low", "gain_high"]].isna().all(axis=None) and one["n"].iloc[0] == 1


def test_a_correction_worse_than_the_other_items_is_called_so():
    "Simulated shares that are noise, and items that are all alike: the other items' mean is better than any map of the noise."
    rng = np.random.default_rng(0)
    _, truth = planted(12, 1)
    noise = truth.assign(share=rng.dirichlet(np.ones(3), 12).ravel())
    alike = truth.assign(share=rng.dirichlet(np.ones(3) * 200, 12).ravel())
    for kind in ("shift", "cutpoints"):
        found = leave_out(noise, alike, kind, over="item_id", items=scale_items(12))
        total = found.groupby("option")["real"].transform("sum")
        assert np.allclose(found["other_items"], (total - found["real"]) / 11)
        worse = (found["corrected"] - found["real"]).abs().mean() > (found["other_items"] - found["real"]).abs().mean()
        assert worse and found.attrs["verdict"].endswith("worse than the mean of the other items")


def test_an_item_under_two_names_is_not_left_out_of_itself():
    simulated, truth = planted(8, 3)
    twice = lambda f: pd.concat([f, f[:6].assign(item_id=f["item_id"] + "_b")])
    with pytest.raises(ValueError, match="2 items × groups have the same simulated and true shares .* q000, q000_b"):
        leave_out(twice(simulated), twice(truth), "shift", over="item_id")
    alike = simulated.assign(share=np.tile(simulated["share"][:3], 8))  # a model that says the same of every item is none of this
    assert len(leave_out(alike, truth, "shift", over="item_id")) == 24


def test_items_without_a_topic_are_named():
    simulated, truth = planted(8, 3)
    items = scale_items(8)
    items.loc[[2, 5], "topic"] = None
    with pytest.warns(UserWarning, match=r"2 of 8 items have no topic \(q002, q005\): they are learned from, but not corrected"):
        found = leave_out(simulated, truth, "shift", items=items)
    assert found["item_id"].nunique() == 6


def test_leaving_topics_out_uses_no_truth_of_the_topic():
    simulated, truth = planted(30, 3)
    items = scale_items(30)
    found = leave_out(simulated, truth, items=items)
    assert set(found["topic"]) == set("xyz") and found.attrs["verdict"] == "better" and len(found) == 90
    other = truth.copy()
    mine = other["item_id"].isin(items.loc[items["topic"] == "x", "item_id"])
    other.loc[mine, "share"] = 1 / 3
    again = leave_out(simulated, other, items=items)
    same = found["topic"] == "x"
    assert np.array_equal(found.loc[same, "corrected"], again.loc[same, "corrected"]) and not np.allclose(
        found["corrected"], again["corrected"]
    )


def test_a_harmful_correction_is_called_so():
    rng = np.random.default_rng(1)
    simulated, truth = planted(30, 4, slope=1, shift=(0, 0, 0), noise=0)
    train = truth[:30].assign(share=np.tile([0.8, 0.1, 0.1], 10))
    found = fit_correction(simulated[:30], train, "shift").apply(simulated[30:])
    table = verdict(found, truth["share"][30:], baseline=truth["share"][30:] + 0.001).iloc[0]
    assert table["verdict"] == "worse than no correction and worse than the baseline" and table["gain_high"] < 0
    with pytest.raises(ValueError, match="same order"):
        verdict(found, rng.random(3))


# acquiescence -----------------------------------------------------------------------------------------------------------------------


def test_acquiescence_is_taken_off():
    rng = np.random.default_rng(5)
    content, style, n, pairs = rng.normal(0, 0.8, 2000), 0.7, 300, {}
    rows = []
    for i, c in enumerate(content):
        pairs[f"a{i}"] = f"b{i}"
        rows += [(f"a{i}", rng.binomial(n, special.expit(c + style)) / n, n), (f"b{i}", rng.binomial(n, special.expit(-c + style)) / n, n)]
    found = acquiescence(pd.DataFrame(rows, columns=["item_id", "share", "n"]), pairs)
    truth = special.expit(content)
    assert 0.93 <= ((found["low"] <= truth) & (truth <= found["high"])).mean() <= 0.97
    assert abs((found["corrected"] - truth).mean()) < 0.003 and (found["uncorrected"] - truth).mean() > 0.1
    assert found["acquiescence"].mean() == pytest.approx(style, abs=0.01)
    with pytest.raises(ValueError, match="no item 'z'"):
        acquiescence(pd.DataFrame(rows, columns=["item_id", "share", "n"]), {"a0": "z"})


def pair_answers(seed, n=300, style=0.8, spread=1.5):
    "The same people answer a statement and its reversal; how far they hold with it differs between them."
    rng = np.random.default_rng(seed)
    content = rng.normal(0.4, spread, n)
    chance = special.expit(np.r_[content + style, -content + style])
    return pd.DataFrame(
        {
            "persona_id": np.tile(np.arange(n), 2),
            "item_id": np.repeat(["for", "against"], n),
            "option": np.where(rng.random(2 * n) < chance, "Agree", "Disagree"),
            "status": "ok",
        }
    )


def test_people_who_answer_both_wordings_answer_alike():
    "Intervals from answers hold; those from shares alone are too narrow for the share, too wide for the style."
    truth = special.expit(np.random.default_rng(0).normal(0.4, 1.5, 10**6)).mean()
    held, widths = [], {"answers": [], "shares": []}
    for seed in range(200):
        answers = pair_answers(seed)
        row = acquiescence(answers, {"for": "against"}, affirm="Agree").iloc[0]
        shares = answers["option"].eq("Agree").groupby(answers["item_id"]).agg(share="mean", n="size").reset_index()
        alone = acquiescence(shares, {"for": "against"}).iloc[0]
        assert row["corrected"] == pytest.approx(alone["corrected"], abs=1e-3) and row["uncorrected"] == alone["uncorrected"]
        held.append(row["low"] <= truth <= row["high"])
        widths["answers"].append((row["high"] - row["low"], row["acquiescence_high"] - row["acquiescence_low"]))
        widths["shares"].append((alone["high"] - alone["low"], alone["acquiescence_high"] - alone["acquiescence_low"]))
    assert abs(np.mean(held) - 0.95) < 3 * (0.05 * 0.95 / 200) ** 0.5
    (share, style), (share_alone, style_alone) = (np.mean(widths[k], axis=0) for k in ("answers", "shares"))
    assert share > 1.1 * share_alone and style < 0.93 * style_alone


def test_acquiescence_of_answers_varies_as_a_bootstrap_of_people_says():
    answers = pair_answers(1, n=500)
    rng, again = np.random.default_rng(2), []
    wide = answers.pivot(index="persona_id", columns="item_id", values="option").eq("Agree").to_numpy(float)[:, [1, 0]]
    for _ in range(2000):
        p, q = wide[rng.integers(0, 500, 500)].mean(0)
        again.append((special.logit(p) - special.logit(q), special.logit(p) + special.logit(q)))
    row = acquiescence(answers, {"for": "against"}, affirm=["Agree"]).iloc[0]
    content = (special.logit(row["high"]) - special.logit(row["low"])) / (2 * 1.959964)
    style = (row["acquiescence_high"] - row["acquiescence_low"]) / (2 * 1.959964)
    assert [content, style] == pytest.approx(np.std(again, axis=0) / 2, rel=0.06)
    heavy = answers.assign(weight=np.tile(rng.uniform(0.2, 3, 500), 2))
    twice = pd.concat([answers, answers]).assign(draw=np.repeat([0, 1], len(answers)))
    assert acquiescence(heavy, {"for": "against"}, affirm="Agree")["n_eff"].item() < row["n_eff"]
    assert acquiescence(twice, {"for": "against"}, affirm="Agree")["high"].item() == pytest.approx(row["high"])


def test_the_variance_is_that_of_two_by_two_tables():
    "With half a person more in each cell; also where all answer alike, or nobody does."
    for cells in ([120, 60, 80, 40], [150, 150, 0, 0], [0, 0, 200, 100], [300, 0, 0, 0]):
        pairs = np.repeat([("Agree", "Agree"), ("Disagree", "Disagree"), ("Agree", "Disagree"), ("Disagree", "Agree")], cells, axis=0)
        answers = pd.DataFrame({"persona_id": np.repeat(np.arange(300), 2), "item_id": ["for", "against"] * 300, "option": pairs.ravel()})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            row = acquiescence(answers, {"for": "against"}, affirm="Agree", items=ITEMS_PAIR).iloc[0]
        both, neither, one, other = np.array(cells) + 0.5
        n = both + neither + one + other
        p, q = (both + one) / n, (both + other) / n
        slope = np.array([1 / (p * (1 - p)), -1 / (q * (1 - q))]) / 2
        cov = np.array([[p * (1 - p), both / n - p * q], [both / n - p * q, q * (1 - q)]]) / n
        content, spread = (special.logit(p) - special.logit(q)) / 2, np.sqrt(slope @ cov @ slope)
        ends = special.logit(row[["low", "corrected", "high"]].astype(float)).to_numpy()
        assert ends == pytest.approx(content + spread * np.array([-1.959964, 0, 1.959964]))
        assert row["uncorrected"] == pytest.approx((cells[0] + cells[2]) / 300) and row["n"] == 300


ITEMS_PAIR = Survey([Item(i, f"{i.title()} it.", ("Agree", "Disagree"), refusals=("Don't know",)) for i in ("for", "against")])


def test_refusals_do_not_deny_and_pairs_may_share_an_item():
    answers = pair_answers(2)
    unsure = answers.assign(option=answers["option"].mask(answers.index % 3 == 0, "Don't know"))
    row = acquiescence(unsure, {"for": "against"}, affirm="Agree", items=ITEMS_PAIR).iloc[0]
    said = unsure[(unsure["item_id"] == "for") & (unsure["option"] != "Don't know")]
    assert row["uncorrected"] == pytest.approx(said["option"].eq("Agree").mean())
    shares = pd.DataFrame({"item_id": ["for", "against", "f2"], "share": [0.6, 0.5, 0.7], "n": 100})
    found = acquiescence(shares, {"for": "against", "f2": "against"})
    alone = [acquiescence(shares, {i: "against"}) for i in ("for", "f2")]
    assert np.allclose(found[["low", "high"]], pd.concat(alone)[["low", "high"]])
    both = acquiescence(answers, {"for": "against", "against": "for"}, affirm="Agree")
    assert both["corrected"].sum() == pytest.approx(1) and both["acquiescence"].nunique() == 1
    with pytest.warns(UserWarning, match="0 answered them alike, or unlike"):
        acquiescence(answers.assign(option="Agree"), {"for": "against"}, affirm="Agree")


@pytest.mark.parametrize(
    ("change", "given", "message"),
    [
        (lambda a: a, {}, "affirm= is needed"),
        (lambda a: a, {"affirm": []}, "affirm= is needed"),
        (lambda a: a, {"affirm": "Yes"}, "item 'for': none of its options .*'Agree'.* is in affirm=, which has 'Yes'"),
        (lambda a: a.assign(option=a["option"].mask(a["item_id"] == "against", "No")), {"affirm": "Agree"}, "none of its options 'No'"),
        (lambda a: a[a["item_id"] == "for"], {"affirm": "Agree"}, "there is no item 'against', or no valid answer"),
        (lambda a: a.assign(weight=a["item_id"].eq("for").astype(float)), {"affirm": "Agree"}, "no item 'against', or no valid"),
        (lambda a: a.assign(persona_id=a["persona_id"].where(a.index != 3)), {"affirm": "Agree"}, "row 3 has no persona_id"),
        (lambda a: a.drop(columns="option"), {"affirm": "Agree"}, "missing column option; or give shares"),
        (lambda a: a.assign(tier=np.where(a["persona_id"] < 9, "meta", "descriptive")), {"affirm": "Agree"}, "several values of tier"),
        (lambda a: a.assign(weight=-1), {"affirm": "Agree"}, "weight must be a number"),
    ],
)
def test_answers_that_cannot_show_acquiescence_are_named(change, given, message):
    with pytest.raises((ValueError, TableError), match=message):
        acquiescence(change(pair_answers(1, 40)), {"for": "against"}, **given)


# ensembles --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_ensemble_weights_equal_an_optimiser(seed):
    rng = np.random.default_rng(seed)
    x = rng.random((40, 4))
    y = x @ rng.dirichlet(np.ones(4) / 2) + 0.1 * rng.normal(size=40)
    there = optimize.minimize(
        lambda w: ((y - x @ w) ** 2).sum(),
        np.full(4, 0.25),
        method="SLSQP",
        bounds=[(0, 1)] * 4,
        options={"ftol": 1e-15},
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
    )
    assert np.allclose(_simplex(x, y), there.x, atol=1e-5) and _simplex(x, y).sum() == pytest.approx(1)


def test_ensembles_are_learned_on_the_past_and_hold():
    held = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth = rng.uniform(0.3, 0.7, 102)
        x = pd.DataFrame(
            {"a": truth + 0.05 * rng.normal(size=102), "b": truth + 0.05 * rng.normal(size=102), "c": rng.random(102)},
            index=pd.MultiIndex.from_product([[2016, 2020], range(51)]),
        )
        ensemble = fit_ensemble(x[:51], truth[:51])
        found = ensemble.apply(x[51:])
        held.append(((found["low"] <= truth[51:]) & (truth[51:] <= found["high"])).mean())
    assert 0.93 <= np.mean(held) <= 0.97 and ensemble.weights["c"] < 0.05
    assert np.abs(found["corrected"] - truth[51:]).mean() < np.abs(found["uncorrected"] - truth[51:]).mean()
    with pytest.raises(ValueError, match="was trained on"):
        ensemble.apply(x[:51])
    with pytest.raises(ValueError, match="51 of 51 rows have the same shares as rows that were trained on"):
        ensemble.apply(x[:51].reset_index(drop=True).rename("new {}".format))
    with pytest.raises(ValueError, match="was trained on and cannot be scored"):
        ensemble.apply(
            x[:1].rename(index=lambda u: tuple(f"{p} " for p in u) if isinstance(u, tuple) else f"{u} " if isinstance(u, str) else u)
        )
    with pytest.raises(ValueError, match="no column 'c'"):
        ensemble.apply(x[51:][["a", "b"]])
    with pytest.raises(ValueError, match="more units than estimates"):
        fit_ensemble(x[:3], truth[:3])


def test_truth_with_names_is_matched_by_them():
    rng = np.random.default_rng(1)
    truth = pd.Series(rng.uniform(0.3, 0.7, 40), index=[f"s{i}" for i in range(40)])
    x = pd.DataFrame({"a": truth + 0.02 * rng.normal(size=40), "b": rng.random(40)})
    ensemble, again = fit_ensemble(x, truth), fit_ensemble(x, truth.sample(frac=1, random_state=1))
    assert ensemble.weights["a"] > 0.9 and ensemble.weights.equals(again.weights) and np.array_equal(ensemble.residuals, again.residuals)
    with pytest.raises(ValueError, match="39 of 40 rows have the same shares"):
        ensemble.apply(x.round(4).rename("new {}".format))
    with pytest.raises(ValueError, match="'S0' was trained on"):
        ensemble.apply(x.rename(str.upper))


# elections --------------------------------------------------------------------------------------------------------------------------


def voters(n, seed=1, lean=0.12, same=True, tier="planted", spread=0.0):
    "n persons per state, who vote as their state did, and lean to one side; the same persons in every year, or new ones."
    parts, off = [], np.random.default_rng(seed + 99).normal(0, spread, 51)
    for year in YEARS:
        real = results(year).set_index("state")["share"]
        state = np.repeat(real.index, n)
        luck = np.random.default_rng(seed if same else seed * 10_000 + year).random(len(state))
        voted = luck < real[state].to_numpy() + lean + np.repeat(off, n)
        parts.append(
            pd.DataFrame(
                {
                    "persona_id": [f"{s}-{i % n:03d}" for i, s in enumerate(state)],
                    "state": state,
                    "weight": 1.0,
                    "status": "ok",
                    "item_id": f"president_{year}",
                    "option": np.where(voted, *presidential_election(year)[0].options),
                    "tier": tier,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("same", [True, False])
def test_elections_are_corrected_and_the_intervals_hold(same):
    answers = voters(60, same=same, spread=0.05)
    for train, target in (([2016], 2020), ([2016, 2020], 2024)):
        found = correct_elections(answers, train_years=train, target_year=target)
        error = {c: 100 * (found[c] - found["real"]) for c in ("corrected", "uncorrected", "previous_election")}
        assert abs(error["uncorrected"].mean()) > 9 and abs(error["corrected"].mean()) < 2
        assert error["corrected"].abs().mean() < 0.4 * error["uncorrected"].abs().mean()
        assert ((found["low"] <= found["real"]) & (found["real"] <= found["high"])).mean() >= 0.9
        assert found["previous_election"].to_numpy() == pytest.approx(
            results(target).set_index("state")["previous"][found["state"]].to_numpy()
        )
        worse = error["corrected"].abs().mean() > error["previous_election"].abs().mean()
        assert ("worse than the previous election" in found["verdict"].iloc[0]) == worse


def test_the_result_of_the_target_changes_no_estimate(monkeypatch):
    import persona_kit.election_correction as module

    answers, real = voters(20), module.results
    before = correct_elections(answers, train_years=2016, target_year=2020)
    monkeypatch.setattr(
        module, "results", lambda year, **k: real(year, **k).assign(share=lambda f: 1 - f["share"]) if year == 2020 else real(year, **k)
    )
    after = correct_elections(answers, train_years=2016, target_year=2020)
    columns = ["corrected", "low", "high", "n_eff", "uncorrected", "previous_election"]
    assert np.array_equal(before[columns], after[columns]) and not np.allclose(before["real"], after["real"])


def test_target_and_later_years_are_refused():
    answers = voters(2)
    with pytest.raises(ValueError, match="2020 is the target and among the training years"):
        correct_elections(answers, train_years=[2016, 2020], target_year=2020)
    with pytest.raises(ValueError, match="training year 2024 comes after the target 2020"):
        correct_elections(answers, train_years=2024, target_year=2020)
    with pytest.raises(ValueError, match="no item 'president_2016'"):
        correct_elections(answers[answers["item_id"] != "president_2016"], train_years=2016, target_year=2020)
    with pytest.raises(ValueError, match="at least two years"):
        calibration_table(answers, years=[2020])


def test_tilted_persons_give_the_last_election():
    answers = voters(200, lean=-0.1)
    people = answers[["persona_id", "state", "weight"]].drop_duplicates("persona_id").assign(tier="planted")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tilted = tilt(answers, people, 2016)
    last = forecast(answers.drop(columns="weight"), tilted.drop(columns="tilted_to"), 2016)  # only without the mark: nothing is scored here
    assert np.allclose(last["share"], last["real"], atol=1e-9)
    report = tilted.attrs["report"].set_index("state")
    for state in ("CA", "WY"):  # closed form for votes of 0 and 1
        mine = answers[(answers["state"] == state) & (answers["item_id"] == "president_2016")]
        up, p, t = mine["option"].str.contains("Democrat").to_numpy(), report.loc[state, "before"], report.loc[state, "target"]
        factor = tilted.set_index("persona_id").loc[mine["persona_id"], "tilt"].to_numpy()
        assert np.allclose(factor, np.where(up, t / p, (1 - t) / (1 - p)))
        assert report.loc[state, "effective_sample_size_after"] == pytest.approx(factor.sum() ** 2 / (factor**2).sum())
    carried = forecast(answers.drop(columns="weight"), tilted, 2020)
    plain = forecast(answers, year=2020)
    assert carried["error"].abs().mean() < 0.4 * plain["error"].abs().mean()
    national = tilt(answers, people, 2016, level="national").attrs["report"].iloc[0]
    assert national["after"] == pytest.approx(national["target"], abs=1e-9) and national["before"] < national["target"] - 0.05


def tilted_to(year, n=20):
    answers = voters(n)
    people = answers[["persona_id", "state", "weight"]].drop_duplicates("persona_id").assign(tier="planted")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="all persons voted the same way")
        return answers.drop(columns="weight"), tilt(answers, people, year), answers


@pytest.mark.parametrize(
    "score",
    [
        lambda a, p: correct_elections(a, p, train_years=2016, target_year=2020, kind="shift"),
        lambda a, p: calibration_table(a, p, years=(2016, 2020), n_boot=20),
        lambda a, p: evaluate(a, p, 2020, n_boot=20),
        lambda a, p: evaluate(a.merge(p[["persona_id", "weight", "tilted_to"]]), None, 2020, n_boot=20),
        lambda a, p: forecast(a, p, n_boot=20),
        lambda a, p: forecast(a, p.drop(columns="tier").sample(frac=1, random_state=1).assign(tier="x"), 2016, n_boot=20),
        lambda a, p: drift(pd.concat([a, a.assign(tier="meta")]), p, years=2020, n_boot=20),
    ],
)
def test_weights_that_hold_a_result_are_not_scored_on_it(score):
    answers, people, _ = tilted_to(2020)
    assert people["tilted_to"].eq(2020).all()
    with pytest.raises(ValueError, match=r"tilted to the result of 2020 \(column tilted_to\), so .*20(16|20) cannot .* later years only"):
        score(answers, people)


def test_weights_that_hold_an_earlier_result_are_scored_on_the_next_with_what_they_cost():
    answers, people, before = tilted_to(2016)
    found, plain = forecast(answers, people, 2020, n_boot=20), forecast(before, year=2020, n_boot=20)
    assert np.allclose(found["uncorrected"], plain["share"]) and not np.allclose(found["share"], plain["share"], atol=0.01)
    weight = people.set_index("state")["weight"]
    assert (
        found["n_eff"].iloc[0] == pytest.approx(weight["AK"].sum() ** 2 / (weight["AK"] ** 2).sum())
        and (found["n_eff"] <= found["n"] + 1e-9).all()
    )
    assert "n_eff" not in plain and evaluate(answers, people, 2020, n_boot=20)["kind"].eq("personas").any()
    with pytest.warns(UserWarning, match="of 3060 answers have a weight of their own, which counts"):
        assert np.allclose(forecast(before, people, 2020, n_boot=20)["share"], plain["share"])
    twice = tilt(answers, people.assign(tilted_to=2020), 2016)
    assert twice["tilted_to"].eq(2020).all() and np.allclose(twice["tilt"], people["tilt"])
    report = people.attrs["report"].set_index("state")
    assert (report["after_low"] < report["after"]).all() and (report["after"] < report["after_high"])[report["tilted"]].all()
    wide = 2 * 1.96 * np.sqrt(report["after"] * (1 - report["after"]) / report["effective_sample_size_after"])
    assert (report["after_high"] - report["after_low"])["CA"] == pytest.approx(wide["CA"], rel=0.15) and report.loc["DC", "after_low"] < 0.9


def test_the_year_of_a_tilt_goes_with_the_answers():
    ballot = presidential_election(2020)
    people = us_adults().sample(per_state=1, states=["CA", "WY"], seed=1).assign(tilted_to=2020, tilt=1.0)
    told = sample_answers(Respondent(items=ballot), people, ballot, seed=1)
    with pytest.raises(ValueError, match="tilted to the result of 2020"):
        evaluate(told, n_boot=20)


def test_a_correction_that_leaves_the_model_out_is_called_so():
    "Personas who vote at random: the correction is the past results, and says so."
    answers = voters(10)
    rng = np.random.default_rng(4)
    for year in YEARS:
        mine = answers["item_id"] == f"president_{year}"
        answers.loc[mine, "option"] = rng.choice(presidential_election(year)[0].options, mine.sum())
    found = correct_elections(answers, train_years=[2016, 2020], target_year=2024)
    assert 100 * (found["corrected"] - found["past_results"]).abs().mean() < 3
    table = calibration_table(answers, n_boot=50).query("method == 'shrinkage'")
    assert (table["verdict"].str.contains("past results alone") == (table["after"] > table["past"] - 0.01)).all()
    assert (table["after"] - table["past"]).abs().max() < 3 and table["before"].min() > 10


def test_states_that_cannot_be_tilted_are_named():
    answers = voters(3)
    people = answers[["persona_id", "state", "weight"]].drop_duplicates("persona_id").assign(tier="planted")
    with pytest.warns(UserWarning, match="all persons voted the same way in"):
        tilted = tilt(answers, people, 2016)
    report = tilted.attrs["report"]
    assert tilted.loc[tilted["state"].isin(report.loc[~report["tilted"], "state"]), "tilt"].eq(1).all()
    with pytest.warns(UserWarning, match=r"at the bounds \(0.9, 1.1\)"):
        tilt(voters(50), people.drop(columns="persona_id").assign(persona_id=people["persona_id"]), 2016, bounds=(0.9, 1.1))
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        tilt(answers, people, 2016, truth_last=pd.Series({"CA": 0.6}))


def test_the_table_has_every_method_and_calls_losers_losers():
    answers = pd.concat([voters(30), voters(30, seed=2, lean=-0.2, tier="other")], ignore_index=True)
    table = calibration_table(answers, n_boot=100)
    assert set(table["method"]) == {"none", "shift", "state_shift", "shrinkage", "tilt", "ensemble"} and len(table) == 2 * (2 * 5 + 1)
    assert ((table["after_low"] <= table["after"]) & (table["after"] <= table["after_high"])).all()
    assert (table["verdict"].str.contains("previous election") == (table["after"] > table["previous"])).all()
    for row in table[table["method"].eq("shrinkage") & table["tier"].eq("planted")].itertuples():
        train = [y for y in YEARS if y < row.year]
        found = correct_elections(answers[answers["tier"] == "planted"], train_years=train, target_year=row.year)
        assert row.after == pytest.approx(100 * (found["corrected"] - found["real"]).abs().mean())
    none = table[table["method"].eq("none")]
    assert np.allclose(none["before"], none["after"]) and none["gain"].abs().max() < 1e-9


# the electorate, and people who were asked ------------------------------------------------------------------------------------------------


def simulated_sample(per_state=30):
    "People of the census, who vote as their state did."
    people = us_adults().sample(per_state=per_state, seed=5)
    answers = voters(per_state).sort_values(["item_id", "state"], kind="stable")
    ids = people.sort_values("state", kind="stable")["persona_id"].to_numpy()
    return people, answers.assign(persona_id=np.tile(ids, len(YEARS))).drop(columns="weight")


def test_poststratified_and_modelled_rows_are_those_of_the_functions():
    people, answers = simulated_sample()
    by = ["state", "sex", "education"]
    table = calibration_table(answers, people, [2016, 2020], population=us_adults(), by=by[1:], n_boot=40).set_index("method")
    assert {"poststratified", "mrp", "mrp_shift"} < set(table.index)
    assert table["after"].between(table["after_low"], table["after_high"]).all()
    real, mine = results(2020).set_index("state")["share"], answers[answers["item_id"] == "president_2020"]
    left, cells = presidential_election(2020)[0].options[0], us_adults().frame
    post = poststratify(mine.merge(people[["persona_id", *by[1:]]]), None, cells, by, within="state", collapse=True)
    post = post.query("option == @left")
    assert table.loc["poststratified", "after"] == pytest.approx(100 * (post.set_index("state")["share"] - real).abs().mean())
    known = special.logit(results(2020).set_index("state")["previous"])
    found = mrp(mine, people[["persona_id", *by[1:]]], cells, by, left, predictors={"previous": known}, n_draws=40).set_index("state")
    assert table.loc["mrp", "after"] == pytest.approx(100 * (found["corrected"] - real).abs().mean(), abs=0.5)
    with pytest.raises(ValueError, match="personas: missing column income"):
        calibration_table(answers, people, [2016, 2020], population=us_adults(), by="income", n_boot=40)


def test_intervals_of_states_know_the_swing():
    from persona_kit import election_correction as module

    assert np.allclose(module._swings(2020), np.diff(special.logit([0.50270, 0.48759, 0.53689, 0.51964, 0.51113, 0.52268])), atol=2e-4)
    assert len(module._swings(2016)) == 4  # nothing of the target
    rng = np.random.default_rng(1)
    held = [abs(rng.normal()) <= module._added([module._swing(rng.normal(size=5))], 0.95) for _ in range(4000)]
    assert abs(np.mean(held) - 0.95) < 3 * (0.05 * 0.95 / 4000) ** 0.5


def test_errors_of_few_and_of_many_are_added():
    "A swing known from five, states' parts known well: the sum is held in 95 of 100, by no wider intervals than the root of squares."
    from persona_kit import election_correction as module

    rng = np.random.default_rng(2)
    for other in (0.05, 0.5, 1.0, 3.0):
        held, width, squares = [], [], []
        for _ in range(4000):
            swing = module._swing(rng.normal(size=5))
            reach = module._added([swing, (other, 1e9)], 0.95)
            held.append(abs(rng.normal() + rng.normal(0, other)) <= reach)
            width.append(reach)
            squares.append(np.hypot(module._added([swing], 0.95), 1.96 * other))
        assert abs(np.mean(held) - 0.95) < 0.005 + 3 * (0.05 * 0.95 / 4000) ** 0.5, other
        assert np.mean(width) <= np.mean(squares) + 1e-9
    assert module._added([(np.zeros(3), 5.0), (np.ones(3), 1e9)], 0.95) == pytest.approx(1.959964)


def test_the_rehearsal_says_how_much_of_the_last_swing_a_method_misses():
    "Of personas who show it, the interval is narrower than of those who vote as before; with one election known it is not."
    from persona_kit import election_correction as module

    rng = np.random.default_rng(5)
    y = rng.normal(0, 0.6, 51) + np.array([0.0, 0.5])[:, None] + rng.normal(0, 0.02, (2, 51))
    changes, noise = np.array([0.1, -0.1, 0.1, 0.1, 0.5]), np.full((3, 51), 1e-6)
    reach = {}
    for name, x in (("shows", np.vstack([y, y[1]])), ("stale", np.vstack([y[0], y[0], y[0]]))):
        known = module._Known(x, x, noise, y, y[0] - 0.1, 0.9)
        reach[name] = module._reach(known, "shift", changes, 0.95).mean()
        first = known._replace(x=x[:2], tilted=x[:2], noise=noise[:2], y=y[:1])
        assert module._reach(first, "shift", changes[:-1], 0.95).min() >= module._added([module._swing(changes[:-1])], 0.95)
    assert module._added([module._swing(np.r_[changes[:-1], 0])], 0.95) <= reach["shows"] < 0.5 * reach["stale"]
    assert reach["stale"] >= module._added([module._swing(changes)], 0.95) * 0.98


def test_who_is_drawn_is_not_scored():
    _, vote = load_benchmark("cces_2016_vote", by="education")
    people, rest = hold_out(vote, 300, seed=4)
    before = (vote["share"] * vote["n"]).round().to_numpy()
    drawn = people.groupby(["education", "option"]).size().reindex(pd.MultiIndex.from_frame(vote[["education", "option"]])).fillna(0)
    assert len(people) == 300 and np.allclose(before - drawn.to_numpy(), (rest["share"] * rest["n"]).to_numpy())
    assert people["persona_id"].is_unique and not people.equals(hold_out(vote, 300, seed=5)[0])
    with pytest.raises(ValueError, match="50000 people of 44,932 respondents"):
        hold_out(vote, 50_000)
    with pytest.raises(ValueError, match="no whole number of people"):
        hold_out(vote.assign(share=vote["share"] + 1e-4), 10)


def test_two_hundred_people_repair_a_lean_and_are_named_as_the_baseline():
    _, vote = load_benchmark("cces_2016_vote", by="race", groups=["White", "Black", "Hispanic"])
    shares = vote[vote["option"] == "Donald Trump"].set_index("race")["share"]
    rng, race = np.random.default_rng(3), np.repeat(["White", "Black", "Hispanic", "Martian"], 200)
    told = rng.random(800) < np.clip(pd.Series(race).map(shares).fillna(0.5) - 0.15, 0.01, 1)
    simulated = pd.DataFrame({"item_id": "vote_2016", "race": race, "status": "ok"})
    simulated["option"] = np.where(told, "Donald Trump", "Another candidate")
    with pytest.warns(UserWarning, match="0 respondents and 200 answers are in groups that the other side lacks"):
        table = human_sample_table(simulated, vote, "race", "Donald Trump", n_samples=4, baseline=0.5).set_index(["level", "method"])
    assert table.loc[("groups", "shift"), "after"] < 0.6 * table.loc[("groups", "none"), "after"]
    assert table.loc[("overall", "rectified"), "after"] < 0.5 * table.loc[("overall", "none"), "after"]
    worse = table["after"] >= table["people"]
    assert (table["verdict"].str.contains("people alone") == worse)[table.index.get_level_values(1) != "people"].all()
    real = np.average(shares, weights=vote.groupby("race")["n"].first()[shares.index])
    assert table.loc[("overall", "people"), "baseline"] == pytest.approx(100 * abs(real - 0.5))
    with pytest.raises(ValueError, match="20 people are too few"):
        human_sample_table(simulated, vote, "race", "Donald Trump", n_humans=20)
    with pytest.raises(ValueError, match="no group of 'race' is on both sides"):
        human_sample_table(simulated.assign(race="x"), vote, "race", "Donald Trump")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answers": {"weight": ["x"] + [1.0] * 599}}, "weight must be a number ≥ 0; row 0 has 'x'"),
        ({"answers": {"weight": [1.0] * 5 + [np.nan] * 595}}, "weight must be a number ≥ 0; row 5 has nan"),
        ({"answers": {"weight": [0.0] * 300 + [1.0] * 300}}, "all 300 answers of education '.*' have weight 0"),
        ({"weight": "w"}, "no column 'w' for the weights"),
        ({"baseline": 45}, "baseline is 45; shares lie between 0 and 1"),
        ({"baseline": pd.Series({"a": 0.4, "b": 40.0})}, "baseline of 'b' is 40"),
        ({"human": ["n"]}, "missing column human n"),
    ],
)
def test_a_human_sample_table_names_bad_input(change, message):
    _, vote = load_benchmark("cces_2016_vote", by="education")
    option = np.tile(["Donald Trump", "Another candidate"], 300)
    education = np.repeat(vote["education"].unique(), 300)
    simulated = pd.DataFrame({"item_id": "vote_2016", "education": education, "status": "ok", "option": option})
    simulated, vote = simulated.assign(**change.pop("answers", {})), vote.drop(columns=change.pop("human", []))
    with pytest.raises(ValueError, match=message):
        human_sample_table(simulated, vote, "education", "Donald Trump", n_samples=2, **change)


def test_weights_of_personas_count_in_every_row_that_uses_them():
    _, vote = load_benchmark("cces_2016_vote", by="education")
    option, education = np.tile(["Donald Trump", "Another candidate"], 300), np.repeat(vote["education"].unique(), 300)
    simulated = pd.DataFrame({"item_id": "vote_2016", "education": education, "status": "ok", "option": option})
    simulated["weight"] = np.where(simulated["option"] == "Donald Trump", 9.0, 1.0)
    table = human_sample_table(simulated, vote, "education", "Donald Trump", n_samples=2).set_index(["level", "method"])
    for method in ("none", "mrp"):  # nine in ten
        assert table.loc[("groups", method), "after"] == pytest.approx(
            100 * (0.9 - vote.query("option == 'Donald Trump'")["share"]).mean(), abs=2
        )


def test_a_verdict_tells_a_gain_from_chance():
    from persona_kit.election_correction import _words

    assert _words(9, 5, 6, 6, 1.0) == "better" and "no more than the draw of people" in _words(9, 5, 6, 6, -1.0)
    assert _words(5, 5, 6, 6) == "no better than no correction" and _words(5, 9, 6, 9).startswith(
        "worse than no correction and worse than the prev"
    )


def test_the_table_needs_no_baseline_and_says_how_often_intervals_hold():
    pytest.importorskip("statsmodels", reason="statsmodels is not installed (extra dev)")
    _, vote = load_benchmark("cces_2016_vote", by="education")
    rng, education = np.random.default_rng(5), np.repeat(vote["education"].unique(), 300)
    told = rng.random(600) < 0.6  # no difference between the groups, and far too high
    simulated = pd.DataFrame(
        {"item_id": "vote_2016", "education": education, "status": "ok", "option": np.where(told, "Donald Trump", "Another candidate")}
    )
    table = human_sample_table(simulated, vote, "education", "Donald Trump", n_samples=6)
    assert table["baseline"].isna().all() and not table["verdict"].str.contains("baseline").any()
    rows = table.set_index(["level", "method"])
    assert (
        rows["coverage"].notna().all()
        and rows.loc[[("groups", "none"), ("overall", "none"), ("overall", "poststratified")], "coverage"].eq(0).all()
    )
    low = rows["coverage"] < 0.9
    assert low.sum() >= 3 and (rows["verdict"].str.contains("intervals hold") == low).all()
    assert rows.loc[("overall", "none"), "verdict"].endswith("; intervals hold 0%") and not rows.loc[
        ("groups", "none"), "verdict"
    ].startswith("better")
    assert rows.loc[("overall", "none"), "n_eff"] == 600 and rows.loc[("groups", "none"), "n_eff"] == 300
    assert np.isnan(rows.loc[("groups", "shift"), "n_eff"]) and 150 < rows.loc[("overall", "shift"), "n_eff"] < 260


def test_intervals_of_uncorrected_shares_hold_what_personas_are_drawn_from():
    "Personas drawn from the truth itself: nothing to correct, and the intervals hold."
    _, vote = load_benchmark("cces_2016_vote", by="race", groups=["White", "Black", "Hispanic"])
    real = vote[vote["option"] == "Donald Trump"].set_index("race")
    rng, held = np.random.default_rng(6), []
    for _ in range(300):
        race = np.repeat(real.index, (200 * real["n"] / real["n"].sum()).round().astype(int) + 20)
        weight = pd.Series(race).map(real["n"] / pd.Series(race).value_counts()).to_numpy(float)
        yes = rng.random(len(race)) < real["share"][race].to_numpy()
        answers = pd.DataFrame({"race": race, "weight": weight, "option": np.where(yes, "Donald Trump", "x")})
        groups = _group_means(answers, "race", "Donald Trump", "weight").reindex(real.index).to_numpy()
        plain = float(np.average(yes, weights=weight))
        found = _with_sampling(answers, real, "race", "weight", groups, plain, 0.95)
        held.append(
            [_errors(found["none"], real)["groups"][1], *(_errors(found[m], real)["overall"][1] for m in ("none", "poststratified"))]
        )
    assert (np.abs(np.mean(held, axis=0) - 0.955) < 0.035).all()


@pytest.mark.parametrize(("share", "message"), [(1.2, "low' has the share 1.2"), ("half", "low' has the share 'half'")])
def test_shares_out_of_range_are_named(share, message):
    simulated, truth = planted(10, 1)
    wrong = simulated.astype({"share": object})
    wrong.loc[0, "share"] = share
    with pytest.raises(ValueError, match=message):
        fit_correction(wrong, truth)


FLAT = pd.DataFrame({"a": np.linspace(0, 1, 9)})
SCORED = pd.DataFrame({"corrected": [0.1, 0.2], "uncorrected": [0.1, 0.3]})


def bad_pairs(change):
    return acquiescence(pd.DataFrame({"item_id": ["a", "b"], "share": [0.6, 0.3], "n": [50, 50]}).assign(**change), {"a": "b"})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bad_pairs({"share": [1.3, 0.2]}), "item 'a' has share 1.3"),
        (lambda: bad_pairs({"item_id": ["b", "b"]}), "there twice"),
        (lambda: acquiescence(pd.DataFrame({"item_id": ["a"], "share": [0.6], "n": [9]}), {"a": "a"}), "its own reversal"),
        (lambda: fit_ensemble(FLAT, np.full(9, 1.7)), "truth between 1.7 and 1.7"),
        (lambda: fit_ensemble(FLAT, np.full(9, 0.5)).apply(pd.DataFrame({"a": [np.nan]}, index=["x"])), "unit 'x' lacks"),
        (lambda: tilt(voters(2), voters(2), 2016, bounds=(2, 1)), r"got \(2, 1\)"),
        (lambda: verdict(pd.DataFrame({"corrected": [0.1], "uncorrected": [0.1]}), [np.nan]), "none of 1 rows"),
        (lambda: hold_out(load_benchmark("gss_2018_spending")[1], 50), "holds 18 items"),
        (lambda: verdict(SCORED, [0.1, 34.0]), r"truth: row 1 has the share 34.0 \(1 such rows\)"),
        (lambda: verdict(SCORED, [0.1, 0.2], baseline=[-0.2, 0.2]), "baseline: row 0 has the share -0.2"),
        (lambda: verdict(SCORED, [0.1, 0.2], baseline="last"), "missing column last; there are corrected, uncorrected"),
        (lambda: fit_ensemble(FLAT, np.full(9, 0.5)).apply(pd.DataFrame({"a": [50.0]}, index=["x"])), "unit 'x' has the estimate 50.0"),
        (lambda: fit_ensemble(FLAT, np.full(9, 0.5)).apply(pd.DataFrame({"a": [np.inf]}, index=["x"])), "unit 'x' has the estimate inf"),
        (lambda: fit_ensemble(FLAT * 100, np.full(9, 0.5)), "unit 1 has the estimate 12.5"),
        (lambda: fit_ensemble(FLAT, pd.Series(0.5, index=range(1, 10))), r"unit 0 of estimates is not in truth \(1 such units\)"),
        (lambda: fit_ensemble(FLAT, pd.Series(0.5, index=range(10))), "unit 9 of truth is not in estimates"),
        (lambda: fit_ensemble(FLAT, np.full(8, 0.5)), "truth has 8 values for 9 units"),
        (lambda: acquiescence(pd.DataFrame({"item_id": ["a"]}), [("a", "b")]), "pairs: list given; a mapping of each statement"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_tilting_costs_is_warned_of_with_numbers():
    answers = voters(60, lean=-0.22)
    people = answers[["persona_id", "state", "weight"]].drop_duplicates("persona_id").assign(tier="planted")
    far = pd.Series(0.999, index=people["state"].unique())
    with pytest.warns(UserWarning, match="effective sample size falls to less than a tenth in .*WY.* to 1.7% at worst"):
        tilt(answers, people, 2016, truth_last=far, bounds=(1e-5, 1e5))
    with pytest.warns(UserWarning, match=r"are at the bounds \(0.5, 2\), in .* results are missed by up to \d+.\d points"):
        tilt(answers, people, 2016, truth_last=far, bounds=(0.5, 2))
    with pytest.warns(UserWarning, match="the shares of 10 of 10 items and groups do not sum to 1, such as 0.500"):
        simulated, truth = planted(10, 1)
        fit_correction(simulated.assign(share=simulated["share"] / 2), truth)


def test_states_that_weigh_nothing_are_named():
    answers = voters(20).assign(weight=lambda f: f["state"].ne("CA").astype(float))
    with pytest.warns(UserWarning, match="1 of 51 states have no two-party answer with a weight above 0 .* left out: CA"):
        found = correct_elections(answers, train_years=2016, target_year=2020)
    assert len(found) == 50 and "CA" not in set(found["state"])
    with pytest.warns(UserWarning, match="1 of 51 states"):
        assert calibration_table(answers, n_boot=20)["n_states"].eq(50).all()


def test_few_answers_to_a_pair_are_warned_of():
    shares = pd.DataFrame({"item_id": ["a", "b"], "share": [0.6, 0.3], "n": [12, 400]})
    with pytest.warns(UserWarning, match="1 of 1 pairs rest on fewer than 25 answers, such as 'a' on 12"):
        acquiescence(shares, {"a": "b"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        acquiescence(shares.assign(n=25), {"a": "b"})


@pytest.mark.parametrize("kind", ["shift", "shrinkage", "cutpoints"])
@pytest.mark.parametrize("by", [[], ["state"]])
@pytest.mark.filterwarnings("ignore:.*residuals carry an interval")
def test_left_out_without_intervals_is_the_same_in_one_go(kind, by):
    rng = np.random.default_rng(3)
    items = pd.DataFrame({"item_id": [f"i{k}" for k in range(9)], "options": [OPTIONS] * 9, "values": [[1, 2, 3]] * 9})
    items["topic"] = list("aaabbbccc")
    keys = items.loc[items.index.repeat(3 * (3 if by else 1)), ["item_id"]].reset_index(drop=True)
    keys["state"] = np.tile(np.repeat(list("XYZ"), 3), 9) if by else "X"
    keys["option"] = np.tile(OPTIONS, len(keys) // 3)
    draw = lambda: keys.assign(share=rng.dirichlet([3, 2, 4], len(keys) // 3).ravel())
    simulated, truth = draw().drop(columns=[] if by else "state"), draw().drop(columns=[] if by else "state")
    for over in ("topic", "item_id"):
        whole, quick = (leave_out(simulated, truth, kind, over=over, by=by, items=items, ci=ci) for ci in (0.95, None))
        both = whole.merge(quick, on=["item_id", *by, "option"], suffixes=("", "_quick"))
        assert len(both) == len(whole) == len(quick)
        for column in ("corrected", "uncorrected", "real"):
            assert np.allclose(both[column], both[f"{column}_quick"], atol=1e-10)
