"""What may go wrong with an endpoint, a machine or a disk, and what is left: faults, kills, disks, batches, properties, secrets."""

import base64
import contextlib
import errno
import asyncio
import json
import lzma
import math
import os
import random
import re
import signal
import string
import subprocess
import sys
import time
import traceback
import urllib.request
import uuid
import warnings
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persona_kit import batch, chat, replies, tables
from persona_kit.chat import ChatError, ChatModel, ReplyStore, Request
from persona_kit.generation import parse_attributes, parse_narrative
from persona_kit.personas import OBJECTIVE, SUBJECTIVE
from persona_kit.population import us_adults
from persona_kit.simulation import LETTERS, option_order, option_probabilities, parse_choice
from persona_kit.surveys import Item

HERE = Path(__file__).parent
REPO = HERE.parent
CONCURRENCY = 8  # as in fault_child.py

# ---- the table of faults

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
QUESTION = Request("hello", seed=1, top_logprobs=3, max_tokens=5, schema=SCHEMA)
STOPS = "stops the call"


def fault(mode, outcome, asked, says="", text=None, wait=None):
    "`outcome`: a status, or STOPS. `asked`: HTTP requests that arrive, with one retry allowed. `wait`: seconds before the second."
    return pytest.param(mode, outcome, asked, says, text, wait, id=mode)


MATRIX = [
    # it says that it is busy, or stumbles
    fault("busy", "ok", 2, text="hello", wait=0.5),
    fault("busy_seconds", "ok", 2, text="hello", wait=7),
    fault("busy_date", "ok", 2, text="hello", wait=19),
    fault("busy_odd", "ok", 2, text="hello", wait=0.5),
    fault("busy_always", "error", 2, "HTTP 429: slow down (2 attempts)"),
    fault("full_once", "ok", 2, text="hello", wait=3),
    fault("stumble", "ok", 2, text="hello", wait=0.5),
    fault("broken", "error", 2, "HTTP 500: broken (2 attempts)"),
    fault("gateway_once", "ok", 2, text="hello", wait=0.5),
    fault("gateway", "error", 2, "HTTP 502"),
    # the line
    fault("reset_once", "ok", 2, text="hello", wait=0.5),
    fault("reset", "error", 2, "connection lost: the server hung up (2 attempts)"),
    fault("reset_in_body_once", "ok", 2, text="hello", wait=0.5),
    fault("reset_in_body", "error", 2, "connection lost"),
    fault("cut_once", "ok", 2, text="hello"),
    fault("cut", "error", 2, "connection lost"),
    fault("hang", "error", 2, "no reply in time (2 attempts)"),
    fault("drip", "error", 2, "no reply in time (2 attempts)"),
    # what comes is no reply
    fault("bad_json_once", "ok", 2, text="hello"),
    fault("bad_json", "error", 2, "not valid JSON"),
    fault("deep", "error", 2, "not valid JSON"),
    fault("long_number", "error", 2, "not valid JSON"),
    fault("latin", "error", 2, "not valid JSON"),
    fault("nothing", "error", 2, "not valid JSON"),
    fault("list", "error", 2, "a list instead of an object"),
    fault("no_dict", "error", 2, "of the wrong kind"),
    fault("empty", "error", 2, "no choices"),
    fault("odd", "error", 2, "of the wrong kind"),
    fault("no_message", "error", 2, "of the wrong kind"),
    fault("content_number", "error", 2, "content is int, not text"),
    fault("content_list", "error", 2, "of the wrong kind"),
    fault("html_once", "ok", 2, text="hello"),
    fault("html", STOPS, 2, "not JSON but '<html>please log in</html>'"),
    fault("plain_bad", STOPS, 2, "not JSON but 'upstream is asleep'"),
    fault("nothing_plain", STOPS, 2, "not JSON but ''"),
    # odd, and read
    fault("plain", "ok", 1, text="hello"),
    fault("utf16", "ok", 1, text="hello"),
    fault("bom", "ok", 1, text="hello"),
    fault("nul", "ok", 1, text="a\x00b"),
    fault("surrogate", "ok", 1, text="left \ufffd right \ufffd joined \U0001f600"),
    fault("null", "ok", 1, text=""),
    fault("no_usage", "ok", 1, text="parts"),
    fault("finish_number", "ok", 1, text="hello"),
    fault("finish_list", "ok", 1, text="hello"),
    fault("refusal_number", "refusal", 1, text="5"),
    fault("logprobs_odd", "ok", 1, text="hello"),
    fault("logprobs_text", "ok", 1, text="hello"),
    fault("logprobs_infinite", "ok", 1, text="A"),
    *(
        fault(f"usage_{how}", "ok", 1, text="hello")
        for how in ("none", "list", "absent", "words", "negative", "fraction", "huge", "infinite")
    ),
    # stored as what they are
    fault("refusal", "refusal", 1, text="I cannot do that."),
    fault("length", "truncated", 1, text="I think that"),
    fault("filtered", "filtered", 1, text=""),
    fault("filtered_400", "filtered", 1, "The prompt was filtered", text=""),
    fault("policy", "filtered", 1, "flagged", text=""),
    # settings that it rejects
    fault("no_seed", "ok", 2, "does not accept seed; it is left out", text="hello"),
    fault("no_logprobs", "ok", 2, "does not accept top_logprobs; it is left out", text="hello"),
    fault("no_format", "ok", 2, "does not accept response_format; it is left out", text="hello"),
    fault("no_max_tokens", "ok", 2, "does not accept max_tokens; it is sent as max_completion_tokens", text="hello"),
    fault("only_model_and_messages", "ok", 8, "does not accept max_completion_tokens; it is left out", text="hello"),
    # it will not
    fault("bad_request", "error", 1, "HTTP 400: messages: field required"),
    fault("unprocessable", "error", 1, "HTTP 422: temperature must be below 2"),
    fault("denied", STOPS, 1, "HTTP 401: Incorrect API key provided: Bearer *** (the endpoint refuses the key"),
    fault("forbidden", STOPS, 1, "HTTP 403: this key may not use the model"),
    fault("not_found", STOPS, 1, "HTTP 404: The model `x` does not exist (no such model or address"),
    fault("no_such_path", STOPS, 1, "check name= and base_url="),
    fault("wrong_method", STOPS, 1, "not a chat endpoint"),
    fault("no_money", STOPS, 1, "nothing is left on this account"),
    # it sends us elsewhere
    fault("moved_302", STOPS, 1, "leads to 'https://sso.example.org/login'; name the endpoint itself in base_url="),
    fault("moved_307", STOPS, 1, "leads to 'https://sso.example.org/login'; name the endpoint itself in base_url="),
    fault("moved_round", STOPS, 1, "leads to '/moved_round"),
]


