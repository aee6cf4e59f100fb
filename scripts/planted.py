"""Planted against recovered: does each diagnostic find what was planted in a respondent with known truth, and how often does its interval?

    python scripts/planted.py                        every diagnostic (goes on where it stopped)
    python scripts/planted.py retest spread          some of them
    python scripts/planted.py --runs 200 --out x.csv a quicker look, elsewhere
    python scripts/planted.py retest --again         anew

A population of 2,040 adults is made once, with what is planted known for each of them. Every run draws people from it at random, draws
their answers from the planted probabilities (`respondent.sample_answers`) and calls the diagnostic as a user would. Truth is that of
the whole population. Written to `data/respondent/planted.csv`, one row per diagnostic, setting and quantity:

- planted, recovered (mean of the estimates), bias (their difference) with its Monte Carlo error;
- coverage: share of the 95 % intervals that hold what was planted, with its Monte Carlo error;
- coverage_of_mean: share that hold the mean of the estimates. The two differ where an estimate from few people is biased;
- kind: "number", or "order of options" (Kendall's tau): it takes a few values only, and no interval of it can hold 95 % and not more.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd

from persona_kit import alignment as alignment_module
from persona_kit import attribution as attribution_module
from persona_kit import measures as measures_module
from persona_kit import text as text_module
from persona_kit.alignment import alignment, distribution, jensen_shannon, kendall_tau, kullback_leibler, total_variation, wasserstein
from persona_kit.attribution import ablation_effects, answer_regression, answer_words, tier_drift
from persona_kit.benchmarks import read_benchmark
from persona_kit.measures import (
    adjusted_shares,
    alignment_difference,
    coding_agreement,
    conditioning_gain,
    correlation_distance,
    cronbach_alpha,
    group_variance,
    matched,
    order_effects,
    reply_rates,
    retest,
    spread,
)
from persona_kit.personas import render
from persona_kit.population import us_adults
from persona_kit.respondent import Respondent, probabilities, sample_answers
from persona_kit.respondent import planted as expected
from persona_kit.surveys import Item, Survey
from persona_kit.tables import row_seeds
from persona_kit.text import score_drift, sentiment

OUT = Path(__file__).resolve().parent.parent / "data" / "respondent" / "planted.csv"
PEOPLE, BOOT, BLOCK = 60, 400, 250
PARTIES = ("strong Democrat", "Democrat", "leans Democrat", "independent", "leans Republican", "Republican", "strong Republican")
SCALE = ("Strongly disagree", "Disagree", "Neither", "Agree", "Strongly agree")
WORDINGS = ("The state should do more.", "Taxes should be higher.", "Rules should be stricter.", "Wages should rise.")
SURVEY = Survey(
    [Item(f"s{i}", text, SCALE, values=(1, 2, 3, 4, 5), refusals=("No answer",)) for i, text in enumerate(WORDINGS)]
    + [
        Item("color", "Which color do you like best?", ("red", "green", "blue")),
        Item("trust", "Most people can be trusted.", ("Agree", "Disagree")),
    ]
)
SCALES = Survey(list(SURVEY)[:4])
PAPERS = Item("papers", "Which papers do you read?", ("The Sun", "The Mail"), kind="multiple")
OFTEN = Item("often", "How often do you read a newspaper?", ("Never", "Sometimes", "Daily"), values=(1, 2, 3))
LEFT = {f"s{i}": ("Agree", "Strongly agree") for i in range(4)} | {"trust": ("Agree",)}
Row = tuple[str, float, str, float, np.ndarray]  # dial, setting, quantity, planted, estimates with their ends (runs × 3)


def loadings() -> pd.DataFrame:
    "Party moves the scales and trust, age and sex move the color."
    rows = [
        (f"s{i}", "party", party, option, 1.3 * (1 - j / 3) * (v - 2) / 2)
        for i in range(4)
        for j, party in enumerate(PARTIES)
        for v, option in enumerate(SCALE)
    ]
    rows += [(f"s{i}", "base", "", option, 0.15 * (i - v % 3)) for i in range(4) for v, option in enumerate(SCALE)]
    rows += [("trust", "party", party, "Agree", 0.4 * (3 - j)) for j, party in enumerate(PARTIES)]
    rows += [("color", "sex", "Male", "red", 1.0), ("color", "age", "65+", "blue", 1.2), ("color", "base", "", "green", 0.3)]
    return pd.DataFrame(rows, columns=["item_id", "attribute", "value", "option", "loading"])


@cache
def respondent(**dials: float) -> Respondent:
    "With the given dials turned."
    return Respondent(items=SURVEY, loadings=loadings(), left=LEFT, attributes=("age", "sex", "party"), seed=4, **dials)


@cache
def population() -> pd.DataFrame:
    "Everybody, with a party."
    people = us_adults().sample(per_state=40, seed=11)
    people = people[["persona_id", "state", "age", "sex"]].assign(
        weight=1.0, tier="subjective_tabular", party=np.random.default_rng(1).choice(PARTIES, len(people))
    )
    return people.assign(text=render(people))


@cache
def planted(**dials: float) -> dict[str, np.ndarray]:
    "item_id → shares of the options of everybody (people × options), averaged over the orders of the options."
    frame = probabilities(respondent(**dials), population(), SURVEY)
    return {i.item_id: frame.loc[frame["item_id"] == i.item_id, "share"].to_numpy().reshape(-1, len(i.options)) for i in SURVEY}


def samples(runs: int, seed: int, n: int = PEOPLE) -> Iterator[tuple[np.random.Generator, pd.DataFrame]]:
    "People of many runs, some runs at a time; `state` is the run, so that each is a sample of its own."
    for start in range(0, runs, BLOCK):
        rng, size = np.random.default_rng(int(row_seeds(seed, "people", str(start))[0])), min(BLOCK, runs - start)
        who = population().iloc[rng.integers(len(population()), size=size * n)].reset_index(drop=True)
        yield rng, who.assign(persona_id=np.arange(start * n, (start + size) * n), state=np.repeat(np.arange(start, start + size), n))


def ends(frame: pd.DataFrame, estimate: str, low: str = "low", high: str = "high") -> np.ndarray:
    "Estimates and their ends, runs × 3."
    return frame[[estimate, low, high]].to_numpy(float)


def gathered(parts: dict) -> Iterator[Row]:
    "The blocks of each quantity put together."
    for (dial, setting, quantity, truth), blocks in parts.items():
        yield dial, setting, quantity, truth, np.vstack(blocks)


def human_shares(share_of: dict[str, np.ndarray], items) -> pd.DataFrame:
    "A distributions table."
    return pd.DataFrame(
        [(i.item_id, o, s) for i in items for o, s in zip(i.options, share_of[i.item_id], strict=True)],
        columns=["item_id", "option", "share"],
    )


@contextmanager
def kept_weights(most: int = 8) -> Iterator[None]:
    "Bootstrap weights are drawn once for the same strata and seed, and looked up after that: the same numbers in a fraction of the time."
    known, draw = {}, alignment_module.resample

    def resample(strata: Iterable, n_boot: int = 1000, seed: int = 0) -> np.ndarray:
        key = (tuple(strata), n_boot, seed)
        if key not in known:
            while len(known) >= most:
                del known[next(iter(known))]
            known[key] = draw(key[0], n_boot, seed)
            known[key].flags.writeable = False
        return known[key]

    modules = [m for m in (alignment_module, attribution_module, measures_module, text_module) if getattr(m, "resample", None) is draw]
    patches = [patch.object(m, "resample", resample) for m in modules]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


# the diagnostics: each yields dial, setting, quantity, planted value, estimates -----------------------------------------------------------


def alignments(runs: int, seed: int) -> Iterator[Row]:
    "The benchmark is another one by a known part: setting 0.3 is 30 % of the first option, the rest as the respondent answers."
    own, parts = {i: q.mean(0) for i, q in planted().items()}, {}
    measures = {
        "wasserstein": lambda p, q: 1 - wasserstein(p, q) / (len(p) - 1),
        "total_variation": lambda p, q: 1 - total_variation(p, q),
        "jensen_shannon": lambda p, q: 1 - jensen_shannon(p, q),
        "kullback_leibler": lambda p, q: 1 - kullback_leibler(q, p),
        "kendall_tau": kendall_tau,
    }
    far = {i: np.eye(len(s))[0] for i, s in own.items()}
    for _, people in samples(runs, seed, 120):
        answers = sample_answers(respondent(), people, SCALES, seed=int(people["persona_id"].iloc[0]))
        for setting in (0.3, 0.6, 0.9):
            theirs = {i: (1 - setting) * own[i] + setting * far[i] for i in own}
            for m, f in measures.items():
                value = np.mean([f(own[i.item_id], theirs[i.item_id]) for i in SCALES])
                found = alignment(
                    answers, human_shares(theirs, SCALES), by="state", measure=m, level="overall", items=SCALES, ci=0.95, n_boot=BOOT
                )
                name = "kendall_tau, near ties" if m == "kendall_tau" else m
                parts.setdefault(("benchmark", setting, name, float(value)), []).append(ends(found, "alignment"))
    yield from sorted(gathered(parts), key=lambda row: row[1])
    yield from ranks(runs, seed)


def ranks(runs: int, seed: int) -> Iterator[Row]:
    "Kendall's tau where no two shares are near: 400 people, three options; the benchmark has 0, 1 or 3 pairs the other way round."
    pushes = pd.DataFrame([("often", "base", "", o, v) for o, v in zip(OFTEN.options, (0, 0.75, 1.5), strict=True)])
    r = Respondent(items=Survey(OFTEN), loadings=pushes.set_axis(list(loadings()), axis=1), attributes=("age",), persona_spread=0, seed=4)
    own, parts = probabilities(r, population(), OFTEN)["share"].to_numpy().reshape(-1, 3).mean(0), {}
    for _, people in samples(runs, seed, 400):
        answers = sample_answers(r, people, OFTEN, seed=int(people["persona_id"].iloc[0]))
        for pairs, order in ((0, [0, 1, 2]), (1, [1, 0, 2]), (3, [2, 1, 0])):
            theirs = {"often": own[order]}
            found = alignment(
                answers, human_shares(theirs, [OFTEN]), by="state", measure="kendall_tau", items=Survey(OFTEN), ci=0.95, n_boot=BOOT
            )
            truth = float(kendall_tau(own, theirs["often"]))
            parts.setdefault(("pairs the other way round", pairs, "kendall_tau, shares apart", truth), []).append(ends(found, "alignment"))
    return gathered(parts)


def shares(runs: int, seed: int) -> Iterator[Row]:
    "Shares of options; acquiescence moves those that affirm."
    parts = {}
    for setting in (0.0, 0.7, 1.5):
        truth = planted(acquiescence=setting)["trust"].mean(0)[0]
        for _, people in samples(runs, seed):
            answers = sample_answers(respondent(acquiescence=setting), people, SURVEY["trust"], seed=int(people["persona_id"].iloc[0]))
            found = distribution(answers, by="state", items=SURVEY, ci=0.95, n_boot=BOOT).query("option == 'Agree'")
            parts.setdefault(("acquiescence", setting, "share of Agree", float(truth)), []).append(ends(found, "share"))
    return gathered(parts)


def rates(runs: int, seed: int) -> Iterator[Row]:
    "Refusals and unreadable replies by group, of 240 people: of 60, rates of 1 and 2 % would be counts of none, one, two or three."
    parts = {}
    for setting in (0.02, 0.1, 0.3):
        for _, people in samples(runs, seed, 4 * PEOPLE):
            answers = sample_answers(
                respondent(refusals=setting, unreadable=setting / 2), people, SURVEY, seed=int(people["persona_id"].iloc[0])
            )
            found = reply_rates(answers, by=["state", "sex"], items=SURVEY, n_boot=BOOT)
            for status, truth in (("refusal", setting), ("invalid", setting / 2)):
                some = found[(found["status"] == status) & (found["sex"] == "Male")]
                parts.setdefault(("refusals, unreadable", setting, f"{status} rate of men", truth), []).append(ends(some, "rate"))
    return gathered(parts)


def homogenised(runs: int, seed: int) -> Iterator[Row]:
    "Ratios of standard deviation and entropy to people who are not homogenised; the benchmark is a sample of 400."
    parts, values = {}, np.arange(1, 6)

    def both(share_of):
        sd = np.mean([np.sqrt(s @ values**2 - (s @ values) ** 2) for s in (share_of[i.item_id] for i in SCALES)])
        return sd, np.mean([-(s[s > 0] * np.log2(s[s > 0])).sum() for s in share_of.values()])

    people_shares = {i: q.mean(0) for i, q in planted().items()}
    for setting in (0.0, 0.4, 0.8):
        model_shares = {i: q.mean(0) for i, q in planted(homogenisation=setting).items()}
        truth = [a / b for a, b in zip(both(model_shares), both(people_shares), strict=True)]
        for rng, people in samples(runs, seed):
            answers = sample_answers(respondent(homogenisation=setting), people, SURVEY, seed=int(people["persona_id"].iloc[0]))
            human = pd.concat(
                [
                    human_shares({i: rng.multinomial(400, s) / 400 for i, s in people_shares.items()}, SURVEY).assign(state=s, n=400)
                    for s in people["state"].unique()
                ]
            )
            found = spread(answers, human, items=SURVEY, by="state", level="overall", n_boot=BOOT)
            for name, value in zip(("sd", "entropy"), truth, strict=True):
                parts.setdefault(("homogenisation", setting, f"ratio of {name}", float(value)), []).append(
                    ends(found[found["measure"] == name], "ratio")
                )
    return gathered(parts)


def groups(runs: int, seed: int) -> Iterator[Row]:
    "Variance between two groups of parties as a share of the total."
    parts, values, sides = {}, np.arange(1, 6), population()["party"].isin(PARTIES[:3]).to_numpy()
    for setting in (0.0, 0.4, 0.8):
        q = planted(homogenisation=setting)["s0"]
        p = np.array([q[sides].mean(0), q[~sides].mean(0)])
        weight, means = np.array([sides.mean(), 1 - sides.mean()]), p @ values
        between = weight @ (means - weight @ means) ** 2
        truth = between / (between + weight @ (p @ values**2 - means**2))
        for _, people in samples(runs, seed):
            people = people.assign(side=np.where(people["party"].isin(PARTIES[:3]), "left", "other"))
            answers = sample_answers(respondent(homogenisation=setting), people, SURVEY["s0"], seed=int(people["persona_id"].iloc[0]))
            found = group_variance(answers, "side", items=SURVEY, by="state", n_boot=BOOT)
            parts.setdefault(("homogenisation", setting, "between groups (eta squared)", float(truth)), []).append(ends(found, "share"))
    return gathered(parts)


def moments(**dials: float) -> tuple[np.ndarray, np.ndarray]:
    "Covariances of the scales, and of the means of persons."
    values, q = np.arange(1, 6), planted(**dials)
    person = np.column_stack([q[i.item_id] @ values for i in SCALES])
    between = np.cov(person.T, bias=True)
    within = np.mean([q[i.item_id] @ values**2 - (q[i.item_id] @ values) ** 2 for i in SCALES], axis=1)
    return between + np.diag(within), between


def battery(runs: int, seed: int) -> Iterator[Row]:
    "Cronbach's alpha."
    parts = {}
    for setting in (0.0, 0.4, 0.8):
        total, _ = moments(homogenisation=setting)
        truth = 4 / 3 * (1 - np.trace(total) / total.sum())
        for _, people in samples(runs, seed):
            answers = sample_answers(respondent(homogenisation=setting), people, SCALES, seed=int(people["persona_id"].iloc[0]))
            found = cronbach_alpha(answers, [i.item_id for i in SCALES], items=SCALES, by="state", n_boot=BOOT)
            parts.setdefault(("homogenisation", setting, "Cronbach's alpha", float(truth)), []).append(ends(found, "alpha"))
    return gathered(parts)


def structure(runs: int, seed: int) -> Iterator[Row]:
    "Distance of correlation matrices: model 150, people 300; at 0 both are the same, and the floor should hold the distance."

    def matrix(**dials):
        total, _ = moments(**dials)
        scale = np.sqrt(np.diag(total))
        return total / np.outer(scale, scale)

    for setting in (0.0, 0.5, 0.9):
        truth = np.sqrt(((matrix(homogenisation=setting) - matrix()) ** 2).sum() / 12)
        rows, floors = [], []
        for (_, ours), (_, theirs) in zip(samples(runs, seed, 150), samples(runs, seed + 1, 300), strict=True):
            sides = [
                sample_answers(respondent(homogenisation=h), f, SCALES, seed=int(f["persona_id"].iloc[0]) + h_seed).assign(
                    run=lambda a: a["state"]
                )
                for h, f, h_seed in ((setting, ours, 0), (0.0, theirs, 7))
            ]
            one, other = (dict(list(s.assign(state="").groupby("run"))) for s in sides)
            for run in one:
                found = correlation_distance(one[run], other[run], items=SCALES, n_boot=200, seed=int(run))
                rows.append(found[["excess", "low", "high"]].to_numpy(float))
                floors.append(found[["floor", "floor_low", "floor_high", "distance"]].to_numpy(float))
        yield "homogenisation", setting, "excess of the correlation distance", float(truth), np.array(rows)
        if setting == 0:
            f = np.array(floors)
            inside = np.column_stack(
                [f[:, 3], np.where((f[:, 1] <= f[:, 3]) & (f[:, 3] <= f[:, 2]), -np.inf, np.inf), np.full(len(f), np.inf)]
            )
            yield "homogenisation", setting, "distance within the floor", float(f[:, 0].mean()), inside


def order(runs: int, seed: int) -> Iterator[Row]:
    "How often the first option is chosen, less chance; and shares adjusted for orders of which four in five are backwards."
    parts = {}
    for setting in (0.0, 0.5, 1.2):
        r, one = respondent(position_bias=setting), probabilities(respondent(position_bias=setting), population(), SURVEY)
        scale, color = one[one["item_id"] == "s0"], one[one["item_id"] == "color"]
        ends_of = scale[scale["option"].isin([SCALE[0], SCALE[-1]])]
        truth = (
            ends_of["when_first"].mean() - ends_of.groupby("option")["share"].mean().sum() / 2 + color["when_first"].mean() - 1 / 3
        ) / 2
        even = planted(position_bias=setting)["s0"].mean(0)
        for _, people in samples(runs, seed):
            answers = sample_answers(r, people, Survey([SURVEY["s0"], SURVEY["color"]]), seed=int(people["persona_id"].iloc[0]))
            found = order_effects(answers, items=SURVEY, by="state", n_boot=BOOT).query("position == 'first'")
            parts.setdefault(("position_bias", setting, "first option, less chance", float(truth)), []).append(ends(found, "difference"))
        for rng, people in samples(runs, seed + 1, 2 * PEOPLE * 5 // 3):
            answers = sample_answers(r, people, SURVEY["s0"], seed=int(people["persona_id"].iloc[0]))
            backwards = np.array([o[0] == SCALE[-1] for o in answers["order"]])
            answers = answers[backwards | (rng.random(len(answers)) < 0.25)]
            found = adjusted_shares(answers, items=SURVEY, by="state", n_boot=BOOT)
            for option, value in zip(SCALE, even, strict=True):
                if option in (SCALE[0], SCALE[2], SCALE[3]):
                    parts.setdefault(("position_bias", setting, f"adjusted share of {option!r}", float(value)), []).append(
                        ends(found[found["option"] == option], "adjusted")
                    )
    return gathered(parts)


def repeated(runs: int, seed: int) -> Iterator[Row]:
    "Two draws of the same people."
    parts = {}
    for setting in (0.0, 0.4, 0.8):
        q = planted(homogenisation=setting)
        agree, chance = np.mean([(p**2).sum(1).mean() for p in q.values()]), np.mean([(p.mean(0) ** 2).sum() for p in q.values()])
        for _, people in samples(runs, seed):
            answers = sample_answers(respondent(homogenisation=setting), people, SURVEY, draws=2, seed=int(people["persona_id"].iloc[0]))
            found = retest(answers, items=SURVEY, by="state", n_boot=BOOT)
            parts.setdefault(("homogenisation", setting, "agreement of two draws", float(agree)), []).append(ends(found, "agreement"))
            parts.setdefault(("homogenisation", setting, "Cohen's kappa", float((agree - chance) / (1 - chance))), []).append(
                ends(found, "kappa", "kappa_low", "kappa_high")
            )
    return gathered(parts)


def gain(runs: int, seed: int) -> Iterator[Row]:
    "Closer to two groups of parties with a persona than without one (400 draws)."
    parts, sides = {}, population()["party"].isin(PARTIES[:3]).to_numpy()
    human_of = {name: {i: q[mask].mean(0) for i, q in planted().items()} for name, mask in (("left", sides), ("other", ~sides))}
    human = pd.concat([human_shares(s, SCALES).assign(side=name) for name, s in human_of.items()])
    bare = probabilities(respondent(), population().head(1).assign(text="a person"), SCALES)
    bare_of = {i.item_id: bare.loc[bare["item_id"] == i.item_id, "share"].to_numpy() for i in SCALES}
    for setting in (0.3, 0.6, 0.9):
        model_of = {
            name: {i: q[mask].mean(0) for i, q in planted(homogenisation=setting).items()}
            for name, mask in (("left", sides), ("other", ~sides))
        }
        truth = (
            np.mean([wasserstein(bare_of[i], human_of["left"][i]) - wasserstein(model_of["left"][i], human_of["left"][i]) for i in bare_of])
            / 4
        )
        for rng, people in samples(runs, seed, 2 * PEOPLE):
            people = people.assign(side=np.where(people["party"].isin(PARTIES[:3]), "left", "other"))
            answers = sample_answers(respondent(homogenisation=setting), people, SCALES, seed=int(people["persona_id"].iloc[0]))
            for _, one in answers.groupby("state"):
                alone = pd.concat(
                    [
                        pd.DataFrame(
                            {
                                "persona_id": "none",
                                "item_id": i.item_id,
                                "status": "ok",
                                "option": rng.choice(i.options, 400, p=bare_of[i.item_id]),
                            }
                        )
                        for i in SCALES
                    ]
                )
                found = conditioning_gain(one.assign(state=""), alone, human, items=SCALES, by="side", level="overall", n_boot=BOOT).query(
                    "side == 'left'"
                )
                parts.setdefault(("homogenisation", setting, "gain of conditioning", float(truth)), []).append(ends(found, "gain"))
    return gathered(parts)


def versions(runs: int, seed: int) -> Iterator[Row]:
    "Two models asked of the same people, one of them homogenised by 0.9: by how much is the other closer to two groups of parties?"
    sides = population()["party"].isin(PARTIES[:3]).to_numpy()
    masks = {"left": sides, "other": ~sides}
    shares_of = {
        h: {name: {i: q[mask].mean(0) for i, q in planted(homogenisation=h).items()} for name, mask in masks.items()}
        for h in (0.0, 0.3, 0.6, 0.9)
    }
    human = pd.concat([human_shares(s, SCALES).assign(side=name) for name, s in shares_of[0.0].items()])

    def apart(h):
        return np.mean([wasserstein(shares_of[h][name][i.item_id], shares_of[0.0][name][i.item_id]) for name in masks for i in SCALES]) / 4

    for setting in (0.3, 0.6, 0.9):
        rows = []
        for _, people in samples(runs, seed, 2 * PEOPLE):
            people = people.assign(side=np.where(people["party"].isin(PARTIES[:3]), "left", "other"))
            s = 2 * int(people["persona_id"].iloc[0])
            both = [
                sample_answers(respondent(homogenisation=h), people, SCALES, seed=s + n).assign(model=name, simulator="both")
                for n, (name, h) in enumerate({"this": setting, "that": 0.9}.items())
            ]
            for _, one in pd.concat(both).groupby("state"):
                found = alignment_difference(one.assign(state=""), human, "model", "that", items=SCALES, by="side", n_boot=BOOT)
                rows.append(ends(found.query("model == 'this'"), "difference", "difference_low", "difference_high"))
        yield "homogenisation", setting, "alignment less that of another model", float(apart(0.9) - apart(setting)), np.vstack(rows)


def codings(runs: int, seed: int) -> Iterator[Row]:
    "Texts of 60 people that name a color, sorted twice by a coder who errs; an error names any other color, or none."
    kinds, parts = [*SURVEY["color"].options, None], {}
    q = probabilities(respondent(), population(), SURVEY["color"], mode="open")["drift_tone"].to_numpy().reshape(-1, 3)
    for setting in (0.05, 0.15, 0.3):
        known = expected(respondent(coding_error=setting), population(), SURVEY["color"], mode="open").set_index("quantity")["value"]
        for start in range(0, runs, BLOCK):
            rng, size = np.random.default_rng(int(row_seeds(seed, "codings", str(start))[0])), min(BLOCK, runs - start)
            meant = (rng.random((size * PEOPLE, 1)) > q[rng.integers(len(q), size=size * PEOPLE)].cumsum(1)).sum(1).clip(max=2)
            wrong = rng.random((len(meant), 2)) < setting
            codes = np.where(wrong, (meant[:, None] + rng.integers(1, 4, size=wrong.shape)) % 4, meant[:, None])
            answers = pd.DataFrame(
                {"persona_id": range(len(meant)), "state": np.repeat(np.arange(start, start + size), PEOPLE), "item_id": "color"}
            )
            found = coding_agreement(answers.assign(codings=[[kinds[c] for c in pair] for pair in codes]), by="state", n_boot=BOOT)
            for name, column in (("agreement", "agreement"), ("kappa", "kappa"), ("kappa", "alpha")):
                low, high = ("low", "high") if column == "agreement" else (f"{column}_low", f"{column}_high")
                key = ("coding_error", setting, f"{column} of two codings", float(known[f"coding_{name}"]))
                parts.setdefault(key, []).append(ends(found, column, low, high))
    return gathered(parts)


def several(runs: int, seed: int) -> Iterator[Row]:
    "Shares of those who tick an option of several, in a table of 240 people: of 60, a share of 5 % would be a count of none to six."
    pushes = pd.DataFrame(
        [("papers", "base", "", "The Sun", -0.5), ("papers", "party", "Democrat", "The Sun", 1.5), ("papers", "base", "", "The Mail", -3)]
    )
    parts, n = {}, 4 * PEOPLE
    for setting in (0.0, 0.7, 1.5):
        dials = {"loadings": pushes.set_axis(list(loadings()), axis=1), "attributes": ("party",), "persona_spread": 0, "seed": 4}
        r = Respondent(items=Survey(PAPERS), acquiescence=setting, **dials)
        q = probabilities(r, population(), PAPERS)["share"].to_numpy().reshape(-1, len(PAPERS.options))
        for start in range(0, runs, BLOCK):
            rng, size = np.random.default_rng(int(row_seeds(seed, "several", str(start))[0])), min(BLOCK, runs - start)
            ticks = rng.random((size * n, q.shape[1])) < q[rng.integers(len(q), size=size * n)]
            frame = pd.DataFrame(
                {
                    "run": np.repeat(np.arange(start, start + size), n),
                    "papers": [[o for o, t in zip(PAPERS.options, x, strict=True) if t] for x in ticks],
                }
            )
            found = read_benchmark(frame, PAPERS, by="run", weight=None)
            for option, truth in zip(PAPERS.options, q.mean(0), strict=True):
                parts.setdefault(("acquiescence", setting, f"ticks of {option}", float(truth)), []).append(
                    ends(found[found["option"] == option], "share")
                )
    return gathered(parts)


def persons(runs: int, seed: int) -> Iterator[Row]:
    "The people are draws of the respondent without dials, matched one to one."
    parts, values = {}, np.arange(1, 6)
    for setting in (0.0, 0.4, 0.8):
        p, q = planted(homogenisation=setting), planted()
        accuracy = np.mean([(p[i.item_id] * q[i.item_id]).sum(1).mean() for i in SCALES])
        r = []
        for i in SCALES:
            a, b = p[i.item_id], q[i.item_id]
            sds = [np.sqrt((x @ values**2).mean() - (x @ values).mean() ** 2) for x in (a, b)]
            r.append(np.cov(a @ values, b @ values, bias=True)[0, 1] / np.prod(sds))
        for _, people in samples(runs, seed):
            s = int(people["persona_id"].iloc[0])
            human = sample_answers(respondent(), people, SCALES, seed=s + 1)[["persona_id", "item_id", "option"]]
            found = matched(
                sample_answers(respondent(homogenisation=setting), people, SCALES, seed=s), human, items=SCALES, by="state", n_boot=BOOT
            )
            parts.setdefault(("homogenisation", setting, "accuracy of matched persons", float(accuracy)), []).append(
                ends(found, "accuracy")
            )
            parts.setdefault(("homogenisation", setting, "correlation of matched persons", float(np.mean(r))), []).append(
                ends(found, "correlation", "correlation_low", "correlation_high")
            )
    return gathered(parts)


def lengthened() -> pd.DataFrame:
    "The same people with a story of 40 to 250 words."
    line, rng = "On most days there is work, lunch at noon, and a walk.", np.random.default_rng(3)
    return population().assign(
        tier="descriptive",
        text=[f"{t}\n{' '.join([line] * k)}" for t, k in zip(population()["text"], rng.integers(4, 22, 2040), strict=True)],
    )


def tiers(runs: int, seed: int) -> Iterator[Row]:
    "Drift with the length of the text, paired; three scales of agreement."
    longer, low = lengthened(), population()
    for setting in (0.0, 0.4, 1.0):
        r, values = respondent(drift=setting), np.arange(5) / 4
        truth = np.mean(
            [
                (b - a).mean(0) @ values
                for a, b in ((probabilities(r, f, i)["share"].to_numpy().reshape(-1, 5) for f in (low, longer)) for i in SCALES)
            ]
        )
        rows = []
        for rng, people in samples(runs, seed):
            who = rng.integers(len(low), size=len(people))
            both = [
                sample_answers(
                    r,
                    f.iloc[who].assign(persona_id=people["persona_id"].to_numpy(), state=people["state"].to_numpy()),
                    SCALES,
                    seed=2 * int(people["persona_id"].iloc[0]) + n,
                )
                for n, f in enumerate((low, longer))
            ]
            answers = pd.concat(both).assign(tier=lambda a: a["tier"].replace("subjective_tabular", "meta"))
            for _, one in answers.groupby("state"):
                rows.append(ends(tier_drift(one.assign(state=""), items=SCALES, score="scale", level="overall", n_boot=BOOT), "difference"))
        yield "drift", setting, "tier drift, four scales", float(truth), np.vstack(rows)


def moods(runs: int, seed: int) -> Iterator[Row]:
    "Polarity and subjectivity of texts with no, few or many cheerful sentences, and their number (very skewed: most have none)."
    plain, happy, rng = "There is work in the morning and a meal at noon.", "It is a wonderful and happy life.", np.random.default_rng(5)
    for setting in (0.2, 0.5, 2.0):
        base = [f"A person of {a} years. {plain}" for a in population()["age"]]
        times = rng.poisson(setting * rng.exponential(size=len(base)))
        told = [f"{t} {' '.join([happy] * k)}" for t, k in zip(base, times, strict=True)]
        scores = []
        for texts, k in ((base, 0.0), (told, times * 1.0)):
            place, known = pd.factorize(pd.Series(texts))
            of_known = sentiment(pd.Series(known))[["polarity", "subjectivity"]]
            scores.append(of_known.iloc[place].reset_index(drop=True).assign(number=k))
        truth, rows = (scores[1] - scores[0]).mean(), {"polarity": [], "subjectivity": [], "number": []}
        who = rng.integers(len(base), size=(runs, PEOPLE))
        for run, mine in enumerate(who):
            frame = pd.concat(
                [s.iloc[mine].assign(persona_id=range(PEOPLE), tier=t) for s, t in zip(scores, ("meta", "descriptive"), strict=True)]
            )
            found = score_drift(frame, list(rows), n_boot=BOOT, seed=run).set_index("measure")
            for name, kept in rows.items():
                kept.append(found.loc[[name], ["difference", "low", "high"]].to_numpy(float))
        for name, kept in rows.items():
            yield "cheerful sentences", setting, f"drift of {name}", float(truth[name]), np.vstack(kept)


def left_out(runs: int, seed: int) -> Iterator[Row]:
    "What the party adds to the answers of Democrats, from two drawn answers each; setting is the size of the loading."
    for setting in (0.0, 0.5, 1.0):
        push = loadings()
        push["loading"] *= np.where(push["attribute"] == "party", setting, 1.0)
        r = Respondent(items=SURVEY, loadings=push, attributes=("age", "sex", "party"), seed=4)
        some = population()[population()["party"].isin(PARTIES[:3])]
        cut, rows = some.assign(text=render(some, attributes=["age", "sex"])), []
        p = [probabilities(r, f, SURVEY["trust"])["share"].to_numpy().reshape(-1, 2)[:, 0] for f in (some, cut)]
        for rng, people in samples(runs, seed):
            who, same = rng.integers(len(some), size=len(people)), {c: people[c].to_numpy() for c in ("persona_id", "state")}
            both = [
                sample_answers(r, f.iloc[who].assign(**same), SURVEY["trust"], seed=2 * int(people["persona_id"].iloc[0]) + n)
                for n, f in enumerate((some, cut))
            ]
            one, other = (dict(list(f.assign(run=f["state"], state="").groupby("run"))) for f in both)
            for run in one:
                found = ablation_effects(one[run], {"party": other[run]}, items=Survey([SURVEY["trust"]]), n_boot=BOOT, seed=int(run))
                rows.append(ends(found.query("option == 'Agree'"), "effect"))
        yield "loading of the party", setting, "ablation of the party", float((p[0] - p[1]).mean()), np.vstack(rows)


def regression(runs: int, seed: int) -> Iterator[Row]:
    "Coefficient of being on the left; truth is that of least squares in the population."
    for setting in (0.0, 0.4, 0.8):
        everybody = population().assign(side=np.where(population()["party"].isin(PARTIES[:3]), "left", "other"))
        x = np.column_stack([np.ones(2040), everybody["side"].eq("left"), everybody["sex"].eq("Male")]).astype(float)
        truth, rows = np.linalg.lstsq(x, planted(homogenisation=setting)["trust"][:, 0], rcond=None)[0][1], []
        for _, people in samples(runs, seed):
            people = people.assign(side=np.where(people["party"].isin(PARTIES[:3]), "left", "other"))
            answers = sample_answers(respondent(homogenisation=setting), people, SURVEY["trust"], seed=int(people["persona_id"].iloc[0]))
            answers = answers.assign(item_id=answers["state"].map("trust {}".format))  # every run is an item of its own people
            items = Survey([replace(SURVEY["trust"], item_id=i) for i in answers["item_id"].unique()])
            found = answer_regression(answers.drop(columns=["side", "sex"]), people, ["side", "sex"], items=items)
            found = found[found["option"].eq("Agree") & found["attribute"].eq("side")]
            sign = np.where(found["value"] == "left", 1, -1)[:, None]
            rows.append(np.sort(sign * found[["low", "coefficient", "high"]].to_numpy(float), axis=1))
        rows = np.vstack(rows)[:, [1, 0, 2]]
        yield "homogenisation", setting, "regression on the side", float(truth), rows


def with_prior(rates_of: tuple[float, float], texts: tuple[float, float], length: int = 40) -> tuple[float, float]:
    "Log odds of a word in two groups of texts, drawn together by a prior of one text's length, and their precision."
    total = np.array(texts) * length
    y = total * rates_of
    prior = length * y.sum() / total.sum()
    odds = (y + prior) / (total + length - y - prior)
    return float(np.log(odds[0] / odds[1])), float(1 / (1 / (y + prior)).sum())


def marked(runs: int, seed: int) -> Iterator[Row]:
    """Log odds of a word by answer: 300 texts in two tiers, the word's rate depends on the answer by a known factor.

    Planted is also what the prior leaves of it with the expected counts: that is what is estimated.
    """
    vocabulary = np.array([f"w{chr(97 + i)}{chr(97 + j)}" for i in range(5) for j in range(8)] + ["joy"])
    for setting in (1.0, 1.6, 2.5):
        rates_of = [np.r_[np.full(40, (1 - r) / 40), r] for r in (0.03 * setting, 0.03)]
        truth = np.log(rates_of[0][-1] / (1 - rates_of[0][-1])) - np.log(0.03 / 0.97)
        rows = []
        for run in range(runs):
            rng = np.random.default_rng(int(row_seeds(seed, "words", str(run))[0]))
            answers = pd.DataFrame(
                {
                    "persona_id": range(300),
                    "tier": np.repeat(["meta", "descriptive"], 150),
                    "item_id": "trust",
                    "option": np.where(rng.random(300) < np.repeat([0.3, 0.7], 150), "Agree", "Disagree"),
                }
            )
            counts = np.where((answers["option"] == "Agree").to_numpy()[:, None], *(rng.multinomial(40, p, 300) for p in rates_of))
            texts = [" ".join(np.repeat(vocabulary, c)) for c in counts]
            found = answer_words(answers.assign(text=texts), answers, "trust", ("Agree", "Disagree"))
            rows.append(found.loc[found["word"] == "joy", ["log_odds", "low", "high"]].to_numpy(float))
        left, precision = np.array([with_prior((0.03 * setting, 0.03), n) for n in ((45, 105), (105, 45))]).T
        yield "rate of a word", setting, "log odds of a marked word", float(truth), np.vstack(rows)
        yield "rate of a word", setting, "log odds with the prior", float(left @ precision / precision.sum()), np.vstack(rows)


DIAGNOSTICS = {
    "alignment": alignments,
    "shares": shares,
    "reply_rates": rates,
    "spread": homogenised,
    "group_variance": groups,
    "cronbach_alpha": battery,
    "correlation_distance": structure,
    "order_effects": order,
    "retest": repeated,
    "conditioning_gain": gain,
    "alignment_difference": versions,
    "coding_agreement": codings,
    "several_choices": several,
    "matched": persons,
    "tier_drift": tiers,
    "score_drift": moods,
    "ablation_effects": left_out,
    "answer_regression": regression,
    "answer_words": marked,
}


SLOW = ("correlation_distance", "conditioning_gain", "alignment_difference", "tier_drift", "ablation_effects", "answer_words")


def summary(diagnostic: str, row: Row) -> dict:
    "A row of the table."
    dial, setting, quantity, truth, found = row
    found = found[np.isfinite(found[:, 0])]
    runs, mean = len(found), found[:, 0].mean()
    held, mean_held = (((found[:, 1] <= t + 1e-12) & (t - 1e-12 <= found[:, 2])).mean() for t in (truth, mean))
    return {
        "diagnostic": diagnostic,
        "dial": dial,
        "setting": setting,
        "quantity": quantity,
        "planted": truth,
        "recovered": mean,
        "bias": mean - truth,
        "bias_error": found[:, 0].std(ddof=1) / runs**0.5,
        "coverage": held,
        "coverage_error": (held * (1 - held) / runs) ** 0.5,
        "coverage_of_mean": mean_held,
        "runs": runs,
        "kind": "order of options" if quantity.startswith("kendall_tau") else "number",
    }


def main(arguments: list[str] | None = None) -> None:
    "Run what is asked for and is not there yet."
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("what", nargs="*", choices=[*DIAGNOSTICS, []], help="all, unless named")
    given.add_argument("--runs", type=int, help="1,000 by default, 400 for those that take one study at a time")
    given.add_argument("--seed", type=int, default=1)
    given.add_argument("--out", type=Path, default=OUT)
    given.add_argument("--again", action="store_true", help="also those that are there")
    words = given.parse_args(arguments)
    table = pd.read_csv(words.out) if words.out.exists() else pd.DataFrame({"diagnostic": []})
    for name in words.what or DIAGNOSTICS:
        if not words.again and name in set(table["diagnostic"]):
            continue
        start = time.perf_counter()
        with kept_weights():
            rows = list(DIAGNOSTICS[name](words.runs or (400 if name in SLOW else 1000), words.seed))
        fresh = pd.DataFrame([summary(name, row) for row in rows])
        print(f"{name}: {time.perf_counter() - start:.0f} s\n{fresh.round(4).to_string(index=False)}", file=sys.stderr, flush=True)
        table = pd.concat([t for t in (table[table["diagnostic"] != name], fresh) if len(t)])
        known = (
            table.assign(_place=table["diagnostic"].map(list(DIAGNOSTICS).index))
            .sort_values("_place", kind="stable")
            .drop(columns="_place")
        )
        words.out.parent.mkdir(parents=True, exist_ok=True)
        known.to_csv(words.out, index=False, float_format="%.6g")


if __name__ == "__main__":
    pd.set_option("display.width", 220, "display.max_columns", 20)
    main()
