"""Asking at length: folders of answers, asking anew, interrupts, and the line that says how far it is."""

import asyncio
import json
import os
import subprocess
import sys
import textwrap
import time
import warnings

import numpy as np
import pandas as pd
import pytest

from persona_kit import chat
from persona_kit.chat import ChatError, ChatModel, ReplyStore, Request
from persona_kit.population import us_adults
from persona_kit.simulation import _pcg64, _permutations, aask, ask
from persona_kit.surveys import Item, Survey, presidential_election
from persona_kit.tables import TableError, read

SURVEY = presidential_election() + Survey([Item("trust", "Trust?", ["none", "some", "much"], [1, 2, 3], ["No answer"])])


def model(server, mode="letter", **settings):
    url = server if isinstance(server, str) else server.url(mode)
    return ChatModel("m", base_url=url, **({"store": False, "retries": 0, "timeout": 60} | settings))


def people(n, **columns):
    return us_adults().sample(n, seed=1).assign(**columns)


# ---- folders of answers


@pytest.mark.parametrize("mode", ["choice", "reason", "probability"])
@pytest.mark.parametrize("part", [7, 50, 1000])
def test_a_folder_holds_what_the_frame_would(server, tmp_path, mode, part):
    frame = people(50, status=["ok", "error", "ok", "ok", "truncated"] * 10)
    whole = ask(frame, SURVEY, model(server), mode=mode, draws=2, seed=3)
    folder = ask(frame, SURVEY, model(server), mode=mode, draws=2, seed=3, out=tmp_path / "answers", part=part)
    assert folder == tmp_path / "answers" and len(list(folder.glob("*.parquet"))) == -(-50 // part)
    pd.testing.assert_frame_equal(read(folder, "answers"), whole)
    plain = pd.read_parquet(folder)
    assert list(plain) == list(whole) and plain["status"].equals(whole["status"]) and plain.dtypes.equals(whole.dtypes)
    nowhere = model("http://127.0.0.1:9/v1")
    assert asyncio.run(aask(frame, SURVEY, nowhere, mode=mode, draws=2, seed=3, out=folder, part=part)) == folder  # nothing is left to ask


def test_slices_do_not_show(server, monkeypatch):
    frame, m = people(120), model(server)
    whole = ask(frame, SURVEY, m, seed=1)
    monkeypatch.setattr("persona_kit.simulation._Study.spans", lambda self, a, b: [(i, min(i + 7, b)) for i in range(a, b, 7)])
    pd.testing.assert_frame_equal(ask(frame, SURVEY, m, seed=1), whole)
    pd.testing.assert_frame_equal(asyncio.run(aask(frame, SURVEY, m, seed=1)), whole)
    nobody = ask(frame.iloc[:0], SURVEY, m)
    assert len(nobody) == 0 and nobody["status"].dtype == whole["status"].dtype


def test_nobody_in_a_folder(server, tmp_path):
    folder = ask(people(3).iloc[:0], SURVEY, model(server), out=tmp_path / "a")
    assert len(read(folder, "answers")) == 0


def test_a_stopped_call_goes_on_and_finished_parts_are_left_alone(server, tmp_path):
    frame, store = people(40), tmp_path / "s.sqlite"
    with pytest.raises(ChatError, match="max_requests"):
        ask(frame, SURVEY, model(server, max_requests=70, store=store), out=tmp_path / "a", part=5, seed=1)
    done = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "a").glob("*.parquet")}
    assert len(done) < 8 and not list((tmp_path / "a").glob(".*"))
    with pytest.raises(TableError, match=rf"holds {len(done)} of 8 parts"):
        read(tmp_path / "a", "answers")
    m = model(server, store=store)
    ask(frame, SURVEY, m, out=tmp_path / "a", part=5, seed=1)
    assert {n: (tmp_path / "a" / n).stat().st_mtime_ns for n in done} == done
    assert m.usage["sent"] == 160 - 70 and read(tmp_path / "a", "answers")["status"].eq("ok").all()


def test_a_part_with_failures_is_asked_again(server, tmp_path):
    frame, m = people(6, text=[f"person {i}" for i in range(6)]), model(server, "poison_letter", concurrency=1)
    frame.loc[4, "text"] = "poison"
    ask(frame, SURVEY[0], m, out=tmp_path / "a", part=2)
    assert read(tmp_path / "a", "answers")["status"].tolist() == ["ok"] * 4 + ["error", "ok"]
    sent = m.usage["sent"]
    ask(frame, SURVEY[0], m, out=tmp_path / "a", part=2)
    assert m.usage["sent"] == sent + 1


