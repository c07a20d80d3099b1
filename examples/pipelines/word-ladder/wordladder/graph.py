"""The graph of a word list: which words are one letter apart, and the shortest way between two of them."""

from collections import defaultdict, deque
from itertools import combinations


def compile_graph(words):
    """For each word the words that differ from it in one letter, sorted."""
    # Words that are one letter apart share a pattern such as "c_ld".
    patterns = defaultdict(list)
    for word in words:
        for place in range(len(word)):
            patterns[word[:place] + "_" + word[place + 1 :]].append(word)
    neighbours = {word: set() for word in words}
    for group in patterns.values():
        for one, other in combinations(group, 2):
            neighbours[one].add(other)
            neighbours[other].add(one)
    return {word: sorted(found) for word, found in neighbours.items()}


def shortest_ladder(graph, start, goal):
    """A shortest list of words from start to goal, or None where there is none.

    Raises KeyError with the word that is not in the graph.
    """
    for word in (start, goal):
        if word not in graph:
            raise KeyError(word)
    came_from = {start: None}
    waiting = deque([start])
    while waiting:
        word = waiting.popleft()
        if word == goal:
            return _trace(came_from, goal)
        for neighbour in graph[word]:
            if neighbour not in came_from:
                came_from[neighbour] = word
                waiting.append(neighbour)
    return None


def _trace(came_from, word):
    ladder = []
    while word is not None:
        ladder.append(word)
        word = came_from[word]
    return ladder[::-1]
