"Asking all kinds of items, in conversation and by rules; stated distributions, coded answers, wordings and templates."

import json
import math
import os
import signal
import subprocess
import sys
import time

import misbehaving
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_engine import SURVEY
from test_engine import people as sampled
from test_engine import run as interrupted
from test_simulation import AGREE, BALLOT, Fake, by_name, people

from persona_kit.benchmarks import load_benchmark, wide_answers, write_responses
from persona_kit.chat import ChatModel, ReplyStore
from persona_kit.measures import coding_agreement, reply_rates
from persona_kit.personas import prompt
from persona_kit.replies import LETTERS, parse_choice, parse_distribution, parse_multiple, parse_number, parse_text
from persona_kit.simulation import _described, _Study, aask, ask, plan, requests
from persona_kit.survey_files import read_survey, write_survey
from persona_kit.surveys import Item, Survey, accepts, answer_text, read_answer, topic_survey
from persona_kit.tables import TableError, check, read, write
from persona_kit.templates import Template, read_template, templates

PLACES = ("Television", "Radio", "Newspapers, printed or online", "Friends and family", "None of these")


# ---- what is read

SEVERAL = {
    (0, 2): [
        "A, C",
        "A and C",
        "A C",
        "A,C",
        "(A), (C)",
        "[A] [C]",
        "A; C",
        "A & C",
        "A\nC",
        "- A\n- C",
        "* A\n* C",
        "**A**, **C**",
        "AC",
        "a, c",
        "A, C.",
        "Answer: A, C",
        "My answers are A and C.",
        "The letters are: A, C",
        "I choose A and C",
        '["A", "C"]',
        '{"answers": ["A", "C"]}',
        '{"answer": ["C", "A", "A"]}',
        '```json\n{"answers": ["A", "C"]}\n```',
        '{"A": true, "B": false, "C": true, "D": false, "E": false}',
        "C, A",
        "A, C because I have little time",
        "A. Television\nC. Newspapers, printed or online",
        "Television, Newspapers, printed or online",
        "1. Television\n2. Newspapers, printed or online",
        "Television and newspapers, printed or online.",
        "<think>B?</think>A, C",
        "A, C\n\nI watch and read a lot.",
        "A: Television; C: Newspapers, printed or online",
    ],
    (0, 1, 2, 3): ["A, B, C, D", "ABCD", "A, B, C, and D"],
    (1,): ["B", "Radio", "B. Radio", "Radio.", '["Radio"]', "B, because I drive", "I choose B."],
    (4,): ["E", "None of these", "None", "None of the above.", '{"answers": ["None of these"]}'],
    (): ["[]", '{"answers": []}'],
}
NOT_SEVERAL = [
    "",
    " ",
    "A or B",
    "A, B or C",
    "A, F",
    "A. Radio",
    "BAD",
    "CA B2",
    "A friend told me",
    "I like Television, but Radio too sometimes",
    "Television is a waste and Radio too",
    "A, B, but not C",
    "Not A",
    "A, B, wait, C",
    "7",
    "A/B/Z",
    '{"answers": ["A", "Z"]}',
    '{"answers": [1]}',
    '{"answers": "many"}',
    "Both",
    "All my friends",
]


@pytest.mark.parametrize("places, reply", [(p, r) for p, replies in SEVERAL.items() for r in replies])
def test_lists(places, reply):
    assert parse_multiple(reply, PLACES) == (list(places), "ok")


@pytest.mark.parametrize("reply", NOT_SEVERAL)
def test_what_is_no_list(reply):
    assert parse_multiple(reply, PLACES) == (None, "invalid")


def test_lists_that_refuse_or_name_none():
    for reply in (
        "As an AI, I do not watch television.",
        "I'd rather not say",
        "I cannot answer that",
        "As a language model, A and B mean nothing to me",
    ):
        assert parse_multiple(reply, PLACES) == (None, "refusal")
    for reply in ("none", "None.", "None of them apply", "nothing", "no options"):
        assert parse_multiple(reply, PLACES[:4]) == ([], "ok")
    assert parse_multiple("All of the above", PLACES[:3]) == ([0, 1, 2], "ok")
    assert parse_multiple("A", ["B", "A"]) == (None, "invalid") and parse_multiple("A, B", ["B", "A"]) == (None, "invalid")
    assert parse_multiple("A lot, Some", ["Some", "A lot"]) == ([0, 1], "ok") and parse_multiple("AC", ["Fan", "AC", "Oil"])[0] in (
        None,
        [1],
    )
    assert parse_multiple(None, PLACES) == (None, "invalid")


NUMBERS = {
    7: [
        "7",
        "7.",
        " 7 ",
        "seven",
        "Seven.",
        "7 hours",
        "7hours",
        "7h",
        "about 7",
        "Around 7 hours a day.",
        "I'd say 7.",
        "The answer is 7",
        "Answer: 7",
        "**7**",
        "$7",
        "7%",
        "7.0",
        '{"answer": 7}',
        '{"answer": "7 hours"}',
        '{"number": 7.0}',
        "7 (seven)",
        "It is 7 o'clock",
        "roughly 7 or so",
        "I am 7 years old.",
        "＄7",
        "<think>3 or 9</think>7",
        "\\boxed{7}",
    ],
    40_000: ["40,000", "40000", "$40,000 a year", "40k", "40 thousand", "40 000", "US$ 40,000.00", "40'000"],
    1_500_000: ["1.5 million", "1,500,000", "1.5m"],
    -3: ["-3", "minus 3", "−3", "-3.0 degrees"],
    0.5: ["0.5", ".5", "0.5 hours"],
}
NO_NUMBERS = [
    "",
    "many",
    "3-5",
    "3–5",
    "3 to 5",
    "3 - 5",
    "between 3 and 5",
    "3 or 4",
    "more than 5",
    "at least 5",
    "5+",
    "5 or more",
    "<5",
    ">5",
    "up to 5",
    "less than 5 hours",
    "2020-01-05",
    "05/01/2020",
    "7:30",
    "at 7:30 pm",
    "1/2",
    "2,5",
    "1,2,3",
    "1e9",
    "5 hours on 2 days",
    "not 5",
    "3, maybe 4",
    "covid-19",
    "A4",
    "v2.0.1",
    "1.2.3",
    "NaN",
    "inf",
    "½",
    '{"answer": true}',
    '{"answer": null}',
    '{"answer": 3, "b": {"c": 4}',
    "one or two",
    "a dozen or so",
    "40-ish",
]


@pytest.mark.parametrize("number, reply", [(n, r) for n, replies in NUMBERS.items() for r in replies])
def test_numbers(number, reply):
    assert parse_number(reply) == (number, "ok")


@pytest.mark.parametrize("reply", NO_NUMBERS)
def test_what_is_no_number(reply):
    assert parse_number(reply) == (None, "invalid")


