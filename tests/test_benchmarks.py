"Human answers: weighted shares by hand and by an oracle, published tables, files with labels, and answers that do not fit."

import json
import os
import re
import warnings
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from persona_kit.alignment import alignment, ceiling, distribution
from persona_kit.benchmarks import (
    BENCHMARKS,
    codebook,
    item_codes,
    load_benchmark,
    read_benchmark,
    read_responses,
    wide_answers,
    write_responses,
)
from persona_kit.survey_files import read_survey
from persona_kit.surveys import Item, Survey, battery, presidential_election
from persona_kit.tables import TableError, check

SHARED = Path(os.environ.get("PERSONA_KIT_SHARED", Path(__file__).resolve().parent.parent.parent / "shared")) / "data" / "surveys"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no survey files in {SHARED}; set PERSONA_KIT_SHARED")
SURVEY = Survey(
    [
        Item("q", "How many?", ["None", "a, b", "More"], values=[0, 1, 2], refusals=["NA"]),
        Item("m", "Which?", ["TV", "None", "Radio"], kind="multiple", exclusive=["None"], refusals=["NA"]),
    ]
)


def frame(**columns):
    return pd.DataFrame(
        {
            "q": ["None", "a, b", "None", "NA", None, "More"],
            "m": [["TV", "Radio"], ["None"], [], "NA", None, ["TV"]],
            "sex": ["f", "m", "f", "m", "f", None],
            "weight": [1.0, 2.0, 3.0, 1.0, 5.0, 0.5],
        }
        | columns
    )


def cells(table, item="q", **where):
    part = table[table["item_id"] == item]
    for column, value in where.items():
        part = part[part[column] == value]
    return part.set_index("option")


def test_shares_by_hand():
    table = read_benchmark(frame(), SURVEY)
    check(table, "distributions")
    assert list(table) == ["item_id", "option", "share", "n", "low", "high", "n_effective", "refused"]
    one = cells(table)
    assert one["share"].round(9).tolist() == [round(4 / 6.5, 9), round(2 / 6.5, 9), round(0.5 / 6.5, 9)] and (one["n"] == 4).all()
    assert one["n_effective"].iloc[0] == pytest.approx(6.5**2 / (1 + 4 + 9 + 0.25)) and one["refused"].iloc[0] == pytest.approx(1 / 7.5)
    several = cells(table, "m")
    assert several["share"].round(9).tolist() == [round(1.5 / 6.5, 9), round(2 / 6.5, 9), round(1 / 6.5, 9)]
    assert (several["n"] == 4).all() and several["refused"].iloc[0] == pytest.approx(1 / 7.5)  # choosing nothing is an answer


def test_groups_are_any_columns():
    table = read_benchmark(frame(), SURVEY, by="sex", weight=None)
    assert list(table)[:3] == ["item_id", "sex", "option"] and table["sex"].unique().tolist() == ["f", "m"]
    assert cells(table, sex="f")["share"].tolist() == [1, 0, 0] and cells(table, sex="m")["refused"].iloc[0] == 0.5
    both = read_benchmark(frame(old=[1, 1, 0, 0, 1, 1]), SURVEY["q"], by=["sex", "old"])
    assert both[["sex", "old"]].drop_duplicates().values.tolist() == [
        ["f", 0],
        ["f", 1],
        ["m", 1],
    ]  # a group in which nobody answered is left out
    assert read_benchmark(frame(), SURVEY, by="sex", groups=["m"])["sex"].unique().tolist() == ["m"]
    turned = read_benchmark(frame(old=[1, 1, 0, 0, 1, 1]), SURVEY["q"], by=["sex", "old"], groups={"old": [1, 0], "sex": ["f"]})
    assert turned[["sex", "old"]].drop_duplicates().values.tolist() == [["f", 1], ["f", 0]]
    order = pd.Categorical(["high", "low", "high", "low", "low", "high"], ["low", "high"])
    assert read_benchmark(frame(level=order), SURVEY["q"], by="level")["level"].drop_duplicates().tolist() == ["low", "high"]


@given(
    st.lists(st.tuples(st.sampled_from(["None", "a, b", "More", "NA", None]), st.floats(0.01, 100)), min_size=1, max_size=40),
    st.floats(0.5, 0.99),
)
@settings(max_examples=100, deadline=None)
def test_shares_are_a_distribution_and_lie_in_their_interval(rows, ci):
    people = pd.DataFrame(rows, columns=["q", "weight"])
    if not people["q"].isin(SURVEY["q"].options).any():
        with pytest.raises(TableError, match="nobody answered"):
            read_benchmark(people, SURVEY["q"])
        return
    table = read_benchmark(people, SURVEY["q"], ci=ci)
    assert table["share"].sum() == pytest.approx(1)
    assert ((table["low"] <= table["share"]) & (table["share"] <= table["high"]) & (table["low"] >= 0) & (table["high"] <= 1)).all()
    assert (table["n_effective"] <= table["n"] + 1e-9).all()
    scaled = read_benchmark(people.assign(weight=people["weight"] * 7), SURVEY["q"], ci=ci)
    pd.testing.assert_frame_equal(table, scaled)
    halved = pd.concat([people.assign(weight=people["weight"] / 2)] * 2, ignore_index=True)
    assert np.allclose(read_benchmark(halved, SURVEY["q"], ci=ci)["share"], table["share"])


