"Census attributes: rules that can fire, people who can be, draws that repeat, and shares beside the tables they come from."

import io
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from persona_kit.census import ATTRIBUTES, RULES, add_attributes, impossible, state_shares
from persona_kit.population import us_adults
from persona_kit.tables import STATES, check, data_path

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("PERSONA_KIT_SHARED", ROOT.parent / "shared")) / "data" / "census"
TABLES, SAMPLE = SHARED / "acs1_2018_state_tables.parquet", SHARED / "acs1_2011_pums_sample.parquet"
PERSON = ["persona_id", "state", "sex", "age_group", "age", "race_ethnicity", "education", "weight", "tier", "status"]
DEGREES = ["Bachelor's degree", "Graduate or professional degree"]


@pytest.fixture(scope="module")
def nation():
    "400,000 people of the country with all attributes; each has the same weight."
    return us_adults().sample(n=400_000, seed=20, attributes="all")


@pytest.fixture(scope="module")
def texans():
    "60,000 people of one large state."
    return us_adults().sample(per_state=60_000, states=["TX"], seed=8, attributes="all")


@pytest.fixture(scope="module")
def few():
    "Five people of each state, without further attributes."
    return us_adults().sample(per_state=5, seed=2)


# --- What cannot be --------------------------------------------------------------------------------------------------

SOUND = {
    "state": "OH", "sex": "Female", "age_group": "35-44", "age": 40, "race_ethnicity": "White", "education": "Bachelor's degree",
    "hispanic": "no", "race": "White", "nativity": "native", "citizenship": "born in this state", "region_of_birth": "United States",
    "language_at_home": "English", "english": "speaks only English", "marital_status": "married, spouse present",
    "household_relationship": "spouse of householder", "household_type": "married couple", "children_at_home": "2", "veteran": "no",
    "disability": "no", "employment_status": "employed", "occupation": "legal", "class_of_worker": "private company",
    "industry": "professional, management, and administrative services", "work_past_year": "full-time, year-round",
    "earnings": "50,000 to 64,999", "household_income": "100,000 to 149,999", "health_insurance": "private",
}
IDLE = {"employment_status": "not in labor force", "occupation": None, "class_of_worker": None, "industry": None,
        "work_past_year": "none", "earnings": "none"}
ALONE = {"marital_status": "never married", "household_relationship": "lives alone", "household_type": "one person",
         "children_at_home": "0"}
YOUNG = {"age_group": "18-19", "age": 19, "education": "High school graduate", "occupation": "sales", **ALONE}
GROUP = {**ALONE, "household_relationship": "in group quarters", "household_type": "group quarters", "household_income": None}
CHILD = {**ALONE, "household_relationship": "child of householder", "household_type": "family, female householder"}
OLD = {"age_group": "75-84", "age": 80, "children_at_home": "0"}
SOLDIER = {**IDLE, "employment_status": "armed forces", "work_past_year": "full-time, year-round", "earnings": "40,000 to 49,999"}
PARTNER = {"marital_status": "separated", "household_relationship": "unmarried partner of householder", "household_type": "nonfamily",
           "children_at_home": "0"}
FAMILY = {"household_type": "family, male householder"}
MARRIED = {"marital_status": "married, spouse present"}
ABROAD = {"nativity": "foreign born", "citizenship": "not a citizen", "region_of_birth": "Asia"}

