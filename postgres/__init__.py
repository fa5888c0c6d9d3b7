"""Find the PostgreSQL of the settings or start one of our own, see that it can serve, and bring it up to schema.sql."""
