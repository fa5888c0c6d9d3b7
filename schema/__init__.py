"""Whether a database can serve, and bringing it up to schema.sql."""