@pytest.mark.parametrize(
    "change, words",
    [({"seed": 2}, "other seed"), ({"part": 3}, "other part"), ({"draws": 2}, "other draws"), ({"mode": "probability"}, "other mode"),
     ({"shuffle": False}, "other shuffle"), ({"constrain": True}, "other constrain")],
)  # fmt: skip
def test_the_folder_of_another_call_is_refused(server, tmp_path, change, words):
    frame, kwargs = people(4), {"out": tmp_path / "a", "part": 2, "seed": 1}
    ask(frame, SURVEY, model(server), **kwargs)
    with pytest.raises(ValueError, match=words):
        ask(frame, SURVEY, model(server), **(kwargs | change))
    with pytest.raises(ValueError, match="other personas"):
        ask(frame.assign(age=33), SURVEY, model(server), **kwargs)
    with pytest.raises(ValueError, match="other survey"):
        ask(frame, SURVEY[:2], model(server), **kwargs)
    with pytest.raises(ValueError, match="other settings"):
        ask(frame, SURVEY, model(server, temperature=0.2), **kwargs)


def test_a_folder_of_something_else_is_refused(server, tmp_path):
    people(3).to_parquet(tmp_path / "people.parquet")
    with pytest.raises(ValueError, match="something else"):
        ask(people(3), SURVEY, model(server), out=tmp_path)
    with pytest.raises(ValueError, match="something else"):
        ask(people(3), SURVEY, model(server), out=tmp_path / "people.parquet")
    with pytest.raises(ValueError, match="part must be at least 1"):
        ask(people(3), SURVEY, model(server), out=tmp_path / "b", part=0)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "_call.json").write_text("[")
    with pytest.raises(ValueError, match="cannot be read"):
        ask(people(3), SURVEY, model(server), out=tmp_path / "c")
    with pytest.raises(TableError, match="no Parquet files"):
        (tmp_path / "d").mkdir()
        read(tmp_path / "d")


def test_no_secret_in_a_folder(server, tmp_path):
    url = server.url("letter")
    ask(people(2), SURVEY, ChatModel("m", base_url=url, api_key="sk-verysecret-01", store=False), out=tmp_path / "a")
    held = b"".join(p.read_bytes() for p in (tmp_path / "a").iterdir())
    assert b"verysecret" not in held and b"127.0.0.1" not in held


KILLED = """
import sys
from test_engine import SURVEY, model, people
from persona_kit.simulation import ask
ask(people(60), SURVEY, model(sys.argv[1], store=sys.argv[2] + "/s", concurrency=4), out=sys.argv[2] + "/a", part=5, seed=1)
"""


def test_a_killed_call_goes_on(server, tmp_path):
    url = server.url("slow_letter")
    process = subprocess.Popen([sys.executable, "-c", KILLED, url, str(tmp_path)], cwd=os.path.dirname(__file__))
    while len(server.seen(url)) < 120 and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    before, kept = len(server.seen(url)), len(ReplyStore(tmp_path / "s"))
    assert before - 16 <= kept < 240
    folder = ask(people(60), SURVEY, model(url, store=tmp_path / "s"), out=tmp_path / "a", part=5, seed=1)
    assert len(server.seen(url)) == before + 240 - kept
    pd.testing.assert_frame_equal(read(folder, "answers"), ask(people(60), SURVEY, model(url, store=tmp_path / "s"), seed=1))


# ---- asking anew


def test_a_reply_asked_anew_stands_beside_the_old_one(server, tmp_path):
    url = server.url("better")                       # cut off the first time, whole the second
    m = model(url, store=tmp_path / "s")
    asked = [Request("a", seed=1), Request("b", seed=1), Request("a", seed=1)]
    assert set(m.complete(asked)["status"]) == {"truncated"} and m.complete(asked)["stored"].all()
    assert m.complete(asked, retry="refusal")["stored"].all()
    new = m.complete(asked, retry=("truncated", "refusal"))
    assert new["status"].eq("ok").all() and not new["stored"].any() and len(server.seen(url)) == 4
    assert len({b["seed"] for b in server.seen(url)}) == 2           # another seed, else it would say the same
    assert m.complete(asked)["text"].tolist() == new["text"].tolist() and m.complete(asked, retry="truncated")["stored"].all()
    kept = m.store.to_frame()
    assert len(m.store) == 4 and kept["attempt"].tolist() == [0, 0, 1, 1] and kept["request_key"].nunique() == 2
    lines = [json.loads(line) for line in m.store.export(tmp_path / "r.jsonl").read_text().splitlines()]
    assert [line.get("attempt") for line in lines] == [None, None, 1, 1]
    copy = ChatModel("m", base_url="http://127.0.0.1:9/v1", store=tmp_path / "r.jsonl")
    assert copy.complete(asked)["status"].eq("ok").all() and len(copy.store) == 4


