"""Find the PostgreSQL that the settings name, or run one of our own."""
