"The known-truth respondent: what is planted is what the equations say, and what the measures find."

import asyncio
import functools
import itertools
import math
import socket
import threading

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from persona_kit.alignment import alignment, distribution
from persona_kit.chat import ChatError, ChatModel, Request
from persona_kit.elections import drift, evaluate, forecast, position_bias
from persona_kit.generation import generate
from persona_kit.measures import coding_agreement, reply_rates, retest
from persona_kit.personas import FORMATS, SUBJECTIVE, prompt, render
from persona_kit.plots import forecast_plot
from persona_kit.population import us_adults
from persona_kit.respondent import (
    _AROUND, _NOTHING, _NUMBERS, _OPEN, _TEXTS, NEGATIVE, POSITIVE, REFUSALS, TONES, UNREADABLE, Respondent, _grid, _list_styles,
    _named, _percent_styles, _percents, _styles, _ticked, _unreadable, facts, reply, sample_answers, tone,
)  # fmt: skip
from persona_kit.replies import parse_distribution, parse_multiple, parse_number, parse_text
from persona_kit.simulation import LETTERS, aask, ask, parse_choice
from persona_kit.surveys import Item, Survey, party, presidential_election, read_answer
from persona_kit.tables import ARTIFICIAL, TableError, check
from persona_kit.templates import templates
from persona_kit.text import score_means, sentiment

BALLOT = presidential_election(2020)
DEMOCRAT, REPUBLICAN = BALLOT[0].options
TRUST = Item("trust", "Most people can be trusted. Do you agree?", ("Agree", "Disagree"), refusals=("Don't know",))
SCALE = Item("scale", "How often do you read?", ("Never", "Sometimes", "Often", "Always"), values=(0, 1, 2, 3))
COLOR = Item("color", "Which colour do you like best?", ("Red", "Green", "Blue"))
STATES = ["CA", "GA", "MI", "NY", "OH", "PA", "TX", "WY"]
PEOPLE = us_adults().sample(per_state=25, states=STATES, seed=3)
assert PEOPLE["state"].tolist() == np.repeat(STATES, 25).tolist()  # arrays below are states × persons


def logit(p):
    return np.log(p / (1 - p))


def with_politics(people, seed=0):
    rng = np.random.default_rng(seed)
    drawn = {a.name: rng.choice(a.values, len(people)) for a in SUBJECTIVE if a.name in ("party", "ideology")}
    return people.assign(**drawn, tier="subjective_tabular")


def drawn(shares, people, rng):
    "Answers to a ballot drawn with numpy from what is planted, in the order of options that chance gives."
    first = shares.pivot(index="persona_id", columns="option", values="when_first").loc[people]
    shown = np.where(rng.random(len(people)) < 0.5, DEMOCRAT, REPUBLICAN)
    p_first = np.where(shown == DEMOCRAT, first[DEMOCRAT], first[REPUBLICAN])
    stays = rng.random(len(people)) < p_first
    other = np.where(shown == DEMOCRAT, REPUBLICAN, DEMOCRAT)
    order = [[a, b] for a, b in zip(shown, other, strict=True)]
    return pd.DataFrame({"persona_id": [f"{p}/{i}" for i, p in enumerate(people)], "item_id": "president_2020", "status": "ok",
                         "option": np.where(stays, shown, other), "order": order})


# what is read


@pytest.mark.parametrize("form", FORMATS)
def test_facts_are_read_as_rendered(form):
    people = with_politics(us_adults().sample(per_state=2, seed=5))
    for row, text in zip(people.to_dict("records"), render(people, form), strict=True):
        told = facts(text)
        assert told == {n: str(row[n]) for n in ("age", "sex", "race_ethnicity", "education", "state", "party", "ideology")}


def test_facts_stand_in_other_text_and_may_be_absent():
    assert facts("age: 30\nShe was born in a small town. I am a man of few words.") == {"age": "30"}
    assert facts("A story without facts.") == {} == facts("{broken json")
    assert facts("My favourite colour: blue. I am 40 years old.", ["favourite_colour", "age"]) == {"favourite_colour": "blue", "age": "40"}


def test_the_same_answer_whatever_the_format():
    texts = [PEOPLE.head(20).assign(text=render(PEOPLE.head(20), form)) for form in FORMATS]
    found = [Respondent(seed=1).probabilities(t, BALLOT)["share"].to_numpy() for t in texts]
    assert all(np.allclose(f, found[0]) for f in found)


def test_tone():
    assert not POSITIVE & NEGATIVE
    assert tone("Happy, proud and hopeful.") == 1 and tone("bitter") == -1 and tone("the road") == 0 == tone("")
    assert tone("happy happy sad") == pytest.approx(1 / 3)


# the equations


def test_position_bias_is_a_shift_in_log_odds():
    plain, biased = (Respondent(position_bias=b, seed=1).probabilities(PEOPLE, COLOR) for b in (0, 1.3))
    assert np.allclose(logit(biased["when_first"]) - logit(plain["share"]), 1.3)
    parts = biased.groupby("persona_id")
    assert np.allclose(parts["share"].sum(), 1) and np.allclose(plain["share"], plain["when_first"])


def test_position_bias_on_a_scale_and_without_shuffling():
    shares = Respondent(position_bias=1, seed=1, items=SCALE).probabilities(PEOPLE.head(1), SCALE)
    assert shares["when_first"].notna().tolist() == [True, False, False, True]
    fixed = Respondent(position_bias=1, seed=1).probabilities(PEOPLE.head(1), COLOR, shuffle=False)
    assert fixed["when_first"].notna().tolist() == [True, False, False] and fixed["share"][0] == fixed["when_first"][0]


@pytest.mark.parametrize("h", [0, 0.25, 0.5, 1])
def test_homogenisation_shrinks_differences_by_what_it_says(h):
    shares = Respondent(homogenisation=h, seed=2).probabilities(PEOPLE, COLOR)
    assert np.allclose(shares["share"] - shares["base"], (1 - h) * (shares["persona"] - shares["base"]))
    spread = shares.groupby("option")[["persona", "share"]].std()
    assert np.allclose(spread["share"], (1 - h) * spread["persona"])


@pytest.mark.parametrize("item, gains", [
    (TRUST, [1, 0]), (SCALE, [0, 0, 0, 1]), (COLOR, [0, 0, 0]),
    (Item("a", "?", ("Strongly agree", "Neither agree nor disagree", "Disagree")), [1, 0, 0]),
    (Item("b", "?", ("No", "Yes, of course")), [0, 1]),
    (Item("c", "?", ("Somewhat favor", "Somewhat oppose"), values=(2, 1)), [1, 0]),
])  # fmt: skip
def test_acquiescence_moves_what_affirms(item, gains):
    shares = Respondent(acquiescence=0.8, seed=1, items=item).probabilities(PEOPLE.head(3), item)
    for _, part in shares.groupby("persona_id"):
        shift = np.log(part["share"] / part["homogenised"]).to_numpy()
        assert np.allclose(shift - shift[np.argmin(gains)], 0.8 * np.array(gains))


