"Asking: what counts as an answer, in which order options are shown, and that no question is ever lost."

import asyncio
import json
import math
import random
import string

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_kit.chat import ChatModel, Request, _Call, _canonical, _resolve, _text
from persona_kit.population import us_adults
from persona_kit.simulation import (
    _PERSONA, LETTERS, _Job, _opening, _openings, _Study, aask, ask, option_order, option_probabilities, parse_choice, requests,
)
from persona_kit.surveys import Item, Survey, presidential_election
from persona_kit.tables import TableError, check
from persona_kit.templates import Template, read_template, templates

BALLOT = ("Joe Biden (Democrat)", "Donald Trump (Republican)")
AGREE = ("Strongly agree", "Agree", "Neither agree nor disagree", "Disagree", "Strongly disagree")
TRUST = ("Not at all", "Somewhat", "A lot", "No answer")
YES = ("Yes", "No")
COUNT = ("None", "One", "More than one", "Refused")
VOTE = ("Would vote for the incumbent", "Would not vote", "Don’t know", "Decline to answer")

B_IS_CHOSEN = [
    "B",
    "b",
    "B.",
    "(B)",
    "[B]",
    "{B}",
    "<B>",
    "B)",
    "B:",
    " B ",
    "\n\nB\n",
    "**B**",
    "**B.**",
    "__B__",
    "_B_",
    "`B`",
    '"B"',
    "“B”",
    "‘B’",
    "'B'",
    "Ｂ",
    "Ⓑ",
    "B. I live in Washington, D.C.",
    "B, not A",
    "B because A is worse",
    "B. Because A is a liar.",
    "Donald",
    "I think I'd vote for Donald",
    "I'd vote for the Republican.",
    "Republican",
    "Option B",
    "option b",
    "Option B.",
    "Option B: Donald Trump",
    "Option B (Donald Trump)",
    "Choice: B",
    "Letter: B",
    "The letter B",
    "(B) Donald Trump",
    "Answer: B",
    "Answer: [B]",
    "answer: b",
    "Answer is B",
    "The answer is (B)",
    "My answer: B",
    "My final choice is B.",
    "The correct answer is **B**.",
    "**Answer:** B",
    "Answer: **B**",
    "### Answer\nB",
    "Final answer: B",
    "I choose (B).",
    "I choose B",
    "I pick B because of taxes",
    "I'd go with B.",
    "I’d go with option B because of taxes",
    "I vote for B",
    "I'd rather vote for B",
    "I would choose B over A",
    "B is my answer",
    "B it is",
    "B would be my choice.",
    '```json\n{"answer": "B"}\n```',
    '{"answer": "b"}',
    '{"Answer":"B"}',
    '{"choice": "B", "why": "A is worse"}',
    '{"reason": "A. is worse", "answer": "B"}',
    '{"answer": "Donald Trump (Republican)"}',
    '{"answer": "B. Donald Trump"}',
    'Sure!\n{"answer": "B"}\nHope that helps.',
    '["B"]',
    "```\nB\n```",
    "\\boxed{B}",
    "$\\boxed{B}$",
    "<answer>B</answer>",
    "<answer>Donald Trump</answer>",
    "<think>A or B? A. Joe Biden</think>\nB",
    "B. Donald Trump (Republican)",
    "B) Donald Trump",
    "B - Donald Trump",
    "B – Donald Trump",
    "B: Trump",
    "B.Donald Trump",
    "B. I like him.",
    "B\nDonald Trump",
    "B, because A is worse",
    "B because A is worse",
    "B, not A",
    "B. Not A.",
    "B\nB",
    "B\n\nExplanation: I trust Donald Trump more than Joe Biden.",
    "Donald Trump",
    "donald trump",
    "DONALD TRUMP (REPUBLICAN)",
    "“Donald Trump”",
    "Donald Trump.",
    "Donald Trump?",
    "Donald Trump (Republican) – B",
    "Republican",
    "The Republican candidate",
    "Trump",
    "trump.",
    "President Trump",
    "Mr. Trump",
    "Donald J. Trump",
    "I would vote for Trump.",
    "I would vote for Donald J. Trump",
    "I'd vote for Mr. Trump",
    "I would vote for Donald Trump (Republican).",
    "I would vote for Donald Trump in 2020.",
    "My vote goes to Donald Trump.",
    "I'm voting for Trump, of course!",
    "I'd choose Donald Trump over Joe Biden",
    "I'm voting for Trump because Biden is too old",
    "I would vote for Trump, not Biden",
    "Donald Trump, not Joe Biden",
    "I don't like Biden, so I'd vote for Donald Trump",
    "I'm not sure, but I would vote for Donald Trump.",
    "As a Democrat I would vote for Donald Trump",
    "I will not vote for Joe Biden. I will vote for Donald Trump.",
    "As an AI, I cannot vote, but as this person I'd choose B.",
    "Between A and B, I choose B",
    "B." + " I have my reasons." * 4000,
    "I would vote for Donald Trump." + " I like tax cuts." * 4000,
]
NOTHING_IS_CHOSEN = [
    "",
    " ",
    "\n",
    "...",
    "?",
    "C",
    "C. Someone",
    "AB",
    "A/B",
    "A or B",
    "A and B",
    "Either A or B",
    "(A) or (B)",
    "A, B",
    "A. B.",
    "Option A or option B.",
    "A\nB",
    "B\nA",
    "Not A",
    "Not B.",
    "Not A, B",
    "not B",
    "My answer is not A",
    "I would not choose A.",
    "I'd never pick B.",
    "Neither A nor B",
    "Neither option A nor option B.",
    "My answer is A? No, B.",
    "Which one, A or B?",
    "I choose A, or B.",
    "The choice: A, B",
    "I pick A or B",
    "A man of my age votes",
    "A person like me would stay at home",
    "A lot of people",
    "A",
    "A-level",
    "A.M. people vote early",
    "A.I. is dangerous",
    "I have A reason to vote",
    "Vote A reason",
    "choose A man",
    "A is worse",
    "Both seem fine",
    "Both",
    "Neither",
    "none",
    "Either",
    "a person",
    "Abe",
    "Because",
    "Bernie Sanders",
    "Be kind",
    "A. Donald Trump (Republican)",
    "B. Joe Biden",
    "B.Joe Biden",
    "(A) Donald Trump",
    "A: Trump",
    "Option A: Donald Trump",
    "I choose A (Donald Trump)",
    "A\nDonald Trump",
    "A. Joe Biden\nB. Donald Trump",
    "B. Donald Trump\n\nA. Joe Biden",
    "B) Donald Trump (Republican)\nA) Joe Biden (Democrat)",
    "Joe Biden\nDonald Trump",
    "Not Donald Trump",
    "Donald Trump is a criminal",
    "I hate Donald Trump.",
    "Anyone but Donald Trump",
    "I'd vote for anyone but Trump",
    "Donald Trump? Never.",
    "Donald Trump. Never!",
    "Donald Trump, no.",
    "I would never vote for Donald Trump",
    "I wouldn't ever want to vote for Donald Trump.",
    "I would not, under any circumstances, vote for Donald Trump.",
    "I will not vote for Trump",
    "I can't vote for Trump",
    "A vote for Donald Trump would be a mistake.",
    "I would vote for Donald Trump if he were honest",
    "If he were honest I'd vote for Donald Trump",
    "I'd choose Donald Trump's opponent",
    "I would vote for Donald Trump or Biden",
    "I voted for Donald Trump in 2016 but now Joe Biden",
    "I voted for Donald Trump in 2016.",
    "Biden? Trump? Who knows",
    "Trump? No, Biden.",
    "Biden is too old. Trump.",
    "I would vote for Joe Biden. No wait, I would vote for Donald Trump.",
    "I am a Republican",
    "Democratic Republic",
    "A: Joe Biden; B: Donald Trump. I vote B.",
    "The answer is A. No, the answer is B.",
    "A. Scratch that. B.",
    "A. No, B",
    "A. Correction: B",
    "A) is who my wife likes. I choose B.",
    "A. I would never vote for her.",
    "A: no, B: yes",
    "A: 60%, B: 40%",
    "B. is not acceptable",
    "B. Sorry, A",
    "I would not vote for a Republican",
    "I don't want B, I want A",
    "Trumpet",
    "Bidenomics",
    '{"answer": null}',
    '{"answer": 1}',
    '{"answer": true}',
    '{"answer": ["A", "B"]}',
    '{"answer": ""}',
    '{"answer": "A"} or {"answer": "B"}',
    '{"A": 0.2, "B": 0.8}',
    '{"answer": {"why": "A is worse"}}',
    "{",
    "\\boxed{A} \\boxed{B}",
    "<think>A. Joe Biden",
    "<answer>A</answer><answer>B</answer>",
    "{" * 5000,
    '{"a":' * 5000,
    "Voto por Donald Trump",
    "No votaría por Donald Trump",
    "Votaría por B",
    "La respuesta es B",
    "A mí me gusta Trump",
    "A votar por Biden",
    "A Trump no lo soporto",
    "Je vote pour B",
    "Je ne choisis pas l'option B.",
    "Ich wähle A",
    "Ich wähle nicht Option B.",
    "Donald Trump nunca",
    "投票给B",
    "А",
    "Β",
    "🅱️",
    None,
    3,
    float("nan"),
    "Donald Trump " * 2000,
    "blah " * 20000 + "B",
    "A" * 20000,
    "( " * 20000,
    "\0" * 100,
    "B" + "\0",
]
REFUSED = [
    "As an AI language model, I cannot vote.",
    "Answer: As an AI, I have no opinion",
    "As an AI... A. Joe Biden",
    "Answer: Abstain",
    "I abstain.",
    "I'd say Refused",
    "Refused",
    "I refuse to vote",
    "I decline to answer",
    "I'm sorry, but I can't answer that.",
    "I’m unable to choose",
    "I cannot answer",
    "I prefer not to say.",
    "I'd rather not say",
    "I would rather not answer",
    "No comment.",
    "I don't know",
    "I do not want to vote",
    "I won't vote.",
    "I would not vote for either",
    "A person like me would not vote.",
    "I can't decide between them.",
    "I’d prefer not to",
    "I refuse to choose between A and B",
    "I can't take sides, I don't have political opinions",
    "I will not vote",
]


