"""Proxy in front of S3 that rejects or delays selected requests a given number of times."""

import contextlib
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "host", "expect"}


class Rule:
    """Fault for the next `times` requests whose line (`GET /bucket/key`) matches."""

    def __init__(self, pattern, times, status=None, delay_s=0.0):
        self.pattern, self.times, self.status, self.delay_s = re.compile(pattern), times, status, delay_s
        self.hits = 0


class Faults:
    def __init__(self, target):
        self.target = target
        self.rules = []
        self.open, self.last = 0, time.monotonic()
        self.lock = threading.Lock()
        faults = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self):
                with faults.request():
                    self.forward()

            def forward(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                rule = faults.rule(f"{self.command} {urllib.parse.unquote(self.path)}")
                if rule and rule.delay_s:
                    time.sleep(rule.delay_s)
                if rule and rule.status:
                    self.send(rule.status, {"Retry-After": "0"}, b"<Error><Code>SlowDown</Code></Error>")
                    return
                headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
                request = urllib.request.Request(faults.target + self.path, body or None, headers, method=self.command)
                try:
                    with urllib.request.urlopen(request, timeout=60) as found:
                        self.send(found.status, dict(found.headers), found.read(), found.headers.get("content-length"))
                except urllib.error.HTTPError as refused:
                    self.send(refused.code, dict(refused.headers), refused.read())

            def send(self, status, headers, body, length=None):
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in HOP_BY_HOP | {"date", "server"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @contextlib.contextmanager
    def request(self):
        with self.lock:
            self.open += 1
        try:
            yield
        finally:
            with self.lock:
                self.open, self.last = self.open - 1, time.monotonic()

    def is_quiet(self, seconds):
        """Returns true if no request is open and none has ended within the last `seconds`."""
        with self.lock:
            return self.open == 0 and time.monotonic() - self.last >= seconds

    def rule(self, line):
        with self.lock:
            for rule in self.rules:
                if rule.hits < rule.times and rule.pattern.search(line):
                    rule.hits += 1
                    return rule
        return None

    def add(self, pattern, times, **what):
        rule = Rule(pattern, times, **what)
        with self.lock:
            self.rules.append(rule)
        return rule

    def clear(self):
        with self.lock:
            self.rules.clear()