def test_drift_counts_words_and_tone():
    words = " ".join(["word"] * 245)
    people = PEOPLE.head(5).assign(text="age: 30\n" + words + " happy joy sad")
    shares = Respondent(drift=0.4, drift_tone=0.9, seed=1).probabilities(people, BALLOT).query("option == @DEMOCRAT")
    assert np.allclose(logit(shares["drift"]) - logit(shares["acquiescence"]), 0.4 * 2.5)
    assert np.allclose(logit(shares["share"]) - logit(shares["drift"]), 0.9 / 3)
    nowhere = Respondent(drift=3, drift_tone=3, seed=1).probabilities(people, COLOR)
    assert np.allclose(nowhere["share"], nowhere["homogenised"])
    marked = Respondent(drift=0.4, seed=1, items=COLOR, left={"color": "Red"}).probabilities(people, COLOR)
    before, after = (marked.loc[marked["option"] == "Red", c] for c in ("homogenised", "share"))
    assert np.allclose(logit(after) - logit(before), 0.4 * 2.5)


def test_party_and_ideology_move_the_ballot_along_their_scale():
    parties = next(a.values for a in SUBJECTIVE if a.name == "party")
    people = PEOPLE.head(1).loc[[PEOPLE.index[0]] * 7].assign(persona_id=range(7), tier="subjective_tabular", party=parties)
    shares = Respondent(seed=1).probabilities(people, BALLOT).query("option == @DEMOCRAT")["share"].to_numpy()
    assert np.allclose(np.diff(logit(shares)), -2 / 3)


def test_loadings_can_be_given():
    rows = [("president_2020", "base", "", DEMOCRAT, 0.5), ("president_2020", "sex", "Female", DEMOCRAT, 0.25),
            ("president_2020", "age", "65+", REPUBLICAN, 1.0)]
    loadings = pd.DataFrame(rows, columns=["item_id", "attribute", "value", "option", "loading"])
    truth = Respondent(items=BALLOT, loadings=loadings)
    shares = truth.probabilities(PEOPLE, BALLOT).query("option == @DEMOCRAT")["share"].to_numpy()
    expected = 0.5 + 0.25 * PEOPLE["sex"].eq("Female") - 1.0 * PEOPLE["age"].ge(65)
    assert np.allclose(logit(shares), expected)


@settings(max_examples=40, deadline=None)
@given(st.fixed_dictionaries({"position_bias": st.floats(-20, 20), "acquiescence": st.floats(-20, 20), "homogenisation": st.floats(0, 1),
                              "drift": st.floats(-20, 20), "drift_tone": st.floats(-20, 20), "base_spread": st.floats(0, 5),
                              "persona_spread": st.floats(0, 20), "seed": st.integers()}))
def test_shares_are_distributions_for_all_dials(dials):
    survey = Survey([BALLOT[0], COLOR])
    shares = Respondent(**dials).probabilities(PEOPLE.head(2).assign(text="age: 30\nparty: Democrat\nhappy"), survey)
    assert shares.drop(columns="when_first").notna().to_numpy().all() and shares["share"].between(0, 1).all()
    for step in ("base", "persona", "homogenised", "acquiescence", "drift", "drift_tone", "share"):
        assert np.allclose(shares.groupby(["persona_id", "item_id"])[step].sum(), 1)


# the replies


OPTIONS = [
    BALLOT[0].options, TRUST.shown, ("Yes", "No"),
    ("Strongly agree", "Agree", "Neither agree nor disagree", "Disagree", "Strongly disagree"),
    ("Not at all", "Somewhat", "A lot", "No answer"), ("None", "One", "More than one", "Refused"), COLOR.options, SCALE.options,
    ("The Democratic candidate", "The Republican candidate"), ("Increase", "Decrease", "Keep about the same", "Don't know"),
    ("Plan A", "Plan B", "Plan C"), ("A great deal", "I do not care", "U.S. government", "It depends"),
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: o[0])
def test_every_style_is_read_as_planted(options):
    for shown in (options, options[::-1], options[1:] + options[:1]):
        for place in range(len(shown)):
            for style in _styles(shown, place):
                text = style.format(a=LETTERS[place], label=shown[place])
                assert parse_choice(text, shown) == (place, "ok"), text
        assert len(_unreadable(shown)) >= 4
        assert all(parse_choice(text, shown) == (None, "invalid") for text in _unreadable(shown))
        assert all(parse_choice(text, shown) == (None, "refusal") for text in REFUSALS)


def test_an_option_is_no_unreadable_reply():
    assert "It depends." in UNREADABLE and "It depends." not in _unreadable(("Yes", "It depends"))


def test_a_prompt_is_answered_from_its_words():
    asked = prompt("choice", persona="age: 30", question="Whom?\nOr what?\nA. is no option", options="A. Red\nB. Green")
    text, candidates = reply(Respondent(seed=1), asked, seed=1)
    assert text in "AB" and sorted(t for t, _ in candidates) == ["A", "B"] and sum(m for _, m in candidates) == pytest.approx(1)
    assert reply(Respondent(seed=1), asked, seed=1) == (text, candidates)
    assert len({reply(Respondent(seed=1), asked, seed=s)[0] for s in range(30)}) == 2
    with pytest.raises(ValueError, match="writes no texts"):
        reply(Respondent(), [{"role": "user", "content": "Tell me a story."}])


# over HTTP


@pytest.fixture(scope="module")
def noisy():
    truth = Respondent(position_bias=0.9, homogenisation=0.3, acquiescence=0.5, drift=1, refusals=0.12, unreadable=0.08, noise=0.7, seed=6)
    survey = BALLOT + Survey(TRUST)
    with truth.model() as model:
        return truth, survey, ask(PEOPLE, survey, model, draws=3, seed=9, progress=False)


def test_end_to_end(noisy):
    "One run with all dials turned; intervals at 99.9 %, since many are looked at."
    truth, survey, answers = noisy
    planted = truth.planted(PEOPLE, survey).set_index(["item_id", "quantity", "option"])["value"]
    check(answers, "answers")
    assert answers["simulator"].eq(truth.name).all() and truth.name.startswith("known-truth-")
    bias = position_bias(answers, by="item_id", ci=0.999).set_index("item_id")
    shares = distribution(answers, items=survey, ci=0.999).set_index(["item_id", "option"])
    for item in survey:
        part, n = answers[answers["item_id"] == item.item_id], 3 * len(PEOPLE)
        first = truth.planted(PEOPLE, item).query("quantity == 'first_option_share'")["value"].item()
        assert bias.loc[item.item_id, "low"] <= first <= bias.loc[item.item_id, "high"]
        for option in item.options:
            low, high = shares.loc[(item.item_id, option), ["low", "high"]]
            assert low <= planted[item.item_id, "share", option] <= high
        for status, rate in (("refusal", 0.12), ("invalid", 0.08)):
            assert abs(part["status"].eq(status).mean() - rate) < 3.3 * math.sqrt(rate * (1 - rate) / n)
    summary = evaluate(answers[answers["draw"] == 0]).iloc[0]
    one = answers[(answers["draw"] == 0) & (answers["item_id"] == "president_2020")]
    assert summary["refusal_rate"] == pytest.approx(one["status"].eq("refusal").mean()) and summary["missing_rate"] == 0