def test_what_is_stored_is_as_before_until_something_is_asked_anew(server, tmp_path):
    m = model(server, store=tmp_path / "s")
    m.complete([Request("a")])
    names = [r[0] for r in m.store._open().execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert names == ["replies"]


def test_a_bad_attempt_in_an_export_is_refused(server, tmp_path):
    m = model(server)
    m.complete([Request("a")])
    path = m.store.export(tmp_path / "r.jsonl")
    path.write_text(path.read_text().replace('{"request_key"', '{"attempt":-1,"request_key"'))
    with pytest.raises(ValueError, match="line 1: attempt"):
        ReplyStore(":memory:").load(path)


def test_retry_names_what_can_be_asked_anew(server):
    for status in ("ok", "error", "fine"):
        with pytest.raises(ValueError, match="retry names"):
            model(server).complete([Request("a")], retry=status)
        with pytest.raises(ValueError, match="retry names"):
            ask(people(1), SURVEY, model(server), retry=(status,))


def test_answers_are_asked_anew_by_what_was_read(server, tmp_path):
    url = server.url("wavering")                     # talks the first time, says a letter the second
    m = model(url, store=tmp_path / "s")
    frame = people(5)
    first = ask(frame, SURVEY[0], m, seed=1)
    assert set(first["status"]) == {"refusal"} and ask(frame, SURVEY[0], m, seed=1, retry="invalid")["status"].eq("refusal").all()
    folder = ask(frame, SURVEY[0], m, seed=1, out=tmp_path / "a", part=2)
    assert set(ask(frame, SURVEY[0], m, seed=1, retry="refusal")["status"]) == {"ok"} and m.usage["sent"] == 10
    assert read(folder)["status"].eq("refusal").all()
    assert read(ask(frame, SURVEY[0], m, seed=1, out=folder, part=2, retry="refusal"))["status"].eq("ok").all() and m.usage["sent"] == 10
    assert ask(frame, SURVEY[0], m, seed=1)["request_key"].equals(first["request_key"])


# ---- the order of options


def test_permutations_are_those_of_numpy():
    odd = np.array([0, 1, 2**32 - 1, 2**32, 2**64 - 1], np.uint64)
    numbers = np.concatenate([odd, np.random.default_rng(0).integers(0, 2**64, 400, np.uint64)])
    for n in (1, 2, 3, 5, 8, 26):
        expected = [np.random.default_rng(int(number)).permutation(n) for number in numbers]
        assert (_permutations(numbers, n) == np.array(expected)).all()
    words = _pcg64(numbers)
    raw = [np.random.PCG64(int(number)).random_raw() for number in numbers]
    assert (next(words) == np.array(raw, np.uint64) & np.uint64(0xFFFFFFFF)).all()


# ---- how far it is


def test_the_line_says_rate_failures_tokens_and_money(monkeypatch, capsys):
    used = {"failed": 2.0, "prompt_tokens": 100.0, "completion_tokens": 0.0, "cost": 1.0}
    progress = chat._Progress(used, True)
    progress.expect(100)
    progress.skip(40)
    used |= {"failed": 3.0, "prompt_tokens": 15_100.0, "completion_tokens": 2_000.0, "cost": 1.5}
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + 10)
    progress.update(20)
    said = capsys.readouterr().err
    assert "60/100" in said and "reply/s" in said and "1 failed" in said and "17.0k tokens" in said and "cost 0.5" in said
    assert len(said.splitlines()) == 1 and "\r" not in said
    progress.update(1)
    assert capsys.readouterr().err == ""             # a line now and then
    rate = float(said.split("reply/s")[0].split(",")[-1].split()[-1])
    assert 1.5 < rate <= 2.1                         # what was stored does not count as speed


def test_a_bar_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    used = {"failed": 0.0, "prompt_tokens": 0.0, "completion_tokens": 0.0}
    progress = chat._Progress(used, True)
    progress.expect(10)
    progress.skip(5)
    used["prompt_tokens"] = 1_234.0
    for _ in range(5):
        progress.update()
    progress.close()
    said = capsys.readouterr().err
    assert "10/10" in said and "tokens" in said and "\r" in said


def test_progress_can_be_silenced(server, monkeypatch, capsys):
    monkeypatch.setenv("PERSONA_KIT_PROGRESS", "0")
    model(server).complete([Request("a")])
    monkeypatch.delenv("PERSONA_KIT_PROGRESS")
    model(server).complete([Request("a")], progress=False)
    assert capsys.readouterr().err == ""


# ---- interrupts

