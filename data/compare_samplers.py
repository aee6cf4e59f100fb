"""Compare ways to sample people, and write the result: population/us_samplers.csv and population/us_association.csv.

    python data/compare_samplers.py SOURCE_FOLDER

SOURCE_FOLDER holds `census/acs5_2014_2018_poststrat_state_eth_sex_age_educ.csv.gz` (cells of adult citizens by state, the true
joint of age, sex, group and education as microdata give it) and `census/acs1_2011_pums_sample.parquet`.

us_samplers.csv: each state in turn is treated as if only its published tables were known, which are margins of its true cells:
sex x age x group, sex x age x education, sex x group x education. The cells of the other states may be used. How far are the
resulting cells from the true ones (total variation: the share of people who would have to be moved)?

    independent      age x sex x group of the state; education as in the state for everybody: the paper's sampler
    margins          the three tables, raked from a flat start (no four-way interaction beyond them)
    other states     the three tables, raked from the cells of all other states: what us_adults_2018.parquet does
    donors           the adults of the PUMS sample, weighted by raking to the state's shares of sex x age, group and education
                     (its cells are too few for the three tables); people are donors, drawn by weight
    shipped          the citizens of us_adults_2018.parquet as it is, fitted to the tables of 2018 that the Bureau publishes; the bands
                     of age are split as B01001 says, Hispanics by race as in `persona_kit.census`. Part of its distance is that the true
                     cells are two years older on average and themselves a sample: `by_chance` is what a simple sample of one person
                     in twenty would show if the shipped cells were the truth
    shipped, independent   the same with education as in the state for everybody

us_association.csv: for every pair of attributes, Cramér's V (corrected for the size of the table, Bergsma 2013) among the adults of
the PUMS sample of 2011, among people drawn with all attributes, and among people drawn independently. Pairs are marked that were
a term of the model that the attributes start from, since for these the agreement was built in.
"""

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from build_attributes import (
    CHILDREN,
    CLASS,
    EARNED,
    EMPLOYMENT,
    ENGLISH,
    HOUSEHOLD,
    INCOME,
    INDUSTRY,
    INSURANCE,
    MARITAL,
    OCCUPATION,
    ORIGIN,
    OUT,
    sample,
)

from build_population import SEX, Tables

from persona_kit.census import add_attributes, state_shares
from persona_kit.population import electorate, rake, us_adults
from persona_kit.tables import STATES

BY = ["sex", "age", "eth", "educ"]
TABLES = (("sex", "age", "eth"), ("sex", "age", "educ"), ("sex", "eth", "educ"))


def total_variation(p: np.ndarray, q: np.ndarray) -> float:
    return float(np.abs(p / p.sum() - q / q.sum()).sum() / 2)


def worst(cells: pd.DataFrame, weight: np.ndarray) -> float:
    "Largest difference of any published cell, in points of the state."
    n = cells["n"].to_numpy()
    off = pd.DataFrame({"off": weight / weight.sum() - n / n.sum(), **cells[BY]})
    return 100 * max(off.groupby(list(t))["off"].sum().abs().max() for t in TABLES)


def distinct(shares: np.ndarray, draws: int = 1000) -> float:
    "Expected number of different rows among so many draws."
    return float((1 - (1 - shares / shares.sum()) ** draws).sum())