def test_retest_agrees_as_often_as_planted(noisy):
    truth, survey, answers = noisy
    agreement = truth.planted(PEOPLE, survey).query("quantity == 'agreement'").set_index("item_id")["value"]
    for item, part in answers.groupby("item_id"):
        wide = part.pivot(index="persona_id", columns="draw", values="option")
        same = np.concatenate([(wide[a] == wide[b])[wide[[a, b]].notna().all(axis=1)] for a, b in ((0, 1), (0, 2), (1, 2))])
        assert abs(same.mean() - agreement[item]) < 3.3 * 0.5 / math.sqrt(len(same) / 3)


def test_refusals_are_words_or_the_option_that_refuses(noisy):
    refused = noisy[2].query("status == 'refusal'")
    in_words = refused[refused["item_id"] == "president_2020"]
    assert in_words["raw"].isin(REFUSALS).all() and len(in_words) > 20
    assert refused.loc[refused["item_id"] == "trust", "reason"].eq("Don't know").all()


def test_noise_changes_the_form_and_nothing_else():
    found = []
    for noise in (0, 1):
        with Respondent(noise=noise, refusals=0.1, unreadable=0.1, seed=6).model() as model:
            found.append(ask(PEOPLE, Survey([BALLOT[0], COLOR]), model, progress=False))
    bare, dressed = found
    assert bare["status"].equals(dressed["status"]) and bare["option"].equals(dressed["option"])
    answered = bare["status"] == "ok"
    assert bare.loc[answered, "raw"].isin(list("ABC")).all() and not dressed.loc[answered, "raw"].isin(list("ABC")).any()
    assert dressed.loc[answered, "raw"].nunique() > 20


def test_probabilities_are_the_planted_ones():
    truth = Respondent(position_bias=1.1, drift=0.5, refusals=0.1, unreadable=0.2, seed=6)
    with truth.model() as model:
        answers = ask(PEOPLE.head(60), Survey([BALLOT[0], COLOR, TRUST]), model, mode="probability", progress=False)
    shares = truth.probabilities(PEOPLE.head(60), Survey([BALLOT[0], COLOR, TRUST]))
    when_first = shares.set_index(["persona_id", "item_id", "option"])["when_first"]
    known = {i.item_id: i for i in (BALLOT[0], COLOR, TRUST)}
    for row in answers.to_dict("records"):
        shown = known[row["item_id"]].shown
        p = dict(zip(shown, row["probabilities"], strict=True))
        if row["item_id"] == "trust":
            assert p["Don't know"] == pytest.approx(0.1 / 0.8) and row["missing_mass"] == pytest.approx(0.2)
            p = {o: v / (1 - p["Don't know"]) for o, v in p.items()}
        else:
            assert row["missing_mass"] == pytest.approx(0.3)
        assert p[row["order"][0]] == pytest.approx(when_first[row["persona_id"], row["item_id"], row["order"][0]], abs=1e-9)


@pytest.mark.parametrize("template", ["default", "interview", "third_person", "bare"])
@pytest.mark.parametrize("context", ["independent", "sequential"])
def test_the_same_truth_in_every_template_and_wording(template, context):
    survey = Survey([Item("color", COLOR.text, COLOR.options, paraphrases=["Name the colour that you would rather see."]), TRUST])
    people = PEOPLE.head(12)
    truth = Respondent(items=survey, drift=2, left={"color": "Red"}, refusals=0.1, seed=6)
    expected = truth.probabilities(people, survey).set_index(["persona_id", "item_id", "option"])["share"]
    with truth.model() as model:
        for survey_asked, wording in ((survey, 0), (survey[:1], 1)):
            how = {"wording": wording, "template": template, "context": context, "progress": False}
            answers = ask(people, survey_asked, model, mode="probability" if context == "independent" else "choice", **how)
            assert answers["status"].isin(["ok", "refusal"]).all()
            if context == "independent":
                for row in answers[answers["item_id"] == "color"].to_dict("records"):
                    found = dict(zip(COLOR.options, row["probabilities"], strict=True))
                    assert found == pytest.approx(expected[row["persona_id"], "color"].to_dict(), abs=1e-9)
        reasons = ask(people, survey[:1], model, mode="reason", template=template, progress=False)
        assert reasons.loc[reasons["status"] == "ok", "reason"].str.len().gt(30).all() and reasons["status"].eq("ok").any()


def test_reasons_come_first_and_answers_after_them():
    with Respondent(refusals=0.2, noise=0.5, seed=6).model() as model:
        answers = ask(PEOPLE, BALLOT, model, mode="reason", progress=False)
        assert model.usage["sent"] == 2 * len(PEOPLE)
    assert answers["reason"].str.len().gt(30).all() and set(answers["status"]) == {"ok", "refusal"}


def test_held_to_the_letters():
    with Respondent(refusals=0.3, unreadable=0.3, noise=1, seed=6).model() as model:
        answers = ask(PEOPLE.head(60), BALLOT + Survey(TRUST), model, constrain=True, progress=False)
    assert answers.query("item_id == 'president_2020'")["status"].eq("ok").all()
    assert set(answers.query("item_id == 'trust'")["status"]) == {"ok", "refusal"}
    assert answers["raw"].str.fullmatch(r'\{"answer": "[ABC]"\}').all()


def test_the_same_request_gets_the_same_reply():
    truth = Respondent(noise=0.5, refusals=0.1, seed=6)
    found = []
    for people, concurrency in ((PEOPLE.head(50), 1), (PEOPLE.head(50).iloc[::-1], 16)):
        with Respondent(noise=0.5, refusals=0.1, seed=6).model(concurrency=concurrency) as model:
            assert model.id == truth.name
            found.append(ask(people, BALLOT, model, draws=2, progress=False).sort_values(["persona_id", "draw"], ignore_index=True))
    pd.testing.assert_frame_equal(found[0], found[1])
    assert not found[0].query("draw == 0")["raw"].reset_index(drop=True).equals(found[0].query("draw == 1")["raw"].reset_index(drop=True))


def test_other_settings_are_another_respondent():
    kinds = [Respondent(seed=1), Respondent(seed=2), Respondent(seed=1, noise=0.1), Respondent(seed=1, items=BALLOT),
             Respondent(seed=1, items=BALLOT, left={"president_2020": REPUBLICAN}), Respondent(seed=1, attributes=["age"])]  # fmt: skip
    assert len({k.name for k in kinds}) == len(kinds) and Respondent(seed=1).name == kinds[0].name == Respondent(seed=1, drift=0).name
    one, two = (k.probabilities(PEOPLE, BALLOT)["share"].to_numpy() for k in kinds[:2])
    assert np.abs(one - two).mean() > 0.02
    answers = []
    for k in kinds[:2]:
        with k.model() as model:
            answers.append(ask(PEOPLE.head(60), BALLOT, model, progress=False)["option"])
    assert not answers[0].equals(answers[1])


