"""What every request passes: envelope, rate limits, fields, forms, error answers, logs, and uvicorn's protocols."""