CASES = [  # rule, people who break it, people who just do not
    ("a bachelor's degree under 20", [{**YOUNG, "education": d} for d in DEGREES],
     [YOUNG, {**YOUNG, "age_group": "20-24", "age": 20, "education": DEGREES[0]}]),
    ("a graduate degree under 22", [{"age_group": "20-24", "age": 21, "education": DEGREES[1]}],
     [{"age_group": "20-24", "age": 22, "education": DEGREES[1]}, {"age_group": "20-24", "age": 21, "education": DEGREES[0]}]),
    ("widowed or divorced under 20", [{**YOUNG, "marital_status": m} for m in ("widowed", "divorced")],
     [{**YOUNG, "marital_status": "separated"}, {**YOUNG, "marital_status": "widowed", "age_group": "20-24", "age": 20}]),
    ("a spouse at home who is not married",
     [{"marital_status": m} for m in ("never married", "widowed", "divorced", "separated", "married, spouse absent")]
     + [{"marital_status": "divorced", "household_relationship": "householder with spouse"}],
     [{}, {"household_relationship": "householder with spouse"}]),
    ("a spouse at home, but alone, with a partner or others, or in group quarters",
     [{**ALONE, **MARRIED}, {**PARTNER, **MARRIED}, {**PARTNER, **MARRIED, "household_relationship": "householder with unmarried partner"},
      {**ALONE, **MARRIED, "household_relationship": "householder with other relatives", "household_type": "family, female householder"},
      {**ALONE, **MARRIED, "household_relationship": "householder with nonrelatives", "household_type": "nonfamily"}, {**GROUP, **MARRIED}],
     [ALONE, PARTNER, {**ALONE, "marital_status": "married, spouse absent"}, {**CHILD, **MARRIED}]),
    ("living with a parent at 75 or more", [{**CHILD, "age_group": "85+", "age": 86}, {**CHILD, **OLD}],
     [{**CHILD, "age_group": "65-74", "age": 70}, {**CHILD}]),
    ("a household type that does not fit the relationship or the householder's sex",
     [{"household_type": "one person"}, {**ALONE, "household_type": "nonfamily"}, {**GROUP, "household_type": "married couple"},
      {**PARTNER, "household_type": "married couple"}, {**CHILD, "household_type": "nonfamily"},
      *({**PARTNER, "household_relationship": f"householder with {w}", "sex": s, "household_type": f"family, {o} householder"}
        for w in ("unmarried partner", "other relatives") for s, o in (("Female", "male"), ("Male", "female")))],
     [GROUP, {**CHILD, "sex": "Male"}, {**PARTNER, "household_type": "family, female householder", "sex": "Male"},
      *({**PARTNER, "household_relationship": "householder with other relatives", "sex": s, "household_type": f"family, {o} householder"}
        for s, o in (("Male", "male"), ("Female", "female")))]),
    ("children under 18 of somebody of 75 or more",
     [{**OLD, "children_at_home": "1"}, {**OLD, "age_group": "85+", "children_at_home": "3 or more"}],
     [OLD, {"age_group": "65-74", "age": 74, "children_at_home": "1"}]),
    ("children at home of somebody who lives alone or in group quarters",
     [{**ALONE, "children_at_home": "1"}, {**GROUP, "children_at_home": "2"}], [ALONE, GROUP]),
    ("own children at home, but no family", [{**PARTNER, "children_at_home": "1"}, {**ALONE, "children_at_home": "2"}],
     [PARTNER, {}, {**PARTNER, "children_at_home": "1", "household_type": "family, male householder"}]),
    ("three or more children at 18 or 19", [{**YOUNG, **PARTNER, **FAMILY, "children_at_home": "3 or more"}],
     [{**YOUNG, **PARTNER, **FAMILY, "children_at_home": "2"}, {"children_at_home": "3 or more"}]),
    ("a veteran under 20", [{**YOUNG, "veteran": "yes"}], [YOUNG, {**YOUNG, "veteran": "yes", "age_group": "20-24", "age": 20}]),
    ("a veteran in active service", [{**SOLDIER, "veteran": "yes"}], [SOLDIER, {"veteran": "yes"}]),
    ("in the armed forces at 65 or more", [{**SOLDIER, "age_group": g, "children_at_home": "0"} for g in ("65-74", "75-84", "85+")],
     [{**SOLDIER, "age_group": "55-64", "age": 64}]),
    ("in the armed forces without a high school diploma", [{**SOLDIER, "education": "Less than 9th grade"}],
     [{**SOLDIER, "education": "High school graduate"}, {"education": "Less than 9th grade", "occupation": "sales"}]),
    ("in the armed forces without earnings or insurance",
     [{**SOLDIER, "work_past_year": "none", "earnings": "none"}, {**SOLDIER, "health_insurance": "none"}],
     [SOLDIER, IDLE, {"health_insurance": "none"}]),
    ("public administration, but not in government", [{"industry": "public administration"}],
     [{"industry": "public administration", "class_of_worker": "government"}, {"class_of_worker": "government"}]),
    ("earning 75,000 or more at 18 or 19", [{**YOUNG, "earnings": e} for e in ("75,000 to 99,999", "100,000 or more")],
     [{**YOUNG, "earnings": "65,000 to 74,999"}, {"earnings": "75,000 to 99,999"}]),
    ("employed without an occupation, or the reverse", [{"occupation": None}, {**IDLE, "occupation": "sales"}], [IDLE, {}]),
    ("employed without a class of worker or industry, or the reverse",
     [{"class_of_worker": None}, {"industry": None}, {**IDLE, "class_of_worker": "government"}, {**SOLDIER, "industry": "construction"}],
     [IDLE, SOLDIER]),
    ("law or medicine without a high school diploma",
     [{"education": e, "occupation": o} for e in ("Less than 9th grade", "9th to 12th grade, no diploma")
      for o in ("legal", "health diagnosing and treating")],
     [{"education": "High school graduate"}, {"education": "Less than 9th grade", "occupation": "health technicians"}]),
    ("work in the past year without earnings, or the reverse",
     [{"earnings": "none"}, {"work_past_year": "none"}, {"work_past_year": "part-time or part of the year", "earnings": "none"}],
     [IDLE, {**IDLE, "work_past_year": "part-time or part of the year", "earnings": "under 10,000"}]),
    ("a household with less income than one member earns",
     [{"household_income": "40,000 to 49,999"}, {"earnings": "100,000 or more", "household_income": "75,000 to 99,999"},
      {"earnings": "10,000 to 19,999", "household_income": "under 10,000"}],
     [{"household_income": "50,000 to 59,999"}, {"earnings": "100,000 or more"}, {"earnings": "75,000 to 99,999"},
      {"earnings": "65,000 to 74,999", "household_income": "60,000 to 74,999"}, {**IDLE, "household_income": "under 10,000"},
      {"earnings": "under 10,000", "household_income": "under 10,000"}, {**GROUP, "earnings": "100,000 or more"}]),
    ("a household income in group quarters, or none in a household",
     [{**GROUP, "household_income": "under 10,000"}, {"household_income": None}],
     [GROUP, {}]),
    ("foreign born, but born in the United States, or the reverse",
     [{"citizenship": "naturalized citizen"}, {"citizenship": "not a citizen"}, {"region_of_birth": "Europe"},
      {"region_of_birth": "Asia", "citizenship": "born in a US territory or abroad to a US parent"}],
     [ABROAD, {**ABROAD, "citizenship": "naturalized citizen"}, {"citizenship": "born in a US territory or abroad to a US parent"}]),
    ("speaks only English and another language",
     [{"language_at_home": "Spanish"}, {"english": "very well"}],
     [{"language_at_home": "Spanish", "english": "not at all"}, {}]),
]