def test_nothing_listens_after_it_is_closed():
    before = threading.active_count()
    with Respondent().model() as model:
        port = int(model.base_url.split(":")[2].split("/")[0])
        assert isinstance(model, ChatModel) and model.base_url.startswith("http://127.0.0.1:")
        ask(PEOPLE.head(3), BALLOT, model, progress=False)
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    assert threading.active_count() <= before
    model.close()
    with pytest.raises(ChatError, match="cannot connect"):
        ChatModel("x", base_url=model.base_url, store=False, retries=0).complete([Request("x")])
    with pytest.raises(ValueError, match="concurrency must be greater than 0"):
        Respondent().model(concurrency=0)
    assert threading.active_count() <= before
    with pytest.raises(ValueError, match="name is not yours to set"):
        Respondent().model(name="gpt")


def test_it_works_where_a_loop_runs_already():
    truth = Respondent(seed=1)

    async def notebook():
        with truth.model() as model:
            return ask(PEOPLE.head(5), BALLOT, model, progress=False), await aask(PEOPLE.head(5), BALLOT, model, progress=False)

    one, two = asyncio.run(notebook())
    pd.testing.assert_frame_equal(one, two)


def test_what_it_cannot_answer_is_an_error_that_says_why():
    with Respondent().model() as model:
        written = generate(PEOPLE.head(2), "descriptive", model)
        assert written["status"].eq("error").all()
        replies = model.complete([Request("x")])
    assert replies["status"].eq("error").all() and replies["reason"].str.contains("it writes no texts").all()
    with Respondent(items=COLOR, table=shares_of(COLOR)).model() as model:
        answers = ask(PEOPLE.head(2), BALLOT, model, progress=False)
    assert answers["status"].eq("error").all() and answers["reason"].str.contains("nothing is planted for the question").all()


# several answers, numbers, texts


NEWS = Item("news", "Where do you get your news?", ("TV", "Radio", "Papers", "Online", "Nowhere"), exclusive=("Nowhere",), kind="multiple",
            refusals=("Don't know",))
TWO = Item("two", "Which of these matter most to you?", ("Jobs", "Health", "Crime", "Schools"), kind="multiple", at_most=2)
HOURS = Item("hours", "How many hours did you work yesterday?", kind="number", minimum=0, maximum=24, refusals=("Don't know",))
FEEL = Item("feel", "How do you feel about the place where you live?", kind="text")
KINDS = Survey([NEWS, TWO, HOURS, FEEL])
MANY = Item("many", "Which?", tuple("abcdef"), kind="multiple", exclusive=("a", "f"), at_most=3)
DIALS = {"position_bias": 0.8, "acquiescence": 0.4, "homogenisation": 0.2, "refusals": 0.1, "unreadable": 0.07, "noise": 0.6,
         "persona_spread": 1.5}  # fmt: skip


def within(count, n, p, z=3.9):
    "Whether a count of n is what chance makes of p (z standard errors: 1 in 10,000)."
    return abs(count / n - p) <= z * math.sqrt(p * (1 - p) / n) + 1e-12


EQUAL = PEOPLE.assign(weight=1.0)


@functools.cache
def figures(truth, item, mode):
    return truth.planted(EQUAL, item, mode=mode)


def figure(truth, item, quantity, option=None, mode="choice"):
    table = figures(truth, item, mode).query("quantity == @quantity")
    return (table if option is None else table[table["option"] == option])["value"].item()


@pytest.mark.parametrize("item", [NEWS, TWO, MANY], ids=lambda i: i.item_id)
def test_options_are_named_as_often_as_all_patterns_of_ticks_say(item):
    ticks = np.random.default_rng(1).random(len(item.options))
    boxes = [o not in item.exclusive for o in item.options]
    named, total = np.zeros(len(ticks)), 0.0
    for pattern in itertools.product([0, 1], repeat=sum(boxes)):
        if sum(pattern) > (item.at_most or 99):
            continue
        row = np.zeros(len(ticks))
        row[boxes] = pattern
        if not row.any() and item.exclusive:
            row[item.options.index(item.exclusive[0])] = 1
        chance = np.prod([p if x else 1 - p for x, p in zip(pattern, ticks[boxes], strict=True)])
        named, total = named + chance * row, total + chance
    assert np.allclose(_named(item, ticks), named / total)
    rng, counts, n = np.random.default_rng(2), np.zeros(len(ticks)), 3_000
    for _ in range(n):
        chosen = _ticked(item, ticks, rng.random(len(ticks)))
        assert len(chosen) <= (item.at_most or 99)
        counts[chosen] += 1
    assert all(within(counts[k], n, (named / total)[k]) for k in np.flatnonzero(boxes))


def test_numbers_are_an_ordered_probit():
    "Against a simulation of the latent variable, cut into equally likely parts."
    loadings = pd.DataFrame([("hours", "base", "", "number", 0.7), ("hours", "sex", "Female", "number", -0.4)],
                            columns=["item_id", "attribute", "value", "option", "loading"])
    truth = Respondent(items=HOURS, loadings=loadings)
    shares = truth.probabilities(PEOPLE.head(1).assign(sex="Female", text="sex: Female"), HOURS)["share"].to_numpy()
    latent = 0.3 + np.random.default_rng(1).standard_normal(400_000)
    place = np.floor(25 * np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in latent])).astype(int).clip(max=24)
    assert np.abs(np.bincount(place, minlength=25) / len(latent) - shares).max() < 4 * math.sqrt(0.12 * 0.88 / len(latent))


@pytest.mark.parametrize("bounds, grid", [
    ({"minimum": 0, "maximum": 24}, range(25)), ({}, range(101)), ({"minimum": 1900}, range(1900, 2001)), ({"maximum": 5}, range(-95, 6)),
    ({"minimum": 0, "maximum": 1_000_000}, range(0, 1_000_001, 10_000)),
    ({"minimum": 0.5, "maximum": 1}, [0.5 + k / 200 for k in range(101)])])  # fmt: skip
def test_numbers_that_can_be_given(bounds, grid):
    assert np.allclose(_grid(Item("n", "?", kind="number", **bounds)), list(grid))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(1e-6, 1), min_size=2, max_size=12), st.floats(0, 0.9))
def test_percents_are_whole_and_add_up(shares, refusing):
    shares = (1 - refusing) * np.array(shares) / sum(shares)
    stated = _percents(shares, refusing)
    assert stated.sum() == 100 and np.allclose(stated, stated.round()) and (stated >= 0).all()
    assert np.abs(stated - 100 * np.append(shares, refusing)).max() < 1 + 1e-6


