"Items and surveys: what cannot be asked, and reading them back."

import numpy as np
import pandas as pd
import pytest

from persona_kit.surveys import (
    CANDIDATES,
    TOPICS,
    Item,
    Rule,
    Survey,
    accepts,
    applicable,
    asked_before,
    battery,
    party,
    presidential_election,
    rounds,
    topic_poles,
    topic_survey,
)
from persona_kit.tables import TableError, read, write


@pytest.mark.parametrize(
    "kind, words",
    [
        ({"options": ["Yes"]}, "at least two options are needed, got 1"),
        ({"options": []}, "at least two options are needed, got 0"),
        ({"options": "Yes"}, "options must be a list of texts, got 'Yes'"),
        ({"options": 3}, "options must be a list of texts, got 3"),
        ({"options": None}, "options must be a list of texts"),
        ({"options": ["Yes", "yes "]}, "stands there twice"),
        ({"options": ["Yes", "YES"]}, "stands there twice"),
        ({"options": ["Yes", ""]}, "not empty, got ''"),
        ({"options": ["Yes", "  "]}, "not empty"),
        ({"options": ["Yes", None]}, "not empty, got None"),
        ({"options": ["Yes", 1]}, "got 1"),
        ({"options": ["Yes", "No\nB. Yes"]}, "one line"),
        ({"options": ["Yes", "No\u2028"], "refusals": ["a\rb"]}, "one line"),
        ({"refusals": "Refused"}, "refusals must be a list of texts, got 'Refused'"),
        ({"refusals": ["no"]}, "stands there twice"),
        ({"text": ""}, "the question's text is empty"),
        ({"text": None}, "the question's text is empty"),
        ({"values": [1]}, "2 options but 1 values"),
        ({"values": [1, 2, 3]}, "2 options but 3 values"),
        ({"values": []}, "2 options but 0 values"),
        ({"values": [1, 1]}, "rise or fall"),
        ({"options": ["a", "b", "c"], "values": [1, 3, 2]}, "rise or fall"),
        ({"values": [1, np.nan]}, "finite"),
        ({"values": [1, np.inf]}, "finite"),
        ({"values": "12"}, "values must be a list of numbers, got '12'"),
        ({"values": 3}, "values must be a list of numbers, got 3"),
        ({"values": ["low", "high"]}, "values must be a list of numbers"),
        ({"values": [1, None]}, "values must be a list of numbers"),
    ],
)
def test_an_item_that_cannot_be_asked(kind, words):
    with pytest.raises(ValueError, match=words) as e:
        Item(**{"item_id": "q7", "text": "Well?", "options": ["Yes", "No"]} | kind)
    assert "q7" in str(e.value)


@pytest.mark.parametrize("item_id", ["", " ", None, 3])
def test_an_item_without_a_name(item_id):
    with pytest.raises(ValueError, match="item_id"):
        Item(item_id, "Well?", ["Yes", "No"])


def test_an_item():
    item = Item("q", "Well?", (o for o in ("High", "Low")), np.array([2, 1]), ["Refused"])
    assert item.options == ("High", "Low") and item.values == (2.0, 1.0) and item.ordinal and item.shown == ("High", "Low", "Refused")
    assert hash(item) and item == Item("q", "Well?", ["High", "Low"], [2, 1], ["Refused"])
    with pytest.raises(AttributeError):
        item.text = "?"


def items():
    return [
        Item("none", "How many?", ["None", "One, or two", "nan", "N/A"], refusals=["No answer, please"]),
        Item("scale", "How much – €?", ["Not at all", "A “lot”"], [0, 1.5], topic="trust"),
        Item("é", "<b>$x</b>?", ["Yes", "No"]),
    ]


