"""People: register, sign in, find each other, send each other e-mail."""
