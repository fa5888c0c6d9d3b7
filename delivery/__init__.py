"""How people are notified: numbered events to their sockets in every process, and e-mail."""