@pytest.fixture
def waits(monkeypatch):
    "Nobody waits; how long they would have is noted."
    noted = []

    async def pause(call, seconds):
        noted.append(seconds)
        await asyncio.sleep(0)  # others have their turn

    monkeypatch.setattr(chat._Call, "pause", pause)
    return noted


@pytest.mark.parametrize(("mode", "outcome", "asked", "says", "text", "wait"), MATRIX)
def test_faults(server, tmp_path, waits, mode, outcome, asked, says, text, wait):
    limits = {"retries": 1, "concurrency": 1, "timeout": 0.4 if mode in ("hang", "drip") else 60}
    model = ChatModel("m", base_url=server.url(mode), api_key="key-of-the-test", store=tmp_path / "s", **limits)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        if outcome == STOPS:
            with pytest.raises(ChatError) as stopped:
                model.complete([QUESTION])
            said, row = str(stopped.value), None
        else:
            row = model.complete([QUESTION]).iloc[0]
            said = row["reason"] or ""
    said += " ".join(str(w.message) for w in told)
    stored = ReplyStore(tmp_path / "s").to_frame()
    assert says in said and len(server.seen(model.base_url)) == asked
    assert wait is None or wait <= max(waits) <= 1.3 * wait + 1
    if row is None or row["status"] == "error":
        assert stored.empty and (row is None or (outcome == "error" and row["text"] is None))
        return
    assert (row["status"], row["text"]) == (outcome, text) == (stored["status"][0], stored["text"][0]) and len(stored) == 1
    assert row["prompt_tokens"] is pd.NA or 0 <= row["prompt_tokens"] < 2**31
    again = model.complete([QUESTION])                                 # from the store, and through both files
    assert again["stored"].all() and len(server.seen(model.base_url)) == asked
    pd.testing.assert_frame_equal(tables.read(tables.write(again, tmp_path / "r.parquet", "replies"), "replies")[["text", "status"]],
                                  again[["text", "status"]])
    copy = ReplyStore(":memory:")
    assert copy.load(model.store.export(tmp_path / "r.jsonl")) == 1 and copy.to_frame()["text"][0] == text


def test_every_fault_of_the_server_has_its_row():
    from misbehaving import MODES

    elsewhere = {"ok", "slow", "busy_wait", "hang_once", "leaking", "poison", "dying", "too_long", "later", "vote", "better", "wavering",
                 "letter", "slow_letter", "poison_letter", "interviewee"}
    assert {p.id for p in MATRIX} == {m for m in MODES if not m.startswith("echo_")} - elsewhere


def test_a_fault_stays_with_its_request(server, waits):
    "Whatever one prompt meets, the others are answered."
    for poison in ("a lone \ud83d surrogate", "poison"):
        model = ChatModel("m", base_url=server.url("poison"), store=False, retries=1, concurrency=3)
        frame = model.complete([*(Request(f"{i}") for i in range(9)), Request(poison), *(Request(f"{i}") for i in range(9, 18))])
        assert frame["status"].tolist() == ["ok"] * 9 + ["error"] + ["ok"] * 9 and len(model.store) == 18
        assert frame["text"].drop(9).tolist() == [f"{i}" for i in range(18)]


def test_replies_that_overtake_each_other_stay_with_their_requests(server):
    "Each reply comes back on the connection of its request. A server that mixes them up itself cannot be found out."
    model = ChatModel("m", base_url=server.url("later"), store=False, concurrency=10)
    frame = model.complete([Request(f"prompt {i}") for i in range(10)])
    assert frame["text"].tolist() == [f"prompt {i}" for i in range(10)]


def test_wrong_counts_cost_what_the_texts_would(server, waits):
    for how in ("negative", "huge", "infinite", "words"):
        model = ChatModel("m", base_url=server.url(f"usage_{how}"), store=False, prices=(1e6, 1e6), max_tokens=5)
        model.complete([Request("hello")])
        assert 0 < model.usage["cost"] < 40 and 0 <= model.usage["prompt_tokens"] < 100


