"""Every word of the page, in every language: `words.json`, one table.

To add a language give it a name in `LANGUAGES`, and each entry of the table its words; the tests
say what is missing. Words in braces are filled in. The English words of faults and of
causes are the contract's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files

from depthd.contract.errors import FAULTS
from depthd.contract.health import CAUSES

Words = Mapping[str, str]

LANGUAGES = {"en": "English", "de": "Deutsch"}


def table() -> dict[str, dict[str, str]]:
    """Every entry: its words by language."""
    found: dict[str, dict[str, str]] = json.loads(
        (files("depthd.page") / "words.json").read_bytes()
    )
    for code, fault in FAULTS.items():
        for key, text in ((f"fault_{code}", fault.sentence), (f"hint_{code}", fault.hint)):
            found[key] = {"en": text} | found.get(key, {})
    for cause, meaning in CAUSES.items():
        found[f"cause_{cause}"] = {"en": meaning.text} | found.get(f"cause_{cause}", {})
    return found


def _all_words() -> dict[str, Words]:
    entries = table()
    return {
        language: {key: words.get(language) or words["en"] for key, words in entries.items()}
        for language in LANGUAGES
    }


WORDS: Mapping[str, Words] = _all_words()


def choose(wanted: str, accepted: str) -> str:
    """The language to use.

    Args:
        wanted: what was chosen before; may be empty or nonsense.
        accepted: the browser's header Accept-Language.
    """
    if wanted in LANGUAGES:
        return wanted
    for part in accepted.lower().split(","):
        language = part.split(";")[0].strip().split("-")[0]
        if language in LANGUAGES:
            return language
    return next(iter(LANGUAGES))
