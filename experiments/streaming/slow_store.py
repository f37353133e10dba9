"""HTTP server of files with a given latency per response and a given total bandwidth."""

import email.utils
import http.server
import pathlib
import threading
import time

PIECE_BYTES = 64 << 10


class Link:
    """Bandwidth limit that all responses share."""

    def __init__(self, bytes_per_s):
        self.bytes_per_s = bytes_per_s
        self.free_at = 0.0
        self.lock = threading.Lock()

    def take(self, count):
        with self.lock:
            self.free_at = max(self.free_at, time.monotonic()) + count / self.bytes_per_s
            wait = self.free_at - time.monotonic()
        if wait > 0:
            time.sleep(wait)


def serve(folder, latency_s, bytes_per_s):
    """Serves the files of `folder` from threads of this process; returns the address."""
    link = Link(bytes_per_s)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            time.sleep(latency_s)
            file = pathlib.Path(folder, pathlib.PurePosixPath(self.path).name)
            if not file.is_file():
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            size = file.stat().st_size
            start, end = 0, size
            if "Range" in self.headers:
                first, last = self.headers["Range"].removeprefix("bytes=").split("-")
                start, end = (int(first), min(size, int(last) + 1)) if first else (max(0, size - int(last)), size)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(end - start))
            self.send_header("ETag", f'"{size}"')
            self.send_header("Last-Modified", email.utils.formatdate(file.stat().st_mtime, usegmt=True))
            self.end_headers()
            if not body:
                return
            with open(file, "rb") as opened:
                opened.seek(start)
                while start < end:
                    piece = opened.read(min(PIECE_BYTES, end - start))
                    link.take(len(piece))
                    self.wfile.write(piece)
                    start += len(piece)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"