def test_what_is_rejected_is_said_once_for_all(server):
    model = ChatModel("m", base_url=server.url("no_seed"), store=False, concurrency=8)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        frame = model.complete([Request(f"{i}", seed=i) for i in range(40)])
        model.complete([Request(f"{i}", seed=i) for i in range(40, 50)])
    assert frame["status"].eq("ok").all() and len([w for w in told if "does not accept" in str(w.message)]) == 1
    assert len(server.seen(model.base_url)) <= 50 + 8


@pytest.mark.parametrize("key", ["a key", "a\nkey", "schlüssel", "k\u200b"])
def test_a_key_that_is_none_is_not_sent(server, key):
    url = server.url("ok")
    with pytest.raises(ChatError, match="was it copied whole") as error:
        ChatModel("m", base_url=url, api_key=key, store=False).complete([Request("x")])
    assert key not in str(error.value) and not server.seen(url)
    assert ChatModel("m", base_url=url, api_key="from-a-file\n", store=False).complete([Request("x")])["status"].tolist() == ["ok"]


def test_a_password_and_a_query_in_the_address_reach_the_endpoint(server):
    url = server.url("echo_500")
    model = ChatModel("m", base_url=url.replace("//", "//me:p%40ss-word@") + "?version=2026-01&a=b%20c", store=False, retries=0)
    reason = model.complete([Request("x")])["reason"][0]
    assert server.last_path.endswith("/v1/chat/completions?version=2026-01&a=b+c")
    assert "/v1/chat/completions {" in reason and "'authorization': 'Basic ***'" in reason


# ---- kill -9


@contextlib.contextmanager
def python(script, *arguments):
    "A script of this folder that talks on its standard streams, ended when its input is closed."
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPO), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen([sys.executable, str(HERE / script), *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()
        process.stderr.close()


@pytest.fixture
def counting():
    "A counting endpoint: its address, and what it was asked."
    with python("fault_server.py", 0.01) as process:
        root = f"http://127.0.0.1:{int(process.stdout.readline())}"

        def get(path):
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(root + path) as answer:
                return json.load(answer)

        yield SimpleNamespace(url=root + "/v1", asked=lambda: get("/counts")["asked"], replied=lambda: get("/counts")["replied"],
                              total=lambda: get("/total"))


def begin(parent, *job):
    parent.stdin.write(json.dumps(job) + "\n")
    parent.stdin.flush()
    return int(parent.stdout.readline())


def steady(path):
    "A table of answers without what no two runs share."
    return tables.read(path, "answers").drop(columns=["created", "seconds"], errors="ignore")


KILLS = 50


def test_killed_fifty_times_nothing_is_lost_and_little_is_asked_twice(tmp_path, counting, capsys):
    chance, store = random.Random(20), tmp_path / "replies.sqlite"
    stored = 0
    with python("fault_child.py", counting.url) as parent:
        assert parent.stdout.readline() == "ready\n", parent.stderr.read()
        for kill in range(1, KILLS + 1):
            before, more = counting.total(), chance.randint(1, 55)
            child = begin(parent, str(store), 0, 670, None)
            late = time.monotonic() + 20
            while kill % 10 and counting.total() < before + more and time.monotonic() < late:     # every tenth dies in its first moments
                time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.03))
            os.kill(child, signal.SIGKILL)
            assert int(parent.stdout.readline()) == -signal.SIGKILL
            kept = len(ReplyStore(store))
            assert kept >= stored and kept >= len(counting.replied()) - CONCURRENCY * kill
            stored = kept
        assert 0 < stored < 2010, "the kills must fall into the work"
        child = begin(parent, str(store), 0, 670, str(tmp_path / "killed.parquet"))
        assert int(parent.stdout.readline()) == 0, child
        disturbed, asked = counting.total(), counting.asked()
        begin(parent, str(tmp_path / "calm.sqlite"), 0, 670, str(tmp_path / "calm.parquet"))
        assert int(parent.stdout.readline()) == 0
    with capsys.disabled():
        print(f"\n{KILLS} kills, {len(asked)} requests, {disturbed - len(asked)} of them asked again, at most {max(asked.values())} times")
    assert len(asked) == len(ReplyStore(store)) == 2010
    # A worker asks for its next reply when the last one is stored: at a kill at most one per worker is under way or not yet stored.
    assert disturbed <= 2010 + KILLS * CONCURRENCY and set(counting.asked()) == set(asked)
    pd.testing.assert_frame_equal(steady(tmp_path / "killed.parquet"), steady(tmp_path / "calm.parquet"))
    assert (steady(tmp_path / "killed.parquet")["status"] == "ok").all()


def test_two_processes_on_one_store_get_one_table(tmp_path, counting):
    "The first three hundred personas are asked by both, the others by one of them."
    store = str(tmp_path / "replies.sqlite")
    with python("fault_child.py", counting.url) as one, python("fault_child.py", counting.url) as two:
        assert one.stdout.readline() == two.stdout.readline() == "ready\n"
        begin(one, store, 0, 400, str(tmp_path / "one.parquet"))
        begin(two, store, 100, 500, str(tmp_path / "two.parquet"))
        assert [int(p.stdout.readline()) for p in (one, two)] == [0, 0], one.stderr.read() + two.stderr.read()
        begin(one, str(tmp_path / "alone.sqlite"), 0, 500, str(tmp_path / "alone.parquet"))
        assert int(one.stdout.readline()) == 0
    first, second, alone = (steady(tmp_path / f"{name}.parquet") for name in ("one", "two", "alone"))
    both = pd.concat([first, second]).drop_duplicates(["persona_id", "item_id"], ignore_index=True)
    pd.testing.assert_frame_equal(both, alone)
    assert len(ReplyStore(store)) == 1500 and counting.total() <= 1500 + 900 + 1500


