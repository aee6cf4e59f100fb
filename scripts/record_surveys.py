"""Record the replies behind the survey experiments: `python scripts/record_surveys.py`.

Runs each of them as its notebook stands, and the grid whose table `multiverse` shows, on a store of its own (`--store`, by default
`persona_kit_store/surveys.sqlite`), so that it can be stopped and started at any time. The replies that `election_forecast` does not
ship go to `data/recorded/surveys.jsonl.xz`, the table of the grid to `data/recorded/multiverse.csv`.
"""
import argparse
from pathlib import Path

from persona_kit.chat import ReplyStore
from persona_kit.grids import grid
from persona_kit.runs import run
from persona_kit.tables import data_path

EXPERIMENTS = ("opinion_survey", "topic_surveys", "prompt_formats", "cross_simulation", "robustness")
CELLS = {"tier": ["meta", "descriptive"], "format": ["list", "interview"], "mode": ["choice", "probability"]}
COLUMNS = ["cell", *CELLS, "status", "alignment", "low", "high", "n", "n_items", "valid"]

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--store", default="persona_kit_store/surveys.sqlite", help="file of replies")
args = parser.parse_args()
store = str(Path(args.store).resolve())
for name in EXPERIMENTS:
    print(run(name, {"store": store}, out="runs"), flush=True)
table = grid("multiverse", {**CELLS, "store": store}, out="runs/grid-multiverse-recorded", workers=1)
if not table["status"].eq("ok").all():
    raise SystemExit(f"cells failed: {table.attrs['path']}")

shipped = data_path() / "recorded"
elections = ReplyStore(":memory:")
elections.load(shipped / "election_forecast.jsonl.xz")
asked = ReplyStore(store)
rows = asked.get(sorted(set(asked.to_frame()["request_key"]) - set(elections.to_frame()["request_key"])))
kept = ReplyStore(":memory:")
kept.put(rows[key] for key in sorted(rows))
print("wrote", kept.export(shipped / "surveys.jsonl.xz"), len(kept), "replies")
table[COLUMNS].round(4).to_csv(shipped / "multiverse.csv", index=False)
