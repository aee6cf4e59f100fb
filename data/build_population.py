"""Build data/population/us_adults_2018.parquet, the joint distribution of US adults, from census tables.

    python data/build_population.py SOURCE_FOLDER

SOURCE_FOLDER holds `census/acs1_2018_state_tables.parquet`, `census/acs5_2014_2018_poststrat_state_eth_sex_age_educ.csv.gz`
and `census/cps_voting_supplement_1994_2020_sample.parquet`.

The ACS tables of one year and one state are margins of one unknown joint table, exactly: they are weighted counts of the
same people. Raking finds the joint table that has all of them as margins. It is fitted with race (7 groups) and Hispanic
origin as two attributes, 14 combinations, because then every published table is a plain margin: B01001A-G and C15002A-G
count a race with its Hispanics, B01001H and C15002H the non-Hispanic whites, B01001I and C15002I the Hispanics of any race.
At the end the Hispanics of all races become one group: eight groups, everyone once.

Margins, per state unless said otherwise:
    B01001       sex x age
    B01001A-G    sex x age x race
    B01001H-I    sex x age x (non-Hispanic white, Hispanic, other)
    B15001       sex x age (5 bands) x education (7 levels)
    C15002A-G    sex x race x education (4 levels), aged 25 and over
    C15002H-I    sex x (non-Hispanic white, Hispanic, other) x education (4 levels), aged 25 and over
    the same A-G tables for the United States as a whole.

Tables that the Bureau suppressed for a small group in a state are not guessed: the suppressed groups of a state are
pooled, and their pooled count (the state minus its published groups) is the margin. Where one group is suppressed this is
exact. Where several are, the split between them follows the start below and the margins of the whole country.

The start (what no margin says):
    race x Hispanic origin within a state: B03002, all ages;
    education by age within the broad bands of B15001: the CPS November supplements of 2014 to 2020, smoothed towards B15001;
    the interaction of race with education by age, by state: the 2014-18 cells of adult citizens, states shrunk to the country;
        they have one group for all races that are neither white nor Black, which is told apart by C15002C-G of the country;
        as those cells are of citizens and many older Asian immigrants are not, Asians with a degree by age lean on the CPS;
    less than 9th grade against 9th to 12th, by Hispanic origin: the CPS.
At 18-19 bachelor's and graduate degrees are structural zeros; their 18-24 totals of B15001 fall to ages 20-24.

Besides the joint table it writes
    acs_2018_published.parquet   the published counts that the eight groups can be compared with directly;
    us_adults_2018_fit.csv       the largest deviation from every published table;
    cps_2014_2020_degrees.csv    people with a bachelor's degree by age and group in the CPS, a check that raking did not use.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from persona_kit.population import rake
from persona_kit.tables import STATES

OUT = Path(__file__).resolve().parent / "population"
ADULTS = 253_815_197
LIMIT = 0.1  # percentage points that any published cell may be off
SMALLEST = 1e-4  # persons; cells below are left out

SEX = ["Male", "Female"]
AGES = ["18-19", "20-24", "25-29", "30-34", "35-44", "45-54", "55-64", "65-74", "75-84", "85+"]
BROAD = ["18-24", "25-34", "35-44", "45-64", "65+"]
BROAD_OF = dict(zip(AGES, [0, 0, 1, 1, 2, 3, 3, 4, 4, 4], strict=True))
EDUCATION = ["Less than 9th grade", "9th to 12th grade, no diploma", "High school graduate", "Some college, no degree",
             "Associate's degree", "Bachelor's degree", "Graduate or professional degree"]
FOUR = ["less than high school", "high school", "some college or associate", "bachelor or more"]
FOUR_OF = dict(zip(EDUCATION, [0, 0, 1, 2, 2, 3, 3], strict=True))
RACES = ["White", "Black", "American Indian or Alaska Native", "Asian", "Native Hawaiian or Pacific Islander", "Some other race",
         "Two or more races"]
LETTER = dict(zip("ABCDEFG", RACES, strict=True))
GROUPS = [*RACES, "Hispanic"]
POOLED = "not published"

# Columns of the tables, by position of the variable's number.
B01001_MALE = [[7], [8, 9, 10], [11], [12], [13, 14], [15, 16], [17, 18, 19], [20, 21, 22], [23, 24], [25]]
B15002_SEVEN = [[3, 4, 5, 6], [7, 8, 9, 10], [11], [12, 13], [14], [15], [16, 17, 18]]


class Tables:
    "The ACS tables as arrays: `count(table, numbers)` is states x sums, `us(table, numbers)` the same for the country."

    def __init__(self, path: Path):
        long = pd.read_parquet(path, columns=["table", "variable", "geo", "value"])
        long = long[long["variable"].astype(str).str.fullmatch(r"[A-Z0-9]+_\d+E")]
        long["number"] = long["variable"].astype(str).str.extract(r"_(\d+)E$", expand=False).astype(int)
        self.long = long.astype({"geo": str, "table": str})
        self.wide: dict[str, pd.DataFrame] = {}

    def of(self, table: str) -> pd.DataFrame:
        if table not in self.wide:
            part = self.long[self.long["table"] == table]
            if part.empty:
                raise SystemExit(f"no table {table} in the source")
            self.wide[table] = part.pivot(index="geo", columns="number", values="value").loc[[*STATES, "US"]]
        return self.wide[table]

    def sums(self, table: str, numbers: list[list[int]]) -> pd.DataFrame:
        wide = self.of(table)
        return pd.DataFrame({i: wide[part].sum(axis=1, skipna=False) for i, part in enumerate(numbers)})


def long_form(sums: pd.DataFrame, **levels: list) -> pd.Series:
    "Columns in the order of the product of `levels` as a Series by state and levels."
    columns = pd.MultiIndex.from_product(levels.values(), names=list(levels))
    return sums.set_axis(columns, axis=1).rename_axis("state").stack(list(levels), future_stack=True)


def sex_age(tables: Tables, letter: str = "") -> pd.Series:
    if letter:
        numbers = [[i] for i in (*range(7, 17), *range(22, 32))]
    else:
        numbers = [*B01001_MALE, *[[i + 24 for i in part] for part in B01001_MALE]]
    return long_form(tables.sums("B01001" + letter, numbers), sex=SEX, age_group=AGES)


def sex_education(tables: Tables, letter: str) -> pd.Series:
    return long_form(tables.sums("C15002" + letter, [[i] for i in (3, 4, 5, 6, 8, 9, 10, 11)]), sex=SEX, four=FOUR)


def sex_broad_education(tables: Tables) -> pd.Series:
    numbers = [[start + k] for sex in (0, 41) for start in range(4 + sex, 44 + sex, 8) for k in range(7)]
    return long_form(tables.sums("B15001", numbers), sex=SEX, broad=BROAD, education=EDUCATION)


def sex_seven(tables: Tables) -> pd.Series:
    return long_form(tables.sums("B15002", [*B15002_SEVEN, *[[i + 17 for i in p] for p in B15002_SEVEN]]), sex=SEX, education=EDUCATION)


def by_race(tables: Tables, read) -> pd.DataFrame:
    "The tables A-G of a kind: rows as `read` gives them, one column per race, missing where suppressed."
    return pd.DataFrame({race: read(tables, letter) for letter, race in LETTER.items()})


# --- The start -------------------------------------------------------------------------------------------------------

def microdata(path: Path) -> pd.DataFrame:
    "Adults of the CPS November supplements 2014 to 2020 in the categories used here (ages above 79 are coded 80 and 85)."
    raw = pd.read_parquet(path, columns=["YEAR", "AGE", "EDUCATION", "RACE", "HISPANIC", "WEIGHT"])
    raw = raw[(raw["YEAR"] >= 2014) & (raw["AGE"] >= 18) & raw["EDUCATION"].notna() & raw["HISPANIC"].notna() & (raw["WEIGHT"] > 0)]
    level = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 3, 4, 4, 5, 6, 6, 6])[raw["EDUCATION"].cat.codes]
    return pd.DataFrame({
        "age_group": pd.cut(raw["AGE"], [17, 19, 24, 29, 34, 44, 54, 64, 74, 84, 200], labels=AGES).astype(str),
        "hispanic": raw["HISPANIC"].astype(str) == "HISPANIC",
        "race": raw["RACE"].astype(str),
        "education": np.array(EDUCATION)[level],
        "weight": raw["WEIGHT"],
    })


def education_by_age(people: pd.DataFrame, broad: pd.Series, prior: float = 200) -> np.ndarray:
    "Share of each education by age band: the sample, with `prior` persons of the broad band's distribution added."
    wide = broad.groupby(["broad", "education"]).sum().unstack().loc[BROAD, EDUCATION]
    wide = wide.div(wide.sum(axis=1), axis=0).to_numpy()[[BROAD_OF[a] for a in AGES]]
    counts = people.groupby(["age_group", "education"])["weight"].sum().unstack(fill_value=0.0).reindex(AGES)[EDUCATION]
    persons = people.groupby("age_group").size().reindex(AGES).to_numpy()
    prior_here = np.where(np.arange(len(AGES)) < 2, 1, prior)[:, None]  # 18-19 and 20-24 differ too much to be averaged
    shares = counts.div(counts.sum(axis=1), axis=0).to_numpy() * persons[:, None] + prior_here * wide
    shares[0, 5:] = 0.0
    return shares / shares.sum(axis=1, keepdims=True)


def within_other(schooling: pd.DataFrame) -> np.ndarray:
    """How education in each race differs from that of all races that are neither white nor Black: 7 races x 7 levels.

    From C15002 of the country. "Some other race" keeps 1: nineteen in twenty of those in its table are Hispanic.
    """
    counts = schooling.loc["US"].groupby("four").sum().loc[FOUR]
    told = [r for r in RACES[2:] if r != "Some other race"]
    whole = counts[told].sum(axis=1)
    factors = pd.DataFrame(1.0, index=FOUR, columns=RACES)
    factors[told] = (counts[told] / counts[told].sum()).div(whole / whole.sum(), axis=0)
    return factors.to_numpy().T[:, [FOUR_OF[e] for e in EDUCATION]]


def race_effect(path: Path, broad_shrink: float = 2000) -> np.ndarray:
    """How much likelier each education is in a group than in its state, sex and age: states x sexes x ages x 4 groups x 7.

    From cells of adult citizens by group (white, Black, Hispanic, other). A state's cells get `broad_shrink` persons of the
    national distribution added; DC, which is not in the source, has the national one.
    """
    cells = pd.read_csv(path)
    levels = {"state_po": list(STATES), "sex": SEX, "age": ["18-29", "30-39", "40-49", "50-59", "60-69", "70+"],
              "eth": ["White", "Black", "Hispanic", "Other"], "educ": ["No HS", "HS", "Some college", "4-Year College", "Post-grad"]}
    full = pd.MultiIndex.from_product(levels.values(), names=list(levels))
    n = cells.groupby(list(levels))["n"].sum().reindex(full, fill_value=0).to_numpy(float).reshape([len(v) for v in levels.values()])
    nation = n.sum(axis=0, keepdims=True)
    n = n + broad_shrink * nation / nation.sum(axis=-1, keepdims=True)
    of_group = n / n.sum(axis=-1, keepdims=True)
    of_all = n.sum(axis=3, keepdims=True) / n.sum(axis=(3, 4), keepdims=True)
    effect = of_group / of_all
    # Our age bands as mixtures of theirs. 25-29 takes the band above: 18-29 is mostly too young for a degree.
    mix = np.zeros((len(AGES), 6))
    for row, bands in enumerate([[0], [0], [1], [1], [1, 2], [2, 3], [3, 4], [4, 5], [5], [5]]):
        mix[row, bands] = 1 / len(bands)
    effect = np.einsum("ab,xsbge->xsage", mix, effect)
    return effect[..., [0, 0, 1, 2, 2, 3, 4]]


def ninth_grade(people: pd.DataFrame) -> np.ndarray:
    "Factors on the two levels below high school for (non-Hispanic, Hispanic): 2 x 2."
    low = people[people["education"].isin(EDUCATION[:2])].groupby(["hispanic", "education"])["weight"].sum().unstack()[EDUCATION[:2]]
    shares = low.div(low.sum(axis=1), axis=0).to_numpy()
    return shares / (low.sum() / low.sum().sum()).to_numpy()


def asian_degrees(weight: np.ndarray, people: pd.DataFrame, prior: float = 100) -> np.ndarray:
    "Factors by age and education that move the share with a degree in each broad band towards the CPS: ages x 7."
    sample = degrees(people).query("group == 'Asian'").set_index("broad").loc[BROAD]
    by_age = weight.sum(axis=(0, 1))
    bands = np.array([by_age[[BROAD_OF[a] == b for a in AGES]].sum(axis=0) for b in range(len(BROAD))])
    now = bands[:, 5:].sum(axis=1) / bands.sum(axis=1)
    wanted = (sample["n"] * sample["share"] + prior * now) / (sample["n"] + prior)
    odds = (wanted / (1 - wanted) / (now / (1 - now))).to_numpy()[[BROAD_OF[a] for a in AGES]]
    return np.where(np.arange(7) >= 5, odds[:, None], 1.0)


def start(tables: Tables, source: Path) -> pd.DataFrame:
    "All cells with a starting weight."
    people = microdata(source / "cps_voting_supplement_1994_2020_sample.parquet")
    broad = sex_broad_education(tables)
    pattern = education_by_age(people, broad.loc["US"])
    effect = race_effect(source / "acs5_2014_2018_poststrat_state_eth_sex_age_educ.csv.gz")
    national = by_race(tables, sex_age).loc["US"]  # sex and age by race
    national = (national / national.sum()).to_numpy().reshape(2, 10, 7)
    origin = tables.sums("B03002", [[i] for i in (*range(3, 10), *range(13, 20))]).loc[list(STATES)].to_numpy().reshape(51, 2, 7)
    weight = np.einsum("shr,xar,ae->sxarhe", origin + 0.5, national, pattern)  # states x sex x age x race x hispanic x education
    weight *= by_origin(effect)
    weight[:, :, :, :, 0] *= within_other(by_race(tables, sex_education))
    weight[..., :2] *= ninth_grade(people)[None, None, None, None]
    asian = weight[:, :, :, RACES.index("Asian"), 0]
    asian *= asian_degrees(asian, people)
    levels = {"state": list(STATES), "sex": SEX, "age_group": AGES, "race": RACES, "hispanic": [False, True], "education": EDUCATION}
    cells = pd.MultiIndex.from_product(levels.values(), names=list(levels)).to_frame(index=False)
    return cells.assign(weight=weight.ravel())


def by_origin(effect: np.ndarray) -> np.ndarray:
    "The effects of four groups spread over seven races, non-Hispanic and Hispanic."
    return np.stack([effect[..., [0, 1, 3, 3, 3, 3, 3], :], effect[..., [2] * 7, :]], axis=-2)


# --- Margins ---------------------------------------------------------------------------------------------------------

def pooled(published: pd.DataFrame, everyone: pd.Series) -> pd.Series:
    "A margin by state, other levels and race label, where the suppressed races of a state are pooled."
    states = published.index.get_level_values("state") != "US"
    published, everyone = published[states], everyone[everyone.index.get_level_values("state") != "US"]
    rest = (everyone - published.sum(axis=1)).rename(POOLED)
    hidden = published.isna().any(axis=1)
    parts = [published.rename_axis(columns="race").stack(future_stack=True).dropna(),
             pd.concat({POOLED: rest[hidden]}, names=["race"]).reorder_levels([*published.index.names, "race"])]
    return pd.concat(parts)


def thirds(tables: Tables, read, everyone: pd.Series) -> pd.DataFrame:
    "Non-Hispanic white, Hispanic and the rest, for the tables H and I of a kind."
    white, hispanic = read(tables, "H"), read(tables, "I")
    return pd.DataFrame({"white": white, "hispanic": hispanic, "rest": everyone - white - hispanic}).rename_axis(columns="origin")


def fit(tables: Tables, cells: pd.DataFrame) -> tuple[pd.DataFrame, dict]:
    "Rake the cells; returns them with the labels of the margins, and the margins."
    everyone, broad = sex_age(tables), sex_broad_education(tables)
    races, schooling = by_race(tables, sex_age), by_race(tables, sex_education)
    four = broad[broad.index.get_level_values("broad") != "18-24"].groupby(["state", "sex", "education"]).sum().reset_index(name="n")
    four = four.assign(four=[FOUR[FOUR_OF[e]] for e in four["education"]]).groupby(["state", "sex", "four"])["n"].sum()
    cells = cells.assign(broad=[BROAD[BROAD_OF[a]] for a in cells["age_group"]], four=[FOUR[FOUR_OF[e]] for e in cells["education"]])
    cells.loc[cells["broad"] == "18-24", "four"] = "18-24"
    cells["origin"] = np.select([cells["hispanic"], cells["race"] == "White"], ["hispanic", "white"], "rest")
    young = everyone[everyone.index.get_level_values("age_group").isin(AGES[:2])]

    def shown(published: pd.DataFrame) -> np.ndarray:
        first = published.groupby("state").first().reindex(list(STATES)).rename_axis(columns="race").stack(future_stack=True)
        known = first.reindex(pd.MultiIndex.from_frame(cells[["state", "race"]])).notna().to_numpy()
        return np.where(known, cells["race"], POOLED)

    cells["race_by_age"], cells["race_by_education"] = shown(races), shown(schooling)
    cells["race_by_education"] = cells["race_by_education"].where(cells["four"] != "18-24", "18-24")
    cells["origin_by_education"] = cells["origin"].where(cells["four"] != "18-24", "18-24")
    young_total = young.groupby(["state", "sex"]).sum()

    def add_young(margin: pd.Series, levels: list[str]) -> pd.Series:
        "One more category for ages 18-24, which the tables of people over 25 leave out."
        extra = young_total[young_total.index.get_level_values("state") != "US"].reset_index(name="n")
        extra = extra.assign(**{c: "18-24" for c in levels if c not in ("state", "sex")})
        margin = margin.reorder_levels(["state", "sex", *[c for c in margin.index.names if c not in ("state", "sex")]])
        margin.index.names = ["state", "sex", *[c for c in levels if c not in ("state", "sex")]]
        return pd.concat([margin, extra.set_index(margin.index.names)["n"]])

    def local(margin: pd.Series) -> pd.Series:
        return margin[margin.index.get_level_values("state") != "US"]

    age_margin = pooled(races, everyone)
    age_margin.index.names = ["state", "sex", "age_group", "race_by_age"]
    us_age = races.loc["US"].rename_axis(columns="race").stack(future_stack=True)
    us_school = schooling.loc["US"].rename_axis(columns="race").stack(future_stack=True)
    us_young = (us_age.groupby(["sex", "age_group", "race"]).sum().loc[:, AGES[:2]].groupby(["sex", "race"]).sum()
                .reset_index(name="n").assign(four="18-24").set_index(["sex", "four", "race"])["n"])
    margins = {
        ("state", "sex", "age_group"): local(everyone),
        ("state", "sex", "age_group", "race_by_age"): age_margin,
        ("state", "sex", "age_group", "origin"): local(thirds(tables, sex_age, everyone).stack(future_stack=True)),
        ("state", "sex", "broad", "education"): local(broad),
        ("state", "sex", "four", "race_by_education"): add_young(pooled(schooling, four), ["four", "race_by_education"]),
        ("state", "sex", "four", "origin_by_education"): add_young(local(thirds(tables, sex_education, four).stack(future_stack=True)),
                                                                   ["four", "origin_by_education"]),
        ("sex", "age_group", "race"): us_age,
        ("sex", "four", "race"): pd.concat([us_school, us_young]),
    }
    return cells.assign(weight=rake(cells, margins, max_iter=5000, tol=2e-7)), margins


# --- Checks ----------------------------------------------------------------------------------------------------------

def deviations(tables: Tables, cells: pd.DataFrame) -> pd.DataFrame:
    """Largest difference from each published table, read again from the source.

    `state_points`, `us_points`: percentage points of the adults that the table covers, in the worst cell of the worst state
    and of the country. `persons`: the largest difference in persons.
    """
    over_25 = cells["age_group"].isin(AGES[2:])
    checks: dict[str, tuple[pd.Series, pd.Series, list[str]]] = {}
    checks["B01001"] = (sex_age(tables), cells["weight"] > -1, ["sex", "age_group"])
    checks["B15001"] = (sex_broad_education(tables), cells["weight"] > -1, ["sex", "broad", "education"])
    checks["B15002"] = (sex_seven(tables), over_25, ["sex", "education"])
    chosen = {letter: cells["race"] == race for letter, race in LETTER.items()}
    chosen |= {"H": cells["origin"] == "white", "I": cells["hispanic"]}
    for letter, rows in chosen.items():
        checks["B01001" + letter] = (sex_age(tables, letter), rows, ["sex", "age_group"])
        checks["C15002" + letter] = (sex_education(tables, letter), rows & over_25, ["sex", "four"])
    out = []
    covered = {"C15002": cells[over_25], "B15002": cells[over_25]}
    for table, (published, rows, by) in checks.items():
        base = covered.get(table[:6], cells).groupby("state")["weight"].sum()
        base["US"] = base.sum()
        have = cells[rows].groupby(["state", *by])["weight"].sum()
        have = pd.concat([have, pd.concat({"US": have.groupby(by).sum()}, names=["state"])]).reindex(published.index, fill_value=0.0)
        off = (have - published).abs()
        points = 100 * off / base.reindex(published.index.get_level_values("state")).to_numpy()
        us = published.index.get_level_values("state") == "US"
        state_count = published[~us].groupby("state").first().notna().sum()
        out.append((table, int(state_count), points[~us].max(), points[us].max(), off.max()))
    return pd.DataFrame(out, columns=["table", "states", "state_points", "us_points", "persons"]).sort_values("table", ignore_index=True)


def without_dust(cells: pd.DataFrame, everyone: pd.Series) -> pd.DataFrame:
    "Without cells that are empty for all purposes, and with exact totals by state, sex and age."
    out = cells[cells["weight"] >= SMALLEST].reset_index(drop=True)
    keys = ["state", "sex", "age_group"]
    target = everyone.reindex(pd.MultiIndex.from_frame(out[keys])).to_numpy()
    return out.assign(weight=out["weight"] * target / out.groupby(keys)["weight"].transform("sum"))


def eight_groups(cells: pd.DataFrame) -> pd.DataFrame:
    "The table that ships: the Hispanics of all races as one group."
    levels = {"state": list(STATES), "sex": SEX, "age_group": AGES, "race_ethnicity": GROUPS, "education": EDUCATION}
    cells = cells.assign(race_ethnicity=cells["race"].where(~cells["hispanic"], "Hispanic"))
    out = cells.groupby(list(levels))["weight"].sum().reset_index()
    for column, categories in levels.items():
        out[column] = pd.Categorical(out[column], categories, ordered=column in ("age_group", "education"))
    return out.sort_values(list(levels), ignore_index=True)


def published(tables: Tables) -> pd.DataFrame:
    "The tables that the eight groups can be compared with, in one long form; US is the country."
    parts = {
        "B01001": sex_age(tables), "B01001H": sex_age(tables, "H"), "B01001I": sex_age(tables, "I"),
        "B15001": sex_broad_education(tables).rename_axis(["state", "sex", "age_group", "education"]), "B15002": sex_seven(tables),
        "C15002H": sex_education(tables, "H").rename_axis(["state", "sex", "education"]),
        "C15002I": sex_education(tables, "I").rename_axis(["state", "sex", "education"]),
    }
    out = pd.concat([part.reset_index(name="persons").assign(table=name) for name, part in parts.items()], ignore_index=True)
    return out[["table", "state", "sex", "age_group", "education", "persons"]].astype({"persons": int})


def degrees(people: pd.DataFrame) -> pd.DataFrame:
    "Share with a bachelor's degree or more by broad age and group in the CPS, with the number asked."
    named = {"WHITE": "White", "BLACK": "Black", "ASIAN, PACIFIC ISLANDER, OR NATIVE HAWAIIAN": "Asian"}
    people = people.assign(group=np.where(people["hispanic"], "Hispanic", people["race"].map(named)),
                           degree=people["education"].isin(EDUCATION[5:]),
                           broad=[BROAD[BROAD_OF[a]] for a in people["age_group"]]).dropna(subset="group")
    groups = people.assign(with_degree=people["weight"] * people["degree"]).groupby(["broad", "group"])
    sums = groups[["weight", "with_degree"]].sum()
    share = sums["with_degree"] / sums["weight"]
    effective = groups["weight"].sum() ** 2 / groups["weight"].agg(lambda w: (w**2).sum())
    return pd.DataFrame({"n": groups.size(), "share": share, "se": (share * (1 - share) / effective) ** 0.5}).reset_index().round(6)


def main(source: Path) -> None:
    tables = Tables(source / "acs1_2018_state_tables.parquet")
    cells, _ = fit(tables, start(tables, source))
    cells = without_dust(cells, sex_age(tables))
    report = deviations(tables, cells)
    worst = report[["state_points", "us_points"]].max().max()
    if not worst <= LIMIT:
        raise SystemExit(f"a table is off by {worst:.3f} points (limit {LIMIT})\n{report.to_string()}")
    shipped = eight_groups(cells)
    if abs(shipped["weight"].sum() - ADULTS) > 0.5:
        raise SystemExit(f"{shipped['weight'].sum():,.1f} adults instead of {ADULTS:,}")
    impossible = shipped[(shipped["age_group"] == "18-19") & (shipped["education"] >= "Bachelor's degree")]
    if len(impossible):
        raise SystemExit(f"{len(impossible)} cells of degrees at 18-19")
    OUT.mkdir(exist_ok=True)
    shipped.to_parquet(OUT / "us_adults_2018.parquet", index=False, compression="zstd")
    published(tables).to_parquet(OUT / "acs_2018_published.parquet", index=False, compression="zstd")
    report.round({"state_points": 5, "us_points": 5, "persons": 1}).to_csv(OUT / "us_adults_2018_fit.csv", index=False, lineterminator="\n")
    people = microdata(source / "cps_voting_supplement_1994_2020_sample.parquet")
    degrees(people).to_csv(OUT / "cps_2014_2020_degrees.csv", index=False, lineterminator="\n")
    sys.stdout.write(f"{len(shipped):,} cells, {shipped['weight'].sum():,.2f} adults\n{report.to_string()}\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python data/build_population.py SOURCE_FOLDER")
    main(Path(sys.argv[1]) / "census")