def made(*changes):
    "Hand-made people: the sound one with some values changed."
    kinds = us_adults().sample(per_state=1, states=["OH"], attributes="all").dtypes
    people = pd.DataFrame([{**SOUND, **change} for change in changes])
    typed = people.astype({c: kinds[c] for c in people})
    assert typed.isna().equals(people.isna())       # every value is one that is drawn
    return typed


def test_every_rule_has_its_case():
    assert [rule for rule, _, _ in CASES] == list(RULES)


@pytest.mark.parametrize(("rule", "broken", "sound"), CASES, ids=[c[0] for c in CASES])
def test_a_rule_fires_on_those_who_break_it_alone(rule, broken, sound):
    for person in broken:
        assert impossible(made(person)).set_index("rule").loc[[rule, "any"], "people"].tolist() == [1, 1], person
    for person in sound:
        told = impossible(made(person)).set_index("rule")["people"]
        assert told["any"] == 0, (person, told[told > 0])
    both = impossible(made(*broken, *sound)).set_index("rule").loc[rule]
    assert both["people"] == len(broken) and both["share"] == pytest.approx(len(broken) / (len(broken) + len(sound)))


def test_a_person_who_breaks_two_rules_counts_once():
    told = impossible(made({}, {**YOUNG, "education": DEGREES[0], "veteran": "yes"})).set_index("rule")
    assert told.loc[["a bachelor's degree under 20", "a veteran under 20", "any"], "people"].tolist() == [1, 1, 1]
    assert told.loc["any", "share"] == 0.5


def test_a_rule_without_its_columns_is_left_out():
    people = made({"veteran": "yes", "age_group": "18-19"})
    assert impossible(people[["veteran", "age_group"]])["rule"].tolist() == ["a veteran under 20", "any"]
    assert impossible(people[["veteran", "age_group"]].head(0))["share"].tolist() == [0, 0]
    with pytest.raises(ValueError, match="no rule applies to the columns veteran, sex"):
        impossible(people[["veteran", "sex"]])


def test_nobody_of_51_000_is_impossible():
    people = us_adults().sample(per_state=1000, seed=6, attributes="all")
    told = impossible(people)
    assert len(people) == 51_000 and told["rule"].tolist() == [*RULES, "any"] and told["people"].eq(0).all()


def test_independent_draws_make_impossible_people():
    people = add_attributes(us_adults().sample(n=20_000, seed=1), joint="independent", seed=1)
    assert impossible(people).set_index("rule").loc["any", "share"] > 0.3


def test_one_switch_makes_everything_independent():
    people = us_adults(joint="independent").sample(per_state=400, seed=1, attributes="all")
    assert impossible(people).set_index("rule").loc["any", "share"] > 0.3
    bare = people.drop(columns=list(ATTRIBUTES))
    assert people.equals(add_attributes(bare, seed=1, joint="independent")) and not people.equals(add_attributes(bare, seed=1))
    few = us_adults(joint="independent").where(state="OH").sample(n=50, seed=1, attributes="earnings")
    assert few["earnings"].equals(add_attributes(few.drop(columns="earnings"), "earnings", seed=1, joint="independent")["earnings"])
    told = impossible(add_attributes(bare, seed=1)).set_index("rule")["people"]
    assert set(told[told > 0].index) == {"a bachelor's degree under 20", "a graduate degree under 22", "any"}


def test_people_read_from_a_csv_file_are_checked():
    people = made({}, {"household_income": "40,000 to 49,999"})
    again = pd.read_csv(io.StringIO(people.to_csv(index=False)))
    assert impossible(again).equals(impossible(people))


@pytest.mark.parametrize("change", [{"earnings": "100,000 or more", "household_income": "under 10,000"},
                                    {"earnings": "50,000 to 64,999", "household_income": "75,000 to 99,999"}])
