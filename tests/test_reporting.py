"The disclosure sheet: what a run recorded is told as it is, what it did not record is said to be missing."

import json
import re

import pandas as pd
import pytest
from test_runs import notebook

from persona_kit.chat import ReplyStore
from persona_kit.reporting import disclosure, methods_paragraph
from persona_kit.respondent import Respondent
from persona_kit.runs import run
from persona_kit.simulation import ask
from persona_kit.surveys import Item

MANIFEST = {"experiment": "x", "status": "ok", "started": "2026-01-02", "ended": "2026-01-02", "seeds": {"seed": 7},
            "parameters": {"temperature": 0.5, "generator_temperature": 0.7, "mode": "choice"}, "models": {"model": "m"},
            "endpoint": "https://h.example/v1", "usage": {"asked": 3, "cost": 0.25}, "prompts_used": {"choice.txt": "ab" * 32},
            "packages": {"persona_kit": "0.1.0"}, "python": "3.11"}  # fmt: skip


def folder(path, manifest=MANIFEST, **tables):
    (path / "tables").mkdir(exist_ok=True)
    (path / "manifest.json").write_text(json.dumps(manifest))
    for name, rows in tables.items():
        pd.DataFrame(rows).to_parquet(path / "tables" / f"{name}.parquet")
    return path


def facts(path):
    return disclosure(path).set_index("item")["value"]


ANSWERS = {"persona_id": ["a", "b", "b", "c"], "item_id": ["q", "q", "r", "q"], "status": ["ok", "refusal", "invalid", "error"],
           "tier": ["meta", "meta", "meta", "descriptive"], "weight": [1.0, 3.0, 3.0, 2.0]}  # fmt: skip


def test_counts_are_those_of_the_tables(tmp_path):
    said = facts(folder(tmp_path, answers=ANSWERS))
    assert said["personas"] == "3" and said["personas by tier"] == "meta 2, descriptive 1" and said["items"] == "2"
    assert said["refusals"] == said["invalid replies"] == "1 of 4 (25.0%)" and said["other replies"] == "error 1"
    assert said["replies, tier meta"] == "1 refusals, 1 invalid, of 3"
    assert "effective number of personas 2.6" in said["weights"]  # 6² / (1 + 9 + 4)
    assert said["model (model)"] == "m" and said["seed"] == "7" and said["choice.txt (SHA-256)"] == "ab" * 32 and said["cost"] == "0.25"
    assert said["temperature"] == "temperature 0.5, generator_temperature 0.7" and "not a human population" in said["the figures describe"]
    text = methods_paragraph(tmp_path)
    words = ("3 personas", "1 of 4 (25.0%)", "abababababab", "seed 7", "Requests sent: 3", "choice", "not a human population")
    assert all(w in text for w in words)
    assert "[prompt tokens: not recorded]" in text and "\n" not in text


def test_what_is_missing_is_said_and_never_invented(tmp_path):
    sheet = disclosure(folder(tmp_path, {}))
    known = sheet[sheet["value"].ne("not recorded")]
    assert known["item"].tolist() == ["the figures describe"] and len(sheet) > 20
    text = methods_paragraph(tmp_path)
    assert text.count("not recorded") >= 15 and not re.search(r"\d", text.replace("SHA-256", ""))


@pytest.mark.parametrize("tables", [
    {"answers": {"persona_id": ["a"]}}, {"answers": {"x": [1]}},
    {"answers": {"persona_id": ["a"], "weight": ["heavy"], "status": ["ok"]}},
    {"personas_meta": {"persona_id": ["a", "b"], "weight": [1.0, 1.0]}},
    {"answers": {"persona_id": [], "status": [], "weight": []}}])  # fmt: skip
def test_tables_of_another_form_do_no_harm(tmp_path, tables):
    folder(tmp_path, **tables)
    assert disclosure(tmp_path)["value"].map(type).eq(str).all() and methods_paragraph(tmp_path)


def test_markup_is_escaped_and_an_artificial_respondent_is_named(tmp_path):
    folder(tmp_path, MANIFEST | {"endpoint": "<img src=x onerror=alert(1)>"}, answers=ANSWERS | {"simulator": ["known-truth-1"] * 4})
    assert "<img" not in disclosure(tmp_path).to_html() and "artificial respondent" in methods_paragraph(tmp_path)
    folder(tmp_path, MANIFEST | {"replies": {"m": {}, "known-truth-2": {}}}, answers=ANSWERS | {"simulator": ["m"] * 4})  # it only coded
    assert "artificial respondent" in methods_paragraph(tmp_path)


