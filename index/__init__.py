"""What search looks in, written in the transaction that changes the pages, the names or the messages."""
