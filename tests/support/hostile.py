"""Broken and hostile PDFs by name, made on the spot: the same bytes in every run, none of more than a few megabytes."""

from functools import cache

from support.hostile_baggage import BAGGAGE
from support.hostile_building import Makers
from support.hostile_contents import CONTENTS, TEXT_AND_METADATA
from support.hostile_costs import COSTLY
from support.hostile_files import CROSS_REFERENCES, NOT_QUITE_FILES, PAGE_TREES
from support.hostile_streams import STREAMS

HOSTILE: Makers = {
    **NOT_QUITE_FILES,
    **PAGE_TREES,
    **STREAMS,
    **CROSS_REFERENCES,
    **CONTENTS,
    **TEXT_AND_METADATA,
    **BAGGAGE,
    **COSTLY,
}


@cache
def make_hostile(name: str) -> bytes:
    return HOSTILE[name]()