def test_every_form_is_read_as_planted():
    shown = NEWS.options
    for some in ([], [0], [1, 3], [0, 1, 2, 3]):
        for text in (", ".join(LETTERS[k] for k in some) or "none", *_list_styles([LETTERS[k] for k in some])):
            assert parse_multiple(text, TWO.options if not some else shown) == (some, "ok"), text
    for said in ("0", "7", "2.5", "100000"):
        assert all(parse_number(style.format(a=said)) == (float(said), "ok") for style in ("{a}", *_NUMBERS))
    percents = {"A": 33, "B": 0, "C": 67}
    assert all(parse_distribution(text, COLOR.options) == ([0.33, 0, 0.67], "ok") for text in _percent_styles(percents))
    for around in _AROUND:
        for texts in (*_TEXTS.values(), [s.format(label=o) for s in _OPEN for options in OPTIONS for o in options]):
            assert all(parse_text(around.format(a=t))[1] == "ok" for t in texts)
    assert all(parse_text(t) == (None, "refusal") for t in REFUSALS) and all(parse_text(t) == (None, "invalid") for t in _NOTHING)
    assert all(tone(t) == 1 - TONES.index(name) for name, texts in _TEXTS.items() for t in texts)


@pytest.fixture(scope="module")
def kinds():
    truth = Respondent(items=KINDS, seed=6, **DIALS)
    with truth.model() as model:
        return truth, ask(EQUAL, KINDS, model, draws=2, seed=9, progress=False)


def test_all_kinds_end_to_end(kinds):
    truth, answers = kinds
    check(answers, "answers")
    assert answers["simulator"].eq(truth.name).all() and truth.name.startswith("known-truth-")
    rates = reply_rates(answers, by="item_id").set_index(["item_id", "status"])
    for item in KINDS:
        for status, name in (("refusal", "refusal_rate"), ("invalid", "invalid_rate")):
            found = rates.loc[(item.item_id, status)]
            assert within(found["rate"] * found["n"], found["n"], figure(truth, item, name)) and found["n"] == 400
    for item in (NEWS, TWO):
        said = [read_answer(item, o) for o in answers.query("item_id == @item.item_id and status == 'ok'")["option"]]
        n, sizes = len(said) / 2, [len(s) for s in said]  # two draws of a person are alike: they tell at least as much as one
        for option in item.options:
            assert within(sum(option in s for s in said) / 2, n, figure(truth, item, "share", option))
        assert abs(np.mean(sizes) - figure(truth, item, "count")) < 3.9 * np.std(sizes) / math.sqrt(n)


def test_numbers_have_the_planted_mean_and_spread(kinds):
    truth, answers = kinds
    numbers = answers.query("item_id == 'hours' and status == 'ok'")
    found = score_means(numbers.query("draw == 0"), "value", ci=0.9999).iloc[0]
    assert found["low"] <= figure(truth, HOURS, "mean") <= found["high"] and found["high"] - found["low"] < 8
    wide = numbers.pivot(index="persona_id", columns="draw", values="value").dropna()
    assert abs(np.arctanh(wide[0].corr(wide[1])) - np.arctanh(figure(truth, HOURS, "correlation"))) < 3.9 / math.sqrt(len(wide) - 3)
    total = figure(truth, HOURS, "sd") ** 2 + figure(truth, HOURS, "within_sd") ** 2
    assert abs(numbers["value"].var() / total - 1) < 0.35 and figure(truth, HOURS, "correlation") > 0.2
    again = retest(numbers, ci=0.9999).iloc[0]
    assert again["low"] <= figure(truth, HOURS, "agreement") <= again["high"]


def test_texts_have_the_planted_tone(kinds):
    truth, answers = kinds
    texts = answers.query("item_id == 'feel' and status == 'ok' and draw == 0").assign(tone=lambda t: t["option"].map(tone))
    found = score_means(texts, "tone", ci=0.9999).iloc[0]
    assert found["low"] <= figure(truth, FEEL, "tone") <= found["high"]
    scores = sentiment(texts["option"]).assign(tone=texts["tone"].to_numpy())
    for measure in ("polarity", "compound"):
        means = scores.groupby("tone")[measure].mean()
        assert means[-1] < means[0] < means[1]


@pytest.mark.parametrize("template", templates())
def test_conversations_and_all_templates_have_the_same_truth(template):
    survey = Survey([COLOR, HOURS, NEWS])
    truth = Respondent(items=survey, seed=3, noise=0.5, persona_spread=1.5)
    with truth.model() as model:
        answers = ask(EQUAL.head(50), survey, model, template=template, context="sequential", progress=False)
    assert answers["status"].eq("ok").all()
    planted = truth.planted(EQUAL.head(50), survey).set_index(["item_id", "quantity", "option"])["value"]
    said = {i.item_id: [read_answer(i, o) for o in answers.query("item_id == @i.item_id")["option"]] for i in survey}
    assert all(within(said["color"].count(o), 50, planted["color", "share", o]) for o in COLOR.options)
    assert all(within(sum(o in s for s in said["news"]), 50, planted["news", "share", o]) for o in NEWS.options)
    assert abs(np.mean(said["hours"]) - planted.xs(("hours", "mean"), level=[0, 1]).item()) < 3.9 * np.std(said["hours"]) / math.sqrt(50)


def test_kinds_with_reasons_and_held_to_the_form():
    some, survey = PEOPLE.head(40), Survey([NEWS, TWO, HOURS, COLOR])
    truth = Respondent(items=survey, seed=3, refusals=0.2, unreadable=0.2, noise=0.5)
    with truth.model() as model:
        thought = ask(some, survey, model, mode="reason", progress=False)
        held = ask(some, survey, model, constrain=True, progress=False)
        stated = ask(some, COLOR, model, mode="distribution", constrain=True, progress=False)
    assert thought["reason"].dropna().str.len().gt(5).all() and set(thought["status"]) == {"ok", "refusal", "invalid"}
    assert set(held["status"]) == {"ok", "refusal"} and held.query("status == 'refusal'")["item_id"].isin(["news", "hours"]).all()
    assert held["raw"].str.startswith("{").all() and stated["status"].eq("ok").all()


# percentages, and texts that are coded


