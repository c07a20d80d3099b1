"""What makes a word list good."""

import unittest

from wordladder.words import faults


class Faults(unittest.TestCase):
    def test_a_good_list_has_none(self):
        self.assertEqual(faults(["cat", "cot", "dog"]), [])

    def test_words_of_two_lengths_are_one(self):
        self.assertIn("one length", faults(["cat", "dogs"])[0])

    def test_an_unsorted_list_is_one(self):
        self.assertIn("sorted", faults(["dog", "cat"])[0])

    def test_a_repeated_word_is_one(self):
        self.assertIn("repeats", faults(["cat", "cat"])[0])

    def test_other_letters_are_one(self):
        self.assertIn("a to z", faults(["Cat"])[0])
