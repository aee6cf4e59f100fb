"Generation: census facts stay, contradictions are caught, nobody is lost."

import asyncio
import hashlib
import json
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_kit.generation import agenerate, allowed, fields, generate, parse_attributes, parse_narrative, schema
from persona_kit.personas import META, NOT_WORKING, OBJECTIVE, SUBJECTIVE, TIERS, WORK
from persona_kit.population import us_adults
from persona_kit.tables import TableError, check

BY_NAME = {a.name: a for a in (*OBJECTIVE, *SUBJECTIVE)}
WOMAN = {"age": 34, "sex": "Female", "state": "OH", "race_ethnicity": "Black", "education": "High school graduate"}
MAN = {"age": 70, "sex": "Male", "state": "WV", "race_ethnicity": "White", "education": "Bachelor's degree"}
STORY = "I sell fish at the market and I get up before the sun does. My knees hurt, but I would not trade the river for anything else."


def filled(shape, pick=0):
    "A value that a JSON schema allows."
    if "anyOf" in shape:
        return filled(shape["anyOf"][pick % len(shape["anyOf"])], pick)
    if shape["type"] == "object":
        return {k: filled(v, pick) for k, v in shape["properties"].items()}
    return shape["enum"][pick % len(shape["enum"])] if "enum" in shape else "some words"


def obedient(request):
    return STORY if request.schema is None else json.dumps(filled(request.schema, request.seed))


class Fake:
    "A model in memory: `answer(request)` gives a text, or a dict of columns of the reply."

    id, embedded = "fake", False

    def __init__(self, answer=obedient):
        self.answer, self.seen, self.rounds = answer, [], []

    def complete(self, requests, *, progress=None):
        self.rounds.append(len(requests))
        rows = []
        for request in requests:
            self.seen.append(request)
            said = self.answer(request)
            base = {"request_key": f"{request.seed}", "model": "fake", "text": None, "status": "ok", "reason": None, "logprobs": None}
            rows.append(base | (said if isinstance(said, dict) else {"text": said}))
        return pd.DataFrame(rows)

    async def acomplete(self, requests, *, progress=None):
        return self.complete(requests, progress=progress)


def people(n=4, **columns):
    frame = pd.DataFrame(
        {"persona_id": [f"OH-1-{i:05d}" for i in range(n)], "state": "OH", "sex": "Female", "age": 34, "race_ethnicity": "Black"}
    )
    return frame.assign(**({"education": "High school graduate", "weight": 2.0, "tier": "meta", "status": "ok"} | columns))


# A persona and its census facts


@pytest.mark.parametrize("tier", ["objective_tabular", "subjective_tabular", "descriptive"])
def test_everybody_comes_back_with_their_facts(tier):
    meta = people(6)
    made = generate(meta, tier, Fake(), seed=3)
    assert made["status"].eq("ok").all() and made["attempts"].eq(1).all() and made["rejected"].eq(0).all() and made["reason"].eq("").all()
    facts = ["persona_id", *[a.name for a in META], "weight"]
    pd.testing.assert_frame_equal(made[facts], meta[facts])
    assert made["tier"].eq(tier).all() and made["generator"].eq("fake").all() and check(made, "personas") is made
    assert made["text"].str.contains("age: 34").all() and made["text"].str.contains("Ohio").all()
    assert {a.name for a in TIERS[tier]} <= set(made)


def test_work_is_asked_of_those_who_work():
    made = generate(people(40), "objective_tabular", Fake())
    idle = made["employment"].isin(NOT_WORKING)
    assert 0 < idle.sum() < 40 and made.loc[idle, ["class_of_worker", "industry", "occupation", "job"]].isna().all(axis=None)
    assert made.loc[~idle, list(WORK)].notna().all(axis=None) and not made.loc[~idle, "income"].eq("none").any()
    assert not made.loc[idle, "text"].str.contains("occupation|nan|None").any() and made["citizenship"].dtype == "category"