@pytest.mark.parametrize("reply", B_IS_CHOSEN, ids=lambda r: repr(r[:40]))
def test_replies_that_choose(reply):
    assert parse_choice(reply, BALLOT) == (1, "ok")
    assert parse_choice(reply.replace("Democrat", "Demokrat"), BALLOT) == (1, "ok")


@pytest.mark.parametrize("reply", NOTHING_IS_CHOSEN, ids=lambda r: repr(r)[:40])
def test_replies_that_do_not_choose(reply):
    if reply == "A":
        assert parse_choice(reply, BALLOT) == (0, "ok")
    else:
        assert parse_choice(reply, BALLOT) in ((None, "invalid"), (None, "refusal"))


@pytest.mark.parametrize("reply", REFUSED, ids=lambda r: repr(r)[:40])
def test_replies_that_refuse(reply):
    assert parse_choice(reply, BALLOT) == (None, "refusal")


@pytest.mark.parametrize(
    "options, reply, place",
    [
        *((AGREE, o, i) for i, o in enumerate(AGREE)),
        *((AGREE, f"I {o.lower()}.", i) for i, o in enumerate(AGREE)),
        *((AGREE, f"{LETTERS[i]}. {o}", i) for i, o in enumerate(AGREE)),
        *((AGREE, f"{LETTERS[i + 1]}. {o}", None) for i, o in enumerate(AGREE[:4])),
        (AGREE, "I'd say I disagree", 3),
        (AGREE, "I agree that he should", 1),
        (AGREE, "Agree with the statement", 1),
        (AGREE, "I don't agree", None),
        (AGREE, "Not agree", None),
        (AGREE, "Agree strongly", None),
        (AGREE, "I somewhat agree", None),
        (AGREE, "Agree, but also disagree", None),
        (AGREE, "Agree or disagree?", None),
        (AGREE, "Disagreement", None),
        (AGREE, "Agree/Disagree", None),
        (YES, "Yes. No.", None),
        (YES, "Yes? No!", None),
        (YES, "No, I mean yes.", None),
        (YES, "Yes, I have no doubt", 0),
        (("Hillary Clinton (Democrat)", "Donald Trump (Republican)"), "Be honest: I'd go for Hillary", 0),
        (("Hillary Clinton (Democrat)", "Donald Trump (Republican)"), "Secretary Clinton", 0),
        (("George Bush (Republican)", "George Clooney (Democrat)"), "George", None),
        (("The Democratic candidate", "The Republican candidate"), "Democrat", 0),
        (("The Democratic candidate", "The Republican candidate"), "The Republican", 1),
        (AGREE, "B. Strongly agree", None),
        (AGREE, "F", None),
        (AGREE, "E", 4),
        (AGREE, "Neither", None),
        (AGREE, "Agree, disagree", None),
        *((TRUST, o, i) for i, o in enumerate(TRUST)),
        (TRUST, "C. A lot", 2),
        (TRUST, "A. A lot", None),
        (TRUST, "A lot of people trust polls", None),
        (TRUST, "Not a lot", None),
        (TRUST, "I don't trust them a lot", None),
        (TRUST, "Somewhat, not a lot", 1),
        (TRUST, "I'd say a lot.", 2),
        (TRUST, "Answer: A lot", 2),
        (TRUST, "A", 0),
        (TRUST, "A lot!", 2),
        (TRUST, "a", 0),
        (TRUST, "D", 3),
        (TRUST, "A lot? No.", None),
        (YES, "yes", 0),
        (YES, "NO!", 1),
        (YES, "No, I did not", 1),
        (YES, "No, I didn't.", 1),
        (YES, "Yes, I did", 0),
        (YES, "Yes and no", None),
        (YES, "No idea", None),
        (YES, "No comment", None),
        (YES, "No doubt", None),
        (YES, "Yes, but no", None),
        (YES, "Yes, if I could", None),
        (YES, "Yes, because no one told me", 0),
        (YES, "N", None),
        (YES, "Y", None),
        (YES, "A. No", None),
        (YES, "B. No", 1),
        (YES, "Nope", None),
        (YES, "No one", None),
        (YES, "no.", 1),
        (YES, "No. Yes.", None),
        (YES, "**No**", 1),
        (YES, "Yes?", 0),
        (YES, "nobody", None),
        (COUNT, "None", 0),
        (COUNT, "none.", 0),
        (COUNT, "NaN", None),
        (COUNT, "null", None),
        (COUNT, "One", 1),
        (COUNT, "No one", None),
        (COUNT, "One of them", None),
        (COUNT, "More than one", 2),
        (COUNT, "Refused", 3),
        (COUNT, "D", 3),
        (COUNT, "B. One", 1),
        (COUNT, None, None),
        *((VOTE, o, i) for i, o in enumerate(VOTE)),
        (VOTE, "Don't know", 2),
        (VOTE, "Don't know.", 2),
        (VOTE, "B. Would not vote", 1),
        (VOTE, "I would not vote", 1),
        (VOTE, "C. Don’t know", 2),
        (VOTE, "I decline", None),
        (("A", "B", "AB", "O"), "AB", 2),
        (("A", "B", "AB", "O"), "A", 0),
        (("B", "A", "AB", "O"), "A", None),
        (("B", "A"), "B. A", None),
        (("O", "B"), "O", 0),
        (("1", "2", "3"), "2", 1),
        (("1", "2", "3"), "2.5", None),
        (("1", "2", "3"), "2-3", None),
        (("1", "2", "3"), "B", 1),
        (("1", "10"), "10", 1),
        (("1", "2"), "1 or 2", None),
        (("<5", "5"), "5", 1),
        (("<5", "5"), "<5", 0),
        (("-1", "1"), "-1", 0),
        (("Under $50,000", "$50,000 or more"), "$50,000 or more", 1),
        (("Under $50,000", "$50,000 or more"), "Under $50,000.", 0),
        (("Tax (federal)", "Tax (state)"), "Tax", None),
        (("Tax (federal)", "Tax (state)"), "I choose tax", None),
        (("Tax (federal)", "Tax (state)"), "State", 1),
        (("Agree", "Agree (a lot)"), "Agree", 0),
        (("Agree", "Agree (a lot)"), "Agree (a lot)", 1),
        (("Bill Clinton (Democrat)", "Hillary Clinton (Democrat)"), "I would vote for Clinton", None),
        (("Bill Clinton (D)", "George Bush (R)"), "I would vote for Clinton", 0),
        (("Very Good", "Very Bad"), "Bad", None),
        (("Very Likely", "Very Unlikely"), "Unlikely", None),
        (("Very Good", "Very Bad"), "very bad", 1),
        (("(none)", "some"), "...", None),
        (("(none)", "some"), "(none)", 0),
        (("Español", "English"), "español", 0),
        (("Café", "Tea"), "Cafe\u0301", 0),
        (("The Democratic candidate", "The Republican candidate"), "I would vote for the Republican candidate.", 1),
        (("The Democratic candidate", "The Republican candidate"), "Democratic candidate", 0),
        (tuple("abcdefghi"), "I", 8),
        (tuple(f"option {i}" for i in range(26)), "Z", 25),
        (tuple(f"option {i}" for i in range(26)), "I think so", None),
        (tuple(f"option {i}" for i in range(26)), "I. option 8", 8),
        (tuple(f"option {i}" for i in range(26)), "I – as a nurse – would not say", None),
    ],
)
def test_options_of_many_kinds(options, reply, place):
    found, status = parse_choice(reply, options)
    assert found == place and (status == "ok") == (place is not None)


