"""What the printed papers can show: letters that the fonts hold stand as they are, any other as its code point.

Rule: a character that cannot be printed never costs a paper, and never becomes an empty box: who reads it sees that
something stands there and what. The JSON beside the PDF has every character as it was told.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typst

#: Latin, Greek, Cyrillic, Hebrew and Arabic letters, punctuation and the signs that the papers use: the fonts that come
#: with the typesetter have all of them (a test prints each). Chinese, Korean, Thai and others are in none of them.
_UNPRINTABLE = re.compile(
    "[^\\n\\t -~\\u00a0-\\u0481\\u048a-\\u04ff\\u05d0-\\u05ea\\u0621-\\u063a\\u0641-\\u064a\\u1e00-\\u1eff"
    "\\u2010-\\u2015\\u2018-\\u201e\\u2020-\\u2022\\u2026\\u2030\\u2032\\u2033\\u2039\\u203a\\u20ac\\u2122"
    "\\u2190-\\u2193\\u2212\\u2248\\u2260\\u2264\\u2265]"
)
_BEYOND_LATIN = re.compile("[^\\n\\t -~\\u00a0-\\u00ff]")


def spelled(text: str, unprintable: re.Pattern[str] = _UNPRINTABLE) -> str:
    """Return a text with each character that cannot be printed as its code point: [U+738B]."""
    return unprintable.sub(lambda found: f"[U+{ord(found.group()):04X}]", text)


def printed(template: Path, inputs: Mapping[str, str], **options: Any) -> bytes:
    """Return a template printed with its inputs, every character of which can be shown.

    Letters that the fonts hold singly may still not be set together (marks over marks): then only Latin ones stand.
    """
    try:
        return _compiled(template, {name: spelled(text) for name, text in inputs.items()}, **options)
    except typst.TypstError:
        plain = {name: spelled(text, _BEYOND_LATIN) for name, text in inputs.items()}
        return _compiled(template, plain, **options)


def _compiled(template: Path, inputs: dict[str, str], **options: Any) -> bytes:
    made = typst.compile(str(template), format="pdf", sys_inputs=inputs, ignore_system_fonts=True, **options)
    assert isinstance(made, bytes)
    return made