# ---- a full disk

WRITING = """
import json, os, random, resource, signal, sys
from pathlib import Path
import pandas as pd
from persona_kit import batch, tables
from persona_kit.chat import ChatModel, Request

folder, url, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
model = ChatModel("m", base_url=url, store=folder / "replies.sqlite", concurrency=4)
noise = [f"{i} " + random.Random(i).randbytes(2000).hex() for i in range(400)]
said = {}

(folder / "reserve").write_bytes(b"x" * 4096 * 55)

def attempt(name, work):
    try:
        said[name] = [0, str(work())]
    except OSError as e:
        said[name] = [e.errno, str(e)]

def at_most(size):
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

at_most(limit)
attempt("replies.sqlite", lambda: len(model.complete([Request(t) for t in noise])))
at_most(limit // 40)
if not limit:
    (folder / "rest").write_bytes(b"x" * 4096 * max(0, os.statvfs(folder).f_bavail - 2))
attempt("out.jsonl", lambda: model.store.export(folder / "out.jsonl"))
attempt("out.jsonl.xz", lambda: model.store.export(folder / "out.jsonl.xz"))
attempt("table.parquet", lambda: tables.write(pd.DataFrame({"text": noise}), folder / "table.parquet"))
batch.MOST_REQUESTS = 20
(folder / "reserve").unlink()                      # on the small disk: room for the first part and not for the second
elsewhere = ChatModel("m", base_url=url, store=False)
attempt("part-", lambda: batch.to_batch([Request(t) for t in noise[:10] + noise], elsewhere, folder / "batch"))
print(json.dumps(said))
"""


@pytest.fixture(params=["a limit", "a small disk"])
def small(request, tmp_path):
    "A folder that cannot hold what is to be written there, and how much one file may have (0: see the disk)."
    folder = tmp_path / "small"
    folder.mkdir()
    if request.param == "a limit":
        yield folder, 1_000_000
        return
    made = sys.platform == "linux" and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], capture_output=True)
    if not made or made.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder, 0
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(server, small):
    folder, limit = small
    kept = {"out.jsonl": b"an older export\n", "out.jsonl.xz": b"and another", "table.parquet": b"an older table"}
    for name, data in kept.items():
        (folder / name).write_bytes(data)
    url = server.url("ok")
    process = subprocess.run([sys.executable, "-c", WRITING, str(folder), url, str(limit)], capture_output=True, text=True, cwd=REPO)
    assert process.returncode == 0, process.stderr
    said = json.loads(process.stdout)
    assert set(said) == {"replies.sqlite", *kept, "part-"}
    for name, (number, text) in said.items():
        assert number in (errno.ENOSPC, errno.EFBIG, errno.EIO) and str(folder) in text and name in text, (name, text)
    assert limit or "part-0002" in said["part-"][1]
    assert limit or "no space left to store replies; those stored before are kept" in said["replies.sqlite"][1]
    assert {name: (folder / name).read_bytes() for name in kept} == kept
    assert not list(folder.glob(".*")) and not list((folder / "batch").iterdir())
    if not limit:
        subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
    store = ReplyStore(folder / "replies.sqlite")
    had, before = len(store), len(server.seen(url))
    assert 20 < had < 400 and before - 4 <= had and set(store.to_frame()["status"]) == {"ok"}
    noise = [f"{i} " + random.Random(i).randbytes(2000).hex() for i in range(400)]
    frame = ChatModel("m", base_url=url, store=store).complete([Request(t) for t in noise])         # and on it goes
    assert frame["text"].tolist() == noise and len(server.seen(url)) == before + 400 - had
    assert store.export(folder / "out.jsonl").stat().st_size > limit


def test_a_device_is_not_replaced_by_a_file(tmp_path):
    place = tmp_path / "full"
    place.symlink_to("/dev/full")
    for work in (ReplyStore(":memory:").export, lambda path: tables.write(pd.DataFrame({"a": [1]}), path)):
        with pytest.raises(OSError, match="is no ordinary file"):
            work(place)
    assert place.is_symlink()


# ---- answered batch files