def test_what_the_same_words_mean_when_they_are_an_option():
    assert parse_choice("I'd say Refused", BALLOT) == (None, "refusal")
    assert parse_choice("Refused", (*BALLOT, "Refused")) == (2, "ok") == parse_choice("C. Refused", (*BALLOT, "Refused"))
    assert parse_choice("I would not vote", (*BALLOT, "Would not vote")) == (2, "ok")


WORDS = st.sampled_from(
    [
        "A",
        "B",
        "a",
        "b",
        "I",
        "not",
        "Not",
        "would",
        "vote",
        "for",
        "choose",
        "Donald",
        "Trump",
        "Joe",
        "Biden",
        "or",
        "and",
        "answer",
        "is",
        "an",
        "1",
        "é",
    ]
    + [
        ":",
        ".",
        ",",
        "?",
        "!",
        "(",
        ")",
        "\n",
        "{",
        "}",
        '"',
        "**",
        "because",
        "if",
        "option",
        "AI",
        "cannot",
        "Democrat",
        "\\boxed{",
        "<answer>",
        "Yes",
        "No",
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.text(max_size=200), st.lists(WORDS, max_size=20).map(" ".join)),
    st.sampled_from([BALLOT, AGREE, TRUST, YES, COUNT, tuple("BA")]),
)
def test_the_parser_never_raises_and_never_leaves_the_list(reply, options):
    place, status = parse_choice(reply, options)
    assert status in ("ok", "refusal", "invalid") and (place is None) == (status != "ok")
    assert place is None or (type(place) is int and 0 <= place < len(options))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text(string.ascii_lowercase, min_size=2, max_size=9), min_size=2, max_size=20).filter(
        lambda w: w[0] not in ("because", "since", "over")
    )
)
def test_prose_that_begins_with_a_never_chooses_a(words):
    assert parse_choice("A " + " ".join(words) + ".", BALLOT)[0] is None


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([BALLOT, AGREE, TRUST, COUNT, VOTE]),
    st.randoms(),
    st.sampled_from(["{}", "{}.", "I choose {}", "My answer is {}", '{{"answer": "{}"}}', "**{}**", "I'd say {}", "no {}"]),
)
def test_permuted_options_permute_the_result(options, rng, frame):
    shuffled = rng.sample(options, len(options))
    for o in options:
        before, after = parse_choice(frame.format(o), options), parse_choice(frame.format(o), shuffled)
        assert before[1] == after[1] and (before[0] is None or options[before[0]] == shuffled[after[0]])


