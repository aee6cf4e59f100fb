"Questions from files: every layout, nasty labels, and files that are wrong."

import ast
import gzip
import json
import os
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from persona_kit.benchmarks import write_responses
from persona_kit.survey_files import NOT_ASKED, _bare_label, read_survey, write_survey
from persona_kit.surveys import Item, Survey, applicable, battery, presidential_election, topic_survey
from persona_kit.tables import TableError

SHARED = Path(os.environ.get("PERSONA_KIT_SHARED", Path(__file__).resolve().parent.parent.parent / "shared")) / "data" / "surveys"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no survey files in {SHARED}; set PERSONA_KIT_SHARED")
NASTY = [
    "None",
    "NA",
    "nan",
    "null",
    "",
    "N/A",
    "a, b",
    'say "yes"',
    "it's",
    "=1+1",
    "|",
    "<b>x</b>",
    "é “q” 漢",
    " spaced ",
    "1",
    "True",
    "['x']",
    "~",
    "- no",
]


def put(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


# Round trips

labels = st.one_of(
    st.sampled_from([n for n in NASTY if n.strip()]),
    st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=20).filter(lambda s: s.strip() and len(s.splitlines()) == 1),
)
texts = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=40).filter(str.strip)


@st.composite
def items(draw, name, before=()):
    shown = draw(st.lists(labels, min_size=2, max_size=6, unique_by=lambda o: o.strip().casefold()))
    kind = draw(st.sampled_from(["single", "single", "multiple", "number", "text"]))
    refusals = draw(st.integers(0, max(0, len(shown) - 2))) if kind in ("single", "multiple") else len(shown)
    options = shown[: len(shown) - refusals]
    more = {"topic": draw(st.none() | texts), "battery": draw(st.none() | texts)}
    if kind == "single" and draw(st.booleans()):
        steps = draw(st.lists(st.integers(1, 1000), min_size=len(options), max_size=len(options)))
        more["values"] = [sum(steps[: i + 1]) / 8 * (-1 if len(shown) % 2 else 1) for i in range(len(options))]
    if kind == "multiple":
        more |= {
            "exclusive": draw(st.lists(st.sampled_from(options), unique=True, max_size=2).map(lambda e: sorted(e, key=options.index))),
            "at_most": draw(st.none() | st.integers(1, 3)),
        }
    if kind in ("single", "multiple") and draw(st.booleans()):
        more["directions"] = draw(st.lists(labels, min_size=len(options), max_size=len(options)))
    if kind == "number":
        more |= {"minimum": draw(st.none() | st.floats(-1e6, 0)), "maximum": draw(st.none() | st.floats(1, 1e6))}
    choices = [i for i in before if i.options]
    if choices and draw(st.booleans()):
        asked = draw(st.sampled_from(choices))
        more["ask_if"] = {asked.item_id: draw(st.sampled_from([[asked.options[0]], {"not": list(asked.shown)}]))}
    return Item(name, draw(texts), options, refusals=shown[len(options) :], kind=kind, **more)


@st.composite
def surveys(draw):
    names = draw(st.lists(labels, min_size=1, max_size=4, unique=True))
    made = []
    for name in names:
        made.append(draw(items(name, tuple(made))))
    return Survey(made)


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
@given(survey=surveys())
@settings(max_examples=60, deadline=None)
@example(survey=Survey([Item("q", "a\r\nb\rc\n", ["Refused", "None", "NA"], refusals=["don't know"])]))
def test_any_survey_reads_back(ending, survey, tmp_path_factory):
    path = tmp_path_factory.mktemp("s") / f"survey.{ending}"
    assert read_survey(write_survey(survey, path)).items == survey.items


def test_the_shipped_surveys_read_back(tmp_path):
    survey = presidential_election() + topic_survey() + battery("b", "How often?", ["calm", "None"], ["Never", "Often"], refusals=["DK"])
    for ending in ("csv", "json", "parquet"):
        assert read_survey(write_survey(survey, tmp_path / f"s.{ending}")).items == survey.items
    with pytest.raises(ValueError, match="written as .csv, .json or .parquet, not as 's.xlsx'"):
        write_survey(survey, tmp_path / "s.xlsx")


# Tables

LONG = 'item_id,text,option\nq,How many?,None\nq,How many?,"One, or two"\nq,How many?,Don’t know (VOL.)\n'


def test_a_table_of_options(tmp_path):
    item = read_survey(put(tmp_path / "a.csv", LONG))["q"]
    assert item.options == ("None", "One, or two") and item.refusals == ("Don’t know (VOL.)",) and not item.ordinal
    assert read_survey(put(tmp_path / "a.csv", LONG), refusals=None)["q"].refusals == ()
    assert read_survey(put(tmp_path / "a.csv", LONG), refusals=["None"], ordinal="all")["q"].values == (1, 2)
    assert read_survey(put(tmp_path / "a.csv", LONG), ordinal=["q"]).items == read_survey(put(tmp_path / "a.csv", LONG), ordinal="q").items
    with gzip.open(tmp_path / "b.csv.gz", "wt", encoding="utf-8") as file:
        file.write(LONG)
    assert read_survey(tmp_path / "b.csv.gz")["q"] == item
    assert (
        read_survey(put(tmp_path / "c.tsv", "item_id\ttext\toption\nq\tHow many?\tNone\nq\tHow many?\tOne, or two\n"))["q"].options
        == item.options
    )
    assert (
        read_survey(put(tmp_path / "d.csv", "item_id;text;option\nq;How many?;None\nq;How many?;One, or two\n"))["q"].options
        == item.options
    )


