"""Build data/elections from its source figures.

    python data/build_elections.py SOURCE_FOLDER

SOURCE_FOLDER holds `elections/president_state_2016_2020_2024.csv` (MIT Election Data and Science Lab, state sums) and
`elections/president_county_2016_with_context.csv.gz` (same laboratory, counties with the 2012 vote, no Alaska).

Writes `president_by_state.csv` (votes by state, 2012 to 2024) and `electors.csv` (electors by unit, 2016 to 2024).

2012 is there only as "the previous election" of 2016. It comes from `president_2012_input.csv` beside the results: the
counts of TheEconomist/us-potus-model `data/2012.csv` (MIT licence, commit c4507a48), transcribed. The county file is the
second source: the script checks the two-party share of each state against it and fails above `TOLERANCE_2012`. The one
exemption is New York, where the county file leaves the minor-party lines of both candidates in its "other" column.
"""

import sys
from pathlib import Path

import pandas as pd

from persona_kit.tables import STATES

OUT = Path(__file__).resolve().parent / "elections"
CANDIDATES = {
    2012: ("Barack Obama", "Mitt Romney"),
    2016: ("Hillary Clinton", "Donald Trump"),
    2020: ("Joe Biden", "Donald Trump"),
    2024: ("Kamala Harris", "Donald Trump"),
}
# Maine and Nebraska give two electors to the winner of the state and one to the winner of each congressional district.
DISTRICTS = {"ME": 2, "NE": 3}
AGAINST_THE_STATE = {(2016, "ME-2"): "republican", (2020, "ME-2"): "republican", (2020, "NE-2"): "democratic",
                     (2024, "ME-2"): "republican", (2024, "NE-2"): "democratic"}
KNOWN_VOTES = {2016: (65_853_581, 62_985_062), 2024: (75_017_613, 77_302_580)}
KNOWN_ELECTORS = {2016: 232, 2020: 306, 2024: 226}  # Democratic, as pledged: faithless electors are not modelled
TOLERANCE_2012 = 0.006


def votes_2012(source: Path) -> pd.DataFrame:
    "The 2012 counts, checked against county sums."
    table = pd.read_csv(OUT / "president_2012_input.csv").assign(year=2012)
    counties = pd.read_csv(source / "elections" / "president_county_2016_with_context.csv.gz")
    codes = {name: code for code, name in STATES.items()}
    sums = counties.assign(state=counties["state"].map(codes)).groupby("state")[["obama12", "romney12"]].sum()
    other = sums["obama12"] / (sums["obama12"] + sums["romney12"])
    share = (table["democratic"] / (table["democratic"] + table["republican"])).set_axis(table["state"])
    apart = (share - other).abs().drop("NY").dropna()
    if len(apart) != 49 or apart.max() > TOLERANCE_2012:
        raise SystemExit(f"2012: {apart.idxmax()} differs by {apart.max():.4f} from the county sums")
    return table


def votes(source: Path) -> pd.DataFrame:
    "Votes by year and state."
    names = {"state_po": "state", "dem_votes": "democratic", "rep_votes": "republican", "total_votes": "total"}
    table = pd.read_csv(source / "elections" / "president_state_2016_2020_2024.csv").drop(columns="state").rename(columns=names)
    table = pd.concat([votes_2012(source), table[["year", "state", "democratic", "republican", "total"]]])
    table["other"] = table["total"] - table["democratic"] - table["republican"]
    table["democratic_candidate"] = table["year"].map(lambda y: CANDIDATES[y][0])
    table["republican_candidate"] = table["year"].map(lambda y: CANDIDATES[y][1])
    columns = ["year", "state", "democratic", "republican", "other", "total", "democratic_candidate", "republican_candidate"]
    return table.sort_values(["year", "state"])[columns].reset_index(drop=True)


def electors(source: Path, by_state: pd.DataFrame) -> pd.DataFrame:
    "Electors and the winner of each unit: the states, and the districts of Maine and Nebraska."
    number = pd.read_csv(source / "elections" / "president_state_2016_2020_2024.csv").set_index(["year", "state_po"])["electors"]
    rows = []
    for row in by_state[by_state["year"] >= 2016].itertuples():
        winner = "democratic" if row.democratic > row.republican else "republican"
        districts = DISTRICTS.get(row.state, 0)
        rows.append((row.year, row.state, row.state, int(number[row.year, row.state]) - districts, winner))
        for unit in (f"{row.state}-{i + 1}" for i in range(districts)):
            rows.append((row.year, unit, row.state, 1, AGAINST_THE_STATE.get((row.year, unit), winner)))
    return pd.DataFrame(rows, columns=["year", "unit", "state", "electors", "winner"])


def check(by_state: pd.DataFrame, units: pd.DataFrame) -> None:
    "Stop if a known total does not come back."
    if any(set(group["state"]) != set(STATES) or len(group) != 51 for _, group in by_state.groupby("year")):
        raise SystemExit("a year does not have the 51 states once each")
    if (by_state["other"] < 0).any():
        raise SystemExit("more votes for two candidates than in total")
    sums = by_state.groupby("year")[["democratic", "republican"]].sum()
    for year, known in KNOWN_VOTES.items():
        if tuple(sums.loc[year]) != known:
            raise SystemExit(f"{year}: sums {tuple(sums.loc[year])}, known {known}")
    if set(units.groupby("year")["electors"].sum()) != {538}:
        raise SystemExit("electors do not sum to 538")
    democratic = units[units["winner"] == "democratic"].groupby("year")["electors"].sum().to_dict()
    if democratic != KNOWN_ELECTORS:
        raise SystemExit(f"Democratic electors {democratic}, known {KNOWN_ELECTORS}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python data/build_elections.py SOURCE_FOLDER")
    folder = Path(sys.argv[1])
    state_votes = votes(folder)
    elector_units = electors(folder, state_votes)
    check(state_votes, elector_units)
    state_votes.to_csv(OUT / "president_by_state.csv", index=False, lineterminator="\n")
    elector_units.to_csv(OUT / "electors.csv", index=False, lineterminator="\n")
