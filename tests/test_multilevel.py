"""Multilevel regression and post-stratification: closer to planted truth than the answers alone, and its intervals."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import special

from persona_kit import multilevel
from persona_kit.calibration import _cells
from persona_kit.multilevel import mrp

GROUPS = [f"g{i:02d}" for i in range(51)]
CELLS = pd.MultiIndex.from_product([GROUPS, ["young", "middle", "old"]], names=["region", "age"]).to_frame(index=False)


def planted(seed, n=10):
    "n people in each of 51 groups, what is known of the groups, their population, and its true shares."
    rng = np.random.default_rng(seed)
    known = pd.Series(rng.normal(size=51), index=pd.Index(GROUPS, name="region"))
    odds = 0.5 * known[CELLS["region"]].to_numpy() + np.repeat(rng.normal(0, 0.4, 51), 3) + np.tile([0.5, 0, -0.5], 51)
    population = CELLS.assign(weight=rng.uniform(1, 3, len(CELLS)))
    place = np.repeat(np.arange(51) * 3, n) + rng.integers(0, 3, 51 * n)
    answers = CELLS.iloc[place].reset_index(drop=True).assign(persona_id=np.arange(51 * n), item_id="q", status="ok")
    answers["option"] = np.where(rng.random(51 * n) < special.expit(odds[place]), "yes", "no")
    sums = population.assign(p=special.expit(odds) * population["weight"]).groupby("region")[["p", "weight"]].sum()
    return answers, known, population, (sums["p"] / sums["weight"]).to_numpy()


def test_estimates_are_closer_than_answers_and_intervals_hold():
    "Thirty samples of 51 groups: 1,530 intervals."
    held, before, after = [], [], []
    for seed in range(30):
        answers, known, population, truth = planted(seed)
        found = mrp(answers, None, population, ["region", "age"], "yes", within="region", predictors={"known": known})
        assert list(found["region"]) == GROUPS and found["n"].eq(10).all()
        held.append(((found["low"] <= truth) & (truth <= found["high"])).mean())
        before.append(np.abs(found["uncorrected"] - truth).mean())
        after.append(np.abs(found["corrected"] - truth).mean())
    assert np.mean(after) < 0.6 * np.mean(before)
    assert 0.93 <= np.mean(held) <= 0.97, np.mean(held)


def model_of(seed):
    answers, known, population, _ = planted(seed)
    cells = _cells(population, ["region", "age"], "weight")
    place = multilevel._place(cells, answers, ["region", "age"])
    return multilevel._design(
        cells, ["region", "age"], {"known": known}, place, answers["option"].eq("yes").to_numpy(float), np.ones(len(answers))
    )


def test_the_mode_is_that_of_statsmodels():
    "Its log posterior at given standard deviations is flat where ours has its mode, and falls around it."
    library = pytest.importorskip("statsmodels.genmod.bayes_mixed_glm", reason="statsmodels is not installed (extra dev)")
    model, log_sd = model_of(3), np.log([0.4, 0.5])
    found = multilevel._mode(multilevel._counted(model), log_sd, np.zeros(len(model.ident)))
    rows, fixed = model.design[model.cell], model.ident < 0
    theirs = library.BinomialBayesMixedGLM(model.y, rows[:, fixed], rows[:, ~fixed], model.ident[~fixed], vcp_p=1, fe_p=2)
    at = lambda b: np.r_[b[fixed], log_sd, b[~fixed]]
    slope = np.delete(theirs.logposterior_grad(at(found.effects)), [2, 3])
    assert np.abs(slope).max() < 1e-4
    moved = found.effects + 0.1 * np.random.default_rng(1).normal(size=len(found.effects))
    assert theirs.logposterior(at(moved)) < theirs.logposterior(at(found.effects))


def test_standard_deviations_are_averaged_over():
    "Weighted draws give the posterior that a fine grid gives, and shares vary more than at the likeliest standard deviations."
    model = model_of(4)
    data = multilevel._counted(model)
    axes = [np.linspace(-4, 1, 41), np.linspace(-3, 1.5, 37)]
    last = np.zeros(len(model.ident))
    logs = np.array([[multilevel._mode(data, np.array([a, b]), last).log for b in axes[1]] for a in axes[0]])
    chance = np.exp(logs - logs.max())
    mean = [chance.sum(1 - k) @ np.exp(axes[k]) / chance.sum() for k in (0, 1)]
    found, weight = multilevel._modes(data, 1)
    assert weight.sum() == pytest.approx(1) and 1 / (weight**2).sum() > 20
    grid = np.average([m.effects[2:53].std() for m in found], weights=weight)
    at = [np.array([[multilevel._mode(data, np.array([a, b]), last).effects[2:53].std() for b in axes[1][::6]] for a in axes[0][::5]])]
    some = chance[::5, ::6] / chance[::5, ::6].sum()
    assert grid == pytest.approx((some * at[0]).sum(), rel=0.1) and 0.1 < mean[0] < 1
    best = found[int(np.argmax(weight))]
    sure = best.effects + np.linalg.solve(best.root, np.random.default_rng(1).normal(size=(len(best.effects), 4000))).T
    narrow = special.expit(sure @ model.design.T).var(0).mean()
    assert multilevel._posterior(model, 4000, 1).var(0).mean() > narrow * 1.02


def test_groups_without_answers_get_wide_intervals():
    answers, known, population, truth = planted(1)
    some = answers[answers["region"] != "g00"]
    found = mrp(some, None, population, ["region", "age"], "yes", within="region").set_index("region")
    assert found.loc["g00", "n"] == 0 and np.isnan(found.loc["g00", "uncorrected"])
    assert found.loc["g00", "se"] > found["se"].drop("g00").max()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"option": "maybe"}, "0 of 510 answers are 'maybe'"),
        ({"within": "sex"}, "must be among by"),
        ({"predictors": {"known": pd.Series({"g00": 1.0})}}, "predictor 'known' has no number for region 'g01'"),
        ({"by": ["region", "sex"]}, "missing column sex"),
        ({"n_draws": 0}, "n_draws must be a whole number"),
        ({"predictors": {"known": pd.Series([1.0, 2.0], index=["g00", "g00"])}}, "'g00' stands twice"),
        ({"predictors": {"known": {"g00": 1.0}}}, "predictor 'known' is a dict; give a Series"),
        ({"item_id": "z"}, "no answer to item 'z'; there are q"),
        ({"weight": "w"}, "answers: no column 'w' for the weights"),
        ({"weight": "age"}, "age must be a number"),
    ],
)
def test_bad_input_is_named(change, message):
    answers, known, population, _ = planted(1)
    given = {"by": ["region", "age"], "option": "yes", "within": "region", "predictors": {"known": known}} | change
    with pytest.raises(ValueError, match=message):
        mrp(answers, None, population, **given)


def test_too_few_answers_are_refused():
    answers, known, population, _ = planted(1)
    with pytest.raises(ValueError, match="20 answers are too few for a multilevel model; at least 30"):
        mrp(answers.head(20), None, population, ["region", "age"], "yes", within="region")


def test_weights_count_within_cells():
    "Those that are the same in a cell change nothing; among others, people of one kind count ten times."
    answers, _, population, _ = planted(2)
    about = {"population": population, "by": ["region", "age"], "option": "yes", "within": "region", "n_draws": 50}
    plain = mrp(answers, None, **about)
    alike = answers.assign(weight=answers["region"].str[1:].astype(float) + answers["age"].eq("old") + 1)
    same = mrp(alike, None, **about)
    assert np.allclose(same["corrected"], plain["corrected"], atol=1e-6)
    heavy = answers.assign(weight=np.where(answers["option"] == "yes", 10.0, 1.0))
    moved = mrp(heavy, None, **about)
    share = heavy.assign(y=heavy["option"].eq("yes") * heavy["weight"]).groupby("region")[["y", "weight"]].sum().eval("y / weight")
    assert np.allclose(moved["uncorrected"], share) and (moved["corrected"] > plain["corrected"]).mean() > 0.9
    data = multilevel._counted(model_of(2)._replace(weight=heavy["weight"].to_numpy()))
    assert (data.n <= multilevel._counted(model_of(2)).n + 1e-9).all() and (data.y <= data.n + 1e-9).all()
    without = mrp(answers.assign(weight=answers["region"].ne("g00").astype(float)), None, **about).set_index("region")
    assert without.loc["g00", "n"] == 0 and np.isnan(without.loc["g00", "uncorrected"])


def test_labels_that_differ_are_named():
    answers, _, population, _ = planted(1)
    with pytest.raises(ValueError, match="none of the 510 answers is in a cell of the population: they have 'G00'.*it has 'g00'"):
        mrp(answers.assign(region=answers["region"].str.upper()), None, population, ["region", "age"], "yes", within="region")


def test_few_answers_per_group_are_warned_of():
    "With the number; not if the same people are in fewer groups."
    answers, _, population, _ = planted(1, n=7)
    with pytest.warns(UserWarning, match="357 answers in 51 categories of region are 7.0 each.*fewer than 8 each.*Ask 408 people"):
        mrp(answers, None, population, ["region", "age"], "yes", within="region", n_draws=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mrp(answers, None, population, ["region", "age"], "yes", within="age", n_draws=20)


def test_answers_of_one_kind_only():
    "A table of methods may meet them; `mrp` itself refuses them, also if others are in no cell."
    model = model_of(5)
    shares = multilevel._posterior(model._replace(y=np.ones(len(model.y))), 200, 1).mean(0)
    assert shares.min() > 0.9 and np.isfinite(shares).all()
    answers, _, population, _ = planted(1)
    away = answers["option"].eq("no")
    with pytest.warns(UserWarning, match="are in no cell"), pytest.raises(ValueError, match="in a cell are 'yes'; a model needs both"):
        mrp(answers.assign(region=answers["region"].mask(away, "elsewhere")), None, population, ["region", "age"], "yes", within="region")