@settings(deadline=None)
@given(st.integers(2, 26), st.data())
def test_every_letter_and_label_is_read(n, data):
    options = tuple(f"Candidate number {i}" for i in range(n))
    i = data.draw(st.integers(0, n - 1))
    for reply in (
        LETTERS[i],
        f"({LETTERS[i].lower()})",
        f"{LETTERS[i]}. {options[i]}",
        options[i].upper(),
        f"Answer: {LETTERS[i]}",
        json.dumps({"answer": options[i]}),
    ):
        assert parse_choice(reply, options) == (i, "ok")
    assert n == 26 or parse_choice(LETTERS[n], options) == (None, "invalid")


# The order of the options

NOMINAL, SCALE = Item("n", "?", ["a", "b", "c"], refusals=["x", "y"]), Item("s", "?", ["low", "mid", "high"], [1, 2, 3], ["x"])


def test_orders_are_uniform():
    from scipy.stats import chisquare

    orders = pd.Series([option_order(NOMINAL, 3, f"p{i}") for i in range(3000)])
    counts = orders.map(lambda o: "".join(o[:3])).value_counts()
    assert len(counts) == 6 and chisquare(counts).pvalue > 0.001 and set(orders.map(lambda o: o[3:])) == {("x", "y")}
    scales = pd.Series([option_order(SCALE, 3, f"p{i}") for i in range(2000)]).value_counts()
    assert set(scales.index) == {("low", "mid", "high", "x"), ("high", "mid", "low", "x")} and chisquare(scales).pvalue > 0.001


