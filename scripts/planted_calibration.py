"""Planted errors against what each correction leaves of them: bias, RMSE and how often the 95 % intervals hold.

    python scripts/planted_calibration.py                        every family (goes on where it stopped)
    python scripts/planted_calibration.py rectify mrp            some of them
    python scripts/planted_calibration.py --runs 20 --out x.csv  a quicker look, elsewhere
    python scripts/planted_calibration.py --endpoint             one study of each family through `ask` and the endpoint

People answer as a `Respondent` without dials does; the model as the same respondent with dials turned. The truth is the mean of the
people's probabilities over the whole population. A study draws people and answers (`respondent.sample_answers`) and calls the correction
as a user would; no correction is given what it is scored on. Written to `data/respondent/planted_calibration.csv`, one row per method, dial
and size:

- planted, before, after: means of the truth, of the uncorrected and of the corrected estimates;
- rmse_before, rmse_after, rmse_people: root mean squared errors in points; of the human answers alone, where there are any;
- coverage: share of the intervals that hold the truth, with its Monte Carlo error (over studies); width: their mean width in points;
- warned: share of the studies in which mrp warned that people are too few, and corrections by group that items are.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import pandas as pd
from scipy import special

from persona_kit import election_correction
from persona_kit.alignment import distribution
from persona_kit.calibration import balanced_shares, poststratify
from persona_kit.correction import acquiescence, conformal_radius, fit_correction, fit_ensemble
from persona_kit.measures import adjusted_shares
from persona_kit.multilevel import mrp
from persona_kit.personas import render
from persona_kit.population import us_adults
from persona_kit.rectification import rectify
from persona_kit.respondent import Respondent, probabilities, sample_answers
from persona_kit.simulation import ask
from persona_kit.surveys import Item, Survey, presidential_election
from persona_kit.tables import row_seeds

OUT = Path(__file__).resolve().parent.parent / "data" / "respondent" / "planted_calibration.csv"
PARTIES = ("strong Democrat", "Democrat", "leans Democrat", "independent", "leans Republican", "Republican", "strong Republican")
SURVEY = Survey(
    [
        Item("trust", "Most people can be trusted.", ("Agree", "Disagree")),
        Item("distrust", "Most people cannot be trusted.", ("Agree", "Disagree")),
        Item("calm", "Most days are calm.", ("Agree", "Disagree")),
        Item("unrest", "Most days are not calm.", ("Agree", "Disagree")),
        Item("color", "Which color do you like best?", ("red", "green", "blue")),
    ]
)
SCALE = ("Disagree", "Neither", "Agree")
LIST = Survey([Item(f"q{i:02d}", f"Statement {i} of the list is right.", SCALE, values=(1, 2, 3)) for i in range(60)])
ELECTIONS = presidential_election()
YEARS, KINDS = (2016, 2020, 2024), election_correction.METHODS[1:]
through_endpoint = False


class Row(NamedTuple):
    "Estimates of many studies (runs × estimates)."

    method: str
    dial: str
    size: str
    truth: np.ndarray
    before: np.ndarray
    after: np.ndarray
    low: np.ndarray
    high: np.ndarray
    people: np.ndarray | None = None
    warned: float = np.nan


# the respondents --------------------------------------------------------------------------------------------------------------------------


@cache
def population(per_state: int = 40) -> pd.DataFrame:
    "Everybody, with a party."
    people = us_adults().sample(per_state=per_state, seed=11)[["persona_id", "state", "age", "sex"]]
    party = np.array(PARTIES)[np.arange(len(people)) % 7]
    people = people.assign(weight=1.0, tier="subjective_tabular", party=party)
    return people.assign(text=render(people))


@cache
def loadings(own: bool = False) -> pd.DataFrame:
    "Party and state move trust, age and sex the color; what moves a statement moves its reversal the other way; calm moves nobody."
    lean = np.random.default_rng(2).normal(0, 0.5, 51)
    if own:  # states as somebody sees them who knows half of what makes them differ
        lean = (lean + np.random.default_rng(3).normal(0, 0.5, 51)) / 2**0.5
    states = sorted(population()["state"].unique())
    rows = [(i, "party", p, "Agree", s * 0.7 * (3 - j)) for i, s in (("trust", 1), ("distrust", -1)) for j, p in enumerate(PARTIES)]
    rows += [(i, "state", c, "Agree", s * v) for i, s in (("trust", 1), ("distrust", -1)) for c, v in zip(states, lean, strict=True)]
    rows += [("trust", "base", "", "Agree", 0.7), ("distrust", "base", "", "Agree", -0.7)]
    rows += [("calm", "base", "", "Agree", 0.4), ("unrest", "base", "", "Agree", -0.4)]
    rows += [("color", "sex", "Male", "red", 1.0), ("color", "age", "65+", "blue", 1.2), ("color", "base", "", "green", 0.3)]
    return pd.DataFrame(rows, columns=["item_id", "attribute", "value", "option", "loading"])


@cache
def respondent(own: bool = False, **dials: float) -> Respondent:
    "With the given dials turned."
    return Respondent(items=SURVEY, loadings=loadings(own), attributes=("age", "sex", "party", "state"), seed=4, **dials)


@cache
def chances(item: str, **dials: float) -> np.ndarray:
    "Shares of the options of everybody (people × options), averaged over the orders of the options."
    asked = SURVEY[item]
    return probabilities(respondent(**dials), population(), asked)["share"].to_numpy().reshape(-1, len(asked.options))


def draw(r: Respondent, people: pd.DataFrame, survey, seed: int) -> pd.DataFrame:
    "Answers with the columns of the people."
    if not through_endpoint:
        return sample_answers(r, people, survey, seed=seed)
    with r.model() as model:
        answers = ask(people, survey, model, seed=seed, progress=False)
    more = [c for c in people if c not in answers and c != "text"]
    return answers.merge(people[["persona_id", *more]], on="persona_id") if more else answers


def sample(rng: np.random.Generator, n: int, chance: np.ndarray | None = None) -> pd.DataFrame:
    "n people, drawn anew."
    people = population().iloc[rng.choice(len(population()), n, p=chance)].reset_index(drop=True)
    return people.assign(persona_id=[f"p{i:05d}" for i in range(n)])


def studies(runs: int, seed: int, name: str) -> Iterator[tuple[int, np.random.Generator]]:
    for run in range(runs):
        number = int(row_seeds(seed, name, str(run))[0] % 2**31)
        yield number, np.random.default_rng(number)


def rows_of(found: dict) -> Iterator[Row]:
    "From lists of tuples (truth, before, after, low, high, people, warned) per method, dial and size."
    for key, studies_ in found.items():
        parts = [np.array(p, dtype=float).reshape(len(studies_), -1) for p in zip(*studies_, strict=True)]
        people = parts[5] if len(parts) > 5 and np.isfinite(parts[5]).any() else None
        yield Row(*key, *parts[:5], people, float(parts[6].mean()) if len(parts) > 6 else np.nan)


# the families -----------------------------------------------------------------------------------------------------------------------------


def weights(runs: int, seed: int) -> Iterator[Row]:
    "The right answers of the wrong people: Democrats come e^(k s) times as often. Weights know the shares of the parties."
    found: dict = {}
    truth, margin = chances("trust").mean(0)[0], population()["party"].value_counts(normalize=True)
    lean = 1 - 2 * pd.Categorical(population()["party"], PARTIES).codes / 6
    for selection in (0.0, 0.5, 1.0):
        chance = np.exp(selection * lean) / np.exp(selection * lean).sum()
        for number, rng in studies(runs, seed, f"weights {selection}"):
            people = sample(rng, 400, chance)
            answers = draw(respondent(), people, SURVEY["trust"], number)
            post = poststratify(answers, None, population(), "party", items=SURVEY, collapse=True).query("option == 'Agree'").iloc[0]
            key = f"selection by party {selection:g}", "400 people"
            found.setdefault(("poststratify", *key), []).append((truth, post["uncorrected"], post["share"], post["low"], post["high"]))
            row = balanced_shares(answers, None, {"party": margin}, items=SURVEY).query("option == 'Agree'").iloc[0]
            found.setdefault(("balanced_shares", *key), []).append((truth, *row[["uncorrected", "share", "low", "high"]]))
    return rows_of(found)


DIALS = {"acquiescence 0.7": {"acquiescence": 0.7}, "homogenisation 0.6": {"homogenisation": 0.6}}
DIALS["both"] = DIALS["acquiescence 0.7"] | DIALS["homogenisation 0.6"]


def rectified(runs: int, seed: int) -> Iterator[Row]:
    "People and a model who answers as each of them and as 2,000 others."
    found: dict = {}
    truth = chances("trust").mean(0)[0]
    for dial, turned in DIALS.items():
        for n in (50, 100, 200, 400):
            for number, rng in studies(runs, seed, f"rectify {dial} {n}"):
                people, others = sample(rng, n), sample(rng, 300 if through_endpoint else 2000)
                human = draw(respondent(), people, SURVEY["trust"], number)["option"]
                model = draw(respondent(**turned), people, SURVEY["trust"], number + 1)["option"]
                everybody = draw(respondent(**turned), others, SURVEY["trust"], number + 2)["option"]
                row = rectify(human, model, everybody, estimand="share", seed=number).set_index("term").loc["Agree"]
                part = (truth, row["uncorrected"], row["corrected"], row["low"], row["high"], row["human"])
                found.setdefault(("rectify", dial, f"{n} humans"), []).append(part)
    return rows_of(found)


def state_truth(**dials: float) -> np.ndarray:
    return pd.Series(chances("trust", **dials)[:, 0]).groupby(population()["state"].to_numpy()).mean().to_numpy()


HUMANS = (200, 300, 500, 1000, 2000)


def multilevel(runs: int, seed: int) -> Iterator[Row]:
    """Simulated answers of ten people in each state, as an estimate of the people and of what the model would say of everybody; then few
    human answers, with the simulated share of each state as predictor."""
    found: dict = {}
    truth, logit = state_truth(), lambda share: special.logit(np.clip(share, 0.02, 0.98))
    for dial in (0.0, 0.7):
        own_truth = state_truth(acquiescence=dial) if dial else truth
        for number, _ in studies(max(runs // 10, 1), seed, f"mrp {dial}"):
            people = population().groupby("state").sample(10, random_state=number % 2**31).reset_index(drop=True)
            answers = draw(respondent(acquiescence=dial), people, SURVEY["trust"], number)
            row = mrp(answers, None, population(), ["state", "party"], "Agree", n_draws=500, seed=number)
            part = row[["uncorrected", "corrected", "low", "high"]].to_numpy().T
            key = f"acquiescence {dial:g}", "10 personas per state"
            found.setdefault(("mrp, simulated answers", *key), []).append((truth, *part))
            if dial:
                found.setdefault(("mrp, simulated answers, of the model", *key), []).append((own_truth, *part))
    for n, own in ((n, own) for own in (True, False) for n in HUMANS):
        for number, rng in studies(max(runs // 10, 1), seed, f"humans {n} {own}"):
            simulated = draw(respondent(own, acquiescence=0.7), population(), SURVEY["trust"], number)
            shares = simulated["option"].eq("Agree").groupby(simulated["state"].to_numpy()).mean().rename_axis("state")
            human = draw(respondent(), sample(rng, n), SURVEY["trust"], number + 1)
            with_model = {"predictors": {"simulated": logit(shares)}, "n_draws": 500, "seed": number}
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                row = mrp(human, None, population(), ["state", "party"], "Agree", **with_model)
            alone = row["uncorrected"].fillna(human["option"].eq("Agree").mean())
            part = (truth, shares.reindex(row["state"]).to_numpy(), *row[["corrected", "low", "high"]].to_numpy().T, alone.to_numpy())
            dial = "acquiescence 0.7" + ("" if own else ", states exact")
            warned = any("too few to tell" in str(w.message) for w in told)
            found.setdefault(("mrp, humans, simulation as predictor", dial, f"{n} humans"), []).append((*part, np.full(len(truth), warned)))
    return rows_of(found)


def list_shares(r: Respondent, people: pd.DataFrame) -> pd.DataFrame:
    "True shares of the statements among these people."
    shares = probabilities(r, people, LIST).groupby(["item_id", "option"], sort=False)["share"].mean().reset_index()
    return shares


def maps(runs: int, seed: int) -> Iterator[Row]:
    "Statements whose truth is known, and twenty others. The model adds to agreement; its logits may be 1.6 times as far apart."
    found: dict = {}
    groups, times = population().drop_duplicates(["sex", "age"]).groupby("sex").head(4), 5 if through_endpoint else 50
    each = [(*study, s) for s in (1.0, 1.6) for study in studies(max(runs // 10, 1), seed, f"maps {s}")]
    for number, rng, scale in each:
        about = {"attributes": ("age", "sex"), "items": LIST, "persona_spread": 0.3, "seed": number}
        people, model = Respondent(base_spread=0.7, **about), Respondent(base_spread=0.7 * scale, acquiescence=0.6, **about)
        many = groups.iloc[np.tile(np.arange(len(groups)), times)].assign(persona_id=[f"p{i}" for i in range(times * len(groups))])
        shares, truth = distribution(draw(model, many, LIST, number), items=LIST), list_shares(people, groups)
        order = rng.permutation([i.item_id for i in LIST])
        for kind in ("shift", "shrinkage", "cutpoints"):
            for n in (10, 20, 40):
                known = {name: f[f["item_id"].isin(order[:n])] for name, f in (("simulated", shares), ("truth", truth))}
                learned = fit_correction(known["simulated"], known["truth"], kind, items=LIST)
                new = learned.apply(shares[shares["item_id"].isin(order[40:])], items=LIST)
                new = new[new["option"] == "Agree"]
                real = new.merge(truth, on=["item_id", "option"])["share"].to_numpy()
                part = (real, *new[["uncorrected", "corrected", "low", "high"]].to_numpy().T)
                found.setdefault((kind, f"acquiescence 0.6, logits x {scale:g}", f"{n} items known"), []).append(part)
    return rows_of(found)


def groups(runs: int, seed: int) -> Iterator[Row]:
    "The same by sex: what the model gets wrong about a statement it gets wrong about men and women."
    found: dict = {}
    some, times = population().drop_duplicates(["sex", "age"]).groupby("sex").head(4), 5 if through_endpoint else 100
    many = some.iloc[np.tile(np.arange(len(some)), times)].assign(persona_id=[f"p{i}" for i in range(times * len(some))])
    for number, rng in studies(max(runs // 10, 1), seed, "groups"):
        about = {"attributes": ("age", "sex"), "items": LIST, "persona_spread": 0.3, "seed": number}
        people, model = Respondent(base_spread=0.7, **about), Respondent(base_spread=0.7 * 1.6, acquiescence=0.6, **about)
        shares = distribution(draw(model, many, LIST, number), by="sex", items=LIST)
        truth = pd.concat([list_shares(people, f).assign(sex=sex) for sex, f in some.groupby("sex")])
        order = rng.permutation([i.item_id for i in LIST])
        for kind in ("shift", "shrinkage"):
            for n in (10, 20, 40):
                known = [f[f["item_id"].isin(order[:n])] for f in (shares, truth)]
                with warnings.catch_warnings(record=True) as told:
                    warnings.simplefilter("always")
                    new = fit_correction(*known, kind, by="sex", items=LIST).apply(shares[shares["item_id"].isin(order[40:])], items=LIST)
                new = new[new["option"] == "Agree"]
                real = new.merge(truth, on=["item_id", "sex", "option"])["share"].to_numpy()
                warned = any("carry an interval" in str(w.message) for w in told)
                part = (
                    real,
                    *new[["uncorrected", "corrected", "low", "high"]].to_numpy().T,
                    np.full(len(new), np.nan),
                    np.full(len(new), warned),
                )
                found.setdefault((f"{kind}, by sex", "acquiescence 0.6, logits x 1.6", f"{n} items known"), []).append(part)
    return rows_of(found)


class Planted(NamedTuple):
    "A country: log-odds of each state in seven elections, and of each party in all of them; shares of the states."

    odds: np.ndarray
    share: np.ndarray


def country(rng: np.random.Generator) -> Planted:
    "States move together (standard deviation 0.15) and by themselves (0.1)."
    odds = rng.normal(0, 0.7, 51) + np.cumsum(rng.normal(0, 0.15, (7, 1)) + rng.normal(0, 0.1, (7, 51)), axis=0)
    share = special.expit(odds[..., None] + 0.8 * (3 - np.arange(7))).mean(-1)
    return Planted(odds, share)


def electorate(planted: Planted, stale: bool = False, **dials: float) -> Respondent:
    "Who votes as the states do in each election, or always as in the one before the first."
    names, rows = sorted(population()["state"].unique()), []
    for t, item in enumerate(ELECTIONS):
        rows += [(item.item_id, "state", s, item.options[0], v) for s, v in zip(names, planted.odds[3 if stale else 4 + t], strict=True)]
        rows += [(item.item_id, "party", p, item.options[0], 0.8 * (3 - j)) for j, p in enumerate(PARTIES)]
    table = pd.DataFrame(rows, columns=["item_id", "attribute", "value", "option", "loading"])
    return Respondent(items=ELECTIONS, loadings=table, attributes=("party", "state"), seed=5, **dials)


def voters(rng: np.random.Generator, per_state: int) -> pd.DataFrame:
    "People of each state, of any party."
    first = population().drop_duplicates(["state", "party"])[["state", "party", "tier", "weight"]]
    people = first.groupby("state").sample(per_state, replace=True, random_state=int(rng.integers(2**31))).reset_index(drop=True)
    return people.assign(persona_id=[f"v{i:05d}" for i in range(len(people))], text=voter_texts(people))


@cache
def _texts() -> pd.Series:
    first = population().drop_duplicates(["state", "party"])[["persona_id", "state", "party", "tier", "weight"]]
    return first.assign(text=render(first)).set_index(["state", "party"])["text"]


def voter_texts(people: pd.DataFrame) -> np.ndarray:
    return _texts().loc[pd.MultiIndex.from_frame(people[["state", "party"]])].to_numpy()


def results_of(planted: Planted) -> dict:
    "What the corrections may know, in place of the real results."
    place = {y: 4 + t for t, y in enumerate(YEARS)}
    order = sorted(population()["state"].unique())

    def known(years, states, column="share"):
        at = [order.index(s) for s in states]
        return np.array([planted.share[place[y] - (column == "previous")][at] for y in years])

    national = special.logit(planted.share.mean(1))
    return {"_known": known, "_swings": lambda last: np.diff(national[: place[last] + 1])}


LEANS = {"drift 6": {"drift": 6.0}, "homogenisation 0.4": {"homogenisation": 0.4}, "drift 6, votes as in 2012": {"drift": 6.0}}


def corrected(answers: pd.DataFrame) -> Iterator[tuple[str, list[int], int, pd.DataFrame]]:
    "As `correct_elections` for every kind, one and two known elections, but the votes are counted once."
    ballots = election_correction._count(answers, None, YEARS, None)
    ((key, places),) = election_correction._runs(ballots, YEARS)
    for train, target in (([2016], 2020), ([2016, 2020], 2024)):
        asked = places[: len(train) + 1]
        seen = np.flatnonzero((ballots.cases()[asked] > 0).all(0))
        tables, kept = election_correction._tables(ballots, asked, seen, 0, 0), election_correction._persistence(ballots, asked)
        with patch.multiple(election_correction, _tables=lambda *_, t=tables: t, _persistence=lambda *_, k=kept: k):
            rows = [election_correction._corrected_run(ballots, key, asked, train, target, kind, 0.95) for kind in KINDS]
        yield from ((kind, train, target, row) for kind, row in zip(KINDS, rows, strict=True))


def elections(runs: int, seed: int) -> Iterator[Row]:
    "States' shares corrected by earlier elections; every study is another country."
    found: dict = {}
    for dial, turned in LEANS.items():
        for per_state in (10,) if through_endpoint else (10, 40):
            for number, rng in studies(max(runs // 10, 1), seed, f"elections {dial} {per_state}"):
                planted, people = country(rng), voters(rng, per_state)
                answers = draw(electorate(planted, "2012" in dial, **turned), people, ELECTIONS, number).assign(tier="planted")
                with patch.multiple(election_correction, **results_of(planted)):
                    for kind, train, target, row in corrected(answers):
                        truth = results_of(planted)["_known"]([target], row["state"])[0]
                        key = f"elections: {kind}", dial, f"{len(train)} known, {per_state} personas per state"
                        found.setdefault(key, []).append((truth, *row[["uncorrected", "corrected", "low", "high"]].to_numpy().T))
    return rows_of(found)


def ensembles(runs: int, seed: int) -> Iterator[Row]:
    "Three models that lean left, lean right and are homogenised; weights learned on the first election, used in the second."
    found: dict = {}
    dials = {"left": {"drift": 6.0}, "right": {"drift": -6.0}, "homogenised": {"homogenisation": 0.6}}
    for number, rng in studies(max(runs // 5, 1), seed, "ensembles"):
        planted, people = country(rng), voters(rng, 10 if through_endpoint else 40)
        columns = {}
        for k, (name, turned) in enumerate(dials.items()):
            answers = draw(electorate(planted, **turned), people, Survey(list(ELECTIONS)[:2]), number + k)
            left = answers["option"].isin([i.options[0] for i in ELECTIONS])
            columns[name] = left.groupby([answers["item_id"], answers["state"]]).mean()
        x = pd.DataFrame(columns)
        past, now = x.loc[["president_2016"]], x.loc[["president_2020"]]
        new = fit_ensemble(past, planted.share[4]).apply(now)
        part = (planted.share[5], *new[["uncorrected", "corrected", "low", "high"]].to_numpy().T)
        found.setdefault(("ensemble", "drift 6, drift -6, homogenisation 0.6", "51 states known"), []).append(part)
        share, real = x["left"].loc["president_2016"].to_numpy(), planted.share[4]
        radius = np.array([conformal_radius(np.delete(share - real, i)) for i in range(51)])
        key = "conformal interval alone", "drift 6", "50 states known"
        found.setdefault(key, []).append((real, share, share, share - radius, share + radius))
    return rows_of(found)


def wordings(runs: int, seed: int) -> Iterator[Row]:
    "A statement and its reversal. Where people differ, the mean of the log-odds is not the log-odds of the mean."
    found: dict = {}
    for pair, who in ((("calm", "unrest"), "people alike"), (("trust", "distrust"), "people differ")):
        truth = chances(pair[0]).mean(0)[0]
        for dial in (0.0, 0.7, 1.5):
            for number, rng in studies(runs, seed, f"wordings {who} {dial}"):
                answers = draw(respondent(acquiescence=dial), sample(rng, 300), Survey([SURVEY[i] for i in pair]), number)
                row = acquiescence(answers, dict([pair]), affirm="Agree").iloc[0]
                part = (truth, *row[["uncorrected", "corrected", "low", "high"]])
                found.setdefault((f"acquiescence, {who}", f"acquiescence {dial:g}", "300 people"), []).append(part)
    return rows_of(found)


def positions(runs: int, seed: int) -> Iterator[Row]:
    "Orders that were not balanced: those with red first are four times as frequent. The truth is that of balanced orders."
    found: dict = {}
    for dial in (0.0, 0.7, 1.5):
        truth = chances("color", position_bias=dial).mean(0)[0]
        for number, rng in studies(runs, seed, f"positions {dial}"):
            answers = draw(respondent(position_bias=dial), sample(rng, 800), SURVEY["color"], number)
            first = answers["order"].str[0].eq("red").to_numpy()
            some = answers[first | (rng.random(len(answers)) < 0.25)]
            row = adjusted_shares(some, items=SURVEY, n_boot=400, seed=number).query("option == 'red'").iloc[0]
            found.setdefault(("adjusted_shares", f"position_bias {dial:g}", "400 people or so"), []).append(
                (truth, *row[["share", "adjusted", "low", "high"]])
            )
    return rows_of(found)


FAMILIES = {
    "weights": weights,
    "rectify": rectified,
    "mrp": multilevel,
    "maps": maps,
    "groups": groups,
    "elections": elections,
    "ensembles": ensembles,
    "wordings": wordings,
    "positions": positions,
}


def summary(family: str, row: Row) -> dict:
    "A row of the table."
    rmse = lambda x: float(100 * np.sqrt(np.nanmean((x - row.truth) ** 2)))
    held = ((row.low <= row.truth + 1e-12) & (row.truth - 1e-12 <= row.high)).mean(1)
    error = held.std(ddof=1) / len(held) ** 0.5 if len(held) > 1 else np.nan
    return {
        "family": family,
        "method": row.method,
        "dial": row.dial,
        "size": row.size,
        "planted": row.truth.mean(),
        "before": np.nanmean(row.before),
        "after": row.after.mean(),
        "bias_before": 100 * np.nanmean(row.before - row.truth),
        "bias_after": 100 * (row.after - row.truth).mean(),
        "rmse_before": rmse(row.before),
        "rmse_after": rmse(row.after),
        "rmse_people": rmse(row.people) if row.people is not None else np.nan,
        "coverage": held.mean(),
        "coverage_error": error,
        "width": 100 * (row.high - row.low).mean(),
        "warned": row.warned,
        "runs": len(held),
        "intervals": held.size * row.truth.shape[1],
        "through": "endpoint" if through_endpoint else "sample_answers",
    }


def main(arguments: list[str] | None = None) -> None:
    "Run what is asked for and is not there yet."
    global through_endpoint
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("what", nargs="*", choices=[*FAMILIES, []], help="all, unless named")
    given.add_argument(
        "--runs", type=int, default=1000, help="studies; a tenth of them for mrp, maps, groups, elections, a fifth for ensembles"
    )
    given.add_argument("--seed", type=int, default=1)
    given.add_argument("--out", type=Path, default=OUT)
    given.add_argument("--again", action="store_true", help="also those that are there")
    given.add_argument("--endpoint", action="store_true", help="one study each, asked through the endpoint")
    words = given.parse_args(arguments)
    through_endpoint = words.endpoint
    through = "endpoint" if words.endpoint else "sample_answers"
    for name in words.what or FAMILIES:
        table = pd.read_csv(words.out) if words.out.exists() else pd.DataFrame({"family": [], "through": []})
        here = table["family"].eq(name) & table["through"].eq(through)
        if here.any() and not words.again:
            continue
        start = time.perf_counter()
        with warnings.catch_warnings():
            for noise in (
                ".*residuals carry an interval",
                "few people to tell shares from",
                ".*answers are in no cell",
                ".*a category has",
            ):
                warnings.filterwarnings("ignore", message=noise)
            fresh = pd.DataFrame([summary(name, row) for row in FAMILIES[name](1 if words.endpoint else words.runs, words.seed)])
        print(f"{name}: {time.perf_counter() - start:.0f} s\n{fresh.round(3).to_string(index=False)}", file=sys.stderr, flush=True)
        table = pd.concat([t for t in (table[~here], fresh) if len(t)])
        order = table["through"].eq("endpoint") * len(FAMILIES) + table["family"].map(list(FAMILIES).index)
        words.out.parent.mkdir(parents=True, exist_ok=True)
        table.iloc[np.argsort(order, kind="stable")].to_csv(words.out, index=False, float_format="%.5g")


if __name__ == "__main__":
    pd.set_option("display.width", 260, "display.max_columns", 30)
    main()
