"""Build data/surveys: human answers by group, counted from survey microdata.

    python data/build_surveys.py SOURCE_FOLDER

SOURCE_FOLDER holds `surveys/gss_2018_spending.csv.gz` (General Social Survey 2018, NORC at the University of Chicago; 2,348
respondents, as kept by the R package stevedata, `gss_spending`) and `surveys/cces_2016_trump_vote.parquet` (Cooperative
Congressional Election Study 2016, doi 10.7910/DVN/GDF6Z0, CC0; 64,600 respondents, as kept by stevedata 1.8.0, `TV16`).

Writes `gss_2018_spending.csv` and `cces_2016_vote.csv`: how many respondents of each group (`attribute`, `group`; "overall" is
everybody) gave each `option` of each `item_id` (`n`). Only counts are kept, no respondent. The questions stand in
`gss_2018_spending.json` and `cces_2016_vote.json`, which are written by hand; the script checks that their options are those counted.
`cces_2016_cells.csv` counts the same voters by sex, race, age, party and ideology together (`n`, and `trump` among them), with the
values that the personas' attributes have; who did not say a party or an ideology is left out.

Neither source has weights. Both surveys publish some; the GSS of 2018 needs them because it interviewed one adult per household and
followed up only part of those who did not answer, the CCES because it is an opt-in panel. The counts are of the samples as they are.
"""

import json
import sys
from pathlib import Path

import pandas as pd

from persona_kit.tables import STATES

OUT = Path(__file__).resolve().parent / "surveys"
SPENDING = {1: "Too little", 0: "About right", -1: "Too much"}
DEGREES = ["Less than high school", "High school", "Junior college", "Bachelor", "Graduate"]
# who leans to a party is counted with it
PARTY_2018 = {**dict.fromkeys((0, 1, 2), "Democrat"), 3: "Independent", **dict.fromkeys((4, 5, 6), "Republican")}
PARTY_2016 = {**dict.fromkeys((1, 2, 3), "Democrat"), 4: "Independent", **dict.fromkeys((5, 6, 7), "Republican")}
IDEOLOGY = {1: "Very liberal", 2: "Liberal", 3: "Moderate", 4: "Conservative", 5: "Very conservative"}
PARTIES = ["strong Democrat", "Democrat", "leans Democrat", "independent", "leans Republican", "Republican", "strong Republican"]
AGES = {"18-29": (18, 29), "30-44": (30, 44), "45-64": (45, 64), "65+": (65, 120)}
KNOWN = {"gss": (2348, 1296, {"natspac": 2086, "nateduc": 2326}), "cces": (64600, 44932, 18755)}


def ages(years: pd.Series) -> pd.Series:
    "The band of each age; missing stays missing."
    return pd.cut(years, [0, *(high for _, high in AGES.values())], labels=list(AGES)).astype(object)


def counted(people: pd.DataFrame, items: list[str], attributes: list[str], options: list[str]) -> pd.DataFrame:
    "One row per item, group and option, zero counts too; who is in no group of an attribute is left out of it."
    rows = []
    people = people.assign(overall="overall")
    for attribute in ["overall", *attributes]:
        for item in items:
            table = pd.crosstab(people[attribute], people[item]).reindex(columns=options, fill_value=0)
            rows += [(item, attribute, group, option, int(n)) for group, line in table.iterrows() for option, n in line.items()]
    return pd.DataFrame(rows, columns=["item_id", "attribute", "group", "option", "n"])


def spending(source: Path) -> pd.DataFrame:
    "The GSS items by party, race, sex, age and degree."
    raw = pd.read_csv(source / "surveys" / "gss_2018_spending.csv.gz")
    items = [c for c in raw if c.startswith("nat")]
    people = pd.DataFrame({
        "party": raw["partyid"].map(PARTY_2018),
        "race": raw["race"].map({1: "White", 2: "Black", 3: "Other"}),
        "sex": raw["sex"].map({0: "male", 1: "female"}),
        "age": ages(raw["age"]),
        "education": raw["degree"].map(dict(enumerate(DEGREES))),
        **{item: raw[item].map(SPENDING) for item in items},
    })
    n, women, valid = KNOWN["gss"]
    if len(raw) != n or (people["sex"] == "female").sum() != women or len(items) != 18 or raw["year"].nunique() != 1:
        raise SystemExit(f"gss: {len(raw)} respondents, {(people['sex'] == 'female').sum()} women, {len(items)} items")
    if any(people[item].notna().sum() != count for item, count in valid.items()) or set(raw[items].stack().dropna()) != {-1.0, 0.0, 1.0}:
        raise SystemExit("gss: other answers than expected")
    return counted(people, items, ["party", "race", "sex", "age", "education"], list(SPENDING.values()))