def test_unused_categories_do_not_matter(change):
    people = made(change)
    trimmed = people.assign(earnings=people["earnings"].cat.remove_unused_categories())
    income = people.assign(household_income=people["household_income"].cat.remove_unused_categories())
    assert impossible(trimmed).equals(impossible(people)) and impossible(income).equals(impossible(people))
    both = trimmed.assign(household_income=income["household_income"])
    assert impossible(both).equals(impossible(people))


# --- Draws that repeat -----------------------------------------------------------------------------------------------

def test_columns_and_index_are_kept(few):
    odd = few.set_axis(np.random.default_rng(0).integers(0, 90, len(few)), axis=0)      # labels in no order, some twice
    before = odd.copy(deep=True)
    people = add_attributes(odd, seed=4)
    assert_frame_equal(odd, before)
    assert list(people) == [*PERSON, *ATTRIBUTES] and odd.index.has_duplicates
    assert_frame_equal(people[PERSON], odd)
    assert_frame_equal(people.reset_index(drop=True), add_attributes(few, seed=4))
    assert list(add_attributes(odd, ["veteran", "race"])) == [*PERSON, "veteran", "race"]
    check(people.reset_index(drop=True), "personas")


def test_the_same_seed_gives_the_same_attributes(few):
    people = add_attributes(few, seed=4)
    assert_frame_equal(people, add_attributes(few, seed=4))
    other = add_attributes(few, seed=5)
    assert_frame_equal(people[PERSON], other[PERSON])
    assert all(not people[c].equals(other[c]) for c in ("race", "marital_status", "occupation", "earnings", "health_insurance"))
    assert_frame_equal(us_adults().sample(per_state=5, seed=2, attributes="all"), add_attributes(few, seed=2))


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**9), state=st.sampled_from(list(STATES)), k=st.integers(1, 60),
       joint=st.sampled_from(["census", "independent"]))
def test_the_first_people_of_a_state_keep_their_attributes(seed, state, k, joint):
    others = [state, *[s for s in ("CA", "WY") if s != state]]
    large = add_attributes(us_adults().sample(per_state=60, states=others, seed=seed), seed=seed, joint=joint)
    small = add_attributes(us_adults().sample(per_state=k, states=[state], seed=seed), seed=seed, joint=joint)
    kept = large[large["state"] == state].head(k).reset_index(drop=True)
    assert_frame_equal(kept.drop(columns="weight"), small.drop(columns="weight"))
    if joint == "census":
        assert impossible(large)["people"].eq(0).all()


def test_people_of_a_state_keep_their_attributes_in_any_mixture(few):
    order = np.random.default_rng(1).permutation(len(few))
    mixed = few.iloc[np.argsort(order % 5, kind="stable")]     # the states interleaved, a state's people out of order
    mixed = mixed.sort_values("persona_id", key=lambda ids: ids.str[-5:] + ids.str[:2])     # their own order again, states interleaved
    assert mixed["state"].iloc[0] != mixed["state"].iloc[1]
    assert_frame_equal(add_attributes(mixed, seed=3).sort_index(), add_attributes(few, seed=3))


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_one_attribute_alone_is_as_with_all(name):
    people = us_adults().sample(per_state=8, seed=3)
    everything = add_attributes(people, seed=9)
    assert_frame_equal(add_attributes(people, name, seed=9), everything[[*PERSON, name]])


def test_attributes_come_in_the_order_asked(few):
    chosen = ["health_insurance", "english", "race", "language_at_home"]
    assert_frame_equal(add_attributes(few, chosen, seed=9), add_attributes(few, seed=9)[[*PERSON, *chosen]])
    one = add_attributes(add_attributes(few, "veteran", seed=9), "occupation", seed=9)
    assert_frame_equal(one, add_attributes(few, ("veteran", "occupation"), seed=9))


def test_attributes_are_categories_that_parquet_keeps(few, tmp_path):
    people = add_attributes(few)
    assert all(isinstance(people[c].dtype, pd.CategoricalDtype) for c in ATTRIBUTES)
    assert {c for c in ATTRIBUTES if people[c].cat.ordered} == {"children_at_home", "earnings", "household_income"}
    assert people["earnings"].cat.categories[0] == "none" and people["earnings"].min() == "none"
    assert people["earnings"].cat.categories[-1] == "100,000 or more"
    people.to_parquet(tmp_path / "people.parquet")
    assert_frame_equal(pd.read_parquet(tmp_path / "people.parquet"), people)


def test_strings_do_as_well_as_categories(few):
    strings = few.astype({c: str for c in ("state", "sex", "age_group", "race_ethnicity", "education")})
    assert_frame_equal(add_attributes(strings, seed=1)[[*ATTRIBUTES]], add_attributes(few, seed=1)[[*ATTRIBUTES]])
    turned = few.assign(sex=few["sex"].cat.reorder_categories(["Female", "Male"]), state=few["state"].cat.remove_unused_categories())
    assert_frame_equal(add_attributes(turned, seed=1)[[*ATTRIBUTES]], add_attributes(few, seed=1)[[*ATTRIBUTES]])


