"""A local chat endpoint that misbehaves on purpose.

`Server().url("mode")` gives a fresh address whose requests are answered in that mode; `Server().seen(url)` lists what it was sent there.
"""

import json
import socket
import struct
import threading
import time
from collections import defaultdict
from email.utils import formatdate
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


def always(status, data, **how):
    return lambda h, b, n: h.reply(status, data, **how)


def reset_in_body(handler, body, n):
    handler.reply(200, chat("cut off"), missing=1)
    reset(handler, body, n)


def drip(handler, body, n):
    "A byte every 50 ms: no wait is long, the whole is."
    handler.reply(200, "", missing=10_000)
    for _ in range(40):
        handler.wfile.write(b" ")
        time.sleep(0.05)


def counted(usage):
    "A good reply with a strange account of its tokens."
    return lambda h, b, n: h.reply(200, chat(h.prompt(b)) | {"usage": usage})


def choosing(**choice):
    "A good reply, but for a field of its choice."
    return lambda h, b, n: h.reply(200, {"choices": [chat(h.prompt(b))["choices"][0] | choice]})


def saying(text):
    return lambda h, b, n: h.reply(200, chat(text))


def later(handler, body, n):
    "The first to come is the last to be answered."
    time.sleep(max(0.0, 0.5 - 0.05 * handler.total))
    handler.reply(200, chat(handler.prompt(body)))


def echo(status):
    "Say back all that came: address, key, password."

    def answer(handler, body, n):
        told = f"{handler.path} {dict(handler.headers)}"
        if status == 200:
            return handler.reply(200, told, kind="text/html")
        return handler.reply(status, problem(f"you sent {told}", "content_filter" if status == 400 else None))

    return answer


def far(handler, body, n):
    "The key stands where a text is likely to be cut."
    words = [handler.headers["authorization"], "x" * 19]
    handler.reply(500, problem(" ".join(words[(i % 3) > 0] + str(i) for i in range(40))))


def moved(status, where):
    return lambda h, b, n: h.reply(status, "", more={"location": "https://sso.example.org/login?ticket=1" if where else h.path})


NO_NUMBERS = '{"choices": [{"message": {"content": "A"}, "logprobs": {"content": [{"token": "A", "logprob": -0.1, "top_logprobs": %s}]}}]}'

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


def interviewee(handler, body, n):
    "Answers in the form asked for; which answer is a matter of the messages alone. Questions about poison are never answered."
    text, whole = handler.prompt(body), json.dumps(body["messages"])
    if "poison" in text:
        return handler.reply(500, problem("out of luck"))
    turn = sum(whole.encode()) % 2
    said = str(3 + turn) if "number only" in text else "A, B"[: 1 + 3 * turn] if "letters only" in text else "Well, it depends." if "own words" in text else "AB"[turn]
    time.sleep(0.02)
    return handler.reply(200, chat(said))