def test_stated_distributions_are_those_planted():
    survey, some = Survey([COLOR, TRUST]), EQUAL.head(100)
    dials = {"position_bias": 1, "homogenisation": 0.3, "acquiescence": 0.5, "refusals": 0.15, "unreadable": 0.1, "noise": 0.7}
    truth = Respondent(items=survey, seed=6, **dials)
    with truth.model() as model:
        answers = ask(some, survey, model, mode="distribution", draws=3, progress=False)
        likeliest = ask(some, survey, model, mode="distribution", pick="mode", progress=False)
    planted = truth.probabilities(some, survey, mode="distribution").set_index(["persona_id", "item_id", "option"])
    exact = truth.probabilities(some, survey).set_index(["persona_id", "item_id", "option"])
    assert (planted["when_first"] - exact["when_first"]).abs().max() < 0.011 and not np.allclose(planted["when_first"], exact["when_first"])
    for row in answers[answers["probabilities"].notna()].itertuples():
        item, first = survey[row.item_id], row.order[0]
        place = item.options.index(first)
        assert row.probabilities[place] / sum(row.probabilities[: len(item.options)]) == pytest.approx(
            planted.loc[(row.persona_id, row.item_id, first), "when_first"])
        assert sum(row.probabilities) == pytest.approx(1) and (row.item_id == "color" or row.probabilities[-1] == pytest.approx(0.15))
    shares = distribution(answers, items=survey, ci=0.9999).set_index(["item_id", "option"])
    for row in truth.planted(some, survey, mode="distribution").query("quantity == 'share'").itertuples():
        low, high = shares.loc[(row.item_id, row.option), ["low", "high"]]
        assert low <= row.value <= high
    for item in survey:
        part = answers[answers["item_id"] == item.item_id]
        refused, unread = (part["status"].eq(s).sum() for s in ("refusal", "invalid"))
        assert within(unread, 300, 0.1) and within(refused, 300, 0.15 if item is COLOR else 0.15 * 0.9)  # drawn from what was stated
    chosen = likeliest[likeliest["status"].eq("ok")]
    rows = zip(chosen["item_id"], chosen["option"], chosen["probabilities"], strict=True)
    assert all(p[survey[i].options.index(o)] == max(p) for i, o, p in rows)


@pytest.fixture(scope="module")
def coded():
    survey = Survey([COLOR, TRUST])
    truth = Respondent(items=survey, seed=6, refusals=0.1, unreadable=0.08, noise=0.5, coding_error=0.25, persona_spread=1.5)
    with truth.model() as model:
        return truth, survey, ask(EQUAL, survey, model, mode="open", seed=9, progress=False)


def test_codings_agree_as_often_as_planted(coded):
    truth, survey, answers = coded
    found = coding_agreement(answers, ci=0.9999).set_index("item_id")
    for item in survey:
        row = found.loc[item.item_id]
        agree, kappa, uncoded = (figure(truth, item, q, mode="open") for q in ("coding_agreement", "coding_kappa", "uncoded"))
        assert row["low"] <= agree <= row["high"] and row["kappa_low"] <= kappa <= row["kappa_high"]
        assert row["alpha_low"] <= kappa <= row["alpha_high"]  # with equal coders α estimates the same
        assert within(row["uncoded"] * row["n"], row["n"], uncoded) and 0.3 < kappa < 0.75


def test_coded_shares_and_rates_are_those_planted(coded):
    truth, survey, answers = coded
    shares = distribution(answers, items=survey, ci=0.9999).set_index(["item_id", "option"])
    for item in survey:
        part, n = answers[answers["item_id"] == item.item_id], len(PEOPLE)
        for option in item.options:
            low, high = shares.loc[(item.item_id, option), ["low", "high"]]
            assert low <= figure(truth, item, "share", option, mode="open") <= high
        assert within(part["status"].eq("refusal").sum(), n, figure(truth, item, "refusal_rate", mode="open"))
        assert within(part["status"].eq("invalid").sum(), n, figure(truth, item, "invalid_rate", mode="open"))
    assert answers["simulator"].eq(truth.name).all()


def test_another_respondent_can_code():
    faithful, careless = Respondent(items=COLOR, seed=1), Respondent(seed=2, coding_error=0.5)
    with faithful.model() as model, careless.model() as coder:
        own = ask(PEOPLE.head(100), COLOR, model, mode="open", progress=False)
        other = ask(PEOPLE.head(100), COLOR, model, mode="open", coder=coder, codings=3, progress=False)
    assert coding_agreement(own)["kappa"].item() == 1 and own["status"].eq("ok").all()
    agree = 0.5**2 + 0.5**2 / 3
    found = coding_agreement(other, ci=0.9999).iloc[0]
    assert found["low"] <= agree <= found["high"] and found["n_codings"] == 3
    texts = dict(zip(own["persona_id"], own["option"], strict=True))
    right = np.mean([c == texts[p] for p, codes in zip(other["persona_id"], other["codings"], strict=True) for c in codes])
    assert abs(right - 0.5) < 3.9 * 0.5 / math.sqrt(3 * len(own))


def test_intervals_of_kappa_hold_the_planted_one_as_often_as_they_say():
    "Texts of 150 people, each coded twice with errors, 200 times; the bounds are three standard errors from 95 %."
    truth, runs, n = Respondent(items=TRUST, seed=8, coding_error=0.2, unreadable=0.1), 200, 150
    share = truth.probabilities(PEOPLE, TRUST, mode="open").query("option == 'Agree'")["drift_tone"].to_numpy()
    labels, rng = np.array(["Agree", "Disagree", "Don't know", None], dtype=object), np.random.default_rng(4)
    agree, kappa = (figure(truth, TRUST, q, mode="open") for q in ("coding_agreement", "coding_kappa"))
    held = np.zeros(2)
    for run in range(runs):
        who = rng.integers(len(share), size=n)
        meant = np.where(rng.random(n) < 0.1, 3, np.where(rng.random(n) < share[who], 0, 1))
        codes = [np.where(rng.random(n) < 0.2, (meant + rng.integers(1, 4, n)) % 4, meant) for _ in range(2)]
        pairs = [[labels[a], labels[b]] for a, b in zip(*codes, strict=True)]
        frame = pd.DataFrame({"persona_id": np.arange(n), "item_id": "trust", "codings": pairs})
        row = coding_agreement(frame, n_boot=200, seed=run).iloc[0]
        held += [row["low"] <= agree <= row["high"], row["kappa_low"] <= kappa <= row["kappa_high"]]
    assert ((held / runs > 0.90) & (held / runs < 0.996)).all(), held / runs


def test_what_is_put_without_options_is_known_from_the_survey_only():
    with Respondent(seed=1).model() as model:
        answers = ask(PEOPLE.head(1), KINDS + Survey(COLOR), model, progress=False)
        asked = ask(PEOPLE.head(1), COLOR, model, mode="open", progress=False)
    errors = answers[answers["status"] == "error"].set_index("item_id")["reason"]
    assert set(errors.index) == {"news", "two", "hours", "feel"} and errors.str.contains(r"Respondent\(items=survey\)").all()
    assert "put without options" in asked["reason"].item()
    twins = Survey([COLOR, Item("colour", COLOR.text, ("Black", "White"))])
    truth = Respondent(items=twins, seed=1)
    assert len(truth.probabilities(PEOPLE.head(1), twins)) == 5
    with pytest.raises(ValueError, match="several of this wording"):
        truth.probabilities(PEOPLE.head(1), twins, mode="open")
    for survey, words in ((HOURS, "give the survey"), (TWO, "of kind 'multiple'")):
        with pytest.raises(ValueError, match=words):
            Respondent().probabilities(PEOPLE.head(1), survey)
    with pytest.raises(ValueError, match="only single choices are drawn directly"):
        sample_answers(Respondent(items=HOURS), PEOPLE, HOURS)
    with pytest.raises(TableError, match="single choices only"):
        Respondent(items=TWO, table=shares_of(TWO))