def reply_line(key, text="A", **changes):
    body = {"choices": [{"message": {"content": text}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}
    return {"custom_id": key, "response": {"status_code": 200, "body": body}, "error": None} | changes


def handed_in(folder, n=6):
    model = ChatModel("m", base_url="http://127.0.0.1:9/v1", store=False)
    batch.to_batch([Request(f"prompt {i}") for i in range(n)], model, folder)
    return model, [model.key(Request(f"prompt {i}")) for i in range(n)]


def answered(folder, lines, kind="output"):
    texts = (x if isinstance(x, str) else json.dumps(x, ensure_ascii=False) for x in lines)
    (folder / f"part-0001.{kind}.jsonl").write_text("\n".join(texts))


def test_batch_lines_in_another_order_twice_or_of_others(tmp_path):
    model, keys = handed_in(tmp_path)
    answered(tmp_path, [*(reply_line(k, f"text {i}") for i, k in reversed(list(enumerate(keys)))), reply_line(keys[2], "another"),
                        reply_line("0" * 64), reply_line(None), reply_line({"a": 1})])
    for _ in range(2):                                                             # the second reading says and stores the same
        told = batch.from_batch(tmp_path, model).iloc[0]
        assert told[["requests", "stored", "failed", "missing", "unreadable", "repeated"]].tolist() == [6, 6, 0, 0, 3, 1]
        assert [row["reply"]["text"] for row in (model.store.get(keys)[k] for k in keys)] == [f"text {i}" for i in range(6)]


@pytest.mark.parametrize("text", ["one\u2028two", "one\x85two", "a\x1eb", "\x00", "tab\tline\r\nend", "\ud83d half"])
def test_batch_lines_hold_any_character(tmp_path, text):
    model, keys = handed_in(tmp_path, 2)
    lines = [reply_line(keys[0], text), reply_line(keys[1])]
    answered(tmp_path, [json.dumps(x) for x in lines] if "\ud83d" in text else lines)
    assert batch.from_batch(tmp_path, model)["stored"].tolist() == [2]
    assert model.store.get(keys)[keys[0]]["reply"]["text"] == text.replace("\ud83d", "\ufffd")


def test_batch_line_that_the_endpoint_filtered(tmp_path):
    model, keys = handed_in(tmp_path, 2)
    flagged = {"status_code": 400, "body": {"error": {"message": "flagged", "code": "content_filter"}}}
    answered(tmp_path, [reply_line(keys[0], response=flagged)], "errors")
    told = batch.from_batch(tmp_path, model).iloc[0]
    assert told[["stored", "failed", "missing"]].tolist() == [1, 0, 1] and model.store.get(keys)[keys[0]]["reply"]["status"] == "filtered"


FIELDS = ["error", "message", "content", "choices", "body", "status_code", "usage", "logprobs", "refusal", "code"]
ODD = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
                   lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                       st.sampled_from(FIELDS), inner, max_size=4), max_leaves=12)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(response=ODD, error=ODD, body=ODD, message=ODD, usage=ODD)
def test_no_batch_line_raises_or_stores_what_cannot_be_loaded(tmp_path, response, error, body, message, usage):
    folder = tmp_path / uuid.uuid4().hex
    model, keys = handed_in(folder, 4)
    whole = {"choices": [{"message": message, "finish_reason": usage}], "usage": usage}
    answered(folder, [json.dumps(x) for x in (
        reply_line(keys[0], response=response), reply_line(keys[1], error=error),
        reply_line(keys[2], response={"status_code": 200, "body": body}), reply_line(keys[3], response={"status_code": 200, "body": whole}),
    )])
    told = batch.from_batch(folder, model).iloc[0]
    assert told["stored"] + told["failed"] + told["missing"] == 4 and told["unreadable"] == 0
    assert ReplyStore(":memory:").load(model.store.export(folder / "x.jsonl")) == told["stored"]
    tables.write(model.store.to_frame(), folder / "x.parquet", "replies")


def test_batch_files_that_were_edited_or_cut(tmp_path):
    model, _ = handed_in(tmp_path)
    known = tmp_path / "part-0001.requests.jsonl"
    whole = known.read_text()
    edited = whole.replace("prompt 3", "prompt 9")
    for broken, words in ((whole[:-40], "cannot be read"), (edited, "1 keys do not belong"), ("[1]", "cannot be read")):
        known.write_text(broken)
        with pytest.raises(ValueError, match=words) as error:
            batch.from_batch(tmp_path, model)
        assert str(known) in str(error.value)
    known.write_text(whole)
    for state in ("[]", '{"part-0001": 5}', "{"):
        (tmp_path / "state.json").write_text(state)
        with pytest.raises(ValueError, match="state.json cannot be read"):
            batch.submit(tmp_path, model)


def test_an_address_without_a_queue(server, tmp_path):
    model = ChatModel("m", base_url=server.url("ok"), store=False)
    batch.to_batch([Request("x")], model, tmp_path / "b")
    with pytest.raises(ChatError, match="no queue of batches answers there"):
        batch.submit(tmp_path / "b", model)
    assert not (tmp_path / "b" / "state.json").exists() or "batch" not in (tmp_path / "b" / "state.json").read_text()


# ---- properties

ANY = st.text(st.characters(), max_size=20)                     # also NUL, and halves of surrogate pairs
ROLES = st.sampled_from(["system", "user", "assistant"])
MESSAGES = st.lists(st.fixed_dictionaries({"role": ROLES, "content": ANY}, optional={"name": ANY}), min_size=1, max_size=3)
PROBABILITY = st.floats(0, 1, allow_subnormal=False)
WANTED = st.fixed_dictionaries(
    {"messages": MESSAGES},
    optional={
        "schema": st.dictionaries(ANY, ANY | st.integers(), max_size=3),
        "top_logprobs": st.integers(0, 20), "max_tokens": st.integers(1, 99), "temperature": PROBABILITY, "top_p": PROBABILITY,
        "seed": st.integers(-(2**70), 2**70), "draw": st.integers(0, 9),
    },
)  # fmt: skip


def modelled(name="m", **changes):
    return ChatModel(name, **({"base_url": "http://a/v1", "store": False, "temperature": 0.5} | changes))


def backwards(wanted):
    return wanted | {"messages": [dict(reversed(m.items())) for m in wanted["messages"]]}


@settings(max_examples=200, deadline=None)
@given(WANTED, ANY.filter(bool), st.integers(1, 99), st.booleans())
def test_the_key_is_of_what_is_asked_alone(wanted, address, concurrency, local):
    key = modelled().key(Request(**wanted))
    elsewhere = modelled(base_url="http://127.0.0.1/v1" if local else ["https://b/v1?x=1", "https://c/v1"], api_key=address,
                         concurrency=concurrency, requests_per_minute=concurrency, retries=0, timeout=concurrency, max_requests=1)
    assert elsewhere.key(Request(**backwards(wanted))) == key and re.fullmatch("[0-9a-f]{64}", key)
    open_settings = {k: v for k, v in wanted.items() if k in ("temperature", "top_p", "max_tokens", "seed")}
    rest = {k: v for k, v in wanted.items() if k not in open_settings}
    assert modelled(**open_settings).key(Request(**rest)) == key            # wherever a setting is made
    assert modelled(name="n").key(Request(**wanted)) != key


