"""The tables of a page: found by rules or by white, read, joined over pages, written as CSV and workbooks."""
