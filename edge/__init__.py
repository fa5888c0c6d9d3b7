"""What every request passes: envelope, limits, fields, forms, error answers, logs, and uvicorn's protocols."""
