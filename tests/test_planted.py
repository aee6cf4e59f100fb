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
    assert (table.groupby("diagnostic")["setting"].nunique() == 3).all() and (table["runs"] >= 100).all()


def test_intervals_hold_what_they_estimate(table):
    "Coverage of the mean of studies: 93 to 97 % within three Monte Carlo errors; above only where intervals are known to be wide."
    slack = 3 * np.sqrt(0.05 * 0.95 / table["runs"])
    narrow = table["coverage_of_mean"] < 0.93 - slack
    wide = (table["coverage_of_mean"] > 0.97 + slack) & ~table["quantity"].isin(WIDE)
    assert not (narrow | wide).any(), table.loc[narrow | wide, ["diagnostic", "setting", "quantity", "coverage_of_mean"]]


WIDE = (
    "ratio of entropy", "between groups (eta squared)", "refusal rate of men", "invalid rate of men", "excess of the correlation distance",
    "distance within the floor")