def samplers(cells: pd.DataFrame, donors: pd.DataFrame) -> pd.DataFrame:
    full = pd.MultiIndex.from_product([sorted(cells[c].unique()) for c in BY], names=BY)
    wide = cells.groupby(["state_po", *BY])["n"].sum().unstack("state_po").reindex(full).fillna(0.0)
    rows = []
    for state in wide:
        here = wide[state].rename("n").reset_index()
        n = here["n"].to_numpy()
        margins = {t: here.groupby(list(t))["n"].sum() for t in TABLES}
        known = here[(here[[*BY]].join(wide.drop(columns=state).sum(axis=1).rename("others"), on=BY)["others"] > 0).to_numpy()]
        others = known.join(wide.drop(columns=state).sum(axis=1).rename("weight"), on=BY)
        education = here.groupby("educ")["n"].sum() / n.sum()
        ways = {
            "independent": here.join(margins[TABLES[0]].rename("of"), on=list(TABLES[0]))["of"].to_numpy()
            * here["educ"].map(education).to_numpy(),
            "margins": rake(known.assign(weight=1.0), margins, tol=1e-6, max_iter=20000).reindex(here.index, fill_value=0.0).to_numpy(),
            "other states": rake(others, margins, tol=1e-6, max_iter=20000).reindex(here.index, fill_value=0.0).to_numpy(),
        }
        few = {k: here.groupby(list(k) if isinstance(k, tuple) else k)["n"].sum() for k in (("sex", "age"), "eth", "educ")}
        records = rake(donors, few, tol=1e-6, max_iter=20000)
        ways["donors"] = records.groupby([donors[c] for c in BY]).sum().reindex(full, fill_value=0.0).to_numpy()
        for way, weight in ways.items():
            different = distinct(records.to_numpy()) if way == "donors" else np.nan
            rows.append((state, way, total_variation(weight, n), worst(here, weight), different))
    return pd.DataFrame(rows, columns=["state", "way", "total_variation", "worst_margin_points", "distinct_donors_per_1000"])


