"""The service: GET /2030-01-01T00:00:00+00:00 answers with the time until then."""

from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from timer_service.remaining import in_words


def answer(path, now):
    """The status and the text for a path."""
    try:
        moment = datetime.fromisoformat(unquote(path.lstrip("/")))
    except ValueError:
        return 400, "Ask for a moment such as /2030-01-01T00:00:00+00:00.\n"
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return 200, in_words((moment - now).total_seconds()) + "\n"


class Handler(BaseHTTPRequestHandler):
    """Answers requests."""

    def do_GET(self):
        status, text = answer(self.path, datetime.now(timezone.utc))
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main():
    """Serves on port 8080 until it is stopped."""
    ThreadingHTTPServer(("", 8080), Handler).serve_forever()
