"""Record the replies behind the survey experiments: `python scripts/record_surveys.py [--part K/OF]`.

Asks the embedded model whatever the notebooks need as they stand, and the grid whose table `multiverse` shows, on a store of its own
(`--store`, by default `persona_kit_store/surveys.sqlite`), so that it can be stopped and started at any time. Requests that begin alike
are asked one after the other, for the model keeps the beginning that it has read. With `--part 1/2`
and `--part 2/2` two processes share the work; run it once more without `--part`. That writes the replies which `election_forecast` does
not ship to `data/recorded/surveys.jsonl.xz`, runs the grid, and writes its table to `data/recorded/multiverse.csv`.
"""
import argparse
from ast import literal_eval
from dataclasses import replace
from itertools import product
from pathlib import Path

from persona_kit import ChatModel, generate, load_benchmark, render, topic_survey, us_adults
from persona_kit.chat import ReplyStore
from persona_kit.grids import grid
from persona_kit.personas import tier_attributes
from persona_kit.runs import parameters
from persona_kit.simulation import requests
from persona_kit.tables import STATES, data_path

EXPERIMENTS = ("multiverse", "robustness", "cross_simulation", "opinion_survey", "prompt_formats", "topic_surveys")
CELLS = {"tier": ["meta", "descriptive"], "format": ["list", "interview"], "mode": ["choice", "probability"], "shuffle": [True, False]}
COLUMNS = ["cell", *CELLS, "status", "alignment", "low", "high", "low_joint", "high_joint", "n", "n_items", "valid"]


def defaults(name):
    "What a notebook's parameters are as it stands."
    return {k: literal_eval(v) for k, v in parameters(name).set_index("name")["default"].items()}


def chosen(items):
    "The survey on public spending, or some of it."
    survey = load_benchmark("gss_2018_spending")[0]
    return survey if items is None else type(survey)([item for item in survey if item.item_id in items])


class Kept(ChatModel):
    "Remembers which replies were used: no others are exported."
    used: set[str] = set()

    def complete(self, requests, **how):
        return self._noted(super().complete(requests, **how))

    async def acomplete(self, requests, **how):
        return self._noted(await super().acomplete(requests, **how))

    def _noted(self, replies):
        self.used.update(replies["request_key"])
        return replies


class Recorder:
    "Collects what the experiments ask, for the people of one part."

    def __init__(self, store, part=1, of=1):
        self.model, self.part, self.of, self.found = Kept("embedded", concurrency=1, store=store), part, of, []

    def people(self, p):
        states = [s for s in STATES if p["states"] is None or s in p["states"]][self.part - 1::self.of]
        return us_adults().sample(per_state=p["n_per_state"], states=states, seed=p["seed"])

    def written(self, people, tier, heat, seed):
        "Write a tier; what is stored is not written again."
        if tier == "meta":
            return people.assign(text=render(people))
        writer = Kept("embedded", concurrency=1, store=self.model.store, temperature=heat)
        below = self.written(people, "objective_tabular", heat, seed) if tier == "subjective_tabular" else people
        return generate(below, tier, writer, seed=seed, progress=False)

    def want(self, people, survey, heat, seed, **how):
        people = people[people["status"].eq("ok")]
        self.found += [replace(r, temperature=heat) for r in requests(people, survey, self.model, seed=seed, **how)]

    def opinion_survey(self, p):
        for tier in p["tiers"]:
            people = self.written(self.people(p), tier, p["generator_temperature"], p["seed"])
            self.want(people, chosen(p["items"]), p["temperature"], p["seed"], mode=p["mode"])

    def topic_surveys(self, p):
        for tier in p["tiers"]:
            people = self.written(self.people(p), tier, p["generator_temperature"], p["seed"])
            self.want(people, topic_survey(p["topics"]), p["temperature"], p["seed"], mode=p["mode"])

    def cross_simulation(self, p):
        heats = [[float(name.split("@")[1]) for name in p[role]] for role in ("generators", "simulators")]
        for writer, reader in product(*heats):
            self.want(self.written(self.people(p), p["tier"], writer, p["seed"]), chosen(p["items"]), reader, p["seed"], mode=p["mode"])

    def prompt_formats(self, p):
        population, n = us_adults().where(race_ethnicity=p["groups"]), p["n_per_group"] * len(p["groups"])
        people = population.sample(n=n, stratify="race_ethnicity", allocation="equal", seed=p["seed"]).iloc[self.part - 1::self.of]
        survey = load_benchmark("cces_2016_vote", by="race")[0]
        for form, subset in product(p["formats"], p["subsets"]):
            names = [a.name for a in tier_attributes("meta")] if subset == "all" else subset.split("+")
            self.want(people.assign(text=render(people, form, attributes=names)), survey, p["temperature"], p["seed"], mode=p["mode"])

    def robustness(self, p):
        people, survey = self.written(self.people(p), p["tier"], p["generator_temperature"], p["seed"]), chosen(p["items"])
        for heat in p["temperatures"]:
            self.want(people, survey, heat, p["seed"], draws=p["draws"])
        for k in p["wordings"]:
            self.want(people, survey, p["temperatures"][-1], p["seed"], wording=k)

    def multiverse(self, p):
        for tier, form in product(CELLS["tier"], CELLS["format"]):
            people = self.written(self.people(p), tier, p["generator_temperature"], p["seed"])
            people = people[people["status"].eq("ok")]
            people = people.assign(text=render(people, form))
            for mode, shuffle in product(CELLS["mode"], CELLS["shuffle"]):
                self.want(people, chosen(p["items"]), p["temperature"], p["seed"], mode=mode, shuffle=shuffle)

    def ask(self, block=200):
        "Ask for what was collected, in an order in which each request begins like the one before."
        todo = sorted(self.found, key=lambda r: ([m["content"] for m in r.messages], r.top_logprobs or 0))
        for start in range(0, len(todo), block):
            self.model.complete(todo[start:start + block], progress=False)
            print(f"{min(start + block, len(todo))} of {len(todo)} requests, {self.model.usage['sent']} sent", flush=True)
        self.found = []


def load_recorded(store):
    for recording in sorted((data_path() / "recorded").glob("*.jsonl.xz")):
        store.load(recording)


def export(store):
    "Ship what was used and `election_forecast` does not ship."
    elections, asked, kept = ReplyStore(":memory:"), ReplyStore(store), ReplyStore(":memory:")
    elections.load(data_path() / "recorded" / "election_forecast.jsonl.xz")
    rows = asked.get(sorted(Kept.used - set(elections.to_frame()["request_key"])))
    kept.put(rows[key] for key in sorted(rows))
    print("wrote", kept.export(data_path() / "recorded" / "surveys.jsonl.xz").name, len(kept), "replies", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", default="persona_kit_store/surveys.sqlite", help="file of replies")
    parser.add_argument("--part", default="1/1", help="such as 1/2: every second state")
    args = parser.parse_args()
    store, (part, of) = str(Path(args.store).resolve()), map(int, args.part.split("/"))
    recorder = Recorder(store, part, of)
    load_recorded(recorder.model.store)
    for name in EXPERIMENTS:
        getattr(recorder, name)(defaults(name))
    recorder.ask()
    if of > 1:
        return
    export(store)
    table = grid("multiverse", {**CELLS, "store": store}, out="runs/grid-multiverse-recorded")
    if not table["status"].eq("ok").all():
        raise SystemExit(f"cells failed: {table.attrs['path']}")
    table[COLUMNS].round(4).to_csv(data_path() / "recorded" / "multiverse.csv", index=False)


if __name__ == "__main__":
    main()
