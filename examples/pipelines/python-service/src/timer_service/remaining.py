"""Time until a moment, in words."""

UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def in_words(seconds):
    """A duration with its two largest units, such as "1 hour 5 minutes"; "now" from zero down."""
    rest = int(seconds)
    if rest <= 0:
        return "now"
    parts = []
    for unit, length in UNITS:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts)