def test_a_table_of_items(tmp_path):
    rows = 'item_id,text,options,values,refusals,ask_if,kind,minimum\nq,Q?,"[""None"", ""a, b""]","[0, 1]","[""NA""]",,,\n'
    rows += 'r,R?,"[\'x\', ""it\'s""]",,,"{""q"": [""None""]}",,\nn,N?,,,,,number,0\n'
    survey = read_survey(put(tmp_path / "a.csv", rows))
    assert survey["q"] == Item("q", "Q?", ["None", "a, b"], [0, 1], ["NA"]) and survey["r"].options == ("x", "it's")
    assert survey["n"].minimum == 0 and [i.item_id for i in applicable(survey, {"q": "a, b"})] == ["q", "n"]


def test_columns_of_other_names(tmp_path):
    path = put(tmp_path / "a.csv", "Nr,Frage,Antwort\n1,Warum?,Darum\n1,Warum?,Keine Ahnung\n")
    survey = read_survey(path, columns={"item_id": "Nr", "text": "Frage", "option": "Antwort"})
    assert survey["1"].options == ("Darum", "Keine Ahnung")
    same = read_survey(put(tmp_path / "b.csv", "question,option\nWhy?,a\nWhy?,b\n"), columns={"item_id": "question", "text": "question"})
    assert same[0].item_id == same[0].text == "Why?"


def test_an_option_in_the_middle_of_the_scale(tmp_path):
    path = put(
        tmp_path / "a.csv",
        "item_id,text,option,value\n" + "".join(f"q,Q?,{o},{v}\n" for o, v in (("Safer", 1), ("Less safe", 2), ("Same", 1.5))),
    )
    assert read_survey(path)["q"].options == ("Safer", "Same", "Less safe") and read_survey(path)["q"].values == (1, 1.5, 2)
    falling = put(tmp_path / "b.csv", "item_id,text,option,value\nq,Q?,Much,2\nq,Q?,Little,1\nq,Q?,Refused,\n")
    assert read_survey(falling)["q"] == Item("q", "Q?", ["Much", "Little"], [2, 1], ["Refused"])
    equal = put(tmp_path / "c.csv", "item_id,text,option,value\nq,Q?,x,1\nq,Q?,y,1\nq,Q?,z,2\n")
    assert not read_survey(equal)["q"].ordinal


@pytest.mark.parametrize(
    "encoding, needed",
    [("utf-8", False), ("utf-8-sig", False), ("utf-16", False), ("utf-32", False), ("cp1252", True), ("utf-16-le", True)],
)
def test_encodings(tmp_path, encoding, needed):
    path = put(tmp_path / "a.csv", LONG.replace("How many?", "Un café à 3 €?"), encoding)
    if needed:
        with pytest.raises(TableError, match="a.csv.*encoding="):
            read_survey(path)
    survey = read_survey(path, encoding=encoding if needed else None)
    assert survey["q"].text == "Un café à 3 €?" and survey["q"].refusals == ("Don’t know (VOL.)",)
    with pytest.raises(TableError, match="a.csv: there is no encoding 'latin-99'"):
        read_survey(path, encoding="latin-99")


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "the file is empty"),
        ("item_id,text,option\n", "the file has no rows"),
        ("item_id,text,text\nq,a,b\n", "column 'text' stands there twice"),
        ("item_id,text,option\nq,Q?,a,b\n", "row 2: 4 cells, but the header has 3; quote cells that hold a ','"),
        ('item_id,text,option\nq,Q?,"a"b\n', "line 2 is no CSV.*written twice"),
        ("id,text,option\nq,Q?,a\n", "no column item_id; there are id, text, option. Say which is meant: columns="),
        ("item_id,text\nq,Q?\n", "no column option"),
        ("item_id,text,option\nq,Q?,a\nq,Q?,a\n", "row 3, column 'option': option 'a' of item 'q' stands there twice"),
        ("item_id,text,option\nq,Q?,a\nq,Another?,b\n", "row 3, column 'text': item 'q' has another text than in row 2"),
        ("item_id,text,option\nq,Q?,a\nq,Q?,\n", "row 3, column 'option': an option of item 'q' has no label"),
        ("item_id,text,option\n,Q?,a\n", "row 2, column 'item_id': the item has no name"),
        ("item_id,text,option\nq,,a\nq,,b\n", "row 2: item 'q': the question's text is empty"),
        ("item_id,text,option\nq,Q?,a\n", "row 2: item 'q': at least two options"),
        ("item_id,text,option,value\nq,Q?,a,1\nq,Q?,b,two\n", "row 3, column 'value': a number is expected, got 'two'"),
        ("item_id,text,options\nq,Q?,a;b\n", "row 2, column 'options': a list such as .*one row per option"),
        ('item_id,text,options\nq,Q?,"[1, 2]"\n', "row 2: item 'q': every option must be a text"),
        ("item_id,text,options,kind\nq,Q?,,ranking\n", "row 2: item 'q': unknown kind"),
        ("item_id,text,options,kind,minimum\nq,Q?,,number,low\n", "row 2, column 'minimum': a number"),
        ('item_id,text,options,ask_if\nq,Q?,"[""a"",""b""]",p == 1\n', "row 2: item 'q': ask_if must be a dict"),
        ('item_id,text,options,ask_if\nq,Q?,"[""a"",""b""]","{""p"": [""x""]}"\n', "asked depending on 'p', which is not in the survey"),
        ('item_id,text,options\nq,Q?,"[""a"",""b""]"\nq,Q?,"[""a"",""b""]"\n', "item_id 'q' stands twice"),
    ],
)
def test_tables_that_are_none(tmp_path, text, words):
    with pytest.raises(TableError, match=words) as e:
        read_survey(put(tmp_path / "club.csv", text))
    assert str(e.value).startswith("club.csv")


