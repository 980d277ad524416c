"""Passwords that others try first: the common ones, and the names of the account."""

from collections.abc import Iterable
from functools import cache

from cortez.core.security.identifiers import folded
from cortez.errors import Invalid

MIN_PASSWORD, MAX_PASSWORD = 8, 128  # characters, in NFC
CODE = "PASSWORD_GUESSABLE"


@cache
def common_passwords() -> frozenset[str]:
    """The passwords of zxcvbn's list that are long enough to be chosen here: some 11,600, in lower case.

    Its estimator of strength is not used: over a long password it holds the interpreter for more than a second.
    """
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # 40 ms and 14 MB, in the process that sets a password

    return frozenset(word for word in FREQUENCY_LISTS["passwords"] if len(word) >= MIN_PASSWORD)


def refuse_guessable(password: str, names: Iterable[str], pointer: str) -> None:
    """Raises Invalid (PASSWORD_GUESSABLE), whatever the case of its letters.

    `names`: the username and the e-mail address of the account.
    """
    given = folded(password)
    if given in common_passwords():
        raise Invalid.at(pointer, "Many people use this password, so it is among the first that are tried.", CODE)
    taken = {folded(part) for name in names for part in (name, name.partition("@")[0])}
    if given in taken:
        raise Invalid.at(pointer, "The password is the username or the e-mail address.", CODE)
