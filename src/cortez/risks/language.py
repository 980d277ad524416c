"""What the rules read in the words of a step. It is shallow on purpose: phrases, not meaning."""

import re
import unicodedata

MIN_WORDS = 5  # below which two texts are alike by chance

# Asking for the whole thing, in Spanish and English, as `plain` writes it; asking for a hint is not.
_LESS = r"(?:(?!pista|ejemplo|idea|ayuda|hint|example|help)[^.?!\n]){0,30}"
_WHOLE = r"\b(?:codigo|solucion|respuesta|programa|tarea|ejercicio|code|solution|answer|program|homework|exercise)\b"
_GIVE = r"\b(?:dame|pasame|mandame|haceme|hazme|escribime|escribeme|generame|(?:give|send|show|write) me)\b"
_DO = r"\b(?:hacelo|hazlo|resolvelo|resuelvelo|programalo|terminalo|completalo) (?:vos|tu|todo|por mi)\b"
_DO_FOR_ME = r"\b(?:do|solve|write|finish|code) (?:it|this|that|(?:the|my) \w+)(?: all)? for me\b"
DELEGATING = re.compile(f"{_GIVE}{_LESS}{_WHOLE}|{_DO}|{_DO_FOR_ME}")

ASKING = re.compile(
    r"[?¿]|^\W*(?:que|como|por que|cual|cuales|donde|cuando|quien|cuanto|puedo|podes|podrias"
    r"|what|how|why|which|where|when|who|can|could|may|should|is|are|does|do)\b"
)

# What often goes wrong in code, by name.
INSECURE = {
    "text run as code": re.compile(r"(?<![\w.])(?:eval|exec)\s*\("),
    "a command given to a shell": re.compile(r"\bos\.system\s*\(|\bshell\s*=\s*True\b|getRuntime\(\)\.exec\s*\("),
    "objects read from bytes": re.compile(r"\bpickle\.loads?\s*\(|\byaml\.load\s*\((?![^)\n]{0,200}Safe)"),
    "SQL put together from texts": re.compile(
        r"(?i)\bf[\"'](?:select|insert|update|delete)\b[^\n]{0,200}?\{"
        r"|[\"'](?:select|insert|update|delete)\b[^\n\"']{0,200}[\"']\s*(?:\+|%|\.format\b)"
    ),
    "a password in the code": re.compile(
        r"(?i)\b(?:password|passwd|secret|api_key|token)\s*=\s*[\"'][^\"'\n]{4,200}[\"']"
    ),
    "a weak digest": re.compile(r"(?i)\b(?:md5|sha1)\s*\("),
}


def plain(text: str) -> str:
    """In lower case, without accents and with single spaces."""
    decomposed = unicodedata.normalize("NFD", text.casefold())
    return " ".join("".join(char for char in decomposed if not unicodedata.combining(char)).split())


def asks_for_the_whole(text: str) -> bool:
    return DELEGATING.search(plain(text)) is not None


def is_question(text: str) -> bool:
    return ASKING.search(plain(text)) is not None


def insecurities(code: str) -> list[str]:
    return [name for name, pattern in INSECURE.items() if pattern.search(code)]


def words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", plain(text)))


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of words that two texts have in common, 0 to 1; 0 where one of them is too short to tell."""
    if min(len(one), len(other)) < MIN_WORDS:
        return 0.0
    return len(one & other) / len(one | other)