def test_nobody_gets_no_attributes(few):
    people = add_attributes(few.head(0))
    assert people.shape == (0, len(PERSON) + len(ATTRIBUTES)) and list(people) == [*PERSON, *ATTRIBUTES]
    assert people.dtypes.equals(add_attributes(few).dtypes)
    assert impossible(people)["people"].eq(0).all() and impossible(people)["share"].eq(0).all()


@pytest.mark.parametrize(("change", "arguments", "message"), [
    (lambda p: p.drop(columns="education"), {}, "no column education; the other attributes are drawn given state, sex, age_group"),
    (lambda p: p[["sex"]], {}, "no column state, age_group, race_ethnicity, education"),
    (lambda p: p.assign(education="PhD"), {}, "row 0: 'PhD' is no education of the census; one of Less than 9th grade"),
    (lambda p: p.assign(sex=[*p["sex"].astype(str)[:7], "Man", *p["sex"].astype(str)[8:]]), {},
     "row 7: 'Man' is no sex of the census; one of Male"),
    (lambda p: p.assign(sex=p["sex"].where(p.index != 3)), {}, "row 3: nan is no sex"),
    (lambda p: p.assign(state="PR"), {}, "row 0: 'PR' is no state"),
    (lambda p: p.set_axis(p.index + 100).assign(age_group="18-24"), {}, "row 0: '18-24' is no age_group"),
    (lambda p: p.assign(veteran="no"), {}, "have veteran already"),
    (lambda p: p.assign(veteran="no", race="White"), {"attributes": ["race", "english", "veteran"]}, "have race, veteran already; drop it"),
    (lambda p: p, {"attributes": ["race", "religion"]}, "unknown attribute 'religion'; one of hispanic, race.*or 'all'"),
    (lambda p: p, {"attributes": "everything"}, "unknown attribute 'everything'"),
    (lambda p: p, {"attributes": []}, "no attribute named; one of hispanic"),
    (lambda p: p, {"joint": "none"}, "unknown joint 'none'; one of census, independent"),
])
def test_add_attributes_refuses(few, change, arguments, message):
    with pytest.raises(ValueError, match=message):
        add_attributes(change(few), **arguments)


def test_attributes_that_say_the_same_agree(nation):
    abroad = nation["nativity"] == "foreign born"
    assert (abroad == nation["citizenship"].isin(["naturalized citizen", "not a citizen"])).all()
    assert (abroad == (nation["region_of_birth"] != "United States")).all()
    assert (nation["hispanic"].eq("yes") == nation["race_ethnicity"].eq("Hispanic")).all()
    others = nation[nation["hispanic"] == "no"]
    assert (others["race"].astype(str) == others["race_ethnicity"].astype(str)).all()
    assert nation.loc[nation["hispanic"] == "yes", "race"].nunique() == 7
    for column, missing in {"occupation": ~nation["employment_status"].eq("employed"),
                            "household_income": nation["household_relationship"].eq("in group quarters")}.items():
        assert nation[column].isna().equals(missing) and missing.any()
    full = nation.drop(columns=["occupation", "class_of_worker", "industry", "household_income"])
    assert not full.isna().any(axis=None)
    assert all(set(nation[c].dropna()) == set(nation[c].cat.categories) for c in ATTRIBUTES)


# --- Against the tables of the build ---------------------------------------------------------------------------------

with open(data_path("population/us_attributes.json"), encoding="utf-8") as _file:
    META = json.load(_file)
LABELS = {  # attribute of the tables: the label of a person, from the columns
    "race": lambda p: p["race"].where(p["hispanic"] == "yes"),
    "origin": lambda p: p["citizenship"],
    "region": lambda p: p["region_of_birth"].where(p["nativity"] == "foreign born"),
    "language": lambda p: p["language_at_home"].astype(str) + " | " + p["english"].astype(str),
    "veteran": lambda p: p["veteran"].where(p["employment_status"] != "armed forces"),
    "earnings": lambda p: p["work_past_year"].astype(str) + " | " + p["earnings"].astype(str),
}


def codes_of(people, attribute):
    "Positions in the categories of the tables, -1 where the attribute does not apply; worked out from the labels alone."
    if attribute in ("sex", "age_group", "race_ethnicity", "education"):
        return people[attribute].cat.codes.to_numpy(int)
    labels = LABELS[attribute](people) if attribute in LABELS else people[attribute]
    return pd.Index(META["attributes"][attribute]["categories"]).get_indexer(pd.Index(labels.astype(object)))


def parent_of(people, name):
    if name == "born":
        return codes_of(people, "region") + 1
    if name == "home":      # 1 with a spouse, 2 in group quarters, 3 with parents and without a spouse
        lives, married = people["household_relationship"], people["marital_status"].eq("married, spouse present")
        return np.select([married, lives.eq("in group quarters"), lives.eq("child of householder")], [1, 2, 3], 0)
    if name == "job":       # kinds of occupation; 10 the armed forces, 11 none
        kind = np.append(META["maps"]["job"][1], 11)[codes_of(people, "occupation")]
        return np.where(people["employment_status"] == "armed forces", 10, kind)
    attribute, to = META["maps"][name]
    return np.array(to)[codes_of(people, attribute)]