def test_items_with_one_name_are_both_placed(tmp_path):
    rows = [{"item_id": name, "text": f"{name}?", "options": ["a", "b"]} for name in ("q", "r", "q")]
    for ending, places in ((".json", "item 3: .*first at club.json, item 1"), (".parquet", "row 2: .*first at club.parquet, row 0")):
        path = tmp_path / f"club{ending}"
        put(path, json.dumps(rows)) if ending == ".json" else pd.DataFrame(rows).to_parquet(path)
        with pytest.raises(TableError, match=f"club{ending}, {places}; rename or delete one of them"):
            read_survey(path)
        assert [i.item_id for i in read_survey(path, items=["r"])] == ["r"]
        with pytest.raises(TableError, match="item_id 'q' stands twice"):
            read_survey(path, items=["q"])
    line = "Q1,A?,\"['Y', 'N', 'Refused']\",\"[1.0, 2.0]\"\n"
    for wave in ("W_W1", "W_W2"):
        (tmp_path / "pew" / wave).mkdir(parents=True)
        put(tmp_path / "pew" / wave / "info.csv", "key,question,references,option_ordinal\n" + line)
    with pytest.raises(TableError, match="W_W2/info.csv, row 2: item_id 'Q1' stands twice, first at W_W1/info.csv, row 2"):
        read_survey(tmp_path / "pew")


@pytest.mark.parametrize("name, content, words", [
    ("a.csv", b"item_id,text,option\nq,Q?,a\nq,Q?,   \n", "a.csv, row 3, column 'option': an option of item 'q' has no label; write one"),
    ("a.csv", b"PK\x03\x04\x14\x00\x06\x00item_id", "a.csv: this is an Excel workbook .* save it as CSV"),
    ("a.csv.gz", b"item_id,text,option\nq,Q?,a\n", "a.csv.gz: this is no whole gzip file: Not a gzipped file"),
    ("a.csv.gz", gzip.compress(b"item_id,text,option\nq,Q?,a\nq,Q?,b\n", mtime=0)[:-9], "a.csv.gz: this is no whole gzip file: .*again"),
    ("a.json", b'[{"item_id": "q", "text": "?", "options": {"1": "Yes", "2": "No"}}]', "a.json, item 1: options must be a list .*'Yes'"),
    ("a.qsf", b'{"SurveyElements": 5}', "a.qsf: SurveyElements must be a list"),
    ("a.qsf", b'{"SurveyElements": [{"Element": "SQ", "Payload": {}}]}', "a.qsf: SurveyElements must be .* export the survey again"),
    ("a.qsf", b'{"SurveyElements": [{"Element": "SQ", "PrimaryAttribute": "QID1", "Payload": {"QuestionType": "MC", "Selector": "SAVR", '
              b'"DataExportTag": "Q1", "QuestionText": "?", "Choices": {"1": "Yes", "2": "No"}}}]}',
     "a.qsf, question 'Q1': it is not as Qualtrics writes it .*errors='skip'")])  # fmt: skip
def test_broken_files_are_named_with_the_place_and_the_way_out(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=words):
        read_survey(tmp_path / name)


def test_letters_that_were_lost_before_are_told(tmp_path):
    path = put(tmp_path / "a.csv", "item_id,text,option\nq,Q?,a\nq,Q?,f\ufffdr\n")
    with pytest.warns(UserWarning, match="a.csv, line 3: the file holds the sign .*wrong encoding"):
        assert len(read_survey(path)) == 1


def test_two_questions_with_one_export_tag_are_told_apart(tmp_path):
    payload = {"QuestionType": "MC", "Selector": "SAVR", "DataExportTag": "Q1", "QuestionText": "?",
               "Choices": {"1": {"Display": "Yes"}, "2": {"Display": "No"}}}  # fmt: skip
    elements = [{"Element": "SQ", "PrimaryAttribute": f"QID{n}", "Payload": payload} for n in (3, 8)]
    path = put(tmp_path / "a.qsf", json.dumps({"SurveyElements": elements}))
    with pytest.raises(TableError, match=r"question 'Q1' \(QID8\): item_id 'Q1' stands twice, first at a.qsf, question 'Q1'"):
        read_survey(path)


def test_questions_that_cannot_be_read_may_be_skipped(tmp_path):
    path = put(tmp_path / "club.csv", "item_id,text,option\nq,Q?,a\nq,Q?,A\nr,R?,a\nr,R?,b\ns,S?,a\n")
    with pytest.warns(
        UserWarning, match="club.csv: 2 questions were left out; the first: club.csv, row 2: item 'q': option 'a' stands there twice"
    ):
        assert [i.item_id for i in read_survey(path, errors="skip")] == ["r"]
    with pytest.raises(ValueError, match="errors must be 'raise' or 'skip', got 'ignore'"):
        read_survey(path, errors="ignore")


def test_files_that_are_not_there(tmp_path):
    put(tmp_path / "club.csv", LONG)
    with pytest.raises(FileNotFoundError, match="clubs.csv; its folder has club.csv"):
        read_survey(tmp_path / "clubs.csv")
    with pytest.raises(TableError, match="club.xlsx: a file that ends in '.xlsx' is not read; .csv"):
        read_survey(put(tmp_path / "club.xlsx", ""))
    with pytest.raises(TableError, match="there is no column 'Nr' \\(given for 'item_id'\\); there are item_id, text, option"):
        read_survey(tmp_path / "club.csv", columns={"item_id": "Nr"})
    with pytest.raises(TableError, match="club.csv: there is no item 'z'; there are q"):
        read_survey(tmp_path / "club.csv", items=["z"])
    with pytest.raises(TableError, match="there is no item 'z'"):
        read_survey(tmp_path / "club.csv", ordinal=["z"])


# JSON and YAML


