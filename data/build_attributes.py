"""Build data/population/us_attributes.npz and .json: what else the census knows about the adults of us_adults_2018.parquet.

    python data/build_attributes.py SOURCE_FOLDER

SOURCE_FOLDER holds `census/acs1_2018_state_tables.parquet` and `census/acs1_2011_pums_sample.parquet`. The tables
us_adults_2018.parquet and us_electorates.parquet must have been built before.

One attribute is added after the other. Each is a table of shares given the state and a few attributes that stand before it:
employment given sex, age, group, education and marriage, occupation given sex, age, group and education of the employed, and
so on. No table gives such a share, but each published table fixes sums of them. They are found in two steps.

1. For the whole country: a log-linear model without high interactions. Its terms are the shares in a sample of 4,942
   adults (PUMS 2011), each given one to three attributes, smoothed a little (`PRIOR`).
2. For each state: these shares, raked to every published table of 2018 that counts the attribute. A table counts
   with shares within its rows, so that a slightly different universe (civilians, persons not in institutions, persons from
   16 years on) does no harm; where it begins at 15 or 16, the never-married or hardly employed minors are taken off first.

Kept are the parameters of both steps, not the shares, which are many: `persona_kit.census.state_shares` multiplies them out.
What cannot be (`persona_kit.census.RULES`) stays zero throughout. Besides the tables it writes us_attributes_fit.csv: for each attribute
and table the largest difference in any state and in the country, in points of all persons that the table counts.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from build_population import AGES, EDUCATION, GROUPS, OUT, RACES, SEX, Tables

from persona_kit import pums
from persona_kit.census import spread
from persona_kit.pums import LABELS
from persona_kit.tables import STATES

PRIOR, PRIOR_OF_PAIRS = 2.0, 10.0
PASSES = 2000
PRICES = 251.107 / 224.939  # consumer prices 2018 over 2011 (CPI-U, annual averages)

GROUP5 = ["White", "Black", "Asian", "Hispanic", "rest"]
GROUP5_OF = [GROUP5.index(g) if g in GROUP5 else 4 for g in GROUPS]
EDU4_OF, EDU5_OF = [0, 0, 1, 2, 2, 3, 3], [0, 0, 1, 2, 2, 3, 4]
LETTER5 = {"H": 0, "B": 1, "D": 2, "I": 3}  # tables by race: white not Hispanic, Black, Asian, Hispanic

ORIGIN, REGION, MARITAL, HOUSEHOLD = (
    list(LABELS[n]) for n in ("citizenship", "region_of_birth", "marital_status", "household_relationship")
)
TONGUES, ENGLISH = LABELS["language_at_home"][1:], LABELS["english"][1:]
LANGUAGE = ["English | speaks only English", *[f"{t} | {e}" for t in TONGUES for e in ENGLISH]]
LIVES = [0, 1, 1, 2, 2, 4, 5, 3, 4, 5, 6]  # B09021: alone, spouse, partner, child, other relatives, other nonrelatives; and group quarters
TYPE, CHILDREN, EMPLOYMENT, YESNO = (list(LABELS[n]) for n in ("household_type", "children_at_home", "employment_status", "veteran"))
OCCUPATION, CLASS, INDUSTRY = (list(LABELS[n]) for n in ("occupation", "class_of_worker", "industry"))
OCC_LEAF = [5, 6, 8, 9, 10, 12, 13, 14, 15, 17, 18, 20, 22, 23, 24, 25, 26, 28, 29, 31, 32, 33, 35, 36, 37]
JOB_OF = [0, 0, 1, 1, 1, 2, 0, 2, 2, 3, 7, 4, 5, 5, 4, 4, 4, 6, 7, 8, 8, 8, 9, 9, 9]  # ten kinds; 10 is the armed forces, 11 no job
EARNED, EARNED_FROM = list(LABELS["earnings"]), np.array(pums.EARNED_FROM)
B20005_BIN = [1] * 4 + [2] * 4 + [3] * 3 + [4] * 2 + [5] * 2 + [6] * 2 + [7, 8, 9]
EARNINGS = [
    *[f"full-time, year-round | {e}" for e in EARNED[1:]],
    "none | none",
    *[f"part-time or part of the year | {e}" for e in EARNED[1:]],
]
INCOME, INCOME_TO = list(LABELS["household_income"]), np.array(pums.INCOME_TO)
B19001_BIN = [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 8, 9, 10]
INSURANCE = list(LABELS["health_insurance"])

AGE2, AGE3 = [0] * 7 + [1] * 3, [0] * 4 + [1] * 3 + [2] * 3  # 18-64, 65+; 18-34, 35-64, 65+
AGE4 = [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]  # 18-24, 25-44, 45-64, 65+
AGE5 = [0, 1, 2, 2, 2, 3, 3, 4, 4, 4]  # 18-19, 20-24, 25-44, 45-64, 65+
GROUP3 = [0, 1, 2, 1, 0]  # white and others, Black and Hispanic, Asian
HEADS = [0, 1, 3, 5, 6]  # the householders among HOUSEHOLD
AGE7 = [0, 0, 1, 1, 2, 3, 4, 5, 6, 6]
VETERAN_AGE = [0, 0, 0, 0, 1, 1, 2, 3, 4, 4]  # 18-34, 35-54, 55-64, 65-74, 75+
PLACE_AGE = [0, 0, 1, 1, 2, 3, 4, 5, 6, 6]
BIRTH5 = [0, 0, 1, 2, 2, 3, 4]  # B06009: below high school ... graduate degree
WITH_OF = [0, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]  # household: alone, couple, another householder or partner, somebody else's home

# --- The sample ------------------------------------------------------------------------------------------------------


def sample(path: Path) -> pd.DataFrame:
    "Adults of the PUMS sample, every attribute as a code; -1 where it does not apply."
    codes = pums._codes(pd.read_parquet(path), PRICES).reset_index(drop=True)
    out = codes.rename(
        columns={"age_group": "age", "citizenship": "origin", "region_of_birth": "region", "marital_status": "marital"}
        | {"household_relationship": "household", "household_type": "type", "employment_status": "employment", "class_of_worker": "class"}
        | {"earnings": "earned", "household_income": "income", "health_insurance": "insurance", "age": "years"}
    )
    out["group"] = np.array(GROUP5_OF)[out["race_ethnicity"]]
    out["edu4"] = np.array(EDU4_OF)[out["education"]]
    out["edu2"] = (out["edu4"] >= 2).astype(int)
    out["citizen"] = (out["origin"] == 4).astype(int)
    out["language"] = np.where(out["language_at_home"] > 0, 1 + 4 * (out["language_at_home"] - 1) + out["english"] - 1, 0)
    out["married"] = (out["marital"] == 0).astype(int)
    out["children"] = np.where(out["household"].isin([1, 2, 3, 4, 5]), out["children_at_home"], -1)
    out["edu5"] = np.array(EDU5_OF)[out["education"]]
    out["veteran"] = np.where(out["employment"] == 2, -1, out["veteran"])
    kind = np.array([*JOB_OF, -1])[out["occupation"]]
    out["job"] = np.where(kind >= 0, kind, np.where(out["employment"] == 2, 10, 11))
    out["earnings"] = np.where(out["work_past_year"] == 1, out["earned"] - 1, 9 + out["earned"])
    least = np.searchsorted(INCOME_TO, EARNED_FROM, side="right")[out["earned"]]  # a household has no less than one member earns
    out["income"] = np.where(out["income"] >= 0, np.maximum(out["income"], least), -1)
    out["with"] = np.array(WITH_OF)[out["household"]]
    out["earn3"] = np.array([0, 1, 1, 2, 2, 2, 2, 2, 2, 2])[out["earned"]]
    return out


# --- Fitting ---------------------------------------------------------------------------------------------------------


@dataclass
class Margin:
    "A published table: rows (sets of parent cells) by columns (sets of categories), as counts by state; None is no row or column."

    table: str
    rows: np.ndarray  # row of each parent cell, -1 for none
    columns: np.ndarray  # column of each category, -1 for none
    counts: np.ndarray  # states x rows x columns
    weight: np.ndarray | None = None  # states x cells: of whom the table speaks, where not of all


@dataclass
class Attribute:
    name: str
    categories: list[str]
    parents: list[str]
    sizes: list[int]
    terms: list[list[str]]
    sample: str
    zero: np.ndarray | None = None  # cells x categories that cannot be
    margins: list[Margin] = field(default_factory=list)
    applies: np.ndarray | None = None  # cells whose people can have the attribute, where not all

    def grid(self) -> dict[str, np.ndarray]:
        "The code of each parent in each cell."
        codes = np.indices(self.sizes).reshape(len(self.sizes), -1)
        return dict(zip(self.parents, codes, strict=True))


def rake_shares(shares: np.ndarray, weight: np.ndarray, margins: list[Margin], passes: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Shares (states x cells x categories) after raking to the row shares of all margins; rows without a count stay as they are.

    And what raking multiplied them by: for each margin the logarithms of the factors, states x rows x columns.
    """
    logs = [np.zeros(m.counts.shape) for m in margins]
    for i in range(passes):
        if i % 20 == 19 and max(np.abs(deviations(shares, weight, m)).max() for m in margins) < 1e-6:
            break
        for m, log in zip(margins, logs, strict=True):
            ratio = ratios(shares, weight, m)
            log += np.log(ratio)
            shares = shares * spread(ratio, m.rows, m.columns, 1.0)
            total = shares.sum(axis=2, keepdims=True)
            shares = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
    return shares, logs