def test_what_is_known_is_kept_and_not_asked_for():
    model = Fake()
    known = people(2, home="owned", marital_status=["widowed", None], employment=["retired", "full-time"], age=70, tier="objective_tabular")
    made = generate(known, "objective_tabular", model)
    asked = [set(r.schema["properties"]) for r in model.seen]
    assert "home" not in asked[0] | asked[1] and "marital_status" not in asked[0] and "marital_status" in asked[1]
    assert set(model.seen[0].schema["properties"]["work"]["properties"]) == {"income"}
    assert set(model.seen[1].schema["properties"]["work"]["properties"]) == set(WORK) - {"employment"}
    assert (
        made["home"].tolist() == ["owned", "owned"]
        and made["marital_status"].iloc[0] == "widowed"
        and made["employment"].tolist() == ["retired", "full-time"]
    )
    assert "home: owned" in model.seen[0].messages[-1]["content"]


def test_a_checker_rejects_what_words_do_not_show():
    def verdict(request):
        said = {k: "fits" for k in request.schema["properties"]}
        return json.dumps(said | {"age": "contradicts"} if "Kennedy" in request.messages[1]["content"] else said)

    old = STORY + " I remember the day Kennedy was shot."
    writer, checker = Fake(lambda r: old if r.draw == 0 else STORY), Fake(verdict)
    made = generate(people(3), "descriptive", writer, checker=checker)
    assert made["status"].eq("ok").all() and made["narrative"].eq(STORY).all()
    assert made["attempts"].eq(2).all() and made["rejected"].eq(1).all()
    facts = {"age", "sex", "race_ethnicity", "state", "education"}
    assert len(checker.seen) == 6 and set(checker.seen[0].schema["properties"]) == facts & set(made)
    assert "age: 34" in checker.seen[0].messages[1]["content"] and checker.seen[0].temperature == 0
    kept = generate(people(2), "descriptive", Fake(lambda r: old), attempts=2, checker=Fake(verdict))
    assert kept["status"].eq("contradiction").all() and kept["text"].isna().all() and kept["rejected"].eq(2).all()
    assert kept["reason"].eq("the checker found a contradiction: age").all()


@pytest.mark.parametrize("verdict", ["no idea", "", '{"age": "perhaps"}', {"status": "error", "text": None}])
def test_a_checker_without_a_verdict_rejects_nothing(verdict):
    made = generate(people(2), "descriptive", Fake(), checker=Fake(lambda r: verdict))
    assert made["status"].eq("ok").all() and made["narrative"].eq(STORY).all()
    checker = Fake(lambda r: verdict)
    generate(people(2), "objective_tabular", Fake(), checker=checker)
    assert not checker.seen
    again = asyncio.run(agenerate(people(2), "descriptive", Fake(), checker=Fake(lambda r: verdict)))
    pd.testing.assert_frame_equal(again, made)


def test_the_columns_do_not_depend_on_the_replies():
    idle = Fake(lambda r: json.dumps(filled(r.schema, 1)))
    works = generate(people(3), "objective_tabular", Fake(lambda r: json.dumps(filled(r.schema, 0))))
    assert list(generate(people(3), "objective_tabular", idle)) == list(works) and works["job"].notna().all()
    failed = generate(people(3), "descriptive", Fake(lambda r: {"status": "error", "text": None}))
    assert failed["narrative"].isna().all() and failed["text"].isna().all()


def test_tiers_build_on_each_other():
    objective = generate(people(6), "objective_tabular", Fake(), seed=1)
    model = Fake()
    subjective = generate(objective, "subjective_tabular", model, seed=1)
    assert all(set(r.schema["properties"]) == {a.name for a in SUBJECTIVE} for r in model.seen)
    names = [a.name for a in OBJECTIVE]
    assert (subjective[names].astype(object).fillna("") == objective[names].astype(object).fillna("")).all(axis=None)
    assert subjective["text"].str.contains("quirk: some words").all()


