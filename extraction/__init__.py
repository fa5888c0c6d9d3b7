"""Extraction of a PDF inside a worker process, and the workers; knows neither HTTP nor SQL."""
