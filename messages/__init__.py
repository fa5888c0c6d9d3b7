"""What people write to each other, and how it is stored, changed and read."""