@pytest.mark.parametrize("k, n", [(0, 5), (3, 5), (5, 5), (40, 1000)])
def test_equal_weights_give_wilsons_interval(k, n):
    people = pd.DataFrame({"q": ["a, b"] * k + ["None"] * (n - k), "weight": 2.5})
    row = cells(read_benchmark(people, SURVEY["q"], ci=0.9)).loc["a, b"]
    expected = binomtest(k, n).proportion_ci(0.9, method="wilson")
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high)) and row["n_effective"] == pytest.approx(n)


def test_weighted_intervals_cover():
    rng = np.random.default_rng(1)
    true, hits, naive = 0.3, 0, 0
    for _ in range(400):
        weights = rng.lognormal(0, 1, 200)
        people = pd.DataFrame({"q": np.where(rng.random(200) < true, "a, b", "None"), "weight": weights})
        row = cells(read_benchmark(people, SURVEY["q"])).loc["a, b"]
        hits += row["low"] <= true <= row["high"]
        half = 1.96 * np.sqrt(row["share"] * (1 - row["share"]) / 200)
        naive += abs(row["share"] - true) <= half
    assert 0.92 <= hits / 400 <= 0.98 and naive / 400 < 0.85  # counting heads as if weights were equal would not do


@pytest.mark.parametrize(
    "change, arguments, words",
    [
        (
            {"weight": [1, np.nan, 1, 1, 1, 1]},
            {},
            "the frame, row 1, column 'weight': a weight must be a number ≥ 0, got nan \\(1 such rows\\); leave",
        ),
        ({"weight": [1, 1, -2, 1, 1, 1]}, {}, "row 2, column 'weight': a weight must be"),
        ({"weight": [1, 1, "x", 1, 1, 1]}, {}, "row 2, column 'weight': .*got 'x'"),
        ({"weight": [np.inf] * 6}, {}, "row 0, column 'weight'"),
        ({"weight": [0] * 6}, {}, "column 'weight': all weights are 0"),
        ({}, {"weight": "w"}, "no column 'w' for the weights; weight=None counts everybody once"),
        ({}, {"by": "race"}, "no column 'race' to group by; there are q, m, sex, weight"),
        ({}, {"by": "sex", "groups": ["f", "x"]}, "column 'sex': there is no group 'x'; there are 'f', 'm'"),
        ({}, {"by": ["sex", "q"], "groups": ["f"]}, "groups must say which column"),
        ({"q": ["None", "none", None, None, None, None]}, {}, "row 1, column 'q': 'none' is none of the options"),
        ({"q": [1, 2, 3, 1, 2, 3]}, {}, "row 0, column 'q': 1 is none of the options .*labels are expected and not codes"),
        ({"q": [None] * 6}, {}, "column 'q': nobody answered it"),
        ({"m": [["TV", "None"]] + [None] * 5}, {}, "row 0, column 'm': \\['TV', 'None'\\] cannot be chosen together"),
        ({"m": ["TV, Radio"] + [None] * 5}, {}, "row 0, column 'm': a list such as"),
        ({"m": [["TV", "tv"]] + [None] * 5}, {}, "row 0, column 'm': 'tv' is none of the options"),
        ({}, {"ci": 95}, "ci must be between 0 and 1"),
    ],
)
def test_answers_that_do_not_fit(change, arguments, words):
    with pytest.raises(ValueError, match=words):
        read_benchmark(frame(**change), SURVEY, **arguments)