MODES = {
    "interviewee": interviewee,
    "letter": letter,
    "slow_letter": slow_letter,
    "poison_letter": poison_letter,
    "better": lambda h, b, n: h.reply(200, chat("The whole answer." if n else "The who", "stop" if n else "length")),
    "wavering": lambda h, b, n: h.reply(200, chat("A" if h.total > 5 else "As an AI, I cannot vote.")),
    "busy_always": always(429, problem("slow down")),
    "busy_seconds": once(always(429, problem("slow down"), retry_after="7")),
    "busy_date": once(lambda h, b, n: h.reply(429, problem("slow down"), retry_after=formatdate(time.time() + 20, usegmt=True))),
    "busy_odd": once(always(429, problem("slow down"), retry_after="nan")),
    "full_once": once(always(503, problem("overloaded"), retry_after="3")),
    "gateway_once": once(always(502, "<html>bad gateway</html>", kind="text/html")),
    "gateway": always(502, "<html>bad gateway</html>", kind="text/html"),
    "reset": reset,
    "reset_in_body": reset_in_body,
    "reset_in_body_once": once(reset_in_body),
    "hang": hang,
    "drip": drip,
    "bad_json": always(200, '{"choices": [nonsense]}'),
    "cut": always(200, '{"choices":', missing=20),
    "deep": always(200, "[" * 100_000),
    "long_number": lambda h, b, n: h.reply(200, json.dumps(chat("A"))[:-1] + ', "x": ' + "1" * 5000 + "}"),
    "plain": lambda h, b, n: h.reply(200, chat(h.prompt(b)), kind="text/plain; charset=utf-8"),
    "plain_bad": always(200, "upstream is asleep", kind="text/plain"),
    "nothing": always(200, ""),
    "nothing_plain": always(200, "", kind="text/plain"),
    "list": always(200, [1, 2]),
    "no_dict": always(200, {"choices": {"0": 1}}),
    "latin": always(200, b'{"choices": [{"message": {"content": "caf\xe9"}}]}'),
    "utf16": lambda h, b, n: h.reply(200, json.dumps(chat(h.prompt(b))).encode("utf-16")),
    "bom": lambda h, b, n: h.reply(200, b"\xef\xbb\xbf" + json.dumps(chat(h.prompt(b))).encode()),
    "surrogate": saying("left \ud83d right \udc00 joined \ud83d\ude00"),
    "nul": saying("a\x00b"),
    "content_number": choosing(message={"role": "assistant", "content": 5}),
    "content_list": choosing(message={"content": ["x", {"type": "text", "text": None}, {"type": "text", "text": 5}]}),
    "finish_number": choosing(finish_reason=7),
    "finish_list": choosing(finish_reason=["stop"]),
    "refusal_number": choosing(message={"content": "A", "refusal": 5}),
    "no_message": choosing(message=None),
    "logprobs_odd": choosing(logprobs={"content": [{"token": "A"}]}),
    "logprobs_text": choosing(logprobs="none"),
    "logprobs_infinite": always(
        200, NO_NUMBERS % '[{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": -Infinity}, {"token": "C", "logprob": NaN}]'
    ),
    "usage_none": counted(None),
    "usage_list": counted([7, 3]),
    "usage_absent": counted({}),
    "usage_words": counted({"prompt_tokens": "many", "completion_tokens": "3"}),
    "usage_negative": counted({"prompt_tokens": -5, "completion_tokens": 3}),
    "usage_fraction": counted({"prompt_tokens": 7.6, "completion_tokens": 3.0}),
    "usage_huge": counted({"prompt_tokens": 10**30, "completion_tokens": 3}),
    "usage_infinite": counted({"prompt_tokens": float("inf"), "completion_tokens": float("nan")}),
    "forbidden": always(403, problem("this key may not use the model")),
    "no_such_path": always(404, "<html>nothing here</html>", kind="text/html"),
    "wrong_method": always(405, problem("not allowed")),
    "policy": always(400, problem("flagged", "content_policy_violation")),
    "unprocessable": always(422, problem("temperature must be below 2")),
    "moved_302": moved(302, True),
    "moved_307": moved(307, True),
    "moved_round": moved(307, False),
    "later": later,
    "vote": saying("A"),
    "echo_far": far,
    "echo_400": echo(400),
    "echo_401": echo(401),
    "echo_500": echo(500),
    "echo_200": echo(200),
    "only_model_and_messages": lambda h, b, n: next(
        (h.reply(400, problem(f"Unrecognized request argument supplied: {k}")) for k in b if k not in ("model", "messages")),
        None) or (set(b) <= {"model", "messages"} and h.reply(200, chat(h.prompt(b)))),
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

    def reply(self, status, data, *, kind="application/json", missing=0, retry_after=None, more=None):
        raw = data if isinstance(data, bytes) else (data if isinstance(data, str) else json.dumps(data)).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(raw) + missing))
        if retry_after:
            self.send_header("retry-after", retry_after)
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)
        self.close_connection = self.close_connection or bool(missing)

    def do_GET(self):
        _, mode, number, *_ = self.path.split("/")
        with self.server.lock:
            self.server.log[f"{mode}/{number}"].append((time.monotonic(), None))
        MODES[mode if mode.startswith("echo_") else "html"](self, None, 0)

    def do_POST(self):
        _, mode, number, *_ = self.path.split("/")
        raw = self.rfile.read(int(self.headers["content-length"]))
        if "/chat/completions" not in self.path:  # files and batches: it has none
            return MODES[mode if mode.startswith("echo_") else "html"](self, None, 0)
        body = json.loads(raw)
        with self.server.lock:
            log = self.server.log[f"{mode}/{number}"]
            n = sum(b is not None and self.prompt(b) == self.prompt(body) for _, b in log)
            log.append((time.monotonic(), body))
            self.total = len(log)
            self.server.last_path = self.path
        return MODES[mode](self, body, n)


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
