"""The command line."""

import argparse
import sys

from wordladder import graph, store, words

LENGTHS = (3, 4)


def main(arguments=None):
    """Runs the command and ends the process with its status."""
    options = _parser().parse_args(arguments)
    sys.exit(options.run(options))


def _parser():
    parser = argparse.ArgumentParser(prog="word-ladder", description="From one word to another, a letter at a time.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {store.packaged_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="say what is wrong with a word list")
    check.add_argument("words")
    check.set_defaults(run=_check)

    compile_ = commands.add_parser("compile", help="compile a word list, unless that is done already")
    compile_.add_argument("words")
    compile_.add_argument("output")
    compile_.set_defaults(run=_compile)

    ladder = commands.add_parser("ladder", help="show a shortest ladder between two words")
    ladder.add_argument("start")
    ladder.add_argument("goal")
    ladder.set_defaults(run=_ladder)

    statistics = commands.add_parser("statistics", help="count words and steps")
    statistics.set_defaults(run=_statistics)
    return parser


def _check(options):
    listed = words.read_words(options.words)
    found = words.faults(listed)
    for fault in found:
        print(f"{options.words}: {fault}", file=sys.stderr)
    if not found:
        print(f"{options.words}: {len(listed)} words, all fine")
    return 1 if found else 0


def _compile(options):
    listed = words.read_words(options.words)
    if store.is_current(options.output, listed):
        print(f"{options.output}: is up to date, nothing to compile")
        return 0
    store.save(options.output, listed, graph.compile_graph(listed))
    print(f"{options.output}: compiled from {len(listed)} words")
    return 0


def _ladder(options):
    start, goal = options.start.lower(), options.goal.lower()
    if len(start) != len(goal):
        print("Both words must have the same length.", file=sys.stderr)
        return 1
    try:
        ladder = graph.shortest_ladder(store.packaged(len(start)), start, goal)
    except FileNotFoundError:
        print(f"There is no list of words with {len(start)} letters.", file=sys.stderr)
        return 1
    except KeyError as unknown:
        print(f"{unknown.args[0]} is not in the list of words.", file=sys.stderr)
        return 1
    if ladder is None:
        print(f"No ladder leads from {start} to {goal}.", file=sys.stderr)
        return 1
    print(" > ".join(ladder))
    return 0


def _statistics(_options):
    for length in LENGTHS:
        compiled = store.packaged(length)
        steps = sum(len(neighbours) for neighbours in compiled.values()) // 2
        alone = sum(not neighbours for neighbours in compiled.values())
        print(f"{length} letters: {len(compiled)} words, {steps} steps between them, {alone} words without a neighbour")
    return 0
