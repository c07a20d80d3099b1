"""Word ladders: from one word to another, one letter at a time."""