def test_a_survey_is_a_sequence():
    survey = Survey(items())
    assert len(survey) == 3 and survey["scale"] is survey[1] is survey[-2] and [i.item_id for i in survey] == ["none", "scale", "é"]
    assert isinstance(survey[1:], Survey) and len(survey[1:] + survey[:1]) == 3
    assert len(Survey(survey)) == 3 and len(Survey(items()[0])) == 1 and len(survey + Item("x", "?", ["a", "b"])) == 4
    assert items()[0] in survey and repr(survey) == "Survey(3 items: none, scale, é)"
    with pytest.raises(KeyError, match="no item 'nope'.*none, scale, é"):
        survey["nope"]
    with pytest.raises(IndexError):
        survey[3]


@pytest.mark.parametrize(
    "given, words",
    [
        ([], "at least one item"),
        (["q"], "made of Items, got str"),
        ("abc", "made of Items"),
        (items() + items()[:1], "item_id 'none' stands twice"),
        ([None], "NoneType"),
    ],
)
def test_what_is_no_survey(given, words):
    with pytest.raises(ValueError, match=words):
        Survey(given)
    if given:
        with pytest.raises(ValueError):
            Survey([Item("none", "?", ["a", "b"])]) + given


def test_html_is_escaped():
    html = Survey(items())._repr_html_()
    assert "<b>" not in html and "&lt;b&gt;$x" in html


def test_a_survey_through_a_frame_and_a_file(tmp_path):
    survey = Survey(items()) + presidential_election()
    assert Survey.from_frame(survey.to_frame()).items == survey.items
    assert Survey.from_frame(read(write(survey.to_frame(), tmp_path / "items.parquet", "items"), "items")).items == survey.items
    plain = presidential_election()
    assert Survey.from_frame(read(write(plain.to_frame(), tmp_path / "plain.parquet"))).items == plain.items


def test_a_frame_with_the_required_columns_only():
    frame = pd.DataFrame({"item_id": ["a", "b"], "text": "Well?", "options": [["Yes", "No"], np.array(["Yes", "No"], dtype=object)]})
    assert [i.refusals for i in Survey.from_frame(frame)] == [(), ()]
    assert Survey.from_frame(frame.assign(values=[[1, 2], np.nan], topic=[np.nan, "x"], refusals=[None, ["R"]]))["b"].shown == (
        "Yes",
        "No",
        "R",
    )


@pytest.mark.parametrize(
    "change, words",
    [
        ({"options": [["Yes", "No"], ["Yes"]]}, "row 1.*'b'.*at least two"),
        ({"options": [["Yes", "No"], "Yes;No"]}, "row 1.*list of texts"),
        ({"options": [["Yes", "No"], None]}, "row 1.*at least two"),
        ({"text": ["Well?", None]}, "row 1.*text is empty"),
        ({"values": [None, [1]]}, "row 1.*2 options but 1 values"),
        ({"values": [None, ["x", "y"]]}, "row 1.*numbers"),
        ({"item_id": ["a", "a"]}, "repeated"),
        ({"item_id": ["a", None]}, "missing"),
    ],
)
def test_a_frame_that_is_no_survey(change, words):
    frame = pd.DataFrame({"item_id": ["a", "b"], "text": "Well?", "options": [["Yes", "No"]] * 2} | change)
    with pytest.raises(TableError, match=words):
        Survey.from_frame(frame)


# Elections


@pytest.mark.parametrize("years", [2020, (2020,), [2020], np.array([2020]), np.int64(2020), pd.Series([2020]), iter([2020])])
def test_years(years):
    assert [i.item_id for i in presidential_election(years)] == ["president_2020"]


@pytest.mark.parametrize("years", [2018, "2020", "all", [2016, 1066], None, ["2020"], [[2020]], 2012.5])
def test_unknown_years(years):
    with pytest.raises((ValueError, TypeError), match="no presidential election of|unhashable"):
        presidential_election(years)


def test_no_year_and_a_year_twice():
    with pytest.raises(ValueError, match="at least one item"):
        presidential_election([])
    with pytest.raises(ValueError, match="twice"):
        presidential_election([2020, 2020])