def test_folders_that_are_no_runs(tmp_path):
    with pytest.raises(FileNotFoundError, match="is it the folder of a run"):
        disclosure(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        methods_paragraph(tmp_path)
    (tmp_path / "manifest.json").write_text("[1]")
    with pytest.raises(ValueError, match="no manifest"):
        methods_paragraph(tmp_path)


def test_every_report_ends_with_the_sheet(tmp_path):
    work = f"""import pandas as pd
from persona_kit.runs import record
record(pd.DataFrame({ANSWERS!r}).assign(tier="<b>meta</b>"), "answers")
record({{"asked": 4}}, "usage");"""
    made = run(notebook(tmp_path / "one.ipynb", work), out=tmp_path / "runs", progress=False)
    page = (made / "report.html").read_text()
    last = page[page.index('<section class="disclosure">'):]
    assert "not a human population" in last and "1 of 4 (25.0%)" in last and "&lt;b&gt;meta&lt;/b&gt;" in last and "<b>meta" not in last
    assert page.rstrip().endswith("</html>") and last.count("</section>") == 1
    assert facts(made)["requests sent"] == "4"


def test_names_of_the_package_are_functions_and_temperatures_in_names_are_told(tmp_path):
    import persona_kit

    folder(tmp_path, MANIFEST | {"models": {"generator 1": "embedded@0.2", "simulator 1": "m@1"}, "parameters": {}})
    said = persona_kit.disclosure(tmp_path).set_index("item")["value"]
    assert said["temperature"] == "as named after @"
    assert "generator 1: embedded@0.2; simulator 1: m@1" in persona_kit.methods_paragraph(tmp_path)


def test_what_was_not_used_is_not_claimed_and_every_parameter_is_told(tmp_path):
    values = {"states": ["CA"], "n_per_state": 2, "items": None, "store": "/s", "base_url": None, "wordings": [0, 1]}
    models = {"models": {"generator": "embedded", "simulator": "embedded"}, "endpoint": "embedded", "usage": {"asked": 3}}
    manifest = MANIFEST | models | {"parameters": MANIFEST["parameters"] | values}
    said = facts(folder(tmp_path, manifest, answers=ANSWERS | {"generator": pd.Series([None] * 4, dtype=object)}))
    assert said["model (generator)"] == "embedded, not used: no persona has words by a model"
    assert said["model (simulator)"] == "embedded"
    assert said["cost"] == "none; the model ran on this machine" and said["n_per_state"] == "2"
    assert said["items"].iloc[0] == "all, or the default"
    assert "store" not in said and "base_url" not in said and said["wordings"] == "[0, 1]"
    text = methods_paragraph(tmp_path)
    assert "Prompts, by the first digits of their SHA-256: choice.txt abababababab." in text
    assert 'states ["CA"], n_per_state 2' in text and "wordings [0, 1]" in text
    written = facts(folder(tmp_path, manifest, answers=ANSWERS | {"generator": [None, None, None, "m"]}))
    assert written["model (generator)"] == "embedded"


REPLIES = {"gpt": {"local": False, "sent": 30, "stored": 70, "prompt_tokens": 3_000, "completion_tokens": 200,
                   "first": "2025-03-01T08:00:00+00:00", "last": "2026-01-02T10:00:00+00:00"},
           "small": {"local": True, "sent": 5, "stored": 0, "prompt_tokens": 500, "completion_tokens": 50,
                     "first": "2026-01-02T09:00:00+00:00", "last": "2026-01-02T09:30:00+00:00"}}  # fmt: skip


def with_replies(path, **more):
    return folder(path, MANIFEST | {"usage": None, "replies": REPLIES} | more, answers=ANSWERS)


def test_dates_of_replies_are_told_wherever_they_came_from(tmp_path):
    said = facts(with_replies(tmp_path))
    assert said["first reply used"] == "2025-03-01T08:00:00+00:00" and said["last reply used"] == "2026-01-02T10:00:00+00:00"
    assert said["replies by small"] == "2026-01-02T09:00:00+00:00 to 2026-01-02T09:30:00+00:00"
    assert said["requests sent"] == "35" and said["replies taken from the store"] == "70" and said["prompt tokens"] == "3500"
    assert "came between 2025-03-01T08:00:00+00:00 and 2026-01-02T10:00:00+00:00" in methods_paragraph(tmp_path)


@pytest.mark.parametrize("more, cost", [
    ({}, "no prices given"), ({"prices": [0.5, 2]}, str(3_000 * 0.5e-6 + 200 * 2e-6)),
    ({"prices": {"gpt": [0.5, 2]}}, str(3_000 * 0.5e-6 + 200 * 2e-6)), ({"prices": {"other": [0.5, 2]}}, "no prices given"),
    ({"usage": {"cost": 0.7}, "prices": [1, 1]}, "0.7"), ({"replies": {"small": REPLIES["small"]}}, "none; the model ran on this machine"),
    ({"replies": {"gpt": REPLIES["gpt"] | {"sent": 0}}}, "none in this run; no request was sent"),
    ({"replies": {"gpt": REPLIES["gpt"] | {"cost": 0.25, "prices": [1, 1]}}}, "0.25"),
    ({"replies": {"gpt": REPLIES["gpt"], "two": REPLIES["gpt"]}, "prices": {"gpt": [1, 1]}}, "no prices given for two"),
    ({"replies": {"known-truth-1": REPLIES["gpt"]}}, "none; the model ran on this machine")])  # fmt: skip
def test_money_is_tokens_times_prices_or_not_known(tmp_path, more, cost):
    said = facts(with_replies(tmp_path, **more))
    assert said["cost"] == cost and f"cost: {cost}." in methods_paragraph(tmp_path)


def test_prices_stand_beside_the_cost(tmp_path):
    said = facts(with_replies(tmp_path, prices={"gpt": [0.5, 2]}))
    assert said["prices per million tokens of prompt and reply"] == "gpt: 0.5 and 2"
    assert "(per million: gpt: 0.5 and 2)" in methods_paragraph(tmp_path)


def test_a_run_keeps_dates_and_tokens_by_itself(tmp_path):
    "Two replies are years old, one is asked in the run; an artificial respondent costs nothing, and is named."
    people = pd.DataFrame({"persona_id": list("abc"), "text": ["age: 30", "age: 40", "age: 50"], "tier": "meta", "weight": 1.0})
    item, old = Item("color", "Which colour?", ("Red", "Green")), ReplyStore(tmp_path / "old.sqlite")
    with Respondent(seed=1).model() as model:
        ask(people.head(2), item, model, progress=False)
        rows = model.store.get(model.store.to_frame()["request_key"]).values()
    old.put([row | {"created": "2020-02-02T00:00:00+00:00"} for row in rows])
    old.close()
    people.to_parquet(tmp_path / "people.parquet")
    work = f"""import pandas as pd
from persona_kit.respondent import Respondent
from persona_kit.runs import record
from persona_kit.simulation import ask
from persona_kit.surveys import Item
with Respondent(seed=1).model(store={str(old.path)!r}) as model:
    record(ask(pd.read_parquet({str(tmp_path / "people.parquet")!r}), {item!r}, model, progress=False), "answers")"""
    made = run(notebook(tmp_path / "one.ipynb", work), out=tmp_path / "runs", progress=False, prices=[1, 2])
    manifest, said = json.loads((made / "manifest.json").read_text()), facts(made)
    ((name, row),) = manifest["replies"].items()
    assert name.startswith("known-truth-") and (row["sent"], row["stored"]) == (1, 2) and manifest["prices"] == [1, 2]
    assert manifest["prompts_used"] == {name: manifest["prompts"][name] for name in ("asking/tasks.txt", "choice.txt")}
    assert said["first reply used"] == "2020-02-02T00:00:00+00:00" and said["last reply used"] >= manifest["started"][:10]
    assert said["cost"] == "none; the model ran on this machine" and "artificial respondent" in said["the figures describe"]
    assert "2020-02-02" in (made / "report.html").read_text().partition('class="disclosure"')[2] and not list(made.glob(".*.json"))


@pytest.mark.parametrize("prices", ["cheap", [1], [1, -1], [1, True], {"m": 3}, {"m": [1, "2"]}, [1, float("inf")]])
def test_prices_that_are_none_are_refused_before_anything_starts(tmp_path, prices):
    with pytest.raises(ValueError, match="must be two numbers of at least 0"):
        run(notebook(tmp_path / "one.ipynb", "1"), out=tmp_path / "runs", progress=False, prices=prices)
    assert not (tmp_path / "runs").exists()


def test_a_run_that_only_wrote_personas(tmp_path):
    people = {"persona_id": ["a", "b"], "tier": ["meta"] * 2, "weight": [1.0, 1.0], "status": ["ok", "invalid"]}
    said = facts(folder(tmp_path, personas_meta=people))
    assert said["personas by status"] == "ok 1, invalid 1" and said["answers"] == "not recorded"
    assert "by status: ok 1, invalid 1). No answers were recorded." in methods_paragraph(tmp_path)