def test_json(tmp_path):
    records = [
        {"item_id": "q", "text": "Q?", "options": ["None", "a, b", "Refused"]},
        {"question_id": "n", "question": "N?", "kind": "number", "minimum": 1, "ask_if": {"q": ["None"]}},
    ]
    for data in (records, {"items": records, "title": "x"}):
        survey = read_survey(put(tmp_path / "a.json", json.dumps(data)))
        assert survey["q"].options == ("None", "a, b") and survey["q"].refusals == ("Refused",) and survey["n"].minimum == 1
    only = read_survey(put(tmp_path / "a.json", json.dumps(records[:1])), refusals=None)
    assert only["q"].options[-1] == "Refused"


def test_yaml_keeps_words(tmp_path):
    pytest.importorskip("yaml")
    text = "- item_id: q\n  text: Q?\n  options: [Yes, No, null, NA, ~, 1, 2018-01-01]\n  refusals: []\n"
    text += '- {item_id: n, text: "N?", kind: number, maximum: 10, refusals: [on]}\n'
    text += '- {item_id: m, text: "M?", options: [a, b], values: [2, 1], ask_if: {q: [No, 1], n: {min: 2}}}\n'
    survey = read_survey(put(tmp_path / "a.yaml", text))
    assert survey["q"].options == ("Yes", "No", "null", "NA", "~", "1", "2018-01-01") and survey["n"].refusals == ("on",)
    assert survey["n"].maximum == 10 and survey["m"].values == (2, 1)
    assert [i.item_id for i in applicable(survey, {"q": "No", "n": 3})] == ["q", "n", "m"]
    with pytest.raises(TableError, match="a.yml: the key 'text' is given twice"):
        read_survey(put(tmp_path / "a.yml", "- {item_id: q, text: a, text: b, options: [x, y]}"))
    with pytest.raises(TableError, match="a.yml: this is no YAML"):
        read_survey(put(tmp_path / "a.yml", "- {item_id: q"))
    with pytest.raises(TableError, match="a list of items is expected"):  # a tag is not obeyed
        read_survey(put(tmp_path / "a.yml", f"!!python/object/apply:os.mkdir ['{tmp_path / 'made'}']"))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "text, words",
    [
        ("{", "line 1, character 2.*no JSON"),
        ("[]", "a list of items is expected"),
        ('{"items": {}}', "a list of items is expected"),
        ('["q"]', "a list of items is expected"),
        (
            '[{"item_id": "q", "text": "Q?", "options": ["a", null]}]',
            "item 1: item 'q': every option must be a text that is not empty, got None",
        ),
        (
            '[{"item_id": "q", "text": "Q?", "options": ["a", "b"], "option_order": 1}]',
            "item 1: unknown field 'option_order'; an item has item_id",
        ),
        ('[{"item_id": "q", "text": "Q?", "text": "R?", "options": ["a", "b"]}]', "the key 'text' is given twice"),
        ('[{"item_id": "q", "text": "Q?", "options": "a, b"}]', "options must be a list of texts"),
        ('{"topic_1": {"question_id": "1", "topic": "Q?", "candidates": ["a", "b"]}}', "topic_1: candidates must be lettered"),
        ('{"topic_1": {"question_id": "1", "topic": "Q?", "candidates": {"A": {"stance": "a"}}}}', "topic_1: item '1': at least two"),
        ('{"t": {"topic": "Q?", "candidates": {"A": {"stance": "a"}, "A": {"stance": "b"}}}}', "the key 'A' is given twice"),
        (
            '{"s": {"question_id": 1, "topic": "Q?", "candidates": {"A": {"stance": "a"}, "B": {"stance": "b"}}}, '
            '"t": {"question_id": 1, "topic": "R?", "candidates": {"A": {"stance": "a"}, "B": {"stance": "b"}}}}',
            "item_id '1' stands twice",
        ),
    ],
)
def test_documents_that_are_none(tmp_path, text, words):
    with pytest.raises(TableError, match=words) as e:
        read_survey(put(tmp_path / "club.json", text))
    assert str(e.value).startswith("club.json")


def test_the_layout_of_the_papers_code(tmp_path):
    data = {
        f"topic_{n}": {
            "question_id": f"Q{n}_W26",
            "topic": f"Is {n} big?",
            "candidates": {letter: {"stance": s} for letter, s in zip("ABCD", stances, strict=False)},
        }
        for n, stances in enumerate((("Yes, very", "None", "Refused"), ("a", "b")), 1)
    }
    survey = read_survey(put(tmp_path / "context.json", json.dumps(data)))
    assert survey["Q1_W26"] == Item("Q1_W26", "Is 1 big?", ["Yes, very", "None"], refusals=["Refused"]) and len(survey) == 2


# OpinionQA


@pytest.fixture
def wave(tmp_path):
    folder = tmp_path / "human_resp" / "American_Trends_Panel_W7"
    folder.mkdir(parents=True)
    info = pd.DataFrame(
        {
            "key": ["CATS_W7", "DAYS_W7", "WHICH_W7", "SAFE_W7", "TIES_W7"],
            "option_mapping": "{}",
            "question": [
                'How many "cats", if any, live with you?',
                "How was,\nall in all, the week?",
                "Which one?",
                "Safer or not?",
                "Which?",
            ],
            "references": [
                ["One, or two", "None", "More", "Refused"],
                ["Good", "It's bad", "Refused"],
                ["x", "y", "Not sure", "Refused"],
                ["Safer", "Less safe", "The same", "Refused"],
                ["a", "b", "c"],
            ],
            "option_ordinal": [[1.0, 0.0, 2.0], [1.0, 2.0], [1, 1, 1], [1.0, 2.0, 1.5], [1, 1, 2]],
        }
    )
    info.to_csv(folder / "info.csv")
    pd.DataFrame({"key": ["SEX", "RACE"], "options": [["Male", "Female"], ["White", "Black", "Other"]]}).to_csv(folder / "metadata.csv")
    return folder


