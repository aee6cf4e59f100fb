"""A local chat endpoint that misbehaves on purpose.

`Server().url("mode")` gives a fresh address whose requests are answered in that mode; `Server().seen(url)` lists what it was sent there.
"""

import json
import socket
import struct
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def chat(text="", finish="stop", **message):
    "A well-formed completion."
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish, "logprobs": None}
    return {"object": "chat.completion", "choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}


def problem(message, code=None, **more):
    return {"error": {"message": message, "code": code, **more}}


def rejecting(name):
    "Reject a setting as other servers do."

    def answer(handler, body, n):
        if name in body:
            return handler.reply(400, problem(f"Unsupported parameter: '{name}' is not supported with this model.", param=name))
        return handler.reply(200, chat(handler.prompt(body)))

    return answer


def once(fault):
    "Do wrong the first time that a prompt comes, right from then on."

    def answer(handler, body, n):
        return fault(handler, body, n) if n == 0 else handler.reply(200, chat(handler.prompt(body)))

    return answer


def slow(handler, body, n):
    time.sleep(0.05)
    handler.reply(200, chat(f"{handler.prompt(body)} #{time.monotonic_ns()}"))


def hang(handler, body, n):
    time.sleep(2)
    handler.close_connection = True


def reset(handler, body, n):
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def poison(handler, body, n):
    text = handler.prompt(body)
    return handler.reply(500, problem("out of luck")) if "poison" in text else handler.reply(200, chat(text))


def dying(handler, body, n):
    return slow(handler, body, n) if handler.total <= 10 else handler.reply(502, "<html>bad gateway</html>", kind="text/html")


def too_long(handler, body, n):
    if len(handler.prompt(body)) > 500:
        return handler.reply(400, problem("This model's maximum context length is 100 tokens", "context_length_exceeded"))
    return handler.reply(200, chat(handler.prompt(body)))


def denied(handler, body, n):
    handler.reply(401, problem(f"Incorrect API key provided: {handler.headers['authorization']}", "invalid_api_key"))


def leaking(handler, body, n):
    text = handler.prompt(body)
    if text == "first":
        return handler.reply(200, chat(text))
    return handler.reply(500, problem(f"failed with {handler.headers['authorization']}"))


def letter(handler, body, n):
    first = {"token": "A", "logprob": -0.1, "top_logprobs": [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": -3.0}]}
    reply = chat("A")
    reply["choices"][0]["logprobs"] = {"content": [first]} if body.get("logprobs") else None
    return handler.reply(200, reply)


def slow_letter(handler, body, n):
    time.sleep(0.05)
    letter(handler, body, n)


def poison_letter(handler, body, n):
    return handler.reply(500, problem("out of luck")) if "poison" in str(body) else letter(handler, body, n)


MODES = {
    "letter": letter,
    "slow_letter": slow_letter,
    "poison_letter": poison_letter,
    "better": lambda h, b, n: h.reply(200, chat("The whole answer." if n else "The who", "stop" if n else "length")),
    "wavering": lambda h, b, n: h.reply(200, chat("A" if h.total > 5 else "As an AI, I cannot vote.")),
    "ok": lambda h, b, n: h.reply(200, chat(h.prompt(b))),
    "slow": slow,
    "busy": once(lambda h, b, n: h.reply(429, problem("slow down"))),
    "busy_wait": once(lambda h, b, n: h.reply(429, problem("slow down"), retry_after="1")),
    "stumble": once(lambda h, b, n: h.reply(500, problem("oops"))),
    "broken": lambda h, b, n: h.reply(500, problem("broken")),
    "hang_once": once(hang),
    "reset_once": once(reset),
    "bad_json_once": once(lambda h, b, n: h.reply(200, '{"choices": [')),
    "cut_once": once(lambda h, b, n: h.reply(200, '{"choices":', missing=20)),
    "html_once": once(lambda h, b, n: h.reply(200, "<html>please log in</html>", kind="text/html")),
    "html": lambda h, b, n: h.reply(200, "<html>please log in</html>", kind="text/html"),
    "empty": lambda h, b, n: h.reply(200, {"choices": []}),
    "odd": lambda h, b, n: h.reply(200, {"choices": [{"message": None}]}),
    "no_usage": lambda h, b, n: h.reply(200, {"choices": [{"message": {"content": [{"type": "text", "text": "parts"}]}}]}),
    "null": lambda h, b, n: h.reply(200, chat(None)),
    "filtered": lambda h, b, n: h.reply(200, chat("", "content_filter")),
    "filtered_400": lambda h, b, n: h.reply(400, problem("The prompt was filtered", "content_filter")),
    "refusal": lambda h, b, n: h.reply(200, chat(None, refusal="I cannot do that.")),
    "length": lambda h, b, n: h.reply(200, chat("I think that", "length")),
    "bad_request": lambda h, b, n: h.reply(400, problem("messages: field required")),
    "not_found": lambda h, b, n: h.reply(404, problem("The model `x` does not exist", "model_not_found")),
    "no_money": lambda h, b, n: h.reply(429, problem("You exceeded your quota", "insufficient_quota")),
    "denied": denied,
    "leaking": leaking,
    "poison": poison,
    "dying": dying,
    "too_long": too_long,
    "no_seed": rejecting("seed"),
    "no_format": rejecting("response_format"),
    "no_logprobs": rejecting("top_logprobs"),
    "no_max_tokens": rejecting("max_tokens"),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def prompt(self, body):
        return body["messages"][-1]["content"]

    def reply(self, status, data, *, kind="application/json", missing=0, retry_after=None):
        raw = (data if isinstance(data, str) else json.dumps(data)).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(raw) + missing))
        if retry_after:
            self.send_header("retry-after", retry_after)
        self.end_headers()
        self.wfile.write(raw)
        self.close_connection = self.close_connection or bool(missing)

    def do_POST(self):
        _, mode, number, *_ = self.path.split("/")
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            log = self.server.log[f"{mode}/{number}"]
            n = sum(self.prompt(b) == self.prompt(body) for _, b in log)
            log.append((time.monotonic(), body))
            self.total = len(log)
        MODES[mode](self, body, n)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock, self.log, self.number = threading.Lock(), defaultdict(list), 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # clients that give up are part of the game

    def url(self, mode):
        assert mode in MODES
        self.number += 1
        return f"http://127.0.0.1:{self.server_port}/{mode}/{self.number}/v1"

    def _log(self, url):
        return self.log["/".join(url.split("/")[3:5])]

    def seen(self, url):
        return [body for _, body in self._log(url)]

    def times(self, url):
        return [moment for moment, _ in self._log(url)]
