"""Record the replies behind the committed notebooks: `python scripts/record.py [N] [--part K/OF]`, or `make record`.

Asks the embedded model for N personas per state (default: as many as the notebook shows) in every tier and for every year,
keeps the replies in `persona_kit_store/recorded.sqlite`, and exports them to `data/recorded/election_forecast.jsonl.xz`.
It begins with what is recorded already, can be stopped and started at any time, and asks for the first person of every state
before the second. With `--part 1/2` and `--part 2/2` two processes share the work; run it once more without `--part` to export.
"""
import argparse
import os

from persona_kit.chat import ChatModel, ReplyStore
from persona_kit.generation import generate
from persona_kit.population import us_adults
from persona_kit.runs import parameters
from persona_kit.simulation import ask
from persona_kit.surveys import presidential_election
from persona_kit.tables import STATES, data_path

defaults = parameters("election_forecast").set_index("name")["default"]
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("n", type=int, nargs="?", default=int(defaults["n_per_state"]), help="personas per state")
parser.add_argument("--part", default="1/1", help="such as 1/2: every second state, from the first")
args = parser.parse_args()
part, of = map(int, args.part.split("/"))
seed, survey = int(defaults["seed"]), presidential_election()

store = ReplyStore("persona_kit_store/recorded.sqlite")
recording = data_path() / "recorded" / "election_forecast.jsonl.xz"
if recording.exists():
    store.load(recording)
used: set[str] = set()


class Recorder(ChatModel):
    "Remembers which replies were used: the others (of earlier prompts, say) are not exported."

    def complete(self, requests, *, progress=None):
        replies = super().complete(requests, progress=False)
        used.update(replies["request_key"])
        return replies


writer = Recorder("embedded", store=store, concurrency=1, temperature=float(defaults["generator_temperature"]))
voter = Recorder("embedded", store=store, concurrency=1, temperature=float(defaults["temperature"]))
for n in range(1, args.n + 1):
    for state in list(STATES)[part - 1::of]:
        meta = us_adults().sample(per_state=n, states=[state], seed=seed).tail(1)
        objective = generate(meta, "objective_tabular", writer, seed=seed)
        subjective = generate(objective, "subjective_tabular", writer, seed=seed)
        for personas in (meta, objective, subjective, generate(meta, "descriptive", writer, seed=seed)):
            ask(personas, survey, voter, seed=seed)
    print(f"{n} of {args.n} personas per state, {len(used)} replies", flush=True)
store.close()
if of == 1:
    kept = ReplyStore(":memory:")
    rows = store.get(sorted(used))
    kept.put(rows[key] for key in sorted(rows))
    recording.parent.mkdir(exist_ok=True)
    print("wrote", os.path.relpath(kept.export(recording)))
