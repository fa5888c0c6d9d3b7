"""Find the PostgreSQL that the settings name, or start one of our own."""
