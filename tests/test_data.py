"The shipped files: checksums, election results that add up, and builds that repeat."

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from persona_kit.tables import STATES, data_path

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("PERSONA_KIT_SHARED", ROOT.parent / "shared")) / "data"


def checksums(*arguments, folder=ROOT / "data"):
    return subprocess.run([sys.executable, str(folder / "checksums.py"), *arguments], capture_output=True, text=True)


@pytest.fixture(scope="module")
def by_state():
    return pd.read_csv(data_path("elections/president_by_state.csv"), keep_default_na=False)


@pytest.fixture(scope="module")
def electors():
    return pd.read_csv(data_path("elections/electors.csv"), keep_default_na=False)


def test_the_table_of_files_is_true():
    run = checksums("--check")
    assert run.returncode == 0, run.stderr


def test_a_changed_a_missing_and_an_unknown_file_are_found(tmp_path):
    table = "| file | what | source, producer, licence | rows | sha256 | script |\n| --- | --- | --- | --- | --- | --- |\n"
    shutil.copy(ROOT / "data" / "checksums.py", tmp_path)
    (tmp_path / "README.md").write_text(f"# Data\n\n{table}| `a.csv` | x | y | - | - | z |\n| `texts/` | x | y | - | - | z |\n\nEnd.\n")
    (tmp_path / "a.csv").write_text("u\n1\n2\n")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "one.txt").write_text("one")
    assert checksums("--check", folder=tmp_path).returncode == 1
    assert checksums(folder=tmp_path).returncode == 0
    text = (tmp_path / "README.md").read_text()
    assert re.search(r"`a.csv` \| x \| y \| 2 \| `[0-9a-f]{16}` \| z", text) and "1 files" in text and text.endswith("End.\n")
    assert checksums("--check", folder=tmp_path).returncode == 0
    (tmp_path / "texts" / "one.txt").write_text("two")
    (tmp_path / "b.csv").write_text("u\n1\n")
    run = checksums("--check", folder=tmp_path)
    assert run.returncode == 1 and "texts/: the table says" in run.stderr and "b.csv: in data/, but not in the table" in run.stderr
    (tmp_path / "a.csv").unlink()
    assert "a.csv: in the table, but not in data/" in checksums("--check", folder=tmp_path).stderr


def test_every_year_has_every_state_once(by_state):
    for _, year in by_state.groupby("year"):
        assert sorted(year["state"]) == sorted(STATES)
    assert list(by_state["year"].unique()) == [2012, 2016, 2020, 2024]
    votes = by_state[["democratic", "republican", "other", "total"]]
    assert (votes >= 0).all(axis=None) and (votes.dtypes == "int64").all()
    assert (votes["democratic"] + votes["republican"] + votes["other"] == votes["total"]).all()


def test_national_sums(by_state):
    sums = by_state.groupby("year")[["democratic", "republican"]].sum()
    assert tuple(sums.loc[2016]) == (65_853_581, 62_985_062)
    assert tuple(sums.loc[2020]) == (81_268_908, 74_216_146)
    assert tuple(sums.loc[2024]) == (75_017_613, 77_302_580)
    names = by_state.groupby("year")[["democratic_candidate", "republican_candidate"]].nunique()
    assert (names == 1).all(axis=None)


def test_electors(by_state, electors):
    assert (electors.groupby("year")["electors"].sum() == 538).all()
    democratic = electors[electors["winner"] == "democratic"].groupby("year")["electors"].sum()
    assert democratic.to_dict() == {2016: 232, 2020: 306, 2024: 226}
    districts = electors[electors["unit"] != electors["state"]]
    assert set(districts["unit"]) == {"ME-1", "ME-2", "NE-1", "NE-2", "NE-3"} and (districts["electors"] == 1).all()
    assert (electors[electors["unit"].isin(["ME", "NE"])]["electors"] == 2).all()
    votes = by_state[by_state["year"] >= 2016].set_index(["year", "state"])
    whole = electors[electors["unit"] == electors["state"]].set_index(["year", "state"])
    assert ((votes["democratic"] > votes["republican"]) == (whole["winner"] == "democratic")).all()


def test_the_folder_names_no_machine():
    for path in (ROOT / "data").rglob("*"):
        if path.suffix in (".py", ".md", ".csv", ".txt"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"/(home|work|tmp|root|Users)/", text), path


@pytest.mark.skipif(not (SHARED / "elections").is_dir(), reason=f"no source figures in {SHARED}; set PERSONA_KIT_SHARED")
def test_the_elections_build_repeats(tmp_path):
    folder = tmp_path / "data" / "elections"
    folder.mkdir(parents=True)
    for name in ("build_elections.py", "elections/president_2012_input.csv"):
        shutil.copy(ROOT / "data" / name, tmp_path / "data" / name)
    subprocess.run([sys.executable, "data/build_elections.py", str(SHARED)], cwd=tmp_path, check=True,
                   env={**os.environ, "PYTHONPATH": str(ROOT)})
    for name in ("president_by_state.csv", "electors.csv"):
        assert (folder / name).read_bytes() == (ROOT / "data" / "elections" / name).read_bytes()


@pytest.mark.skipif(not (SHARED / "surveys").is_dir(), reason=f"no source figures in {SHARED}; set PERSONA_KIT_SHARED")
def test_the_surveys_build_repeats(tmp_path):
    shutil.copytree(ROOT / "data" / "surveys", tmp_path / "data" / "surveys", ignore=shutil.ignore_patterns("*.csv"))
    shutil.copy(ROOT / "data" / "build_surveys.py", tmp_path / "data")
    subprocess.run([sys.executable, "data/build_surveys.py", str(SHARED)], cwd=tmp_path, check=True,
                   env={**os.environ, "PYTHONPATH": str(ROOT)})
    for name in ("gss_2018_spending.csv", "cces_2016_vote.csv", "cces_2016_cells.csv"):
        assert (tmp_path / "data" / "surveys" / name).read_bytes() == (ROOT / "data" / "surveys" / name).read_bytes()
