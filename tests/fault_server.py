"""A well-behaved chat endpoint in a process of its own, which counts what it is asked.

`python fault_server.py SECONDS` prints its port and answers after that many seconds; the same body always gets the same reply.
GET /counts says how often each body came. It ends when its standard input does.
"""

import asyncio
import hashlib
import json
import sys
from collections import Counter

from aiohttp import web


async def main(seconds):
    counts, replied = Counter(), Counter()

    async def answer(request):
        body = await request.read()
        key = hashlib.sha256(body).hexdigest()
        counts[key] += 1
        await asyncio.sleep(seconds)
        message = {"role": "assistant", "content": "AB"[int(key, 16) % 2]}
        replied[key] += 1
        usage = {"prompt_tokens": len(body), "completion_tokens": 1}
        return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage})

    async def tell(_):
        return web.json_response({"asked": counts, "replied": replied})

    async def total(_):
        return web.json_response(counts.total())

    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", answer), web.get("/counts", tell), web.get("/total", total)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(json.dumps(runner.addresses[0][1]), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