def test_opinionqa(wave):
    survey = read_survey(wave)
    assert survey["CATS_W7"] == Item(
        "CATS_W7", 'How many "cats", if any, live with you?', ["None", "One, or two", "More"], [0, 1, 2], ["Refused"]
    )
    assert survey["DAYS_W7"].options == ("Good", "It's bad") and "\n" in survey["DAYS_W7"].text
    assert survey["WHICH_W7"].options == ("x", "y", "Not sure") and not survey["WHICH_W7"].ordinal and not survey["TIES_W7"].ordinal
    assert survey["SAFE_W7"].options == ("Safer", "The same", "Less safe") and survey["SAFE_W7"].values == (1, 1.5, 2)
    assert read_survey(wave.parent).items == survey.items


def test_waves_come_in_the_order_of_their_numbers(wave):
    for number in (10, 9):
        folder = wave.with_name(f"American_Trends_Panel_W{number}")
        folder.mkdir()
        text = (wave / "info.csv").read_text(encoding="utf-8").replace("_W7", f"_W{number}")
        (folder / "info.csv").write_text(text, encoding="utf-8")
    assert [i.item_id for i in read_survey(wave.parent)][::5] == ["CATS_W7", "CATS_W9", "CATS_W10"]
    (wave.with_name("copy")).mkdir()
    (wave.with_name("copy") / "info.csv").write_text((wave / "info.csv").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(TableError, match="W7/info.csv, row 2: item_id 'CATS_W7' stands twice, first at copy/info.csv, row 2"):
        read_survey(wave.parent)


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("['x', 'y', 'Not sure', 'Refused']", "x, y", "row 4, column 'references': a list such as"),
        ("['x', 'y', 'Not sure', 'Refused']", "__import__('os').getcwd()", "row 4, column 'references': a list such as"),
        ("['x', 'y', 'Not sure', 'Refused']", "['x', 'x', 'y']", "row 4: item 'WHICH_W7': option 'x' stands there twice"),
        ("['x', 'y', 'Not sure', 'Refused']", "['x', '', 'y']", "row 4: item 'WHICH_W7': every option must be a text"),
        ("['x', 'y', 'Not sure', 'Refused']", "['x', 'y']", "row 4, column 'option_ordinal': 3 positions for 2 options"),
        ('"[1, 1, 1]"', '"[1, nan, 1]"', "row 4, column 'option_ordinal': a list such as"),
        ("option_ordinal", "ordinals", "there is no column option_ordinal"),
    ],
)
def test_opinionqa_that_is_wrong(wave, old, new, words):
    text = (wave / "info.csv").read_text(encoding="utf-8")
    assert old in text
    (wave / "info.csv").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(TableError, match=words) as e:
        read_survey(wave)
    assert "American_Trends_Panel_W7/info.csv" in str(e.value)


def test_a_folder_without_info(tmp_path):
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(TableError, match="an OpinionQA folder holds info.csv.*this one holds x.txt"):
        read_survey(tmp_path)


# SPSS and Stata


def spss(path, **more):
    pyreadstat = pytest.importorskip("pyreadstat")
    frame = pd.DataFrame(
        {
            "trust": [1.0, 2.0, 3.0, 99.0, None],
            "pet": [1.0, 2.0, 8.0, 1.0, 2.0],
            "age": [18.0, 30.0, 99.0, 50.0, 60.0],
            "weight": [0.5, 1, 2, 1, 1],
            "code": ["a", "b", "a", "", "b"],
        }
    )
    options = {
        "column_labels": {"trust": 'How much do you "trust", all in all?', "pet": "Which pet?"},
        "variable_value_labels": {
            "trust": {3.0: "A lot", 1.0: "None", 2.0: "Some, perhaps", 99.0: "Who knows"},
            "pet": {1.0: "Cat", 2.0: "NA", 8.0: "Don't know"},
            "age": {99.0: "99 or older"},
            "code": {"a": "Aye", "b": "Bee"},
        },
        "missing_ranges": {"trust": [99]},
        "variable_measure": {"trust": "ordinal", "pet": "nominal"},
    } | more
    pyreadstat.write_sav(frame, str(path), **options)
    return path


def test_spss(tmp_path):
    survey = read_survey(spss(tmp_path / "a.sav"))
    assert [i.item_id for i in survey] == ["trust", "pet", "code"]
    assert survey["trust"] == Item(
        "trust", 'How much do you "trust", all in all?', ["None", "Some, perhaps", "A lot"], [1, 2, 3], ["Who knows"]
    )
    assert survey["pet"] == Item("pet", "Which pet?", ["Cat", "NA"], refusals=["Don't know"]) and survey["code"] == Item(
        "code", "code", ["Aye", "Bee"]
    )
    assert read_survey(tmp_path / "a.sav", items=["pet"], ordinal=["pet"])["pet"].values == (1, 2)
    assert read_survey(spss(tmp_path / "r.sav", missing_ranges={"trust": [{"lo": 3, "hi": 99}]}))["trust"].refusals == (
        "A lot",
        "Who knows",
    )


