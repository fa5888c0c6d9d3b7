"""The product without what the search adds to an upload, to measure that."""

from collections.abc import AsyncGenerator

import index.queries
import main
import pdf
import search.indexer
from extraction.values import Part


async def get_nothing(*_: object, **__: object) -> str:
    return ""


def read_alone(engine: pdf.PdfEngine, file: pdf.PdfFile, **_: object) -> AsyncGenerator[Part]:
    return read(engine, file)


def serve() -> None:
    for place, name, instead in (
        (index.queries, "put_pages", get_nothing),
        (index.queries, "get_name_vector", get_nothing),
        (search.indexer.Indexer, "start", lambda _: None),
        (pdf.PdfEngine, "extract_parts", read_alone),
    ):
        setattr(place, name, instead)
    main.serve()


read = pdf.PdfEngine.extract_parts
