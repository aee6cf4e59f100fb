"""Speed of the parts, as ratios measured in one run: each part beside the plain way to do the same thing (`make bench`, some minutes)."""
import argparse
import asyncio
import contextlib
import json
import multiprocessing
import random
import re
import socket
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from itertools import accumulate, chain
from pathlib import Path

import numpy as np
import openai
import pandas as pd
from aiohttp import web
from scipy.stats import wasserstein_distance

from persona_kit.alignment import alignment
from persona_kit.calibration import entropy_balance
from persona_kit.census import _parent, _tables, add_attributes, impossible
from persona_kit.chat import ChatModel, Request, _body, _embedded_urls, _resolve
from persona_kit.election_correction import calibration_table
from persona_kit.generation import generate
from persona_kit.population import _us_cells, rake, us_adults
from persona_kit.simulation import ask, requests
from persona_kit.surveys import Item, Survey, presidential_election
from persona_kit.tables import STATES, data_path
from persona_kit.text import diversity, marked_words, near_duplicates

PEOPLE, RECORDS, ROUNDS = 10_000, 20_000, 5
PROCESSES = multiprocessing.get_context("spawn")
NARRATIVES, LENGTH = 100_000, 80
MILLION, TEN = 1_000_000, ["state", "sex", "age_group", "race_ethnicity", "education", "marital_status", "citizenship", "employment_status",
                           "health_insurance", "disability"]


def seconds(work, times=2):
    "The fastest of some runs: what else the machine was doing only ever adds."
    def once():
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    return min(once() for _ in range(times))


def spent(work):
    "Seconds of wall time, and of this process."
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def sample_by_row(population):
    "Draw people one at a time, with the fast draw of the standard library."
    cells, draw, people = population.frame.to_dict("records"), random.Random(1), []
    cumulated, places = list(accumulate(c["weight"] for c in cells)), range(len(cells))
    for i in range(PEOPLE):
        person = dict(cells[draw.choices(places, cum_weights=cumulated)[0]])
        low, _, high = person["age_group"].rstrip("+").partition("-")
        people.append(person | {"persona_id": str(i), "age": draw.randint(int(low), int(high or 94))})
    return pd.DataFrame(people)


def attributes_by_row(people):
    "The attributes of the census one person and one attribute at a time, from the same tables."
    meta, tables, maps = _tables()
    cells, draw, out = _us_cells(2018), random.Random(1), []
    core = ("state", "sex", "age_group", "race_ethnicity", "education")
    places = {name: {v: i for i, v in enumerate(cells[name].cat.categories)} for name in core}
    for person in people[list(places)].astype(str).to_dict("records"):
        codes = {name: np.array([places[name][value]]) for name, value in person.items()}
        for name, about in meta.items():
            cell = 0
            for parent, size in zip(about["parents"], about["sizes"], strict=True):
                cell = cell * size + int(_parent(parent, codes, maps)[0])
            edges = [*(min(float(e), 1.0) for e in tables[name][codes["state"][0], cell]), 1.0]
            codes[name] = np.array(draw.choices(range(len(edges)), cum_weights=edges)) if edges[-1] else np.array([-1])
        out.append({name: int(code[0]) for name, code in codes.items()})
    return pd.DataFrame(out)


def rake_by_row(frame, margins, tol=1e-9):
    "Iterative proportional fitting with dicts and loops; stops where `rake` stops."
    columns, weight = {name: frame[name].tolist() for name in margins}, frame["weight"].tolist()
    def sums(name):
        out = dict.fromkeys(margins[name].index, 0.0)
        for category, w in zip(columns[name], weight, strict=True):
            out[category] += w
        return out
    while True:
        for name, target in margins.items():
            factor = {c: target[c] / s for c, s in sums(name).items()}
            weight = [w * factor[c] for c, w in zip(columns[name], weight, strict=True)]
        if all(abs(s - t[c]) <= tol * t.sum() for name, t in margins.items() for c, s in sums(name).items()):
            return weight