@settings(max_examples=300, deadline=None)
@given(WANTED, WANTED)
def test_other_requests_have_other_keys(one, two):
    filled = [{"temperature": 0.5, "top_p": 1.0, "draw": 0} | w for w in (one, two)]
    shown = [w | {"schema": list(w["schema"].items())} if "schema" in w else w for w in filled]
    assert (modelled().key(Request(**one)) == modelled().key(Request(**two))) == (shown[0] == shown[1])


@settings(max_examples=200, deadline=None)
@given(WANTED, st.data())
def test_any_change_is_another_key(wanted, data):
    changed = data.draw(st.sampled_from(["messages", "schema", "top_logprobs", "max_tokens", "temperature", "top_p", "seed", "draw"]))
    other = {
        "messages": [*wanted["messages"], {"role": "user", "content": ""}], "schema": {**wanted.get("schema", {}), "\x00": 0.25},
        "top_logprobs": 21, "max_tokens": 100, "temperature": 1.5, "top_p": wanted.get("top_p", 1.0) / 2 + 0.001, "seed": 2**71, "draw": 10,
    }  # fmt: skip
    assert modelled().key(Request(**wanted)) != modelled().key(Request(**wanted | {changed: other[changed]}))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(WANTED, ANY, ANY, st.sampled_from(chat._KEPT)), max_size=5), st.sampled_from(["", ".gz", ".xz"]))
def test_any_text_survives_the_store(tmp_path, rows, suffix):
    model = modelled()
    resolved = [chat._resolve(Request(**wanted), model.id, model.defaults) for wanted, *_ in rows]
    packed = {
        chat._key(r): {
            "request_key": chat._key(r), "model": "m", "request": r, "usage": {"prompt_tokens": None}, "created": "",
            "reply": {"text": text, "status": status, "finish_reason": None, "logprobs": [{"token": token, "logprob": -1.5}]},
        }
        for r, (_, text, token, status) in zip(resolved, rows, strict=True)
    }  # fmt: skip
    file = tmp_path / uuid.uuid4().hex
    store = ReplyStore(file.with_suffix(".sqlite"))
    assert store.put(packed.values()) == len(packed) and store.put(packed.values()) == 0
    found = store.get(packed)
    assert found.keys() == packed.keys() and all(chat._key(r["request"]) == k for k, r in found.items())
    for key, row in packed.items():
        token = whole(row["reply"]["logprobs"][0]["token"])
        assert found[key]["reply"] == row["reply"] | {"text": whole(row["reply"]["text"]), "logprobs": [{"token": token, "logprob": -1.5}]}
    exported = store.export(file.with_suffix(f".jsonl{suffix}"))
    store.close()
    copy = ReplyStore(":memory:")
    assert copy.load(exported) == len(packed) and copy.get(packed) == found
    frame = copy.to_frame()
    back = tables.read(tables.write(frame, file.with_suffix(".parquet"), "replies"), "replies")
    assert back["text"].tolist() == frame["text"].tolist() == [whole(r["reply"]["text"]) for r in packed.values()]


def whole(text):
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)


WORDS = st.sampled_from(
    ["the", "The candidate", "I", "not", "because", "vote for", "Answer:", "answer", "Option", "A", "B", "(Democrat)",
     "Republican", "no", "Refused", "{a}", "**x**", "5", "10", "20%", "<think>", "Joe", "Biden", "None of these", "–",
     "\ud83d", "é", "ß", "ǅ", "ﬁ", "²", "A.", "B)", "a"]
)  # fmt: skip
LABELS = st.text(st.characters(), min_size=1, max_size=12) | st.lists(WORDS, min_size=1, max_size=5).map(" ".join)
OPTIONS = st.lists(LABELS, min_size=2, max_size=8, unique_by=str.strip)


@settings(max_examples=400, deadline=None)
@given(OPTIONS, st.data())
def test_a_letter_and_a_label_are_never_taken_for_another_option(options, data):
    i = data.draw(st.integers(0, len(options) - 1))
    letter = LETTERS[i]
    called = any(letter.casefold() in re.findall(r"\w+", replies._plain(o).casefold()) for o in options)
    for reply in (letter, f"{letter}.", f"({letter})", f" {letter.lower()}\n"):
        assert parse_choice(reply, options) in [(i, "ok")] + [(None, "invalid")] * called
    reads_as_letter = len(replies._unwrapped(options[i]).strip(replies._MARKS + "<>$_")) <= 1
    assert parse_choice(options[i], options) in [(i, "ok")] + [(None, "invalid")] * reads_as_letter
    reply = data.draw(st.text(st.characters(), max_size=200))
    place, status = parse_choice(reply, options)
    assert status in ("ok", "refusal", "invalid") and (status == "ok") == (place in range(len(options)))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(string.ascii_lowercase, min_size=3, max_size=9), min_size=1, max_size=15), st.sampled_from("abcdefgh"),
       st.booleans())