def sums(shares: np.ndarray, weight: np.ndarray, m: Margin) -> np.ndarray:
    "States x rows x columns."
    w = weight if m.weight is None else m.weight
    columns = np.eye(m.counts.shape[2])[m.columns] * (m.columns >= 0)[:, None]
    rows = np.eye(m.counts.shape[1])[m.rows] * (m.rows >= 0)[:, None]
    return np.einsum("rg,src->sgc", rows, (w[:, :, None] * shares) @ columns, optimize=True)


def deviations(shares: np.ndarray, weight: np.ndarray, m: Margin) -> np.ndarray:
    "Sums less what the table says, as shares of all it counts in the state: states x rows x columns, 0 where nothing is published."
    now = sums(shares, weight, m)
    of_row = m.counts.sum(axis=2, keepdims=True)
    off = now - m.counts / np.where(of_row > 0, of_row, np.nan) * now.sum(axis=2, keepdims=True)
    return np.nan_to_num(off) / np.maximum(now.sum(axis=(1, 2), keepdims=True), 1e-300)


def ratios(shares: np.ndarray, weight: np.ndarray, m: Margin) -> np.ndarray:
    "Wanted by actual sums, states x rows x columns; 1 where nothing is wanted."
    now = sums(shares, weight, m)
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = m.counts / m.counts.sum(axis=2, keepdims=True) * now.sum(axis=2, keepdims=True)
        ratio = wanted / now
    return np.where(np.isfinite(ratio), np.clip(ratio, 1e-3, 1e3), 1.0)


def start(attribute: Attribute, people: pd.DataFrame, weight: np.ndarray) -> np.ndarray:
    "The log-linear model of the country: cells x categories."
    k, grid = len(attribute.categories), attribute.grid()
    known = people[people[attribute.sample] >= 0]
    w, codes = known["weight"].to_numpy(float), known[attribute.sample].to_numpy()
    overall = np.bincount(codes, w, k) + w.sum() * 1e-4
    overall = overall / overall.sum()
    shares = np.broadcast_to(overall, (1, weight.shape[1], k)).copy()
    if attribute.zero is not None:
        shares = np.where(attribute.zero, 0.0, shares)
        shares = shares / np.maximum(shares.sum(axis=2, keepdims=True), 1e-300)
    terms = []
    for names in attribute.terms:
        size = [attribute.sizes[attribute.parents.index(n)] for n in names]
        rows = np.ravel_multi_index([grid[n] for n in names], size)
        terms.append(Margin("PUMS", rows, np.arange(k), smoothed(known, codes, w, names, size, overall)[None]))
    nation = weight.sum(axis=0, keepdims=True) * (1.0 if attribute.applies is None else attribute.applies)
    shares, _ = rake_shares(shares, nation, terms, 400)
    worst = max((100 * np.abs(deviations(shares, nation, m)).max(), names) for m, names in zip(terms, attribute.terms, strict=True))
    if worst[0] > 6:  # some are off because the country of 2018 is composed otherwise than the sample of 2011
        raise SystemExit(f"{attribute.name}: the terms of the model contradict each other, {' x '.join(worst[1])} by {worst[0]:.1f} points")
    sys.stdout.write(f"{attribute.name}: terms of the model met to {worst[0]:.1f} points ({' x '.join(worst[1])})\n")
    return shares[0]