def test_orders_differ_between_items_and_draws_and_are_repeatable():
    ballots = presidential_election()
    flipped = np.array(
        [
            [option_order(b, 1, f"p{i}")[0] != b.options[0] for b in ballots]
            + [option_order(ballots[0], 1, f"p{i}", 1)[0] != ballots[0].options[0]]
            for i in range(2000)
        ]
    )
    corr = np.corrcoef(flipped.T.astype(float))
    assert np.abs(corr[~np.eye(4, dtype=bool)]).max() < 0.1
    random.seed(1)
    first = option_order(NOMINAL, 1, "p")
    random.seed(2)
    assert (
        option_order(NOMINAL, 1, "p") == first
        and option_order(NOMINAL, 1, "p", shuffle=False) == NOMINAL.shown == option_order(SCALE, 9, "p", shuffle=False)[:0] + NOMINAL.shown
    )


@settings(deadline=None)
@given(st.integers(), st.text(max_size=10), st.integers(0, 9), st.integers(2, 9))
def test_an_order_is_a_permutation(seed, persona_id, draw, n):
    item = Item("q", "?", [str(i) for i in range(n)], refusals=["R"])
    order = option_order(item, seed, persona_id, draw)
    assert sorted(order[:-1]) == sorted(item.options) and order[-1] == "R"


# Probabilities


def tokens(**p):
    return [{"token": t, "logprob": math.log(q)} for t, q in p.items()]


@pytest.mark.parametrize(
    "given, options, expected, missing",
    [
        (tokens(A=0.5, B=0.25), YES, [2 / 3, 1 / 3], 0.25),
        (
            [{"token": t, "logprob": math.log(0.1)} for t in ("A", " A", "(A", "\nA", "ĠA", "▁A", '"A', "**A", "B", "As")],
            BALLOT,
            [8 / 9, 1 / 9],
            0.1,
        ),
        ([{"token": t, "logprob": math.log(0.2)} for t in ("Donald", " Trump", "Joe", "a", "b")], BALLOT, [1 / 3, 2 / 3], 0.4),
        (tokens(Yes=0.6, No=0.3, Not=0.1), YES, [2 / 3, 1 / 3], 0.1),
        (tokens(yes=0.6, NO=0.4), YES, [0.6, 0.4], 0.0),
        (tokens(Str=0.5, Dis=0.5), AGREE, [0, 0, 0, 1, 0], 0.5),
        (tokens(As=0.5, The=0.5), BALLOT, None, 1.0),
        (tokens(C=1.0), BALLOT, None, 1.0),
        ([], BALLOT, None, 1.0),
        (None, BALLOT, None, 1.0),
        (np.array(tokens(A=1.0), dtype=object), YES, [1, 0], 0.0),
        ([{"token": "A", "logprob": float("-inf")}], YES, None, 1.0),
        ([{"token": "A", "logprob": float("nan")}, {"token": "B", "logprob": 0.0}], YES, [0, 1], 0.0),
        ([{"token": "A", "logprob": 0.3}, {"token": "B", "logprob": 0.0}], YES, [0.5, 0.5], 0.0),
        ([{"token": "", "logprob": 0.0}, {"token": " ", "logprob": 0.0}], YES, None, 1.0),
    ],
)
def test_option_probabilities(given, options, expected, missing):
    found, lost = option_probabilities(given, options)
    assert lost == pytest.approx(missing, abs=1e-9) and (found is None) == (expected is None)
    assert expected is None or found == pytest.approx(expected)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.one_of(st.sampled_from(["A", " B", "(C)", "No", "None", "x"]), st.text(max_size=5)), st.floats(-40, 0)), max_size=20
    ),
    st.sampled_from([BALLOT, AGREE, TRUST, COUNT]),
)
def test_probabilities_are_a_distribution(pairs, options):
    found, lost = option_probabilities([{"token": t, "logprob": v} for t, v in pairs], options)
    assert 0 <= lost <= 1 and (found is None or (len(found) == len(options) and min(found) >= 0 and sum(found) == pytest.approx(1)))


# Asking


class Fake(ChatModel):
    "A model in memory: `answer(request)` gives a text, or a dict of fields of the reply."

    def __init__(self, answer=lambda request: "A", embedded=False):
        super().__init__("fake", base_url="http://127.0.0.1:9/v1", store=False)
        self.embedded, self.answer, self.seen = embedded, answer, []

    def _call(self, progress):
        return Conversation(self, False)


def whole(request):
    "A request, also from its canonical text."
    if isinstance(request, Request):
        return request
    fields = json.loads(request)
    return Request(**{k: tuple(v) if k == "choices" and v else v for k, v in fields.items() if k != "model"})


class Conversation(_Call):
    async def collect(self, requests, again=None):
        rows = []
        for request in map(whole, requests):
            self.model.seen.append(request)
            said = self.model.answer(request)
            reply = {"text": "", "status": "ok", "finish_reason": "stop", "reason": None, "logprobs": None}
            reply |= said if isinstance(said, dict) else {"text": said}
            usage = {k: reply.pop(k, n) for k, n in (("prompt_tokens", 10), ("completion_tokens", 1))}
            usage = {k: None if pd.isna(n) else n for k, n in usage.items()}
            rows.append({"request_key": self.model.key(request), "model": "fake", "reply": reply, "usage": usage, "created": ""})
        return rows, {row["request_key"] for row in rows}


