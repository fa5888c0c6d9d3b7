"""The PDF library: receive, keep, read, show and export documents."""
