"""What tests share: servers and people, databases, mail servers, outages, and the PDFs they upload."""