def smoothed(known: pd.DataFrame, codes: np.ndarray, w: np.ndarray, names: list[str], size: list[int], overall: np.ndarray) -> np.ndarray:
    """Shares in the sample by one or more parents.

    Those of a single parent get `PRIOR` persons of the overall shares, those of several `PRIOR_OF_PAIRS` persons of the product of
    the single ones.
    """

    def counted(rows: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        counts = np.zeros((n, len(overall)))
        np.add.at(counts, (rows, codes), w)
        return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-300), np.bincount(rows, minlength=n)[:, None]

    product = np.ones((*size, len(overall))) * overall
    for axis, (name, many) in enumerate(zip(names, size, strict=True)):
        mean, n = counted(known[name].to_numpy(), many)
        single = (mean * n + PRIOR * overall) / (n + PRIOR)
        if len(names) == 1:
            return single
        product = product * (single / overall).reshape([many if i == axis else 1 for i in range(len(size))] + [-1])
    product = product.reshape(-1, len(overall))
    mean, n = counted(np.ravel_multi_index([known[name].to_numpy() for name in names], size), len(product))
    return (mean * n + PRIOR_OF_PAIRS * product / product.sum(axis=1, keepdims=True)) / (n + PRIOR_OF_PAIRS)


def fit(attribute: Attribute, people: pd.DataFrame, weight: np.ndarray, report: list) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    "Shares of each category, states x cells x categories, and the parameters that make them; one line of the report per table."
    country = start(attribute, people, weight)
    shares, logs = rake_shares(np.repeat(country[None], len(weight), axis=0), weight, attribute.margins, PASSES)
    for m in attribute.margins:
        off = deviations(shares, weight, m)
        counted = sums(shares, weight, m).sum(axis=(1, 2), keepdims=True)
        nation = np.abs((off * counted).sum(axis=0)).max() / counted.sum()
        cells = int((np.isfinite(m.counts).all(axis=2) & (m.counts.sum(axis=2) > 0)).sum())
        worst = list(STATES)[int(np.abs(off).max(axis=(1, 2)).argmax())]
        report.append((attribute.name, m.table, cells, 100 * np.abs(off).max(), worst, 100 * nation))
    parameters = {"start": country.astype(np.float32)}
    for number, (m, log) in enumerate(zip(attribute.margins, logs, strict=True)):
        parameters |= {
            f"rows.{number}": m.rows.astype(np.int16),
            f"columns.{number}": m.columns.astype(np.int8),
            f"logs.{number}": log.astype(np.float32),
        }
    return shares, parameters


# --- The tables ------------------------------------------------------------------------------------------------------


def block(tables: Tables, name: str, numbers: list[list[list[int]]]) -> np.ndarray:
    "States x rows x columns of sums of a table's variables; a negative number is taken off."
    wide = tables.of(name).loc[list(STATES)]
    part = [[sum(np.sign(i) * wide[abs(i)].to_numpy() for i in cell) for cell in row] for row in numbers]
    return np.clip(np.moveaxis(np.array(part, float), 2, 0), 0, None)


def rows_of(grid: dict, **maps) -> np.ndarray:
    "One row number per cell from several parents, each through a map to fewer codes (-1: no row)."
    codes = [np.asarray(m)[grid[name]] for name, m in maps.items()]
    size = [int(max(m)) + 1 for m in maps.values()]
    good = np.all([c >= 0 for c in codes], axis=0)
    return np.where(good, np.ravel_multi_index([np.maximum(c, 0) for c in codes], size), -1)


def by_group(grid: dict, letter: str, **maps) -> np.ndarray:
    rows = rows_of(grid, **maps)
    return np.where(grid["group"] == LETTER5[letter], rows, -1)


def dp(tables: Tables, name: str, numbers: list[int]) -> np.ndarray:
    return block(tables, name, [[[i] for i in numbers]])


