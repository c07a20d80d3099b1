#!/usr/bin/env python3
"""A registry that has a bad day: it stands in front of a real one, and holds, slows down or refuses what it is asked.

It prints one line when it listens, then one for each request, and runs until it is killed.
"""

import argparse
import http.client
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KINDS = {"manifests": re.compile(r"^/v2/.+/manifests/"), "blobs": re.compile(r"^/v2/.+/blobs/"), "all": re.compile("")}
# These belong to one connection and are not for the next.
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "proxy-authenticate", "proxy-authorization"}


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.server.is_refused(self.path):
            self.refuse()
            return
        upstream = http.client.HTTPConnection(self.server.to)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP | {"host"}}
            upstream.request(self.command, self.path, headers={**headers, "Host": self.headers.get("Host", self.server.to)})
            self.answer(upstream.getresponse())
        except ConnectionRefusedError:
            self.send_error(502, "the registry behind this one does not run")
        finally:
            upstream.close()

    do_HEAD = do_GET

    def answer(self, response):
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        options = self.server.options
        is_slow = KINDS[options.only].search(self.path) and response.status == 200
        if is_slow and options.hold:
            self.wfile.flush()
            self.log_message("holding it for %s s", options.hold)
            time.sleep(options.hold)
        rate = options.rate if is_slow else 0
        while part := response.read(min(rate, 65536) or 65536):
            self.wfile.write(part)
            if rate:
                time.sleep(len(part) / rate)

    def refuse(self):
        status = self.server.options.status
        body = b'{"errors":[{"code":"%s","message":"refused by dev/registry"}]}\n' % (
            {401: b"UNAUTHORIZED", 403: b"DENIED", 404: b"NAME_UNKNOWN", 429: b"TOOMANYREQUESTS"}.get(status, b"UNKNOWN")
        )
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="test"')
        if status == 429 and self.server.options.retry_after:
            self.send_header("Retry-After", str(self.server.options.retry_after))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format, *arguments):
        print(time.strftime("%T"), self.command, self.path, format % arguments, flush=True)


class Server(ThreadingHTTPServer):
    """All connections, and how many requests are still to be refused."""

    daemon_threads = True

    def __init__(self, address, options):
        self.options = options
        self.to = options.to
        self.left = options.refuse
        self.lock = threading.Lock()
        super().__init__(address, Handler)

    def is_refused(self, path):
        if not KINDS[self.options.refuse_only].search(path):
            return False
        with self.lock:
            self.left -= 1
            return self.left >= 0

    def handle_error(self, request, client_address):
        # A client that gave up is what many tests are about.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(prog="dev/registry faulty", description=__doc__)
    parser.add_argument("--listen", default="10.244.0.1:5002", help="address and port, 0 for a free one (%(default)s)")
    parser.add_argument("--to", default="10.244.0.1:5000", help="the registry behind it (%(default)s)")
    parser.add_argument("--hold", type=float, default=0, metavar="SECONDS", help="wait before the first byte of a body; the headers are sent")
    parser.add_argument("--rate", type=int, default=0, metavar="BYTES", help="so many bytes a second")
    parser.add_argument("--only", choices=KINDS, default="blobs", help="what --hold and --rate are about (%(default)s)")
    parser.add_argument("--refuse", type=int, default=0, metavar="COUNT", help="refuse the first so many requests")
    parser.add_argument("--refuse-only", choices=KINDS, default="manifests", help="which count as requests (%(default)s)")
    parser.add_argument("--status", type=int, default=429, help="the status of what is refused (%(default)s)")
    parser.add_argument("--retry-after", type=int, default=0, metavar="SECONDS", help="with status 429")
    options = parser.parse_args()
    host, _, port = options.listen.rpartition(":")
    try:
        server = Server((host, int(port)), options)
    except (OSError, ValueError) as error:
        sys.exit(f"dev/registry: cannot listen on {options.listen}: {error}")
    print(f"listening on {host}:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


main()