def test_numbers_within_bounds():
    assert parse_number("24", 0, 24) == (24, "ok") and parse_number("0", 0, 24) == (0, "ok")
    assert parse_number("25", 0, 24) == parse_number("-1", 0, 24) == (None, "invalid")
    assert parse_number("8/10", 0, 10) == parse_number("8 out of 10", 0, 10) == (8, "ok") and parse_number("8/10", 0, 100) == (
        None,
        "invalid",
    )
    for reply in ("I don't know", "As an AI, I have no age", "I prefer not to say", "I'm sorry, but I cannot answer 100 questions"):
        assert parse_number(reply) == (None, "refusal")


STATED = [
    '{"A": 60, "B": 40}',
    '{"A": "60%", "B": "40 %"}',
    '{"a": 60, "b": 40}',
    '{"Joe Biden": 60, "Donald Trump": 40}',
    '{"answer": {"A": 60, "B": 40}}',
    '{"A": 0.6, "B": 0.4}',
    "A: 60%, B: 40%",
    "A: 60, B: 40",
    "A: 60%\nB: 40%",
    "A - 60%\nB - 40%",
    "A – 60%, B – 40%",
    "A-60%, B-40%",
    "A=60; B=40",
    "**A**: 60%\n**B**: 40%",
    "- A: 60%\n- B: 40%",
    "B: 40%\nA: 60%",
    "A. Joe Biden (Democrat): 60%\nB. Donald Trump (Republican): 40%",
    "Joe Biden - 60%\nDonald Trump - 40%",
    "A (60%) and B (40%)",
    "60% A, 40% B",
    "60% for A and 40% for B",
    "60% Joe Biden, 40% Donald Trump",
    "Sure! Here it is:\nA: 60%\nB: 40%",
    "A: 60%\nB: 40%\nTotal: 100%",
    "A: 60 percent, B: 40 percent",
    '```json\n{"A": 60, "B": 40}\n```',
]
NOT_STATED = [
    "",
    "A",
    "60/40",
    "A: 60%",
    "A: 60%, B: 60%",
    "A: 10%, B: 10%",
    "A: 57%, B: 37.9%",
    "A: 65%, B: 40.1%",
    "A: -10%, B: 110%",
    '{"A": -5, "B": 105}',
    '{"A": 60, "B": "most"}',
    '{"A": 60, "B": true}',
    '{"A": 60, "B": null}',
    '{"A": 60, "Z": 40}',
    "A: 50%, A: 50%",
    "A: 60%, B: 40%, C: 0%",
    "A: 60%, B: 40%, A: 0%",
    "60% A",
    "I am 60% sure it is A",
    '{"A": 1e400, "B": 0}',
    '{"A": NaN, "B": 100}',
    "A: 100% B",
    "60% and 40%",
]


@pytest.mark.parametrize("reply", STATED)
def test_stated_distributions(reply):
    shares, status = parse_distribution(reply, BALLOT)
    assert status == "ok" and shares == pytest.approx([0.6, 0.4])


@pytest.mark.parametrize("reply", NOT_STATED)
def test_what_states_no_distribution(reply):
    assert parse_distribution(reply, BALLOT) == (None, "invalid")


def test_distributions_and_their_sum():
    assert parse_distribution("A: 47.5%\nB: 47.5%", BALLOT)[0] == [0.5, 0.5] and parse_distribution("A: 47.5%\nB: 47.4%", BALLOT)[0] is None
    assert parse_distribution("A: 60\nB: 45", BALLOT)[0] == pytest.approx([60 / 105, 45 / 105])
    assert parse_distribution("I cannot put numbers on that.", BALLOT) == (None, "invalid") and parse_distribution(
        "I cannot say", BALLOT
    ) == (None, "refusal")
    assert (
        parse_distribution("A: 30%, B: 70%", ("x", "y", "No answer"), 1) == ([0.3, 0.7, 0.0], "ok")
        and parse_distribution("A: 30, B: 70", ("x", "y", "z"))[0] is None
    )
    assert parse_distribution("A. $1-5: 30%\nB. $6-10: 70%", ("$1-5", "$6-10"))[0] == [0.3, 0.7]
    assert parse_distribution("10-20 years: 30%\nOver 20 years: 70%", ("10-20 years", "Over 20 years"))[0] == [0.3, 0.7]


def test_texts():
    assert parse_text("  It rains\nmore. ") == ("It rains\nmore.", "ok") and parse_text("I don't know much, but it rains") == (
        "I don't know much, but it rains",
        "ok",
    )
    assert parse_text("**No answer.**", ["No answer"]) == ("No answer", "refusal") and parse_text("No answer")[1] == "refusal"
    for text in (
        "I'm sorry, but I cannot answer that.",
        "As an AI language model, I have no home.",
        "I’d rather not say.",
        "I prefer not to answer",
        "No comment.",
    ):
        assert parse_text(text) == (None, "refusal"), text
    for text in (
        "I can't say enough good about it.",
        "Sorry about the delay; I like trains.",
        "I won't vote for them because of the roads.",
        "As an AI engineer I use it daily... no, as a nurse",
    ):
        assert parse_text(text)[1] == "ok" or "As an AI" in text
    assert parse_text(" \n") == parse_text(None) == (None, "invalid")


# ---- properties of the parsers

WORDS = st.sampled_from(
    [
        "the",
        "I",
        "not",
        "A",
        "B",
        "C",
        "Yes",
        "and",
        ",",
        ".",
        "60%",
        "40",
        "-",
        ":",
        "{",
        "}",
        "[",
        '"A"',
        "none",
        "none of these",
        "No",
        "because",
        "\n",
        "or",
        "100",
        "(",
        "%",
        "½",
        "é",
    ]
)
TEXT = st.text(max_size=60) | st.lists(WORDS, max_size=14).map(" ".join)
OPTIONS = st.lists(
    st.text(st.characters(), min_size=1, max_size=10) | WORDS, min_size=2, max_size=6, unique_by=lambda o: o.strip().casefold()
)


@settings(max_examples=400, deadline=None)
@given(TEXT, OPTIONS)
def test_no_parser_raises_or_leaves_its_range(text, options):
    places, status = parse_multiple(text, options)
    assert status in ("ok", "refusal", "invalid") and (places is None) == (status != "ok")
    assert places is None or (places == sorted(set(places)) and all(0 <= p < len(options) for p in places))
    shares, status = parse_distribution(text, options)
    assert (shares is None) == (status != "ok") and (
        shares is None or (math.isclose(sum(shares), 1) and all(0 <= s <= 1 for s in shares) and len(shares) == len(options))
    )
    number, status = parse_number(text, -5, 50)
    assert (number is None) == (status != "ok") and (number is None or -5 <= number <= 50)
    assert parse_text(text, options)[1] in ("ok", "refusal", "invalid")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.from_regex(r"[a-z]{3,8} [a-z]{3,8}", fullmatch=True), min_size=2, max_size=8, unique=True), st.data())
