"""Rectification: equal to ppi-python, right on planted truth with weights and strata, intervals that hold, clear refusals."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from persona_kit.rectification import human_worth, humans_needed, rectify


def sides(n, n_all, seed, bias=0.3, rho=0.7):
    "Human numbers, and those of a model that is biased and correlated."
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n + n_all)
    f = rho * y + np.sqrt(1 - rho**2) * rng.normal(size=n + n_all) + bias
    return y[:n], f[:n], f[n:]


def design(n, n_all, seed, link="ols"):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n + n_all, 2))
    eta = x @ [0.5, -0.8] + 0.2
    if link == "logit":
        y = (rng.random(n + n_all) < 1 / (1 + np.exp(-eta))).astype(float)
        f = np.clip(0.6 * y + 0.3 * rng.random(n + n_all), 0, 1)
    else:
        y = eta + rng.normal(size=n + n_all)
        f = 0.8 * y + 0.3 * x[:, 0] + 0.4 * rng.normal(size=n + n_all)
    return x[:n], y[:n], f[:n], x[n:], f[n:]


# ppi-python -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ppi():
    return pytest.importorskip("ppi_py", reason="ppi_py is not installed (pip install ppi-python==0.2.3, the second opinion)")


@pytest.mark.parametrize(("n", "n_all", "rho"), [(60, 400, 0.7), (300, 5000, 0.9), (50, 80, 0.0)])
def test_means_equal_ppi_python(ppi, n, n_all, rho):
    for seed in range(5):
        y, f, every = sides(n, n_all, seed, rho=rho)
        ours = rectify(y, f, every, folds=1, interval="normal").iloc[0]
        assert np.allclose(np.ravel(ppi.ppi_mean_ci(y, f, every, alpha=0.05)), [ours["low"], ours["high"]], rtol=0, atol=1e-9)
        assert ours["corrected"] == pytest.approx(float(np.ravel(ppi.ppi_mean_pointestimate(y, f, every))[0]), abs=1e-9)


def test_shares_equal_ppi_python(ppi):
    rng = np.random.default_rng(3)
    y, f, every = (np.array(list("abc"))[rng.choice(3, k, p=[0.5, 0.3, 0.2])] for k in (200, 200, 1000))
    f = np.where(rng.random(200) < 0.6, y, f)
    for row in rectify(y, f, every, estimand="share", folds=1, interval="normal").itertuples():
        there = ppi.ppi_mean_ci(*((v == row.term).astype(float) for v in (y, f, every)), alpha=0.05)
        assert np.allclose(np.ravel(there), [row.low, row.high], rtol=0, atol=1e-9)


def test_linear_coefficients_equal_ppi_python(ppi):
    for seed in range(3):
        x, y, f, x_all, every = design(120, 700, seed)
        ours = rectify(y, f, every, estimand="ols", x=x, x_all=x_all, folds=1, interval="normal", intercept=False)
        there = ppi.ppi_ols_ci(x, y, f, x_all, every, alpha=0.05)
        assert np.allclose(there, [ours["low"], ours["high"]], rtol=0, atol=1e-9)


def test_logistic_coefficients_equal_ppi_python(ppi, monkeypatch):
    "Its equations, solved to the last digit: its optimiser alone stops at about 1e-9."
    import ppi_py.ppi as module

    loose = module.minimize

    def tight(loss, start, jac, **options):
        near = loose(loss, start, jac=jac, **options).x
        found = optimize.root(jac, near, tol=1e-14)
        assert np.abs(jac(found.x)).max() < 1e-12
        return found

    monkeypatch.setattr(module, "minimize", tight)
    for seed in range(4):
        x, y, f, x_all, every = design(300, 1500, seed, "logit")
        ours = rectify(y, f, every, estimand="logit", x=x, x_all=x_all, folds=1, interval="normal", intercept=False)
        there = ppi.ppi_logistic_ci(x, y, f, x_all, every, alpha=0.05)
        assert np.allclose(there, [ours["low"], ours["high"]], rtol=0, atol=1e-9)


# planted truth ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "folds", "rho"), [(25, 5, 0.7), (100, 1, 0.9), (400, 5, 0.0)])
def test_intervals_of_means_hold(n, folds, rho):
    found = pd.concat([rectify(*sides(n, 1000, seed, rho=rho), folds=folds) for seed in range(1000)])
    assert 0.93 <= ((found["low"] <= 0) & (found["high"] >= 0)).mean() <= 0.97 + 0.007  # and one Monte Carlo error
    assert (
        abs(found["corrected"].mean()) < 3 * found["corrected"].std() / 1000**0.5 + 1e-3 and abs(found["uncorrected"].mean() - 0.3) < 0.01
    )
    assert found["se"].mean() == pytest.approx(found["corrected"].std(), rel=0.08 if n > 25 else 0.15)  # HC3 is wide on purpose
    if rho > 0:
        assert found["corrected"].std() < 0.9 * found["human"].std() and found["n_eff"].median() > 1.2 * n


def test_intervals_of_shares_hold_with_weights():
    "People of one side are asked three times as often; the weights undo it."
    held, plain, worst = 0, [], []
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        y = rng.random(4000) < 0.4
        f = np.where(rng.random(4000) < 0.7, y, rng.random(4000) < 0.6)
        asked = np.flatnonzero(rng.random(1500) < np.where(y[:1500], 0.3, 0.1))
        found = (
            rectify(y[asked], f[asked], f[1500:], estimand="share", weights=np.where(y[asked], 1 / 0.3, 1 / 0.1))
            .set_index("term")
            .loc[True]
        )
        held += found["low"] <= 0.4 <= found["high"]
        plain.append(y[asked].mean())
        worst.append(found["corrected"])
    assert 0.93 <= held / 1000 <= 0.97
    assert abs(np.mean(worst) - 0.4) < 0.005 and abs(np.mean(plain) - 0.4) > 0.2


def test_intervals_with_strata_hold_and_undo_the_allocation():
    truth, held, means = 0.8 * -1 + 0.2 * 1, 0, []
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        mine, theirs = np.repeat(["a", "b"], [30, 70]), np.repeat(["a", "b"], [800, 200])
        y, every = np.where(mine == "a", -1, 1) + rng.normal(size=100), np.where(theirs == "a", -1, 1) * 1.0 + rng.normal(size=1000)
        f, every = np.where(mine == "a", y + rng.normal(size=100), -y), np.where(theirs == "a", every + rng.normal(size=1000), -every)
        found = rectify(y, f, every, strata=(mine, theirs)).iloc[0]
        held += found["low"] <= truth <= found["high"]
        means.append(found["corrected"])
    assert 0.93 <= held / 1000 <= 0.97 and abs(np.mean(means) - truth) < 0.015


@pytest.mark.parametrize("people", [(3,) * 9, (12, 15)])
def test_intervals_hold_in_small_strata(people):
    "Strata below twenty share a power; those of three are a little too wide."
    held, k = 0, len(people)
    mean, size = np.linspace(-1, 1, k), np.linspace(100, 300, k).astype(int)
    mine, theirs = np.repeat(np.arange(k), people), np.repeat(np.arange(k), size)
    for seed in range(500):
        rng = np.random.default_rng(seed)
        y, every = mean[mine] + rng.normal(size=len(mine)), mean[theirs] + rng.normal(size=len(theirs))
        f, every = 0.7 * y + 0.7 * rng.normal(size=len(y)) + 0.3, 0.7 * every + 0.7 * rng.normal(size=len(every)) + 0.3
        found = rectify(y, f, every, strata=(mine, theirs)).iloc[0]
        held += found["low"] <= size @ mean / size.sum() <= found["high"]
    assert 0.93 - 0.01 <= held / 500 <= (0.995 if min(people) == 3 else 0.97 + 0.01)


def test_intervals_hold_with_unequal_weights():
    held = 0
    for seed in range(600):
        rng = np.random.default_rng(10_000 + seed)
        y, f, every = sides(50, 1000, seed)
        found = rectify(y, f, every, weights=np.exp(0.7 * rng.normal(size=50))).iloc[0]
        held += found["low"] <= 0 <= found["high"]
    assert 0.92 <= held / 600 <= 0.98


@pytest.mark.parametrize("link", ["ols", "logit"])
def test_intervals_of_coefficients_hold(link):
    truth = np.array([0.2, 0.5, -0.8])
    held = np.zeros(3)
    for seed in range(1000):
        x, y, f, x_all, every = design(200, 1000, seed, link)
        found = rectify(y, f, every, estimand=link, x=x, x_all=x_all)
        held += ((found["low"] <= truth) & (truth <= found["high"])).to_numpy()
    assert (held >= 930 - 7).all() and (held <= 970 + 7).all(), held  # three coefficients, each with a Monte Carlo error of 7


@pytest.mark.parametrize("weighted", [False, True])
def test_what_a_regression_takes_out_of_a_model_costs_linear_coefficients_nothing(weighted):
    "A constant bias of the model, or one along the predictors."
    x, y, f, x_all, every = design(60, 300, 4)
    weights = np.linspace(0.5, 2, 60) if weighted else None
    call = lambda bias, tilt: rectify(
        y, f + bias + tilt * x[:, 0], every + bias + tilt * x_all[:, 0], estimand="ols", x=x, x_all=x_all, weights=weights
    )
    same = ["corrected", "low", "high", "n_eff", "power", "human_low"]
    for bias, tilt in ((3, 0), (-50, 0), (1, 5)):
        np.testing.assert_allclose(call(bias, tilt)[same].to_numpy(float), call(0, 0)[same].to_numpy(float), rtol=1e-9, atol=1e-9)


def test_intervals_of_linear_coefficients_hold_with_a_biased_model_and_unequal_spread():
    found = []
    for seed in range(250):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=400)
        e = (0.3 + 0.7 * np.abs(x)) * rng.normal(size=400)
        f = 0.5 * x + 3 + 0.9 * e + 0.3 * rng.normal(size=400)
        found.append(rectify((1 + 0.5 * x + e)[:100], f[:100], f[100:], estimand="ols", x=x[:100], x_all=x[100:]).loc[1])
    found = pd.DataFrame(found).astype({"low": float, "high": float, "corrected": float, "se": float})
    held = ((found["low"] <= 0.5) & (found["high"] >= 0.5)).mean()
    assert 0.93 - 0.014 <= held <= 0.97 + 0.014  # and one Monte Carlo error
    assert found["se"].mean() == pytest.approx(found["corrected"].std(), rel=0.12) and found["power"].mean() > 0.6


def test_a_useless_model_is_said_to_be_one():
    rng = np.random.default_rng(1)
    found = rectify(rng.normal(size=200), rng.normal(size=200), rng.normal(size=1000)).iloc[0]
    assert "adds nothing" in found["verdict"] and found["high"] - found["low"] < 1.05 * (found["human_high"] - found["human_low"])
    constant = rectify(rng.normal(size=50), np.ones(50), np.ones(100)).iloc[0]
    assert constant["power"] == 0 and constant["corrected"] == pytest.approx(constant["human"])


# worth and need ---------------------------------------------------------------------------------------------------------------------


def test_the_worth_of_a_model_is_what_it_saves():
    y, f, every = sides(400, 20_000, 2, bias=0.2, rho=0.8)
    table = human_worth(y, f, every).set_index("use")
    found = rectify(y, f, every, folds=1).iloc[0]
    assert table.loc["beside the people", "worth"] == pytest.approx(found["n_eff"] - 400, rel=0.03)
    bias = f.mean() - y.mean()
    assert table.loc["alone", "worth"] == pytest.approx(y.var(ddof=1) / (bias**2 - (f - y).var(ddof=1) / 400 + every.var() / 20_000))
    truth = 400 * (1 / (1 - 0.64 / (1 + 400 / 20_000)) - 1)
    held = alone = 0
    for seed in range(300):
        rows = human_worth(*sides(400, 20_000, seed + 10, bias=0.2, rho=0.8), n_boot=300, seed=seed).set_index("use")
        held += rows.loc["beside the people", "low"] <= truth <= rows.loc["beside the people", "high"]
        alone += rows.loc["alone", "low"] <= 1 / (0.04 + 1 / 20_000) <= rows.loc["alone", "high"]
    assert 0.91 <= held / 300 <= 0.985 and 0.91 <= alone / 300 <= 0.985


def test_the_people_needed_give_the_width():
    need = humans_needed(0.2, sd=1, correlation=0.8, n_simulated=3000).set_index("estimate")["humans"]
    assert need["people alone"] == np.ceil((2 * 1.959964 / 0.2) ** 2)
    found = pd.concat([rectify(*sides(int(need["rectified"]), 3000, s, rho=0.8), interval="normal") for s in range(100)])
    assert (found["high"] - found["low"]).mean() == pytest.approx(0.2, rel=0.03)
    pilot = humans_needed(0.2, pilot=sides(200, 3000, 1, rho=0.8)).set_index("estimate")
    assert pilot.loc["rectified", "low"] <= pilot.loc["rectified", "humans"] <= pilot.loc["rectified", "high"]
    with pytest.raises(ValueError, match="must be positive"):
        humans_needed(-1)


# refusals ---------------------------------------------------------------------------------------------------------------------------


def test_too_few_people_are_refused_or_warned_of():
    y, f, every = sides(9, 100, 1)
    for call in (rectify, human_worth):
        with pytest.raises(ValueError, match="^9 human answers"):
            call(y, f, every)
    y, f, every = sides(24, 100, 1)
    with pytest.warns(UserWarning, match="24 human answers are too few for a claim: below 25"):
        rectify(y, f, every)
    y, f, every = sides(40, 100, 1)
    with pytest.warns(UserWarning, match=r"40 human answers, worth 16\.4 with these weights, are too few"):
        rectify(y, f, every, weights=[1] * 30 + [10] * 10)
    y = np.r_[np.ones(2), np.zeros(48)]
    with pytest.warns(UserWarning, match="rests on 2 of 50"):
        rectify(y, y, np.r_[y, y], estimand="share")
    y, f, every = sides(50, 500, 1)
    with pytest.warns(UserWarning, match=r"50 human answers give an interval 0\.\d+ wide, not 0\.1; about \d+ would be needed"):
        rectify(y, f, every, width=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rectify(y, f, every, width=2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"simulated_on_humans": np.zeros(3)}, "simulated_on_humans has 3 values where 40 are needed"),
        ({"human": np.r_[np.nan, np.zeros(39)]}, "human: row 0 has nan"),
        ({"estimand": "median"}, "unknown estimand"),
        ({"estimand": "ols"}, "regressions need x and x_all"),
        ({"interval": "exact"}, "unknown interval"),
        ({"folds": 0}, "folds must be"),
        ({"weights": -np.ones(40)}, "weights must be ≥ 0"),
        ({"strata": (["a"] * 40, ["a"] * 50 + ["b"] * 50)}, "stratum 'b' has 0 human answers"),
        ({"strata": (["a"] * 20 + ["b"] * 20, ["a"] * 100)}, "stratum 'b' has human answers but nobody among all"),
        ({"strata": "state"}, "strata must be a pair"),
        (
            {"strata": (["a"] * 20 + ["b"] * 20, ["a"] * 50 + ["b"] * 50), "weights": [1] * 20 + [0] * 19 + [1]},
            "stratum 'b': of its 20 rows among the people, 1 have a weight above 0 and at least 2 must",
        ),
        (
            {"strata": (["a"] * 20 + ["b"] * 20, ["a"] * 50 + ["b"] * 50), "weights_all": [1] * 50 + [0] * 50},
            "stratum 'b': of its 50 rows among all, 0 have a weight above 0",
        ),
    ],
)
def test_bad_input_is_named(change, message):
    y, f, every = sides(40, 100, 1)
    given = {"human": y, "simulated_on_humans": f, "simulated_on_all": every} | change
    with pytest.raises(ValueError, match=message):
        rectify(**given)


@pytest.mark.parametrize("estimand", ["mean", "share"])
def test_rare_answers_have_an_interval_with_width_and_are_warned_of(estimand):
    "Forty people of whom 3 % say yes: three in ten samples have nobody who does."
    rng, held, said = np.random.default_rng(8), [], 0
    for k in range(150):
        y, f, every = ((rng.random(n) < 0.03).astype(int) for n in (40, 40, 1000))
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            row = rectify(y, f, every, estimand=estimand, seed=k).iloc[-1]  # of shares: the share of 1
        held.append(row["low"] <= 0.03 <= row["high"] and row["human_low"] <= 0.03 <= row["human_high"])
        said += any("few people to tell shares from" in str(w.message) for w in heard)
        assert 0 <= row["low"] < row["high"] <= 1 and row["n_eff"] > 0
    assert np.mean(held) >= 0.93 and said >= 140


def test_a_mean_of_equal_answers_says_that_its_interval_says_nothing():
    with pytest.warns(UserWarning, match="all 40 people gave the same answer: the interval of 'mean' has no width"):
        rectify(np.full(40, 3.0), np.full(40, 3.0), np.full(100, 3.0))


def test_few_simulated_answers_and_worths_of_few_people_are_warned_of():
    y, f, every = sides(40, 100, 1)
    with pytest.warns(UserWarning, match="20 simulated answers are too few to stand for a population; at least 25"):
        rectify(y, f, every[:20])
    with pytest.warns(UserWarning, match=r"100 simulated answers, worth 2\.2 with these weights, are too few"):
        rectify(y, f, every, weights_all=np.r_[np.full(2, 1000.0), np.ones(98)])
    with pytest.warns(UserWarning, match="24 human answers are too few for a claim"):
        human_worth(y[:24], f[:24], every)
    with pytest.raises(ValueError, match="all 40 human answers are the same"):
        human_worth(np.ones(40), f, every)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rectify(y, f, every[:25])
        human_worth(y, f, every)


@pytest.mark.parametrize("link", ["ols", "logit"])
def test_predictors_of_frames_are_matched_by_name(link):
    x, y, f, x_all, every = design(60, 200, 1, link)
    x, x_all = (pd.DataFrame(v, columns=["age", "income"]) for v in (x, x_all))
    call = lambda x, x_all: rectify(y, f, every, estimand=link, x=x, x_all=x_all)
    pd.testing.assert_frame_equal(call(x, x_all), call(x, x_all[["income", "age"]]))
    pd.testing.assert_frame_equal(call(x, x_all), call(x, x_all.to_numpy()))
    for left, right, message in [
        (x, x_all.rename(columns={"age": "years"}), "^x has the column 'age' and x_all has not .x_all: years, income"),
        (x[["age"]], x_all, "^x_all has the column 'income' and x has not"),
        (x[["age", "age"]], x_all, "^x has two columns 'age'"),
    ]:
        with pytest.raises(ValueError, match=message):
            call(left, right)


NO_YES = {"human": ["no", "yes"] * 20, "simulated_on_humans": ["no", "yes"] * 20, "simulated_on_all": ["no", "yes"] * 50}
HALVES = pd.DataFrame({"no": [0.5] * 100, "yes": [0.5] * 100})
DROP_PEOPLE, DROP_POOL = "drop people without an answer on both sides", "drop such rows from the model's pool, on all that ends in _all"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"human": [None] + ["no"] * 39}, f"human: row 0 has no answer; {DROP_PEOPLE}"),
        ({"simulated_on_humans": ["no"] * 39 + [None]}, f"simulated_on_humans: row 39 has no answer; {DROP_PEOPLE}"),
        ({"simulated_on_all": ["no", np.nan] * 50}, f"simulated_on_all: row 1 has no answer; {DROP_POOL}"),
        ({"simulated_on_all": pd.Series(["no", pd.NA] * 50, dtype="string")}, f"simulated_on_all: row 1 has no answer; {DROP_POOL}"),
        ({"simulated_on_humans": ["no"] * 3}, "simulated_on_humans has 3 values where 40 are needed"),
        (
            {"human": ["NO", "YES"] * 20},
            r"no human answer \('NO', 'YES'\) is among the model's \('no', 'yes'\); spell the options alike on both sides",
        ),
        (
            {"simulated_on_all": HALVES * 100},
            r"simulated_on_all\['no'\]: row 0 has 50, which is no probability \(0 to 1\); divide percentages",
        ),
        ({"simulated_on_all": HALVES - 1}, r"simulated_on_all\['no'\]: row 0 has -0.5, which is no probability"),
        ({"simulated_on_humans": HALVES[["yes"]][:40], "simulated_on_all": HALVES}, "simulated_on_humans has no column 'no'; give it one"),
        ({"simulated_on_all": HALVES[["yes"]]}, "human: 'no' is none of the options .'yes'., the columns of simulated_on_all"),
        ({"simulated_on_humans": ["yes", "maybe"] * 20, "simulated_on_all": HALVES}, "simulated_on_humans: 'maybe' is none of the options"),
        ({"simulated_on_humans": HALVES[:40].assign(maybe=0), "simulated_on_all": HALVES}, "simulated_on_humans: 'maybe' is none of"),
        ({"simulated_on_all": HALVES[["yes", "yes"]]}, "simulated_on_all has two columns 'yes'"),
        ({"simulated_on_all": HALVES.to_numpy()}, r"simulated_on_all has the shape \(100, 2\); .* a DataFrame with a column per option"),
        (
            {"simulated_on_all": HALVES.drop(index=7).reindex(range(100))},
            rf"simulated_on_all\['no'\]: row 7 has nan, which is no number; {DROP_POOL}",
        ),
        ({"simulated_on_all": []}, "simulated_on_all is empty; give what the model answers as others, at least 25"),
    ],
)
def test_labels_and_probabilities_that_cannot_be_shares_are_refused(change, message):
    for call, more in ((rectify, {"estimand": "share"}), (human_worth, {"option": "yes"})):
        with pytest.raises(ValueError, match=message):
            call(**(NO_YES | change | more))


def test_options_that_differ_in_case_are_warned_of_and_all_options_have_a_row():
    with pytest.warns(
        UserWarning, match=r"differ only in case or spaces count as different ones: ' Yes', 'yes'; spell them alike"
    ) as heard:
        found = rectify(**NO_YES | {"simulated_on_all": ["no", " Yes"] * 50}, estimand="share")
    assert heard[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rectify(**{k: [*v, *["No"] * 9] for k, v in NO_YES.items()}, estimand="share")  # used on all sides: meant
    assert list(found["term"]) == [" Yes", "no", "yes"]
    only_there = rectify(**NO_YES | {"simulated_on_humans": ["no", "yes", "yes", "maybe"] * 10}, estimand="share")
    assert list(only_there["term"]) == ["maybe", "no", "yes"]
    probabilities = NO_YES | {"simulated_on_humans": HALVES[:40], "simulated_on_all": HALVES[["yes", "no"]]}
    assert list(rectify(**probabilities, estimand="share")["term"]) == ["yes", "no"]
    with pytest.raises(ValueError, match="option 'Yes' is none of the options .'no', 'yes'."):
        human_worth(**NO_YES, option="Yes")


def test_rows_in_another_order_are_refused_and_other_labels_go_by_position():
    y, f, every = (pd.Series(v) for v in sides(40, 100, 1))
    turned = f.sample(frac=1, random_state=1)
    for call in (rectify, human_worth):
        message = r"^simulated_on_humans has the row labels of human in another order .row 0: \d+, not 0.*give simulated_on_humans.loc"
        with pytest.raises(ValueError, match=message):
            call(y, turned, every)
        by_position = call(y.to_numpy(), f.to_numpy(), every.to_numpy())
        for same in (f, turned.loc[y.index], f.rename(lambda i: f"person {i}"), f.rename(lambda i: i + 1), f.to_numpy(), list(f)):
            pd.testing.assert_frame_equal(call(y, same, every), by_position)
    x, x_all = (pd.DataFrame({"age": np.random.default_rng(1).normal(size=len(v))}) for v in (y, every))
    for change, message in [
        ({"weights": y[::-1].abs()}, "^weights has the row labels of human"),
        ({"weights_all": every[::-1].abs()}, "^weights_all has the row labels of simulated_on_all"),
        ({"strata": (y[::-1] > 0, every > 0)}, r"^strata\[0\] has the row labels of human"),
        ({"estimand": "ols", "x": x, "x_all": x_all[::-1]}, "^x_all has the row labels of simulated_on_all"),
        ({"estimand": "ols", "x": x[::-1], "x_all": x_all, "simulated_on_humans": list(f)}, "^x has the row labels of human"),
    ]:
        with pytest.raises(ValueError, match=message):
            rectify(**{"human": y, "simulated_on_humans": f, "simulated_on_all": every} | change)


@pytest.mark.parametrize("link", ["ols", "logit"])
@pytest.mark.parametrize(
    ("change", "change_all", "message"),
    [
        ({"b": 7}, {}, r"x\['b'\] is 7 for all 60 people: it can have no coefficient of its own; drop it"),
        ({}, {"b": 0}, r"x_all\['b'\] is 0 for all 200 simulated people"),
        ({"c": lambda x: 2 * x["a"] - x["b"] + 3}, {}, r"x\['c'\] is the same as a sum of predictors before it \(intercept, a, b\)"),
        ({"b": lambda x: x["a"] > 0, "c": lambda x: x["a"] <= 0}, {}, r"x\['c'\] is the same as a sum .* of columns that sum to 1 one"),
        ({"b": "old"}, {}, r"x\['b'\]: row 0 has old, which is no number; code answers as numbers"),
    ],
)
def test_predictors_without_a_coefficient_of_their_own_are_named(link, change, change_all, message):
    x, y, f, x_all, every = design(60, 200, 1, link)
    x, x_all = (pd.DataFrame(v, columns=["a", "b"]).assign(c=np.arange(len(v)) % 7) for v in (x, x_all))
    with pytest.raises(ValueError, match=message):
        rectify(y, f, every, estimand=link, x=x.assign(**change), x_all=x_all.assign(**change_all))
    with pytest.raises(ValueError, match=r"x\[0\]: row 0 has old, which is no number; code answers as numbers"):
        rectify(y, f, every, estimand=link, x=[["old"]] * 60, x_all=[[1.0]] * 200)
    scaled = rectify(y, f, every, estimand=link, x=x.assign(b=x["b"] * 3e4 + 5e4), x_all=x_all.assign(b=x_all["b"] * 3e4 + 5e4))
    assert np.isfinite(scaled[["low", "high"]].to_numpy()).all()  # dollars are no constant


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("answer", "human: the predictor 'b' tells the answers 0 and 1 apart completely, so that its coefficient has no end; drop it"),
        ("group", "human: the predictor 'b' tells the answers"),
        ("model", "simulated_on_all: the predictor 'b' tells the answers"),
        ("same", "human: all 60 answers are 1"),
        ("together", "several predictors together tell the answers apart"),
    ],
)
def test_logistic_coefficients_without_an_end_are_named(case, message):
    x, y, f, x_all, every = design(60, 200, 1, "logit")
    x, x_all = (pd.DataFrame(v, columns=["a", "b"]) for v in (x, x_all))
    if case == "answer":
        x["b"] = y
    elif case == "group":
        x["b"] = (np.arange(60) < 9) * y
    elif case == "model":
        every = (x_all["b"] > 0).astype(float)
    else:
        y = np.ones(60) if case == "same" else (x["a"] + x["b"] > 0).astype(float)
    with pytest.raises(ValueError, match=message):
        rectify(y, f, every, estimand="logit", x=x, x_all=x_all)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"width": 6}, r"the width of a share must be below 1 \(± 3 points are 0.06\); got 6"),
        ({"width": 6, "pilot": ([0, 1] * 20, [0, 1, 1, 1] * 10, [0, 1] * 50)}, "the width of a share must be below 1"),
        ({"width": -1, "sd": 2}, "width must be positive; got -1"),
        ({"width": 0.1, "sd": -2}, "sd must be positive; got -2"),
        ({"width": 0.1, "share": 40}, "share must be between 0 and 1, such as 0.5; got 40"),
        ({"width": 0.1, "correlation": 60}, "correlation must be between -1 and 1; got 60"),
        ({"width": 0.1, "n_simulated": 0}, "n_simulated must be positive; got 0"),
        ({"width": 0.1, "design_effect": 0.5}, "design_effect must be ≥ 1; got 0.5"),
        ({"width": 0.1, "ci": 95}, "ci must be between 0 and 1, such as 0.95; got 95"),
        ({"width": 0.1, "ci": None}, "ci must be between 0 and 1, such as 0.95; got None"),
        (
            {"width": 0.06, "pilot": ([0, 1, 1], [0, 1, 1], [0, 1])},
            "pilot has 3 human answers, from which no correlation can be told; at least 10",
        ),
        ({"width": 0.06, "pilot": ([0, 1] * 20, [0, 1] * 19, [0, 1])}, "simulated_on_humans has 38 values where 40 are needed"),
        ({"width": 0.06, "pilot": ([0, 1] * 20, [0, 1] * 20)}, "pilot must be three"),
        ({"width": 0.06, "pilot": ([1] * 40, [0, 1] * 20, [0, 1])}, r"pilot: all 40 human answers are the same \(1\)"),
        ({"width": 0.06, "pilot": ([0, 1] * 20, [0, 1] * 20, [])}, "simulated_on_all is empty"),
    ],
)
def test_needs_that_cannot_be_told_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        humans_needed(**given)


def test_needs_below_ten_people_are_warned_of_and_any_spread_has_a_need():
    with pytest.warns(UserWarning, match="1 people would give an interval 6 wide, but fewer than 10 cannot be rectified"):
        humans_needed(6, sd=1)
    need = humans_needed(1e-4, pilot=(np.linspace(0.5, 0.5001, 12), np.linspace(0, 1, 12) ** 2, np.zeros(30)))
    assert (need["low"] <= need["humans"]).all() and (need["humans"] <= need["high"]).all()
    assert humans_needed(1e-6, sd=1, correlation=0.999, n_simulated=100)["humans"].between(1e12, 1e15).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [({"ci": 95}, "ci must be between 0 and 1"), ({"n_boot": 0}, "n_boot must be a whole number of at least 2, got 0")],
)
def test_worths_refuse_levels_and_draws_out_of_range(given, message):
    with pytest.raises(ValueError, match=message):
        human_worth(*sides(40, 100, 1), **given)
