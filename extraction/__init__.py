"""What is read from a PDF, inside a worker process; knows neither HTTP nor SQL."""
