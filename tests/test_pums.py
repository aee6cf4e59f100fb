"PUMS files: codes of all years become the package's labels; households are put together from their members."

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from persona_kit.census import ATTRIBUTES, add_attributes, impossible
from persona_kit.population import Population, us_adults
from persona_kit.pums import LABELS, read_pums

SHARED = Path(os.environ.get("PERSONA_KIT_SHARED", Path(__file__).resolve().parent.parent.parent / "shared")) / "data"
SAMPLE = SHARED / "census" / "acs1_2011_pums_sample.parquet"


def record(**fields):
    "One resident of Ohio who lives alone and works in an office."
    return pd.DataFrame(
        [
            {
                "SERIALNO": "1",
                "ST": 39,
                "ADJINC": 1_000_000,
                "PWGTP": 10,
                "AGEP": 40,
                "SEX": 2,
                "RAC1P": 1,
                "HISP": 1,
                "SCHL": 21,
                "CIT": 1,
                "POBP": 39,
                "LANX": 2,
                "LANP": None,
                "ENG": None,
                "MAR": 5,
                "RELP": 0,
                "ESR": 1,
                "MIL": 5,
                "DIS": 2,
                "COW": 1,
                "SOCP": "434051",
                "NAICSP": "522M",
                "WKW": 1,
                "WKHP": 40,
                "PERNP": 45_000,
                "PINCP": 46_000,
                "PRIVCOV": 1,
                "PUBCOV": 2,
            }
            | fields
        ]
    )


@pytest.mark.parametrize(
    "fields, column, label",
    [
        ({}, "state", "OH"),
        ({}, "age_group", "35-44"),
        ({}, "household_relationship", "lives alone"),
        ({}, "household_type", "one person"),
        ({}, "citizenship", "born in this state"),
        ({}, "region_of_birth", "United States"),
        ({}, "english", "speaks only English"),
        ({}, "occupation", "office and administrative support"),
        ({}, "industry", "finance, insurance, and real estate"),
        ({}, "earnings", "40,000 to 49,999"),
        ({}, "work_past_year", "full-time, year-round"),
        ({}, "health_insurance", "private"),
        ({}, "veteran", "no"),
        ({"SCHL": 15}, "education", "9th to 12th grade, no diploma"),
        ({"SCHL": 11}, "education", "Less than 9th grade"),
        ({"SCHL": 17}, "education", "High school graduate"),
        ({"SCHL": 19}, "education", "Some college, no degree"),
        ({"SCHL": 20}, "education", "Associate's degree"),
        ({"SCHL": 24}, "education", "Graduate or professional degree"),
        ({"RAC1P": 5}, "race_ethnicity", "American Indian or Alaska Native"),
        ({"RAC1P": 2, "HISP": 3}, "race_ethnicity", "Hispanic"),
        ({"RAC1P": 2, "HISP": 3}, "race", "Black"),
        ({"RAC1P": 9}, "race", "Two or more races"),
        ({"CIT": 5, "POBP": 303}, "region_of_birth", "Latin America"),
        ({"CIT": 4, "POBP": 301}, "region_of_birth", "Northern America"),
        ({"CIT": 4, "POBP": 210}, "citizenship", "naturalized citizen"),
        ({"CIT": 1, "POBP": 6}, "citizenship", "born in another state"),
        ({"CIT": 2, "POBP": 72}, "citizenship", "born in a US territory or abroad to a US parent"),
        ({"LANX": 1, "LANP": 625, "ENG": 2}, "language_at_home", "Spanish"),
        ({"LANX": 1, "LANP": 1200, "ENG": 2}, "language_at_home", "Spanish"),
        ({"LANX": 1, "LANP": 1970, "ENG": 3}, "language_at_home", "Asian language"),
        ({"LANX": 1, "LANP": 708, "ENG": 3}, "english", "not well"),
        ({"LANX": 1, "LANP": 1110, "ENG": 1}, "language_at_home", "Indo-European language"),
        ({"LANX": 1, "LANP": 777, "ENG": 1}, "language_at_home", "other language"),
        ({"MAR": 1}, "marital_status", "married, spouse absent"),
        ({"MAR": 2}, "marital_status", "widowed"),
        ({"MAR": 4}, "marital_status", "separated"),
        ({"RELP": 16}, "household_relationship", "in group quarters"),
        ({"RELP": 16}, "household_income", np.nan),
        ({"ESR": 6}, "occupation", np.nan),
        ({"ESR": 4}, "employment_status", "armed forces"),
        ({"ESR": 6}, "class_of_worker", np.nan),
        ({"COW": 6}, "class_of_worker", "self-employed"),
        ({"COW": 5}, "class_of_worker", "government"),
        ({"SOCP": "291141"}, "occupation", "health diagnosing and treating"),
        ({"SOCP": "292061"}, "occupation", "health technicians"),
        ({"SOCP": "333051"}, "occupation", "law enforcement"),
        ({"SOCP": "537062"}, "occupation", "material moving"),
        ({"SOCP": "533032"}, "occupation", "transportation"),
        ({"PERNP": -500}, "earnings", "under 10,000"),
        ({"PERNP": 0}, "work_past_year", "none"),
        ({"PERNP": 45_000, "ADJINC": 1_200_000}, "earnings", "50,000 to 64,999"),
        ({"WKHP": 20}, "work_past_year", "part-time or part of the year"),
        ({"PRIVCOV": 2, "PUBCOV": 1}, "health_insurance", "public"),
        ({"PRIVCOV": 2}, "health_insurance", "none"),
        ({"DIS": 1}, "disability", "yes"),
        ({"PINCP": 9_000}, "household_income", "under 10,000"),
        ({"PINCP": 250_000}, "household_income", "200,000 or more"),
    ],
)
def test_codes(fields, column, label):
    value = read_pums(record(**fields))[column].iloc[0]
    assert (pd.isna(value) and label is np.nan) or value == label


