"""Word lists: text files with one word per line."""

from pathlib import Path


def read_words(path):
    """The words of a list, in its order."""
    return Path(path).read_text(encoding="utf-8").split()


def faults(words):
    """What is wrong with a list, as sentences; nothing where it is fine."""
    found = []
    lengths = {len(word) for word in words}
    if len(lengths) != 1:
        found.append(f"the words must have one length, but have {sorted(lengths)}")
    for word in words:
        if not (word.isascii() and word.isalpha() and word.islower()):
            found.append(f"{word!r} has other letters than a to z")
    for before, after in zip(words, words[1:]):
        if before >= after:
            found.append(f"{after!r} must not follow {before!r}: the list is sorted, without repeats")
    return found