INTERRUPTED = """
import glob, os, signal, sys, threading, time
sys.ps1 = ">>> "                                     # somebody types here
signal.signal(signal.SIGINT, signal.default_int_handler)
import warnings; warnings.simplefilter("always")
from test_engine import SURVEY, model, people
from persona_kit.chat import Request
from persona_kit.simulation import ask
from persona_kit.tables import read
url, store, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
m = model(url, store=store, concurrency=4)
ready = lambda: m._usage["sent"] >= 20
def press():
    while not ready():
        time.sleep(0.01)
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
threading.Thread(target=press, daemon=True).start()
"""
FRAME = """
answers = ask(people(60), SURVEY, m, seed=1)
print(answers["status"].value_counts().to_dict(), answers["reason"].dropna().unique().tolist())
"""
LOOP = "for _ in range(9): m.complete([Request(f'{i}') for i in range(400)])"


def run(code, *arguments):
    command = [sys.executable, "-c", INTERRUPTED + code, *map(str, arguments)]
    return subprocess.run(command, cwd=os.path.dirname(__file__), capture_output=True, text=True, timeout=120)


def test_an_interrupt_returns_what_is_there(server, tmp_path):
    url, store = server.url("slow_letter"), tmp_path / "s"
    done = run(FRAME, url, store, 1)
    assert done.returncode == 0, done.stderr
    kept = len(ReplyStore(store))
    assert f"'ok': {kept}" in done.stdout and f"'error': {240 - kept}" in done.stdout
    assert 16 <= kept < 200                          # of the twenty that were sent four may be under way
    assert "['interrupted; the same call goes on from here']" in done.stdout
    assert done.stderr.count("UserWarning: interrupted after") == 1 and "Traceback" not in done.stderr
    m = model(url, store=store)
    assert ask(people(60), SURVEY, m, seed=1)["status"].eq("ok").all() and m.usage["sent"] == 240 - kept


def test_interrupting_twice_stops(server, tmp_path):
    done = run(LOOP, server.url("slow_letter"), tmp_path / "s", 2)
    assert done.returncode != 0 and done.stderr.count("KeyboardInterrupt") >= 1


def test_an_interrupted_folder_keeps_its_parts(server, tmp_path):
    out = str(tmp_path / "a")                        # two people to a part; the key is pressed when one is there
    code = f"ready = lambda: m._usage['sent'] >= 20 and glob.glob({out!r} + '/*.parquet')\n"
    code += f"print(ask(people(120), SURVEY, m, seed=1, out={out!r}, part=2))"
    done = run(code, server.url("slow_letter"), tmp_path / "s", 1)
    assert done.returncode == 0 and str(tmp_path / "a") in done.stdout and "interrupted after" in done.stderr
    parts = sorted((tmp_path / "a").glob("*.parquet"))
    assert 0 < len(parts) < 60 and all(pd.read_parquet(p)["status"].eq("ok").all() for p in parts)


def test_the_stop_button_of_a_notebook(server, tmp_path):
    manager = pytest.importorskip("jupyter_client.manager")
    url = server.url("slow_letter")
    kernel, client = manager.start_new_kernel(kernel_name="python3", cwd=os.path.dirname(__file__))
    try:
        def cell(code, stop=False):
            said = {"stream": "", "error": ""}
            ident = client.execute(textwrap.dedent(code))
            if stop:
                while len(server.seen(url)) < 20:
                    time.sleep(0.02)
                kernel.interrupt_kernel()
            while True:
                message = client.get_iopub_msg(timeout=60)
                if message["parent_header"].get("msg_id") != ident:
                    continue
                if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                    return said
                if message["msg_type"] in said:
                    said[message["msg_type"]] += message["content"].get("text") or "\\n".join(message["content"].get("traceback", ["?"]))

        assert not cell(f"""
            from test_engine import SURVEY, model, people
            from persona_kit.simulation import ask
            m, frame = model({url!r}, store={str(tmp_path / "s")!r}, concurrency=4), people(60)
            ask(frame.iloc[:0], SURVEY, m)
            """)["error"]
        said = cell("answers = ask(frame, SURVEY, m, seed=1)", stop=True)
        assert not said["error"] and "interrupted after" in said["stream"], said
        said = cell("print(answers['status'].value_counts().to_dict())")
        kept = len(ReplyStore(tmp_path / "s"))
        assert f"'ok': {kept}" in said["stream"] and f"'error': {240 - kept}" in said["stream"] and 0 < kept < 240
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)


def test_a_cancelled_coroutine_keeps_its_replies(server):
    m = model(server, "slow_letter", concurrency=4)

    async def main():
        task = asyncio.create_task(m.acomplete([Request(f"{i}") for i in range(400)]))
        while m.usage["sent"] < 20:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert 16 <= len(m.store) < 400 and m._under_way == 0


def test_warnings_are_not_raised_without_need(server):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ask(people(3), SURVEY, model(server))["status"].eq("ok").all()
