"""What the graph promises."""

import unittest

from wordladder.graph import compile_graph, shortest_ladder

WORDS = ["bat", "cat", "cot", "dog", "dot", "owl"]


class CompileGraph(unittest.TestCase):
    def test_words_one_letter_apart_are_neighbours(self):
        self.assertEqual(compile_graph(WORDS)["cot"], ["cat", "dot"])

    def test_neighbours_know_each_other(self):
        graph = compile_graph(WORDS)
        for word, neighbours in graph.items():
            for neighbour in neighbours:
                self.assertIn(word, graph[neighbour])

    def test_a_word_without_neighbours_stays_in_the_graph(self):
        self.assertEqual(compile_graph(WORDS)["owl"], [])

    def test_an_empty_list_gives_an_empty_graph(self):
        self.assertEqual(compile_graph([]), {})


class ShortestLadder(unittest.TestCase):
    def setUp(self):
        self.graph = compile_graph(WORDS)

    def test_each_step_changes_one_letter(self):
        ladder = shortest_ladder(self.graph, "bat", "dog")
        self.assertEqual(ladder, ["bat", "cat", "cot", "dot", "dog"])

    def test_a_word_leads_to_itself(self):
        self.assertEqual(shortest_ladder(self.graph, "owl", "owl"), ["owl"])

    def test_no_way_is_none(self):
        self.assertIsNone(shortest_ladder(self.graph, "cat", "owl"))

    def test_an_unknown_word_is_named(self):
        with self.assertRaises(KeyError) as raised:
            shortest_ladder(self.graph, "cat", "emu")
        self.assertEqual(raised.exception.args, ("emu",))