@pytest.mark.parametrize("anonymous", [False, True])
def test_the_ballots(anonymous):
    for item, year in zip(presidential_election(anonymous=anonymous), CANDIDATES, strict=True):
        assert (
            [party(o) for o in item.options] == ["democratic", "republican"]
            and item.item_id == f"president_{year}"
            and not item.ordinal
            and not item.refusals
        )
        said = item.text + " ".join(item.shown)
        assert all((name in said) != anonymous for name in (*CANDIDATES[year], str(year)))


@pytest.mark.parametrize(
    "label, side",
    [
        ("Joe Biden (Democrat)", "democratic"),
        ("REPUBLICAN", "republican"),
        ("The Democratic candidate", "democratic"),
        ("Someone else", "other"),
        ("Democratic-Republican", "other"),
        ("", "other"),
        (None, "other"),
        ("Joe Biden", "other"),
        ("Libertarian", "other"),
    ],
)
def test_party(label, side):
    assert party(label) == side


# Kinds


@pytest.mark.parametrize(
    "kind, words",
    [
        ({"kind": "ranking"}, "unknown kind 'ranking'; one of single, multiple"),
        ({"kind": "number"}, "options belongs to items of kind single or multiple"),
        ({"kind": "number", "options": [], "minimum": 5, "maximum": 5}, "minimum must be below"),
        ({"kind": "number", "options": [], "minimum": np.inf}, "minimum must be a finite number"),
        ({"kind": "number", "options": [], "minimum": True}, "minimum must be a finite number"),
        ({"kind": "number", "options": [], "maximum": "9"}, "maximum must be a finite number, got '9'"),
        ({"minimum": 1}, "minimum belongs to items of kind number"),
        ({"at_most": 1}, "at_most belongs to items of kind multiple"),
        ({"exclusive": ["No"]}, "exclusive belongs to items of kind multiple"),
        ({"kind": "multiple", "exclusive": ["None"]}, "exclusive option 'None' is none of its options"),
        ({"kind": "multiple", "exclusive": "No"}, "exclusive must be a list of texts"),
        ({"kind": "multiple", "at_most": 0}, "at_most must be a whole number of at least 1, got 0"),
        ({"kind": "multiple", "at_most": 1.5}, "whole number"),
        ({"kind": "multiple", "values": [1, 2]}, "values belongs to items of kind single"),
        ({"kind": "multiple", "options": ["One"]}, "at least two options"),
        ({"kind": "text", "options": [], "directions": ["left"]}, "directions belongs"),
        ({"directions": ["left"]}, "directions must be one word per option, 2 of them"),
        ({"directions": ["left", " "]}, "directions must be one word per option"),
        ({"ask_if": {}}, "ask_if must be a dict such as"),
        ({"ask_if": "vote == 'Yes'"}, "ask_if must be a dict such as.*got \"vote == 'Yes'\""),
        ({"ask_if": "__import__('os').remove('x')"}, "ask_if must be a dict"),
        ({"ask_if": 3}, "ask_if must be a dict"),
        ({"ask_if": [{"vote": ["Yes"]}, {}]}, "ask_if must be a dict"),
        ({"ask_if": {"vote": []}}, "condition on 'vote' must be a list of options"),
        ({"ask_if": {"vote": [1]}}, "condition on 'vote' must be"),
        ({"ask_if": {"age": {"min": "18"}}}, "condition on 'age' must be"),
        ({"ask_if": {"age": {"min": None}}}, "condition on 'age' must be"),
        ({"ask_if": {"age": {"min": 18, "not": ["x"]}}}, "condition on 'age' must be"),
    ],
)
def test_a_kind_that_does_not_fit(kind, words):
    with pytest.raises(ValueError, match=words) as e:
        Item(**{"item_id": "q7", "text": "Well?", "options": ["Yes", "No"]} | kind)
    assert "q7" in str(e.value)


