"""How people are notified: numbered events to their sockets on every node, and e-mail."""