@pytest.mark.parametrize(
    "more, arguments, words",
    [
        ({}, {"items": ["trust", "dog"]}, "there is no variable 'dog'; there are trust, pet, age, weight, code"),
        ({}, {"items": ["age"]}, "variable 'age' has 1 labelled values, and an item needs two"),
        ({}, {"items": ["weight"]}, "variable 'weight' has 0 labelled values"),
        (
            {"variable_value_labels": {"pet": {1.0: "Cat", 2.0: "cat", 3.0: "Dog"}}},
            {},
            "variable 'pet': item 'pet': option 'Cat' stands there twice",
        ),
        (
            {"variable_value_labels": {"pet": {1.0: "Cat", 2.0: " ", 3.0: "Dog"}}},
            {},
            "value 2.0 of variable 'pet' has an empty label; label it, or leave",
        ),
        ({"variable_value_labels": {}}, {}, "there is no question in it"),
    ],
)
def test_spss_that_is_wrong(tmp_path, more, arguments, words):
    with pytest.raises(TableError, match=words) as e:
        read_survey(spss(tmp_path / "a.sav", **more), **arguments)
    assert str(e.value).startswith("a.sav")


def test_a_file_that_only_claims_to_be_spss(tmp_path):
    pytest.importorskip("pyreadstat")
    for name in ("a.sav", "a.dta", "a.por"):
        with pytest.raises(TableError, match=f"{name}: this cannot be read as"):
            read_survey(put(tmp_path / name, "hello"))


def test_stata(tmp_path):
    pyreadstat = pytest.importorskip("pyreadstat")
    frame = pd.DataFrame({"q": pd.Series([1, 2, "a", 1], dtype=object), "x": [0.5, 1, 2, 3]})
    pyreadstat.write_dta(
        frame,
        str(tmp_path / "a.dta"),
        column_labels={"q": "Well, “so”?"},
        variable_value_labels={"q": {1: "None", 2: "a, b", "a": "Would not say", "i": ".i:  Inapplicable"}},
        missing_user_values={"q": ["a", "i"]},
    )
    assert read_survey(tmp_path / "a.dta")["q"] == Item("q", "Well, “so”?", ["None", "a, b"], refusals=["Would not say"])
    assert read_survey(tmp_path / "a.dta", ordinal="all")["q"].values == (1, 2)


def test_words_for_refusals_in_many_spellings(tmp_path):
    for label in ("-9. Refused", ".d:  Do not know", "(VOL.) Refused", "DON’T KNOW (Vol.)", "dk.", "99: No answer", "Refused/Web blank"):
        text = json.dumps([{"item_id": "q", "text": "Q?", "options": ["Yes", "1. No", label]}])
        assert read_survey(put(tmp_path / "a.json", text))["q"].refusals == (label,), label
    for label in ("Not sure", "Neither", "None", "NA", "No", "Other"):
        text = json.dumps([{"item_id": "q", "text": "Q?", "options": ["Yes", "Perhaps", label]}])
        assert read_survey(put(tmp_path / "a.json", text))["q"].refusals == ()


def test_old_spss_encodings(tmp_path):
    pyreadstat = pytest.importorskip("pyreadstat")
    pyreadstat.write_sav(pd.DataFrame({"q": [1.0]}), str(tmp_path / "a.sav"), variable_value_labels={"q": {1.0: "café", 2.0: "thé"}})
    raw = (tmp_path / "a.sav").read_bytes()
    assert "café".encode() in raw
    assert read_survey(tmp_path / "a.sav")["q"].options == ("café", "thé")


