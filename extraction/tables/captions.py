"""How captions of tables begin."""

import re

_CAPTION = re.compile(
    r"(?:table|exhibit|figure|fig|box|chart|schedule|tabelle|tab|abbildung|übersicht|tableau|tabla|cuadro|tabella|"
    r"tabela|quadro|tabel|taulukko|tabell|таблица|表)[.:]?\s*[A-Z]{0,2}[-.]?\s*(?:\d|[IVX]+\b)",
    re.IGNORECASE,
)


def is_caption(text: str) -> bool:
    """Whether this begins as "Table 3", in any of the languages that we know the word in."""
    return _CAPTION.match(text) is not None