def test_nothing_missing_nothing_asked():
    objective = generate(people(5), "objective_tabular", Fake())
    model = Fake(lambda r: {"status": "error", "text": None})
    again = generate(objective, "objective_tabular", model)
    assert not model.seen and again["attempts"].eq(0).all() and again["status"].eq("ok").all() and again["text"].equals(objective["text"])
    told = generate(people(2, narrative=["I sell fish.", None]), "descriptive", model := Fake())
    assert len(model.seen) == 1 and told["narrative"].tolist() == ["I sell fish.", STORY] and told["text"].str.contains("fish").all()


def test_values_excluded_by_the_facts_are_not_offered():
    young, old = schema(list(OBJECTIVE), WOMAN | {"age": 19}), schema(list(OBJECTIVE), MAN)
    assert young["properties"]["veteran"]["enum"] == ["no"] and "yes" in old["properties"]["veteran"]["enum"]
    assert "Medicare" not in young["properties"]["health_insurance"]["enum"] and "Medicare" in old["properties"]["health_insurance"]["enum"]
    assert "retired" not in str(young) and "Cuban" not in young["properties"]["ancestry"]["enum"]
    assert "African American" not in schema(list(OBJECTIVE), MAN | {"race_ethnicity": "White"})["properties"]["ancestry"]["enum"]
    races = us_adults().sample(per_state=200, seed=1)["race_ethnicity"].unique()
    kept = {r: set(allowed(BY_NAME["ancestry"], {"race_ethnicity": r})) for r in races}
    every = set(BY_NAME["ancestry"].values)
    assert set.union(*kept.values()) == every and all({"other"} < k < every for k in kept.values())
    assert set(allowed(BY_NAME["ancestry"], {"race_ethnicity": "Hispanic"})) < set(BY_NAME["ancestry"].values)
    assert (
        allowed(BY_NAME["veteran"], {"age": 20})
        == ("yes", "no")
        == allowed(BY_NAME["veteran"], {"age": np.nan})
        == allowed(BY_NAME["veteran"], {})
    )
    assert all(
        allowed(a, {"age": age, "race_ethnicity": r})
        for a in OBJECTIVE
        if a.values
        for age in (18, 40, 99)
        for r in ("Hispanic", "White", None, np.nan)
    )


def test_schema_and_words_name_the_same_keys():
    shape = schema(list(OBJECTIVE), WOMAN)
    lines = [line.split('"')[1] for line in fields(list(OBJECTIVE)).splitlines()]
    assert set(lines) == set(shape["properties"]) == set(shape["required"]) and not shape["additionalProperties"]
    works, idle = shape["properties"]["work"]["anyOf"]
    assert set(works["required"]) == set(WORK) and set(idle["required"]) == {"employment", "income"}
    assert not set(works["properties"]["employment"]["enum"]) & set(NOT_WORKING) and set(idle["properties"]["employment"]["enum"]) <= set(
        NOT_WORKING
    )
    assert schema([BY_NAME["job"]], {"employment": "retired"})["properties"] == {} and schema([], {})["properties"] == {}


def test_the_order_of_values_is_drawn():
    young = WOMAN | {"age": 19}
    shown = [fields(list(OBJECTIVE), young, seed=s) for s in range(200)]
    first = Counter(re.search('"marital_status": ([a-z ]+) [|]', text)[1].strip() for text in shown)
    assert len(first) == 5 and min(first.values()) > 20
    incomes = Counter(re.search('"income": ([^|;]+) [|]', text)[1] for text in shown)
    assert set(incomes) == {"none", "$100,000 or more"} and min(incomes.values()) > 70
    assert not any("retired" in text or "Medicare" in text for text in shown) and shown[3] == fields(list(OBJECTIVE), young, seed=3)
    assert fields(list(SUBJECTIVE)) == fields(list(SUBJECTIVE), young) and "low | average | high" in fields(list(SUBJECTIVE))
    model = Fake()
    generate(people(30), "objective_tabular", model, seed=1)
    assert len({r.messages[0]["content"] for r in model.seen}) == 30


