"""A study that may be killed at any moment: `python fault_child.py URL` reads lines of JSON and forks a child for each.

A line is `[store, first, last, table]`: the child asks those personas and writes its answers to `table` (null: nowhere).
The line is answered with the child's process id; so a child starts in milliseconds, and is a process of its own for signals.
"""

import json
import os
import sys

import aiohttp  # noqa: F401 - imported once, before the forks
import openai  # noqa: F401

from persona_kit.chat import ChatModel
from persona_kit.population import us_adults
from persona_kit.simulation import ask
from persona_kit.surveys import presidential_election
from persona_kit.tables import write

CONCURRENCY = 8
PEOPLE, BALLOT = us_adults().sample(n=670, seed=1), presidential_election()

if __name__ == "__main__":
    os.environ["PERSONA_KIT_PROGRESS"] = "0"
    ask(PEOPLE.head(0), BALLOT, ChatModel("m", base_url=sys.argv[1], store=False))       # all that is imported late
    print("ready", flush=True)
    for line in sys.stdin:
        store, first, last, table = json.loads(line)
        child = os.fork()
        if child == 0:
            model = ChatModel("m", base_url=sys.argv[1], store=store, concurrency=CONCURRENCY, retries=0)
            answers = ask(PEOPLE.iloc[first:last], BALLOT, model, seed=3)
            if table:
                write(answers, table, "answers")
            os._exit(0)
        print(child, flush=True)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, flush=True)
