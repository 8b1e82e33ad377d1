"""The shipped packs as the tests read them, and packs that are broken on purpose."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from engine.reactions.pack import Pack
from engine.reactions.reading import parse_packs

FOLDER = Path(__file__).parents[2] / "engine" / "reactions" / "packs"
ACR = "acr-2026"
CONSENSUS = "acr-aaaai-2025"


@cache
def texts() -> Mapping[str, str]:
    return {
        str(path.relative_to(FOLDER)): path.read_text("utf-8") for path in sorted(FOLDER.glob("*/*.toml"))
    }


@cache
def shipped() -> Mapping[str, Pack]:
    return parse_packs(texts())


def pack(name: str = ACR) -> Pack:
    return shipped()[name]


def changed(file: str, old: str, new: str, name: str = ACR) -> Pack:
    """Parse the packs with one text changed; the text has to be there exactly as often as it is replaced."""
    return parse_packs(changed_texts(file, old, new))[name]


def changed_texts(file: str, old: str, new: str) -> Mapping[str, str]:
    assert old in texts()[file], f"{file} has no {old!r}"
    return {**texts(), file: texts()[file].replace(old, new, 1)}


def row_text(file: str, row_id: str) -> str:
    """Return one row's block as written, with its steps, to be changed by a test."""
    text = texts()[file]
    start = text.rindex("[[", 0, text.index(f'id = "{row_id}"\n'))
    following = re.compile(r"\n\[\[\w+\]\]").search(text, start)
    return text[start : following.start() if following else len(text)]


def with_row_changed(file: str, row_id: str, old: str, new: str, name: str = ACR) -> Pack:
    """Parse the packs with one row changed."""
    block = row_text(file, row_id)
    assert old in block, f"{row_id} has no {old!r}"
    return changed(file, block, block.replace(old, new, 1), name)
