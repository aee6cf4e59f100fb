"""The table of planted errors and what corrections leave of them: how it is made, and what it says."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from persona_kit import election_correction
from persona_kit.tables import data_path

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "planted_calibration.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("planted_calibration", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(data_path("respondent/planted_calibration.csv"))


def test_a_row_is_counted_right(script):
    rng = np.random.default_rng(1)
    truth = np.full((2000, 2), 0.5)
    after = truth + rng.normal(0, 0.03, truth.shape)
    row = script.summary("any", script.Row("m", "d", "s", truth, truth + 0.1, after, after - 1.96 * 0.03, after + 1.96 * 0.03))
    assert row["rmse_before"] == pytest.approx(10) and row["rmse_after"] == pytest.approx(3, rel=0.05) and row["intervals"] == 4000
    assert row["coverage"] == pytest.approx(0.95, abs=4 * row["coverage_error"]) and row["width"] == pytest.approx(11.76)


def test_few_studies_of_the_quick_families(script, tmp_path, capsys):
    "Twelve studies: bias goes, and the script goes on where it stopped."
    out = tmp_path / "table.csv"
    script.main(["rectify", "wordings", "--runs", "3", "--out", str(out)])
    found = pd.read_csv(out)
    moved = found[found["bias_before"].abs() > 8]
    assert len(moved) >= 8 and (moved["bias_after"].abs() < 0.7 * moved["bias_before"].abs()).mean() > 0.7
    capsys.readouterr()
    script.main(["rectify", "--runs", "5", "--out", str(out)])
    assert pd.read_csv(out).equals(found) and not capsys.readouterr().err


def test_votes_are_counted_once_for_all_kinds(script):
    "The script's short cut gives what correct_elections gives; planted results take the place of the real ones."
    rng = np.random.default_rng(2)
    planted, people = script.country(rng), script.voters(rng, 5)
    answers = script.draw(script.electorate(planted, drift=6.0), people, script.ELECTIONS, 1).assign(tier="planted")
    with pytest.MonkeyPatch.context() as patch:
        for name, known in script.results_of(planted).items():
            patch.setattr(election_correction, name, known)
        for kind, train, target, row in list(script.corrected(answers))[-4:]:
            whole = election_correction.correct_elections(answers, train_years=train, target_year=target, kind=kind)
            columns = ["corrected", "low", "high", "uncorrected", "real"]
            assert np.allclose(row[columns], whole[columns])
    assert np.allclose(row["real"], planted.share[6])


def test_the_endpoint_plants_the_same(script, monkeypatch):
    "One study of rectification, asked through prompt, endpoint and parser."
    monkeypatch.setattr(script, "through_endpoint", True)
    monkeypatch.setattr(script, "DIALS", {"acquiescence 2": {"acquiescence": 2.0}})
    rows = [row for row in script.rectified(1, 1) if row.size == "400 humans"]
    assert len(rows) == 1 and rows[0].before[0, 0] - rows[0].truth[0, 0] > 0.15
    assert abs(rows[0].after[0, 0] - rows[0].truth[0, 0]) < 0.1 < rows[0].after[0, 0]


def test_the_shipped_table_has_every_family_both_ways(script, table):
    for through in ("sample_answers", "endpoint"):
        assert set(table.loc[table["through"] == through, "family"]) == set(script.FAMILIES)
    assert table.drop(columns=["rmse_people", "coverage_error", "warned"]).notna().all(axis=None)
    drawn = table[table["through"] == "sample_answers"]
    assert drawn["runs"].sum() >= 2500 and (drawn["intervals"] >= 100).all() and (drawn["runs"] >= 4).all()


def test_intervals_of_the_shipped_table_hold(table):
    "Between 93 and 97 % wherever the method does not warn; of people whom no model has seen they can't."
    drawn = table[table["through"] == "sample_answers"]
    broken = drawn["method"].eq("mrp, simulated answers") & drawn["dial"].ne("acquiescence 0")  # all states lean alike
    claimed = ~broken & ~drawn["warned"].gt(0)
    about = ["method", "dial", "size", "coverage", "coverage_error"]
    assert drawn.loc[claimed, "coverage"].between(0.93, 0.97).all(), drawn.loc[claimed & ~drawn["coverage"].between(0.93, 0.97), about]
    assert broken.sum() == 1 and (drawn.loc[broken, "coverage"] < 0.9).all()


def test_the_shipped_table_knows_where_mrp_warns(table):
    "With fewer than eight people a state in every study, with more in none; where it warns, intervals are too wide and not too narrow."
    drawn = table[(table["through"] == "sample_answers") & table["method"].str.startswith("mrp, humans")]
    few = drawn["size"].str.split().str[0].astype(int) < 51 * 8
    assert few.sum() == 4 and (drawn["warned"] == few).all()
    assert (drawn.loc[few, "coverage"] > 0.95).all()


def test_the_shipped_table_rests_on_enough_studies(table):
    drawn = table[table["through"] == "sample_answers"]
    assert (drawn.loc[drawn["family"] == "elections", "runs"] >= 200).all()
    assert (drawn.loc[drawn["family"].isin(["maps", "mrp"]), "runs"] >= 100).all()
    assert (drawn.loc[drawn["family"].isin(["weights", "rectify", "wordings", "positions"]), "runs"] >= 1000).all()