@pytest.mark.parametrize("echo", ["spare_time", "Quirk", "(in your own words)", " class of worker "])
def test_free_text_that_repeats_the_request_is_asked_again(echo):
    asked = [a for a in SUBJECTIVE if not a.values]
    reply = {a.name: "some words" for a in asked}
    assert parse_attributes(json.dumps(reply), asked, WOMAN)[1] == "ok"
    values, status, reason = parse_attributes(json.dumps(reply | {"quirk": echo}), asked, WOMAN)
    assert status == "invalid" and "quirk" in reason and "quirk" not in values


# Bad replies


def attempts_of(bad, good=obedient, times=1):
    "A model that answers badly the first `times` rounds."
    return Fake(lambda r: bad if r.draw < times else good(r))


BAD = {
    "prose": ("I would rather talk.", "invalid", "no JSON object"),
    "empty": ("", "invalid", "no JSON object"),
    "list": ("[1, 2]", "invalid", "no JSON object"),
    "keys missing": ("{}", "invalid", "ancestry: missing"),
    "off the list": ('{"home": "castle"}', "invalid", "home: 'castle' is not on the list"),
    "number": ('{"home": 3}', "invalid", "home: missing"),
    "wrong age": ('{"age": 51}', "contradiction", "age: 51, but the census says 34"),
    "wrong sex": ('{"sex": "man"}', "contradiction", "sex: 'man', but the census says 'Female'"),
    "wrong state": ('{"state": "Texas"}', "contradiction", "state: 'Texas', but the census says 'OH'"),
    "medicare": ('{"health_insurance": "Medicare"}', "contradiction", "health_insurance: 'Medicare' of a person with age 34"),
    "cuban": ('{"ancestry": "cuban"}', "contradiction", "ancestry: 'Cuban'"),
    "idle with a job": (
        '{"work": {"employment": "student", "income": "none", "job": "welder"}}',
        "contradiction",
        "job: 'welder' of someone without work",
    ),
    "job of another": ('{"work": {"employment": "full-time", "job": "I am a 52-year-old man"}}', "contradiction", "age"),
    "cut": ({"text": '{"ancestry": "Af', "status": "truncated"}, "truncated", "no JSON object"),
    "filtered": ({"status": "filtered", "reason": "policy"}, "filtered", "policy"),
    "refused": ({"status": "refusal", "reason": "no"}, "refusal", "no"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_reply_is_asked_again_with_another_seed(case):
    bad, status, words = BAD[case]
    model = attempts_of(bad, times=2)
    made = generate(people(3), "objective_tabular", model)
    assert (
        made["status"].eq("ok").all()
        and made["attempts"].eq(3).all()
        and model.rounds == [3, 3, 3]
        and len({r.seed for r in model.seen}) == 9
    )
    assert made["rejected"].eq(2 * (status == "contradiction")).all() and made["reason"].eq("").all() and made["text"].notna().all()


@pytest.mark.parametrize("case", BAD)
def test_a_bad_reply_that_stays_bad_is_kept_without_text(case):
    bad, status, words = BAD[case]
    made = generate(people(2), "objective_tabular", attempts_of(bad, times=9), attempts=3)
    assert len(made) == 2 and made["status"].eq(status).all() and made["attempts"].eq(3).all() and made["text"].isna().all()
    assert made["reason"].str.contains(words, regex=False).all() and made["rejected"].eq(3 * (status == "contradiction")).all()
    assert not ({"home", "ancestry"} & set(made)) or made[["home", "ancestry"]].isna().all(axis=None)


def test_an_error_is_not_asked_again():
    model = Fake(lambda r: {"status": "error", "reason": "endpoint down"})
    made = generate(people(2), "descriptive", model)
    assert (
        model.rounds == [2] and made["status"].eq("error").all() and made["reason"].eq("endpoint down").all() and made["text"].isna().all()
    )


def test_only_the_unlucky_are_asked_again():
    model = Fake(lambda r: "{}" if r.draw == 0 and r.seed % 2 else obedient(r))
    made = generate(people(30), "objective_tabular", model)
    assert len(model.rounds) == 2 and 0 < model.rounds[1] < 30 and made["attempts"].value_counts()[2] == model.rounds[1]
    assert generate(people(2), "objective_tabular", attempts_of("{}"), attempts=1)["status"].eq("invalid").all()


def test_bad_personas_are_neither_asked_nor_lost():
    model = Fake()
    made = generate(people(4, status=["ok", "contradiction", "error", "ok"]), "descriptive", model)
    assert (
        model.rounds == [2]
        and made["status"].tolist() == ["ok", "contradiction", "error", "ok"]
        and made["text"].notna().tolist() == [True, False, False, True]
    )
    assert made["attempts"].tolist() == [1, 0, 0, 1]
    none = generate(people(2, status="error"), "objective_tabular", model)
    assert model.rounds == [2] and none["text"].isna().all() and none["tier"].eq("objective_tabular").all()


def test_nobody():
    for tier in ("objective_tabular", "descriptive"):
        made = generate(people().iloc[:0], tier, Fake())
        assert len(made) == 0 and {"status", "attempts", "rejected", "reason", "text", "generator"} <= set(made)


# Shards, order, coroutines


@pytest.mark.parametrize("tier", ["objective_tabular", "subjective_tabular", "descriptive"])
def test_shards_give_what_the_whole_gives(tier):
    def answer(r):
        return "{}" if r.seed % 3 == 0 else obedient(r)

    whole = generate(people(12), tier, Fake(answer), seed=5)
    parts = pd.concat([generate(people(12).iloc[s], tier, Fake(answer), seed=5) for s in (slice(0, 5), slice(5, 12))], ignore_index=True)
    turned = generate(people(12).iloc[::-1].set_axis([0] * 12), tier, Fake(answer), seed=5).iloc[::-1].reset_index(drop=True)
    for other in (parts, turned, asyncio.run(agenerate(people(12), tier, Fake(answer), seed=5))):
        assert set(other) == set(whole) and (other[list(whole)].astype(object).fillna("-") == whole.astype(object).fillna("-")).all(
            axis=None
        )
    seeds = Fake()
    generate(people(12), tier, seeds, seed=6)
    assert len({r.seed for r in seeds.seen}) == 12


def test_the_frame_given_is_not_changed():
    frame = people(3, status=["ok", "error", "ok"])
    before = frame.copy(deep=True)
    generate(frame, "objective_tabular", Fake())
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    "change, args, error, words",
    [
        ({}, ("meta",), ValueError, "'meta' comes from the census"),
        ({}, ("rich",), ValueError, "unknown tier 'rich'"),
        ({}, ("descriptive", {"attempts": 0}), ValueError, "attempts must be at least 1, got 0"),
        ({}, ("descriptive", {"format": "yaml"}), ValueError, "unknown format 'yaml'"),
        ({"persona_id": "x"}, ("descriptive",), TableError, "repeated"),
        ({"persona_id": None}, ("descriptive",), TableError, "persona_id is missing"),
        ({"weight": -1}, ("descriptive",), TableError, "weight"),
        ({"tier": "rich"}, ("descriptive",), ValueError, "unknown tier 'rich'"),
    ],
)
def test_what_generate_refuses_before_it_asks(change, args, error, words):
    model = Fake()
    with pytest.raises(error, match=words):
        generate(people(**change), args[0], model, **(args[1] if len(args) > 1 else {}))
    assert not model.seen


@pytest.mark.parametrize(
    "format, words",
    [("json", '"age": "34"'), ("sentence", "This person is 34"), ("first_person", "I am 34 years old."), ("list", "age: 34")],
)
def test_formats_reach_the_generator_and_the_text(format, words):
    model = Fake()
    made = generate(people(1), "descriptive", model, format=format)
    assert words in model.seen[0].messages[0]["content"] and words in made["text"].iloc[0] and "river" in made["text"].iloc[0]


# Reading attributes

TWO = [BY_NAME["home"], BY_NAME["veteran"]]


@pytest.mark.parametrize(
    "text",
    [
        '{"home": "owned", "veteran": "no"}',
        '```json\n{"home": "owned", "veteran": "no"}\n```',
        'Sure! {"home": "Owned ", "veteran": "NO"} Anything else?',
        '{"home": "owned", "veteran": "no", "age": 34, "sex": "female", "state": "Ohio"}',
        '{"home": "owned", "veteran": "no", "state": "OH", "age": "34"}',
        '{broken} {"home": "owned", "veteran": "no"}',
        '{"home": "owned", "veteran": "no", "pet": "cat"}',
        '{"home": "owned", "veteran": "no"}{"home": "rented"}',
        '{"work": null, "home": "owned", "veteran": "no"}',
        '\ufeff{"home": "owned", "veteran": "no"}',
    ],
)
def test_replies_that_are_read(text):
    assert parse_attributes(text, TWO, WOMAN) == ({"home": "owned", "veteran": "no"}, "ok", "")


@pytest.mark.parametrize(
    "text, status",
    [
        ('{"home": "owned"}', "invalid"),
        ('{"home": "own", "veteran": "no"}', "invalid"),
        ('{"home": ["owned"], "veteran": "no"}', "invalid"),
        ('{"home": null, "veteran": "no"}', "invalid"),
        ('{"home": "", "veteran": "no"}', "invalid"),
        ("{'home': 'owned', 'veteran': 'no'}", "invalid"),
        ('{"home": "owned", "veteran": "no"', "invalid"),
        ("null", "invalid"),
        ("{" * 3000, "invalid"),
        ('{"home": "owned", "veteran": "no", "race_ethnicity": "White"}', "contradiction"),
        ('{"home": "owned", "veteran": "no", "education": "PhD"}', "contradiction"),
        ('{"home": "owned", "veteran": "no", "sex": "Male"}', "contradiction"),
        ('{"home": "castle", "veteran": "no", "age": 12}', "contradiction"),
        ('{"data": {"home": "owned", "veteran": "no"}}', "invalid"),
    ],
)
def test_replies_that_are_not(text, status):
    values, found, reason = parse_attributes(text, TWO, WOMAN)
    assert found == status and reason


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(
        st.text(max_size=80),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=5),
            lambda x: (
                st.lists(x, max_size=3)
                | st.dictionaries(st.sampled_from(["work", "home", "age", "sex", "state", "employment", "job", "x"]), x, max_size=4)
            ),
            max_leaves=8,
        ).map(json.dumps),
    )
)
def test_no_reply_makes_the_reader_raise(text):
    for person in (WOMAN, {}, {"age": 34}):
        values, status, reason = parse_attributes(text, list(OBJECTIVE), person)
        assert status in ("invalid", "contradiction") and set(values) <= set(BY_NAME)
        assert parse_narrative(text, person)[1] in ("ok", "invalid", "contradiction", "refusal")


