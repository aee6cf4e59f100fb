"The known-truth respondent: what is planted is what the equations say, and what the measures find."

import asyncio
import itertools
import math
import socket
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from persona_kit.alignment import alignment, distribution
from persona_kit.chat import ChatError, ChatModel, Request
from persona_kit.elections import drift, evaluate, position_bias
from persona_kit.generation import generate
from persona_kit.personas import FORMATS, SUBJECTIVE, prompt, render
from persona_kit.population import us_adults
from persona_kit.respondent import (
    NEGATIVE, POSITIVE, REFUSALS, UNREADABLE, Respondent, _styles, _unreadable, facts, reply, tone,
    sample_answers,
)  # fmt: skip
from persona_kit.simulation import LETTERS, aask, ask, parse_choice
from persona_kit.surveys import Item, Survey, presidential_election
from persona_kit.tables import TableError, check

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
    target, n, runs = p.mean((0, 1)), len(STATES) * per_state, 1000
    names, states = [f"p{i:03d}" for i in range(n)], np.repeat(STATES, per_state)
    frame = pd.DataFrame({"persona_id": names, "state": states, "item_id": "color", "status": "ok"})
    held = np.zeros(3)
    for run in range(runs):
        who = rng.integers(p.shape[1], size=(len(STATES), per_state))
        chances = p[np.arange(len(STATES))[:, None], who].reshape(n, 3)
        chosen = (rng.random((n, 1)) > chances.cumsum(1)).sum(1).clip(max=2)
        found = distribution(frame.assign(option=np.array(COLOR.options)[chosen]), items=Survey(COLOR), ci=0.95, n_boot=400, seed=run)
        held += (found["low"].to_numpy() <= target) & (target <= found["high"].to_numpy())
    assert 0.93 <= held.mean() / runs <= 0.97, held / runs


def test_intervals_of_drift_hold_the_truth_as_often_as_they_say():
    "Pairs of tiers, 1,000 times; drift is planted by a text of 150 words."
    truth, longer = Respondent(drift=0.6, seed=8), " ".join(["word"] * 150)
    short = PEOPLE.assign(text=render(PEOPLE))
    p = [truth.probabilities(t, BALLOT).query("option == @DEMOCRAT")["share"].to_numpy().reshape(len(STATES), -1)
         for t in (short, short.assign(text=short["text"] + "\n" + longer))]
    target, per_state, rng, runs = 100 * (p[1] - p[0]).mean(), 15, np.random.default_rng(13), 1000
    n, held = len(STATES) * per_state, 0
    names, states = [f"p{i:03d}" for i in range(n)], np.repeat(STATES, per_state)
    frame = pd.DataFrame({"persona_id": names * 2, "state": np.tile(states, 2), "weight": 1.0, "item_id": "president_2020", "status": "ok",
                          "tier": np.repeat(["meta", "descriptive"], n)})
    for run in range(runs):
        who = rng.integers(p[0].shape[1], size=(len(STATES), per_state))
        chances = np.concatenate([q[np.arange(len(STATES))[:, None], who].ravel() for q in p])
        answers = frame.assign(option=np.where(rng.random(2 * n) < chances, DEMOCRAT, REPUBLICAN))
        found = drift(answers, n_boot=400, seed=run).iloc[0]
        held += found["low"] <= target <= found["high"]
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
