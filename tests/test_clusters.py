"""Clusters: shards, their stores and their share of the limits; a real Ray of two workers beside one process, also when one is killed."""

import dataclasses
import hashlib
import json
import os
import pickle
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from persona_kit import clusters
from persona_kit.chat import ChatError, ChatModel
from persona_kit.clusters import ask_ray, ask_shard, merge_stores, shard_numbers
from persona_kit.population import us_adults
from persona_kit.simulation import ask
from persona_kit.surveys import Item, Survey, presidential_election
from persona_kit.tables import TableError, read

SCALE = Item("scale", "How much?", ["little", "some", "much", "all"], values=[1, 2, 3, 4], refusals=["Refused"])
SURVEY = Survey([*presidential_election(2016), SCALE])
KEY = "secret-key-4711"


class Oracle(BaseHTTPRequestHandler):
    "Answers by a hash of the request: the same wherever and whenever it is asked."

    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

    def log_message(self, *_):
        pass

    def do_POST(self):
        box, raw = self.server, self.rfile.read(int(self.headers["content-length"]))
        body, digest = json.loads(raw), hashlib.sha256(raw).digest()
        with box.lock:
            box.seen.append((time.monotonic(), raw, self.headers["authorization"]))
        time.sleep(box.delay)
        texts = ("A", "B", "C", "I'd rather not say", "As an AI model I cannot vote", "???")
        message, finish = {"role": "assistant", "content": texts[digest[0] % 6]}, "length" if digest[1] < 20 else "stop"
        choice = {"message": message, "finish_reason": finish}
        if body.get("logprobs"):
            top = [{"token": t, "logprob": -1.0 - digest[i] / 100} for i, t in enumerate("ABC")]
            choice["logprobs"] = {"content": [{"token": "A", "logprob": -1.0, "top_logprobs": top}]}
        problem = box.broken and digest[2] < 60
        data = json.dumps({"error": {"message": "no"}} if problem else {
            "choices": [choice], "usage": {"prompt_tokens": 50 + digest[3], "completion_tokens": 1 + digest[4] % 3}}).encode()
        self.send_response(400 if problem else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Box(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 128

    def handle_error(self, *_):
        pass  # a worker that is killed hangs up


@pytest.fixture
def oracle():
    box = Box(("127.0.0.1", 0), Oracle)
    box.lock, box.seen, box.delay, box.broken = threading.Lock(), [], 0.0, False
    threading.Thread(target=box.serve_forever, daemon=True).start()
    box.url = f"http://127.0.0.1:{box.server_port}/v1"
    yield box
    box.shutdown()
    box.server_close()


@pytest.fixture(scope="module")
def cluster():
    "A Ray of two workers, for all tests of this file."
    pytest.importorskip("ray", reason="Ray is not installed (pip install 'persona_kit[ray]')")
    before = os.environ.get("PERSONA_KIT_API_KEY")
    os.environ["PERSONA_KIT_API_KEY"] = KEY  # of the machines of the cluster
    with clusters._cluster(2) as ray:
        yield ray
    if before is None:
        del os.environ["PERSONA_KIT_API_KEY"]
    else:
        os.environ["PERSONA_KIT_API_KEY"] = before


@pytest.fixture(scope="module")
def people():
    some = us_adults().sample(n=60, seed=3)
    told = pd.Series(["ok"] * 55 + ["contradiction"] * 5)
    return some.assign(status=told.to_numpy(), generator=[None, "writer"] * 30)


def model(box, **settings):
    return ChatModel("oracle", base_url=box.url, store=False, **settings)


def test_a_shard_is_a_matter_of_the_person_alone(people):
    numbers = shard_numbers(people, 7)
    assert set(numbers) == set(range(7))
    some = people.sample(n=20, random_state=1)
    assert (shard_numbers(some, 7) == pd.Series(numbers, people["persona_id"])[some["persona_id"]].to_numpy()).all()
    counts = np.bincount(shard_numbers(us_adults().sample(n=4000, seed=1), 8), minlength=8)
    assert counts.min() > 400 and counts.max() < 600
    with pytest.raises(ValueError, match="at least 1"):
        shard_numbers(people, 0)


@pytest.mark.parametrize("total", [0, 1, 7, 100, 10**9])
def test_shares_sum_to_the_limit(total):
    sizes = np.array([3, 0, 10, 1, 6])
    shares = clusters._shares(total, sizes)
    assert sum(shares) == total and all(isinstance(s, int) and s >= 0 for s in shares) and shares[1] == 0
    assert np.allclose(clusters._shares(float(total), sizes), total * sizes / 20)
    assert clusters._shares(None, sizes) == [None] * 5


def test_settings_make_the_same_model():
    import inspect

    given = {"base_url": "http://a/v1", "temperature": 0.5, "top_p": 0.9, "max_tokens": 7, "seed": 3, "concurrency": 5,
             "requests_per_minute": 70.0, "tokens_per_minute": 900.0, "prices": (1.0, 2.0), "max_cost": 3.0, "max_requests": 9,
             "timeout": 11.0, "retries": 2}
    told = clusters._settings(ChatModel("m", store=False, **given))
    assert {k: v if k != "requests_per_minute" else round(v, 9) for k, v in told.items()} == {"name": "m", **given}
    every = set(inspect.signature(ChatModel.__init__).parameters) - {"self", "api_key", "store"}
    assert set(told) == every  # a new setting must travel too
    assert clusters._settings(ChatModel("embedded", store=False))["name"] == "embedded"


def test_shards_by_hand_are_the_whole(tmp_path, people, oracle):
    whole = ask(people, SURVEY, model(oracle), seed=2, progress=False)
    sent = len(oracle.seen)
    parts = [ask_shard(people, SURVEY, model(oracle), tmp_path, i, shards=5, seed=2, progress=False) for i in range(5)]
    assert len(oracle.seen) == 2 * sent
    place = {p: i for i, p in enumerate(people["persona_id"])}
    together = pd.concat(parts).sort_values("persona_id", key=lambda c: c.map(place), kind="stable").reset_index(drop=True)
    pd.testing.assert_frame_equal(together, whole, check_dtype=False)
    ask_shard(people, SURVEY, model(oracle), tmp_path, 2, shards=5, seed=2, progress=False)
    assert len(oracle.seen) == 2 * sent  # from the store of the shard
    store = ChatModel("oracle", base_url="http://127.0.0.1:9/v1", store=tmp_path / "all.sqlite")
    assert merge_stores(tmp_path, store.store) == sent and merge_stores(tmp_path, store.store) == 0
    pd.testing.assert_frame_equal(ask(people, SURVEY, store, seed=2, progress=False), whole)


DESIGNS = [{"context": "sequential", "draws": 2}, {"mode": "open", "codings": 3},
           {"mode": "distribution", "pick": "mode", "template": "bare"}, {"wording": 1}]


@pytest.mark.parametrize("how", DESIGNS)
def test_every_design_travels(tmp_path, people, oracle, how):
    news = Item("news", "Which?", ["this", "that"], kind="multiple", paraphrases=["Which one?"])
    hours = Item("hours", "How many?", kind="number", ask_if={"scale": ["little", "some"]})
    single = "mode" in how or "wording" in how
    survey = Survey([dataclasses.replace(SCALE, paraphrases=["How many?"])] if single else [SCALE, news, hours])
    (tmp_path / "mine.txt").write_text("[system]\n$persona!\n[user]\n$question\n$options\n$task\n")
    how = how | ({"template": tmp_path / "mine.txt"} if "context" in how else {})
    some = people.iloc[:20]
    whole = ask(some, survey, model(oracle), seed=2, progress=False, **how)
    numbers = shard_numbers(some, 3)
    study = clusters._study(model(oracle), survey, how | {"seed": 2}, tmp_path / "a", 2)
    (tmp_path / "mine.txt").unlink()  # its words travel, not the file
    worker, parts = clusters._Worker(pickle.loads(pickle.dumps(study))), {}
    for row in clusters._rows(some, numbers, study, model(oracle), sorted(set(numbers.tolist()))):
        told = worker.ask(row.to_pylist()[0])
        assert told["problem"] is None
        parts[told["shard"]] = clusters._unpacked(told["answers"])
    pd.testing.assert_frame_equal(clusters._frame(some, numbers, parts, model(oracle), study), whole)
    with pytest.raises(ValueError, match="a second model, coder=, is not sent to other machines"):
        ask_shard(some, SCALE, model(oracle), tmp_path / "b", 0, shards=2, mode="open", coder=model(oracle))


def test_what_is_wrong_is_said_first(tmp_path, people, oracle, monkeypatch):
    with pytest.raises(ValueError, match="between 0 and 4"):
        ask_shard(people, SURVEY, model(oracle), tmp_path, 5, shards=5)
    ask_shard(people, SURVEY, model(oracle), tmp_path, 0, shards=5, progress=False)
    with pytest.raises(ValueError, match="split into 5 shards, not 6"):
        ask_shard(people, SURVEY, model(oracle), tmp_path, 0, shards=6)
    monkeypatch.setattr(clusters, "_cluster", lambda _: pytest.fail("Ray was started"))
    for wrong, words in (({"mode": "chat"}, "unknown mode"), ({"draws": 0}, "draws")):
        with pytest.raises(ValueError, match=words):
            ask_ray(people, SURVEY, model(oracle), tmp_path, **wrong)
    with pytest.raises(TableError, match="weight"):
        ask_ray(people.drop(columns="weight"), SURVEY, model(oracle), tmp_path)
    with pytest.raises(ValueError, match="PERSONA_KIT_API_KEY"):
        ask_ray(people, SURVEY, model(oracle, api_key=KEY), tmp_path)
    for url in ("http://me:pass1234@host/v1", "http://host/v1?key=pass1234"):
        with pytest.raises(ValueError, match="is not sent") as e:
            ask_ray(people, SURVEY, ChatModel("m", base_url=url, store=False), tmp_path)
        assert "pass1234" not in str(e.value)
    assert ask_ray(people.head(0), SURVEY, model(oracle), tmp_path).empty
    with pytest.raises(FileNotFoundError, match="no shard"):
        merge_stores(tmp_path / "nowhere", model(oracle).store)


def test_a_shard_over_which_workers_die_is_given_up(tmp_path):
    store = tmp_path / "shard-00001.sqlite"
    (tmp_path / "shard-00001.attempts").write_bytes(b"." * 9)
    with clusters._counted(store):
        pass
    (tmp_path / "shard-00001.attempts").write_bytes(b"." * 10)
    with pytest.raises(ChatError, match="10 workers died"), clusters._counted(store):
        pytest.fail("asked once more")
    assert not (tmp_path / "shard-00001.attempts").exists()  # a new call may try again


def test_limits_of_a_shard_count_what_its_store_has_paid(tmp_path, people, oracle):
    most = sum(clusters._shares(40, np.bincount(shard_numbers(people, 3)))[:1])
    for _ in range(2):
        with pytest.raises(ChatError, match="max_requests"):
            ask_shard(people, SURVEY, model(oracle, max_requests=40), tmp_path, 0, shards=3, progress=False)
        assert len(oracle.seen) == most
    prices, fee = (10.0, 20.0), clusters._shares(0.05, np.bincount(shard_numbers(people, 3)))[1]
    for _ in range(2):
        with pytest.raises(ChatError, match="max_cost"):
            ask_shard(people, SURVEY, model(oracle, prices=prices, max_cost=0.05), tmp_path, 1, shards=3, progress=False)
    store = ChatModel("oracle", store=tmp_path / "shard-00001.sqlite").store.to_frame()
    assert 0 < (store["prompt_tokens"] * 10 + store["completion_tokens"] * 20).sum() / 1e6 <= fee


@pytest.mark.parametrize("how", [{"mode": "probability", "draws": 2, "seed": 5}, {"mode": "reason", "shuffle": False}])
def test_ray_gives_the_table_of_one_process(tmp_path, people, oracle, cluster, how, capfd, monkeypatch):
    from ray import cloudpickle
    from ray.data._internal.usage import collector

    given, handed_out, told = [], clusters._handed_out, []
    monkeypatch.setattr(collector, "query_prometheus_counter", told.append)  # Ray Data measures itself for its makers unless told not to

    def noted(ray, rows, study):
        given.append((rows := list(rows), study))
        return handed_out(ray, iter(rows), study)

    monkeypatch.setattr(clusters, "_handed_out", noted)
    oracle.broken = True  # some requests fail, and their rows say so
    whole = ask(people, SURVEY, model(oracle), progress=False, **how)
    sent = len(oracle.seen)
    used = model(oracle)
    spread = ask_ray(people, SURVEY, used, tmp_path / "s", workers=2, shards=6, progress=False, **how)
    pd.testing.assert_frame_equal(spread, whole)
    assert {"ok", "error", "contradiction"} <= set(whole["status"])
    assert len(oracle.seen) == 2 * sent == 2 * used.usage["sent"]
    assert {a for _, _, a in oracle.seen[sent:]} == {f"Bearer {KEY}"}  # which the workers had from their own environment
    assert len(given) == 1 and KEY.encode() not in cloudpickle.dumps((given, clusters._Worker))
    assert told == []
    assert capfd.readouterr() == ("", "")


def test_columns_that_are_empty_or_absent_keep_their_types(tmp_path, oracle, cluster):
    some = us_adults().sample(n=8, seed=1)
    kinds = [some[["persona_id", "weight", "tier"]].assign(text="You are old.", generator=np.nan),
             some.assign(generator=pd.Series(["a"] * 4 + [None] * 4, dtype="category", index=some.index))]
    for i, given in enumerate(kinds):
        shuffled = given.sample(frac=1, random_state=i)
        pd.testing.assert_frame_equal(ask_ray(shuffled, SURVEY, model(oracle), tmp_path / "s", workers=2, shards=5, progress=False),
                                      ask(shuffled, SURVEY, model(oracle), progress=False))


def test_what_the_models_store_has_is_not_asked_again(tmp_path, people, oracle, cluster):
    own = ChatModel("oracle", base_url=oracle.url, store=tmp_path / "own.sqlite")
    ask(people.head(20), SURVEY, own, progress=False)
    before = len(oracle.seen)
    again = ask_ray(people, SURVEY, own, tmp_path / "s", workers=2, progress=False)
    assert len({raw for _, raw, _ in oracle.seen}) == len(oracle.seen) == 55 * len(SURVEY) and before == 20 * len(SURVEY)
    files = ask_ray(people, SURVEY, own, tmp_path / "s", workers=2, out=tmp_path / "out", progress=False)  # from the stores of the shards
    assert len(oracle.seen) == 55 * len(SURVEY)
    place = {p: i for i, p in enumerate(people["persona_id"])}
    read = pd.read_parquet(files).sort_values("persona_id", key=lambda c: c.map(place), kind="stable").reset_index(drop=True)
    same = ["persona_id", "item_id", "option", "status", "raw", "request_key", "weight"]
    pd.testing.assert_frame_equal(read[same], again[same], check_dtype=False)


def workers_of_ray():
    "Processes that ask, among the descendants of this one."
    parents, found = {}, []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if b"ray::MapWorker" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue

    def mine(pid):
        while pid in parents:
            pid = parents[pid]
            if pid == os.getpid():
                return True
        return False

    return [pid for pid in found if mine(pid)]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the worker's process in /proc")
def test_a_killed_worker_costs_nothing(tmp_path, people, oracle, cluster):
    whole = ask(people, SURVEY, model(oracle), progress=False)
    oracle.seen.clear()
    oracle.delay, killed = 0.15, []

    def kill():
        while len(oracle.seen) < 12:
            time.sleep(0.01)
        killed.append(workers_of_ray()[0])
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    spread = ask_ray(people, SURVEY, model(oracle, concurrency=2), tmp_path / "s", workers=2, shards=4, progress=False)
    killer.join()
    pd.testing.assert_frame_equal(spread, whole)
    asked = [raw for _, raw, _ in oracle.seen]
    assert killed and len(set(asked)) == 55 * len(SURVEY)
    assert len(asked) - len(set(asked)) <= 2  # those under way when it was killed
    assert not list((tmp_path / "s").glob("*.attempts"))


def test_limits_are_shared(tmp_path, people, oracle, cluster):
    with pytest.raises(ChatError, match=r"of 6 shards are not finished.*max_requests") as e:
        ask_ray(people, SURVEY, model(oracle, max_requests=50), tmp_path / "s", workers=2, shards=6, progress=False)
    assert len(oracle.seen) == 50 and KEY not in str(e.value)
    with pytest.raises(ChatError, match="max_requests"):  # a limit of the study, not of a call
        ask_ray(people, SURVEY, model(oracle, max_requests=50), tmp_path / "s", workers=2, progress=False)
    assert len(oracle.seen) == 50
    done = ask_ray(people, SURVEY, model(oracle, max_requests=120), tmp_path / "s", workers=2, progress=False)
    assert len(oracle.seen) == 55 * len(SURVEY) == done["request_key"].notna().sum()


def test_rates_are_divided_among_workers(tmp_path, people, oracle, cluster):
    per_minute, some = 1200, people.head(15)
    ask_ray(some, SURVEY, model(oracle, requests_per_minute=per_minute), tmp_path / "s", workers=2, shards=4, progress=False)
    times = sorted(moment for moment, _, _ in oracle.seen)
    assert len(times) == 30 and times[-1] - times[0] > (30 - 2) * 60 / per_minute * 0.95  # however the shards fell to the two
    study = clusters._study(model(oracle, requests_per_minute=per_minute, tokens_per_minute=900), SURVEY, {}, tmp_path, 3)
    assert [pacer.seconds for pacer in clusters._pace(study)] == pytest.approx([3 * 60 / 1200, 3 * 60 / 900])


def test_an_endpoint_that_cannot_be_used_ends_it(tmp_path, people, cluster):
    closed = ChatModel("oracle", base_url="http://127.0.0.1:9/v1", store=False, retries=0)
    with pytest.raises(ChatError, match=r"12 of 12 shards are not finished; shard \d+: .*cannot connect"):
        ask_ray(people, SURVEY, closed, tmp_path / "s", workers=2, shards=12, progress=False)


def test_a_folder_of_answers_belongs_to_one_call(tmp_path, people, oracle, cluster):
    how = {"workers": 2, "shards": 5, "out": tmp_path / "a", "progress": False}
    folder = ask_ray(people, SURVEY, model(oracle), tmp_path / "s", **how)
    whole = ask(people, SURVEY, model(oracle), progress=False)
    told, sent = read(folder, "answers"), len(oracle.seen)
    assert len(told) == len(whole) and set(told["request_key"].dropna()) == set(whole["request_key"].dropna())
    done = {p.name: p.stat().st_mtime_ns for p in folder.glob("*.parquet")}
    ask_ray(people, SURVEY, model(oracle), tmp_path / "s", **how)
    assert {p.name: p.stat().st_mtime_ns for p in folder.glob("*.parquet")} == done and len(oracle.seen) == sent
    for change, words in ((dict(seed=9), "other seed"), (dict(draws=2), "other draws"), (dict(mode="probability"), "other mode")):
        with pytest.raises(ValueError, match=words):
            ask_ray(people, SURVEY, model(oracle), tmp_path / "s", **how, **change)
    others = ((people.assign(age=30), SURVEY, model(oracle), "other personas"), (people, SURVEY[:1], model(oracle), "other survey"),
              (people, SURVEY, model(oracle, temperature=0.1), "other settings"))
    for who, what, of, words in others:
        with pytest.raises(ValueError, match=words):
            ask_ray(who, what, of, tmp_path / "s", **how)
    with pytest.raises(ValueError, match="other shards"):
        ask_ray(people, SURVEY, model(oracle), tmp_path / "t", **how | {"shards": 4})
    assert len(oracle.seen) == sent


def test_shards_are_made_one_by_one(people, oracle, tmp_path):
    study = clusters._study(model(oracle), SURVEY, {}, tmp_path, 2)
    rows = clusters._rows(people, shard_numbers(people, 4), study, model(oracle), [0, 2])
    assert iter(rows) is rows and [t["shard"][0].as_py() for t in rows] == [0, 2]