def test_every_list_of_letters_or_labels_is_read(labels, data):
    chosen = sorted(data.draw(st.sets(st.integers(0, len(labels) - 1), min_size=1)))
    between = data.draw(st.sampled_from([", ", "; ", "\n", " and ", " & ", ",", "\n- "]))
    style = data.draw(st.sampled_from(["{0}", "{0}.", "({0})", "{1}", "{0}. {1}", "{0}) {1}", "**{0}**"]))
    text = between.join(style.format(LETTERS[i], labels[i]) for i in chosen)
    assert parse_multiple(text, labels) == (chosen, "ok"), text
    assert parse_multiple(json.dumps({"answers": [LETTERS[i] for i in chosen]}), labels) == (chosen, "ok")


@settings(max_examples=300, deadline=None)
@given(
    st.integers(-(10**9), 10**9),
    st.sampled_from(["{:d}", "{:,}", "about {:d}", "{:,} people", '{{"answer": {:d}}}', "**{:d}**", "I would say {:d}."]),
)
def test_whole_numbers_are_read(number, style):
    assert parse_number(style.format(number)) == (number, "ok")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=2, max_size=8), st.sampled_from(["{}: {}%", "{}. {}", "{} - {} %", "{} ({}%)"]))
def test_percentages_are_read_exactly_if_they_sum_to_about_a_hundred(shares, style):
    options = [f"option {w}" for w in "pqrstuvw"[: len(shares)]]
    text = "\n".join(style.format(LETTERS[i], s) for i, s in enumerate(shares))
    for reply in (text, json.dumps({LETTERS[i]: s for i, s in enumerate(shares)})):
        found, _ = parse_distribution(reply, options)
        if 95 <= sum(shares) <= 105:
            assert found == pytest.approx([s / sum(shares) for s in shares])
        elif sum(shares) > 2:
            assert found is None


# ---- answers as text

NEWS = Item(
    "news", "Where do you get news?", PLACES, kind="multiple", exclusive=["None of these"], at_most=3, refusals=["Prefer not to say"]
)
HOURS = Item("hours", "How many hours a day?", kind="number", minimum=0, maximum=24, refusals=["Do not know"])
WHY = Item("why", "What do you like about it?", kind="text", refusals=["Rather not say"])
VOTE = Item("vote", "Did you vote?", ["Yes", "No"], refusals=["Refused"])
MIXED = Survey([VOTE, NEWS, HOURS, WHY])


def test_answers_as_text_and_back():
    for item, answer, text in [
        (NEWS, ["Radio", "Television"], '["Television", "Radio"]'),
        (NEWS, [], "[]"),
        (HOURS, 7.0, "7"),
        (HOURS, 7.25, "7.25"),
        (WHY, "[]", "[]"),
        (VOTE, "Yes", "Yes"),
        (NEWS, "Prefer not to say", "Prefer not to say"),
        (HOURS, "Do not know", "Do not know"),
    ]:
        assert answer_text(item, answer) == text and accepts(item, read_answer(item, text))
        assert sorted(read_answer(item, text)) == sorted(answer) if isinstance(answer, list) else read_answer(item, text) == answer
    for item, bad in [(NEWS, ["Radio", "None of these"]), (NEWS, list(PLACES[:4])), (HOURS, 25), (VOTE, "Maybe"), (WHY, " ")]:
        with pytest.raises(ValueError, match=f"item '{item.item_id}'"):
            answer_text(item, bad)
    for item, bad in [(NEWS, "Radio"), (NEWS, '{"a": 1}'), (HOURS, "many"), (HOURS, None)]:
        with pytest.raises(ValueError, match="is no answer to it"):
            read_answer(item, bad)


# ---- all kinds


def kinds(request):
    "A reply in the form that the last message asks for."
    text = request.messages[-1]["content"]
    letters = [line[0] for line in text.splitlines() if any(p in line for p in PLACES[:2])]
    return (
        "7.5 hours"
        if "number only" in text
        else ", ".join(letters) or "A"
        if "letters only" in text
        else "It is fun."
        if "own words" in text
        else "A"
    )


def test_all_kinds_are_asked_and_kept(tmp_path):
    model = Fake(kinds)
    answers = ask(people(3), MIXED, model, seed=1)
    assert len(answers) == 12 and answers["status"].isin(["ok", "refusal"]).all()
    by_item = answers.set_index(["persona_id", "item_id"])["option"].unstack()
    assert (
        by_item["news"].eq('["Television", "Radio"]').all() and by_item["hours"].eq("7.5").all() and by_item["why"].eq("It is fun.").all()
    )
    assert answers["value"].dropna().tolist() == [7.5] * 3 and answers["raw"].notna().all()
    for kind, order in answers.set_index("item_id")["order"].items():
        item = MIXED[kind]
        assert sorted(order) == sorted(item.shown) and (not item.refusals or order[-1] == item.refusals[-1])
    orders = {tuple(o) for o in ask(people(40), NEWS, model, seed=1)["order"]}
    assert len(orders) > 30  # drawn, as for a single choice
    back = read(write(answers, tmp_path / "a.parquet", "answers"), "answers")
    pd.testing.assert_frame_equal(back, answers)
    wide = wide_answers(answers, MIXED)
    assert wide["news"].tolist() == [["Television", "Radio"]] * 3 and wide["hours"].tolist() == [7.5] * 3
    for ending in ("csv", "parquet", "sav"):
        write_responses(wide, tmp_path / f"r.{ending}", MIXED)
    folder = ask(people(3), MIXED, model, seed=1, out=tmp_path / "parts", part=2)
    pd.testing.assert_frame_equal(read(folder, "answers"), answers)