def test_a_coding_error_belongs_to_the_name_only_if_there_is_one():
    assert Respondent(coding_error=0).name == Respondent().name != Respondent(coding_error=0.1).name
    with pytest.raises(ValueError, match="coding_error must be a number between 0 and 1"):
        Respondent(coding_error=2)


# given shares


def shares_of(item, **groups):
    rng = np.random.default_rng(1)
    product = itertools.product(*groups.values())
    keys, k = pd.DataFrame(list(product), columns=list(groups), index=None if groups else [0]), len(item.options)
    table = keys.loc[np.repeat(keys.index, k)].reset_index(drop=True)
    return table.assign(item_id=item.item_id, option=list(item.options) * len(keys), share=rng.dirichlet(np.ones(k), len(keys)).ravel())


@pytest.mark.parametrize("groups", [
    {}, {"state": STATES}, {"sex": ["Male", "Female"], "age_group": ["18-29", "30-44", "45-64", "65+"]}])
def test_a_table_is_reproduced(groups):
    table = shares_of(COLOR, **groups)
    truth = Respondent(items=COLOR, table=table)
    people = PEOPLE.assign(age_group=pd.cut(PEOPLE["age"], [0, 29, 44, 64, 200], labels=["18-29", "30-44", "45-64", "65+"]).astype(str))
    with truth.model() as model:
        answers = ask(people, COLOR, model, mode="probability", progress=False)
    kept = answers.drop(columns="state").merge(people[["persona_id", *groups]], on="persona_id")
    found = distribution(kept, by=list(groups) or None, weight=None, items=Survey(COLOR))
    merged = found.merge(table, on=["item_id", "option", *groups], suffixes=("", "_planted"))
    assert len(merged) == len(found) and np.allclose(merged["share"], merged["share_planted"])
    assert np.allclose(alignment(kept, table, by=list(groups) or None, items=Survey(COLOR))["alignment"], 1)


def test_dials_act_on_a_table_too():
    table = shares_of(COLOR, sex=["Male", "Female"]).assign(n=lambda t: np.where(t["sex"] == "Male", 300, 100))
    shares = Respondent(items=COLOR, table=table, homogenisation=1).probabilities(PEOPLE, COLOR)
    pooled = table.groupby("option").apply(lambda g: np.average(g["share"], weights=g["n"]), include_groups=False)
    assert np.allclose(shares["share"], pooled[shares["option"]])


def test_ones_and_zeros_can_be_planted():
    table = pd.DataFrame({"item_id": "color", "option": ["Red", "Green"], "share": [1.0, 0.0]})
    with Respondent(items=COLOR, table=table, position_bias=5, noise=0.5).model() as model:
        for mode in ("choice", "probability"):
            answers = ask(PEOPLE.head(40), COLOR, model, mode=mode, progress=False)
            assert answers["option"].eq("Red").all()


def test_a_group_that_is_not_in_the_text_is_no_guess():
    truth = Respondent(items=COLOR, table=shares_of(COLOR, party=["Democrat", "Republican"]))
    with pytest.raises(ValueError, match="shares by party, which this persona's text does not state"):
        truth.probabilities(PEOPLE, COLOR)
    with pytest.raises(ValueError, match="no shares for party 'independent'"):
        truth.probabilities(PEOPLE.head(1).assign(text="party: independent"), COLOR)


# errors


@pytest.mark.parametrize("dials, words", [
    ({"homogenisation": 1.2}, "homogenisation must be a number between 0 and 1, got 1.2"), ({"refusals": -0.1}, "refusals must be"),
    ({"noise": "much"}, "noise must be a number between 0 and 1, got 'much'"), ({"position_bias": math.nan}, "position_bias must be"),
    ({"drift": math.inf}, "drift must be a number between -20 and 20"), ({"acquiescence": True}, "acquiescence must be"),
    ({"refusals": 0.6, "unreadable": 0.4}, "must be below 1"), ({"persona_spread": -1}, "persona_spread must be"),
    ({"seed": 1.5}, "seed must be"),
    ({"left": {"color": "Red"}}, "give the survey as items="), ({"items": COLOR, "left": {"colour": "Red"}}, "no item 'colour'"),
    ({"items": COLOR, "left": {"color": "Pink"}}, "option 'Pink' of item 'color'"),
    ({"items": presidential_election(anonymous=True)}, "same wording and options"),
    ({"items": COLOR, "table": shares_of(COLOR).assign(share=0.5)}, "item 'color': shares must be at least 0 and sum to 1"),
    ({"items": COLOR, "table": shares_of(COLOR).assign(item_id="colour")}, "no item 'colour'"),
    ({"items": COLOR, "table": shares_of(COLOR).replace("Red", "Pink")}, "option 'Pink' is none of"),
    ({"items": BALLOT + Survey(COLOR), "table": shares_of(COLOR)}, "no shares for item 'president_2020'"),
    ({"items": COLOR, "table": shares_of(COLOR).drop(columns="share")}, "missing column share"),
    ({"items": COLOR, "loadings": pd.DataFrame({"item_id": ["color"]})}, "missing column attribute"),
    ({"items": COLOR, "loadings": pd.DataFrame({"item_id": ["color"], "attribute": "sex", "value": "M", "option": "Pink", "loading": 1})},
     "row 0: no option 'Pink'"),
])  # fmt: skip
def test_what_cannot_be_planted_is_refused(dials, words):
    with pytest.raises((ValueError, TableError), match=words):
        Respondent(**dials)


def test_refusals_that_cannot_be_known_are_asked_for():
    item = Item("x", "Which?", ("Red", "Green"), refusals=("Next question, please",))
    with pytest.raises(ValueError, match=r"Respondent\(items=survey\)"):
        Respondent().probabilities(PEOPLE, item)
    assert len(Respondent(items=item).probabilities(PEOPLE.head(1), item)) == 2


# what the measures find, in repeated runs without HTTP


@pytest.mark.parametrize("beta", [-2, -0.5, 0, 0.5, 1, 2, 4])
def test_position_bias_is_recovered_over_its_range(beta):
    truth = Respondent(position_bias=beta, seed=8)
    shares, rng = truth.probabilities(PEOPLE, BALLOT), np.random.default_rng(5)
    answers = drawn(shares, np.repeat(PEOPLE["persona_id"].to_numpy(), 10), rng)
    found = position_bias(answers, by=[], ci=0.999).iloc[0]
    planted = truth.planted(PEOPLE, BALLOT).query("quantity == 'first_option_share'")["value"].item()
    assert found["low"] <= planted <= found["high"] and found["high"] - found["low"] < 0.09


