"""A service that says how long it is until a moment."""