def several(**more):
    return Item("m", "Which?", ["A, or B", "None", "C"], kind="multiple", refusals=["Rather not say"], **more)


@pytest.mark.parametrize(
    "item, yes, no",
    [
        (Item("s", "?", ["A", "B"], refusals=["R"]), ["A", "R"], ["a", "C", ["A"], None, float("nan"), 1, ""]),
        (several(), [["C"], ["A, or B", "C"], [], ("None",), np.array(["C"]), "Rather not say"], ["C", ["D"], ["C", "C"], None, 2]),
        (several(exclusive=["None"], at_most=1), [["None"], ["C"]], [["None", "C"], ["A, or B", "C"]]),
        (Item("n", "?", kind="number", minimum=0, maximum=10, refusals=["R"]), [0, 10.0, np.int64(3), "R"],
         [-1, 11, "3", True, None, float("nan"), float("inf"), [3]]),
        (Item("n", "?", kind="number"), [-1e9, 0.5], ["", None]),
        (Item("t", "?", kind="text", refusals=["R"]), ["None", "R", "a\nb"], ["", "  ", None, 3, ["x"]]),
    ],
)
def test_what_is_an_answer(item, yes, no):
    assert all(accepts(item, a) for a in yes) and not any(accepts(item, a) for a in no)


def panel():
    return Survey(
        [
            Item("vote", "Did you vote?", ["Yes", "No"], refusals=["Refused"]),
            Item("age", "How old are you?", kind="number", minimum=18, maximum=110),
            several(ask_if={"vote": ["Yes"]}, exclusive=["None"], at_most=2),
            Item("why", "Why?", kind="text", ask_if=[{"vote": {"not": ["Yes"]}}, {"age": {"max": 20}, "m": ["C"]}], topic="t"),
            Item("more", "And?", ["Yes", "No"], ask_if={"why": ["None"]}, directions=["up", "down"], values=[1, 0]),
        ]
    )


def test_all_kinds_through_a_frame_and_a_file(tmp_path):
    moods = battery("b", "How often?", {"é": "calm", "2": "None"}, ["Never", "Often"], refusals=["NA"], topic="mood")
    survey = panel() + moods + topic_survey()
    frame = survey.to_frame()
    assert list(frame)[:7] == ["item_id", "text", "options", "values", "refusals", "topic", "kind"] and len(list(frame)) == 15
    assert Survey.from_frame(frame).items == survey.items
    assert Survey.from_frame(read(write(frame, tmp_path / "items.parquet", "items"), "items")).items == survey.items
    assert list(presidential_election().to_frame()) == list(frame)[:7]
    assert hash(survey["why"]) and repr(survey["vote"]).startswith("Item(item_id='vote', text='Did you vote?', options=('Yes', 'No'), ref")
    html = survey._repr_html_()
    assert "Yes <i>(up)</i><br>No <i>(down)</i>" in html
    assert "asked if vote is not Yes; or age is at most 20 and m is C" in html and "a number, 18 to 110" in html and "(at most 2)" in html


@pytest.mark.parametrize(
    "answers, asked",
    [
        ({}, ["vote", "age"]),
        ({"vote": "Yes"}, ["vote", "age", "m"]),
        ({"vote": "No"}, ["vote", "age", "why"]),
        ({"vote": "Refused"}, ["vote", "age", "why"]),
        ({"vote": None}, ["vote", "age"]),
        ({"vote": float("nan")}, ["vote", "age"]),
        ({"vote": "Yes", "age": 19, "m": ["C", "A, or B"]}, ["vote", "age", "m", "why"]),
        ({"vote": "Yes", "age": 21, "m": ["C"]}, ["vote", "age", "m"]),
        ({"vote": "Yes", "age": "19", "m": ["C"]}, ["vote", "age", "m"]),
        ({"vote": "Yes", "age": 19, "m": []}, ["vote", "age", "m"]),
        ({"vote": "No", "why": "None"}, ["vote", "age", "why", "more"]),
        ({"vote": "Yes", "why": "None"}, ["vote", "age", "m"]),  # an answer to what was not asked counts for nothing
    ],
)
def test_who_is_asked_what(answers, asked):
    assert [i.item_id for i in applicable(panel(), answers)] == asked


