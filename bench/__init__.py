"""Pagewire measured beside a plain server, in one run: `python -m bench`."""