def shipped(cells: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    "Distance of the shipped citizens from the true cells, by state."
    race = state_shares("race").reshape(51, 2, 10, 7)
    split = early_half(tables)
    truth = cells.groupby(["state_po", *BY])["n"].sum()
    rows = []
    for way, joint in (("shipped", "census"), ("shipped, independent", "independent")):
        frame = us_adults(joint=joint).frame
        codes = [frame[c].cat.codes.to_numpy() for c in ("state", "sex", "age_group", "race_ethnicity", "education")]
        n = np.zeros((51, 2, 10, 8, 7))
        n[tuple(codes)] = electorate(frame, "citizens")
        four = np.zeros((51, 2, 10, 4, 7))  # white Hispanics, white, Black, other
        hispanic = n[:, :, :, 7]
        four[:, :, :, 0] = hispanic * race[..., [0]]
        four[:, :, :, 1] = n[:, :, :, 0]
        four[:, :, :, 2] = n[:, :, :, 1] + hispanic * race[..., [1]]
        four[:, :, :, 3] = n.sum(axis=3) - four[:, :, :, :3].sum(axis=3)
        ages = np.einsum("sxage,sxab->sxbge", four, split)
        five = np.einsum("sxbge,ef->sxbgf", ages, np.eye(5)[[0, 0, 1, 2, 2, 3, 4]])
        levels = [list(STATES), SEX, ["18-29", "30-39", "40-49", "50-59", "60-69", "70+"], ["Hispanic", "White", "Black", "Other"]]
        full = pd.MultiIndex.from_product(
            [*levels, ["No HS", "HS", "Some college", "4-Year College", "Post-grad"]], names=["state_po", *BY]
        )
        ours = pd.Series(five.ravel(), full)
        for state in cells["state_po"].unique():
            here = ours[state]
            true = truth[state].reindex(here.index, fill_value=0).to_numpy()
            rows.append((state, way, total_variation(here.to_numpy(), true), by_chance(here.to_numpy())))
    return pd.DataFrame(rows, columns=["state", "way", "total_variation", "by_chance"])


def by_chance(cells: np.ndarray, times: int = 20) -> float:
    "Total variation that a simple sample of one person in twenty (five years of the ACS) has from the cells it is drawn from."
    rng = np.random.default_rng(1)
    shares = cells / cells.sum()
    return float(np.mean([total_variation(rng.multinomial(round(cells.sum() / 20), shares), cells) for _ in range(times)]))


def early_half(tables: Tables) -> np.ndarray:
    "How the ten bands fall into 18-29, 30-39, 40-49, 50-59, 60-69, 70 and over: states x sexes x 10 x 6, from B01001."
    wide = tables.of("B01001").loc[list(STATES)]
    out = np.zeros((51, 2, 10, 6))
    out[:, :, :3, 0] = out[:, :, 3, 1] = out[:, :, 8:, 5] = 1
    bands = {4: ([13], [14], 1), 5: ([15], [16], 2), 6: ([17], [18, 19], 3), 7: ([20, 21], [22], 4)}
    for x, shift in enumerate((0, 24)):
        for band, (first, second, at) in bands.items():
            early, late = (wide[[i + shift for i in part]].sum(axis=1).to_numpy() for part in (first, second))
            out[:, x, band, at], out[:, x, band, at + 1] = early / (early + late), late / (early + late)
    return out


def citizen_donors(path: Path) -> pd.DataFrame:
    "Adult citizens of the PUMS sample in the categories of the cells."
    raw = pd.read_parquet(path, columns=["AGEP", "SEX", "RAC1P", "HISP", "SCHL", "CIT", "PWGTP"]).astype("float64")
    raw = raw[(raw["AGEP"] >= 18) & (raw["CIT"] != 5)]
    white, hispanic = raw["RAC1P"] == 1, raw["HISP"] > 1
    return pd.DataFrame(
        {
            "sex": raw["SEX"].map({1: "Male", 2: "Female"}),
            "age": pd.cut(raw["AGEP"], [17, 29, 39, 49, 59, 69, 200], labels=["18-29", "30-39", "40-49", "50-59", "60-69", "70+"]).astype(
                str
            ),
            "eth": np.select([white & hispanic, white, raw["RAC1P"] == 2], ["Hispanic", "White", "Black"], "Other"),
            "educ": pd.cut(
                raw["SCHL"], [0, 15, 17, 20, 21, 24], labels=["No HS", "HS", "Some college", "4-Year College", "Post-grad"]
            ).astype(str),
            "weight": raw["PWGTP"],
        }
    ).reset_index(drop=True)


# --- Association -----------------------------------------------------------------------------------------------------

COARSE = {  # attribute: its codes in the sample, and the labels that the package draws
    "sex": ("sex", ["Male", "Female"]),
    "age": ("age4", None),
    "group": ("group", None),
    "education": ("edu4", None),
    "birth": ("origin", ORIGIN),
    "english": ("english", ["speaks only English", *ENGLISH]),
    "marital status": ("marital", MARITAL),
    "household": ("household", HOUSEHOLD),
    "children": ("children0", CHILDREN),
    "veteran": ("veteran0", ["no", "yes"]),
    "disability": ("disability", ["no", "yes"]),
    "employment": ("employment", EMPLOYMENT),
    "occupation": ("occupation", OCCUPATION),
    "class of worker": ("class", CLASS),
    "industry": ("industry", INDUSTRY),
    "earnings": ("earned", EARNED),
    "household income": ("income", INCOME),
    "insurance": ("insurance", INSURANCE),
}
COLUMN = {
    "birth": "citizenship",
    "english": "english",
    "marital status": "marital_status",
    "household": "household_relationship",
    "children": "children_at_home",
    "veteran": "veteran",
    "disability": "disability",
    "employment": "employment_status",
    "occupation": "occupation",
    "class of worker": "class_of_worker",
    "industry": "industry",
    "earnings": "earnings",
    "household income": "household_income",
    "insurance": "health_insurance",
}
TERMS = {
    frozenset(pair)
    for pair in (
        "age group",
        "education group",
        "sex group",
        "birth age",
        "birth group",
        "birth education",
        "birth sex",
        "marital status|sex",
        "marital status|age",
        "marital status|group",
        "marital status|education",
        "household|sex",
        "household|age",
        "household|group",
        "household|marital status",
        "children|age",
        "children|group",
        "children|household",
        "employment|sex",
        "employment|age",
        "employment|group",
        "employment|education",
        "veteran|sex",
        "veteran|age",
        "veteran|group",
        "occupation|sex",
        "occupation|age",
        "occupation|group",
        "occupation|education",
        "class of worker|occupation",
        "industry|occupation",
        "industry|sex",
        "class of worker|industry",
        "earnings|sex",
        "earnings|age",
        "earnings|group",
        "earnings|education",
        "earnings|occupation",
        "earnings|employment",
        "household income|age",
        "household income|group",
        "household income|earnings",
        "household income|household",
        "insurance|age",
        "insurance|disability",
        "insurance|group",
        "insurance|employment",
        "insurance|earnings",
        "insurance|birth",
        "insurance|education",
        "english|education",
        "disability|age",
        "disability|group",
        "disability|education",
        "disability|employment",
        "english|birth",
        "english|group",
        "english|age",
        "sex|age",
        "sex|education",
        "age|education",
    )
    for pair in [tuple(pair.split("|" if "|" in pair else " "))]
}


def corrected_v(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> float:
    "Cramér's V with Bergsma's correction, over those who have both attributes; the weights count as an effective sample size."
    both = (a >= 0) & (b >= 0)
    a, b, weight = a[both], b[both], weight[both]
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), weight)
    table = table[table.sum(1) > 0][:, table.sum(0) > 0] / weight.sum()
    size = weight.sum() ** 2 / (weight**2).sum()
    expected = np.outer(table.sum(1), table.sum(0))
    r, c = table.shape
    phi = max(((table - expected) ** 2 / expected).sum() - (r - 1) * (c - 1) / (size - 1), 0)
    r, c = r - (r - 1) ** 2 / (size - 1), c - (c - 1) ** 2 / (size - 1)
    return float(np.sqrt(phi / max(min(r, c) - 1, 1e-9)))


