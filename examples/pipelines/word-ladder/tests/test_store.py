"""What the stored files promise."""

import tempfile
import unittest
from pathlib import Path

from wordladder import store
from wordladder.graph import compile_graph

WORDS = ["cat", "cot", "dot"]


class Store(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "graphs" / "3.json"

    def test_a_saved_graph_is_current_for_its_words(self):
        store.save(self.path, WORDS, compile_graph(WORDS))
        self.assertTrue(store.is_current(self.path, WORDS))

    def test_it_is_not_current_once_a_word_is_added(self):
        store.save(self.path, WORDS, compile_graph(WORDS))
        self.assertFalse(store.is_current(self.path, [*WORDS, "dog"]))

    def test_a_missing_file_is_not_current(self):
        self.assertFalse(store.is_current(self.path, WORDS))

    def test_a_damaged_file_is_not_current(self):
        self.path.parent.mkdir()
        for damage in ("", "{", "[]", "{}"):
            with self.subTest(damage=damage):
                self.path.write_text(damage, encoding="utf-8")
                self.assertFalse(store.is_current(self.path, WORDS))
