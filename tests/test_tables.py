"Tables: what check refuses, files that are whole or absent, random numbers that belong to a row."

import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_kit.tables import STATES, STATUSES, TABLES, TableError, check, check_states, data_path, read, row_seeds, row_uniforms, write


def people(**columns):
    return pd.DataFrame({"persona_id": ["a", "b"], "weight": [1.0, 2.0], "tier": "meta"} | columns)


@pytest.mark.parametrize(
    "columns, words",
    [
        ({"persona_id": ["a", "a"]}, ["1 repeated row", "row 1", "persona_id='a'", "unique"]),
        ({"persona_id": ["a", None]}, ["persona_id is missing in 1 row", "row 1"]),
        ({"persona_id": [np.nan, np.nan]}, ["missing in 2 row", "row 0"]),
        ({"weight": [1.0, -1.0]}, ["weight", "row 1", "-1.0"]),
        ({"weight": [np.nan, 1.0]}, ["weight", "row 0", "nan"]),
        ({"weight": [1.0, np.inf]}, ["weight", "row 1", "inf"]),
        ({"weight": [1.0, "many"]}, ["weight", "row 1", "many"]),
        ({"weight": ["1.0", "2.0"]}, ["weight", "row 0", "'1.0'", "2 such"]),
        ({"weight": [None, None]}, ["weight", "row 0"]),
        ({"status": ["ok", "fine"]}, ["unknown status 'fine'", "row 1", "truncated"]),
        ({"status": ["ok", None]}, ["unknown status", "row 1"]),
    ],
)
def test_check_names_table_column_and_row(columns, words):
    with pytest.raises(TableError) as e:
        check(people(**columns), "personas")
    assert str(e.value).startswith("personas: ") and all(w in str(e.value) for w in words)


@pytest.mark.parametrize(
    "frame, table, words",
    [
        (people(), "people", ["unknown table 'people'", *TABLES]),
        ([1, 2], "personas", ["expected a DataFrame", "list"]),
        (None, "answers", ["expected a DataFrame", "NoneType"]),
        (people().drop(columns=["weight", "tier"]), "personas", ["missing columns weight, tier", "persona_id"]),
        (pd.DataFrame(), "items", ["missing columns item_id, text, options", "none"]),
        (pd.DataFrame({"item_id": ["x", "x"], "text": "?", "options": [["a", "b"]] * 2}), "items", ["repeated", "item_id='x'"]),
        (pd.concat([people(), people()[["weight"]]], axis=1), "personas", ["column 'weight'", "twice"]),
    ],
)
def test_check_refuses(frame, table, words):
    with pytest.raises(TableError) as e:
        check(frame, table)
    assert all(w in str(e.value) for w in words)


def test_check_accepts_and_returns_the_same_object():
    for frame in (people(), people(status="ok", anything=[[1], {"x": 2}]), people().iloc[:0], people(weight=[0, 1])):
        assert check(frame, "personas") is frame
    assert all(check(people(status=s), "personas") is not None for s in STATUSES)


def answers(**columns):
    base = {
        "persona_id": "a",
        "item_id": "q",
        "draw": [0, 1],
        "option": "Yes",
        "order": [["Yes", "No"]] * 2,
        "status": "ok",
        "raw": "A",
        "tier": "meta",
        "simulator": "m",
        "mode": "choice",
        "request_key": "k",
    }
    return pd.DataFrame(base | columns)


def test_an_answer_is_unique_per_everything_that_makes_it():
    check(answers(), "answers")
    check(answers(draw=0, tier=["meta", "descriptive"]), "answers")
    check(answers(draw=0, generator=[None, "g"]), "answers")
    with pytest.raises(TableError, match="repeated"):
        check(answers(draw=0), "answers")
    with pytest.raises(TableError, match="repeated"):
        check(answers(draw=0, generator=[None, None]), "answers")


# Files


