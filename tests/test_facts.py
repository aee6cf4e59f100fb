"""Do texts fit the census facts? Every word of age, sex, home, origin and schooling must, whoever is meant."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_kit.facts import contradictions, not_oneself
from persona_kit.tables import STATES

WOMAN = {"age": 34, "sex": "Female", "state": "OH", "race_ethnicity": "Black", "education": "High school graduate"}
MAN = {"age": 70, "sex": "Male", "state": "WV", "race_ethnicity": "White", "education": "Bachelor's degree"}


def kinds(text, person):
    return {f.split(":")[0] for f in contradictions(text, person)}


CAUGHT = [
    ("I am 52 years old.", "age"),
    ("I'm a 52-year-old nurse.", "age"),
    ("I’m fifty-two years old.", "age"),
    ("As a 52 year old woman, I work.", "age"),
    ("I am 35, and tired.", "age"),
    ("I'm a retired 70-year-old teacher.", "age"),
    ("Age: 52. I sell fish.", "age"),
    ("A 52-year-old from Ohio.", "age"),
    ("I am ninety years old.", "age"),
    ("I'm now 29.", "age"),
    ("I am a man.", "sex"),
    ("I'm a hard-working guy from Dayton.", "sex"),
    ("As a father of two, I worry.", "sex"),
    ("I am a proud husband.", "sex"),
    ("I am an old white man", "sex"),
    ("He wakes early. His back hurts and he smokes.", "sex"),
    ("I live in Texas.", "state"),
    ("I live in Austin, Texas.", "state"),
    ("I reside in the state of Texas.", "state"),
    ("Based in West Virginia, I work.", "state"),
    ("I am based in West Virginia.", "state"),
    ("I live in Washington, D.C.", "state"),
    ("I'm a resident of New York.", "state"),
    ("I am living in the heart of Nevada.", "state"),
    ("I live here in Florida.", "state"),
    ("I am a white woman.", "race"),
    ("I'm a proud Asian American woman.", "race"),
    ("As a Latina mother, I care.", "race"),
    ("I am a Hispanic woman", "race"),
    ("I have a bachelor's degree.", "education"),
    ("I hold a master’s degree in law.", "education"),
    ("I earned my PhD late.", "education"),
    ("I received a nursing bachelor's", "education"),
    ("The portrait is of 57-year-old African-American woman, full of hope.", "age"),
    ("I'm 50, a 28-year-old woman from a big family", "age"),
    ("At 52, I have seen it all.", "age"),
    ("I turned 52 last week.", "age"),
    ("As a 20-year-old, I work nights.", "age"),
    ("I'm in my fifties.", "age"),
    ("I'm in my late 40s and happy.", "age"),
    ("I'm a nurse and father.", "sex"),
    ("I'm a stay-at-home dad", "sex"),
    ("I'm a teacher, father and friend.", "sex"),
    ("I'm from Texas.", "state"),
    ("I am a 34-year-old woman from Texas", "state"),
    ("We live in Kansas.", "state"),
    ("I love living in Texas.", "state"),
    ("I'm a nurse in Texas.", "state"),
    ("I live with my wife and two kids in Austin, Texas.", "state"),
    ("I've lived in Texas all my life.", "state"),
    ("Living in Texas, I work.", "state"),
    ("I am white.", "race"),
    ("I'm Hispanic.", "race"),
    ("I am a Latina.", "race"),
    ("I'm a Puerto Rican woman", "race"),
    ("I have an associate's degree.", "education"),
    ("I have a college degree.", "education"),
    ("I'm a 34-year-old woman with a master's degree.", "education"),
    ("I graduated from the University of Texas.", "education"),
    ("I'm Lily, a 49-year-old nurse.", "age"),
    ("She is now a 42-year-old woman and sells fish.", "age"),
    ("She sells fish. She's in her late 40s.", "age"),
    ("A woman in her early twenties walks home. She sings.", "age"),
    ("I'm a daddy to five.", "sex"),
    ("I live in the beautiful city of San Francisco.", "state"),
    ("She is a proud white woman.", "race"),
    ("I'm now a senior in high school.", "education"),
    ("I'm a high-schooler.", "education"),
    ("I'm 52 years of age.", "age"),
    ("Hi, I'm John, 45, from Ohio", "age"),
    ("I just celebrated my 45th birthday.", "age"),
    ("Forty-five years old, I still go down the mine", "age"),
    ("I just turned 52.", "age"),
    ("My name is Henry, a 34-year-old man", "sex"),
    ("Being a father of two in Ohio, I worry.", "sex"),
    ("I am male.", "sex"),
    ("I grew up in Ohio but now live in Tennessee.", "state"),
    ("I live with my husband and two sons in a small town in Georgia.", "state"),
    ("I live in Austin, TX.", "state"),
    ("I call Texas home.", "state"),
    ("I have lived my whole life in Kentucky.", "state"),
    ("Being a white woman in Ohio is easy.", "race"),
    ("I'm Dominican.", "race"),
    ("I'm a Salvadoran immigrant.", "race"),
    ("I am a Cherokee woman.", "race"),
    ("I completed my master's degree.", "education"),
    ("I earned an MBA.", "education"),
    ("I obtained a doctorate.", "education"),
    ("I am a college graduate.", "education"),
    ("He is tired. I know.", "sex"),
    ("A man with a smile, I walk.", "sex"),
    ("I was a man once.", "sex"),
    ("I am proud to be a son.", "sex"),
    ("This is a portrait of a young man.", "sex"),
    ("Portrait in the first person: Blessed male. I sing.", "sex"),
    ("She is a nurse who is a loving husband.", "sex"),
    ("I am a nurse from [Austin, Texas]. I sing.", "state"),
    ("Jane, 52 years old, sings to me.", "age"),
    ("I am one of many women in her fifties.", "age"),
    ("I was born in 1961.", "age"),
    ("I'm just a teenager.", "age"),
    ("I have a voice and now, at the age of 51, I sing.", "age"),
    ("Jane is a writer in North Carolina. I met her.", "state"),
    ("I sing, living in the United Kingdom.", "state"),
    ("A white woman, I sing.", "race"),
    ("My wife and I are high school seniors.", "education"),
    ("I am a lawyer.", "education"),
    ("I am a college student.", "education"),
]


@pytest.mark.parametrize("text, what", CAUGHT)
def test_what_contradicts_is_found(text, what):
    found = contradictions(text, WOMAN)
    assert what in kinds(text, WOMAN) and len(found) == len(set(found)) and "the census says" in found[0]


FITS = [
    "I am 34 years old.",
    "I'm a thirty-four-year-old woman.",
    "I'm thirty-four years old",
    "I am thirty four years old.",
    "I am a mother of a 5-year-old.",
    "I'm a single mother with a 5-year-old daughter.",
    "I'm 20 minutes away from work.",
    "I am 5 feet tall.",
    "I am 100 percent sure.",
    "I am a woman in a man's world.",
    "I am the wife of a soldier.",
    "I am the daughter of farmers.",
    "I live in Ohio.",
    "I live in Columbus, Ohio.",
    "Born in Texas, I now live in Ohio.",
    "I am a Black woman.",
    "I'm a proud African American mother.",
    "I have a black belt.",
    "I wear white shirts.",
    "She is kind. Her son says he is tired.",
    "I am 12 and a half pounds lighter.",
    "I live in Ohio and my son studies in Texas.",
    "I'm in my thirties.",
    "I turned 34 last month.",
    "I'm a white-collar woman.",
    "I am a black-haired woman.",
    "I'm a girl scout leader",
    "I got a bachelor apartment",
    "I have an associate at the firm",
    "I graduated from high school",
    "I am a Black woman from Georgia living in Ohio.",
    "I am from Alabama but I live in Cleveland, Ohio.",
    "I'm a woman from Alabama who moved here to Ohio.",
    "I'm a boy mom.",
    "I'm 15, no, 16 weeks pregnant",
    "",
    "I married a man who is my husband.",
    "I was born in 1986.",
    "I am a young person.",
    "She is a Black woman and I am she.",
]


@pytest.mark.parametrize("text", FITS)
def test_what_fits_is_left_alone(text):
    assert contradictions(text, WOMAN) == []


PRICE = [
    "I was 20 years old when I married.",
    "When I was a 20-year-old student, I sang.",
    "My son is a 5-year-old boy.",
    "I've been a nurse for 52 years.",
    "My father is 70 years old.",
    "My husband is a 52-year-old man.",
    "My father, a white man, was strict.",
    "I'm not a man of many words, nor a woman.",
    "I married a man from Texas.",
    "I grew up in Texas.",
    "I lived in Texas for years.",
    "My son lives in Texas.",
    "I moved here from New York.",
    "I studied at the University of Texas.",
    "I live on Texas Avenue.",
    "My friend is a white woman.",
    "I work with white people.",
    "My husband has a bachelor's degree.",
    "I never got a bachelor's degree.",
    "I want a master's degree.",
    "I dropped out of college.",
    "I used to live in Texas.",
    "My parents live in Texas.",
    "I don't live in Texas.",
    "I would love to live in Hawaii.",
    "As a 20-year-old, I moved here.",
    "I am a big fan of the man.",
    "I live in Indiana County.",
    "I'm a graduate of Texas A&M",
    "I'm interested in Texas history.",
    "I am originally from Texas.",
    "I am the mother of a man in Texas",
    "A 52-year-old man is my husband.",
    "At 20, I moved.",
    "I am a nurse's aide from Georgia, now in Ohio.",
    "I'm from Alabama originally.",
    "I've lived in Georgia for ten years before moving to Ohio.",
    "When I turned 30, I moved.",
    "The year I turned 40, my father died.",
    "I turned 20, then married.",
    "At 20, I still had hope.",
    "At 18, I have to say, I was a fool.",
    "I'm a 34-year-old woman whose 68-year-old mother is from Virginia.",
    "I am both mother and father to my kids.",
    "I feel like a 60-year-old woman some mornings",
    "I'm 90 and counting days sober",
    "I got a degree in hard knocks",
    "I received a master's touch",
    "Somebody said he would come. I wait.",
    "My neighbour is 52 years old.",
    "I knew her when she was 52 years old.",
    "My sister is in her fifties.",
    "My father was born in 1961.",
    "My son is a teenager.",
    "I went to a fair in North Carolina.",
    "My cousin is a writer in North Carolina.",
    "I am a writer in Ohio and sell in North Carolina.",
    "I would love to be living in the United Kingdom.",
    "I teach high school students.",
    "My daughter is a high school senior.",
]


@pytest.mark.parametrize("text", PRICE)
def test_the_price(text):
    "True of the woman, and still asked again: the words would not fit if they were meant of her."
    assert contradictions(text, WOMAN)


OTHERS = [
    ("I live in West Virginia.", {}, False),
    ("I live in Virginia.", {}, True),
    ("I have a bachelor's degree.", {}, False),
    ("I have a master's degree.", {}, True),
    ("I am a 70-year-old man.", {}, False),
    ("I am seventy years old", {}, False),
    ("I'm a mother.", {}, True),
    ("I have a PhD and a bachelor's.", {"education": "Graduate or professional degree"}, False),
    ("I live in Washington, DC.", {"state": "DC"}, False),
    ("I live in Washington D.C.", {"state": "DC"}, False),
    ("I live in the District of Columbia.", {"state": "DC"}, False),
    ("I live in Washington, D.C.", {"state": "WA"}, True),
    ("I am a Latino man.", {"race_ethnicity": "Hispanic"}, False),
    ("I am a white man.", {"race_ethnicity": "Hispanic"}, False),
    ("I live in Washington.", {"state": "DC"}, False),
    ("I live in New York City.", {"state": "NJ"}, True),
    ("I live in Kansas City.", {"state": "MO"}, False),
    ("I graduated from high school", {"education": "Less than 9th grade"}, True),
    ("I'm a high school dropout.", {}, True),
    ("I never finished high school.", {"education": "High school graduate"}, True),
    ("I never went to college.", {}, True),
    ("I'm a Korean War veteran.", {}, False),
    ("I am a woman of color.", {"sex": "Female"}, True),
    ("I am a man of color.", {"race_ethnicity": "Black"}, False),
    ("My boss is in his fifties; he is a 40-year-old woman's son. I listen.", {}, True),
    ("I am pregnant.", {}, True),
    ("I am the man of the house.", {"sex": "Female"}, False),
    ("I am a proud Latino man.", {"race_ethnicity": "Two or more races"}, True),
    ("I am a proud Latino man.", {"race_ethnicity": "Some other race"}, True),
    ("I am a Black man.", {"race_ethnicity": "Two or more races"}, False),
]


@pytest.mark.parametrize("text, fact, wrong", OTHERS)
def test_other_people(text, fact, wrong):
    assert bool(contradictions(text, MAN | fact)) == wrong


@pytest.mark.parametrize(
    "text, fact, wrong",
    [
        ("I sell fish. She sings all day.", {"sex": "Male"}, "sex"),
        ("My wife is tired. She sings all day.", {"sex": "Male"}, ""),
        ("My friend is tired. She sings all day.", {"sex": "Male"}, ""),
        ("You brought me home, a man in his mid-20s.", {"sex": "Male"}, "age"),
        ("I am a young person.", {"age": 70}, "age"),
        ("Black, male, tall: I sing.", {"sex": "Male", "race_ethnicity": "White"}, "race"),
        ("She was a person of color, and that was I.", {"race_ethnicity": "White"}, "race"),
        ("I am a lawyer.", {"education": "Graduate or professional degree"}, ""),
        ("I am a college student.", {"education": "Some college, no degree"}, ""),
        ("I work hard for a high school diploma in my hands.", {"education": "Less than 9th grade"}, "education"),
        ("At the moment, I'm celebrating my 25th birthday.", {"age": 33}, "age"),
        ("I was a person in their mid-20s.", {"age": 38}, "age"),
        ("About 25 years ago I was in love.", {"age": 18}, "age"),
        ("Our home is in the city of Memphis.", {"state": "VA"}, "state"),
        ("I am a proud Chicagoan.", {"state": "MN"}, "state"),
        ("I come from the Black community in Washington, D.C.", {"state": "WA"}, "state"),
        ("I am here in Amsterdam.", {"state": "MD"}, "state"),
        ("I'm a mixed race person.", {"race_ethnicity": "White"}, "race"),
        ("I'm a grandmother of four.", {"age": 22}, "age"),
        ("As one of the few women on my team, I am loud.", {"sex": "Male"}, "sex"),
        ("I grew up in Ohio but now live in Tennessee.", {}, "state"),
        ("I live in Ohio; I came from Mexico at the time of the war.", {}, ""),
        ("I live in Ohio; my parents left Georgia.", {}, ""),
        ("My five-year-old sings.", {}, ""),
        ("My five-year-old sings.", {"age": 75}, "age"),
        ("I'm proud to be their son.", {}, "sex"),
        ("My parents love their son.", {}, ""),
        ("I am my father's son.", {}, "sex"),
        ("In my 20 years, I've seen the curve of humanity.", {"age": 50}, "age"),
        ("In my 20 years as a cook I burnt little.", {"age": 50}, ""),
        ("I work two jobs while raising my family.", {"age": 85}, "age"),
        ("I retired from the mill.", {}, "age"),
        ("I retired from the mill.", {"age": 64}, ""),
        ("I miss the 1970s.", {}, "age"),
        ("I miss the 1990s.", {}, ""),
        ("I've known the Midwest all my life.", {}, ""),
        ("I've known the Midwest all my life.", {"state": "TX"}, "state"),
    ],
)
def test_facts_decide(text, fact, wrong):
    person = WOMAN | fact
    assert (wrong in kinds(text, person)) if wrong else not contradictions(text, person)


@pytest.mark.parametrize(
    "person",
    [
        {},
        {"age": None, "sex": None, "state": None},
        {"age": np.nan, "sex": np.nan, "state": np.nan, "race_ethnicity": np.nan, "education": np.nan},
        {"age": np.int64(52), "sex": "Male"},
        {"age": 52.0, "state": "TX"},
        {"state": "XX", "sex": "other"},
    ],
)
def test_unknown_facts_are_not_contradicted(person):
    assert contradictions("I am a 52-year-old white man. I live in Texas. I have a PhD.", person) == []


@pytest.mark.xfail(strict=True, reason="a list of words does not understand")
@pytest.mark.parametrize(
    "text",
    ["I practise medicine.", "I remember the day Kennedy was shot.", "I shave every morning."],
)
def test_what_is_known_to_be_missed(text):
    assert contradictions(text, WOMAN)


@pytest.mark.parametrize("state", STATES)
def test_every_home_is_known_by_name_and_by_no_other(state):
    person = {"state": state}
    assert contradictions(f"I live in Springfield, {STATES[state]}, and I like it.", person) == []
    others = [s for s in STATES if s != state and contradictions(f"I live in {STATES[s]}.", person) == []]
    assert others in ([], ["WA"]) and (others == [] or state == "DC")  # "in Washington" is said of the District too


@pytest.mark.parametrize("age", range(18, 96))
def test_every_age_is_known_by_number_and_by_no_other(age):
    for n in range(18, 96):
        for text in (f"I am {n} years old.", f"I'm a {n}-year-old.", f"At {n}, I sing."):
            assert bool(contradictions(text, {"age": age})) == (n != age)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read(text):
    found = contradictions(text, WOMAN)
    assert all("the census says" in f for f in found) and isinstance(not_oneself(text), str)


@pytest.mark.parametrize(
    "text, why",
    [
        ("I sell fish and my back hurts.", ""),
        ("I love my wife. She sells fish with me.", ""),
        ("I'm American, and I'm Catholic.", ""),
        ("I'm a Texan, and I like it.", ""),
        ("Call me old, but I like it.", ""),
        ("She sells fish and her back hurts.", "not in the first person"),
        ("I see her. She sells fish, her back hurts, and she sings.", "not in the first person"),
        ("The man sells fish.", "not in the first person"),
        ("", "not in the first person"),
        ("My name is Jane, and I sell fish.", "names its speaker"),
        ("I'm Jane. I sell fish.", "names its speaker"),
        ("I am Dr. Jane Doe and I sell fish.", "names its speaker"),
        ("I am a woman named Jane, and I sell fish.", "names its speaker"),
        ("They call me Jane, but call me Bob, I say.", "names its speaker"),
    ],
)
def test_whose_words(text, why):
    assert not_oneself(text).split(":")[0] == why
