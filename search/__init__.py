"""One search over the pages a person may read and the messages they are party to."""