def z_of(counts, shares):
    """Pearson's statistic in standard deviations, over all cells and categories of which at least 5 people are expected.

    A term has the mean 1 - p and, as of a Poisson variable, a variance of about 2 + 1/5; the sum of many is near normal.
    """
    expected = counts.sum(axis=1, keepdims=True) * shares
    large = expected >= 5
    assert (counts[shares == 0] == 0).all()
    terms = (counts - expected)[large] ** 2 / expected[large] - (1 - shares[large])
    return float(terms.sum() / (2.2 * large.sum()) ** 0.5), int(large.sum())


def counted(people, attribute, cell, cells):
    code, k = codes_of(people, attribute), len(META["attributes"][attribute]["categories"])
    applies = code >= 0
    return np.bincount(cell[applies] * k + code[applies], minlength=cells * k).reshape(cells, k)


@pytest.mark.parametrize("attribute", META["attributes"])
def test_shares_equal_the_table_cell_by_cell(texans, attribute):
    about = META["attributes"][attribute]
    shares = state_shares(attribute)[list(texans["state"].cat.categories).index("TX")]
    cell = np.zeros(len(texans), int)
    for parent, size in zip(about["parents"], about["sizes"], strict=True):
        cell = cell * size + parent_of(texans, parent)
    counts = counted(texans, attribute, cell, len(shares))
    z, terms = z_of(counts, shares)
    assert terms > 10 and abs(z) < 4        # the seed is fixed; wrong shares give tens or hundreds
    people = counts.sum(axis=1, keepdims=True)
    for code in np.indices(about["sizes"]).reshape(len(about["sizes"]), -1):      # and summed over all parents but one
        of = np.eye(code.max() + 1)[code].T
        expected, spread = of @ (people * shares), of @ (people * shares * (1 - shares))
        large = expected >= 5
        assert (np.abs(of @ counts - expected)[large] < 5 * spread[large] ** 0.5 + 1e-6).all()


@pytest.mark.parametrize("attribute", META["attributes"])
def test_independent_draws_have_the_shares_of_the_state(attribute):
    people = us_adults().sample(per_state=30_000, states=["CA", "ME"], seed=3)
    people = add_attributes(people, joint="independent", seed=3)
    with np.load(data_path("population/us_attributes.npz")) as file:
        shares = file[f"{attribute}.overall"]
    states = list(people["state"].cat.categories)
    for state in ("CA", "ME"):
        here = people[people["state"] == state]
        z, _ = z_of(counted(here, attribute, np.zeros(len(here), int), 1), shares[[states.index(state)]])
        assert abs(z) < 4


def test_independent_draws_keep_the_state_shares_of_the_census(texans):
    people = add_attributes(texans[PERSON], joint="independent", seed=77)
    for name in ("marital_status", "employment_status", "occupation", "language_at_home", "earnings", "health_insurance", "citizenship"):
        mine, theirs = (p[name].value_counts(normalize=True).sort_index() for p in (people, texans))
        error = (2 * theirs * (1 - theirs) / texans[name].notna().sum()) ** 0.5
        assert ((mine - theirs).abs() < 4.5 * error + 1e-9).all(), name
    cells = ["sex", "age_group"]
    table = people.groupby(cells, observed=True)["marital_status"].value_counts(normalize=True).unstack()
    assert table["never married"].max() - table["never married"].min() < 0.1       # whatever the age
    table = texans.groupby(cells, observed=True)["marital_status"].value_counts(normalize=True).unstack()
    assert table["never married"].max() - table["never married"].min() > 0.8


# --- Against the published figures -----------------------------------------------------------------------------------

def band(values, edges):
    "The band that the first number of a label falls into: where the band begins, 0 below the first or without a number."
    first = pd.Series(values).astype(str).str.replace(",", "").str.extract(r"(\d+)", expand=False).fillna("0").astype(int)
    return np.array([0, *edges])[np.searchsorted(edges, first, side="right")]


def by_words(words, else_=None):
    return lambda label: next((kind for word, kind in words if word in label), else_)


SEX = by_words([("Female", "Female"), ("Male", "Male")])
MARRIED = by_words([("Never", "never married"), ("spouse present", "married, spouse present"), ("Separated", "separated"),
                    ("Other", "married, spouse absent"), ("Widowed", "widowed"), ("Divorced", "divorced")])
WORKS = by_words([("Armed Forces", "armed forces"), ("Employed", "employed"), ("Unemployed", "unemployed"),
                  ("Not in", "not in labor force")])
TONGUE = by_words([("Speak only", "English"), ("Spanish", "Spanish"), ("Indo-European", "Indo-European language"),
                   ("Asian", "Asian language"), ("other languages", "other language")])