def vote(source: Path) -> pd.DataFrame:
    "The vote of 2016 among those who said for whom they voted."
    raw = pd.read_parquet(source / "surveys" / "cces_2016_trump_vote.parquet")
    codes = {name: code for code, name in STATES.items()}
    people = pd.DataFrame({
        "vote_2016": raw["votetrump"].map({1: "Donald Trump", 0: "Another candidate"}),
        "party": raw["pid7na"].map(PARTY_2016),
        "race": raw["racef"].astype(object),
        "sex": raw["female"].map({0: "male", 1: "female"}),
        "age": ages(raw["age"]),
        "education": raw["collegeed"].map({0: "No college degree", 1: "College degree"}),
        "ideology": raw["ideo"].map(IDEOLOGY),
        "state": raw["state"].map(codes),
    })
    n, voters, trump = KNOWN["cces"]
    found = (len(raw), people["vote_2016"].notna().sum(), (people["vote_2016"] == "Donald Trump").sum())
    if found != (n, voters, trump) or people["state"].isna().any():
        raise SystemExit(f"cces: {found} respondents, voters, for Trump; known {(n, voters, trump)}")
    attributes = ["party", "race", "sex", "age", "education", "ideology", "state"]
    return counted(people, ["vote_2016"], attributes, ["Donald Trump", "Another candidate"])


def cells(source: Path) -> pd.DataFrame:
    "Voters of 2016, and those for Trump, in each combination of sex, race, age, party and ideology."
    raw = pd.read_parquet(source / "surveys" / "cces_2016_trump_vote.parquet")
    steps = [v.lower() for v in IDEOLOGY.values()]
    people = pd.DataFrame({
        "sex": raw["female"].map({0: "Male", 1: "Female"}),
        "race": raw["racef"].where(raw["racef"].isin(["White", "Black", "Hispanic"]), "Other").astype(object),
        "age": ages(raw["age"]),
        "party": pd.Categorical(raw["pid7na"].map(dict(enumerate(PARTIES, 1))), PARTIES, ordered=True),
        "ideology": pd.Categorical(raw["ideo"].map(dict(enumerate(steps, 1))), steps, ordered=True),
        "trump": raw["votetrump"],
    }).dropna()
    table = people.groupby(["sex", "race", "age", "party", "ideology"], observed=True)["trump"].agg(n="size", trump="sum").reset_index()
    return table.astype({"trump": int})


def check(table: pd.DataFrame, name: str) -> None:
    "Stop if the written questions do not fit, or a group has more people than everybody."
    items = json.loads((OUT / f"{name}.json").read_text(encoding="utf-8"))["items"]
    options = {i["item_id"]: i["options"] for i in items}
    if {k: list(g["option"].unique()) for k, g in table.groupby("item_id")} != options:
        raise SystemExit(f"{name}: the options in {name}.json are not those counted")
    sums = table.groupby(["item_id", "option", "attribute"])["n"].sum().unstack()
    if (sums.drop(columns="overall").max(axis=1) > sums["overall"]).any():
        raise SystemExit(f"{name}: a group has more people than everybody")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python data/build_surveys.py SOURCE_FOLDER")
    for title, made in (("gss_2018_spending", spending(Path(sys.argv[1]))), ("cces_2016_vote", vote(Path(sys.argv[1])))):
        check(made, title)
        made.to_csv(OUT / f"{title}.csv", index=False, lineterminator="\n")
    cells(Path(sys.argv[1])).to_csv(OUT / "cces_2016_cells.csv", index=False, lineterminator="\n")