@pytest.mark.parametrize(
    "item, reply, status, option, reason",
    [
        (NEWS, '["E"]', "ok", '["None of these"]', None),
        (NEWS, "A, E", "invalid", None, "these do not go together: Television, None of these"),
        (NEWS, "A, B, C, D", "invalid", None, "more than 3"),
        (NEWS, "F", "refusal", None, "Prefer not to say"),
        (NEWS, "A, F", "invalid", None, "these do not go together: Television, Prefer not to say"),
        (NEWS, "A and more", "invalid", None, None),
        (NEWS, {"text": "A, B", "status": "truncated"}, "truncated", None, None),
        (HOURS, "24", "ok", "24", None),
        (HOURS, "24.5", "invalid", None, None),
        (HOURS, "Do not know", "refusal", None, "Do not know"),
        (HOURS, '{"answer": "Do not know"}', "refusal", None, "Do not know"),
        (HOURS, "I don't know", "refusal", None, None),
        (HOURS, {"text": "1", "status": "truncated"}, "truncated", None, None),
        (HOURS, {"text": "", "status": "filtered", "reason": "by the endpoint"}, "filtered", None, "by the endpoint"),
        (WHY, "A. Nothing, really: <b>5 & 6</b>", "ok", "A. Nothing, really: <b>5 & 6</b>", None),
        (WHY, "rather not say", "refusal", None, "Rather not say"),
        (WHY, "As an AI, I cannot like things.", "refusal", None, None),
        (WHY, {"text": "It was long and", "status": "truncated"}, "truncated", None, None),
        (WHY, " ", "invalid", None, None),
    ],
)
def test_every_reply_has_its_row(item, reply, status, option, reason):
    row = ask(people(1), item, Fake(lambda r: reply), shuffle=False).iloc[0]
    assert (
        row["status"] == status
        and (row["option"] == option if option else pd.isna(row["option"]))
        and (row["reason"] == reason if reason else pd.isna(row["reason"]))
    )
    assert row["raw"] == (reply["text"] if isinstance(reply, dict) else reply)


def test_the_form_of_the_reply():
    model = Fake(kinds, embedded=True)
    ask(people(1), MIXED, model, shuffle=False)
    by_text = {r.messages[-1]["content"].splitlines()[0]: r for r in model.seen}
    assert by_text[VOTE.text].choices == ("A", "B", "C") and by_text[WHY.text].schema is None and by_text[WHY.text].max_tokens == 200
    several, alone = by_text[NEWS.text].schema["properties"]["answers"]["anyOf"]
    assert (
        several["items"]["enum"] == ["A", "B", "C", "D"]
        and several["maxItems"] == 3
        and alone["items"]["enum"] == ["E", "F"]
        and alone["maxItems"] == 1
    )
    number, words = by_text[HOURS.text].schema["properties"]["answer"]["anyOf"]
    assert number == {"type": "integer", "minimum": 0, "maximum": 24} and words["enum"] == ["Do not know"]
    assert (
        "no more than 3" in by_text[NEWS.text].messages[-1]["content"]
        and '"None of these" only by itself' in by_text[NEWS.text].messages[-1]["content"]
    )
    assert "from 0 to 24, or with: Do not know" in by_text[HOURS.text].messages[-1]["content"]
    half = Item("h", "?", kind="number", minimum=0.5)
    (free,), (held,) = ([*requests(people(1), half, Fake(), constrain=c)] for c in (False, True))
    assert free.schema is None and held.schema["properties"]["answer"] == {"type": "number", "minimum": 0.5}


@pytest.mark.parametrize(
    "item, mode", [(NEWS, "probability"), (HOURS, "distribution"), (WHY, "reason"), (WHY, "open"), (NEWS, "open"), (HOURS, "probability")]
)
def test_modes_that_do_not_suit_a_kind(item, mode):
    model = Fake()
    with pytest.raises(
        ValueError,
        match=rf"item '{item.item_id}' is of kind '{item.kind}', and mode '{mode}' is for .*ask it in mode 'choice'.*leave it out",
    ):
        ask(people(), Survey([VOTE, item]), model, mode=mode)
    assert not model.seen


def test_reasons_before_other_kinds():
    model = Fake(lambda r: "Five, I think." if "two or three sentences" in r.messages[-1]["content"] else kinds(r))
    answers = ask(people(1), Survey([NEWS, HOURS]), model, mode="reason")
    assert answers["status"].eq("ok").all() and answers["reason"].eq("Five, I think.").all() and answers["prompt_tokens"].eq(20).all()
    assert [m["role"] for m in model.seen[-1].messages] == ["system", "user", "assistant", "user"]


# ---- conversations and rules

PANEL = Survey(
    [
        VOTE,
        Item("whom", "Whom did you vote for?", BALLOT, ask_if={"vote": ["Yes"]}),
        HOURS,
        Item("often", "Is that often?", AGREE, [1, 2, 3, 4, 5], ask_if={"hours": {"min": 5}}),
        NEWS,
    ]
)


def test_a_conversation_remembers_what_was_answered():
    model = Fake(
        lambda r: (
            "I like the radio best."
            if "Where do" in r.messages[-1]["content"]
            else "6"
            if "number only" in r.messages[-1]["content"]
            else "A"
        )
    )
    answers = ask(people(2), Survey([VOTE, NEWS, HOURS, WHY]), model, context="sequential", seed=3)
    assert answers["context"].eq("sequential").all() and answers["status"].tolist() == ["ok", "invalid", "ok", "ok"] * 2
    of_first = [r for r in model.seen if "person 0" in r.messages[0]["content"]]
    assert [len(r.messages) for r in of_first] == [2, 4, 4, 6]  # the list that was none is not remembered
    last = of_first[-1].messages
    assert [m["role"] for m in last] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert (
        last[1] == of_first[0].messages[1] and last[2]["content"] == "A" and HOURS.text in last[3]["content"] and last[4]["content"] == "6"
    )
    assert all(VOTE.text not in m["content"] for m in last[3:])


def test_rules_are_followed_in_both_contexts():
    model = Fake(
        lambda r: (
            "4"
            if "number only" in r.messages[-1]["content"]
            else by_name("Yes" if "person 0" in r.messages[0]["content"] else "No")(r)
            if "Did you vote" in r.messages[-1]["content"]
            else "A"
        )
    )
    for context in ("sequential", "independent"):
        model.seen.clear()
        answers = ask(people(2), PANEL, model, context=context).set_index(["persona_id", "item_id"])
        assert answers["status"].tolist() == ["ok", "ok", "ok", "skipped", "ok", "ok", "skipped", "ok", "skipped", "ok"]
        row = answers.loc[("OH-1-00001", "whom")]
        assert (
            row["reason"] == "not asked: only if vote is Yes"
            and pd.isna(row["request_key"])
            and pd.isna(row["option"])
            and row["raw"] == ""
        )
    assert len(model.seen) == 7 and all(len(r.messages) == 2 for r in model.seen)


def test_each_draw_is_its_own_interview():
    model = Fake(lambda r: "A" if r.draw == 0 else "B")
    answers = ask(people(3), Survey([VOTE, Item("again", "Really?", ["Yes", "No"])]), model, context="sequential", draws=2, shuffle=False)
    second = [r for r in model.seen if "Really?" in r.messages[-1]["content"]]
    assert {(r.draw, r.messages[2]["content"]) for r in second} == {(0, "A"), (1, "B")}
    assert answers["option"].tolist() == ["Yes", "No"] * 6
    alone = ask(
        people(3), VOTE, model, context="sequential", draws=2, shuffle=False
    )  # one item is no conversation, and asks what is asked alone
    assert alone["request_key"].tolist() == answers.loc[answers["item_id"].eq("vote"), "request_key"].tolist()