# Narratives


def test_a_truncated_narrative_ends_with_a_sentence():
    values, status, _ = parse_narrative(STORY + " And then one day I wo", WOMAN, truncated=True)
    assert status == "ok" and values["narrative"] == STORY
    assert (
        parse_narrative("I like the quiet of the early shift and the smell of coffee in the ward before anyone", WOMAN, truncated=True)[1]
        == "truncated"
    )
    made = generate(people(1), "descriptive", Fake(lambda r: {"text": STORY + " And th", "status": "truncated"}))
    assert made["status"].iloc[0] == "ok" and made["narrative"].iloc[0] == STORY


@pytest.mark.parametrize(
    "text, status",
    [
        (STORY, "ok"),
        ("# Portrait\n\n**Jane**\n\n" + STORY, "ok"),
        (STORY.replace(" ", "\n\n"), "ok"),
        ("", "invalid"),
        ("I sell fish.", "invalid"),
        (
            "As an AI language model, I do not have a life of my own, but I can offer you a portrait of somebody else if you like it so.",
            "refusal",
        ),
        (
            "I'm sorry, but I can’t create a portrait of a real person, since this might not be right for them or their family at home.",
            "refusal",
        ),
        ("I can't write well, but I can fix any engine that you roll into my yard, and people pay me for that with what they have.", "ok"),
        ("Some weeks I can't provide for my kids what other kids have, and that keeps me awake more than the pain in my back does.", "ok"),
        ("I have worked as an airline mechanic and as an aide in a nursing home, and neither of them pays the rent on its own here.", "ok"),
        ("I cannot help with this request, because a portrait of a real person could be used to deceive others.", "refusal"),
        (STORY + " I am a man.", "contradiction"),
        (STORY + " <b>$5</b> {x}", "ok"),
    ],
)
def test_narratives(text, status):
    values, found, reason = parse_narrative(text, WOMAN)
    assert found == status and ("narrative" in values) == (status in ("ok", "contradiction")) and bool(reason) == (status != "ok")
    assert status != "ok" or (not values["narrative"].startswith("#") and "\n" not in values["narrative"])


