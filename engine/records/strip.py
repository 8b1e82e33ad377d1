"""The line of a session as a picture: verified, degraded, telephone and lost intervals, and its gaps, as SVG.

Rule: shape and hatching carry the meaning as well as colour, so a black-and-white copy still reads.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

_WIDTH = 1000
_LABEL = 80
_LOOK = {
    "connecting": ("#d9d9d9", 14),
    "verified": ("#2f7d4f", 30),
    "degraded": ("#c9a227", 22),
    "on_phone": ("#8a6fb0", 14),
    "lost": ("url(#lost)", 30),
}
_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 88" width="1000" height="88">'
    '<defs><pattern id="lost" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" fill="#ffffff"/><rect width="3" height="6" fill="#b3261e"/></pattern></defs>'
)


def moment(text: str) -> dt.datetime:
    """Return a time of the file."""
    return dt.datetime.fromisoformat(text)


def strip(
    intervals: Sequence[Mapping[str, Any]],
    gaps: Sequence[Mapping[str, Any]],
    marks: Sequence[tuple[str, str]],
    end: str,
) -> str:
    """Return the SVG of a line from its first interval to `end`.

    `marks` are (time, label) ticks: injection, reaction, end. Empty intervals give an empty text.
    """
    if not intervals:
        return ""
    first, last = moment(intervals[0]["start"]), moment(end)
    span = max((last - first).total_seconds(), 1.0)

    def x(text: str | None) -> float:
        offset = (moment(text or end) - first).total_seconds()
        return round(min(max(offset / span, 0.0), 1.0) * _WIDTH, 2)

    parts = [_HEAD, '<rect x="0" y="22" width="1000" height="30" fill="#f2f2f2"/>']
    for one in intervals:
        fill, height = _LOOK[one["phase"]]
        left, right = x(one["start"]), x(one["end"])
        top = 52 - height
        parts.append(
            f'<rect x="{left}" y="{top}" width="{max(right - left, 1.5)}" height="{height}" fill="{fill}"/>'
        )
    for gap in gaps:
        left, right = x(gap["start"]), x(gap["end"])
        middle = (left + right) / 2
        parts.append(
            f'<rect x="{left}" y="18" width="{max(right - left, 3)}" height="38" fill="none" '
            f'stroke="#b3261e" stroke-width="2"/>'
            f'<text x="{middle}" y="14" font-size="13" text-anchor="middle" fill="#b3261e">gap {gap["number"]}</text>'
        )
    placed = sorted((x(at), label) for at, label in marks)
    for number, (at, label) in enumerate(placed):
        near = number > 0 and at - placed[number - 1][0] < _LABEL and number % 2 == 1
        parts.append(_tick(at, label, low=near))
    return "".join([*parts, "</svg>"])


def _tick(at: float, label: str, *, low: bool) -> str:
    """A mark with its label, a row lower when the one before it is near."""
    anchor = "start" if at < 60 else "end" if at > _WIDTH - 60 else "middle"
    words = f'font-size="13" text-anchor="{anchor}" fill="#1a1a1a">{escape(label)}'
    return (
        f'<line x1="{at}" y1="22" x2="{at}" y2="60" stroke="#1a1a1a" stroke-width="1.5"/>'
        f'<text x="{at}" y="{86 if low else 72}" {words}</text>'
    )