PLACE = by_words([("of residence", "born in this state"), ("other state", "born in another state"),
                  ("Native", "born in a US territory or abroad to a US parent"), ("Foreign", "foreign born")])
LIVES = by_words([("alone", "alone"), ("spouse", "spouse"), ("unmarried", "partner"), ("Child", "child"), ("Other relatives", "relatives"),
                  ("Other nonrelatives", "nonrelatives")])
LIVES_OF = {"lives alone": "alone", "householder with spouse": "spouse", "spouse of householder": "spouse",
            "householder with unmarried partner": "partner", "unmarried partner of householder": "partner",
            "householder with other relatives": "relatives", "other relative of householder": "relatives",
            "householder with nonrelatives": "nonrelatives", "nonrelative of householder": "nonrelatives", "child of householder": "child"}
TEN = [18, 20, 25, 30, 35, 45, 55, 65, 75, 85]
DOLLARS = [1, 10_000, 20_000, 30_000, 40_000, 50_000, 65_000, 75_000, 100_000]


def occupations(leaf):
    kinds = us_adults().sample(per_state=1, states=["OH"], attributes="occupation")["occupation"].cat.categories
    return next(k for k in kinds if leaf.split("!!")[-1].lower().startswith(k[:9]))


def ages(edges):
    return lambda label: band([label.split("years")[0].split("!!")[-1]], edges)[0]


def earned(label):
    "The band of earnings of those who worked full-time all the year (minors of 16 and 17 are hardly among them)."
    full = "Worked full-time, year-round" in label and "$" in label
    return band([label.split("$")[1]], DOLLARS)[0] if full else None


PUBLISHED = {  # table: levels of a label (None: not counted), the same of people; the last level is shared out within the others
    "B12002": ([SEX, ages(TEN), MARRIED], lambda p: [p["sex"], band(p["age_group"], TEN), p["marital_status"]]),
    "B23001": ([SEX, ages(TEN[1:-1]), WORKS], lambda p: [p["sex"], band(p["age_group"], TEN[1:-1]), p["employment_status"]]),
    "B21001": ([SEX, ages([18, 35, 55, 65, 75]), by_words([("Nonveteran", "no"), ("Veteran", "yes")])],
               lambda p: [p["sex"], band(p["age_group"], [18, 35, 55, 65, 75]),
                          p["veteran"].where(p["employment_status"] != "armed forces")]),
    "C24010": ([SEX, occupations], lambda p: [p["sex"], p["occupation"]]),
    "B16004": ([ages([18, 65]), TONGUE, lambda x: x.split('"')[1] if '"' in x else "speaks only English"],
               lambda p: [band(p["age_group"], [18, 65]), p["language_at_home"], p["english"]]),
    "B06001": ([ages([18, 25, 35, 45, 55, 65, 75]), PLACE],
               lambda p: [band(p["age_group"], [18, 25, 35, 45, 55, 65, 75]),
                          p["citizenship"].astype(str).where(p["nativity"] == "native", "foreign born")]),
    "B09021": ([ages([18, 35, 65]), LIVES],
               lambda p: [band(p["age_group"], [18, 35, 65]), p["household_relationship"].astype(str).map(LIVES_OF)]),
    "B27001": ([ages([19, 26, 35, 45, 55, 65, 75]), by_words([("No health", "no"), ("With health", "yes")])],
               lambda p: [np.array([0, 19, 19, 26, 26, 35, 45, 55, 65, 75, 75])[1 + p["age_group"].cat.codes],
                          p["health_insurance"].eq("none").map({True: "no", False: "yes"})]),
    "B20005": ([SEX, earned], lambda p: [p["sex"], pd.Series(band(p["earnings"].astype(str).replace("under 10,000", "1"), DOLLARS)).where(
        p["work_past_year"] == "full-time, year-round")]),
}
SHARED_OUT = {"B16004": 2}     # levels that are shared out together: language and English within age
BY_AGE = {"B12002", "B23001", "B21001", "B16004", "B06001", "B09021", "B27001"}


@pytest.fixture(scope="module")
def acs():
    "The published counts of the country: label of a line by table, without the lines that are sums of others."
    if not TABLES.is_file():
        pytest.skip(f"no source figures in {SHARED}; set PERSONA_KIT_SHARED")
    lines = pd.read_parquet(TABLES, columns=["table", "variable", "label", "value", "geo"])
    lines = lines[lines["geo"].eq("US") & lines["table"].isin(PUBLISHED)]
    lines = lines[lines["variable"].astype(str).str.fullmatch(r"\w+_\d+E")].astype({"label": str, "table": str})
    out = {}
    for table, part in lines.groupby("table"):
        labels = list(part["label"])
        leaf = [not any(other.startswith(label + "!!") for other in labels) for label in labels]
        out[table] = part[leaf].set_index("label")["value"]
    return out


