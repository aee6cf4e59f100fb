"Personas: tiers, their words in four formats, prompts."

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_kit.personas import FORMATS, META, NARRATIVE, OBJECTIVE, SUBJECTIVE, TIERS, WORK, prompt, render, tier_attributes
from persona_kit.tables import STATES, TableError

FACTS = {"age": 34, "sex": "Female", "race_ethnicity": "White", "state": "OH", "education": "Bachelor's degree"}


def people(*rows, **same):
    return pd.DataFrame(
        [{"persona_id": str(i), "tier": "meta", "weight": 1.0, **FACTS, **same, **row} for i, row in enumerate(rows or ({},))]
    )


def test_tiers_add_and_never_replace():
    names = {t: [a.name for a in attributes] for t, attributes in TIERS.items()}
    assert list(TIERS) == ["meta", "objective_tabular", "subjective_tabular", "descriptive"]
    assert all(n[: len(META)] == names["meta"] and len(set(n)) == len(n) for n in names.values())
    assert set(names["objective_tabular"]) < set(names["subjective_tabular"]) and set(WORK) <= set(names["objective_tabular"])
    for a in (*META, *OBJECTIVE, *SUBJECTIVE, NARRATIVE):
        assert "{v}" in a.clause and len(set(map(str.casefold, a.values))) == len(a.values)
    with pytest.raises(ValueError, match="unknown tier 'rich'.*descriptive"):
        tier_attributes("rich")


def test_formats_are_pinned():
    texts = {f: render(people(), f)[0] for f in FORMATS}
    assert texts["list"] == "age: 34\nsex: Female\nrace ethnicity: White\nstate: Ohio\neducation: Bachelor's degree"
    assert json.loads(texts["json"]) == {
        "age": "34",
        "sex": "Female",
        "race_ethnicity": "White",
        "state": "Ohio",
        "education": "Bachelor's degree",
    }
    assert texts["sentence"].startswith("This person is 34 years old. This person is a woman. Their race or ethnicity is White.")
    assert texts["first_person"].endswith("I live in Ohio. My highest education is: Bachelor's degree.")
    assert texts["interview"].startswith("Interviewer: age?\nMe: I am 34 years old.\nInterviewer: sex?\nMe: I am a woman.")


@pytest.mark.parametrize("format", FORMATS)
def test_every_attribute_of_every_tier_can_be_said(format):
    for tier, attributes in TIERS.items():
        row = {a.name: a.values[0] if a.values else "some words" for a in attributes if a.name not in FACTS}
        text = render(people(row, tier=tier), format)[0]
        assert all(v.casefold() in text.casefold() for v in row.values()) and "{" not in text.replace("{", "", format == "json")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "value", ["$persona costs $5", "<script>alert('x')</script>", "{I} {v} {0} %s", 'a "quoted" \\ word', "naïve – 日本 🙂", "x" * 5000, ""]
)
def test_values_are_put_in_as_they_are(format, value):
    text = render(people({"job": value}, tier="objective_tabular"), format)[0]
    assert (json.loads(text)["job"] if format == "json" else text).count(value) >= 1
    assert (
        "Ohio" in prompt("choice", persona=text, question="?", options="A")[0]["content"]
        and text in prompt("choice", persona=text, question="?", options="A")[0]["content"]
    )


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_missing_values_are_left_out(missing):
    assert "education" not in render(people({"education": missing}))[0]
    assert render(people({"age": 34.0}, {"age": None}))[0].startswith("age: 34\n")


def test_own_attributes_in_own_order():
    frame = people({"union_member": "yes", "{odd}": 2.5, "tags": ["a", "b"]})
    assert render(frame, attributes=["union_member", "age"])[0] == "union member: yes\nage: 34"
    assert render(frame, "first_person", attributes=["union_member", "{odd}"])[0] == "My union member: yes. My odd: 2.5."
    assert render(frame, attributes="age")[0] == "age: 34" and render(frame, attributes=("tags",))[0] == "tags: ['a', 'b']"
    assert render(frame.assign(tier="mine"), attributes=["age"])[0] == "age: 34"


@pytest.mark.parametrize(
    "call, words",
    [
        ({"format": "yaml"}, "unknown format 'yaml'.*first_person"),
        ({"attributes": ["age", "shoe_size"]}, "unknown attribute 'shoe_size'.*persona_id"),
        ({"attributes": []}, "no attribute given"),
        ({"attributes": "shoe_size"}, "unknown attribute 'shoe_size'"),
    ],
)
def test_what_render_refuses(call, words):
    with pytest.raises(ValueError, match=words):
        render(people(), **call)


def test_personas_that_cannot_be_rendered():
    with pytest.raises(ValueError, match="unknown tier 'rich'"):
        render(people(tier="rich"))
    with pytest.raises(ValueError, match="persona '0' has no attribute to show"):
        render(people(dict.fromkeys(FACTS)))
    with pytest.raises(TableError, match="repeated"):
        render(people({"persona_id": "x"}, {"persona_id": "x"}))
    assert len(render(people().iloc[:0])) == 0


def test_rows_keep_their_index_and_their_own_tier():
    frame = people({}, {"tier": "descriptive", "narrative": "I sell fish."}).set_axis([7, 7])
    texts = render(frame)
    assert texts.index.tolist() == [7, 7] and "fish" not in texts.iloc[0] and texts.iloc[1].endswith("\nI sell fish.")


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from([a.name for a in SUBJECTIVE]), st.text(min_size=1), min_size=1),
    st.sampled_from(FORMATS),
    st.sampled_from(list(STATES)),
)
def test_any_text_can_be_rendered(values, format, state):
    text = render(people({"state": state, **values}, tier="subjective_tabular"), format)[0]
    assert STATES[state] in text
    if format == "json":
        assert {k: json.loads(text)[k] for k in values} == values


# Prompts


@pytest.mark.parametrize("name", ["choice", "reason", "reason_answer", "descriptive", "objective_tabular", "subjective_tabular"])
def test_prompts_have_their_fields(name):
    fields = dict.fromkeys(("persona", "question", "options", "fields"), "PUT $IN [user]\n[system]")
    messages = prompt(name, **fields)
    assert messages[-1]["role"] == "user" and all(set(m) == {"role", "content"} for m in messages) and len(messages) <= 2
    assert "$persona" not in str(messages)


def test_prompts_that_are_not():
    with pytest.raises(ValueError, match=r"'choice' needs a value for \$\w+; got persona"):
        prompt("choice", persona="x")
    with pytest.raises(FileNotFoundError, match="haiku"):
        prompt("haiku")


def test_a_template_without_roles(tmp_path, monkeypatch):
    monkeypatch.setattr("persona_kit.personas.data_path", lambda name: tmp_path / "bad.txt")
    (tmp_path / "bad.txt").write_text("Hello $persona")
    with pytest.raises(TableError, match="bad.txt.*starts with a line"):
        prompt("bad", persona="x")
