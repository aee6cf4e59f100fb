"""The table of what was planted and what was recovered: how it is made, and what it says."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from persona_kit.tables import data_path

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "planted.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("planted", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(data_path("respondent/planted.csv"))


def test_a_row_is_counted_right(script):
    rng = np.random.default_rng(1)
    means = rng.normal(2.1, 0.5, 4000)
    row = script.summary("any", ("dial", 1.0, "mean", 2.0, np.column_stack([means, means - 0.98, means + 0.98])))
    assert row["bias"] == pytest.approx(0.1, abs=4 * row["bias_error"]) and row["bias_error"] == pytest.approx(0.5 / 4000**0.5, rel=0.1)
    assert row["coverage_of_mean"] == pytest.approx(0.95, abs=0.015) and row["coverage"] < row["coverage_of_mean"]


def test_weights_that_are_kept_are_those_that_would_be_drawn(script):
    plain = [row for name in ("retest", "answer_regression") for row in script.DIAGNOSTICS[name](4, 3)]
    with script.kept_weights():
        kept = [row for name in ("retest", "answer_regression") for row in script.DIAGNOSTICS[name](4, 3)]
    assert all(a[:4] == b[:4] and np.array_equal(a[4], b[4]) for a, b in zip(plain, kept, strict=True))


def test_the_regression_of_many_runs_at_once_is_that_of_each(script):
    rows = list(script.regression(3, 5))
    _, people = next(script.samples(3, 5))
    people = people.assign(side=np.where(people["party"].isin(script.PARTIES[:3]), "left", "other"))
    answers = script.sample_answers(script.respondent(homogenisation=0.0), people, script.SURVEY["trust"], seed=0)
    for run, mine in answers.groupby("state"):
        who = people[people["state"] == run]
        one = script.answer_regression(mine.drop(columns=["side", "sex"]), who, ["side", "sex"], items=script.SURVEY)
        row = one.query("option == 'Agree' and attribute == 'side'").iloc[0]
        sign = 1 if row["value"] == "left" else -1
        assert np.allclose(rows[0][4][run], [sign * row["coefficient"], *sorted([sign * row["low"], sign * row["high"]])])


def test_it_goes_on_where_it_stopped(script, tmp_path, capsys):
    out = tmp_path / "planted.csv"
    script.main(["shares", "--runs", "4", "--out", str(out)])
    first = pd.read_csv(out)
    assert len(first) == 3 and first["runs"].eq(4).all() and "shares" in capsys.readouterr().err
    script.main(["shares", "--runs", "9", "--out", str(out)])
    assert out.read_text() == first.to_csv(index=False, float_format="%.6g") and not capsys.readouterr().err
    script.main(["shares", "--runs", "5", "--again", "--out", str(out)])
    assert pd.read_csv(out)["runs"].eq(5).all()


def test_every_diagnostic_is_in_the_table(script, table):
    assert set(table["diagnostic"]) == set(script.DIAGNOSTICS) and not table.isna().any(axis=None)
    assert (table.groupby(["diagnostic", "dial"])["setting"].nunique() == 3).all() and (table["runs"] >= 400).all()


def test_intervals_hold_what_was_planted(table):
    "Coverage of numbers: 93 to 97 % within three Monte Carlo errors."
    slack = 3 * np.sqrt(0.05 * 0.95 / table["runs"])
    narrow = table["coverage"] < 0.93 - slack
    wide = (table["coverage"] > 0.97 + slack) & table["kind"].eq("number")
    assert not (narrow | wide).any(), table.loc[narrow | wide, ["diagnostic", "setting", "quantity", "coverage"]]
    assert (table["kind"] == "order of options").equals(table["quantity"].str.startswith("kendall_tau"))


def test_the_words_of_the_how_to_are_those_of_the_table(table):
    beside = SCRIPT.parent.parent / "nbs" / "howto" / "can_the_measures_be_trusted.ipynb"
    numbers = table.loc[table["kind"] == "number", "coverage"]
    inside, below = numbers.between(0.93, 0.97).sum(), (numbers < 0.93).sum()
    said = f"{inside} of {len(numbers)} numbers lie in the band, {below} below it and {len(numbers) - inside - below} above"
    assert said in beside.read_text(encoding="utf-8")
    assert inside == len(numbers), "a coverage lies outside of the band: say so in the how-to, with its reason"
