"""Speed of the parts, as ratios measured in one run: each part beside the plain way to do the same thing (`make bench`, about a minute)."""
import asyncio
import json
import multiprocessing
import random
import socket
import tempfile
import time
from itertools import accumulate
from pathlib import Path

import numpy as np
import openai
import pandas as pd
from aiohttp import web
from scipy.stats import wasserstein_distance

from persona_kit.alignment import alignment
from persona_kit.census import _parent, _tables, add_attributes, impossible
from persona_kit.chat import ChatModel
from persona_kit.population import _us_cells, rake, us_adults
from persona_kit.simulation import ask
from persona_kit.surveys import presidential_election
from persona_kit.tables import STATES

PEOPLE, RECORDS, REQUESTS, IN_FLIGHT = 10_000, 20_000, 1_500, 16
MILLION, TEN = 1_000_000, ["state", "sex", "age_group", "race_ethnicity", "education", "marital_status", "citizenship", "employment_status",
                           "health_insurance", "disability"]


def seconds(work, times=2):
    "The fastest of some runs: what else the machine was doing only ever adds."
    def once():
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    return min(once() for _ in range(times))


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


def serve(port):
    "A chat endpoint that answers A at once."
    choice = {"index": 0, "message": {"role": "assistant", "content": "A"}, "finish_reason": "stop"}
    async def answer(request):
        await request.read()
        return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 90, "completion_tokens": 1}})
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


async def ask_by_hand(url, bodies):
    "The same requests over the same transport, and nothing kept: what no framework can beat."
    http, left = openai.DefaultAioHttpClient(trust_env=False), iter(bodies)
    async with openai.AsyncOpenAI(base_url=url, api_key="none", http_client=http, max_retries=0) as client:
        async def worker():
            for body in left:
                await client.post("/chat/completions", body=body, cast_to=object)
        await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))


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


def remote(url, folder):
    "Asking: prompts, order of options, keys, store, transport, parsing; then again, from the store."
    personas, survey = us_adults().sample(REQUESTS // 3, seed=1), presidential_election()
    stores = iter(f"{folder}/{i}.sqlite" for i in range(9))
    def whole(store):
        return ask(personas, survey, ChatModel("mock", base_url=url, concurrency=IN_FLIGHT, store=store), progress=False)
    done = f"{folder}/done.sqlite"
    assert whole(done)["status"].eq("ok").all()
    lines = ChatModel("mock", store=done).store.export(f"{folder}/done.jsonl").read_text().splitlines()
    bodies = [{k: v for k, v in json.loads(line)["request"].items() if v is not None and k != "draw"} for line in lines]
    bare, first = seconds(lambda: asyncio.run(ask_by_hand(url, bodies))), seconds(lambda: whole(next(stores)))
    yield f"ask {REQUESTS:,} questions, server without delay", first, "bare requests", bare
    yield "ask them again, from the store", seconds(lambda: whole(done)), "the first time", first


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


if __name__ == "__main__":
    with socket.socket() as free, tempfile.TemporaryDirectory() as work_folder:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()[1]
        free.close()
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(address,), daemon=True)
        server.start()
        measured = [*local(), *remote(f"http://127.0.0.1:{address}/v1", Path(work_folder)), *measuring()]
        server.terminate()
    table = pd.DataFrame(measured, columns=["part", "seconds", "beside", "its seconds"])
    print(table.assign(ratio=table["its seconds"] / table["seconds"]).to_string(index=False, float_format="{:.3g}".format))
