"""Batches: files in and out, an endpoint with a queue, interruptions, garbage, and the same store as live requests."""

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from persona_kit import batch
from persona_kit.batch import collect, from_batch, submit, to_batch
from persona_kit.chat import ChatError, ChatModel, Request
from persona_kit.population import us_adults
from persona_kit.simulation import ask, plan, requests
from persona_kit.surveys import presidential_election


def prompts(n, start=0):
    return [Request(f"prompt {i}", seed=i) for i in range(start, start + n)]


def answer(line, text="A", **changes):
    body = {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 90, "completion_tokens": 1},
    }
    done = {"id": "r", "custom_id": line["custom_id"], "response": {"status_code": 200, "request_id": "x", "body": body}, "error": None}
    return json.dumps(done | changes)


def lines(path):
    return [json.loads(text) for text in path.read_text().splitlines()]


class Queue(BaseHTTPRequestHandler):
    "Files and batches as OpenAI has them; what becomes of a batch is said in `fate`."

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, data, status=200):
        data = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        box = self.server
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["authorization"] != "Bearer secret-key-123":
            return self.send({"error": {"message": "no"}}, 401)
        if self.path.endswith("/files"):
            name = f"file-{len(box.files)}"
            box.files[name] = (
                body.split(b"\r\n\r\n")[-1].rsplit(b"\r\n--", 1)[0]
                if b"jsonl" in body.split(b"\r\n\r\n")[-2]
                else next(
                    part.split(b"\r\n\r\n", 1)[1].rstrip(b"\r\n")
                    for part in body.split(b"--" + body.split(b"\r\n")[0][2:])
                    if b"filename" in part
                )
            )
            return self.send(
                {"id": name, "object": "file", "bytes": 1, "created_at": 1, "filename": "x", "purpose": "batch", "status": "processed"}
            )
        made = f"batch_{len(box.batches)}"
        box.batches[made] = json.loads(body)["input_file_id"]
        if box.deaf:
            box.deaf, self.close_connection = False, True
            return None
        return self.send(self.about(made, "validating"))

    def about(self, name, status, **files):
        return {
            "id": name,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "input_file_id": self.server.batches[name],
            "completion_window": "24h",
            "status": status,
            "created_at": 1,
        } | files

    def do_GET(self):
        box = self.server
        if self.path.split("?")[0].endswith("/batches"):
            if not box.lists:
                return self.send({"error": {"message": "no such path"}}, 404)
            return self.send({"object": "list", "data": [self.about(name, "validating") for name in box.batches], "has_more": False})
        if "/content" in self.path:
            if self.path.split("/")[-2] not in box.files:
                return self.send({"error": {"message": "no such file"}}, 404)
            return self.send(box.files[self.path.split("/")[-2]])
        name = self.path.split("/")[-1]
        sent = [json.loads(text) for text in box.files[box.batches[name]].decode().splitlines() if text.startswith("{")]
        if box.fate == "in_progress":
            return self.send(self.about(name, "in_progress"))
        if box.fate == "invalid":
            errors = [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached", "line": None, "param": None}]
            return self.send(self.about(name, "failed", errors={"object": "list", "data": errors}))
        good = sent if box.fate == "completed" else sent[: len(sent) // 2]
        box.files["out" + name] = "\n".join(answer(line, line["body"]["messages"][-1]["content"]) for line in reversed(good)).encode()
        box.files["err" + name] = "\n".join(
            json.dumps({"custom_id": x["custom_id"], "response": None, "error": {"code": "batch_expired", "message": "too late"}})
            for x in sent[len(good) :]
        ).encode()
        return self.send(
            self.about(name, box.fate, output_file_id="out" + name, error_file_id=None if box.fate == "completed" else "err" + name)
        )


@pytest.fixture
def queue(monkeypatch):
    monkeypatch.setenv("PERSONA_KIT_API_KEY", "secret-key-123")
    box = ThreadingHTTPServer(("127.0.0.1", 0), Queue)
    box.files, box.batches, box.fate, box.deaf, box.lists = {}, {}, "completed", False, True
    threading.Thread(target=box.serve_forever, daemon=True).start()
    box.url = f"http://127.0.0.1:{box.server_address[1]}/v1"
    yield box
    box.shutdown()
    box.server_close()


def test_a_line_is_the_live_request(tmp_path):
    model = ChatModel("m", base_url="http://a/v1", store=False, temperature=0.5, max_tokens=7)
    (path,) = to_batch([*prompts(3), *prompts(2)], model, tmp_path / "b")
    out = lines(path)
    assert [line["custom_id"] for line in out] == [model.key(r) for r in prompts(3)]
    assert out[1] == {
        "custom_id": model.key(prompts(2)[1]),
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": "m",
            "messages": [{"content": "prompt 1", "role": "user"}],
            "max_tokens": 7,
            "temperature": 0.5,
            "top_p": 1.0,
            "seed": 1,
        },
    }
    assert from_batch(tmp_path / "b", model)[["requests", "stored", "missing"]].to_numpy().tolist() == [[3, 0, 3]]


def test_files_are_split(tmp_path, monkeypatch):
    model = ChatModel("m", base_url="http://a/v1", store=False)
    monkeypatch.setattr(batch, "MOST_REQUESTS", 4)
    paths = to_batch(prompts(10), model, tmp_path / "a")
    assert [len(lines(p)) for p in paths] == [4, 4, 2] and [p.name for p in paths] == [f"part-000{i}.jsonl" for i in (1, 2, 3)]
    monkeypatch.setattr(batch, "MOST_BYTES", 500)
    paths = to_batch(prompts(10), model, tmp_path / "b")
    assert sum(len(lines(p)) for p in paths) == 10 and all(p.stat().st_size <= 500 for p in paths) and len(paths) > 3
    with pytest.raises(ValueError, match="a file may have 500"):
        to_batch([Request("x" * 600)], model, tmp_path / "c")


def test_what_is_stored_is_not_written(tmp_path):
    model = ChatModel("m", base_url="http://a/v1", store=tmp_path / "s")
    (path,) = to_batch(prompts(4), model, tmp_path / "a")
    (tmp_path / "a" / "part-0001.output.jsonl").write_text("\n".join(answer(x) for x in lines(path)[:3]))
    assert from_batch(tmp_path / "a", model)["stored"].tolist() == [3]
    (rest,) = to_batch(prompts(4), model, tmp_path / "b")
    assert [x["custom_id"] for x in lines(rest)] == [model.key(prompts(4)[3])]
    replies = model.complete(prompts(3))  # and the live call finds them, without a server
    assert replies["stored"].all() and replies["prompt_tokens"].tolist() == [90] * 3
    assert to_batch(prompts(3), model, tmp_path / "c") == []


def test_garbage_is_counted_and_nothing_of_it_stored(tmp_path):
    model = ChatModel("m", base_url="http://a/v1", store=False)
    (path,) = to_batch(prompts(8), model, tmp_path / "b")
    sent = lines(path)
    (tmp_path / "b" / "part-0001.output.jsonl").write_text(
        "\n".join(
            [
                answer(sent[0]),
                answer(sent[0], "B"),
                "not json",
                "[1]",
                json.dumps({"custom_id": "other"}),
                "",
                answer(sent[1], error={"message": "boom"}),
                answer(sent[2], response={"status_code": 400, "body": {"error": {"message": "Unsupported parameter"}}}),
                answer(sent[3], response={"status_code": 200, "body": {"choices": []}}),
                answer(sent[4], response=None),
                answer(sent[5])[:-9],
            ]
        )
    )
    told = from_batch(tmp_path / "b", model).iloc[0]
    assert told[["requests", "stored", "failed", "missing", "unreadable"]].tolist() == [8, 1, 4, 3, 4]
    assert told["reason"] == "boom" and len(model.store) == 1


def test_folders_that_are_none(tmp_path):
    model = ChatModel("m", base_url="http://a/v1", store=False)
    to_batch(prompts(1), model, tmp_path / "b")
    with pytest.raises(ValueError, match="is not empty"):
        to_batch(prompts(1), model, tmp_path / "b")
    for function in (from_batch, submit, collect):
        with pytest.raises(ValueError, match="no batch in"):
            function(tmp_path / "nothing", model)
    with pytest.raises(ValueError, match="nothing of .* has been handed in"):
        collect(tmp_path / "b", model)
    with pytest.raises(ValueError, match="written for the model 'm', not for 'other'"):
        from_batch(tmp_path / "b", ChatModel("other", base_url="http://a/v1", store=False))
    with pytest.raises(ValueError, match="embedded"):
        to_batch(prompts(1), ChatModel("embedded", store=False), tmp_path / "c")


def test_a_study_by_post_is_the_study_live(tmp_path, queue):
    people, ballot = us_adults().sample(n=30, seed=1), presidential_election()
    model = ChatModel("m", base_url=queue.url, store=tmp_path / "s")
    wanted = requests(people, ballot, model, seed=4)
    assert plan(people, ballot, model, seed=4)[["requests", "stored", "to_send"]].iloc[-1].tolist() == [90, 0, 90]
    to_batch(wanted, model, tmp_path / "b")
    queue.fate = "in_progress"
    assert submit(tmp_path / "b", model)["status"].tolist() == ["validating"]
    assert collect(tmp_path / "b", model)[["stored", "status"]].to_numpy().tolist() == [[0, "in_progress"]]
    again = ChatModel("m", base_url=queue.url, store=tmp_path / "s")  # the next day
    submit(tmp_path / "b", again)
    assert len(queue.batches) == 1  # not handed in twice
    queue.fate = "completed"
    assert collect(tmp_path / "b", again)[["stored", "missing", "status"]].to_numpy().tolist() == [[90, 0, "completed"]]
    told = plan(people, ballot, model, seed=4, prices=(1.0, 2.0)).iloc[-1]
    assert told[["stored", "to_send", "cost"]].tolist() == [90, 0, 0]
    answers = ask(people, ballot, again, seed=4, progress=False)  # every reply from the store: the server knows no such address
    assert len(answers) == 90 and again.usage["sent"] == 0
    assert "secret-key-123" not in "".join(p.read_text() for p in (tmp_path / "b").iterdir())


@pytest.mark.parametrize("fate", ["expired", "cancelled", "failed"])
def test_half_a_batch_is_kept(tmp_path, queue, fate):
    model = ChatModel("m", base_url=queue.url, store=tmp_path / "s")
    to_batch(prompts(10), model, tmp_path / "b")
    submit(tmp_path / "b", model)
    queue.fate = fate
    told = collect(tmp_path / "b", model).iloc[0]
    assert told[["stored", "failed", "missing", "status", "reason"]].tolist() == [5, 5, 0, fate, "too late"]
    (rest,) = to_batch(prompts(10), model, tmp_path / "rest")
    assert len(lines(rest)) == 5
    assert collect(tmp_path / "b", model).iloc[0]["stored"] == 5  # fetched once, told again


def test_an_interrupted_submission_goes_on(tmp_path, queue, monkeypatch):
    model = ChatModel("m", base_url=queue.url, store=tmp_path / "s")
    monkeypatch.setattr(batch, "MOST_REQUESTS", 2)
    to_batch(prompts(6), model, tmp_path / "b")
    keep, calls = batch._keep, []

    def dying(folder, state):
        keep(folder, state)
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(batch, "_keep", dying)
    with pytest.raises(KeyboardInterrupt):
        submit(tmp_path / "b", model)
    monkeypatch.setattr(batch, "_keep", keep)
    submit(tmp_path / "b", model)
    assert len(queue.batches) == 3 and len([f for f in queue.files if f.startswith("file-")]) == 3
    assert collect(tmp_path / "b", model)["stored"].tolist() == [2, 2, 2]


def test_a_changed_file_or_state_is_refused(tmp_path, queue):
    model = ChatModel("m", base_url=queue.url, store=False)
    (path,) = to_batch(prompts(2), model, tmp_path / "b")
    submit(tmp_path / "b", model)
    path.write_text(path.read_text() + "\n")
    with pytest.raises(ValueError, match="has changed since"):
        submit(tmp_path / "b", model)
    (tmp_path / "b" / "state.json").write_text("{")
    with pytest.raises(ValueError, match=re.escape("state.json cannot be read")):
        collect(tmp_path / "b", model)


def test_a_plan_of_two_steps_and_its_measure(tmp_path):
    people, ballot = us_adults().sample(n=20, seed=1), presidential_election()
    model = ChatModel("m", base_url="http://a/v1", store=tmp_path / "s")
    told = plan(people, ballot, model, mode="reason", prices=(1.0, 10.0)).set_index("step")
    assert told["to_send"].to_dict() == {"reasoning": 60, "answer": 60, "total": 120} and set(told["basis"]) == {"estimate"}
    total = told.loc["total"]
    assert total["completion_tokens"] == 60 * 200 + told.loc["answer", "completion_tokens"]
    assert total["cost"] == pytest.approx((total["prompt_tokens"] + 10 * total["completion_tokens"]) / 1e6)
    assert plan(people, ballot, model)["cost"].isna().all()
    (path,) = to_batch(requests(people.head(10), ballot, model), model, tmp_path / "b")
    (tmp_path / "b" / "part-0001.output.jsonl").write_text("\n".join(answer(x) for x in lines(path)))
    from_batch(tmp_path / "b", model)
    told = plan(people, ballot, model).iloc[-1]
    assert told[["requests", "stored", "to_send", "completion_tokens", "basis"]].tolist() == [60, 30, 30, 30, "stored replies"]
    assert told["prompt_tokens"] == pytest.approx(30 * 90, rel=0.05)


def test_why_a_batch_was_given_up_and_the_way_out(tmp_path, queue):
    model = ChatModel("m", base_url=queue.url, store=tmp_path / "s")
    to_batch(prompts(4), model, tmp_path / "b")
    submit(tmp_path / "b", model)
    queue.fate = "invalid"
    words = r"part-0001: the batch is failed \(Enqueued token limit reached\); 4 of its requests have no reply\. submit hands"
    with pytest.warns(UserWarning, match=words):
        told = collect(tmp_path / "b", model).iloc[0]
    assert told[["status", "stored", "reason"]].tolist() == ["failed", 0, "Enqueued token limit reached"]
    model.store.put([])
    queue.fate = "completed"
    status = submit(tmp_path / "b", model)
    assert status["part"].tolist() == ["part-0001", "part-0002"] and status["again"].tolist()[0] == "part-0002" and len(queue.batches) == 2
    assert submit(tmp_path / "b", model)["batch"].nunique() == 2 == len(queue.batches)         # once
    assert collect(tmp_path / "b", model)["stored"].tolist() == [4, 4]


def test_what_expired_is_handed_in_again_and_only_that(tmp_path, queue):
    model = ChatModel("m", base_url=queue.url, store=tmp_path / "s")
    to_batch(prompts(10), model, tmp_path / "b")
    submit(tmp_path / "b", model)
    queue.fate = "expired"
    assert "too late" in collect(tmp_path / "b", model)["reason"][0]
    queue.fate = "completed"
    submit(tmp_path / "b", model)
    assert len(lines(tmp_path / "b" / "part-0002.jsonl")) == 5
    assert collect(tmp_path / "b", model)["stored"].tolist() == [10, 5] and model.complete(prompts(10))["stored"].all()


def test_a_part_that_cannot_be_read_keeps_none_from_being_stored(tmp_path, queue, monkeypatch):
    monkeypatch.setattr(batch, "MOST_REQUESTS", 2)
    model = ChatModel("m", base_url=queue.url, store=tmp_path / "s")
    to_batch(prompts(6), model, tmp_path / "b")
    submit(tmp_path / "b", model)
    (tmp_path / "b" / "part-0001.requests.jsonl").write_text("{")
    with pytest.raises(ValueError, match=r"part-0001.* cannot be read.*2 of 3 parts are stored\. Write what is missing anew with to_batch"):
        collect(tmp_path / "b", model)
    assert len(model.store) == 4


def test_a_part_that_cannot_be_fetched_keeps_none_from_being_stored(tmp_path, queue, monkeypatch):
    monkeypatch.setattr(batch, "MOST_REQUESTS", 2)
    model = ChatModel("m", base_url=queue.url, store=tmp_path / "s")
    to_batch(prompts(6), model, tmp_path / "b")
    submit(tmp_path / "b", model)
    state = json.loads((tmp_path / "b" / "state.json").read_text())
    (tmp_path / "b" / "state.json").write_text(json.dumps(state | {"part-0001": state["part-0001"] | {"batch": "batch_9"}}))
    queue.batches["batch_9"] = "out"                                    # its file is gone
    queue.files["out"] = b""
    real = batch._answer

    def answer_(model, method, *arguments, **more):
        if arguments == ("batch_9",):
            raise ChatError("HTTP 500: out of luck")
        return real(model, method, *arguments, **more)

    monkeypatch.setattr(batch, "_answer", answer_)
    with pytest.raises(ChatError, match="part-0001: HTTP 500: out of luck; what could be fetched is stored"):
        collect(tmp_path / "b", model)
    assert len(model.store) == 4


@pytest.mark.parametrize("function", [submit, collect])
def test_a_batch_whose_name_never_came_is_found_again(tmp_path, queue, function):
    model = ChatModel("m", base_url=queue.url, store=tmp_path / "s")
    to_batch(prompts(4), model, tmp_path / "b")
    queue.deaf = True                                                   # it makes the batch and hangs up
    with pytest.raises(ChatError):
        submit(tmp_path / "b", model)
    assert json.loads((tmp_path / "b" / "state.json").read_text())["part-0001"]["asked_for"] and len(queue.batches) == 1
    function(tmp_path / "b", ChatModel("m", base_url=queue.url, store=tmp_path / "s"))
    assert len(queue.batches) == 1 and collect(tmp_path / "b", model)["stored"].tolist() == [4]


def test_an_endpoint_that_lists_nothing_is_asked_by_the_user(tmp_path, queue):
    model = ChatModel("m", base_url=queue.url, store=tmp_path / "s")
    to_batch(prompts(4), model, tmp_path / "b")
    queue.deaf, queue.lists = True, False
    with pytest.raises(ChatError):
        submit(tmp_path / "b", model)
    words = r'not known whether part-0001 was handed in before.* remove "asked_for" of part-0001 from .*state\.json'
    with pytest.raises(ChatError, match=words):
        submit(tmp_path / "b", model)
    assert len(queue.batches) == 1


def test_two_who_hand_in_at_once_hand_in_once(tmp_path, queue):
    model = ChatModel("m", base_url=queue.url, store=tmp_path / "s")
    to_batch(prompts(4), model, tmp_path / "b")
    code = f"""
import sys
from persona_kit.batch import submit
from persona_kit.chat import ChatError, ChatModel
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
try:
    submit({str(tmp_path / "b")!r}, ChatModel("m", base_url={queue.url!r}, store=False))
except ChatError as e:
    print(e)
"""
    crowd = [subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [p.stdout.readline() for p in crowd] == ["ready\n"] * 3
    for p in crowd:
        p.stdin.write("\n")
        p.stdin.flush()
    said = [p.communicate(timeout=60)[0] for p in crowd]
    assert len(queue.batches) == 1 and all(not s or "works on" in s for s in said), said
    assert not list((tmp_path / "b").glob("lock*"))


def test_a_lock_is_worth_what_its_process_is(tmp_path, queue):
    model = ChatModel("m", base_url=queue.url, store=tmp_path / "s")
    to_batch(prompts(4), model, tmp_path / "b")
    lock = tmp_path / "b" / "lock"
    with batch._locked(tmp_path / "b"), pytest.raises(ChatError, match=rf"another process \({os.getpid()} .* works on .*remove .*lock"):
        submit(tmp_path / "b", model)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    lock.write_text(lock_text := f"{gone.pid} {batch.socket.gethostname()}")
    assert submit(tmp_path / "b", model)["status"].tolist() == ["validating"] and not lock.exists()
    lock.write_text(lock_text.split()[0] + " another-machine")
    with pytest.raises(ChatError, match="another-machine"):
        collect(tmp_path / "b", model)


def test_a_batch_says_what_was_left_out(tmp_path):
    model = ChatModel("m", base_url="http://a/v1", store=tmp_path / "s")
    model._unsupported.add("seed")
    (path,) = to_batch(prompts(2), model, tmp_path / "b")
    assert all("seed" not in line["body"] for line in lines(path))
    (tmp_path / "b" / "part-0001.output.jsonl").write_text("\n".join(answer(x) for x in lines(path)))
    from_batch(tmp_path / "b", model)
    assert model.store.to_frame()["dropped"].tolist() == ["seed"] * 2
