"""Build data/population/us_electorates.parquet: who of the adults of 2018 is a citizen, and how likely citizens are to vote.

    python data/build_electorates.py SOURCE_FOLDER

SOURCE_FOLDER holds `census/acs1_2018_state_tables.parquet`, `census/acs1_2011_pums_sample.parquet` and
`census/cps_voting_supplement_1994_2020_sample.parquet`. It needs `population/us_adults_2018.parquet` and
`elections/president_by_state.csv`, which the other scripts make. One row per row of us_adults_2018, in its order.

citizen     share of citizens. Raked in each state, as citizens and others in every cell, to
                the adults of each cell,
                citizens by age (B29001), by education (B29002), by sex (B05003),
                citizens by sex among Hispanics and among whites who are not (B05003I, B05003H),
                citizens among Blacks and among Asians: their share in B05003B and B05003D, which count Hispanics of these races,
                taken of those who are not Hispanic.
            What no table says (citizenship by age or education within a group) starts from the PUMS sample of 2011.
voted_YEAR  share of citizens who voted. Starts from self-reported turnout in the November supplements of the CPS, with the
            overstatement removed as Hur and Achen (2013) propose (weights of the R package cpsvote): the interaction of age,
            education and group from the presidential elections of 2004 to 2020 together, turnout by age, education, group and sex from
            the election itself (2024: from 2020, the last in the source). Then the odds of all citizens of a state
            are multiplied by one number, so that as many vote as votes were counted for president in that state and year. Citizens
            are those of 2018 in every year.
registered_YEAR  share of citizens who are registered: all voters, and those of the others who said so in the supplements of 2004 to
            2020, by age, education, group and sex (their level from the election itself). Registers are kept by state and differ
            in ways that no source here tells, so a state's share follows its turnout; North Dakota has no register at all.

Besides it writes us_electorates_checks.csv: shares before and after the fit beside their sources.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from build_population import AGES, EDUCATION, GROUPS, LETTER, OUT, SEX, Tables
from scipy.optimize import brentq

from persona_kit.population import rake
from persona_kit.pums import _codes
from persona_kit.tables import STATES

YEARS = {2016: 2016, 2020: 2020, 2024: 2020}  # election: supplement whose pattern it takes
PRESIDENTIAL = (2004, 2008, 2012, 2016, 2020)
LETTERS = ("H", "I", *[k for k, race in LETTER.items() if race in ("Black", "Asian")])
CVAP_AGES = [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]  # 18-29, 30-44, 45-64, 65+
COARSE_AGE = dict(zip(AGES, ["18-24", "18-24", "25-44", "25-44", "25-44", "45-64", "45-64", "65+", "65+", "65+"], strict=True))
COARSE_EDUCATION = dict(zip(EDUCATION, [0, 0, 1, 2, 2, 3, 3], strict=True))
YIELD = 0.005  # by how much the table of a race may give way where tables contradict each other
GROUP_OF = {g: g if g in ("White", "Black", "Asian", "Hispanic") else "rest" for g in GROUPS}


# --- Citizens --------------------------------------------------------------------------------------------------------

def pums(path: Path) -> pd.DataFrame:
    "Adults of the PUMS sample in the categories used here."
    codes = _codes(pd.read_parquet(path))
    group = np.array([g if g in ("White", "Black", "Asian", "Hispanic") else "rest" for g in GROUPS])
    return pd.DataFrame({
        "group": group[codes["race_ethnicity"]],
        "age": [COARSE_AGE[AGES[i]] for i in codes["age_group"]],
        "four": [COARSE_EDUCATION[EDUCATION[i]] for i in codes["education"]],
        "citizen": codes["citizenship"] != 4,
        "weight": codes["weight"],
    })


def start_citizens(people: pd.DataFrame, cells: pd.DataFrame, prior: float = 10.0) -> np.ndarray:
    "Share of citizens by group and age, with the odds ratio of education within the group; `prior` persons of the group are added."
    def shares(by: list[str]) -> pd.Series:
        group = people.groupby("group")[["yes", "weight"]].sum()
        base = group["yes"] / group["weight"]
        sums = people.groupby(by)[["yes", "weight"]].sum()
        n = people.groupby(by).size()
        at = sums.index.get_level_values("group") if len(by) > 1 else sums.index
        return (sums["yes"] / sums["weight"] * n + prior * base[at].to_numpy()) / (n + prior)

    people = people.assign(yes=people["citizen"] * people["weight"])
    group, by_age, by_four = shares(["group"]), shares(["group", "age"]), shares(["group", "four"])
    key = pd.DataFrame({"group": cells["race_ethnicity"].map(GROUP_OF).astype(str), "age": cells["age_group"].astype(str).map(COARSE_AGE),
                        "four": cells["education"].astype(str).map(COARSE_EDUCATION).astype(int)})
    odds = [logit(by_age.reindex(pd.MultiIndex.from_frame(key[["group", "age"]])).to_numpy()),
            logit(by_four.reindex(pd.MultiIndex.from_frame(key[["group", "four"]])).to_numpy()),
            -logit(group.reindex(key["group"]).to_numpy())]
    return expit(sum(odds))


def logit(share: np.ndarray) -> np.ndarray:
    share = np.clip(share, 1e-4, 1 - 1e-4)
    return np.log(share / (1 - share))


def expit(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def native_or_naturalized(tables: Tables, letter: str = "") -> pd.DataFrame:
    "Adult citizens by state and sex, and all adults."
    yes = tables.sums("B05003" + letter, [[9, 11], [20, 22]]).set_axis(SEX, axis=1)
    return pd.DataFrame({"yes": yes.stack(), "all": tables.sums("B05003" + letter, [[8], [19]]).set_axis(SEX, axis=1).stack()})


def citizens(tables: Tables, people: pd.DataFrame, cells: pd.DataFrame) -> np.ndarray:
    "Share of citizens in each cell, state by state."
    cells = cells.assign(start=start_citizens(people, cells), cvap_age=np.array(CVAP_AGES)[cells["age_group"].cat.codes],
                         group=cells["race_ethnicity"].astype(str).map(GROUP_OF), cell=np.arange(len(cells)))
    cells["third"] = cells["group"].where(cells["group"].isin(["White", "Hispanic"]), "rest")
    by_age = tables.sums("B29001", [[i] for i in range(2, 6)])
    by_education = tables.sums("B29002", [[i] for i in range(2, 9)]).set_axis(EDUCATION, axis=1)
    by_sex = {letter: native_or_naturalized(tables, letter) for letter in ("", *LETTERS)}
    share, nation = np.empty(len(cells)), nation_by_group(by_sex)
    for state in STATES:
        here = cells[cells["state"] == state]
        known = {letter: table.loc[state] for letter, table in by_sex.items()}
        white, hispanic = known["H"]["yes"], known["I"]["yes"]
        thirds = pd.concat({"White": white, "Hispanic": hispanic, "rest": known[""]["yes"] - white - hispanic})
        groups = {sex: by_group(here[here["sex"] == sex], {k: t.loc[sex] for k, t in known.items()}, thirds.xs(sex, level=1), nation)
                  for sex in SEX}
        margins = {"cvap_age": by_age.loc[state], "education": by_education.loc[state], ("third", "sex"): thirds,
                   ("group", "sex"): pd.concat(groups).reorder_levels([1, 0])}
        share[here["cell"]] = fit(here, margins)
    return share


def nation_by_group(by_sex: dict[str, pd.DataFrame]) -> dict[str, float]:
    "Share of citizens in the country: Blacks and Asians by their own tables, all others who are neither white nor Hispanic together."
    us = {letter: table.loc["US"].sum() for letter, table in by_sex.items()}
    share = {LETTER[k]: t["yes"] / t["all"] for k, t in us.items() if k in LETTER}
    others = us[""] - sum(t for k, t in us.items() if k)
    return share | {"rest": others["yes"] / others["all"]}


def by_group(cells: pd.DataFrame, known: dict[str, pd.Series], thirds: pd.Series, nation: dict[str, float]) -> pd.Series:
    """Citizens of one sex by group.

    Of those who are neither white nor Hispanic, Blacks and Asians by their own tables, or by the country's where the state has
    none; the smaller groups take what is left over. Where nothing is left (a table of one race counts its Hispanics), the tables
    give way by up to half a point, or Blacks take part in it, or all.
    """
    adults = cells.groupby("group")["weight"].sum()
    rest = adults[adults > 0].drop(["White", "Hispanic"])
    published = {LETTER[k]: t for k, t in known.items() if k in LETTER and t.notna().all() and t["all"] > 0}
    share = np.array([published[g]["yes"] / published[g]["all"] if g in published else nation[g] for g in rest.index])
    total = min(thirds["rest"], rest.sum() * (1 - 1e-9))
    for fixed in (published, set(published) - {"Black"}, ()):
        own = np.array([g in fixed for g in rest.index])
        given = yielding(share[own], rest.to_numpy()[own], rest.to_numpy()[~own].sum(), total)
        if not own.all() and np.abs(given - share[own]).max(initial=0) <= YIELD:
            break
    share[own] = given

    def moved(x: float) -> np.ndarray:
        return expit(logit(share) + np.where(own, 0.0, x))

    shift = brentq(lambda x: rest.to_numpy() @ moved(x) - total, -40, 40)
    return pd.concat([thirds.drop("rest"), rest * moved(shift)])


def yielding(share: np.ndarray, people: np.ndarray, others: float, citizens: float) -> np.ndarray:
    "Shares of citizens of some groups, as near to these as leaves the others a few citizens and a few who are none."
    few = 0.002 * min(citizens, people.sum() + others - citizens)
    left = np.clip(citizens - people @ share, min(few, others / 2), others - min(few, others / 2))
    lack = citizens - left - people @ share
    room = people * (1 - share) if lack > 0 else people * share  # whose citizens or others there are to take it from
    return share if abs(lack) < 1e-9 or not room.sum() else share + lack * room / room.sum() / people


def fit(cells: pd.DataFrame, margins: dict) -> np.ndarray:
    "Citizens and others in each cell, raked to the adults of the cell and to the citizens of each margin."
    both = pd.concat([cells.assign(true=True, weight=cells["weight"] * cells["start"]),
                      cells.assign(true=False, weight=cells["weight"] * (1 - cells["start"]))], ignore_index=True)
    targets: dict = {"cell": cells.set_index("cell")["weight"]}
    for by, yes in margins.items():
        names = [by] if isinstance(by, str) else list(by)
        everyone = cells.groupby(names, observed=True)["weight"].sum()
        yes = np.minimum(yes.rename_axis(names).reindex(everyone.index).fillna(0.0), everyone)
        targets[(*names, "true")] = pd.concat({True: yes, False: everyone - yes}, names=["true"]).reorder_levels([*names, "true"])
    fitted = rake(both, targets, tol=3e-6, max_iter=5000).to_numpy()
    return fitted[: len(cells)] / (fitted[: len(cells)] + fitted[len(cells):])


# --- Voters ----------------------------------------------------------------------------------------------------------

def supplements(path: Path) -> pd.DataFrame:
    "Citizens of voting age in the presidential supplements who said whether they voted; weights as corrected by Hur and Achen."
    asked = ["YEAR", "AGE", "SEX", "EDUCATION", "RACE", "HISPANIC", "VRS_REG", "hurachen_turnout", "turnout_weight"]
    raw = pd.read_parquet(path, columns=asked)
    raw = raw[raw["YEAR"].isin(PRESIDENTIAL) & (raw["AGE"] >= 18) & raw["EDUCATION"].notna() & raw["HISPANIC"].notna()]
    raw = raw[raw["hurachen_turnout"].isin(["YES", "NO"]) & (raw["turnout_weight"] > 0)]
    level = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 3, 4, 4, 5, 6, 6, 6])[raw["EDUCATION"].cat.codes]
    named = {"WHITE": "White", "BLACK": "Black", "ASIAN, PACIFIC ISLANDER, OR NATIVE HAWAIIAN": "Asian"}
    race = raw["RACE"].astype(str).map(named).fillna("rest")
    return pd.DataFrame({
        "year": raw["YEAR"].to_numpy(), "sex": raw["SEX"].astype(str).str.title(),
        "age_group": pd.cut(raw["AGE"], [17, 19, 24, 29, 34, 44, 54, 64, 74, 84, 200], labels=AGES).astype(str),
        "education": np.array(EDUCATION)[level], "group": race.where(raw["HISPANIC"].astype(str) != "HISPANIC", "Hispanic"),
        "voted": raw["hurachen_turnout"].astype(str).eq("YES"), "weight": raw["turnout_weight"],
        "says": raw["VRS_REG"].astype(str),
    })


def turnout_shares(people: pd.DataFrame, by: list[str], prior: float) -> pd.Series:
    "Weighted turnout by category, with `prior` persons of the whole added."
    sums = people.assign(yes=people["weight"] * people["voted"]).groupby(by)[["yes", "weight"]].sum()
    n = people.groupby(by).size()
    whole = np.average(people["voted"], weights=people["weight"])
    return (sums["yes"] / sums["weight"] * n + prior * whole) / (n + prior)


def voters(people: pd.DataFrame, cells: pd.DataFrame, citizen: np.ndarray, results: pd.DataFrame) -> dict[str, np.ndarray]:
    "Share of the citizens of each cell who voted, by election."
    cells = cells.assign(weight=cells["weight"] * citizen, group=cells["race_ethnicity"].astype(str).map(GROUP_OF),
                         age=cells["age_group"].astype(str).map(COARSE_AGE), four=cells["education"].astype(str).map(COARSE_EDUCATION))
    people = people.assign(age=people["age_group"].map(COARSE_AGE), four=people["education"].map(COARSE_EDUCATION))
    pairs = [turnout_shares(people, by, 30) for by in (["age", "four"], ["group", "age"], ["group", "four"])]
    single = [turnout_shares(people, [by], 0) for by in ("age", "four", "group")]
    whole = np.average(people["voted"], weights=people["weight"])
    odds = sum(logit(s.reindex(pd.MultiIndex.from_frame(cells[s.index.names])).to_numpy()) for s in pairs)
    odds = odds - sum(logit(s.reindex(cells[s.index.names[0]]).to_numpy()) for s in single) + logit(np.array(whole))
    others = people[~people["voted"] & people["says"].isin(["YES", "NO"])].assign(voted=lambda p: p["says"].eq("YES"))
    out = {}
    for election, year in YEARS.items():
        shift = to_year(people[people["year"] == year], cells, odds)
        voted = to_votes(cells, odds + shift, results[results["year"] == election].set_index("state")["total"])
        out[f"voted_{election}"] = voted
        silent = cells.assign(weight=cells["weight"] * (1 - voted))
        out[f"registered_{election}"] = voted + (1 - voted) * on_the_register(others, year, silent)
    return {name: out[name] for name in sorted(out, key=lambda n: (n.startswith("r"), n))}


def on_the_register(others: pd.DataFrame, year: int, cells: pd.DataFrame) -> np.ndarray:
    "Share of those who did not vote who are registered, in each cell: group by age of all elections, then the levels of the year."
    pairs = turnout_shares(others, ["group", "age"], 30)
    odds = logit(pairs.reindex(pd.MultiIndex.from_frame(cells[["group", "age"]])).to_numpy())
    return expit(odds + to_year(others[others["year"] == year], cells, odds))


def to_year(people: pd.DataFrame, cells: pd.DataFrame, odds: np.ndarray, passes: int = 50) -> np.ndarray:
    "What to add to the log odds so that turnout by age, education, group and sex is that of one supplement."
    shift = np.zeros(len(cells))
    kinds = [(cells[by].astype(str).to_numpy(), turnout_shares(people, [by], 10)) for by in ("age_group", "education", "group", "sex")]
    for _ in range(passes):
        for labels, share in kinds:
            for label, wanted in share.items():
                here = labels == label
                weight, now = cells["weight"].to_numpy()[here], (odds + shift)[here]
                shift[here] += brentq(lambda x, w=weight, o=now, t=wanted: w @ expit(o + x) - t * w.sum(), -20, 20)
    return shift


def to_votes(cells: pd.DataFrame, odds: np.ndarray, votes: pd.Series) -> np.ndarray:
    "Turnout with the votes of each state: one number added to the log odds of its citizens."
    share = np.empty(len(cells))
    for state, here in cells.groupby("state", observed=True).indices.items():
        weight = cells["weight"].to_numpy()[here]
        if votes[state] >= weight.sum():
            raise SystemExit(f"{state}: {votes[state]:,} votes of {weight.sum():,.0f} citizens")
        shift = brentq(lambda x, w=weight, o=odds[here], v=votes[state]: w @ expit(o + x) - v, -20, 20)
        share[here] = expit(odds[here] + shift)
    return share


# --- Checks ----------------------------------------------------------------------------------------------------------

def checks(tables: Tables, people: pd.DataFrame, out: pd.DataFrame) -> pd.DataFrame:
    "Shares of the country beside their sources: citizens in the ACS tables, turnout in the supplement of the year."
    out = out.assign(group=out["race_ethnicity"].astype(str).map(GROUP_OF), citizens=out["weight"] * out["citizen"])
    rows = []
    by_education = tables.sums("B29002", [[i] for i in range(2, 9)]).set_axis(EDUCATION, axis=1)
    sources = {"age": (tables.sums("B29001", [[i] for i in range(2, 6)]), np.array(CVAP_AGES)[out["age_group"].cat.codes]),
               "education": (by_education, out["education"].astype(str).to_numpy())}
    for kind, (table, labels) in sources.items():
        ours = out.assign(label=labels).groupby(["state", "label"], observed=True)["citizens"].sum().unstack()[table.columns]
        theirs = table.loc[ours.index]
        off = ours.div(ours.sum(axis=1), axis=0) - theirs.div(theirs.sum(axis=1), axis=0)
        rows.append(("citizens, largest difference in a state, points", kind, 100 * off.abs().to_numpy().max(), 0.0))
    rows.append(("citizens", "all", out["citizens"].sum(), float(tables.of("B29001").loc["US", 1])))
    for election, year in YEARS.items():
        voted = out["citizens"] * out[f"voted_{election}"]
        rows.append((f"voters {election}", "all", voted.sum(), np.nan))
        for by in ("group", "age_group", "education", "sex"):
            ours = voted.groupby(out[by].astype(str)).sum() / out["citizens"].groupby(out[by].astype(str)).sum()
            theirs = turnout_shares(people[people["year"] == year], [by], 0)
            rows += [(f"turnout {election}, CPS {year}", label, ours[label], theirs[label]) for label in ours.index]
        registered = out["citizens"] * out[f"registered_{election}"]
        said = people[(people["year"] == year) & (people["voted"] | people["says"].isin(["YES", "NO"]))]
        theirs = np.average(said["voted"] | said["says"].eq("YES"), weights=said["weight"])
        rows.append((f"registered {election}, CPS {year}", "all", registered.sum() / out["citizens"].sum(), theirs))
    return pd.DataFrame(rows, columns=["what", "category", "here", "source"])


def main(source: Path) -> None:
    tables = Tables(source / "acs1_2018_state_tables.parquet")
    cells = pd.read_parquet(OUT / "us_adults_2018.parquet")
    results = pd.read_csv(OUT.parent / "elections" / "president_by_state.csv")
    people = supplements(source / "cps_voting_supplement_1994_2020_sample.parquet")
    citizen = citizens(tables, pums(source / "acs1_2011_pums_sample.parquet"), cells)
    shares = pd.DataFrame({"citizen": citizen, **voters(people, cells, citizen, results)}).astype("float32")
    report = checks(tables, people, cells.join(shares))
    worst = report.loc[report["what"].str.contains("largest"), "here"].max()
    if not (worst <= 0.1 and shares.gt(0).all(axis=None) and shares.le(1).all(axis=None)):
        raise SystemExit(f"citizens are off by {worst:.3f} points, or a share is none\n{report}\n{shares.describe()}")
    shares.to_parquet(OUT / "us_electorates.parquet", index=False, compression="zstd")
    report.round(4).to_csv(OUT / "us_electorates_checks.csv", index=False, lineterminator="\n")
    sys.stdout.write(report.to_string() + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python data/build_electorates.py SOURCE_FOLDER")
    main(Path(sys.argv[1]) / "census")
