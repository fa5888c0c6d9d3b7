"""The name of a field and of its file, as clients write them into the head of a form's part.

RFC 7578 wants plain UTF-8 in quotes. .NET and PowerShell write RFC 5987 (`filename*=utf-8''…`) and RFC 2047
(`=?utf-8?B?…?=`), mail libraries RFC 2231 (`filename*0=…`), browsers percent-encode quotes.
"""

import binascii
import re
from contextlib import suppress
from itertools import groupby
from urllib.parse import quote, unquote_to_bytes

# A value is everything up to a semicolon outside of quotes.
PARAMETER = re.compile(r';[ \t]*([^;="\s]+)[ \t]*=[ \t]*((?:"(?:[^"\\]|\\.)*(?:"|$)|[^;"])*)', re.DOTALL)
ESCAPED = re.compile(r'\\(["\\])')
BROWSER_ESCAPED = re.compile("%(22|0A|0D)")  # https://html.spec.whatwg.org/#multipart-form-data
EXTENDED = re.compile(r"([^']*)'[^']*'(.*)", re.DOTALL)
SECTION = re.compile(r"filename\*(\d{1,3})(\*?)", re.ASCII)
ENCODED_WORD = re.compile(r"=\?([^?\s*]+)(?:\*[^?\s]*)?\?([bq])\?([^?]*)\?=", re.IGNORECASE)
ENCODED_WORDS = re.compile(r"=\?[^?\s]+\?[bq]\?[^?]*\?=(?:\s*=\?[^?\s]+\?[bq]\?[^?]*\?=)*", re.IGNORECASE)
# Python knows charsets besides that are no text, or produce lone surrogates.
CHARSET = re.compile(
    r"utf-?8|us-ascii|ascii|latin-?1|iso-?8859-\d{1,2}|(windows-|cp)\d{3,4}|koi8-[ru]|gb2312|gbk|gb18030|big5"
    r"|shift_jis|euc-(jp|kr)|iso-2022-(jp|kr)",
    re.ASCII | re.IGNORECASE,
)


def parse_disposition(header: bytes) -> tuple[str | None, str | None]:
    """The field's name and the file's, None where the header has none. A file's name is as it was sent, with its path.

    An extended value (`filename*`) takes precedence over a plain one, unless it is empty or cannot be decoded.
    """
    values = {name.lower(): _unquoted(value.strip()) for name, value in PARAMETER.findall(_text(header))}
    plain = values.get("filename")
    if plain is not None:
        plain = decode_words(BROWSER_ESCAPED.sub(lambda match: chr(int(match[1], 16)), plain))
    extended = values.get("filename*", _join_sections(values))
    if extended is None:
        return values.get("name"), plain
    charset, text = _split_extended(extended)
    decoded = _decode(unquote_to_bytes(text), charset)
    return values.get("name"), decoded or plain or unquote_to_bytes(text).decode("utf-8", "replace")


def decode_words(text: str) -> str:
    """*text* with its RFC 2047 words decoded; those that cannot be stay as they are."""
    return ENCODED_WORDS.sub(lambda run: _decode_run(run[0]), text)


def _decode_run(run: str) -> str:
    """Words with nothing but white space between; a character may be parted between two of one charset."""
    decoded = ""
    for charset, words in groupby(ENCODED_WORD.findall(run), lambda word: word[0].lower()):
        try:
            data = b"".join(_decode_base64(text) if kind in "bB" else _decode_quoted(text) for _, kind, text in words)
        except binascii.Error:
            return run
        part = _decode(data, charset)
        if part is None:
            return run
        decoded += part
    return decoded


def _decode_base64(text: str) -> bytes:
    return binascii.a2b_base64(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), strict_mode=True)


def _decode_quoted(text: str) -> bytes:
    return binascii.a2b_qp(text.encode("utf-8", "replace"), header=True)


def _split_extended(value: str) -> tuple[str, str]:
    """The charset and the percent-encoded text of an RFC 5987 value, as in utf-8''na%C3%AFve.pdf."""
    parts = EXTENDED.fullmatch(value)
    return (parts[1], parts[2]) if parts else ("utf-8", value)


def _join_sections(parameters: dict[str, str]) -> str | None:
    """The extended value that RFC 2231 parts into filename*0*, filename*1, …"""
    sections = sorted(
        (int(key[1]), key[2], value) for name, value in parameters.items() if (key := SECTION.fullmatch(name))
    )
    if not sections:
        return None
    first = "" if sections[0][1] else "utf-8''"
    return first + "".join(value if extended else quote(value) for _, extended, value in sections)


def _decode(data: bytes, charset: str) -> str | None:
    if not CHARSET.fullmatch(charset):
        return None
    with suppress(LookupError, ValueError):
        return data.decode(charset)
    return None


def _text(header: bytes) -> str:
    try:
        return header.decode()
    except UnicodeDecodeError:
        return header.decode("latin-1")


def _unquoted(value: str) -> str:
    """A file name may hold bare backslashes: old browsers send the whole path."""
    if not value.startswith('"'):
        return value
    return ESCAPED.sub(r"\1", value[1:-1] if value.endswith('"') and len(value) > 1 else value[1:])