def test_requests_of_a_persona_stand_together():
    model = Fake(lambda r: "A")
    ask(people(4), Survey([VOTE, *topic_survey("climate")]), model, context="sequential")
    who = [r.messages[0]["content"][-1] for r in model.seen]
    assert sorted(set(who)) == list("0123") and all(who.count(w) == 7 for w in set(who))
    for r in model.seen:
        assert r.messages[0]["content"].endswith(f"person {r.messages[0]['content'][-1]}")
    by_person = [[r.messages for r in model.seen if r.messages[0]["content"][-1] == w] for w in "0123"]
    assert all(
        b[: len(a)] == a for turns in by_person for a, b in zip(turns, turns[1:], strict=False)
    )  # each prompt begins with the one before


def test_what_was_answered_does_not_depend_on_a_failure():
    broken = [True]

    def sometimes(r):
        return (
            {"text": None, "status": "error", "reason": "out of luck"} if broken[0] and "hours" in r.messages[-1]["content"] else kinds(r)
        )

    model = Fake(sometimes)
    whole = ask(people(2), PANEL, Fake(kinds), context="sequential")
    first = ask(people(2), PANEL, model, context="sequential")
    assert (
        first["status"].tolist()[2:5] == ["error"] * 3
        and first["reason"].tolist()[3:5] == ["not asked: 'hours' before it has no answer yet"] * 2
    )
    assert len(model.seen) < 2 * 4
    alone = ask(people(1), PANEL, model).set_index("item_id")
    assert (
        alone["status"].to_dict() == {"vote": "ok", "whom": "ok", "hours": "error", "often": "error", "news": "ok"}
        or alone.loc["vote", "option"] == "No"
    )
    broken[0] = False
    pd.testing.assert_frame_equal(ask(people(2), PANEL, model, context="sequential"), whole)


def test_the_end_of_a_persona_with_another_status():
    answers = ask(people(3, status=["ok", "contradiction", "ok"]), PANEL, Fake(kinds), context="sequential")
    assert (
        answers["status"].tolist()[5:10] == ["contradiction"] * 5
        and answers["reason"].tolist()[5] == "not asked: the persona's status is contradiction"
    )
    assert ask(people(0), PANEL, Fake(kinds), context="sequential").empty


@pytest.mark.parametrize("context", ["independent", "sequential"])
def test_shards_give_what_the_whole_gives(context):
    model, whole = Fake(kinds), people(6)
    together = ask(whole, PANEL, model, context=context, draws=2, seed=4)
    parts = pd.concat(
        [ask(whole.iloc[i : i + 2], PANEL, model, context=context, draws=2, seed=4) for i in range(0, 6, 2)], ignore_index=True
    )
    pd.testing.assert_frame_equal(parts, together)


# ---- with a server


@pytest.fixture(scope="module")
def server():
    yield (server := misbehaving.Server())
    server.shutdown()
    server.server_close()


def endpoint(url, **settings):
    return ChatModel("m", base_url=url, **({"store": False, "retries": 0, "concurrency": 4} | settings))


def test_stored_conversations_are_not_asked_again(server):
    url = server.url("interviewee")
    model = endpoint(url)
    told = plan(people(10), PANEL, model, context="sequential").iloc[-1]
    assert (
        told[["requests", "stored", "to_send", "unknown"]].tolist() == [50, 0, 50, 40]
        and len(requests(people(10), PANEL, model, context="sequential")) == 10
    )
    first = ask(people(10), PANEL, model, context="sequential")
    asked, skipped = len(server.seen(url)), int(first["status"].eq("skipped").sum())
    assert asked == 50 - skipped and 0 < skipped < 20 and model.usage["sent"] == asked
    before = model.usage
    pd.testing.assert_frame_equal(ask(people(10), PANEL, model, context="sequential"), first)
    assert (
        len(server.seen(url)) == asked and model.usage["stored"] - before["stored"] == asked == model.usage["requests"] - before["requests"]
    )
    told = plan(people(10), PANEL, model, context="sequential").iloc[-1]
    assert told[["requests", "stored", "to_send", "unknown"]].tolist() == [asked, asked, 0, 0]
    assert {model.key(r) for r in requests(people(10), PANEL, model, context="sequential")} == set(first["request_key"].dropna())
    bigger = ask(people(12), PANEL, model, context="sequential")
    pd.testing.assert_frame_equal(bigger.iloc[:50], first)


def test_a_question_that_fails_ends_the_interview_and_is_told(server):
    survey = Survey([VOTE, Item("p", "Is poison bad?", ["Yes", "No"]), HOURS])
    answers = ask(people(3), survey, endpoint(server.url("interviewee")), context="sequential")
    assert (
        answers["status"].tolist() == ["ok", "error", "error"] * 3
        and answers["reason"].iloc[2] == "not asked: 'p' before it has no answer yet"
    )
    assert "out of luck" in answers["reason"].iloc[1]


CHILD = """
import sys
from test_asking import PANEL, endpoint, people
from persona_kit.simulation import ask
ask(people(40), PANEL, endpoint(sys.argv[1], store=sys.argv[2]), context="sequential", out=sys.argv[3], part=5)
"""


def test_a_killed_conversation_goes_on_where_it_was(server, tmp_path):
    url, store, out = server.url("interviewee"), tmp_path / "s.sqlite", tmp_path / "answers"
    child = subprocess.Popen([sys.executable, "-c", CHILD, url, str(store), str(out)], cwd=os.path.dirname(__file__))
    while len(server.seen(url)) < 60:
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    time.sleep(0.3)
    kept, seen = len(ReplyStore(store)), len(server.seen(url))
    assert seen - 4 <= kept + 4 and kept >= 50
    folder = ask(people(40), PANEL, endpoint(url, store=store), context="sequential", out=out, part=5)
    whole = ask(people(40), PANEL, endpoint(server.url("interviewee")), context="sequential")
    pd.testing.assert_frame_equal(read(folder, "answers"), whole)
    assert len(server.seen(url)) <= int(whole["request_key"].notna().sum()) + (seen - kept)  # only what was in flight is asked twice
    with pytest.raises(ValueError, match="holds the answers of another call: other context"):
        ask(people(40), PANEL, endpoint(url, store=store), out=out, part=5)


def test_an_interrupted_conversation_returns_what_is_there(server, tmp_path):
    url, store = server.url("slow_letter"), tmp_path / "s"
    done = interrupted(
        "answers = ask(people(60), SURVEY, m, seed=1, context='sequential'); print(answers['status'].value_counts().to_dict())",
        url,
        store,
        1,
    )
    kept = len(ReplyStore(store))
    assert done.returncode == 0 and f"'ok': {kept}" in done.stdout and f"'error': {240 - kept}" in done.stdout and 16 <= kept < 200, (
        done.stderr  # of the twenty that were sent four may be under way
    )
    model = endpoint(url, store=store)
    assert ask(sampled(60), SURVEY, model, seed=1, context="sequential")["status"].eq("ok").all() and model.usage["sent"] == 240 - kept