def test_a_weight_of_another_name_is_not_passed_over_in_silence():
    other = frame().rename(columns={"weight": "wtssall"})
    with pytest.warns(UserWarning, match="the frame: there is no column 'weight', so everybody counts once; 'wtssall' looks like weights"):
        heads = read_benchmark(other, SURVEY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pd.testing.assert_frame_equal(heads, read_benchmark(other, SURVEY, weight=None))
        pd.testing.assert_frame_equal(read_benchmark(other, SURVEY, weight="wtssall"), read_benchmark(frame(), SURVEY))
        read_benchmark(other.assign(wtssall="heavy"), SURVEY)  # no numbers, no weights


def test_a_label_in_another_case_and_metadata_without_keys(tmp_path):
    with pytest.raises(TableError, match="row 1, column 'q': 'none' is none of the options .*; the survey writes 'None'"):
        read_benchmark(frame(q=["None", "none", None, None, None, None]), SURVEY)
    (tmp_path / "W_W1").mkdir()
    (tmp_path / "W_W1" / "responses.csv").write_text("Q1,SEX,WEIGHT_W1\nY,F,1\nN,M,1\n")
    (tmp_path / "W_W1" / "metadata.csv").write_text("name,options\nSEX,F\n")
    with pytest.raises(TableError, match="W_W1/metadata.csv: columns key and options are expected, there are name, options"):
        read_benchmark(tmp_path / "W_W1", Item("Q1", "?", ("Y", "N")), by="SEX")


def test_a_survey_that_does_not_fit():
    other = SURVEY + Item("z", "?", ["a", "b"])
    with pytest.raises(
        TableError, match="the frame: 1 of 3 items are no columns, such as 'z'; take a part of the survey.*There are q, m, sex"
    ):
        read_benchmark(frame(), other)
    assert len(read_benchmark(frame(), other[["q"]])) == 3
    named = read_benchmark(frame().rename(columns={"q": "Q1"}), SURVEY["q"], columns={"q": "Q1"})
    pd.testing.assert_frame_equal(named, read_benchmark(frame(), SURVEY["q"]))
    with pytest.warns(UserWarning, match="left out: age"):
        read_benchmark(frame(age=30), SURVEY + Item("age", "?", kind="number"))
    with pytest.raises(TableError, match="no item with options"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read_benchmark(frame(age=30), Item("age", "?", kind="number"))


def test_rules_do_not_matter_to_what_was_answered():
    survey = Survey([Item("age", "?", kind="number"), Item("q", "?", ["None", "More"], ask_if={"age": {"min": 18}})])
    people = pd.DataFrame({"age": [20, 30, 10], "q": ["None", "More", None]})
    counts = pd.DataFrame({"item_id": "q", "option": ["None", "More"], "n": [1, 1]})
    for source in (people, counts):
        with pytest.warns(UserWarning, match="left out: age"):
            assert read_benchmark(source, survey)["share"].tolist() == [0.5, 0.5]
    numbered = pd.DataFrame({"item_id": [1, 1], "option": ["None", "More"], "n": [1, 3]})
    assert read_benchmark(numbered, Item("1", "?", ["None", "More"]))["share"].tolist() == [0.25, 0.75]


# Files


def test_a_csv_of_answers(tmp_path):
    text = 'q,sex,weight\nNone,f,1\n"a, b",m,2\nNone,f,3\nNA,m,1\n,f,5\nMore,,0.5\n'
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    table = read_benchmark(tmp_path / "a.csv", SURVEY["q"], by="sex")
    pd.testing.assert_frame_equal(table, read_benchmark(frame(), SURVEY["q"], by="sex"))
    assert read_responses(tmp_path / "a.csv")["q"].tolist() == ["None", "a, b", "None", "NA", None, "More"]
    for old, new, words in (
        ("More,,0.5", "More,,", "a.csv, row 7, column 'weight': a weight must be a number ≥ 0, got None"),
        ("More,", "Lots,", "a.csv, row 7, column 'q': 'Lots' is none of the options"),
        ("weight\n", "weight,sex\n", "a.csv, row 1: column 'sex' stands there twice"),
    ):
        (tmp_path / "a.csv").write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(TableError, match=words):
            read_benchmark(tmp_path / "a.csv", SURVEY["q"], by="sex")


def test_an_export_of_qualtrics(tmp_path):
    text = 'StartDate,q\nStart,"How\nmany?"\n"{""ImportId"":""startDate""}","{""ImportId"":""QID1""}"\n2024,None\n2024,"a, b"\n2024,\n'
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    assert read_responses(tmp_path / "a.csv")["q"].tolist() == ["None", "a, b", None]
    assert cells(read_benchmark(tmp_path / "a.csv", SURVEY["q"]))["share"].tolist() == [0.5, 0.5, 0]
    (tmp_path / "a.csv").write_text(text.replace("2024,None", "2024,Nil"), encoding="utf-8")
    with pytest.raises(TableError, match="a.csv, row 4, column 'q': 'Nil' is none"):
        read_benchmark(tmp_path / "a.csv", SURVEY["q"])


def test_who_was_not_asked_did_not_refuse(tmp_path):
    pyreadstat = pytest.importorskip("pyreadstat")
    labels = {1.0: "Yes", 2.0: "No", -1.0: "-1. Inapplicable", -9.0: "-9. Refused"}
    people = pd.DataFrame({"q": [1.0, 2.0, 1.0, -1.0, -1.0, -9.0], "w": [1.0] * 6})
    pyreadstat.write_sav(people, str(tmp_path / "a.sav"), variable_value_labels={"q": labels})
    survey = read_survey(tmp_path / "a.sav")
    assert survey["q"].shown == ("Yes", "No", "-9. Refused")
    table = read_benchmark(tmp_path / "a.sav", survey, weight="w")
    assert table["n"].iloc[0] == 3 and table["refused"].iloc[0] == 0.25


def test_where_no_answers_are(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        read_responses(tmp_path / "a.csv")
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(TableError, match="a.json: answers are read from .csv, .tsv"):
        read_responses(tmp_path / "a.json")
    with pytest.raises(FileNotFoundError, match="responses.csv; its folder has a.json"):
        read_benchmark(tmp_path, SURVEY)


def test_an_opinionqa_wave(tmp_path):
    wave = tmp_path / "American_Trends_Panel_W7"
    wave.mkdir()
    rows = {"key": ["CATS_W7"], "question": ["Cats?"], "references": [["One, or two", "None", "Refused"]], "option_ordinal": [[2.0, 1.0]]}
    pd.DataFrame(rows).to_csv(wave / "info.csv")
    pd.DataFrame({"key": ["SEX"], "options": [["Male", "Female"]]}).to_csv(wave / "metadata.csv")
    people = pd.DataFrame(
        {
            "QKEY": range(6),
            "CATS_W7": ["None", "One, or two", "Refused", None, "None", "None"],
            "WEIGHT_W7": [1, 3, 1, 1, 1, 2],
            "SEX": ["Female", "Female", "Female", "Male", "Male", "Refused"],
        }
    )
    people.to_csv(wave / "responses.csv")
    survey = read_survey(wave)
    table = read_benchmark(wave, survey, by="SEX")
    assert table["SEX"].tolist() == ["Male", "Male", "Female", "Female"]  # "Refused" is no group, and the order is that of the metadata
    assert cells(table, "CATS_W7", SEX="Female")["share"].to_dict() == {"One, or two": 0.75, "None": 0.25}
    assert cells(table, "CATS_W7", SEX="Female")["refused"].iloc[0] == pytest.approx(1 / 5)
    assert cells(read_benchmark(wave, survey, by="SEX", weight=None), "CATS_W7", SEX="Female")["share"].tolist() == [0.5, 0.5]
    assert read_benchmark(wave, survey, by="SEX", groups=["Refused"])["share"].tolist() == [0, 1]
    (wave / "responses.csv").write_text((wave / "responses.csv").read_text().replace("WEIGHT_W7", "WEIGHT"), encoding="utf-8")
    with pytest.raises(TableError, match="American_Trends_Panel_W7: there is no column 'WEIGHT_W7' for the weights"):
        read_benchmark(wave, survey)


# Published tables


def published(**change):
    rows = {"question_id": ["q"] * 4, "option": ["None", "a, b", "More", "NA"], "n": [30, 50, 20, 25]}
    return pd.DataFrame(rows | change)


def test_a_table_of_counts():
    table = read_benchmark(published(), SURVEY["q"])
    assert table["share"].tolist() == [0.3, 0.5, 0.2] and (table["n"] == 100).all() and table["refused"].iloc[0] == 0.2
    expected = binomtest(30, 100).proportion_ci(0.95, method="wilson")
    assert table["low"].iloc[0] == pytest.approx(expected.low)


def test_a_table_of_shares():
    table = read_benchmark(published(p=[0.24, 0.4, 0.16, 0.2], n=200), SURVEY["q"])
    assert (
        table["share"].tolist() == pytest.approx([0.3, 0.5, 0.2])
        and (table["n"] == 200).all()
        and table["refused"].iloc[0] == pytest.approx(0.2)
    )
    bare = read_benchmark(published(p=[0.24, 0.4, 0.16, 0.2]).drop(columns="n"), SURVEY["q"])
    assert bare["n"].isna().all() and bare["low"].isna().all() and bare["share"].sum() == pytest.approx(1)
    assert ceiling(bare)["ceiling"].isna().all()


def test_groupings_below_each_other(tmp_path):
    long = pd.concat(
        [
            published().assign(attribute=a, group=g, n=published()["n"] * k)
            for a, g, k in (("sex", "f", 1), ("sex", "m", 2), ("age", "old", 3), ("overall", "overall", 3))
        ]
    )
    table = read_benchmark(long, SURVEY["q"], by="sex")
    assert table["sex"].unique().tolist() == ["f", "m"] and table["n"].tolist() == [100] * 3 + [200] * 3
    assert (read_benchmark(long, SURVEY["q"])["n"] == 300).all() and "group" not in read_benchmark(long, SURVEY["q"])
    for arguments, words in (
        ({"by": "race"}, "no grouping 'race'; by= one of 'sex', 'age', 'overall'"),
        ({"by": ["sex", "age"]}, "one grouping at a time"),
        ({"by": "sex", "groups": ["x"]}, "no group 'x'; there are 'f', 'm'"),
    ):
        with pytest.raises(TableError, match=words):
            read_benchmark(long, SURVEY["q"], **arguments)
    with pytest.raises(TableError, match="no grouping None"):
        read_benchmark(long[long["attribute"] != "overall"], SURVEY["q"])


@pytest.mark.parametrize(
    "change, words",
    [
        ({"option": ["None", "a, b", "Less", "NA"]}, "row 2, column 'option': 'Less' is none of the options"),
        (
            {"option": ["None", "None", "More", "NA"]},
            "row 1, column 'option': option 'None' stands twice for one group; name its groups in by=",
        ),
        ({"n": [1, 2, -3, 4]}, "row 2, column 'n': a number ≥ 0 is expected, got -3"),
        ({"n": [1, None, 3, 4]}, "row 1, column 'n': a number ≥ 0 is expected"),
        ({"n": [1, "x", 3, 4]}, "row 1, column 'n': a number is expected, got 'x'"),
        ({"question_id": ["r"] * 4}, "there is no item 'q'; there are r"),
    ],
)
def test_published_tables_that_do_not_fit(change, words):
    with pytest.raises(TableError, match=words):
        read_benchmark(published(**change), SURVEY["q"])


def test_published_shares_that_do_not_add_up():
    fits = published(p=[24, 40, 16, 19]).drop(columns="n")  # percentages, rounded
    assert read_benchmark(fits, SURVEY["q"])["share"].sum() == pytest.approx(1)
    with pytest.raises(TableError, match="row 0, column 'share': the shares of item 'q' from this row on add up to 0.8 and not to 1"):
        read_benchmark(published(p=[0.24, 0.4, 0.16, 0.2]).drop(columns="n").iloc[:3], SURVEY["q"])
    several = Item("q", "?", ["None", "a, b", "More"], kind="multiple", refusals=["NA"])
    with pytest.raises(TableError, match="counted from microdata only"):
        read_benchmark(published(p=[0.7, 0.8, 0.2, 0]), several)


# What comes along


@pytest.mark.parametrize("name", BENCHMARKS)
def test_shipped_benchmarks(name):
    survey, table = load_benchmark(name)
    check(table, "distributions")
    assert table.groupby("item_id", sort=False)["option"].agg(list).tolist() == [list(i.options) for i in survey]
    assert table.groupby("item_id")["share"].sum().to_numpy() == pytest.approx(1)
    groupings = ["party", "race", "sex", "age", "education"] + ["ideology", "state"] * (name == "cces_2016_vote")
    for by in groupings:
        _, part = load_benchmark(name, by=by)
        assert set(part["item_id"]) == {i.item_id for i in survey} and part[by].nunique() == (51 if by == "state" else part[by].nunique())
        people = part.drop_duplicates(["item_id", by]).groupby("item_id")["n"].sum()
        assert (people <= table.drop_duplicates("item_id").set_index("item_id")["n"].reindex(people.index)).all()
    with pytest.raises(ValueError, match="by= one of 'overall', 'party'"):
        load_benchmark(name, by="income")
    with pytest.raises(ValueError, match="no benchmark 'gss'; there are gss_2018_spending"):
        load_benchmark("gss")


def test_shipped_figures():
    _, vote = load_benchmark("cces_2016_vote")
    assert vote["share"].tolist() == [18755 / 44932, 26177 / 44932] and (vote["n"] == 44932).all()
    _, spending = load_benchmark("gss_2018_spending", by="sex")
    women = spending[(spending["sex"] == "female") & (spending["item_id"] == "natsoc")]
    assert women["n"].iloc[0] + spending[(spending["sex"] == "male") & (spending["item_id"] == "natsoc")]["n"].iloc[0] == 1381 + 748 + 101


def test_a_benchmark_is_what_alignment_takes():
    survey, human = load_benchmark("gss_2018_spending", by="party", groups=["Democrat", "Republican"])
    answers = pd.DataFrame(
        [
            {"persona_id": f"p{i}", "item_id": item.item_id, "option": item.options[i % 3], "status": "ok", "party": party}
            for i in range(6)
            for item in survey
            for party in ["Democrat", "Republican"]
        ]
    )
    scores = alignment(answers, human, by="party", items=survey)
    assert len(scores) == 36 and scores["alignment"].between(0, 1).all() and np.allclose(scores["alignment"], scores["uniform"])
    assert ceiling(human, by="party")["ceiling"].gt(0.9).all()
    simulated = distribution(answers, by="party", items=survey)
    assert simulated["option"].tolist() == human["option"].tolist() and simulated["party"].tolist() == human["party"].tolist()


# Writing


def test_answers_through_spss(tmp_path):
    pytest.importorskip("pyreadstat")
    survey = (
        SURVEY
        + Item("n", "Years?", kind="number", minimum=0, maximum=120, refusals=["NA"])
        + Item("t", "Why?", kind="text")
        + battery("b", "Do you?", ["walk"], ["No", "Yes"], [0, 1])
    )
    people = frame(
        n=[1, 2.5, "NA", None, 97, 120],
        t=["None", "a\nb", None, "é", '"x"', ","],
        b_1=["No", "Yes", None, "No", "No", "Yes"],
        state=pd.Categorical(["NY", "CA", None, "NY", "NY", "CA"], ["CA", "NY"]),
    )
    for name in ("a.sav", "a.zsav"):
        write_responses(people, tmp_path / name, survey)
    back = read_responses(tmp_path / "a.sav")
    for column in ("q", "b_1", "sex", "state"):
        assert [None if v in (None, "") or v != v else v for v in back[column]] == [
            None if v != v else v for v in people[column].astype(object)
        ], column
    assert (
        back["n"].tolist()[:3] == [1, 2.5, "NA"]
        and back["weight"].tolist() == people["weight"].tolist()
        and back["t"].tolist()[1:3] == ["a\nb", ""]
    )
    assert back["m_1"].tolist()[:4] == ["named", "not named", "not named", "NA"] and back["m_1"].isna().tolist()[4]
    found = read_survey(tmp_path / "a.sav")
    assert (
        found["q"] == survey["q"]
        and found["b_1"].values == (0, 1)
        and found["m_1"].refusals == ("NA",)
        and found["state"].options == ("CA", "NY")
    )
    pd.testing.assert_frame_equal(
        read_benchmark(tmp_path / "a.sav", survey["q"], by="state"), read_benchmark(people, survey["q"], by="state")
    )
    assert read_responses(tmp_path / "a.zsav")["q"].tolist() == back["q"].tolist()


def test_answers_through_csv_and_parquet(tmp_path):
    people = frame()
    back = read_responses(write_responses(people, tmp_path / "a.csv", SURVEY))
    assert (
        back["q"].tolist() == ["None", "a, b", "None", "NA", None, "More"]
        and json.loads(back["m"].iloc[0]) == ["TV", "Radio"]
        and back["m"].iloc[3] == "NA"
    )
    expected = read_benchmark(people, SURVEY, by="sex")
    pd.testing.assert_frame_equal(read_benchmark(tmp_path / "a.csv", SURVEY, by="sex"), expected)
    whole = people.assign(m=[["TV", "Radio"], ["None"], [], None, None, ["TV"]])
    write_responses(whole, tmp_path / "a.parquet", SURVEY)
    pd.testing.assert_frame_equal(read_benchmark(tmp_path / "a.parquet", SURVEY), read_benchmark(whole, SURVEY))


def test_what_spss_cannot_keep(tmp_path):
    pytest.importorskip("pyreadstat")
    long = Item("q", "Q?", ["é" * 61, "b"])
    with pytest.raises(ValueError, match="a.sav: SPSS cuts value labels after 120 bytes.*write .parquet or .csv"):
        write_responses(pd.DataFrame({"q": ["b"]}), tmp_path / "a.sav", long)
    assert not (tmp_path / "a.sav").exists()
    odd = Survey([Item("1 a-b", "x" * 300, ["a", "b"]), Item("1_a_b", "Q?", ["a", "b"]), Item("ALL", "Q?", ["a", "b"])])
    with pytest.warns(UserWarning, match="'1 a-b' is 'v1_a_b', '1_a_b' is 'v1_a_b_2', 'ALL' is 'vALL', the text of '1 a-b' is cut"):
        write_responses(pd.DataFrame({i.item_id: ["a"] for i in odd}), tmp_path / "a.sav", odd)
    assert read_survey(tmp_path / "a.sav")["v1_a_b"].text == "x" * 255
    with pytest.raises(ValueError, match="written as .sav, .csv or .parquet, not as 'a.xlsx'"):
        write_responses(frame(), tmp_path / "a.xlsx", SURVEY)
    with pytest.raises(TableError, match="answers, row 0, column 'q': 'x' is none of the options"):
        write_responses(frame(q="x"), tmp_path / "a.csv", SURVEY)
    with pytest.raises(TableError, match="no column 'q'"):
        write_responses(frame().drop(columns="q"), tmp_path / "a.csv", SURVEY)


def test_codes_of_refusals_are_above_all_others():
    assert item_codes(SURVEY["q"]) == {"None": 0, "a, b": 1, "More": 2, "NA": 97}
    assert item_codes(Item("n", "?", kind="number", maximum=110, refusals=["DK", "NA"])) == {"DK": 997, "NA": 998}
    wide = Item("q", "?", ["a", "b"], [0, 5000], ["R"])
    assert item_codes(wide)["R"] == 9997


def test_answers_of_personas_in_rows():
    rows = [
        ("p1", "president_2016", "Donald Trump (Republican)", "ok", None),
        ("p1", "q", None, "refusal", "NA"),
        ("p2", "q", "None", "ok", "thoughts"),
        ("p2", "president_2016", None, "invalid", None),
    ]
    answers = pd.DataFrame(rows, columns=["persona_id", "item_id", "option", "status", "reason"]).assign(
        draw=0, order=None, raw="", tier="meta", simulator="m", mode="choice", request_key="k", generator=None, weight=2.0
    )
    survey = presidential_election(2016) + SURVEY["q"]
    table = wide_answers(answers, survey)
    assert table[["persona_id", "weight", "president_2016", "q"]].values.tolist() == [
        ["p1", 2.0, "Donald Trump (Republican)", "NA"],
        ["p2", 2.0, None, "None"],
    ]
    assert cells(read_benchmark(table, survey["q"]))["share"].tolist() == [1, 0, 0]
    two = wide_answers(pd.concat([answers, answers.assign(draw=1)]), survey)
    assert len(two) == 4 and two["draw"].tolist() == [0, 0, 1, 1]
    with pytest.raises(TableError, match="item 'president_2016' is not in the survey: q"):
        wide_answers(answers, survey["q"])
    with pytest.raises(TableError, match="missing column"):
        wide_answers(answers.drop(columns="raw"), survey)


class Cells(HTMLParser):
    def __init__(self):
        super().__init__()
        self.cells, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.cells += [""] * (tag in ("td", "th"))

    def handle_data(self, data):
        if self.cells and data != "\n":
            self.cells[-1] += data


@given(
    st.lists(
        st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1).filter(lambda s: s.strip() and len(s.splitlines()) == 1),
        min_size=2,
        max_size=4,
        unique_by=lambda o: o.strip().casefold(),
    )
)
@settings(max_examples=100, deadline=None)
def test_a_codebook_shows_labels_as_they_are(labels):
    item = Item("q", labels[0], labels)
    read = Cells()
    read.feed(codebook(item, style="html"))
    assert set(read.tags) == {"table", "tr", "th", "td"} and [c for c in read.cells[8::5]][1:] == labels
    lines = codebook(item).splitlines()
    assert len(lines) == 3 + len(labels)
    for line in lines:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 6 and "<" not in line.replace("<br>", "")


def test_a_codebook_says_everything():
    survey = Survey(
        [
            SURVEY["q"],
            Item("n", "Line\none <script>", kind="number", minimum=1, ask_if={"q": ["None", "a, b"]}, topic="t|u"),
            Item("d", "?", ["x", "y"], directions=["up", "down"]),
            Item("m", "?", ["x", "y"], kind="multiple", exclusive=["y"], at_most=1),
        ]
    )
    text = codebook(survey)
    assert "Line<br>one &lt;script&gt;" in text and "number; topic: t\\|u; asked if q is None or a, b; from 1" in text
    assert "|  |  | 97 | NA | refusal |" in text and "| x | up |" in text and "| y | alone |" in text and "multiple; at most 1" in text
    assert "<script>" not in codebook(survey, style="html")
    with pytest.raises(ValueError, match="style must be"):
        codebook(survey, style="pdf")


# Real files


@needs_shared
def test_real_counts_are_those_of_the_distributions():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        survey = read_survey(SHARED / "opinionqa_394_counts.csv.gz")
    table = read_benchmark(SHARED / "opinionqa_394_counts.csv.gz", survey, by="POLPARTY")
    assert table["item_id"].nunique() == 394 and set(table["POLPARTY"]) >= {"Democrat", "Republican"}
    shares = pd.read_csv(SHARED / "opinionqa_sample_distributions_22groups.csv.gz", keep_default_na=False)
    shares = shares[shares["attribute"] == "POLPARTY"].rename(columns={"question_id": "item_id", "group": "POLPARTY"})
    both = table.merge(shares[["item_id", "POLPARTY", "option", "p"]], on=["item_id", "POLPARTY", "option"])
    assert len(both) > 300 and (both["share"] - both["p"]).abs().max() < 1e-9


@needs_shared
def test_real_microdata_with_weights():
    path = SHARED / "pew_dec2013_excerpt.csv.gz"
    approval = Survey(
        [
            Item("q1", "Do you approve of the president?", ["Approve", "Disapprove"], refusals=["Don't know/Refused (VOL.)"]),
            Item("q45", "Do you approve of the health care law?", ["Approve", "Disapprove"], refusals=["Don't know/Refused (VOL.)"]),
        ]
    )
    table = read_benchmark(path, approval)
    raw = pd.read_csv(path, keep_default_na=False)
    weight = raw.groupby("q1")["weight"].sum() / raw["weight"].sum()
    assert weight["Approve"] == pytest.approx(0.453, abs=0.001)  # as the source's description says
    assert cells(table, "q1")["share"]["Approve"] == pytest.approx(weight["Approve"] / (weight["Approve"] + weight["Disapprove"]))
    assert (
        table["refused"].iloc[0] == pytest.approx(weight["Don't know/Refused (VOL.)"])
        and table["n_effective"].iloc[0] < 0.9 * table["n"].iloc[0]
    )
    by = read_benchmark(path, approval, by="party", groups=["Democrat", "Republican"])
    assert cells(by, "q1", party="Democrat")["share"]["Approve"] > 0.7 > 0.3 > cells(by, "q1", party="Republican")["share"]["Approve"]


@needs_shared
def test_kishs_formula_beside_linearisation():
    raw = read_responses(SHARED / "pew_dec2013_excerpt.csv.gz")
    raw["weight"] = raw["weight"].astype(float)
    ratios = []
    for question in ("q1", "q45"):
        item = Item(question, "?", ["Approve", "Disapprove"], refusals=["Don't know/Refused (VOL.)"])
        for by in (None, "party", "sex", "recage", "receduc"):
            table = read_benchmark(raw, item, by=by)
            for row in table[(table["option"] == "Approve") & (table["n"] >= 50)].to_dict("records"):
                part = raw[raw[question].isin(item.options) & (True if by is None else raw[by] == row.get(by))]
                residual = part["weight"] * ((part[question] == "Approve") - row["share"])
                linear = np.sqrt((residual**2).sum()) / part["weight"].sum()
                ratios.append(np.sqrt(row["share"] * (1 - row["share"]) / row["n_effective"]) / linear)
    assert (
        len(ratios) == 30 and round(min(ratios), 2) == 0.89 and round(max(ratios), 2) == 1.0 and round(float(np.median(ratios)), 3) == 0.995
    )


@needs_shared
def test_real_anes_and_global_opinions():
    vote = Item("vote_pres", "For whom did you vote?", ["dem", "rep", "third"])
    table = read_benchmark(SHARED / "anes_cdf_1952_2020_weighted.csv.gz", vote, by=["year", "race"], groups={"year": ["2012", "2016"]})
    black = cells(table, "vote_pres", year="2012", race="black")["share"]["dem"]
    assert 0.9 < black < 0.99
    path = SHARED / "globalopinionqa_sample_distributions.csv.gz"
    columns = {"item_id": "question", "text": "question"}
    survey = read_survey(path, columns=columns)
    frame = pd.read_csv(path, keep_default_na=False)
    spain = frame[frame["country"] == "Spain"]
    there = [i.item_id for i in survey if i.item_id in set(spain["question"])]
    shares = read_benchmark(spain, survey[there], by="country", columns=columns)
    assert shares["low"].isna().all() and shares.groupby("item_id")["share"].sum().to_numpy() == pytest.approx(1)


def test_an_option_of_the_survey_without_a_row_is_named():
    table = pd.DataFrame({"item_id": "q", "option": ["Yes", "No"], "n": [50, 50]})
    with pytest.warns(UserWarning, match="the frame: 1 options of the survey have no row and count as 0: 'Maybe' of item 'q'"):
        found = read_benchmark(table, Item("q", "?", ("Yes", "No", "Maybe")))
    assert found["share"].tolist() == [0.5, 0.5, 0.0]


def test_groups_that_vanish_are_named_and_those_that_never_came_are_not_asked_for(tmp_path):
    people = pd.DataFrame({"q": ["Y", "N", "Y"], "side": ["left", "left", "right"], "weight": [1, 1, 0]}, index=["r10", "r11", "r12"])
    with pytest.warns(UserWarning, match="all respondents of 1 groups have the weight 0, and these groups are left out: right"):
        found = read_benchmark(people, Item("q", "?", ("Y", "N")), by="side")
    assert found["side"].eq("left").all() and found["share"].tolist() == [0.5, 0.5]
    with pytest.raises(TableError, match="the frame, row r11, column 'q': 'N' is none of the options"):
        read_benchmark(people, Item("q", "?", ("Y", "M")), by="side")
    wave = tmp_path / "American_Trends_Panel_W1"
    wave.mkdir()
    (wave / "responses.csv").write_text("Q1,PARTY,WEIGHT_W1\nY,Left,1\nN,Right,1\n")
    (wave / "metadata.csv").write_text("key,options\nPARTY,\"['Right', 'Green', 'Left']\"\n")
    found = read_benchmark(wave, Item("Q1", "?", ("Y", "N")), by="PARTY")
    assert list(dict.fromkeys(found["PARTY"])) == ["Right", "Left"]
    with pytest.raises(TableError, match="there is no group 'Green'"):
        read_benchmark(wave, Item("Q1", "?", ("Y", "N")), by="PARTY", groups=["Green"])
