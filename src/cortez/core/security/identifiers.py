"""Usernames and e-mail addresses: the form in which they are stored, and the form in which they are compared.

The spelling is stored. What looks alike to a person has one key, and a key belongs to one account.
"""

import unicodedata

MAX_KEY = 255
INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})  # Unicode categories: controls, format characters, separators
# What is drawn as nothing although its category says otherwise: fillers, joiners, variation selectors.
BLANK = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
            *(*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),
        ),
    )
)


def nfc(text: str) -> str:
    """The text with each accented letter as one character, whichever way a keyboard composed it."""
    return unicodedata.normalize("NFC", text)


def is_invisible(char: str) -> bool:
    return unicodedata.category(char) in INVISIBLE or char in BLANK


def cleaned(text: str) -> str:
    """NFC, without the invisible characters that copying leaves at the edges."""
    seen = [place for place, char in enumerate(text) if not is_invisible(char)]
    return nfc(text[seen[0] : seen[-1] + 1]) if seen else ""


def mail_of(text: str) -> str:
    """An e-mail address as it is stored: in lower case."""
    return nfc(cleaned(text).lower())


def folded(text: str) -> str:
    """What two spellings have in common that differ in case, in composition or at the edges."""
    return nfc(unicodedata.normalize("NFD", cleaned(text)).casefold())


def key_of(text: str) -> str | None:
    """The key of a username or an e-mail address; None where it is too long to be stored."""
    key = folded(text)
    return key if len(key) <= MAX_KEY else None


def first_invisible(text: str) -> str | None:
    """The first invisible character by its number and name, such as `U+200B ZERO WIDTH SPACE`."""
    found = next(filter(is_invisible, text), None)
    return found and f"U+{ord(found):04X} {unicodedata.name(found, '')}".rstrip()