def test_retry_within_a_conversation(server):
    url = server.url("wavering")
    model = endpoint(url, concurrency=1)
    survey = Survey([VOTE, Item("again", "Really?", ["Yes", "No"])])
    first = ask(people(2), survey, model, context="sequential")
    assert "refusal" in set(first["status"])
    for _ in range(3):
        again = ask(people(2), survey, model, context="sequential", retry={"refusal": 3})
    assert again["status"].eq("ok").all()
    pd.testing.assert_frame_equal(ask(people(2), survey, model, context="sequential"), again)


# ---- stated distributions


def test_a_stated_distribution_gives_a_drawn_answer_in_the_canonical_order():
    def shares(r):
        lines = [line for line in r.messages[-1]["content"].splitlines() if line[1:2] == "."]
        return json.dumps({line[0]: 80 if "Biden" in line else 20 for line in lines})

    ballot, model = Item("b", "Whom?", BALLOT), Fake(shares)
    answers = ask(people(400), ballot, model, mode="distribution", seed=2)
    assert all(np.allclose(p, [0.8, 0.2]) for p in answers["probabilities"]) and {tuple(o) for o in answers["order"]} == {
        BALLOT,
        BALLOT[::-1],
    }
    share = answers["option"].eq(BALLOT[0]).mean()
    assert abs(share - 0.8) < 4 * math.sqrt(0.8 * 0.2 / 400) and answers["missing_mass"].isna().all()
    pd.testing.assert_frame_equal(ask(people(400), ballot, model, mode="distribution", seed=2), answers)
    assert ask(people(20), ballot, model, mode="distribution", pick="mode")["option"].eq(BALLOT[0]).all()
    even = ask(people(200), ballot, Fake(lambda r: "A: 50, B: 50"), mode="distribution", pick="mode")["option"]
    assert 60 < even.eq(BALLOT[0]).sum() < 140  # of equal ones a drawn one
    (held,) = requests(people(1), ballot, model, mode="distribution", constrain=True)
    assert list(held.schema["properties"]) == ["A", "B"] and held.schema["properties"]["A"]["maximum"] == 100


@pytest.mark.parametrize(
    "reply, status",
    [
        ("A: 50%", "invalid"),
        ("I cannot say", "refusal"),
        ({"text": "A: 50%", "status": "truncated"}, "truncated"),
        ("C: 100, A: 0, B: 0", "ok"),
    ],
)
def test_other_stated_distributions(reply, status):
    row = ask(people(1), VOTE, Fake(lambda r: reply), mode="distribution", shuffle=False).iloc[0]
    refused = status == "ok"
    assert row["status"] == ("refusal" if refused else status) and pd.isna(row["option"])
    assert (
        (row["probabilities"] == [0, 0, 1] and row["reason"] == "Refused")
        if refused
        else row["probabilities"] is None or pd.isna(row["probabilities"])
    )


def test_the_largest_probability_can_be_taken():
    tokens = [{"token": "A", "logprob": math.log(0.6)}, {"token": "B", "logprob": math.log(0.3)}]
    answers = ask(
        people(30), Item("b", "Whom?", BALLOT), Fake(lambda r: {"text": "A", "logprobs": tokens}), mode="probability", pick="mode"
    )
    assert (answers["option"] == answers["order"].str[0]).all()
    with pytest.raises(ValueError, match="unknown pick 'best'; one of draw, mode"):
        ask(people(), VOTE, Fake(), mode="probability", pick="best")


# ---- coded answers


def coder(said=lambda text: "Yes" if "did" in text else None):
    "Codes by the words of the answer."

    def code(r):
        text = r.messages[-1]["content"]
        if "The categories are" not in text:
            return {"person 0": "I did.", "person 1": "Who knows?", "person 2": "As an AI, I cannot vote."}.get(
                r.messages[0]["content"].splitlines()[-1], "I did, once."
            )
        label = said(text.split("This was said:\n")[1].split("\n")[0])
        return next(line[0] for line in text.splitlines() if line[1:2] == "." and (label or "None of these") in line)

    return code


def test_free_answers_are_coded_twice():
    model = Fake(coder())
    answers = ask(people(4), VOTE, model, mode="open", seed=1)
    assert answers["option"].iloc[[0, 3]].tolist() == ["Yes", "Yes"] and answers["status"].tolist() == ["ok", "invalid", "refusal", "ok"]
    assert (
        answers["codings"].iloc[0] == ["Yes", "Yes"] and answers["codings"].iloc[1] == [None, None] and answers["codings"].iloc[2] is None
    )
    assert answers["raw"].tolist()[:2] == ["I did.", "Who knows?"] and answers["reason"].iloc[1].startswith("not coded: ")
    coding = [r for r in model.seen if "The categories are" in r.messages[-1]["content"]]
    assert (
        len(coding) == 6
        and all("person" not in r.messages[0]["content"] or "person 0" not in str(r.messages) for r in coding)
        and len({r.seed for r in coding}) == 6
    )
    assert all("A. Yes" not in r.messages[-1]["content"] for r in model.seen if r not in coding)  # options are shown to the coder only
    assert answers["prompt_tokens"].tolist() == [30, 30, 10, 30]


def test_another_model_codes(tmp_path):
    model, other = Fake(coder()), Fake(coder(lambda text: "No"), embedded=True)
    other.id = "other"
    answers = ask(people(2), VOTE, model, mode="open", coder=other, codings=3)
    assert (
        answers["codings"].tolist() == [["No"] * 3] * 2
        and len(model.seen) == 2
        and len(other.seen) == 6
        and other.seen[0].choices == ("A", "B", "C", "D")
    )
    back = read(write(answers, tmp_path / "a.parquet", "answers"), "answers")
    pd.testing.assert_frame_equal(back, answers)
    for bad, words in (({"codings": 0, "mode": "open"}, "codings must be at least 1"), ({"coder": other}, "coder= belongs to mode 'open'")):
        with pytest.raises(ValueError, match=words):
            ask(people(2), VOTE, model, **bad)
    with pytest.raises(ValueError, match="at most 25 can be lettered"):
        ask(people(2), Item("l", "?", [f"option {i}" for i in range(26)]), model, mode="open")