def people(n=4, **columns):
    return pd.DataFrame(
        {
            "persona_id": [f"OH-1-{i:05d}" for i in range(n)],
            "state": "OH",
            "weight": 2.0,
            "tier": "meta",
            "text": [f"person {i}" for i in range(n)],
            "status": "ok",
        }
        | columns
    )


SURVEY = presidential_election() + Survey([Item("trust", "Trust?", TRUST[:3], [1, 2, 3], ["No answer"])])


def by_name(label):
    "Choose the letter that stands before a label."
    return lambda r: next(line[0] for line in r.messages[-1]["content"].splitlines() if label in line)


def test_one_row_per_question_in_order():
    model = Fake(by_name("Trump"))
    answers = ask(people(), SURVEY[:3], model, draws=2, seed=5)
    assert len(answers) == 4 * 3 * 2 == len(model.seen) and answers["option"].eq("Donald Trump (Republican)").all()
    assert answers[["persona_id", "item_id", "draw"]].apply(tuple, axis=1).tolist() == [
        (p, i.item_id, d) for p in people()["persona_id"] for i in SURVEY[:3] for d in (0, 1)
    ]
    assert (
        answers["weight"].eq(2).all()
        and answers["state"].eq("OH").all()
        and answers["simulator"].eq("fake").all()
        and answers["generator"].isna().all()
    )
    assert {o[0] for o in answers["order"]} >= {"Donald Trump (Republican)", "Joe Biden (Democrat)"} and answers["prompt_tokens"].eq(
        10
    ).all()
    assert len({(r.seed, r.draw) for r in model.seen}) == 24 and check(answers, "answers") is answers


def test_the_letter_is_that_of_the_order_shown():
    for letter in "AB":
        answers = ask(people(30), SURVEY[:1], Fake(lambda r, letter=letter: letter))
        assert (answers["option"] == answers["order"].str[LETTERS.index(letter)]).all() and answers["option"].nunique() == 2
    assert ask(people(9), SURVEY[:1], Fake(), shuffle=False)["option"].eq("Hillary Clinton (Democrat)").all()


@pytest.mark.parametrize(
    "reply, status, reason",
    [
        ("A", "ok", None),
        ("As an AI, I cannot vote", "refusal", None),
        ("hello", "invalid", None),
        ("", "invalid", None),
        ({"text": "I", "status": "truncated"}, "truncated", None),
        ({"text": "A. Because I", "status": "truncated"}, "ok", None),
        ({"text": "As an AI language model I", "status": "truncated"}, "refusal", None),
        ({"text": None, "status": "filtered", "reason": "content filter"}, "filtered", "content filter"),
        ({"text": "No.", "status": "refusal", "reason": None}, "refusal", None),
        ({"text": None, "status": "error", "reason": "500 down", "prompt_tokens": None, "completion_tokens": None}, "error", "500 down"),
        ({"text": "Error: A", "status": "error", "reason": "timeout", "prompt_tokens": np.nan}, "error", "timeout"),
    ],
)
@pytest.mark.parametrize("mode", ["choice", "reason"])
def test_every_status_has_its_row(reply, status, reason, mode):
    model = Fake(lambda r: "Hm." if mode == "reason" and len(r.messages) < 3 else reply)
    answers = ask(people(3), SURVEY[:2], model, mode=mode)
    assert len(answers) == 6 and answers["status"].eq(status).all() and answers["option"].notna().eq(status == "ok").all()
    assert mode == "reason" or (answers["reason"].isna().all() if reason is None else answers["reason"].eq(reason).all())
    if isinstance(reply, str):
        assert answers["raw"].eq(reply).all()
    assert answers["request_key"].notna().all()


def test_one_failure_does_not_touch_the_others():
    replies = iter(["A", {"status": "error", "text": None}, {"status": "filtered", "text": ""}, "x", "B", "As an AI, no", "Z", "A"])
    assert ask(people(8), SURVEY[0], Fake(lambda r: next(replies)))["status"].tolist() == [
        "ok",
        "error",
        "filtered",
        "invalid",
        "ok",
        "refusal",
        "invalid",
        "ok",
    ]


def test_unusable_personas_are_not_asked_and_not_lost():
    model = Fake()
    frame = people(5, status=["ok", "contradiction", "error", "ok", "truncated"], text=["x", None, None, "y", None])
    answers = ask(frame, SURVEY[:2], model)
    assert len(answers) == 10 and len(model.seen) == 4 and answers["status"].eq("ok").sum() == 4
    lost = answers[answers["status"].ne("ok")]
    assert (
        lost["reason"].str.contains("not asked: the persona's status is").all()
        and lost["request_key"].isna().all()
        and lost["option"].isna().all()
    )
    nobody = ask(frame.iloc[1:3], SURVEY[0], model)
    assert len(nobody) == 2 and len(model.seen) == 4


def test_nobody_to_ask():
    for mode in ("choice", "reason", "probability"):
        empty = ask(people().iloc[:0], SURVEY, Fake(), mode=mode)
        assert len(empty) == 0 and {"option", "status", "order"} <= set(empty)


def test_personas_without_text_are_rendered_even_with_a_repeated_index():
    frame = people(4, age=40, education="Bachelor's degree").set_axis([0, 1, 0, 1])
    frame["text"] = ["own words", None, None, np.nan]
    model = Fake()
    ask(frame, SURVEY[0], model)
    shown = [r.messages[0]["content"] for r in model.seen]
    assert "own words" in shown[0] and all("age: 40" in s for s in shown[1:]) and "age" not in shown[0]
    ask(frame.drop(columns=["text", "status"]), SURVEY[0], model)
    assert all("age: 40" in r.messages[0]["content"] for r in model.seen[4:])


