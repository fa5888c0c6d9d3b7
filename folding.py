"""Text as it is compared: in any case, with its accents encoded either way, whatever the database's locale."""

import unicodedata


def fold(text: str) -> str:
    """*text* for searching: STRASSE and straße are the same."""
    return _compose(_compose(text).casefold())


def fold_address(address: str) -> str:
    """*address* for telling whether two are the same account's.

    Letters are folded one for one, so that straße@ and strasse@, which are two mailboxes, stay two.
    """
    return _compose("".join(map(_fold_letter, _compose(address))))


def _compose(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _fold_letter(letter: str) -> str:
    return next((folded for folded in (letter.casefold(), letter.lower()) if len(folded) == 1), letter)