class Builder:
    def __init__(self, source: Path):
        self.tables = Tables(source / "acs1_2018_state_tables.parquet")
        self.people = sample(source / "acs1_2011_pums_sample.parquet")
        self.minors_by_status, self.minors_earning = minors(source / "acs1_2011_pums_sample.parquet")
        cells = pd.read_parquet(OUT / "us_adults_2018.parquet")
        citizen = pd.read_parquet(OUT / "us_electorates.parquet")["citizen"].to_numpy(float)
        place = tuple(cells[c].cat.codes.to_numpy() for c in ("state", "sex", "age_group", "race_ethnicity", "education"))
        levels = [cells[c].cat.categories.tolist() for c in ("state", "sex", "age_group", "race_ethnicity", "education")]
        assert levels == [list(STATES), SEX, AGES, GROUPS, EDUCATION], levels
        fine = np.zeros((51, 2, 10, 8, 7))
        fine[place] = cells["weight"]
        foreign = np.zeros_like(fine)
        foreign[place] = cells["weight"] * (1 - citizen)
        group = np.eye(5)[GROUP5_OF]
        self.fine, self.core = fine, np.einsum("sxare,rg->sxage", fine, group)  # group of five, education of seven
        self.noncitizens = np.einsum("sxare,rg->sxage", foreign, group)
        four, five = np.eye(4)[EDU4_OF], np.eye(5)[EDU5_OF]
        self.core4, self.noncitizens4 = self.core @ four, self.noncitizens @ four
        self.core5, self.noncitizens5 = self.core @ five, self.noncitizens @ five
        self.report: list = []
        self.out: dict[str, tuple[Attribute, dict[str, np.ndarray]]] = {}
        self.overall: dict[str, np.ndarray] = {}  # persons by state and category

    def add(self, attribute: Attribute, weight: np.ndarray) -> np.ndarray:
        flat = weight.reshape(51, -1)
        shares, parameters = fit(attribute, self.people, flat, self.report)
        self.out[attribute.name] = (attribute, parameters)
        self.overall[attribute.name] = np.einsum("sr,srk->sk", flat, shares)
        return shares.reshape(51, *attribute.sizes, len(attribute.categories))

    # Birth and language

    def origin(self) -> None:
        a = Attribute(
            "origin", ORIGIN, ["sex", "age", "group", "edu5"], [2, 10, 5, 5], [["age", "group"], ["edu5", "group"], ["sex"]], "origin"
        )
        grid, t = a.grid(), self.tables
        places = [list(range(at, at + 11)) for at in (14, 26, 38, 50)]  # by age: own state, another, native abroad, foreign born
        ages = [[i] for i in range(2, 6)] + [[6, 7, 8], [9], [10]]
        by_age = [[[p[i] for i in age] for p in places] for age in ages]
        native = {"": ([9, 20], [11, 22], [12, 23])} | {letter: ([9, 20], [11, 22], [12, 23]) for letter in LETTER5}
        place_column, citizen_column = np.array([0, 1, 2, 3, 3]), np.array([0, 0, 0, 1, 2])
        share = divided(self.noncitizens5, self.core5).reshape(51, -1)
        schooling = block(t, "B06009", [[[i + at] for at in (8, 14, 20, 26)] for i in range(5)])
        a.margins = [
            Margin("B06001", rows_of(grid, age=PLACE_AGE), place_column, block(t, "B06001", by_age)),
            Margin("B06009", np.where(grid["age"] >= 2, grid["edu5"], -1), place_column, schooling),
        ]
        for letter, three in native.items():
            rows = grid["sex"] if not letter else by_group(grid, letter, sex=range(2))
            counts = block(t, "B05003" + letter, [[[k[x]] for k in three] for x in (0, 1)])
            a.margins.append(Margin("B05003" + letter, rows, citizen_column, counts))
        both = np.stack([1 - share, share], axis=2)
        a.margins.append(Margin("citizens of the electorates", np.arange(share.shape[1]), np.array([0, 0, 0, 0, 1]), both))
        self.w_origin = self.core5[..., None] * self.add(a, self.core5)

    def region(self) -> None:
        self.people["age2"] = np.array(AGE2)[self.people["age"]]
        a = Attribute("region", REGION, ["group", "age2", "citizen"], [5, 2, 2], [["group", "citizen"], ["age2"]], "region")
        weight = np.einsum("sxagec,ab->sgbc", self.w_origin[..., 3:], np.eye(2)[AGE2])
        a.margins = [Margin("DP02", np.zeros(20, int), np.arange(6), dp(self.tables, "DP02", list(range(104, 110))))]
        self.p_region = self.add(a, weight)

    def language(self) -> None:
        self.people["born"] = np.where(self.people["origin"] >= 3, self.people["region"] + 1, 0)
        terms = [["born", "group"], ["age2"], ["born", "edu2"]]
        a = Attribute("language", LANGUAGE, ["born", "group", "age2", "edu2"], [7, 5, 2, 2], terms, "language")
        age, school = np.eye(2)[AGE2], np.eye(2)[[0, 0, 1, 1, 1]]
        native = np.einsum("sxage,ab,ef->sgbf", self.w_origin[..., :3].sum(axis=-1), age, school)[:, None]
        foreign = np.einsum("sxagec,ab,ef->sgbcf", self.w_origin[..., 3:], age, school)
        abroad = np.einsum("sgbcf,sgbcr->srgbf", foreign, self.p_region)
        numbers = [[[at], *[[at + 2 + 5 * t + e] for t in range(4) for e in range(4)]] for at in (25, 47)]
        a.margins = [Margin("B16004", a.grid()["age2"], np.arange(17), block(self.tables, "B16004", numbers))]
        self.add(a, np.concatenate([native, abroad], axis=1))

    # Family

    def marital(self) -> None:
        zero = np.zeros((2, 10, 5, 4, 6), bool)
        zero[:, 0, :, :, 3:5] = True
        terms = [["sex", "age"], ["group", "sex"], ["edu4", "group"]]
        a = Attribute("marital_status", MARITAL, ["sex", "age", "group", "edu4"], [2, 10, 5, 4], terms, "marital", zero.reshape(-1, 6))
        grid, t = a.grid(), self.tables
        bands = [[0], [1], [2], [3], [4, 5], [6, 7], [8, 9], [10], [11], [12]]
        bases = (20, 51, 36, 66, 81, 4)  # spouse present, other absent, separated, widowed, divorced, never married: the 15-17 of each
        ages = [[[base + shift + 1 + i for i in band] for base in bases] for shift in (0, 93) for band in bands]
        a.margins = [Margin("B12002", rows_of(grid, sex=range(2), age=range(10)), np.arange(6), block(t, "B12002", ages))]
        for letter in LETTER5:
            counts = block(t, "B12002" + letter, [[[s + 1], [s + 2], [s + 3], [s + 4], [s]] for s in (3, 9)])
            young = block(t, "B01001" + letter, [[[6]], [[21]]])[..., 0]
            counts[..., 4] = np.maximum(counts[..., 4] - young, 0)
            a.margins.append(Margin("B12002" + letter, by_group(grid, letter, sex=range(2)), np.array([0, 0, 1, 2, 3, 4]), counts))
        self.p_marital = self.add(a, self.core4)

    def household(self) -> None:
        sizes, k = [2, 10, 5, 6], len(HOUSEHOLD)
        zero = np.zeros((*sizes, k), bool)
        zero[:, :, :, 1:, [1, 2]] = True  # not married, or spouse absent
        zero[:, :, :, 0, [0, 3, 4, 5, 6, 10]] = True
        zero[:, 8:, :, :, 7] = True
        terms = [["sex", "age"], ["group"], ["marital", "sex"], ["age", "marital"]]
        a = Attribute(
            "household_relationship", HOUSEHOLD, ["sex", "age", "group", "marital"], sizes, terms, "household", zero.reshape(-1, k)
        )
        grid, t = a.grid(), self.tables
        weight = np.einsum("sxage,sxagem->sxagm", self.core4, self.p_marital)

        def among(table: str, rows: np.ndarray, categories: list[int], counts: np.ndarray) -> Margin:
            "So many persons in these categories, of all in each row."
            all_of = np.stack([weight.reshape(51, -1)[:, rows == r].sum(axis=1) for r in range(counts.shape[1])], axis=1)
            columns = np.where(np.isin(np.arange(k), categories), 0, 1)
            return Margin(table, rows, columns, np.stack([counts, np.maximum(all_of - counts, 0)], axis=2))

        counts = block(t, "B09021", [[[at + i] for i in range(6)] for at in (9, 16, 23)])
        adults = np.einsum("sxage,ab->sb", self.core4, np.eye(3)[AGE3])
        counts = np.concatenate([counts, np.maximum(adults - counts.sum(axis=2), 0)[..., None]], axis=2)
        alone = block(t, "B11010", [[[4], [5]], [[11], [12]]]).reshape(51, 4)
        self.not_alone = dp(t, "B11010", [6, 13])[:, 0]
        everybody, by_sex = np.zeros(len(grid["sex"]), int), grid["sex"]
        a.margins = [
            Margin("B09021", rows_of(grid, age=AGE3), np.array(LIVES), counts),
            among("B11010 alone", rows_of(grid, sex=range(2), age=AGE2), [0], alone),
            among("DP02 spouses", everybody, [2], dp(t, "DP02", [19])[:, 0]),
            among("DP02 partners", everybody, [4], dp(t, "DP02", [23])[:, 0]),
            among("DP02 couples", everybody, [1], dp(t, "DP02", [4])[:, 0]),
            among("DP02 and B11010 other householders", by_sex, [3, 5, 6], dp(t, "DP02", [6, 8])[:, 0] + self.not_alone),
            among("B19037 householders", rows_of(grid, age=AGE4), HEADS, dp(t, "B19037", [2, 19, 36, 53])[:, 0]),
        ]
        self.p_household = self.add(a, weight)
        self.w_household = weight[..., None] * self.p_household  # sex, age, group, marital, relationship

    def children(self) -> None:
        sizes = [2, 10, 5, 11]
        zero = np.zeros((*sizes, 4), bool)
        zero[:, 8:, :, :, 1:] = True
        zero[:, 0, :, :, 3] = True
        zero[..., [0, 6, 7, 8, 9, 10], 1:] = True
        terms = [["sex", "age"], ["group"], ["household", "sex"]]
        a = Attribute("children_at_home", CHILDREN, ["sex", "age", "group", "household"], sizes, terms, "children", zero.reshape(-1, 4))
        a.applies = np.isin(a.grid()["household"], [1, 2, 3, 4, 5])
        grid = a.grid()
        weight = np.einsum("sxagmh->sxagh", self.w_household)
        counts = dp(self.tables, "DP02", [4, 5, 6, 7, 8, 9])[:, 0]
        heads = weight[..., [3, 5]].sum(axis=(2, 3, 4))
        with_own = np.stack([counts[:, 1], counts[:, 3], counts[:, 5]], 1)
        without = np.maximum(np.stack([counts[:, 0], heads[:, 0], heads[:, 1]], 1) - with_own, 0)
        rows = np.where(np.isin(grid["household"], [1, 2]), 0, np.where(np.isin(grid["household"], [3, 5]), 1 + grid["sex"], -1))
        a.margins = [Margin("DP02 children", rows, np.array([0, 1, 1, 1]), np.stack([without, with_own], 2))]
        p = self.add(a, weight)
        self.w_kids = np.einsum("sxagh,sxaghk,kc->sxhc", weight, p, np.eye(2)[[0, 1, 1, 1]])

    def household_type(self) -> None:
        zero = np.ones((2, 11, 2, 6), bool)
        for x in range(2):
            for h, types in enumerate([[3], [0], [0], [1 + x, 4], [1, 2, 4], [1 + x], [4], [0, 1, 2], [0, 1, 2], [0, 1, 2, 4], [5]]):
                zero[x, h, :, types] = False
        zero[:, [3, 4], 1, 4] = True  # own children make a family
        self.people["kids"] = (self.people["children_at_home"] > 0).astype(int)
        a = Attribute(
            "household_type", TYPE, ["sex", "household", "kids"], [2, 11, 2], [["household", "sex", "kids"]], "type", zero.reshape(-1, 6)
        )
        grid, partner = a.grid(), self.w_kids[:, :, 3].sum(axis=2)
        # Householders with a partner who are no family: all householders of nonfamilies but the ones who live with others.
        lone = np.clip(self.not_alone - self.w_kids[:, :, 6].sum(axis=2), 0.02 * partner, 0.98 * self.w_kids[:, :, 3, 0])
        rows = np.where(grid["household"] == 3, grid["sex"], -1)
        a.margins = [Margin("B11010 not alone", rows, np.array([-1, 0, 0, -1, 1, -1]), np.stack([partner - lone, lone], 2))]
        self.add(a, self.w_kids)

    # Work

    def employment(self) -> None:
        sizes = [2, 10, 5, 4, 4]
        zero = np.zeros((*sizes, 4), bool)
        zero[:, 7:, ..., 2] = True
        zero[:, :, :, 0, :, 2] = True
        self.people["home"] = np.select(
            [self.people["household"] == 10, self.people["marital"] == 0, self.people["household"] == 7], [2, 1, 3], 0
        )
        terms = [["sex", "age"], ["group", "sex"], ["edu4", "sex"], ["home", "sex"], ["age", "edu4"], ["age", "home"]]
        a = Attribute(
            "employment_status", EMPLOYMENT, ["sex", "age", "group", "edu4", "home"], sizes, terms, "employment", zero.reshape(-1, 4)
        )
        grid, t = a.grid(), self.tables
        four = [4, 5, 2, 6]  # employed, unemployed, armed forces, not in labor force: offsets within a block of seven
        ages, at = [], 3
        younger = [[at + 7 * i + f for i in band] for band in ([1, 2], [3], [4], [5], [6], [7, 8, 9]) for f in four]
        for shift in (0, 86):
            rows = [[n + shift for n in cell] for cell in younger]
            ages += [rows[4 * i : 4 * i + 4] for i in range(6)]
            old = 73 + shift  # 65-69, 70-74, 75+: in labor force, employed, unemployed, not in labor force
            ages += [[[old + 2, old + 7], [old + 3, old + 8], [], [old + 4, old + 9]], [[old + 12], [old + 13], [], [old + 14]]]
        counts = np.nan_to_num(block_or_zero(t, "B23001", ages))
        band = np.array([-1, 0, 1, 2, 3, 4, 5, 6, 7, 7])
        a.margins = [Margin("B23001", rows_of(grid, sex=range(2), age=band), np.arange(4), counts)]
        education = block(t, "B23006", [[[s + 4], [s + 5], [s + 2], [s + 6]] for s in (2, 9, 16, 23)])
        a.margins.append(Margin("B23006", np.where((grid["age"] >= 2) & (grid["age"] <= 6), grid["edu4"], -1), np.arange(4), education))
        for letter in LETTER5:
            young = block(t, "C23002" + letter, [[[s + 4], [s + 5], [s + 2], [s + 6]] for s in (3, 16)])
            sixteen = 2 / 3 * block(t, "B01001" + letter, [[[6]], [[21]]])
            young = np.maximum(young - sixteen * self.minors_by_status, 0)
            old = block_or_zero(t, "C23002" + letter, [[[s + 2], [s + 3], [], [s + 4]] for s in (10, 23)])
            rows = by_group(grid, letter, sex=range(2), age=AGE2)
            a.margins.append(Margin("C23002" + letter, rows, np.arange(4), np.stack([young, old], 2).reshape(51, 4, 4)))
        living = np.einsum("sxage,sxagem,sxagmh->sxagemh", self.core4, self.p_marital, self.p_household)
        home = np.zeros((6, 11, 4))
        home[..., 0] = 1
        home[0, :] = home[:, 10] = home[1:, 7] = 0
        home[0, :, 1] = home[:, 10, 2] = home[1:, 7, 3] = 1
        home[0, 10, 1] = 0
        with_of = np.zeros((11, 4))
        with_of[np.arange(10), WITH_OF[:10]] = 1
        heads = with_of * np.isin(np.arange(11), HEADS)[:, None]
        weight = np.einsum("sxagemh,mhk->sxagek", living, home)
        self.living = [np.einsum("sxagemh,mhk,hw->sxagkw", living, home, of, optimize=True) for of in (with_of, heads)]
        self.w_employment = weight[..., None] * self.add(a, weight)  # sex, age, group, edu4, home, status
        self.w_status = self.w_employment.sum(axis=-2)

    def veteran(self) -> None:
        zero = np.zeros((2, 10, 5, 2, 2), bool)
        zero[:, 0, ..., 1] = True
        terms = [["sex", "age"], ["group"], ["citizen"]]
        a = Attribute("veteran", YESNO, ["sex", "age", "group", "citizen"], [2, 10, 5, 2], terms, "veteran", zero.reshape(-1, 2))
        grid, t = a.grid(), self.tables
        civilians = self.w_status[..., [0, 1, 3]].sum(axis=-1)
        foreign = (civilians * divided(self.noncitizens4, self.core4)).sum(axis=-1)
        weight = np.stack([civilians.sum(axis=-1) - foreign, foreign], axis=-1)
        numbers = [[[s + 3 * i + 1], [s + 3 * i]] for s in (8, 26) for i in range(5)]
        a.margins = [Margin("B21001", rows_of(grid, sex=range(2), age=VETERAN_AGE), np.arange(2), block(t, "B21001", numbers))]
        for letter in LETTER5:
            counts = block(t, "B21001" + letter, [[[s + 3 * i + 1], [s + 3 * i]] for s in (4, 20) for i in range(5)])
            a.margins.append(Margin("B21001" + letter, by_group(grid, letter, sex=range(2), age=VETERAN_AGE), np.arange(2), counts))
        self.add(a, weight)

    def occupation(self) -> None:
        zero = np.zeros((2, 4, 5, 7, 25), bool)
        zero[:, :, :, :2, [6, 9]] = True
        self.people["age4"] = np.array(AGE4)[self.people["age"]]
        terms = [["sex"], ["education"], ["group"], ["age4"]]
        a = Attribute(
            "occupation", OCCUPATION, ["sex", "age4", "group", "education"], [2, 4, 5, 7], terms, "occupation", zero.reshape(-1, 25)
        )
        share = divided(self.w_status[..., 0], self.core4)[..., EDU4_OF]
        weight = np.einsum("sxage,ab->sxbge", self.core * share, np.eye(4)[AGE4])
        numbers = [[[i + s] for i in OCC_LEAF] for s in (0, 36)]
        a.margins = [Margin("C24010", a.grid()["sex"], np.arange(25), block(self.tables, "C24010", numbers))]
        self.w_occupation = weight[..., None] * self.add(a, weight)
        of_four = np.einsum("sxbgeo,oj,ef->sxbgfj", self.w_occupation, np.eye(10)[JOB_OF], np.eye(4)[EDU4_OF], optimize=True)
        self.kind = (of_four / np.maximum(of_four.sum(axis=-1, keepdims=True), 1e-300))[:, :, AGE4]  # of job, by sex, age, group, edu4

    def industry(self) -> None:
        a = Attribute("industry", INDUSTRY, ["occupation", "sex"], [25, 2], [["occupation"], ["sex"]], "industry")
        weight = np.einsum("sxbgeo->sox", self.w_occupation)
        a.margins = [Margin("DP03 industry", np.zeros(50, int), np.arange(13), dp(self.tables, "DP03", list(range(33, 46))))]
        self.w_industry = np.einsum("sox,soxi->soi", weight, self.add(a, weight))

    def earnings(self) -> None:
        sizes = [2, 5, 3, 4, 12]
        zero = np.zeros((*sizes, 19), bool)
        zero[..., 10, 9] = True  # the armed forces are paid
        zero[:, 0, ..., [7, 8, 17, 18]] = True  # and nobody of 18 or 19 has 75,000 or more
        self.people["age5"], self.people["group3"] = np.array(AGE5)[self.people["age"]], np.array(GROUP3)[self.people["group"]]
        terms = [["sex", "job"], ["age5", "job"], ["group3"], ["edu4", "sex"], ["age5", "edu4"]]
        a = Attribute("earnings", EARNINGS, ["sex", "age5", "group3", "edu4", "job"], sizes, terms, "earnings", zero.reshape(-1, 19))
        weight = np.einsum("sxagej,ab,gh->sxbhej", self.jobs(self.w_status), np.eye(5)[AGE5], np.eye(3)[GROUP3])
        numbers = []
        for s in (0, 47):
            full = [[s + 6 + i for i in range(20) if B20005_BIN[i] == b] for b in range(1, 10)]
            part = [[s + 29 + i for i in range(20) if B20005_BIN[i] == b] for b in range(1, 10)]
            numbers.append([*full, [s + 27], *part])
        counts = block(self.tables, "B20005", numbers)
        # The table begins at 16: minors of 16 and 17, most of whom earned nothing and the others a little, are taken off.
        young = 2 / 3 * block(self.tables, "B01001", [[[6]], [[30]]])
        counts = np.maximum(counts - young * np.array([0.0] * 9 + [1 - self.minors_earning, self.minors_earning] + [0.0] * 8), 0)
        a.margins = [Margin("B20005", a.grid()["sex"], np.arange(19), counts)]
        p = self.add(a, weight)
        level = np.zeros((19, 10))
        level[np.arange(19), [*range(1, 10), 0, *range(1, 10)]] = 1
        self.p_earned = (p @ level)[:, :, AGE5][:, :, :, GROUP3]  # level by sex, age, group, edu4, job
        paid = np.einsum("sxagej,sxagejl->sjl", self.jobs(self.w_status), self.p_earned)
        self.paid = 1 - divided(paid[..., 0], paid.sum(axis=-1))  # share with earnings, by state and kind of job

    def jobs(self, status: np.ndarray) -> np.ndarray:
        "Persons by sex, age, group, education (and what stands between) and kind of job, from persons by status in the last place."
        between = status.ndim - 6
        kind = self.kind.reshape(*self.kind.shape[:5], *[1] * between, 10)
        others = np.stack([status[..., 2], status[..., 1] + status[..., 3]], axis=-1)
        return np.concatenate([status[..., 0][..., None] * kind, others], axis=-1)

    def work_class(self) -> None:
        zero = np.zeros((25, 13, 2, 4), bool)
        zero[:, 12, :, [0, 2, 3]] = True  # public administration is government
        self.people["paid"] = (self.people["earned"] > 0).astype(int)
        terms = [["occupation"], ["industry"], ["paid"]]
        a = Attribute("class_of_worker", CLASS, ["occupation", "industry", "paid"], [25, 13, 2], terms, "class", zero.reshape(-1, 4))
        paid = self.paid[:, JOB_OF][:, :, None]
        weight = np.stack([self.w_industry * (1 - paid), self.w_industry * paid], axis=-1)
        a.margins = [Margin("DP03 class", np.zeros(650, int), np.arange(4), dp(self.tables, "DP03", [47, 48, 49, 50]))]
        self.add(a, weight)

    def income(self) -> None:
        """Household income, given with whom one lives, age, group and own earnings.

        Given sex, age, group and home (spouse, group quarters, parents, else), household and earnings are taken as independent.
        """
        sizes = [4, 4, 5, 10]
        zero = np.zeros((*sizes, 11), bool)
        zero[:] = INCOME_TO[None, :] <= EARNED_FROM[:, None]
        terms = [["with", "age4"], ["group"], ["earned", "with"]]
        a = Attribute("household_income", INCOME, ["with", "age4", "group", "earned"], sizes, terms, "income", zero.reshape(-1, 11))
        grid, t = a.grid(), self.tables
        earned = np.einsum("sxagekj,sxagejl->sxagkl", self.jobs(self.w_employment), self.p_earned, optimize=True)
        earned = earned / np.maximum(earned.sum(axis=-1, keepdims=True), 1e-300)
        both = [np.einsum("sxagkw,sxagkl,ab->swbgl", of, earned, np.eye(4)[AGE4], optimize=True) for of in self.living]
        numbers = [[[at + i for i in range(16) if B19001_BIN[i] == b] for b in range(11)] for at in (3, 20, 37, 54)]
        heads = both[1].reshape(51, -1)
        a.margins = [Margin("B19037", grid["age4"], np.arange(11), block(t, "B19037", numbers), heads)]
        for letter in LETTER5:
            counts = block(t, "B19001" + letter, [[[2 + i for i in range(16) if B19001_BIN[i] == b] for b in range(11)]])
            a.margins.append(Margin("B19001" + letter, by_group(grid, letter, age4=[0] * 4), np.arange(11), counts, heads))
        self.add(a, both[0])

    def disability(self) -> None:
        self.people["gq"] = (self.people["household"] == 10).astype(int)
        self.people["status"] = self.people["employment"]
        terms = [["age", "status"], ["group"], ["edu4"], ["gq", "status"]]
        a = Attribute("disability", YESNO, ["age", "group", "edu4", "status", "gq"], [10, 5, 4, 4, 2], terms, "disability")
        weight = np.einsum("sxagekj,kq->sagejq", self.w_employment, np.eye(2)[[0, 0, 1, 0]])
        counts = block(self.tables, "DP02", [[[74, -75], [75]], [[76, -77], [77]]])
        a.margins = [Margin("DP02 disability", rows_of(a.grid(), age=AGE2), np.arange(2), counts)]
        yes = weight[..., None] * self.add(a, weight)
        self.p_disability = yes.sum(axis=-2) / np.maximum(weight.sum(axis=-1)[..., None], 1e-300)

    def insurance(self) -> None:
        sizes = [7, 5, 4, 3, 2, 2, 2]
        zero = np.zeros((*sizes, 4), bool)
        zero[:, :, 2, ..., 3] = True  # the armed forces are insured
        self.people["age7"] = np.array(AGE7)[self.people["age"]]
        parents = ["age7", "group", "status", "earn3", "citizen", "disability", "edu2"]
        terms = [["age7", "disability"], ["group"], ["status", "earn3"], ["citizen"], ["disability", "status"], ["edu2"]]
        a = Attribute("health_insurance", INSURANCE, parents, sizes, terms, "insurance", zero.reshape(-1, 4))
        grid, t = a.grid(), self.tables
        three = np.eye(3)[[0, 1, 1, 2, 2, 2, 2, 2, 2, 2]]
        foreign = divided(self.noncitizens4, self.core4)
        weight = np.zeros((51, *sizes))
        for j in range(4):
            only = np.zeros_like(self.w_status)
            only[..., j] = self.w_status[..., j]
            earned = np.einsum("sxagej,sxagejl,lv->sxagev", self.jobs(only), self.p_earned, three, optimize=True)
            of = "sxagev,saged,ab,ef->sbgvdf"
            rest = (self.p_disability[..., j, :], np.eye(7)[AGE7], np.eye(2)[[0, 0, 1, 1]])
            weight[:, :, :, j, :, 1] = np.einsum(of, earned * foreign[..., None], *rest, optimize=True)
            weight[:, :, :, j, :, 0] = np.einsum(of, earned * (1 - foreign)[..., None], *rest, optimize=True)
        columns = np.array([0, 0, 0, 1])
        ages = [[[s + 3 * i + 1, s + 28 + 3 * i + 1], [s + 3 * i + 2, s + 28 + 3 * i + 2]] for s in (9,) for i in range(7)]
        civilians = (weight * (np.arange(4) != 2)[:, None, None, None, None]).reshape(51, -1)
        a.margins = [Margin("B27001", grid["age7"], columns, block(t, "B27001", ages), civilians)]
        for letter in LETTER5:
            counts = block(t, "C27001" + letter, [[[6], [7]], [[9], [10]]])
            a.margins.append(Margin("C27001" + letter, by_group(grid, letter, age7=[0] * 5 + [1] * 2), columns, counts, civilians))
        # with = private + public - both; the table is of civilians
        kinds = [[[s, -(s + 2)], [s, -(s + 1)], [s + 1, s + 2, -s], [s + 3]] for s in (4, 9, 14)]
        rows = np.where(grid["age7"] < 5, np.array([0, 1, -1, 2])[grid["status"]], -1)
        a.margins.append(Margin("B27011", rows, np.arange(4), block(t, "B27011", kinds)))
        self.add(a, weight)

    def race(self, source: Path) -> None:
        "The race of Hispanics, from the same tables as the core: race alone, less those who are not Hispanic."
        t = self.tables
        bands = [[i] for i in range(7, 17)]
        alone = np.stack([block(t, "B01001" + k, [[b for b in bands], [[b[0] + 15] for b in bands]]) for k in "ABCDEFG"], axis=-1)
        mine = np.moveaxis(self.fine.sum(axis=-1), 3, -1)[..., :7]
        hispanic = self.fine[:, :, :, 7].sum(axis=-1)
        left = np.where(np.isfinite(alone), np.maximum(alone - mine, 0), np.nan)
        nation = np.nan_to_num(left).sum(axis=0)
        nation = nation / nation.sum(axis=-1, keepdims=True)
        left = np.where(np.isfinite(left), left, nation * hispanic[..., None])
        shares = (left + 50 * nation) / (left + 50 * nation).sum(axis=-1, keepdims=True)
        a = Attribute("race", RACES, ["sex", "age"], [2, 10], [], "")
        self.out["race"] = (a, {"shares": shares.reshape(51, 20, 7).astype(np.float32)})
        self.overall["race"] = np.einsum("sxa,sxar->sr", hispanic, shares)
        self.report.append(("race", "B01001A-G less B01001", 51 * 140, np.nan, "", np.nan))


