"""What counts against a limit, what waits, what is found in time, and what is said about it."""

import asyncio
import errno
import io
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from misbehaving import MODES, chat, once, problem
from test_engine import SURVEY, model, people

from persona_kit import chat as engine
from persona_kit.chat import ChatError, ChatModel, ReplyStore, Request
from persona_kit.simulation import ask, plan, requests
from persona_kit.tables import read

HERE = os.path.dirname(__file__)


def prompts(n, start=0):
    return [Request(f"prompt {i}") for i in range(start, start + n)]


@pytest.fixture
def mode(monkeypatch):
    "Another way to behave, for the time of a test."

    def add(name, answer):
        monkeypatch.setitem(MODES, name, answer)
        return name

    return add


@pytest.fixture
def waits(monkeypatch):
    noted = []

    async def pause(call, seconds):
        noted.append(seconds)
        await asyncio.sleep(0)  # others have their turn

    monkeypatch.setattr(engine._Call, "pause", pause)
    return noted


def said(told):
    return [str(w.message) for w in told]


# ---- what counts


def test_calls_in_several_threads_share_one_limit(server):
    m = model(server, max_requests=25, concurrency=8)
    ended = []

    def some(start):
        try:
            m.complete(prompts(20, start), progress=False)
        except ChatError as e:
            ended.append(str(e))

    threads = [threading.Thread(target=some, args=(100 * k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert m.usage["sent"] == 25 == len(server.seen(m.base_url)) and len(m.store) == 25
    assert ended and all("max_requests 25 are sent" in e for e in ended)


def test_each_attempt_counts(server, waits):
    m = model(server, "broken", retries=5, max_requests=4, concurrency=1)
    with pytest.raises(ChatError, match="max_requests 4 are sent"):
        m.complete(prompts(3))
    assert len(server.seen(m.base_url)) == m.usage["sent"] == 4


def test_an_address_where_nobody_is_does_not_count(waits):
    m = ChatModel("m", base_url="http://127.0.0.1:9/v1", store=False, retries=3)
    with pytest.raises(ChatError, match="cannot connect"):
        m.complete(prompts(1))
    assert m.usage["sent"] == 0


def test_what_was_paid_for_nothing_is_counted(server, waits, mode):
    empty = once(lambda h, b, n: h.reply(200, {"choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": 5}}))
    m = model(server, mode("empty_once", empty), retries=1, prices=(1e6, 2e6), max_cost=1000, max_tokens=5, concurrency=1)
    assert m.complete(prompts(1))["status"].tolist() == ["ok"]
    assert (m.usage["sent"], m.usage["prompt_tokens"], m.usage["completion_tokens"]) == (2, 47, 8) and m.usage["cost"] == 47 + 2 * 8
    assert m._reserved == m._paying == 0


def test_max_cost_is_used_up_while_many_are_under_way(server):
    m = model(server, "slow", prices=(1000.0, 1000.0), max_cost=0.2, max_tokens=30, concurrency=8)   # 0.01 each, 0.042 expected
    words = r"0\.16 of max_cost 0\.2 is spent, 0 is reserved for what is under way, and the next request might cost 0\.043"
    with pytest.raises(ChatError, match=words):
        m.complete(prompts(50))
    assert m.usage["cost"] == pytest.approx(0.16) and len(m.store) == 16


def test_a_limit_that_what_is_under_way_has_reserved_does_not_end_a_call(server):
    m = model(server, "slow", prices=(1000.0, 1000.0), max_cost=0.11, max_tokens=30, concurrency=8)
    assert m.complete(prompts(7))["status"].eq("ok").all() and m.usage["cost"] == pytest.approx(0.07)


def test_replies_that_cost_more_than_expected_are_the_measure(server, mode):
    def dear(handler, body, n):
        time.sleep(0.02)
        handler.reply(200, chat("A") | {"usage": {"prompt_tokens": 60, "completion_tokens": 40}})

    m = model(server, mode("dear", dear), prices=(1000.0, 1000.0), max_cost=2.0, max_tokens=5, concurrency=4)    # 0.1 each, 0.017 expected
    with pytest.raises(ChatError, match="max_cost 2 is spent"):
        m.complete(prompts(60))
    assert 1.8 <= m.usage["cost"] <= 2.0


# ---- plan


def test_a_plan_reckons_as_the_limits_do():
    m = ChatModel("m", base_url="http://a/v1", store=False, prices=(1.0, 1.0), max_tokens=9)
    frame = people(4)
    free, held = (plan(frame, SURVEY, m, constrain=c).iloc[-1] for c in (False, True))
    asked = [engine._resolve(r, m.id, m.defaults) for r in engine_requests(frame, m)]
    assert free["basis"] == "estimate" and free["prompt_tokens"] == pytest.approx(sum(engine._expected(r)[0] for r in asked), abs=1)
    assert held["prompt_tokens"] > free["prompt_tokens"] + 16 * 40                      # a schema is read as well


def engine_requests(frame, m):
    from persona_kit.simulation import requests

    return requests(frame, SURVEY, m, constrain=False)


def test_schema_and_choices_are_expected_to_be_read():
    m = ChatModel("m", base_url="http://a/v1", store=False)
    schema = {"type": "object", "properties": {"a": {"type": "string", "description": "x" * 300}}}
    plain, held, chosen = (engine._expected(engine._resolve(r, "m", m.defaults))[0]
                           for r in (Request("a"), Request("a", schema=schema), Request("a", choices=["x" * 90, "y"])))
    assert held >= plain + 100 and chosen >= plain + 30


# ---- others who ask the same


def begin(url, store, code="print(m.usage['sent'])"):
    script = f"""
import sys, time
from persona_kit.chat import ChatModel, Request
m = ChatModel("m", base_url={str(url)!r}, store={str(store)!r}, concurrency=4)
m.complete([Request("warm up " + sys.argv[1])])
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
m.complete([Request(f"prompt {{i}}") for i in range(300)])
{code}
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": HERE}
    return lambda name: subprocess.Popen([sys.executable, "-c", script, name], **pipes)


def test_two_processes_started_together_share_the_work(server, tmp_path):
    url = server.url("slow")
    processes = [begin(url, tmp_path / "s")(name) for name in "ab"]
    assert [p.stdout.readline() for p in processes] == ["ready\n"] * 2
    for p in processes:
        p.stdin.write("go\n")
        p.stdin.flush()
    sent = [int(p.communicate(timeout=120)[0]) - 1 for p in processes]
    assert len(ReplyStore(tmp_path / "s")) == 302 and min(sent) > 50
    assert sum(sent) <= 300 + 75, sent                                                   # twice 300 if neither looked again


def test_two_calls_at_once_share_the_work(server, tmp_path):
    m = model(server, "slow", store=tmp_path / "s", concurrency=4)
    box = []
    both = [threading.Thread(target=lambda: box.append(m.complete(prompts(200)))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert len(box) == 2 and box[0]["text"].equals(box[1]["text"]) and m.usage["sent"] <= 250
    assert m.usage["requests"] == 400 == m.usage["sent"] + m.usage["stored"]


def test_a_reply_that_was_stored_meanwhile_is_not_asked_for(server, tmp_path):
    url = server.url("slow")
    first, second = (model(url, store=tmp_path / "s", concurrency=1) for _ in range(2))
    thread = threading.Thread(target=lambda: first.complete(prompts(40)))
    thread.start()
    while len(server.seen(url)) < 5:
        time.sleep(0.01)
    second.complete(list(reversed(prompts(40))))
    thread.join()
    assert len(server.seen(url)) <= 42


# ---- asking anew


def test_what_was_asked_anew_is_not_asked_again(server, tmp_path):
    m = model(server, "length", store=tmp_path / "s")
    for _ in range(3):
        m.complete(prompts(4), retry="truncated")
    assert len(server.seen(m.base_url)) == 8                                              # once, and once anew
    assert m.complete(prompts(4), retry={"truncated": 3})["stored"].sum() == 0 and len(server.seen(m.base_url)) == 12
    for wrong in ({"truncated": 0}, {"truncated": 1.5}):
        with pytest.raises(ValueError, match="retry says how often"):
            m.complete(prompts(1), retry=wrong)


def test_a_killed_call_that_asks_anew_goes_on(server, tmp_path, mode):
    url, store = server.url(mode("slow_cut", lambda h, b, n: (time.sleep(0.03), h.reply(200, chat("I think", "length"))))), tmp_path / "s"
    model(url, store=store, concurrency=8).complete(prompts(60))
    code = f"""
from test_limits import model, prompts
model({url!r}, store={str(store)!r}, concurrency=2).complete(prompts(60), retry="truncated")
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=HERE)
    while len(server.seen(url)) < 80 and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    model(url, store=store, concurrency=2).complete(prompts(60), retry="truncated")
    assert 120 <= len(server.seen(url)) <= 122 and ReplyStore(store).to_frame()["attempt"].value_counts().to_dict() == {0: 60, 1: 60}


# ---- settings that were left out


def test_a_reply_says_what_was_left_out(server, tmp_path):
    url = server.url("no_seed")
    m = model(url, store=tmp_path / "s")
    asked = [Request("a", seed=1), Request("b", seed=2), Request("c")]
    with pytest.warns(UserWarning, match="does not accept seed"):
        live = m.complete(asked)
    assert live["dropped"].tolist()[:2] == ["seed"] * 2 and pd.isna(live["dropped"][2])
    again = model(url, store=tmp_path / "s")
    assert again.key(asked[0]) == m.key(asked[0])
    with pytest.warns(UserWarning, match="2 without seed"):
        assert again.complete(asked)["dropped"].tolist()[:2] == ["seed"] * 2
    assert m.store.to_frame()["dropped"].dropna().tolist() == ["seed"] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again.complete(asked[2:])


def test_answers_found_in_the_store_warn_of_what_was_left_out(server, tmp_path):
    url = server.url("no_logprobs")
    with pytest.warns(UserWarning, match="does not accept top_logprobs"):
        ask(people(3), SURVEY[0], model(url, store=tmp_path / "s"), mode="probability")
    with pytest.warns(UserWarning, match="3 without top_logprobs"):
        ask(people(3), SURVEY[0], model(url, store=tmp_path / "s"), mode="probability")


def test_a_newer_name_is_no_loss(server):
    with pytest.warns(UserWarning, match="max_completion_tokens"):
        assert model(server, "no_max_tokens").complete([Request("a", max_tokens=3)])["dropped"].isna().all()


# ---- the store


def test_a_copy_in_memory_says_so_once(server, tmp_path):
    m = model(server)
    m.complete([Request("a")])
    copy = model(server, store=m.store.export(tmp_path / "r.jsonl"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy.complete([Request("a")])
    with pytest.warns(UserWarning, match=r"r\.jsonl is read and never written.*export") as told:
        copy.complete(prompts(3))
        copy.complete(prompts(3, 3))
    assert len(told) == 1


def test_the_home_folder(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    m = model(server, store="~/s.sqlite")
    assert ask(people(2), SURVEY[0], m, out="~/answers") == tmp_path / "answers"
    assert (tmp_path / "s.sqlite").exists() and len(read(tmp_path / "answers")) == 2
    m.store.export("~/r.jsonl")
    assert len(model(server, store="~/r.jsonl").store) == 2


def locked(path):
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("BEGIN IMMEDIATE")
    return db


def test_a_locked_store_is_waited_for_and_holds_up_nobody(server, tmp_path):
    m = model(server, "ok", store=tmp_path / "s", concurrency=4)
    m.complete([Request("first")])
    other, url = locked(tmp_path / "s"), m.base_url
    threading.Timer(0.7, lambda: other.execute("COMMIT")).start()
    start = time.monotonic()
    assert m.complete(prompts(8))["status"].eq("ok").all() and time.monotonic() - start >= 0.6
    times = server.times(url)[1:]
    assert times[3] - times[0] < 0.4                                  # four were asked while the store was locked
    assert len(m.store) == 9


def test_a_store_that_stays_locked_is_named_and_nothing_is_lost(server, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "_PATIENCE", 0.3)
    path = tmp_path / "replies.sqlite"
    m = model(server, "ok", store=path, concurrency=4)
    m.complete([Request("first")])
    other = locked(path)
    said_of = r"4 replies .*unstored-\d+\.jsonl"
    with pytest.warns(UserWarning, match=said_of), pytest.raises(OSError, match="locked for 0.3 s; close it") as e:
        m.complete(prompts(20))
    assert e.value.filename == str(path)
    other.execute("ROLLBACK")
    (rescued,) = tmp_path.glob("*.jsonl")
    assert m.store.load(rescued) == 4 and len(m.store) == 5
    assert m.complete(prompts(20))["stored"].sum() == 4


@pytest.mark.parametrize("room", ["elsewhere", "nowhere"])
def test_what_cannot_be_stored_goes_where_there_is_room_and_leaves_no_piece(server, tmp_path, monkeypatch, room):
    "The disk is full: the store takes nothing, and a file beside it breaks off in its middle."
    class Full(io.StringIO):
        def __init__(self, path):
            super().__init__()
            self.path = path

        def write(self, text):
            self.path.write_bytes(text[: len(text) // 2].encode())
            raise OSError(errno.ENOSPC, "No space left on device", str(self.path))

    (tmp_path / "study").mkdir()
    (tmp_path / "other").mkdir()
    full = ["study"] if room == "elsewhere" else ["study", "other"]
    usual = Path.open

    def opened(path, mode="r", *more, **how):
        return Full(path) if mode == "a" and path.parent.name in full else usual(path, mode, *more, **how)

    monkeypatch.setattr(Path, "open", opened)
    monkeypatch.setattr(engine.tempfile, "tempdir", str(tmp_path / "other"))
    m = model(server, "ok", store=tmp_path / "study" / "s.sqlite", concurrency=1)
    m.store._open().execute("PRAGMA max_page_count=6")
    said_of = r"\d replies .*other.*unstored-\d+\.jsonl" if room == "elsewhere" else "could be stored nowhere"
    with pytest.warns(UserWarning, match=said_of), pytest.raises(OSError, match="no space left"):
        m.complete([Request(f"{i} " * 300) for i in range(100)])
    rescued = list(tmp_path.glob("*/*.jsonl"))
    assert [path.parent.name for path in rescued] == (["other"] if room == "elsewhere" else [])
    stored = ReplyStore(tmp_path / "again.sqlite")
    assert not rescued or stored.load(rescued[0]) == 1


def test_the_loop_runs_on_while_a_store_is_locked(server, tmp_path):
    import asyncio

    m = model(server, "ok", store=tmp_path / "s")
    m.complete([Request("first")])
    other = locked(tmp_path / "s")

    async def main():
        task, late = asyncio.create_task(m.acomplete(prompts(6))), []
        for _ in range(50):
            before = time.monotonic()
            await asyncio.sleep(0.01)
            late.append(time.monotonic() - before)
        other.execute("COMMIT")
        assert (await task)["status"].eq("ok").all()
        return late

    late = asyncio.run(main())
    assert sorted(late)[len(late) // 2] < 0.2                         # a minute at a time, before


# ---- when told to wait


def test_a_wait_of_ten_minutes_is_waited_and_told(server, waits, mode):
    m = model(server, mode("busy_long", once(lambda h, b, n: h.reply(429, problem("slow down"), retry_after="600"))), retries=2)
    with pytest.warns(UserWarning, match=r"asks to wait \d+ s, and so it is done"):
        assert m.complete(prompts(1))["status"].tolist() == ["ok"]
    assert 600 <= max(waits) <= 750


@pytest.mark.parametrize("after", ["7200", "inf", formatdate(time.time() + 90_000, usegmt=True)], ids=["seconds", "inf", "date"])
def test_a_wait_of_hours_ends_the_call(server, waits, mode, after):
    m = model(server, mode("quota", lambda h, b, n: h.reply(429, problem("daily quota"), retry_after=after)), retries=2)
    words = r"m at http://127.*daily quota; it asks to wait (7,200 s, until 20\d\d-.* UTC|inf s|[89]\d,\d{3} s, until)"
    with pytest.raises(ChatError, match=words):
        m.complete(prompts(3))
    assert not waits or max(waits) < 900


def test_another_replica_is_asked_where_one_asks_for_hours(server, waits, mode):
    busy = server.url(mode("quota", lambda h, b, n: h.reply(429, problem("daily quota"), retry_after="7200")))
    m = ChatModel("m", base_url=[busy, server.url("ok")], store=False, concurrency=2)
    assert m.complete(prompts(6))["status"].eq("ok").all()


# ---- keys


def test_the_order_of_keys_in_a_message_does_not_count():
    m = ChatModel("m", base_url="http://a/v1", store=False)
    one = [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u", "detail": "low"}}]}]
    two = [{"content": [{"text": "a", "type": "text"}, {"image_url": {"detail": "low", "url": "u"}, "type": "image_url"}], "role": "user"}]
    assert m.key(Request(one)) == m.key(Request(two)) != m.key(Request([{"role": "user", "content": list(reversed(one[0]["content"]))}]))
    assert m.key(Request("Hello")) == "dea87b5c506753ae98f96716c5f9c7d23ad3c9ef2e971b141fca6b141e321695"     # as it always was


# ---- interrupts and progress


def test_an_interrupted_folder_says_what_is_finished(server, tmp_path):
    from test_engine import run

    code = f"ask(people(60), SURVEY, m, seed=1, out={str(tmp_path / 'a')!r}, part=2)"
    done = run(code, server.url("slow_letter"), tmp_path / "s", 1)
    parts = len(list((tmp_path / "a").glob("*.parquet")))
    assert f"{parts} of 30 parts are finished in {tmp_path / 'a'}, and the same call goes on from here" in done.stderr


def test_a_notebook_shows_one_line(server, tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    code = f"""
        from test_limits import model, prompts
        m = model({server.url("slow")!r}, concurrency=2)
        _ = m.complete(prompts(60), progress=True)"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("\n".join(line.strip() for line in code.splitlines()))])
    environment = {**os.environ, "PERSONA_KIT_PROGRESS": "1"}
    nbclient.NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": HERE}}).execute(env=environment)
    outputs = notebook.cells[0].outputs
    assert [o["output_type"] for o in outputs] == ["display_data"], outputs
    line = outputs[0]["data"]["text/plain"]
    assert "60/60" in line and "reply/s" in line and "tokens" in line and "\n" not in line


def test_a_line_now_and_then_where_there_is_no_notebook(server):
    code = "from test_limits import model, prompts\n" + f"model({server.url('ok')!r}).complete(prompts(5), progress=True)"
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0 and "\r" not in done.stderr, done.stderr


class Box(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        raw = json.dumps(chat(body["messages"][-1]["content"])).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def test_limits_of_one_object_hold_over_several_calls_at_once():
    with ThreadingHTTPServer(("127.0.0.1", 0), Box) as box:
        threading.Thread(target=box.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{box.server_port}/v1"
        m = ChatModel("m", base_url=url, store=False, prices=(1000.0, 1000.0), max_cost=0.3, max_tokens=3)
        box_of_errors = []

        def work(start):
            try:
                m.complete(prompts(40, start))
            except ChatError as e:
                box_of_errors.append(str(e))

        both = [threading.Thread(target=work, args=(s,)) for s in (0, 100)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        box.shutdown()
    assert len(box_of_errors) == 2 and 0.25 <= m.usage["cost"] <= 0.3


# ---- replicas, settings and stores that are not as they should be


def test_a_burst_of_failures_is_one_failure_of_a_replica():
    pool = engine._Pool([(None, None), (None, None)])
    now = time.monotonic()
    assert pool.fail(0, now) and not any(pool.fail(0, now - 1) for _ in range(31))
    assert pool.failed[0] == 1 and pool.rest[0] - now < 1.5
    pool.well(0, now - 1)
    assert pool.rest[0] > 0 and pool.pick(0) == 1
    pool.well(0, time.monotonic())
    assert pool.rest[0] == pool.failed[0] == 0 and pool.pick(0) == 0
    assert pool.fail(1, time.monotonic(), 5.0, told=True) and 4 < pool.rest[1] - time.monotonic() <= 5


def test_a_replica_that_was_busy_for_a_moment_is_used_again(server, mode):
    start = time.monotonic()

    def busy(h, b, n):
        h.reply(429, problem("busy"), retry_after="1") if time.monotonic() - start < 0.5 else h.reply(200, chat("A"))

    urls = [server.url(mode("for_a_moment", busy)), server.url("slow_letter")]
    m = ChatModel("m", base_url=urls, concurrency=16, store=False, timeout=60)
    assert m.complete(prompts(600), progress=False)["status"].eq("ok").all()
    assert sum(moment > start + 0.5 for moment in server.times(urls[0])) > 40


def test_a_reason_that_quotes_the_prompt_drops_no_setting_for_others(server, mode):
    def picky(h, b, n):
        if "prompt 7" in h.prompt(b):
            return h.reply(400, problem("cannot answer 'the seed of an unknown plant is not supported'"))
        h.reply(200, chat("A"))

    m = model(server, mode("picky", picky), seed=3, concurrency=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = m.complete(prompts(20), progress=False)
    assert said["status"].eq("error").sum() == 1 and said["dropped"].isna().all()
    assert sum("seed" not in body for body in server.seen(m.base_url)) == 1 and not m._unsupported


def test_a_plan_has_no_retries():
    for work in (plan, requests):
        with pytest.raises(TypeError, match="no argument 'retry'"):
            work(people(1), SURVEY, ChatModel("m", base_url="http://127.0.0.1:9/v1", store=False), retry="refusal")


def test_a_key_that_a_gateway_repeats_is_not_stored(server, mode, tmp_path):
    secret = "secret-key-0123456789"
    repeats = mode("repeats", lambda h, b, n: h.reply(200, chat(f"You sent {h.headers['authorization']}")))
    m = model(server, repeats, api_key=secret, store=tmp_path / "s.sqlite")
    said = m.complete(prompts(2), progress=False)
    m.close()
    assert said["text"].eq("You sent Bearer ***").all()
    assert all(secret.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_where_nobody_is_the_limit_is_not_what_ends_the_call():
    m = ChatModel("m", base_url="http://127.0.0.1:9/v1", store=False, retries=0, max_requests=5, concurrency=16)
    with pytest.raises(ChatError, match="cannot connect"):
        m.complete(prompts(40), progress=False)
    assert m.usage["sent"] == 0


def test_a_damaged_row_is_named(server, tmp_path):
    m = model(server, store=tmp_path / "s.sqlite")
    keys = m.complete(prompts(3), progress=False)["request_key"]
    m.close()
    for column, value in (("reply", "{"), ("usage", "1, 2"), ("reply", "[]")):
        with sqlite3.connect(tmp_path / "s.sqlite") as db:
            db.execute(f"UPDATE replies SET {column} = ? WHERE request_key = ?", (value, keys[1]))
        with pytest.raises(ValueError, match=rf"s\.sqlite: the stored row.*{keys[1]}.*delete that row"):
            m.complete(prompts(3), progress=False)
        m.close()


def test_a_store_that_may_only_be_read(server, tmp_path, monkeypatch):
    url, path = server.url("letter"), tmp_path / "s.sqlite"
    ChatModel("m", base_url=url, store=path).complete(prompts(3), progress=False)
    connect = sqlite3.connect

    def read_only(name, *args, uri=False, **kwargs):
        if uri:
            return connect(name, *args, uri=True, **kwargs)
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite3, "connect", read_only)
    m = ChatModel("m", base_url=url, store=path)
    assert m.complete(prompts(3), progress=False)["stored"].all()
    with pytest.raises(OSError, match="read-only"):
        m.complete(prompts(1, start=9), progress=False)


def test_a_damaged_part_is_asked_for_again(server, tmp_path):
    m, some = model(server, store=tmp_path / "s.sqlite"), people(6)
    ask(some, SURVEY, m, out=tmp_path / "a", part=3, progress=False)
    whole = read(tmp_path / "a", "answers")
    part = sorted((tmp_path / "a").glob("*.parquet"))[1]
    part.write_bytes(part.read_bytes()[:200])
    ask(some, SURVEY, m, out=tmp_path / "a", part=3, progress=False)
    pd.testing.assert_frame_equal(read(tmp_path / "a", "answers"), whole)