def test_a_coder_behind_another_endpoint(server):
    asked, coding = server.url("slow_letter"), server.url("letter")
    model, other = endpoint(asked), ChatModel("coder", base_url=coding, store=False, prices=(1.0, 1.0))
    told = plan(people(5), VOTE, model, mode="open", coder=other).set_index("step")
    assert (
        told.loc["text", "requests"] == 5
        and told.loc["coding", ["requests", "unknown"]].tolist() == [10, 10]
        and len(requests(people(5), VOTE, model, mode="open", coder=other)) == 5
    )
    answers = ask(people(5), VOTE, model, mode="open", coder=other)
    assert (
        answers["status"].isin(["ok", "refusal"]).all()
        and len(server.seen(asked)) == 5
        and len(server.seen(coding)) == 10
        and other.usage["sent"] == 10
    )
    assert {b["model"] for b in server.seen(coding)} == {"coder"}
    pd.testing.assert_frame_equal(ask(people(5), VOTE, model, mode="open", coder=other), answers)
    assert len(server.seen(coding)) == 10 and plan(people(5), VOTE, model, mode="open", coder=other)["to_send"].iloc[-1] == 0


def test_a_code_to_a_refusal_and_a_code_that_failed():
    assert ask(people(1), VOTE, Fake(coder(lambda text: "Refused")), mode="open")[["status", "reason"]].iloc[0].tolist() == [
        "refusal",
        "Refused",
    ]
    failing = Fake(
        lambda r: {"text": None, "status": "error", "reason": "down"} if "The categories are" in r.messages[-1]["content"] else "I did."
    )
    row = ask(people(1), VOTE, failing, mode="open").iloc[0]
    assert row["status"] == "error" and row["reason"] == "not coded yet: down" and row["raw"] == "I did."


@pytest.mark.parametrize("m", [2, 3])
def test_agreement_of_codings_is_that_of_an_independent_implementation(m):
    agreement = pytest.importorskip("nltk.metrics.agreement", reason="nltk is not installed (it comes with the extra text)")
    rng = np.random.default_rng(m)
    table = [
        [rng.choice(["x", "y", "z", None], p=[0.2, 0.2, 0.5, 0.1]) if rng.random() < 0.5 else "x" for _ in range(m)] for _ in range(60)
    ]
    answers = pd.DataFrame({"persona_id": [f"p{i}" for i in range(60)], "item_id": "q", "codings": table})
    found = coding_agreement(answers, n_boot=200).iloc[0]
    task = agreement.AnnotationTask(data=[(j, i, str(label)) for i, row in enumerate(table) for j, label in enumerate(row)])
    assert found[["agreement", "kappa", "alpha"]].tolist() == pytest.approx([task.avg_Ao(), task.kappa(), task.alpha()])
    assert (
        found["n"] == 60
        and found["n_codings"] == m
        and found["uncoded"] == pytest.approx(np.mean([c is None for row in table for c in row]))
    )
    for name in ("", "kappa_", "alpha_"):
        assert found[f"{name}low"] < found[name.strip("_") or "agreement"] < found[f"{name}high"]


def test_agreement_by_item_and_what_has_none():
    ben, gerry = "aabbdcccedda", "babbbccceddd"  # Krippendorff (2011), section B: two observers, nominal data
    answers = pd.DataFrame(
        {"persona_id": [f"p{i}" for i in range(12)], "item_id": "q", "codings": list(map(list, zip(ben, gerry, strict=True)))}
    )
    assert round(coding_agreement(answers)["alpha"].iloc[0], 3) == 0.692
    perfect = answers.assign(item_id="r", codings=[[c, c] for c in ben])
    both = coding_agreement(pd.concat([answers, perfect, perfect.assign(item_id="s", codings=[["a", "a"]] * 12)]), n_boot=50).set_index(
        "item_id"
    )
    assert both.loc["r", ["agreement", "kappa", "alpha"]].tolist() == [1, 1, 1] and both.loc["q", "alpha"] < 0.7
    assert both.loc["s", "agreement"] == 1 and np.isnan(both.loc["s", "alpha"]) and np.isnan(both.loc["s", "kappa"])
    with pytest.raises(ValueError, match="no answer was coded twice"):
        coding_agreement(answers.assign(codings=None))
    with pytest.raises(ValueError, match="some were coded 2 times and some 3 times"):
        coding_agreement(pd.concat([answers, answers.assign(persona_id="x", codings=[["a"] * 3] * 12)]))


def test_designs_are_not_mixed_unasked():
    model = Fake(lambda r: "A")
    both = pd.concat([ask(people(4), VOTE, model, wording=0), ask(people(4), VOTE, model, template="bare")], ignore_index=True)
    with pytest.raises(ValueError, match="mix several values of template"):
        reply_rates(both)
    assert len(reply_rates(both.fillna({"template": "default"}), by="template")) == 4
    skipped = reply_rates(ask(people(4), PANEL, Fake(lambda r: "B"), shuffle=False))
    assert skipped["n"].eq(12).all()  # rules left two items out


# ---- the embedded model


def test_a_questionnaire_with_the_embedded_model(tmp_path):
    pytest.importorskip("xllamacpp", reason="the embedded model is not installed (pip install 'persona_kit[local]')")
    model = ChatModel("embedded", store=tmp_path / "s.sqlite")
    some = people(2, text=["age: 61\nstate: Ohio", "age: 23\nstate: Ohio"])
    answers = ask(some, PANEL, model, context="sequential", seed=1, progress=False)
    assert (
        not answers["status"].isin(["error", "truncated"]).any()
        and answers.loc[answers["item_id"].eq("vote"), "status"].isin(["ok", "refusal"]).all()
    )
    assert answers.loc[answers["item_id"].eq("news"), "status"].isin(["ok", "refusal"]).all()  # held to what goes together
    sent = model.usage["sent"]
    pd.testing.assert_frame_equal(ask(some, PANEL, model, context="sequential", seed=1, progress=False), answers)
    assert model.usage["sent"] == sent


# ---- wordings and templates


def test_paraphrases_stay_with_their_items(tmp_path):
    survey = topic_survey() + load_benchmark("gss_2018_spending", by="party")[0]
    assert all(len(item.paraphrases) >= 2 and len({*item.paraphrases, item.text}) == len(item.paraphrases) + 1 for item in survey)
    assert all(p.endswith("?") for item in survey for p in item.paraphrases)
    odd = Item("odd", "What, then?", ["a", "b"], paraphrases=['Which "one", then?', "Lequel;\nlaquelle ?"])
    for ending in ("csv", "json", "parquet"):
        kept = read_survey(write_survey(survey + odd, tmp_path / f"s.{ending}"))
        assert kept.items == (survey + odd).items
    (tmp_path / "s.yaml").write_text('- {item_id: q, text: "Why?", options: [a, b], paraphrases: ["For what reason?", "How come?"]}\n')
    assert read_survey(tmp_path / "s.yaml")["q"].paraphrases == ("For what reason?", "How come?")
    with pytest.raises(ValueError, match="'q': paraphrases must be a list of texts"):
        Item("q", "Why?", ["a", "b"], paraphrases="How come?")
    with pytest.raises(ValueError, match="a paraphrase must be a text that is not empty"):
        Item("q", "Why?", ["a", "b"], paraphrases=[" "])
    assert "or: Why &lt;b&gt;?" in Survey(Item("q", "Why?", ["a", "b"], paraphrases=["Why <b>?"]))._repr_html_()


