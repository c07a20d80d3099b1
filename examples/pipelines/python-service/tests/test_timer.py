"""What the service promises."""

from datetime import datetime, timezone

import pytest

from timer_service.remaining import in_words
from timer_service.server import answer

NOW = datetime(2029, 12, 31, 23, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "now"),
        (0, "now"),
        (1, "1 second"),
        (60, "1 minute"),
        (3_900, "1 hour 5 minutes"),
        (90_061, "1 day 1 hour"),
        (86_460, "1 day"),
    ],
)
def test_a_duration_in_words(seconds, words):
    assert in_words(seconds) == words


def test_a_moment_is_answered():
    assert answer("/2030-01-01T00:00:00+00:00", NOW) == (200, "1 hour\n")


def test_a_moment_without_a_zone_is_utc():
    assert answer("/2030-01-01T00:00:00", NOW) == (200, "1 hour\n")


def test_nonsense_is_the_fault_of_who_asks():
    status, text = answer("/tomorrow", NOW)
    assert status == 400
    assert "Ask for a moment" in text