def test_intervals_of_shares_hold_the_truth_as_often_as_they_say():
    "Persons drawn within states from those planted, then their answers: 1,000 times."
    truth = Respondent(persona_spread=2, seed=8)
    p = truth.probabilities(PEOPLE, COLOR)["share"].to_numpy().reshape(len(STATES), -1, 3)
    per_state, rng = 15, np.random.default_rng(12)
    target, n, runs, block = p.mean((0, 1)), len(STATES) * per_state, 1000, 20
    run = np.repeat(np.arange(block), n)
    frame = pd.DataFrame({"persona_id": np.arange(block * n), "item_id": "color", "status": "ok", "run": run,
                          "state": run * len(STATES) + np.tile(np.repeat(np.arange(len(STATES)), per_state), block)})
    held = np.zeros(3)
    for number in range(runs // block):
        who = rng.integers(p.shape[1], size=(block, len(STATES), per_state))
        chances = p[np.arange(len(STATES))[:, None], who].reshape(block * n, 3)
        chosen = (rng.random((block * n, 1)) > chances.cumsum(1)).sum(1).clip(max=2)
        answers = frame.assign(option=np.array(COLOR.options)[chosen])
        found = distribution(answers, by="run", items=Survey(COLOR), ci=0.95, n_boot=400, seed=number)
        low, high = (found[end].to_numpy().reshape(block, 3) for end in ("low", "high"))
        held += ((low <= target) & (target <= high)).sum(0)
    assert 0.93 <= held.mean() / runs <= 0.97, held / runs


def test_intervals_of_drift_hold_the_truth_as_often_as_they_say():
    "Pairs of tiers, 1,000 times; drift is planted by a text of 150 words."
    truth, longer = Respondent(drift=0.6, seed=8), " ".join(["word"] * 150)
    short = PEOPLE.assign(text=render(PEOPLE))
    p = [truth.probabilities(t, BALLOT).query("option == @DEMOCRAT")["share"].to_numpy().reshape(len(STATES), -1)
         for t in (short, short.assign(text=short["text"] + "\n" + longer))]
    target, per_state, rng, years, runs = 100 * (p[1] - p[0]).mean(), 15, np.random.default_rng(13), [2016, 2020, 2024], 999
    n, held = len(STATES) * per_state, 0
    names, states = [f"p{i:03d}" for i in range(n)], np.repeat(STATES, per_state)
    frame = pd.DataFrame({"persona_id": names * 2, "state": np.tile(states, 2), "weight": 1.0, "status": "ok",
                          "tier": np.repeat(["meta", "descriptive"], n)})
    options = [sorted(item.options[:2], key=party) for item in presidential_election()]
    for run in range(runs // len(years)):
        each = []
        for year, sides in zip(years, options, strict=True):      # three elections of other people each, with the chances of 2020
            who = rng.integers(p[0].shape[1], size=(len(STATES), per_state))
            chances = np.concatenate([q[np.arange(len(STATES))[:, None], who].ravel() for q in p])
            each.append(frame.assign(item_id=f"president_{year}", option=np.where(rng.random(2 * n) < chances, *sides)))
        found = drift(pd.concat(each, ignore_index=True), n_boot=400, seed=run)
        held += ((found["low"] <= target) & (target <= found["high"])).sum()
        assert found["year"].tolist() == years
    assert target > 10 and 0.93 <= held / runs <= 0.97, held / runs


@pytest.mark.parametrize("h", [0, 0.4, 0.8])
def test_variance_between_persons_is_recovered(h):
    "The covariance of two answers of a person is the variance between persons."
    plain, truth = (Respondent(homogenisation=x, persona_spread=4, seed=8).probabilities(PEOPLE, BALLOT) for x in (0, h))
    rng, reps, estimates = np.random.default_rng(3), 400, []
    p = truth.query("option == @DEMOCRAT")["share"].to_numpy()
    for _ in range(reps):
        one, two = rng.random((2, len(p))) < p
        estimates.append(np.cov(one, two)[0, 1])
    ratio = np.mean(estimates) / plain.query("option == @DEMOCRAT")["share"].var()
    error = np.std(estimates) / math.sqrt(reps) / plain.query("option == @DEMOCRAT")["share"].var()
    assert abs(ratio - (1 - h) ** 2) < 3.3 * error and error < 0.05


# answers without HTTP


def test_answers_drawn_directly_are_those_of_the_endpoint(noisy):
    "Counts over HTTP and drawn directly come from the same distribution: p above 0.001 in each of 8 tests."
    truth, survey, asked = noisy
    direct = sample_answers(truth, PEOPLE, survey, draws=9, seed=3)
    check(direct.assign(tier="meta"), "answers")
    for item in survey:
        one, other = (f[f["item_id"] == item.item_id] for f in (asked, direct))
        first = [f.loc[f["status"] == "ok", "order"].map(lambda o: o[0]) == f.loc[f["status"] == "ok", "option"] for f in (one, other)]
        orders = [f["order"].map(list).map(str) for f in (one, other)]
        for a, b in ((one["option"], other["option"]), (one["status"], other["status"]), first, orders):
            a, b = a.dropna().astype(str), b.dropna().astype(str)
            table = pd.crosstab(np.repeat([0, 1], [len(a), len(b)]), np.concatenate([a, b]))
            assert table.shape[1] > 1 and chi2_contingency(table, correction=False).pvalue > 0.001


def test_direct_answers_have_the_planted_shares_of_each_person():
    truth = Respondent(position_bias=1, acquiescence=0.5, homogenisation=0.2, seed=2)
    some = PEOPLE.head(3)
    direct = sample_answers(truth, some, COLOR, draws=3000)
    shares = truth.probabilities(some, COLOR).set_index(["persona_id", "option"])["share"]
    seen = direct.groupby("persona_id")["option"].value_counts(normalize=True)
    assert (seen - shares).abs().max() < 3.5 * 0.5 / 3000**0.5 and set(direct["order"].map(len)) == {3}
    fixed = sample_answers(truth, some, COLOR, shuffle=False)
    assert fixed["order"].map(list).tolist() == [list(COLOR.options)] * 3


def test_what_is_made_of_these_answers_says_so():
    "Tables in their attrs, figures in small print; of another model's answers nothing is said."
    answers = sample_answers(Respondent(seed=2), PEOPLE, BALLOT, seed=1)
    other = answers.assign(simulator="some-model")
    marked = distribution(answers, items=BALLOT)
    assert marked.attrs["describes"] == ARTIFICIAL and "describes" not in distribution(other, items=BALLOT).attrs
    by_state = forecast(answers, n_boot=50)
    assert by_state.attrs["describes"] == ARTIFICIAL and evaluate(answers, n_boot=50).attrs["describes"] == ARTIFICIAL
    for frame, says in ((by_state, True), (forecast(other, n_boot=50), False)):
        figure = forecast_plot(frame)
        assert any("artificial respondent" in text.get_text() for text in figure.texts) == says
        plt.close(figure)