def test_military_service_has_two_codings():
    both = [read_pums(pd.concat([record(MIL=2), record(SERIALNO="2", MIL=last)]))["veteran"].tolist() for last in (5, 4)]
    assert both == [["yes", "no"], ["yes", "no"]]
    assert (
        read_pums(pd.concat([record(MIL=3), record(SERIALNO="2", MIL=5)]))["veteran"].iloc[0] == "yes"
    )  # until 2012: served more than a year ago
    assert read_pums(pd.concat([record(MIL=3), record(SERIALNO="2", MIL=4)]))["veteran"].iloc[0] == "no"  # since then: training only


@pytest.mark.parametrize("coding, codes", [("RELP", [0, 1, 2, 13, 12]), ("RELSHIPP", [20, 23, 25, 22, 34])])
def test_households_of_both_codings(coding, codes):
    def household(number, members):
        rows = [
            record(SERIALNO=str(number), MAR=m, AGEP=a, SEX=s, PINCP=p, PERNP=p).drop(columns="RELP").assign(**{coding: codes[r]})
            for r, m, a, s, p in members
        ]
        return pd.concat(rows)

    people = read_pums(
        pd.concat(
            [
                household(1, [(0, 1, 40, 2, 30_000), (1, 1, 41, 2, 25_000), (2, 5, 9, 1, 0), (2, 5, 3, 1, 0)]),
                household(2, [(0, 3, 50, 2, 30_000), (2, 5, 22, 1, 9_000)]),
                household(3, [(0, 5, 30, 1, 1), (3, 5, 31, 2, 1)]),
                household(4, [(0, 5, 30, 1, 1), (4, 5, 31, 2, 1)]),
            ]
        )
    )
    assert people["household_relationship"].tolist() == [
        "householder with spouse",
        "spouse of householder",
        "householder with other relatives",
        "child of householder",
        "householder with unmarried partner",
        "unmarried partner of householder",
        "householder with nonrelatives",
        "nonrelative of householder",
    ]
    assert people["household_type"].tolist() == ["married couple"] * 2 + ["family, female householder"] * 2 + ["nonfamily"] * 4
    assert people["children_at_home"].tolist() == ["2", "2", "0", "0", "0", "0", "0", "0"]
    assert people["household_income"].tolist()[:4] == ["50,000 to 59,999"] * 2 + ["30,000 to 39,999"] * 2
    assert people["marital_status"].tolist()[:2] == ["married, spouse present"] * 2 and impossible(people)["people"].iloc[-1] == 0