def test_round_trip_keeps_lists_missing_values_and_unicode(tmp_path):
    frame = people(text=["naïve “quotes”\n$x", None], options=[["a", "b"], []], values=[[1.0, 2.0], None])
    again = read(write(frame, tmp_path / "deep" / "er" / "x.parquet", "personas"), "personas")
    assert list(again["options"].iloc[0]) == ["a", "b"] and again["text"].isna().tolist() == [False, True]
    assert again["text"].iloc[0] == frame["text"].iloc[0] and list(again["values"].iloc[0]) == [1.0, 2.0]
    assert os.stat(tmp_path / "deep/er/x.parquet").st_mode & 0o777 == 0o644


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ValueError("cannot convert")])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, error):
    path = write(people(), tmp_path / "x.parquet")
    before = path.read_bytes()

    def half(self, target, **_):
        with open(target, "wb") as f:
            f.write(b"PAR1half")
        raise error

    monkeypatch.setattr(pd.DataFrame, "to_parquet", half)
    with pytest.raises(type(error)):
        write(people(), path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["x.parquet"]


def test_an_invalid_table_is_not_written(tmp_path):
    with pytest.raises(TableError):
        write(people(persona_id="a"), tmp_path / "new" / "x.parquet", "personas")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("content", [b"", b"garbage", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b'{"a": 1}\n'])
def test_garbage_is_no_parquet(tmp_path, content):
    path = tmp_path / "x.parquet"
    path.write_bytes(content)
    with pytest.raises(TableError, match="x.parquet cannot be read as Parquet"):
        read(path)


def test_a_truncated_file_is_no_parquet(tmp_path):
    path = write(people(), tmp_path / "x.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TableError, match="cannot be read"):
        read(path)


def test_read_without_a_file_or_of_another_table(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.parquet"):
        read(tmp_path / "nothing.parquet")
    path = write(people(), tmp_path / "x.parquet")
    with pytest.raises(TableError, match="answers: missing columns"):
        read(path, "answers")


def test_data_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert data_path("prompts/choice.txt").read_text().startswith("[system]")
    with pytest.raises(FileNotFoundError, match="no_such_file"):
        data_path("no_such_file.csv")


# Randomness


def test_seeds_are_pinned():
    "A change here changes every sample, order and request ever made."
    assert row_seeds(1, ["a", "b"], "president_2020").tolist() == [8135594094572612645, 6097335303446203098]
    assert row_seeds(0).shape == (1,) and row_seeds(0, "x").dtype == np.uint64


def test_no_collision_across_the_boundary_of_keys():
    tuples = [("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc"), ("abc",), ("a", "b", "c"), ("c", "ab"), ("a", "b c"), ("a b", "c")]
    assert len({int(row_seeds(1, *t)[0]) for t in tuples}) == len(tuples)
    assert row_seeds(1, "1", "x")[0] != row_seeds(11, "", "x")[0] != row_seeds(1, "1x")[0]
    assert row_seeds(12, "3")[0] != row_seeds(1, "23")[0]


@settings(deadline=None)
@given(st.lists(st.text(max_size=8), min_size=1, max_size=12), st.integers(-5, 2**40), st.randoms())
def test_a_seed_does_not_depend_on_the_order_or_the_neighbours(ids, seed, random):
    whole = row_seeds(seed, ids, "item", 3)
    places = list(range(len(ids)))
    random.shuffle(places)
    assert np.array_equal(row_seeds(seed, [ids[i] for i in places], "item", 3), whole[places])
    assert all(row_seeds(seed, i, "item", 3)[0] == s for i, s in zip(ids, whole, strict=True))
    u = row_uniforms(seed, ids, "item", 3)
    assert ((u >= 0) & (u < 1)).all()


def test_keys_of_any_kind():
    ids = ["x", "y", "z"]
    expected = row_seeds(7, ids, "q")
    for same in (
        pd.Series(ids),
        pd.Series(ids, dtype="category"),
        pd.Series(ids, index=[5, 5, 5]),
        np.array(ids, dtype=object),
        tuple(ids),
    ):
        assert np.array_equal(row_seeds(7, same, "q"), expected)
    assert np.array_equal(row_seeds(7, [1, 2]), row_seeds(7, ["1", "2"]))
    with pytest.raises(ValueError, match="3 and 2"):
        row_seeds(1, ["a", "b", "c"], [1, 2])


def test_no_rows_have_no_seeds():
    assert row_seeds(1, [], "q").shape == row_seeds(1, pd.Series(dtype=str), 3).shape == row_uniforms(1, []).shape == (0,)
    assert row_seeds(1, [], []).dtype == np.uint64
    with pytest.raises(ValueError, match="differ"):
        row_seeds(1, [], ["a", "b"])


def test_the_global_generator_is_left_alone():
    np.random.seed(3)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    row_uniforms(1, range(100))
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_uniforms_are_uniform():
    from scipy.stats import chisquare

    u = row_uniforms(5, range(20_000), "q")
    assert chisquare(np.histogram(u, 50, (0, 1))[0]).pvalue > 0.001
    assert len(np.unique(row_seeds(5, range(20_000)))) == 20_000


# States


def test_states():
    assert check_states(None) == list(STATES) == sorted(STATES) and len(set(STATES.values())) == 51
    assert check_states("DC") == ["DC"] and check_states(iter(["WY", "AK"])) == ["WY", "AK"]


@pytest.mark.parametrize(
    "states, words",
    [
        (["CA", "XX"], "'XX'"),
        (["ca"], "'ca'"),
        ("California", "'California'"),
        (["PR", "GU"], "states 'PR', 'GU'"),
        ([], "no state"),
        (["CA", "CA"], "twice: CA"),
        ([6], "6"),
    ],
)
def test_states_that_are_none(states, words):
    with pytest.raises(ValueError, match=words):
        check_states(states)