def test_prose_never_chooses_by_its_first_letter(words, first, capital):
    options = ["Zebra (Z)", "Yak 7", "Xylophone", "Quail 1", "Quokka 2", "Vole 3", "Wombat 4", "Zorilla 5"]
    text = f"{first.upper() if capital else first}{' '.join(words)}."
    if not re.search(r"zeb|yak|xyl|qua|quo|vol|wom|zor|because|since|over", text.casefold()):
        assert parse_choice(text, options)[1] != "ok"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(ANY | st.sampled_from(list("AB") + [" A", "Yes", "Ye", "no"]), st.floats(allow_nan=True)), max_size=20), OPTIONS)
def test_option_probabilities_and_what_is_missing_make_one(pairs, options):
    shares, missing = option_probabilities([{"token": t, "logprob": p} for t, p in pairs], options)
    assert 0 <= missing <= 1 and (shares is not None or missing == 1)
    if shares is not None:
        assert len(shares) == len(options) and all(0 <= p <= 1 for p in shares) and math.isclose(sum(shares), 1)
        on_options = sum(math.exp(min(p, 0.0)) for t, p in pairs if replies._spelled(t, options) is not None and not math.isnan(p))
        assert math.isclose(min(on_options, 1.0) + missing, 1, abs_tol=1e-9)


@settings(max_examples=100, deadline=None)
@given(OPTIONS, st.lists(LABELS, max_size=2), st.integers(), ANY, st.integers(0, 99), st.booleans(), st.booleans())
def test_an_order_is_a_permutation_that_depends_on_nothing_else(labels, refusals, seed, persona_id, draw, ordinal, shuffle):
    refusals = [r for r in dict.fromkeys(refusals) if r.strip() not in [o.strip() for o in labels]]
    try:
        item = Item("q", "?", labels, list(range(len(labels))) if ordinal else None, refusals=refusals)
    except ValueError:
        return                                                                  # labels that no item may have
    order = option_order(item, seed, persona_id, draw, shuffle=shuffle)
    n = len(item.options)
    assert sorted(order[:n]) == sorted(item.options) and order[n:] == item.refusals
    assert not ordinal or order[:n] in (item.options, item.options[::-1])
    assert order == option_order(item, seed, persona_id, draw, shuffle=shuffle) and (shuffle or order == item.shown)


NAMES = [a.name for a in (*OBJECTIVE, *SUBJECTIVE)] + ["work", "state", "sex", "age", "narrative"]
CENSUS = st.sampled_from([v for a in OBJECTIVE for v in a.values or ()])
VALUES = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | ANY | CENSUS, lambda inner:
                      st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | ANY, inner, max_size=9), max_leaves=20)
REPLIES = VALUES.map(json.dumps)
PERSON = us_adults().sample(n=1, seed=1).to_dict("records")[0]


@settings(max_examples=200, deadline=None)
@given(ANY | REPLIES | st.tuples(ANY, REPLIES, ANY).map("".join), st.sampled_from([PERSON, {}]), st.booleans())
def test_no_reply_of_a_generator_raises(text, person, truncated):
    for attributes in (list(OBJECTIVE), list(SUBJECTIVE)):
        values, status, reason = parse_attributes(text, attributes, person)
        assert status in ("ok", "invalid", "contradiction") and (status == "ok") == (reason == "")
        assert all(isinstance(v, str) and v for v in values.values()) and set(values) <= {a.name for a in attributes}
    values, status, _ = parse_narrative(text * 20, person, truncated=truncated)
    assert status in ("ok", "invalid", "contradiction", "refusal", "truncated") and set(values) <= {"narrative"}


# ---- secrets

KEY, PASSWORD, TOKEN = "Zq7vdistinctive0123456789abcdefXYZ", "pWd9distinctive", "tOk5distinctive"


def hidden(*places):
    "No part of a secret in any of these texts, nor in any file of these folders."
    basic = base64.b64encode(f"me:{PASSWORD}".encode())
    marks = [*(m.encode() for m in (KEY[:7], KEY[-7:], PASSWORD[:7], PASSWORD[-7:], TOKEN[:7])), basic]
    read = 0
    for place in places:
        files = [p for p in sorted(place.rglob("*")) if p.is_file()] if isinstance(place, Path) else [place]
        for file in files:
            data = file.read_bytes() if isinstance(file, Path) else str(file).encode("utf-8", "backslashreplace")
            with contextlib.suppress(OSError, lzma.LZMAError, EOFError):
                data += lzma.decompress(data) if str(file).endswith(".xz") else b""
            assert not [m for m in marks if m in data], (str(file)[:300], [m for m in marks if m in data])
            read += 1
    return read


def everything_of(error):
    "What a log would hold of an exception: the tracebacks of all that led to it."
    chained, texts = error, []
    while chained is not None:
        texts += [str(chained), repr(chained), "".join(traceback.format_exception(chained))]
        chained = chained.__cause__ or chained.__context__
    return "\n".join(texts)


def tried(work, *arguments):
    "What it returns or raises, as text; and its warnings."
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            result = work(*arguments)
            said = result.to_csv() if isinstance(result, pd.DataFrame) else repr(result)
        except Exception as e:
            said = everything_of(e)
    return said + "".join(f"{w.message} {w.filename}" for w in told)


SECRETIVE = ["echo_400", "echo_401", "echo_500", "echo_200", "echo_far", "moved_round", "html", "ok", "hang", "only_model_and_messages"]