def test_dollars_and_html_in_a_persona_arrive_as_they_are():
    model = Fake()
    ask(people(1, text="$options <b>{x}</b> $5 [user]\nhi"), Item("q", "Is $persona < 5?", ["$question", "{}"]), model)
    assert (
        "$options <b>{x}</b> $5 [user]\nhi" in model.seen[0].messages[0]["content"]
        and "Is $persona < 5?\n" in model.seen[0].messages[-1]["content"]
    )
    assert len(model.seen[0].messages) == 2


@pytest.mark.parametrize("mode", ["choice", "reason", "probability"])
def test_shards_give_what_the_whole_gives(mode):
    def answer(r):
        return {"text": "AB"[r.seed % 2], "logprobs": tokens(A=0.5, B=0.4)}

    frame = people(12)
    whole = ask(frame, SURVEY, Fake(answer), mode=mode, draws=2, seed=3)
    parts = pd.concat(
        [ask(frame.iloc[s], SURVEY, Fake(answer), mode=mode, draws=2, seed=3) for s in (slice(0, 5), slice(5, 12))], ignore_index=True
    )
    pd.testing.assert_frame_equal(whole, parts)
    key = ["persona_id", "item_id", "draw"]
    turned = ask(frame.iloc[::-1], Survey(list(SURVEY)[::-1]), Fake(answer), mode=mode, draws=2, seed=3).sort_values(key, ignore_index=True)
    pd.testing.assert_frame_equal(whole.sort_values(key, ignore_index=True), turned)
    assert asyncio.run(aask(frame, SURVEY, Fake(answer), mode=mode, draws=2, seed=3)).equals(whole)
    assert not ask(frame, SURVEY, Fake(answer), mode=mode, draws=2, seed=4)["request_key"].equals(whole["request_key"])


def test_draws_can_grow_and_tiers_share_their_orders():
    three = ask(people(), SURVEY, Fake(), draws=3)
    one = ask(people(tier="descriptive", generator="g"), SURVEY, Fake(), draws=1)
    assert one["order"].tolist() == three.loc[three["draw"].eq(0), "order"].tolist() and one["generator"].eq("g").all()


def test_reasoning_comes_first_and_is_kept():
    model = Fake(lambda r: "I like trains.  " if len(r.messages) == 2 else "B")
    answers = ask(people(2), SURVEY[0], model, mode="reason")
    assert (
        len(model.seen) == 4
        and answers["reason"].eq("I like trains.").all()
        and answers["status"].eq("ok").all()
        and answers["raw"].eq("B").all()
    )
    second = model.seen[2].messages
    assert (
        second[:2] == model.seen[0].messages
        and second[2] == {"role": "assistant", "content": "I like trains."}
        and second[3]["role"] == "user"
    )
    assert model.seen[0].choices is None and model.seen[0].seed == model.seen[2].seed
    assert answers["prompt_tokens"].eq(20).all() and answers["completion_tokens"].eq(2).all()  # both calls


@pytest.mark.parametrize(
    "thought, status",
    [
        ({"status": "error", "text": None, "reason": "down"}, "error"),
        ({"status": "filtered", "text": ""}, "filtered"),
        ("", "invalid"),
        ("  ", "invalid"),
        ({"status": "refusal", "text": "no"}, "refusal"),
    ],
)
def test_without_a_thought_there_is_no_second_question(thought, status):
    model = Fake(lambda r: thought)
    answers = ask(people(2), SURVEY[0], model, mode="reason")
    assert len(model.seen) == 2 and answers["status"].eq(status).all()


def test_probabilities_stand_in_the_canonical_order():
    item = SURVEY["trust"]
    answers = ask(people(400), item, Fake(lambda r: {"text": "", "logprobs": tokens(A=0.5, B=0.3, As=0.1)}), mode="probability", seed=2)
    assert answers["status"].isin(["ok", "refusal"]).all() and np.allclose(answers["missing_mass"], 0.2)
    for order, p in zip(answers["order"], answers["probabilities"], strict=True):
        assert dict(zip(item.shown, p, strict=True)) == pytest.approx(dict(zip(order, [0.625, 0.375, 0, 0], strict=True)))
    assert abs((answers["option"] == answers["order"].str[0]).mean() - 0.625) < 0.07


@pytest.mark.parametrize("logprobs, words", [(None, "gave no log-probabilities"), ([], "no candidate"), (tokens(As=1.0), "no candidate")])
def test_without_probabilities_there_is_no_answer(logprobs, words):
    answers = ask(people(2), SURVEY[0], Fake(lambda r: {"text": "A", "logprobs": logprobs}), mode="probability")
    assert answers["status"].eq("invalid").all() and answers["reason"].str.contains(words).all() and answers["option"].isna().all()


def test_a_refusal_that_is_an_option_is_a_refusal():
    answers = ask(people(3), SURVEY["trust"], Fake(lambda r: "D"))
    assert (
        answers["status"].eq("refusal").all()
        and answers["option"].isna().all()
        and answers["reason"].eq("No answer").all()
        and answers["raw"].eq("D").all()
    )


