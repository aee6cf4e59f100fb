"""Learning curves of rectification: how far off are people, a model, and both joined, with n people, and how often do intervals hold?

    python scripts/rectification.py                        every setting, 1,000 studies each
    python scripts/rectification.py --runs 100 --out x.csv a quicker look, elsewhere

People and models are respondents with known truth (`respondent.Respondent`). 2,000 adults have a party, drawn from the survey cells of
2016, and an earlier answer that goes with it. What a *person* says depends on both. Three *models* lean to "yes": one is told both, one
only the party, one nothing (for the rare answer the first alone). Each answers 200 times as each adult (`respondent.sample_answers`).
A study draws n people, and 2,000 others for whom the model alone answers, with one answer of each, and calls `rectify`. Truth is the
planted share of yes.

Written to `data/respondent/rectification.csv`, one row per item, model, n and estimate (people alone, model alone, rectified): truth,
mean, rmse, coverage of the 95 % intervals with its Monte Carlo error, mean width, runs, and in how many of them fewer than 5 people told
yes from no, of which `rectify` warns when asked for shares.
The interval of the model alone knows its sampling error only.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from persona_kit.calibration import assign_quotas
from persona_kit.personas import render
from persona_kit.population import us_adults
from persona_kit.rectification import RARE, rectify
from persona_kit.respondent import Respondent, probabilities, sample_answers
from persona_kit.surveys import Item, Survey
from persona_kit.tables import data_path

OUT = Path(__file__).resolve().parent.parent / "data" / "respondent" / "rectification.csv"
SIZES, OTHERS, DRAWS, SEED = (25, 50, 100, 200, 400, 800), 2000, 200, 11
PARTIES = ("strong Democrat", "Democrat", "leans Democrat", "independent", "leans Republican", "Republican", "strong Republican")
ITEMS = {name: Item(name, text, ("yes", "no")) for name, text in (("common", "Should the state do more?"), ("rare", "Would you emigrate?"))}
TOLD = {"knows persons": ["party", "earlier_answer"], "knows party": ["party"], "knows nothing": ["state"]}


def adults(n: int = OTHERS) -> pd.DataFrame:
    "People with a party and an earlier answer that goes with it."
    people = us_adults().sample(n, seed=SEED)
    cells = pd.read_csv(data_path("surveys/cces_2016_cells.csv"))
    people = assign_quotas(people, cells, "party", given="sex", weight="n", seed=SEED)
    left = 1 - people["party"].map(PARTIES.index).to_numpy(int) / 6
    return people.assign(earlier_answer=np.where(np.random.default_rng(SEED).random(n) < 0.2 + 0.6 * left, "agree", "disagree"))


def respondent(told: list[str], lean: float) -> Respondent:
    "Party and earlier answer move the log-odds of yes, if they are told."
    rows = [(item, "base", None, "yes", lean + base) for item, base in (("common", -0.2), ("rare", -3.0))]
    for item in ITEMS:
        rows += [(item, "party", p, "yes", 0.6 * (1 - i / 3)) for i, p in enumerate(PARTIES)]
        rows += [(item, "earlier_answer", a, "yes", sign * 2.0) for a, sign in (("agree", 1), ("disagree", -1))]
    table = pd.DataFrame(rows, columns=["item_id", "attribute", "value", "option", "loading"])
    table = table[table["attribute"].isin(["base", *told])]
    return Respondent(base_spread=0, persona_spread=0, attributes=told, items=Survey(list(ITEMS.values())), loadings=table, seed=SEED)


def answers(who: Respondent, people: pd.DataFrame, told: list[str], item: Item) -> np.ndarray:
    "1 for yes: people × draws."
    seen = people.assign(text=render(people, attributes=told))
    said = sample_answers(who, seen, item, draws=DRAWS, seed=SEED + len(told))
    return said["option"].eq("yes").to_numpy(float).reshape(DRAWS, len(people)).T


def studies(human: np.ndarray, model: np.ndarray, n: int, runs: int) -> tuple[pd.DataFrame, int]:
    "Estimates and intervals of many studies, and how many have too few of one answer."
    rng, rows, few = np.random.default_rng(SEED + n), [], 0
    for _ in range(runs):
        asked, others = rng.integers(len(human), size=n), rng.integers(len(human), size=OTHERS)
        y, f = human[asked, rng.integers(DRAWS, size=n)], model[asked, rng.integers(DRAWS, size=n)]
        found = rectify(y, f, model[others, rng.integers(DRAWS, size=OTHERS)]).iloc[0]
        alone, error = found["uncorrected"], 1.96 * (found["uncorrected"] * (1 - found["uncorrected"]) / OTHERS) ** 0.5
        rows += [("people", *found[["human", "human_low", "human_high"]]), ("model", alone, alone - error, alone + error),
                 ("rectified", *found[["corrected", "low", "high"]])]
        few += min(y.sum(), n - y.sum()) < RARE
    return pd.DataFrame(rows, columns=["estimate", "value", "low", "high"]), int(few)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    people, rows = adults(), []
    truth_teller = respondent(TOLD["knows persons"], 0)
    for name, item in ITEMS.items():
        seen = people.assign(text=render(people, attributes=TOLD["knows persons"]))
        planted = probabilities(truth_teller, seen, item)
        truth = float(planted.loc[planted["option"] == "yes", "share"].mean())
        human = answers(truth_teller, people, TOLD["knows persons"], item)
        for model, told in TOLD.items() if name == "common" else [("knows persons", TOLD["knows persons"])]:
            guess = answers(respondent(told, 0.6), people, told, item)
            for n in SIZES:
                found, few = studies(human, guess, n, args.runs)
                for estimate, part in found.groupby("estimate", sort=False):
                    held = float(part["low"].le(truth).mul(part["high"].ge(truth)).mean())
                    error = (held * (1 - held) / args.runs) ** 0.5
                    rmse, width = ((part["value"] - truth) ** 2).mean() ** 0.5, (part["high"] - part["low"]).mean()
                    rows.append((name, model, n, estimate, truth, part["value"].mean(), rmse, held, error, width, args.runs, few))
                print(name, model, n, flush=True)
    columns = ["item", "model", "n", "estimate", "truth", "mean", "rmse", "coverage", "coverage_error", "width", "runs", "few"]
    pd.DataFrame(rows, columns=columns).to_csv(args.out, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main()