def divided(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    "a / b, and 0 where b is 0."
    return np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b > 0)


def block_or_zero(tables: Tables, name: str, numbers) -> np.ndarray:
    wide = tables.of(name).loc[list(STATES)]
    part = [[sum((wide[i].to_numpy() for i in cell), np.zeros(51)) for cell in row] for row in numbers]
    return np.moveaxis(np.array(part, float), 2, 0)


def minors(path: Path) -> tuple[np.ndarray, float]:
    "Those of 16 and 17 in the sample: shares of the four employment statuses, and the share with earnings in the past year."
    raw = pd.read_parquet(path, columns=["AGEP", "ESR", "PERNP", "PWGTP"]).astype("float64")
    raw = raw[raw["AGEP"].isin([16, 17])]
    status = raw["ESR"].map({1: 0, 2: 0, 3: 1, 4: 2, 5: 2, 6: 3}).astype(int)
    return np.bincount(status, raw["PWGTP"], 4) / raw["PWGTP"].sum(), float(np.average(raw["PERNP"] > 0, weights=raw["PWGTP"]))


MAPS = {  # how the codes of a personas table become those of a parent: attribute and map; "home" and "job" are made of two attributes
    "sex": ("sex", [0, 1]),
    "age": ("age_group", list(range(10))),
    "age2": ("age_group", AGE2),
    "age4": ("age_group", AGE4),
    "age5": ("age_group", AGE5),
    "age7": ("age_group", AGE7),
    "group": ("race_ethnicity", GROUP5_OF),
    "group3": ("race_ethnicity", [GROUP3[g] for g in GROUP5_OF]),
    "education": ("education", list(range(7))),
    "edu2": ("education", [0, 0, 0, 1, 1, 1, 1]),
    "edu4": ("education", EDU4_OF),
    "edu5": ("education", EDU5_OF),
    "citizen": ("origin", [0, 0, 0, 0, 1]),
    "marital": ("marital_status", list(range(6))),
    "household": ("household_relationship", list(range(11))),
    "with": ("household_relationship", [*WITH_OF[:10], -1]),
    "gq": ("household_relationship", [*[0] * 10, 1]),
    "kids": ("children_at_home", [0, 1, 1, 1]),
    "status": ("employment_status", list(range(4))),
    "occupation": ("occupation", [*range(25), -1]),
    "job": ("occupation", JOB_OF),
    "industry": ("industry", [*range(13), -1]),
    "paid": ("earnings", [*[1] * 9, 0, *[1] * 9]),
    "earned": ("earnings", [*range(1, 10), 0, *range(1, 10)]),
    "earn3": ("earnings", [1, 1, *[2] * 7, 0, 1, 1, *[2] * 7]),
    "disability": ("disability", [0, 1]),
}