@pytest.mark.parametrize("table", PUBLISHED)
def test_shares_of_the_country_are_as_published(acs, nation, table):
    """Within 0.3 points of all whom the table counts, and within sampling error of each row.

    The share of 400,000 people has a standard error of 0.08 points at most, so that 0.3 points leave room for the fit (0.1 at most).
    """
    read, of_people = PUBLISHED[table]
    there = acs[table].groupby([[level(label) for label in acs[table].index] for level in read]).sum()
    here = nation.groupby([np.asarray(level, dtype=object) for level in of_people(nation)])["weight"].sum()
    if table in BY_AGE:      # minors stand in a band of 0
        level = 1 if read[0] is SEX else 0
        there, here = (s[s.index.get_level_values(level) > 0] for s in (there, here))
    rows = list(range(len(read) - SHARED_OUT.get(table, 1)))
    assert here.index.isin(there.index).all()
    here = here.reindex(there.index, fill_value=0.0)
    size, n = here.groupby(level=rows).transform("sum"), len(nation) * here.sum() / nation["weight"].sum()
    expected = there / there.groupby(level=rows).transform("sum")
    points = 100 * (here - size * expected) / here.sum()
    assert points.abs().max() < 0.3, points[points.abs() >= 0.3]
    error = (expected * (1 - expected) * here.sum() / size / n) ** 0.5
    assert ((here / size - expected).abs() < 4.5 * error + 0.004).all(), (here / size - expected)[lambda d: d.abs() >= 4.5 * error + 0.004]


def test_the_recorded_fit_is_within_the_limits():
    fit = pd.read_csv(data_path("population/us_attributes_fit.csv"))
    fitted = fit[fit["attribute"] != "race"]
    assert set(fit["attribute"]) == set(META["attributes"])
    assert fitted[["largest_in_a_state", "largest_in_the_country"]].notna().all(axis=None)
    assert fitted["largest_in_a_state"].max() < 0.3
    assert fitted["largest_in_the_country"].max() < 0.1


# --- Against the sample of persons -----------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def persons():
    "The adults of the PUMS sample of 2011."
    if not SAMPLE.is_file():
        pytest.skip(f"no source figures in {SHARED}; set PERSONA_KIT_SHARED")
    raw = pd.read_parquet(SAMPLE, columns=["AGEP", "SEX", "SCHL", "SOCP", "PERNP", "CIT", "HICOV", "ESR", "PWGTP", "MAR"])
    numbers = raw.drop(columns="SOCP").apply(pd.to_numeric).astype(float).assign(SOCP=raw["SOCP"].astype(str).str[:2])
    return numbers[numbers["AGEP"] >= 18]


def gap(what, between, weight):
    "The share of those `between` less the share of the others."
    return np.average(what[between], weights=weight[between]) - np.average(what[~between], weights=weight[~between])


DEPENDS = {  # what, and who has it more: of people of the sample, of ours, among whom
    "professions of graduates": (
        lambda q: (q["SOCP"] < "30", q["SCHL"] >= 21, q["ESR"].isin([1, 2])),
        lambda p: (p["occupation"].cat.codes <= 10, p["education"].isin(DEGREES), p["occupation"].notna()), 0.35),
    "earnings of men": (
        lambda q: (q["PERNP"] * 1.116 >= 50_000, q["SEX"] == 1, q["PERNP"] > 0),
        lambda p: (p["earnings"] >= "50,000 to 64,999", p["sex"] == "Male", p["earnings"] != "none"), 0.1),
    "no insurance of people who are not citizens": (
        lambda q: (q["HICOV"] == 2, q["CIT"] == 5, q["AGEP"] < 65),
        lambda p: (p["health_insurance"] == "none", p["citizenship"] == "not a citizen", p["age_group"] < "65-74"), 0.2),
    "work of married men": (
        lambda q: (q["ESR"].isin([1, 2]), q["MAR"] == 1, (q["SEX"] == 1) & q["AGEP"].between(25, 54)),
        lambda p: (p["employment_status"] == "employed", p["marital_status"] == "married, spouse present",
                   (p["sex"] == "Male") & p["age_group"].isin(["25-29", "30-34", "35-44", "45-54"])), 0.05),
}


@pytest.mark.parametrize("name", DEPENDS)
def test_attributes_depend_as_in_the_sample_of_persons(nation, persons, name):
    of_sample, of_people, least = DEPENDS[name]
    found = []
    for people, of, weight in ((nation, of_people, "weight"), (persons, of_sample, "PWGTP")):
        what, between, among = (np.asarray(x) for x in of(people))
        found.append(gap(what[among], between[among], people[weight].to_numpy()[among]))
    assert min(found) > least, found
    assert abs(found[0] - found[1]) < 0.15      # seven years and a law on insurance apart; some hundreds of persons in the sample


@pytest.mark.parametrize("name", DEPENDS)
def test_independent_attributes_do_not_depend(name):
    people = add_attributes(us_adults().sample(per_state=40_000, states=["TX"], seed=2), joint="independent", seed=2)
    what, between, among = (np.asarray(x) for x in DEPENDS[name][1](people))
    assert abs(gap(what[among], between[among], np.ones(among.sum()))) < 0.025