def test_a_contradicting_narrative_is_never_shown_to_a_simulator():
    model = Fake(lambda r: STORY + " I live in Texas." if r.draw < 2 else STORY)
    made = generate(people(2), "descriptive", model)
    assert made["rejected"].eq(2).all() and made["status"].eq("ok").all() and not made["text"].str.contains("Texas").any()
    kept = generate(people(2), "descriptive", Fake(lambda r: STORY + " I live in Texas."), attempts=2)
    assert kept["status"].eq("contradiction").all() and kept["text"].isna().all() and kept["reason"].str.contains("Texas").all()
    assert "narrative" not in kept or kept["narrative"].isna().all()


def test_markup_and_dollars_in_a_narrative():
    made = generate(
        people(1), "descriptive", Fake(lambda r: STORY + " It costs $persona <script>x</script> {I} %s."), format="first_person"
    )
    assert made["text"].iloc[0].endswith("It costs $persona <script>x</script> {I} %s.")


# Attributes fixed by quotas


DIGESTS = {"objective_tabular": "9784fc81134e797b", "subjective_tabular": "b5d790cc1d405df8", "descriptive": "aa9864a48cdeeb13"}
QUOTA = {"party": ["strong Republican", "independent", "leans Democrat"], "ideology": ["conservative", "moderate", "very liberal"]}