def test_wordings_and_templates_are_factors(tmp_path):
    climate, model = topic_survey("climate"), Fake(lambda r: "A")
    plain = ask(people(2), climate, model, seed=1)
    assert not {"wording", "template", "context", "value", "codings"} & set(plain)
    tables = [
        plain,
        *(ask(people(2), climate, model, seed=1, wording=k) for k in (1, 2)),
        *(ask(people(2), climate, model, seed=1, template=t) for t in templates()[1:]),
    ]
    both = check(pd.concat(tables, ignore_index=True), "answers")
    assert both["wording"].value_counts(dropna=False).tolist() == [48, 12, 12] and set(both["template"].dropna()) == {
        "bare",
        "interview",
        "third_person",
    }
    assert (
        both["request_key"].is_unique and (both.groupby(["persona_id", "item_id"])["order"].agg(lambda o: len({*map(tuple, o)})) == 1).all()
    )
    back = read(write(both, tmp_path / "a.parquet", "answers"), "answers")
    assert len(back) == len(both)
    with pytest.raises(ValueError, match="item 'climate_coal_plant' has wordings 0 to 2, got 3"):
        ask(people(2), climate, model, wording=3)
    with pytest.raises(ValueError, match="item 'vote' has wordings 0 to 0, got 1; add paraphrases"):
        ask(people(2), VOTE, model, wording=1)


def test_the_default_template_is_the_old_prompt():
    template, fields = read_template(), {"question": "Q $task?", "options": "A. $x\nB. y"}
    for task in ("choice", "reason"):
        assert template.messages("P $question", [(fields | {"task": template.task(task)}, [])]) == prompt(
            task, persona="P $question", **fields
        )
    assert template.task("answer") == prompt("reason_answer")[0]["content"]


@pytest.mark.parametrize("name", templates())
def test_every_template_has_a_task_for_every_mode_and_kind(name):
    template = read_template(name)
    for mode, survey in (("choice", MIXED), ("reason", Survey([VOTE, NEWS, HOURS])), ("distribution", VOTE), ("open", VOTE)):
        model = Fake(lambda r: "A")
        ask(people(1), survey, model, mode=mode, template=name, context="sequential")
        for r in model.seen:
            assert "$" not in str(r.messages) and ("person 0" in r.messages[0]["content"] or "The categories are" in str(r.messages)), (
                r.messages
            )
    assert template.task("number", HOURS).count("from 0 to 24") == 1 and template == read_template(template)


def test_templates_of_ones_own(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("[user]\nImagine: $persona\n\n$question\n$options\n$task\n[choice]\nOne letter, please.\n")
    model = Fake(lambda r: "A")
    answers = ask(people(1), topic_survey("climate")[:2], model, template=path, context="sequential", shuffle=False)
    name = answers["template"].unique().item()
    assert name.startswith("mine:") and answers["status"].eq("ok").all()
    first, second = (r.messages for r in model.seen)
    assert first[0]["content"].startswith("Imagine: person 0\n\nA coal-fired") and first[0]["content"].endswith("One letter, please.")
    assert "Imagine" not in second[2]["content"] and [m["role"] for m in second] == ["user", "assistant", "user"]
    path.write_text(path.read_text().replace("please", "now"))
    assert read_template(path).name != name and isinstance(read_template(str(path)), Template)
    for text, words in [
        ("Hello", "starts with a line"),
        ("[user]\n$question\n$options\n$task", "nowhere is the .persona"),
        ("[user]\n$persona $question $options", "needs .task"),
        ("[system]\n$persona $age\n[user]\n$question\n$options\n$task", "age is none of the fields"),
        ("[system]\n$persona\n[haiku]\nx", r"has a part \[haiku\]"),
        ("[user]\n$persona\n[system]\n$question", "does not end with a message"),
        ("[system]\n$persona $task\n[user]\n$question\n$options\n$task", "belong into the last"),
    ]:
        path.write_text(text)
        with pytest.raises(TableError, match=f"mine.txt.*{words}"):
            ask(people(1), VOTE, model, template=path)
    with pytest.raises(ValueError, match="no template 'haiku'; there are default, bare, interview, third_person"):
        ask(people(1), VOTE, model, template="haiku")
    with pytest.raises(FileNotFoundError):
        ask(people(1), VOTE, model, template=tmp_path / "none.txt")


# ---- folders


def test_folders_of_older_versions_are_continued_and_designs_told_apart(tmp_path):
    some = pd.DataFrame({"persona_id": ["a", "b"], "weight": 1.0, "tier": "meta", "text": ["x", "y"]})
    model = ChatModel("m", base_url="http://127.0.0.1:9/v1", store=False)
    old = Survey([Item("t", "Trust?", ["a", "b"], [1, 2], ["n"])])
    told = _described(_Study(some, old, model), 10)
    assert set(told) == {"personas", "survey", "prompt", "model", "settings", "mode", "draws", "shuffle", "seed", "constrain", "part"}
    assert told["prompt"] == "4e8d1fef5552c48f" and told["personas"] == "b0bf98e07ea8fafa"  # as version 0.1 wrote them
    item = topic_survey("climate")
    designs = [
        {},
        {"context": "sequential"},
        {"wording": 1},
        {"template": "bare"},
        {"mode": "distribution"},
        {"mode": "distribution", "pick": "mode"},
        {"mode": "open"},
        {"mode": "open", "codings": 3},
    ]
    described = [json.dumps(_described(_Study(some, item, model, **how), 10)) for how in designs]
    assert len(set(described)) == len(designs)


@pytest.mark.parametrize(
    "how, words",
    [
        ({"context": "alone"}, "unknown context 'alone'; one of independent, sequential"),
        ({"draws": 0}, "draws must be at least 1, got 0"),
        ({"haiku": 1}, "haiku"),
    ],
)
def test_what_is_refused_before_anybody_is_asked(how, words):
    model = Fake()
    with pytest.raises((ValueError, TypeError), match=words):
        ask(people(), VOTE, model, **how)
    with pytest.raises((ValueError, TypeError), match=words):
        plan(people(), VOTE, model, **how)
    assert not model.seen


async def _both():
    return await aask(people(2), PANEL, Fake(kinds), context="sequential")


def test_the_coroutine_is_the_function():
    import asyncio

    pd.testing.assert_frame_equal(asyncio.run(_both()), ask(people(2), PANEL, Fake(kinds), context="sequential"))


def test_single_choices_are_read_as_ever():
    assert parse_choice("B", BALLOT) == (1, "ok")
