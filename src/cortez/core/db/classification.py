"""What is personal in a table: every model says of each of its columns whose it is, and what erasure does to it.

    class Apuntes(Base):
        privacy = Privacy(keep="unidad_id titulo …")                      # about no student

    class Risk(Base):
        privacy = Privacy("student_id", keep="risk_type …", pseudonymise="student_id", empty="description …")

`id`, `created_at` and `updated_at` are kept everywhere and need not be named. A test refuses a column that is named
nowhere, or twice. The same holds for `Audit`, which lists the columns that the audit log records.
"""

from msgspec import Struct

ERASED = "erased-"  # how the pseudonym of an erased student begins
STAMPS = frozenset({"id", "created_at", "updated_at"})


class Privacy(Struct, frozen=True):
    """What becomes of a student's rows, column by column; `by` leads to the student.

    `by` is a column with the student_id, with the id of a session of theirs (`session_id`), or of their account
    (`user_id`, or `id` of the account itself); None where a table is about no student. Where
    a row may come before its session, `user` names the columns that together mean one user elsewhere, and `mail` the
    one with their e-mail.

    - `keep`: not personal, or of somebody else: structure, enumerations, figures, times, what staff wrote for all.
    - `pseudonymise`: a student_id becomes one pseudonym for all rows; an account becomes null; any other key becomes
      the row's own id, so that it stays unique.
    - `empty`: becomes null, or an empty text, list or document where null is not allowed.
    - `mentions`: lists about many students, in which one is found by their student_id and renamed.
    - `removed`: nothing is left of the row. With `ages`, retention removes it too, by when it was stored.
    """

    by: str | None = None
    keep: str = ""
    pseudonymise: str = ""
    empty: str = ""
    mentions: str = ""
    removed: str = ""
    ages: bool = False
    user: str = ""
    mail: str = ""

    def columns(self) -> list[str]:
        """Every column that is named, as often as it is."""
        return " ".join((self.keep, self.pseudonymise, self.empty, self.mentions, self.removed)).split()


class Audit(Struct, frozen=True):
    """What the audit log records of a table, by triggers that a revision makes from this.

    `about` is the column of the person whose key digests the `masked` values. `people` are recorded by alias, `plain`
    values as they are, and a change of an `unseen` column makes no entry. `by_people`: the columns that are recorded of
    an insert, and of inserts by people alone, since machines insert too many; None records every insert with every
    column.
    """

    about: str = ""
    people: str = ""
    plain: str = ""
    masked: str = ""
    events: str = "INSERT UPDATE DELETE"
    by_people: str | None = None
    unseen: str = ""

    @property
    def inserts(self) -> bool:
        """Whether every insert is recorded."""
        return "INSERT" in self.events and self.by_people is None
