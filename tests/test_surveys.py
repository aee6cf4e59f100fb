"Items and surveys: what cannot be asked, and reading them back."

import numpy as np
import pandas as pd
import pytest

from persona_kit.surveys import CANDIDATES, Item, Survey, party, presidential_election
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