@given(
    shown=st.lists(
        labels.filter(lambda s: len(s.encode()) <= 120 and "\0" not in s and s == s.strip() and _bare_label(s) not in NOT_ASKED),
        min_size=2,
        max_size=5,
        unique_by=lambda o: o.strip().casefold(),
    ),
    ordinal=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_labels_through_spss(shown, ordinal, tmp_path_factory):
    pytest.importorskip("pyreadstat")
    item = Item("q", "Well?", shown, [5 * i for i in range(len(shown))] if ordinal else None)
    path = write_responses(pd.DataFrame({"q": [*shown, None]}), tmp_path_factory.mktemp("s") / "a.sav", item)
    assert read_survey(path, refusals=None)["q"] == item


# Qualtrics


def choices(*labels, **more):
    return {
        "Choices": {str(i): {"Display": label} for i, label in enumerate(labels, 1)},
        "ChoiceOrder": [str(i) for i in range(1, len(labels) + 1)],
        **more,
    }


def question(qid, kind, selector, text, **payload):
    payload = {
        "QuestionText": text,
        "DataExportTag": payload.pop("tag", qid.replace("QID", "Q")),
        "QuestionType": kind,
        "Selector": selector,
        "QuestionID": qid,
        **payload,
    }
    return {
        "SurveyID": "SV_1",
        "Element": "SQ",
        "PrimaryAttribute": qid,
        "SecondaryAttribute": text[:20],
        "TertiaryAttribute": None,
        "Payload": payload,
    }


def logic(*terms):
    group = {
        str(i): {
            "LogicType": "Question",
            "Operator": operator,
            "LeftOperand": f"q://{qid}/SelectableChoice/{choice}",
            "Type": "Expression",
            **({"Conjuction": join} if i else {}),
        }
        for i, (qid, choice, operator, join) in enumerate(terms)
    }
    return {"DisplayLogic": {"0": {**group, "Type": "If"}, "Type": "BooleanExpression", "inPage": False}}


def qsf(*extra):
    questions = [
        question(
            "QID1",
            "MC",
            "SAVR",
            "<p>Did you <b>vote</b>?</p>",
            tag="vote",
            **choices("Yes, I did", "No", "Can&rsquo;t say", AnalyzeChoices={"3": "No"}),
        ),
        question(
            "QID2",
            "MC",
            "MAVR",
            "Which news?",
            tag="news",
            Choices={"1": {"Display": "TV"}, "2": {"Display": "None", "ExclusiveAnswer": True}, "3": {"Display": "Radio&nbsp;&amp; web"}},
            ChoiceOrder=[1, 3, "2"],
            **logic(("QID1", 1, "Selected", "")),
        ),
        question(
            "QID3",
            "Matrix",
            "Likert",
            "How often do you feel<br>",
            tag="mood",
            SubSelector="SingleAnswer",
            Answers={"1": {"Display": "Never"}, "2": {"Display": "Often"}, "9": {"Display": "Prefer not to say"}},
            AnswerOrder=["1", "2", "9"],
            **choices("calm", "", "NA"),
            ChoiceDataExportTags={"1": "mood_calm"},
        ),
        question(
            "QID4",
            "TE",
            "SL",
            "Your age?",
            tag="age",
            Validation={
                "Settings": {
                    "Type": "ContentType",
                    "ContentType": "ValidNumber",
                    "ValidNumber": {"Min": "18", "Max": "", "NumDecimals": "0"},
                }
            },
        ),
        question("QID5", "TE", "ML", "Anything else, ${q://QID1/ChoiceGroup/SelectedChoices}?", **logic(("QID1", 1, "NotSelected", ""))),
        question(
            "QID6",
            "MC",
            "NPS",
            "Would you recommend it?",
            Choices=[{"Display": str(i)} for i in range(11)],
            ChoiceOrder=[str(i) for i in range(11)],
        ),
        question(
            "QID7", "Slider", "HSLIDER", "How warm?", Configuration={"CSSliderMin": 0, "CSSliderMax": 100}, **choices("Party A", "Party B")
        ),
        question("QID8", "DB", "TB", "Welcome"),
        question("QID9", "Timing", "PageTimer", "Timing"),
        question("QID10", "MC", "DL", "Thrown away", **choices("a", "b")),
        question(
            "QID11",
            "Matrix",
            "Likert",
            "Which of these",
            SubSelector="MultipleAnswer",
            Answers={"1": {"Display": "Home"}, "2": {"Display": "Work"}},
            **choices("Cat"),
            **logic(("QID1", 1, "Selected", ""), ("QID2", 1, "Selected", "Or")),
        ),
        *extra,
    ]
    blocks = [
        {"Type": "Default", "ID": "BL_b", "BlockElements": [{"Type": "Question", "QuestionID": f"QID{i}"} for i in (4, 5, 6)]},
        {"Type": "Trash", "ID": "BL_t", "BlockElements": [{"Type": "Question", "QuestionID": "QID10"}]},
        {
            "Type": "Standard",
            "ID": "BL_a",
            "BlockElements": [
                {"Type": "Question", "QuestionID": "QID8"},
                {"Type": "Page Break"},
                *({"Type": "Question", "QuestionID": f"QID{i}"} for i in (1, 2, 3, 9)),
            ],
        },
        {
            "Type": "Standard",
            "ID": "BL_c",
            "BlockElements": [
                {"Type": "Question", "QuestionID": q["PrimaryAttribute"]}
                for q in questions[6:]
                if q["PrimaryAttribute"] not in ("QID8", "QID9", "QID10")
            ],
        },
    ]
    flow = {
        "Type": "Root",
        "Flow": [
            {"Type": "Block", "ID": "BL_a"},
            {"Type": "BlockRandomizer", "Flow": [{"Type": "Standard", "ID": "BL_b"}, {"Type": "Standard", "ID": "BL_c"}]},
        ],
    }
    return {
        "SurveyEntry": {"SurveyName": "x"},
        "SurveyElements": [
            {"Element": "BL", "Payload": blocks},
            {"Element": "FL", "Payload": flow},
            {"Element": "QC", "Payload": None},
            *questions,
        ],
    }


def test_qualtrics(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        survey = read_survey(put(tmp_path / "a.qsf", json.dumps(qsf())))
    assert [i.item_id for i in survey] == ["vote", "news", "mood_calm", "mood_3", "age", "Q5", "Q6", "Q7_1", "Q7_2", "Q11_1"]
    assert survey["vote"] == Item("vote", "Did you vote?", ["Yes, I did", "No"], refusals=["Can’t say"])
    assert survey["news"] == Item(
        "news", "Which news?", ["TV", "Radio & web", "None"], kind="multiple", exclusive=["None"], ask_if={"vote": ["Yes, I did"]}
    )
    assert survey["mood_3"] == Item(
        "mood_3", "How often do you feel\nNA", ["Never", "Often"], [1, 2], ["Prefer not to say"], battery="mood"
    )
    assert (
        survey["age"] == Item("age", "Your age?", kind="number", minimum=18)
        and survey["Q5"].kind == "text"
        and "${q://QID1" in survey["Q5"].text
    )
    assert str(survey["Q5"].ask_if) == "vote is not Yes, I did" and survey["Q6"].options[:2] == ("0", "1") and survey["Q6"].values[-1] == 10
    assert survey["Q7_2"] == Item("Q7_2", "How warm?\nParty B", kind="number", minimum=0, maximum=100)
    assert survey["Q11_1"].kind == "multiple" and survey["Q11_1"].battery == "Q11"
    assert str(survey["Q11_1"].ask_if) == "vote is Yes, I did; or news is TV"


def test_qualtrics_blocks_by_name_and_no_blocks(tmp_path):
    data = qsf()
    whole = read_survey(put(tmp_path / "a.qsf", json.dumps(data)))
    data["SurveyElements"][0]["Payload"] = {str(i): b for i, b in enumerate(data["SurveyElements"][0]["Payload"])}
    assert read_survey(put(tmp_path / "a.qsf", json.dumps(data))).items == whole.items
    del data["SurveyElements"][:2]
    assert {i.item_id for i in read_survey(put(tmp_path / "a.qsf", json.dumps(data)))} == {i.item_id for i in whole} | {"Q10"}


def test_what_is_not_read_of_qualtrics_is_said(tmp_path):
    extra = [
        question("QID12", "RO", "DND", "Rank", **choices("a", "b")),
        question("QID13", "MC", "SAVR", "Then?", **choices("a", "b"), **logic(("QID1", 1, "Selected", ""), ("QID1", 2, "Selected", "And"))),
        question("QID14", "MC", "SAVR", "And?", **choices("a", "b"), **logic(("QID99", 1, "Selected", ""))),
    ]
    with pytest.warns(UserWarning, match=r"a.qsf: 3 not read: Q12 \(RO DND\), the display logic of Q13, the display logic of Q14"):
        survey = read_survey(put(tmp_path / "a.qsf", json.dumps(qsf(*extra))))
    assert survey["Q13"].ask_if is None and "Q12" not in [i.item_id for i in survey]


@pytest.mark.parametrize(
    "extra, words",
    [
        (
            question("QID12", "MC", "SAVR", "Two?", tag="two", **choices("a", "<b>A</b>")),
            "question 'two': item 'two': option 'a' stands there twice",
        ),
        (question("QID12", "MC", "SAVR", "Two?", tag="two", **choices("a", "<img src='x.png'>")), "question 'two': .*not empty, got ''"),
        (question("QID12", "MC", "SAVR", "", tag="two", **choices("a", "b")), "question 'two': item 'two': the question's text is empty"),
        (question("QID12", "MC", "SAVR", "Two?", tag="vote", **choices("a", "b")), "item_id 'vote' stands twice"),
    ],
)
def test_qualtrics_that_is_wrong(tmp_path, extra, words):
    with pytest.raises(TableError, match=words) as e:
        read_survey(put(tmp_path / "a.qsf", json.dumps(qsf(extra))))
    assert str(e.value).startswith("a.qsf")


def test_nothing_is_ever_evaluated():
    source = "".join(
        (Path(__file__).resolve().parent.parent / "persona_kit" / f"{m}.py").read_text(encoding="utf-8")
        for m in ("surveys", "survey_files", "benchmarks")
    )
    called = {
        n.func.id
        for n in ast.walk(ast.parse(source.replace("from __future__", "#")))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    assert not called & {"eval", "exec", "compile", "__import__"}


@pytest.mark.parametrize("module, name", [("pyreadstat", "a.sav"), ("pyreadstat", "a.dta"), ("yaml", "a.yaml")])
def test_a_library_that_is_not_installed_is_named(tmp_path, monkeypatch, module, name):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'{name}: .* pip install "persona_kit\[files\]"'):
        read_survey(put(tmp_path / name, "- x"))


# Real files


@needs_shared
def test_real_opinionqa_questions():
    survey = read_survey(SHARED / "opinionqa_questions_1394.csv.gz")
    raw = pd.read_csv(SHARED / "opinionqa_questions_1394.csv.gz", keep_default_na=False)
    assert len(survey) == raw["question_id"].nunique() == 1394
    for item_id, part in raw.groupby("question_id"):
        assert set(survey[item_id].shown) == set(part["option"])
    assert sum("None" in i.options for i in survey) > 0 and all("Refused" not in i.options for i in survey)


@needs_shared
def test_real_opinionqa_counts():
    with pytest.warns(UserWarning, match="98 items have a value for some options only and are read as nominal, such as"):
        survey = read_survey(SHARED / "opinionqa_394_counts.csv.gz")
    assert len(survey) == 394 and all(i.refusals == ("Refused",) for i in survey)
    assert sum(i.ordinal for i in survey) == 296 and "No difference" in survey["BETTERBIZ1F2D_W36"].options


@needs_shared
def test_a_real_question_that_is_wrong():
    path = SHARED / "opinionqa_overall_distributions.csv.gz"
    with pytest.raises(TableError, match="row 1798: item 'POLICY3_W42': option 'neither better nor worse .* stands there twice"):
        read_survey(path)
    with pytest.warns(UserWarning, match="1 questions were left out; the first: .*POLICY3_W42"):
        assert len(read_survey(path, errors="skip")) == 649


@needs_shared
def test_real_questions_without_names():
    path = SHARED / "globalopinionqa_sample_distributions.csv.gz"
    survey = read_survey(path, columns={"item_id": "question", "text": "question"}, refusals=None)
    frame = pd.read_csv(path, keep_default_na=False, dtype=str)
    assert len(survey) == frame["question"].nunique() == 1213
    for item in survey:
        assert set(item.options) == set(frame["option"][frame["question"] == item.text])


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_numbers_and_texts_read_back(ending, tmp_path):
    number, text = Item("n", "How many?", kind="number", minimum=0, maximum=9), Item("t", "Why?", kind="text")
    asked = Survey([number, text, Item("q", "?", ("None", "a, b"))])
    assert list(read_survey(write_survey(asked, tmp_path / f"s.{ending}"))) == list(asked)


def test_a_scale_with_labels_at_its_ends_only_is_no_choice_of_two(tmp_path):
    pyreadstat = pytest.importorskip("pyreadstat")
    labels = {"q": {1.0: "Not at all", 7.0: "Very"}, "yes": {1.0: "Yes", 5.0: "No", 9.0: "Refused"}}
    people = pd.DataFrame({"q": [1.0, 4.0, 7.0, 4.0, 2.5], "yes": [1.0, 5.0, 9.0, 1.0, 5.0]})
    pyreadstat.write_sav(people, str(tmp_path / "a.sav"), variable_value_labels=labels)
    said = r"3 answers of variable 'q' have no label: 2.5, 4, between those labelled 'Not at all' and 'Very'; label all values"
    with pytest.raises(TableError, match=said):
        read_survey(tmp_path / "a.sav", items=["q"])
    with pytest.warns(UserWarning, match=f"1 questions were left out.*{said}"):
        found = read_survey(tmp_path / "a.sav")
    assert [i.item_id for i in found] == ["yes"] and found["yes"].options == ("Yes", "No") and found["yes"].refusals == ("Refused",)
