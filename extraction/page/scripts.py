"""Which way scripts are written."""

import re
from collections.abc import Sequence
from itertools import groupby

RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_LETTER = re.compile(r"[^\W\d_]")


def join_words(words: Sequence[str]) -> str:
    """Return words that stand from left to right as they are read, by the direction of most of them."""
    text = " ".join(words)
    if text.isascii() or not RIGHT_TO_LEFT.search(text):
        return text
    turned = [RIGHT_TO_LEFT.search(word) is not None for word in words]
    straight = [
        _LETTER.search(word) is not None and not is_turned for word, is_turned in zip(words, turned, strict=True)
    ]
    from_the_right = sum(turned) >= sum(straight)
    read: list[str] = []
    order = range(len(words) - 1, -1, -1) if from_the_right else range(len(words))
    for is_turned, run in groupby(order, key=turned.__getitem__):
        numbers = list(run)
        read += [words[number] for number in (numbers if is_turned is from_the_right else reversed(numbers))]
    return " ".join(read)
