"""What a page shows, and its text: characters, lines, their order; the rules and shapes on it."""