def save(builder: Builder) -> None:
    "The parameters of each attribute: shares of the country, what each table multiplies them by in each state, and the state as a whole."
    arrays, meta = {}, {}
    for name, (a, parameters) in builder.out.items():
        overall = builder.overall[name] / builder.overall[name].sum(axis=1, keepdims=True)
        arrays |= {f"{name}.{k}": v for k, v in (parameters | {"overall": overall.astype(np.float32)}).items()}
        meta[name] = {"categories": a.categories, "parents": a.parents, "sizes": a.sizes}
    np.savez_compressed(OUT / "us_attributes.npz", **arrays)
    (OUT / "us_attributes.json").write_text(json.dumps({"attributes": meta, "maps": MAPS}, indent=1) + "\n")
    report = pd.DataFrame(builder.report, columns=["attribute", "table", "cells", "largest_in_a_state", "state", "largest_in_the_country"])
    report.round(4).to_csv(OUT / "us_attributes_fit.csv", index=False, lineterminator="\n")
    sys.stdout.write(report.to_string() + "\n")


def main(source: Path) -> None:
    b = Builder(source)
    b.race(source)
    steps = (
        b.origin,
        b.region,
        b.language,
        b.marital,
        b.household,
        b.children,
        b.household_type,
        b.employment,
        b.veteran,
        b.occupation,
        b.industry,
    )
    for step in (*steps, b.earnings, b.work_class, b.income, b.disability, b.insurance):
        step()
    save(b)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python data/build_attributes.py SOURCE_FOLDER")
    main(Path(sys.argv[1]) / "census")