def codes_of_sample(people: pd.DataFrame) -> dict[str, np.ndarray]:
    language = people["language"].to_numpy()
    people = people.assign(
        age4=np.array([0, 0, 1, 1, 1, 2, 2, 3, 3, 3])[people["age"]],
        english=np.where(language == 0, 0, 1 + (language - 1) % 4),
        children0=people["children"].clip(lower=0),
        veteran0=people["veteran"].clip(lower=0),
    )
    return {name: people[column].to_numpy(int) for name, (column, _) in COARSE.items()}


def codes_of_draws(people: pd.DataFrame) -> dict[str, np.ndarray]:
    age = people["age_group"].cat.codes.to_numpy()
    group = people["race_ethnicity"].astype(str).map({"White": 0, "Black": 1, "Asian": 2, "Hispanic": 3}).fillna(4).to_numpy(int)
    out = {
        "sex": people["sex"].cat.codes.to_numpy(int),
        "age": np.array([0, 0, 1, 1, 1, 2, 2, 3, 3, 3])[age],
        "group": group,
        "education": np.array([0, 0, 1, 2, 2, 3, 3])[people["education"].cat.codes.to_numpy()],
    }
    for name, column in COLUMN.items():
        out[name] = pd.Categorical(people[column].astype(object), categories=COARSE[name][1]).codes.astype(int)
    return {name: out[name] for name in COARSE}


def association(path: Path) -> pd.DataFrame:
    people_2011 = sample(path)
    sets = {"pums_2011": (codes_of_sample(people_2011), people_2011["weight"].to_numpy(float))}
    for name, joint in (("census", "census"), ("independent", "independent")):
        people = us_adults(joint=joint).sample(n=200_000, seed=1)
        sets[name] = (codes_of_draws(add_attributes(people, seed=1, joint=joint)), people["weight"].to_numpy(float))
    rows = []
    for a, b in combinations(COARSE, 2):
        rows.append((a, b, frozenset((a, b)) in TERMS, *(corrected_v(codes[a], codes[b], weight) for codes, weight in sets.values())))
    return pd.DataFrame(rows, columns=["first", "second", "term", *sets])


def main(source: Path) -> None:
    cells = pd.read_csv(source / "acs5_2014_2018_poststrat_state_eth_sex_age_educ.csv.gz")
    result = samplers(cells, citizen_donors(source / "acs1_2011_pums_sample.parquet"))
    result = pd.concat([result, shipped(cells, Tables(source / "acs1_2018_state_tables.parquet"))])
    result.round(5).to_csv(OUT / "us_samplers.csv", index=False, lineterminator="\n")
    sys.stdout.write(
        result.groupby("way", sort=False)[["total_variation", "worst_margin_points", "distinct_donors_per_1000"]]
        .agg(["mean", "min", "max"])
        .round(4)
        .to_string()
        + "\n"
    )
    pairs = association(source / "acs1_2011_pums_sample.parquet")
    pairs.round(4).to_csv(OUT / "us_association.csv", index=False, lineterminator="\n")
    off = pairs[["census", "independent"]].sub(pairs["pums_2011"], axis=0).abs()
    sys.stdout.write(off.groupby(pairs["term"]).mean().round(4).to_string() + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python data/compare_samplers.py SOURCE_FOLDER")
    main(Path(sys.argv[1]) / "census")