def test_what_quotas_fix_is_shown_required_and_kept_in_every_tier():
    fixed, frame = list(QUOTA), people(3, **QUOTA)
    model = Fake()
    objective = generate(frame, "objective_tabular", model, fixed=fixed)
    subjective = generate(objective, "subjective_tabular", model, fixed=fixed)
    told = generate(subjective, "descriptive", model, fixed=fixed)
    assert len(model.seen) == 9
    for made in (objective, subjective, told):
        assert made["status"].eq("ok").all() and made[fixed].astype(str).equals(frame[fixed])
        assert all(f"party: {p}\n" in t and f"ideology: {i}\n" in f"{t}\n" for p, i, t in zip(*QUOTA.values(), made["text"], strict=True))
    for request, party, ideology in zip(model.seen, QUOTA["party"] * 3, QUOTA["ideology"] * 3, strict=True):
        said = "\n".join(m["content"] for m in request.messages)
        assert f"party: {party}\n" in said and f"ideology: {ideology}\n" in said
        if request.schema:
            assert list(request.schema["properties"])[:2] == fixed and request.schema["properties"]["party"]["enum"] == [party]
            assert f'"party": {party}\n' in said and said.count('"party"') == 1
    assert told["text"].str.endswith(STORY).all()


def test_without_quotas_requests_are_what_they_were():
    "Digests of the requests of the commit before quotas: the recorded replies hang on them."
    for tier, known in DIGESTS.items():
        model = Fake()
        generate(people(3), tier, model, seed=4)
        asked = [[r.messages, r.schema, r.seed, r.max_tokens] for r in model.seen]
        assert hashlib.sha256(json.dumps(asked, sort_keys=False).encode()).hexdigest()[:16] == known


