"""Record the replies behind the how-to on quotas: `python scripts/record_quotas.py`.

Runs the notebook as it stands on a store of its own (`--store`, by default `persona_kit_store/quotas.sqlite`), so that it can be stopped
and started at any time. The replies that `election_forecast` does not ship go to `data/recorded/quotas.jsonl.xz`.
"""
import argparse
from pathlib import Path

from persona_kit.chat import ReplyStore
from persona_kit.runs import run
from persona_kit.tables import data_path

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--store", default="persona_kit_store/quotas.sqlite", help="file of replies")
store = str(Path(parser.parse_args().store).resolve())
print(run(data_path().parent / "nbs" / "howto" / "quotas.ipynb", {"store": store}, out="runs"), flush=True)
shipped = data_path() / "recorded"
elections = ReplyStore(":memory:")
elections.load(shipped / "election_forecast.jsonl.xz")
asked = ReplyStore(store)
rows = asked.get(sorted(set(asked.to_frame()["request_key"]) - set(elections.to_frame()["request_key"])))
kept = ReplyStore(":memory:")
kept.put(rows[key] for key in sorted(rows))
print("wrote", kept.export(shipped / "quotas.jsonl.xz"), len(kept), "replies")