def test_a_file_and_several_files(tmp_path):
    record().assign(EXTRA=1).to_csv(tmp_path / "a.csv", index=False)
    record(ST=4, AGEP=80, SCHL=None).to_csv(tmp_path / "b.csv.gz", index=False)
    one, both = read_pums(tmp_path / "a.csv"), read_pums([tmp_path / "a.csv", tmp_path / "b.csv.gz"])
    pd.testing.assert_frame_equal(one, read_pums(record()))
    assert both["state"].tolist() == ["OH", "AZ"] and both["age_group"].tolist() == ["35-44", "75-84"]
    assert Population.from_frame(both).sample(n=5, seed=1)["age"].isin([40, 80]).all()
    less = read_pums(record()[["SERIALNO", "ST", "AGEP", "SEX", "RAC1P", "HISP", "SCHL", "PWGTP"]])
    assert list(less) == ["state", "sex", "age", "age_group", "race_ethnicity", "education", "hispanic", "race", "weight"]


@pytest.mark.parametrize(
    "table, words",
    [
        (record().drop(columns=["PWGTP", "SEX"]), "the table: no column SEX, PWGTP"),
        (record().drop(columns="ST"), "no column ST"),
        (pd.concat([record(), record(ST=72)]), "row 1: 72 is the code of no state"),
        (record(AGEP=12), "nobody is 18 or older"),
    ],
)
def test_bad_files(table, words):
    with pytest.raises(ValueError, match=words):
        read_pums(table)
    with pytest.raises(ValueError, match="no file given"):
        read_pums([])


def test_labels_are_those_of_the_drawn_attributes():
    people = add_attributes(us_adults().sample(n=50, seed=1), seed=1)
    read = read_pums(record())
    assert set(read) >= set(ATTRIBUTES)
    for name in ATTRIBUTES:
        assert people[name].dtype == read[name].dtype, name
        if name in LABELS and name != "region_of_birth":
            assert list(people[name].cat.categories) == list(LABELS[name])


@pytest.mark.skipif(not SAMPLE.exists(), reason="the PUMS sample is not part of the project")
def test_households_equal_the_fields_of_the_bureau():
    raw = pd.read_parquet(SAMPLE).reset_index(drop=True)
    adults = raw[raw["AGEP"].astype(int) >= 18].reset_index(drop=True)
    people = read_pums(raw)
    assert len(people) == 4942
    kind = (
        adults["HHT"]
        .astype("float")
        .map(
            {
                1: "married couple",
                2: "family, male householder",
                3: "family, female householder",
                4: "one person",
                5: "nonfamily",
                6: "one person",
                7: "nonfamily",
            }
        )
        .fillna("group quarters")
    )
    assert (people["household_type"].astype(str) == kind).all()
    heads = people["household_relationship"].isin(
        ["householder with spouse", "householder with other relatives", "householder with unmarried partner"]
    )
    assert (
        people.loc[heads, "children_at_home"].astype(str).str[0].astype(int)
        == adults.loc[heads, "NOC"].astype(float).fillna(0).clip(upper=3)
    ).all()
    income = adults["HINCP"].astype(float) * adults["ADJINC"].astype(float) / 1e6
    band = pd.Series(np.searchsorted([1e4, 2e4, 3e4, 4e4, 5e4, 6e4, 7.5e4, 1e5, 1.5e5, 2e5], income, side="right"))
    home = people["household_income"].notna() & income.notna()
    assert (people["household_income"].cat.codes[home] == band[home]).all() and home.sum() > 4600
    assert impossible(people)["share"].iloc[-1] < 0.002  # real people break hardly any rule