def test_memory_and_rounds():
    said = {"vote": "Yes", "age": 19, "m": ["C"], "why": "so", "more": "Yes"}
    assert [(i.item_id, a) for i, a in asked_before(panel(), "why", said)] == [("vote", "Yes"), ("age", 19), ("m", ["C"])]
    assert [i.item_id for i, _ in asked_before(panel(), "more", said)] == ["vote", "age", "m", "why"]
    assert asked_before(panel(), "vote", said) == []
    with pytest.raises(KeyError, match="no item 'x'"):
        asked_before(panel(), "x", said)
    assert [[i.item_id for i in r] for r in rounds(panel())] == [["vote", "age"], ["m"], ["why"], ["more"]]
    assert [len(r) for r in rounds(presidential_election())] == [3]


@pytest.mark.parametrize(
    "rule, words",
    [
        ({"x": ["Yes"]}, "'z' is asked depending on 'x', which is not in the survey; add it before, or drop the rule"),
        ({"z": ["Yes"]}, "does not stand before it"),
        ({"last": ["Yes"]}, "does not stand before it"),
        ({"vote": ["yes"]}, "has no option 'yes'; it has \\['Yes', 'No', 'Refused'\\]"),
        ({"m": {"not": ["D"]}}, "has no option 'D'"),
        ({"vote": {"min": 3}}, "is of kind 'single'; min and max go with a number"),
        ({"age": ["Yes"]}, "is of kind 'number'; min and max go"),
    ],
)
def test_a_rule_that_cannot_hold(rule, words):
    item = Item("z", "?", ["Yes", "No"], ask_if=rule)
    with pytest.raises(ValueError, match=words):
        Survey([*panel()[:3], item, Item("last", "?", ["Yes", "No"])])


def test_a_part_of_a_survey():
    assert [i.item_id for i in panel()[["vote", "m"]]] == ["vote", "m"]
    with pytest.raises(ValueError, match="'m' is asked depending on 'vote', which is not in the survey"):
        panel()[2:]


def test_rules_read_back():
    several = [{"a": {"not": ["x"]}}, {"b": {"min": 1}, "c": {"max": 2.5}}]
    for given in ({"a": ["x", "y"]}, {"a": "x"}, several, {"d": {"min": 0, "max": 1}}):
        rule = Rule.read(given)
        assert Rule.read(rule.to_json()) == rule == Rule.read(rule) and str(rule)
    words = "b is at least 1 and c is at most 2.5 and d is 0 to 1"
    assert str(Rule.read({"b": {"min": 1}, "c": {"max": 2.5}, "d": {"min": 0, "max": 1}})) == words


# Topics


def test_the_topics_are_balanced():
    assert len(topic_survey()) == 30 and len({i.text for i in topic_survey()}) == 30
    for topic in TOPICS:
        survey = topic_survey(topic)
        assert len(survey) == 6 and {i.topic for i in survey} == {topic} and not any(i.ordinal or i.refusals for i in survey)
        poles = topic_poles(topic)
        assert len(poles) == 2 and all(len(i.options) == 2 and set(i.directions) == set(poles) for i in survey)
        assert [i.directions[0] for i in survey].count(next(iter(poles))) == 3
        length = {p: sum(len(o) for i in survey for o, d in zip(i.options, i.directions, strict=True) if d == p) for p in poles}
        assert max(length.values()) < 1.25 * min(length.values())  # neither pole has the longer answers
    with pytest.raises(ValueError, match="no topic 'sports'; there are climate"):
        topic_survey("sports")
    with pytest.raises(ValueError, match="no topic 'sports'"):
        topic_poles("sports")
