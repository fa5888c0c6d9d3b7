"""The processes that extract PDFs: asked by the server, forked for each task, without powers."""
