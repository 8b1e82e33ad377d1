"""`attend verify FILE…`: checks exported records offline and says the first broken thing.

Rule: exit 0 only when every file is sound; 1 when one is broken or cannot be read.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from engine.records.verify import Problem, Report, verify_file

SOUND, BROKEN = 0, 1


def verify_command(
    paths: Sequence[Path], as_json: bool, trust: Iterable[str] = (), console: Console | None = None
) -> int:
    """Check each file and print what was found; return the exit code.

    `trust` are key ids whose seals are accepted (SHA-256 of the raw public key, hex); without any, the seal is
    checked against the key in the file, and a warning says so.
    """
    out = console or Console()
    trusted = frozenset(trust) or None
    worst = SOUND
    found: list[dict[str, Any]] = []
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError as error:
            found.append(
                {"file": str(path), "sound": False, "unreadable": error.strerror or "cannot be read"}
            )
            worst = BROKEN
            continue
        report = verify_file(data, trusted)
        found.append(_plain(path, report))
        worst = max(worst, SOUND if report.sound else BROKEN)
    if as_json:
        out.file.write(json.dumps(found, indent=2) + "\n")
    else:
        for one in found:
            _say(out, one)
    return worst


def _plain(path: Path, report: Report) -> dict[str, Any]:
    def listed(problems: Iterable[Problem]) -> list[dict[str, str]]:
        return [{"where": problem.where, "why": problem.why} for problem in problems]

    return {
        "file": str(path),
        "sound": report.sound,
        "problems": listed(report.problems),
        "warnings": listed(report.warnings),
        "session_id": report.session_id,
        "revision": report.revision,
        "events": report.events,
        "key_id": report.key_id,
        "sealed_at": report.sealed_at,
        "erased": list(report.erased),
    }


def _say(out: Console, one: dict[str, Any]) -> None:
    if "unreadable" in one:
        _line(out, f"{one['file']}: {one['unreadable']}; give the path of an exported record", "red")
        return
    if one["sound"]:
        sealed = f"revision {one['revision']}, {one['events']} events, sealed {one['sealed_at']}"
        _line(
            out, f"{one['file']}: sound. Session {one['session_id']}, {sealed}, key {one['key_id']}", "green"
        )
    else:
        first, *more = one["problems"]
        _line(out, f"{one['file']}: BROKEN at {first['where']}: {first['why']}", "red")
        for problem in more:
            _line(out, f"  also {problem['where']}: {problem['why']}", "red")
        _line(
            out, "  Ask whoever exported it for the file again; the engine's log still has the session.", ""
        )
    for warning in one["warnings"]:
        _line(out, f"  note {warning['where']}: {warning['why']}", "yellow")


def _line(out: Console, text: str, style: str) -> None:
    out.print(Text(text, style=style), soft_wrap=True)