def serve(port, delay):
    "A chat endpoint that answers A, at once or after a while."
    choice = {"index": 0, "message": {"role": "assistant", "content": "A"}, "finish_reason": "stop"}
    async def answer(request):
        await request.read()
        await asyncio.sleep(delay)
        return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 90, "completion_tokens": 1}})
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


@contextlib.contextmanager
def endpoint(delay):
    "The address of such an endpoint in a process of its own."
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = PROCESSES.Process(target=serve, args=(port, delay), daemon=True)
    server.start()
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            break
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/v1"
    server.terminate()


async def ask_by_hand(urls, bodies, in_flight):
    "The same requests through the same client, and nothing kept: what no framework can beat by much."
    left = iter(bodies)
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(openai.AsyncOpenAI(
            base_url=url, api_key="none", http_client=openai.DefaultAioHttpClient(trust_env=False), max_retries=0)) for url in urls]
        async def worker(client):
            for body in left:
                await client.post("/chat/completions", body=body, cast_to=object)
        await asyncio.gather(*(worker(clients[i % len(clients)]) for i in range(in_flight)))


def local():
    "Sampling and raking."
    people = us_adults()
    margins = {c: people.margins(c).set_index(c)["weight"].rename(index=str) for c in ("state", "education", "race_ethnicity", "sex")}
    frame = people.sample(RECORDS, seed=1).astype(dict.fromkeys(margins, "str"))
    np.testing.assert_allclose(rake(frame, margins), rake_by_row(frame, margins), rtol=1e-6)
    fast, plain = seconds(lambda: people.sample(PEOPLE, seed=1)), seconds(lambda: sample_by_row(people))
    yield f"draw {PEOPLE:,} people", fast, "a loop over people", plain
    fast, plain = seconds(lambda: rake(frame, margins)), seconds(lambda: rake_by_row(frame, margins))
    yield f"rake {RECORDS:,} records to 4 margins", fast, "loops and dicts", plain
    few = people.sample(PEOPLE // 10, seed=1)
    fast, plain = seconds(lambda: add_attributes(few, seed=1)), seconds(lambda: attributes_by_row(few), times=1)
    yield f"21 attributes of {len(few):,} people", fast, "a loop over people", plain
    million = people.sample(MILLION, attributes="all", seed=1)
    assert impossible(million)["people"].iloc[-1] == 0
    fast = seconds(lambda: people.sample(MILLION, attributes="all", seed=1), times=1)
    yield f"draw {MILLION:,} people with 21 attributes", fast, "a loop (1,000 measured)", plain * MILLION / len(few)
    sizes = {c: million.groupby(c, observed=True)["weight"].sum() for c in TEN}
    targets = {c: (s * np.linspace(0.8, 1.2, len(s))) for c, s in sizes.items()}
    targets = {c: s / s.sum() * MILLION for c, s in targets.items()}
    fast, plain = seconds(lambda: rake(million, targets), times=1), seconds(lambda: rake_by_row(million.head(RECORDS), {
        c: s / s.sum() * RECORDS for c, s in targets.items() if c != "state"}), times=1)
    yield f"rake {MILLION:,} people to 10 margins", fast, f"loops ({RECORDS:,} measured)", plain * MILLION / RECORDS


def throughput(folder):
    "Render, draw orders, key, store, send, parse and frame, beside sending alone; in turns, since the machine has other things to do."
    personas, survey = us_adults().sample(1_000, seed=1), presidential_election()
    for delay, in_flight in ((0, 16), (0.05, 64)):
        with endpoint(delay) as url:
            def whole(store, url=url, in_flight=in_flight):
                with ChatModel("mock", base_url=url, concurrency=in_flight, store=store) as model:
                    assert ask(personas, survey, model, progress=False)["status"].eq("ok").all()
            done = f"{folder}/{in_flight}.sqlite"
            whole(done)
            lines = ChatModel("mock", store=done).store.export(f"{done}.jsonl").read_text().splitlines()
            bodies = [_body(json.loads(line)["request"], set()) for line in lines]
            turns = []
            for i in range(ROUNDS):
                by_hand = spent(partial(asyncio.run, ask_by_hand([url], bodies, in_flight)))
                turns.append((*by_hand, *spent(partial(whole, f"{done}{i}"))))
            bare, bare_cpu, ours, ours_cpu = (min(times) for times in zip(*turns, strict=True))
            n = len(bodies)
            yield {"part": f"ask, {delay * 1000:.0f} ms, {in_flight} in flight", "answers/s": n / ours, "bare loop/s": n / bare,
                   "ratio": bare / ours, "ratios": " ".join(f"{a / b:.2f}" for a, _, b, _ in turns), "CPU ratio": bare_cpu / ours_cpu}


def largest_memory():
    "Megabytes; not `getrusage`, whose figure a process inherits from the one that started it."
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def at_length(url, people, folder, pipe):
    "One population asked three questions, answers into a folder, and from the store; in a process of its own, whose largest memory is told"
    personas, survey = us_adults().sample(people, seed=1), presidential_election()
    before = largest_memory()
    model = ChatModel("mock", base_url=url, concurrency=16, store=f"{folder}/replies.sqlite")
    first = seconds(lambda: ask(personas, survey, model, out=f"{folder}/answers", progress=False), 1)
    sizes = [sum(p.stat().st_size for p in Path(folder).glob(pattern)) for pattern in ("replies.sqlite*", "answers/*")]
    largest = largest_memory()
    model.close()
    again = seconds(lambda: ask(personas, survey, model, out=f"{folder}/again", progress=False), 1)
    stored = seconds(lambda: ask(personas, survey, model, progress=False), 5)
    pipe.send((first, again, stored, before, largest, *sizes))


def scale(folder, full):
    "The same rate, memory and disk per answer, whatever the number of personas."
    with endpoint(0) as url:
        for people in (1_000, 10_000, 100_000) if full else (1_000, 10_000):
            here, there = PROCESSES.Pipe()
            place = Path(folder, str(people))
            place.mkdir()
            process = PROCESSES.Process(target=at_length, args=(url, people, str(place), there))
            process.start()
            first, again, stored, before, largest, store, parts = here.recv()
            process.join()
            n = 3 * people
            yield {"part": f"{people:,} personas x 3 items, a folder", "answers/s": n / first, "from the store/s": n / stored,
                   "from the store into a folder/s": n / again, "MB before": before,
                   "MB at most": largest, "store bytes/answer": store / n, "Parquet bytes/answer": parts / n}


def prefixes():
    "Twenty life stories, six questions each, on the embedded model: one persona after the other, and shuffled."
    writer = ChatModel("embedded", temperature=0.7, store=data_path("recorded/election_forecast.jsonl.xz"), max_requests=1)
    stories = generate(us_adults().sample(per_state=10, seed=1).head(20), "descriptive", writer, seed=1)
    assert stories["status"].eq("ok").sum() > 10 and writer.usage["sent"] == 0
    more = [Item(of, f"How much do you trust {of}?", ["not at all", "a little", "a lot"]) for of in ("courts", "papers", "scientists")]
    survey, model = presidential_election() + Survey(more), ChatModel("embedded", store=False)
    model.complete([Request("Hello", max_tokens=1)])
    asked = requests(stories, survey, model, seed=1)
    bodies = [_body(_resolve(r, model.id, model.defaults), set(), embedded=True) for r in asked]
    random.Random(1).shuffle(bodies)
    shuffled = seconds(lambda: asyncio.run(ask_by_hand(_embedded_urls(), bodies, model.concurrency)), 1)
    ours = seconds(lambda: ask(stories, survey, model, seed=1, progress=False), 1)
    yield {"part": f"{len(asked)} questions to 20 personas, persona by persona", "answers/s": len(asked) / ours,
           "shuffled/s": len(asked) / shuffled, "ratio": shuffled / ours}


def counted_by_text(texts, groups):
    "Words of two groups counted one text at a time: what any comparison of words has to do at least."
    counts = {g: Counter() for g in set(groups)}
    for text, group in zip(texts, groups, strict=True):
        counts[group].update(re.findall(r"[^\W\d_]+", text.lower()))
    return counts


def written():
    "Measures of narratives, beside a mere count of their words."
    rng = np.random.default_rng(1)
    words = np.array(["".join(w) for w in np.array(list("abcdefghij"))[rng.integers(0, 10, (20_000, 6))]])
    often = 1 / np.arange(1, len(words) + 1)
    texts = [" ".join(row) for row in words[rng.choice(len(words), (NARRATIVES, LENGTH), p=often / often.sum())]]
    people = pd.DataFrame({"persona_id": range(NARRATIVES), "text": texts, "group": rng.choice(["a", "b"], NARRATIVES)})
    plain = seconds(lambda: counted_by_text(texts, people["group"]), times=1)
    for name, measure in (("marked words", lambda: marked_words(people, "group")), ("diversity", lambda: diversity(people, "group")),
                          ("near-duplicates", lambda: near_duplicates(people))):
        yield f"{name} of {NARRATIVES:,} narratives of {LENGTH} words", seconds(measure, times=1), "a count of the words", plain


def survey_answers(items=500, per_state=20, options=5):
    "Answers of people from 51 states to many items, human shares by state, and the items."
    rng, states = np.random.default_rng(1), np.repeat(list(STATES), per_state)
    labels, n = np.array([f"option {i}" for i in range(options)]), len(states)
    names = np.array([f"item {i}" for i in range(items)])
    survey = pd.DataFrame({"item_id": names, "options": [list(labels)] * items, "values": [list(range(options))] * items})
    answers = pd.DataFrame({"persona_id": np.tile(np.arange(n), items), "state": np.tile(states, items), "item_id": np.repeat(names, n),
                            "option": labels[rng.integers(0, options, n * items)], "status": "ok"})
    human = pd.DataFrame({"item_id": np.repeat(names, 51 * options), "state": np.tile(np.repeat(list(STATES), options), items),
                          "option": np.tile(labels, 51 * items), "share": rng.dirichlet(np.ones(options), 51 * items).ravel(), "n": 100})
    return answers, human, survey


def align_by_group(answers, human, survey, n_boot=1000):
    "Alignment with a bootstrap interval one item, state and replicate at a time."
    options, out = survey["options"][0], []
    for key, group in answers.groupby(["item_id", "state"]):
        mine = human[(human["item_id"] == key[0]) & (human["state"] == key[1])]["share"].to_numpy()
        place, rng, scores = group["option"].map(options.index).to_numpy(), np.random.default_rng(1), []
        for _ in range(n_boot):
            share = np.bincount(rng.choice(place, len(place)), minlength=len(options)) / len(place)
            scores.append(1 - wasserstein_distance(range(len(options)), range(len(options)), share, mine) / (len(options) - 1))
        out.append(np.quantile(scores, [0.025, 0.975]))
    return out


def measuring():
    "Alignment of 500 items in 51 states with 1,000 bootstrap replicates, by item and over all items."
    answers, human, survey = survey_answers()
    few = answers[(answers["item_id"] == "item 0") & answers["state"].isin(list(STATES)[:10])]
    plain = seconds(lambda: align_by_group(few, human, survey), times=1) * 500 * 51 / 10
    for level in ("item", "overall"):
        fast = seconds(lambda level=level: alignment(answers, human, by="state", items=survey, level=level, ci=0.95))
        yield f"alignment, 500 items x 51 states x 1,000 ({level})", fast, "loops (10 measured)", plain


def ballots(per_state=100, tiers=4):
    "Votes at random of people in 51 states, in three elections and several tiers."
    rng, states = np.random.default_rng(1), np.repeat(list(STATES), per_state)
    ids = [f"{s}-{i % per_state:03d}" for i, s in enumerate(states)]
    parts = [pd.DataFrame({"persona_id": ids, "state": states, "weight": 1.0, "status": "ok", "item_id": item.item_id,
                           "option": rng.choice(item.options, len(states)), "tier": f"tier {tier}"})
             for item in presidential_election() for tier in range(tiers)]
    return pd.concat(parts, ignore_index=True)


def calibrating():
    "A million people to twenty margins, by raking and by entropy balancing; every correction of three elections in 51 states."
    rng = np.random.default_rng(1)
    common, sizes = rng.normal(size=MILLION), [51, 2, 10, 8, 7, *[3, 4, 5, 6, 7] * 3]
    place = lambda k: np.clip((0.3 * common + rng.normal(size=MILLION)) * k / 4 + k / 2, 0, k - 1).astype(int)
    column = lambda k: pd.Categorical.from_codes(place(k), [f"category {j}" for j in range(k)])
    frame = pd.DataFrame({f"margin {i}": column(k) for i, k in enumerate(sizes)})
    targets = {c: frame[c].value_counts() * rng.uniform(0.7, 1.4, frame[c].nunique()) for c in frame}
    targets = {c: t / t.sum() for c, t in targets.items()}
    frame = frame.assign(weight=1.0)
    np.testing.assert_allclose(entropy_balance(frame, targets, tol=1e-12), rake(frame, targets, tol=1e-12), rtol=1e-6)
    few = {c: t * RECORDS for c, t in targets.items() if c != "margin 0"}
    plain = seconds(lambda: rake_by_row(frame.head(RECORDS), few, 1e-6), times=1)
    for name, work in (("rake", rake), ("entropy balancing,", entropy_balance)):
        yield (f"{name} {MILLION:,} people to 20 margins", seconds(lambda work=work: work(frame, targets)), f"loops ({RECORDS:,} measured)",
               plain * MILLION / RECORDS)
    answers = ballots()
    people = us_adults().sample(per_state=100, seed=1)
    people["persona_id"] = people["state"].astype(str) + "-" + people.groupby("state", observed=True).cumcount().astype(str).str.zfill(3)
    with_mrp = {"personas": people, "population": us_adults(), "electorate": "voters"}
    yield ("a table of methods, 51 states x 3 years x 4 tiers x 500", seconds(lambda: calibration_table(answers, **with_mrp), times=1),
           "without post-stratification and MRP", seconds(lambda: calibration_table(answers), times=1))


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("what", nargs="*", choices=["parts", "texts", "measures", "calibration", "engine"], help="everything, unless named")
    words.add_argument("--full", action="store_true", help="100,000 personas as well (some minutes and 0.5 GB of disk)")
    given = words.parse_args()
    pd.set_option("display.width", 200, "display.max_columns", 20)
    tables = (("parts", local), ("texts", written), ("measures", measuring), ("calibration", calibrating))
    for measured in (part() for name, part in tables if name in (given.what or [name])):
        table = pd.DataFrame(measured, columns=["part", "seconds", "beside", "its seconds"])
        print(table.assign(ratio=table["its seconds"] / table["seconds"]).to_string(index=False, float_format="{:.3g}".format), flush=True)
    if "engine" in (given.what or ["engine"]):
        with tempfile.TemporaryDirectory() as work_folder:
            measured = []
            for row in chain(throughput(work_folder), scale(work_folder, given.full), prefixes()):
                figures = (f"{k} {v:,.4g}" for k, v in row.items() if isinstance(v, float))
                print(row["part"], *figures, sep="; ", file=sys.stderr, flush=True)
                measured.append(row)
        print(pd.DataFrame(measured).to_string(index=False, na_rep="", float_format="{:,.4g}".format))