@pytest.mark.parametrize("where", ["a header", "the address"])
@pytest.mark.parametrize("mode", SECRETIVE)
def test_no_secret_is_told_or_kept(server, tmp_path, monkeypatch, capfd, caplog, waits, mode, where):
    caplog.set_level("INFO")
    monkeypatch.setenv("PERSONA_KIT_API_KEY", KEY + "\n")
    url = server.url(mode)
    given_url = url if where == "a header" else url.replace("//", f"//me:{PASSWORD}@") + f"?token={TOKEN}&version=3"
    settings = {"retries": 1, "timeout": 0.5 if mode == "hang" else 60, "seed": 1}
    model = ChatModel("m", base_url=given_url, store=tmp_path / "replies.sqlite", **settings)
    said = [repr(model), str(model), str(model.usage), repr(model.store)]
    said.append(tried(model.complete, [Request("first", top_logprobs=2), Request("second")]))
    said.append(tried(lambda: ChatModel("m", base_url=[given_url, given_url])))
    said.append(tried(lambda: ChatModel("m", base_url=given_url.removeprefix("http://"))))
    batch.to_batch([Request("third")], model, tmp_path / "batch")
    said += [tried(batch.submit, tmp_path / "batch", model)]
    (tmp_path / "batch" / "state.json").write_text(json.dumps({"part-0001": {"file": "file-1", "batch": "batch_1"}}))
    said += [tried(batch.collect, tmp_path / "batch", model)]
    echo = f"you sent {KEY} to {given_url}" + f" {PASSWORD} {TOKEN}" * (where == "the address")
    refused = {"status_code": 500, "body": {"error": {"message": echo}}}
    answered(tmp_path / "batch", [reply_line(model.key(Request("third")), response=refused)])
    said += [tried(batch.from_batch, tmp_path / "batch", model)]
    assert "you sent ***" in said[-1]
    (tmp_path / "batch" / "part-0001.output.jsonl").unlink()            # what the endpoint wrote is as the endpoint wrote it
    hidden(tmp_path)                                                    # with the WAL beside the store
    model.store.export(tmp_path / "replies.jsonl")
    model.store.export(tmp_path / "replies.jsonl.xz")
    tables.write(model.store.to_frame(), tmp_path / "replies.parquet", "replies")
    model.close()
    printed = capfd.readouterr()
    assert hidden(tmp_path, *said, printed.out, printed.err, caplog.text) > 10
    assert mode == "ok" or len(server.seen(url)) >= 1
    if mode.startswith("echo"):
        assert "***" in said[4], "the endpoint did say it back"


@pytest.mark.parametrize("host", ["http://me:{}@127.0.0.1:9/v1?token={}", "https://me:{}@none.invalid/v1?token={}", "me:{}@host?token={}"])
def test_no_secret_of_an_address_where_nobody_is(host, tmp_path, waits):
    url = host.format(PASSWORD, TOKEN)
    said = tried(lambda: ChatModel("m", base_url=url, api_key=KEY, store=tmp_path / "s", retries=0).complete([Request("x")]))
    assert hidden(said, tmp_path) and ("cannot connect" in said or "must begin with" in said)


@pytest.mark.parametrize("mode", ["vote", "echo_401"])
def test_no_secret_in_what_a_run_leaves(server, tmp_path, monkeypatch, capfd, mode):
    pytest.importorskip("papermill")
    from persona_kit.runs import RunError, run

    monkeypatch.setenv("PERSONA_KIT_API_KEY", KEY)
    url = server.url(mode).replace("//", f"//me:{PASSWORD}@") + f"?token={TOKEN}"
    small = {"states": ["WY"], "n_per_state": 2, "years": [2020], "tiers": ["meta"], "recorded": False, "n_boot": 50, "generator": "m",
             "simulator": "m", "base_url": url, "store": str(tmp_path / "replies.sqlite")}
    if mode == "vote":
        folder = run("election_forecast", small, out=tmp_path / "runs")
        assert {p.name for p in folder.iterdir()} >= {"manifest.json", "report.html", "notebook.ipynb", "tables", "figures", "results.json"}
        said = ""
    else:
        with pytest.raises(RunError) as failed:
            run("election_forecast", small, out=tmp_path / "runs")
        said = everything_of(failed.value)
        assert "refuses the key" in said and "***" in said
    printed = capfd.readouterr()
    assert hidden(tmp_path, said, printed.out, printed.err) >= 6


@pytest.mark.parametrize("bad", ["busy_always", "gateway", "no_such_path", "forbidden"])
def test_a_replica_that_refuses_does_not_end_what_another_can_do(server, waits, bad):
    with ChatModel("m", base_url=[server.url(bad), server.url("ok")], store=False, concurrency=4, retries=2) as model:
        replies = model.complete([Request(f"{bad} {i}") for i in range(12)])
    assert replies["status"].eq("ok").all()


def test_replicas_that_all_fail_are_not_asked_for_ever(server, waits):
    urls = [server.url("gateway"), server.url("reset")]
    with ChatModel("m", base_url=urls, store=False, concurrency=1, retries=1) as model:
        replies = model.complete([Request("never answered")])
    asked = sum(len(server.seen(url)) for url in urls)
    assert replies["status"].tolist() == ["error"] and 2 <= asked <= 12


def test_an_end_sends_nothing_that_was_waiting_for_its_turn(server):
    url = server.url("ok")
    model = ChatModel("m", base_url=url, store=False, requests_per_minute=600, max_requests=8, concurrency=8)
    with model, pytest.raises(ChatError, match="max_requests 8 are sent; raise it to go on"):
        model.complete([Request(f"one of many {i}") for i in range(30)])
    assert len(server.seen(url)) <= 8