def test_requests_by_mode_and_constraint():
    def settings_of(**kwargs):
        model = Fake(lambda r: {"text": "A", "logprobs": tokens(A=1.0)}, embedded=kwargs.pop("embedded", False))
        ask(people(1), SURVEY["trust"], model, **kwargs)
        return [(r.choices, r.max_tokens, r.top_logprobs) for r in model.seen]

    letters = ("A", "B", "C", "D")
    assert settings_of(constrain=True) == [(letters, 64, None)]
    assert settings_of() == [(None, 32, None)] and settings_of(embedded=True) == [(letters, 16, None)]
    assert settings_of(embedded=True, constrain=False) == [(None, 32, None)] and settings_of(mode="probability", embedded=True) == [
        (None, 1, 20)
    ]
    assert settings_of(mode="reason", embedded=True) == [(None, 200, None), (letters, 16, None)]


@pytest.mark.parametrize(
    "change, kwargs, error, words",
    [
        ({}, {"mode": "chat"}, ValueError, "unknown mode 'chat'; one of choice, reason, probability"),
        ({}, {"draws": 0}, ValueError, "draws must be at least 1, got 0"),
        ({"persona_id": "x"}, {}, TableError, "repeated"),
        ({"persona_id": None}, {}, TableError, "persona_id is missing in 4"),
        ({"weight": None}, {}, TableError, "weight"),
        ({"status": "great"}, {}, TableError, "unknown status 'great'"),
        ({"text": None, "tier": "rich"}, {}, ValueError, "unknown tier 'rich'"),
    ],
)
def test_what_ask_refuses_before_it_asks(change, kwargs, error, words):
    model = Fake()
    with pytest.raises(error, match=words):
        ask(people(**change), SURVEY, model, **kwargs)
    assert not model.seen


def test_frames_and_surveys_that_are_none():
    model = Fake()
    with pytest.raises(TableError, match="missing column persona_id"):
        ask(people().drop(columns="persona_id"), SURVEY, model)
    with pytest.raises(TableError, match="expected a DataFrame"):
        ask([{"persona_id": "x"}], SURVEY, model)
    with pytest.raises(ValueError, match="at most 26"):
        ask(people(), Item("long", "?", [str(i) for i in range(27)]), model)
    with pytest.raises(ValueError, match="made of Items"):
        ask(people(), "president", model)
    with pytest.raises(ValueError, match="at least two options"):
        ask(people(), Item("q", "?", ["Yes"]), model)
    assert not model.seen


def test_room_given_to_the_model_reaches_the_request():
    model = ChatModel("m", base_url="http://127.0.0.1:9/v1", store=False, max_tokens=4000)
    people = us_adults().sample(n=2, seed=1)
    for how in ({}, {"constrain": True}, {"mode": "reason"}):
        assert {r.max_tokens for r in requests(people, presidential_election(2020), model, **how)} == {4000}
    model = ChatModel("m", base_url="http://127.0.0.1:9/v1", store=False)
    assert {r.max_tokens for r in requests(people, presidential_election(2020), model, constrain=True)} == {64}


WORDS = st.text(max_size=40) | st.sampled_from(["$persona", _PERSONA[:9], 'a "seed":1152921504606846976, b', "é \\ \n", "🙂 {v} %s"])
CHOICES = Item("trust", "Trust?", TRUST[:3], [1, 2, 3], ["No answer"], paraphrases=["Do you trust?"])


@settings(deadline=None, max_examples=60)
@given(st.lists(WORDS, min_size=1, max_size=3), WORDS, st.sampled_from(["choice", "reason", "probability", "distribution", "open"]),
       st.sampled_from(templates()), st.integers(0, 2**31), st.booleans(), st.booleans())
def test_requests_put_together_from_pieces_are_those_made_whole(texts, words, mode, template, seed, free, embedded):
    model = Fake(embedded=embedded)
    model.defaults |= {"max_tokens": 300 if free else None, "seed": 5 if embedded else None}
    survey = Survey([CHOICES, Item("other", f"Q{words}", ["a", f"b{' '.join(words.split())}", "c" * 3])])
    how = {"mode": mode, "template": template, "seed": seed, "constrain": not free, "draws": 2}
    study = _Study(people(len(texts), text=pd.Series(texts, dtype=object)), survey, model, **how)
    job = _Job(study)
    places = job.due(study.waves[0], job.talks)
    made = [_canonical(_resolve(_opening(job, i), model.id, model.defaults)) for i in places]
    assert [_text(model, r) for r in _openings(job, places)] == made
    assert [json.loads(text) for text in made] == [_resolve(_opening(job, i), model.id, model.defaults) for i in places]


def test_a_template_that_does_more_than_to_insert_the_persona_is_filled_in_the_long_way():
    class Loud(Template):
        def messages(self, persona, turns):
            return super().messages(persona.upper(), turns)

    loud = Loud("loud", *(getattr(read_template(), name) for name in ("before", "question", "following", "tasks")))
    model = Fake()
    ask(people(2, text=["ann", "bob"]), CHOICES, model, template=loud)
    assert ["ANN" in str(r.messages) for r in model.seen] == [True, False] and "BOB" in str(model.seen[1].messages)


@pytest.mark.parametrize("text", [5, 3.5, b"bytes", ["a list"], True])
def test_a_text_that_is_none_is_refused(text):
    some = people(3).assign(text=pd.Series(["one", text, "three"], dtype=object))
    with pytest.raises(TableError, match="OH-1-00001"):
        ask(some, CHOICES, Fake())


def test_pieces_of_many_orders_are_not_kept_for_ever():
    study = _Study(people(6_000), Item("many", "Which?", list("abcdefgh")), Fake())
    job = _Job(study)
    assert len({json.loads(text)["messages"][-1]["content"] for text in _openings(job, range(6_000))}) > 5_000 and len(study.forms) <= 5_000