@pytest.mark.parametrize(
    "change, status, words",
    [
        ({}, "ok", ""),
        ({"party": "strong Democrat"}, "contradiction", "party: 'strong Democrat', but the quota says 'strong Republican'"),
        ({"party": None}, "invalid", "party: missing"),
        ({"lifestyle": "knocks on doors for the Democrats"}, "contradiction", "party: 'Democrats', but the quota says"),
        ({"quirk": "the only liberal of the family"}, "contradiction", "ideology: 'liberal', but the quota says 'conservative'"),
        ({"quirk": "fond of the liberal arts"}, "ok", ""),
        ({"quirk": "a conservative Republican to the bone"}, "ok", ""),
    ],
)
def test_a_reply_that_denies_a_quota_is_a_contradiction(change, status, words):
    asked = [BY_NAME[n] for n in ("openness", "lifestyle", "quirk")]
    held = {"party": "strong Republican", "ideology": "conservative"}
    reply = held | {"openness": "low", "lifestyle": "church and garden", "quirk": "whistles at work"} | change
    reply = {k: v for k, v in reply.items() if v is not None}
    values, found, reason = parse_attributes(json.dumps(reply), asked, WOMAN, held)
    assert found == status and words in reason and "party" not in values
    assert found == "contradiction" or parse_narrative(STORY + " I vote Republican.", WOMAN, fixed=held)[1] == "ok"


def test_a_model_that_ignores_quotas_is_caught():
    def stubborn(request):
        reply = json.loads(obedient(request))
        return json.dumps(reply | {"party": "strong Democrat"})

    made = generate(people(3, **QUOTA), "subjective_tabular", Fake(stubborn), fixed="party", attempts=2)
    assert made["status"].eq("contradiction").all() and made["rejected"].eq(2).all() and made["text"].isna().all()
    assert made["party"].tolist() == QUOTA["party"]
    told = generate(people(3, **QUOTA), "descriptive", Fake(lambda r: STORY + " I am a proud Republican."), fixed="party", attempts=1)
    assert told["status"].tolist() == ["ok", "contradiction", "contradiction"]


def test_columns_of_ones_own_may_be_fixed():
    model = Fake()
    made = generate(people(2, Land=["Hessen", "Bayern"]), "objective_tabular", model, fixed="Land")
    assert made["text"].str.contains("Land: ").all() and "Land: Hessen" in model.seen[0].messages[1]["content"]
    assert model.seen[1].schema["properties"]["Land"] == {"type": "string", "enum": ["Bayern"]}


@pytest.mark.parametrize(
    "columns, fixed, words",
    [
        ({}, "party", "fixed: no column 'party'"),
        ({"party": ["Democrat", None]}, "party", "'party' is missing for 1 of 2 personas, first 'OH-1-00001'"),
        ({"party": "Whig"}, "party", r"party 'Whig' of persona 'OH-1-00000' \(row 0\) is not on the list; possible: strong Democrat"),
        ({"employment": ["full-time", "retired"]}, ["employment"], r"persona 'OH-1-00001' \(row 1\) is excluded by the census facts"),
    ],
)
def test_quotas_that_cannot_be_are_refused_before_anything_is_asked(columns, fixed, words):
    model = Fake()
    with pytest.raises(ValueError, match=words):
        generate(people(2, **columns), "subjective_tabular", model, fixed=fixed)
    assert not model.seen
