"""Compiled graphs as files: beside the source while it is built, inside the package once it is packaged."""

import hashlib
import json
import pkgutil
from pathlib import Path

# A new number makes the files of an older program unusable.
FORMAT = 1


def digest_of(words):
    """What tells one word list from another."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def save(path, words, graph):
    """Writes a graph, with the digest of the words that it was compiled from."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"format": FORMAT, "digest": digest_of(words), "graph": graph}), encoding="utf-8")


def is_current(path, words):
    """Whether the file at path holds the graph of just these words."""
    try:
        stored = json.loads(Path(path).read_text(encoding="utf-8"))
        return stored["format"] == FORMAT and stored["digest"] == digest_of(words)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def packaged(length):
    """The graph of the words of this length.

    Raises FileNotFoundError where none was compiled.
    """
    try:
        text = pkgutil.get_data("wordladder", f"graphs/{length}.json")
    except OSError:
        text = Path(f"graphs/{length}.json").read_bytes()
    return json.loads(text)["graph"]


def packaged_version():
    """The version that was packaged, or "unpackaged"."""
    try:
        return pkgutil.get_data("wordladder", "VERSION").decode().strip()
    except OSError:
        return "unpackaged"
