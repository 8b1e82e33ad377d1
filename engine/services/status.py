"""The one-page status: how many sessions are in which phase, which rings are in flight, what runs and what to try.

Rule: it counts and names nobody, so it needs no sign-in.
"""

import base64
import hashlib
import html
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
from statemachine import StateChart

from engine.kernel.ids import Stream
from engine.kernel.store import EventRow, Store
from engine.runtime.limits import Limits
from engine.workflows.session.chart import SessionChart

RINGING = ("ringing_primary", "ringing_backup", "ringing_bench", "escalated")
_PAGE_EVENTS = 1000
_WATCHED = ("session", "ring")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the page shows."""

    product: Mapping[str, str]
    regions: Mapping[str, Mapping[str, int]]
    rings: Mapping[str, int]
    running: Mapping[str, int]
    position: int
    demo: bool
    grpc_address: str


@dataclass(frozen=True, slots=True)
class Page:
    """The page as bytes to send: HTML and its headers."""

    html: str
    headers: Mapping[str, str] = field(default_factory=dict)


class StatusBoard:
    """Counts phases by reading the log on from where it stopped; it can be rebuilt from zero at any time.

    `running` gives further counts by their words: what the engine itself is behind with.
    """

    def __init__(
        self,
        store: Store,
        limits: Limits,
        *,
        product: Mapping[str, str],
        demo: bool,
        grpc_address: str,
        running: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._store = store
        self._page_events = min(_PAGE_EVENTS, 4 * limits.subscription_page_events)
        self._product = dict(product)
        self._demo = demo
        self._grpc_address = grpc_address
        self._running = running
        self._position = 0
        self._phases: dict[Stream, tuple[str, ...]] = {}
        self._drills: set[Stream] = set()

    async def read(self) -> Status:
        """Read on to the head and return the counts."""
        while True:
            rows = await self._store.read(self._position, self._page_events)
            for row in rows:
                if row.stream.machine in _WATCHED:
                    self._count(row)
                self._position = max(self._position, row.position)
            if len(rows) < self._page_events:
                return self._status()

    def _count(self, row: EventRow) -> None:
        """A drill's session and its rings are not counted with those of patients."""
        if row.version == 1 and msgspec.json.decode(row.payload).get("drill"):
            self._drills.add(row.stream)
        if row.stream not in self._drills:
            self._phases[row.stream] = row.phases

    def _status(self) -> Status:
        sessions = Counter(
            phase
            for stream, phases in self._phases.items()
            if stream.machine == "session"
            for phase in phases
        )
        rings = Counter(
            phase for stream, phases in self._phases.items() if stream.machine == "ring" for phase in phases
        )
        return Status(
            product=self._product,
            regions={
                name: {leaf: sessions[leaf] for leaf in leaves if sessions[leaf]}
                for name, leaves in regions(SessionChart).items()
            },
            rings={phase: rings[phase] for phase in RINGING if rings[phase]},
            running=self._running(),
            position=self._position,
            demo=self._demo,
            grpc_address=self._grpc_address,
        )


def regions(chart: type[StateChart]) -> dict[str, list[str]]:  # type: ignore[type-arg]  # any model
    """Return the leaves of each region of a chart that is parallel at its top, by the region's name."""
    [top] = chart.states
    return {str(region.id): [str(leaf.id) for leaf in region.states] for region in top.states}


_STYLE = """
:root{color-scheme:light dark;--ink:#17212b;--soft:#5b6b7a;--line:#d9e0e6;--back:#f6f8fa;--card:#fff;--tone:#0b6e75}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#93a4b4;--line:#2a3742;--back:#0e151b;--card:#16202a;--tone:#4fc3c9}}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:56rem;margin:0 auto;padding:2.5rem 1.25rem}
h1{margin:0;font-size:1.6rem}h1 small{color:var(--soft);font-weight:400;font-size:1rem}
h2{font-size:1rem;color:var(--soft);font-weight:600;margin:0 0 .6rem}
.demo{display:inline-block;background:#b45309;color:#fff;border-radius:.3rem;padding:.1rem .6rem;font-weight:600}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:1rem;margin:1.5rem 0}
section{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1rem 1.2rem}
dl{display:grid;grid-template-columns:1fr auto;gap:.25rem 1rem;margin:0}
dd{margin:0;font-variant-numeric:tabular-nums;font-weight:600}
p.none{color:var(--soft);margin:0}code,pre{font:.9rem/1.5 ui-monospace,monospace}pre{overflow-x:auto;margin:0}
.alarm dd{color:#b91c1c}a{color:var(--tone)}
"""


def page(status: Status) -> Page:
    """Return the page, with the headers that let nothing but its own style run."""
    titles = {"care": "Sessions by phase", "line": "Lines", "reaction": "Reactions"}
    cards = [
        _card(titles.get(name, name), counts.items(), empty="None yet.")
        for name, counts in status.regions.items()
    ]
    cards.append(_card("Rings in flight", status.rings.items(), empty="Nobody is waiting."))
    cards.append(
        _card(
            "Running",
            (*status.product.items(), ("events", status.position), *status.running.items()),
            empty="",
        )
    )
    badge = (
        '<p><span class="demo">DEMO</span> Not for clinical use: the clock may be advanced.</p>'
        if status.demo
        else ""
    )
    tries = "\n".join(
        (
            f"grpcurl -plaintext {status.grpc_address} list",
            f"grpcurl -plaintext {status.grpc_address} describe attend.v1.SessionService",
            "attend verify demo-out/record.json",
            "attend protocol list",
        )
    )
    body = (
        f"<main><h1>Attend <small>virtual contrast supervision</small></h1>{badge}"
        f'<div class="cards">{"".join(cards)}</div>'
        f"<section><h2>What to try</h2><pre>{html.escape(tries)}</pre></section></main>"
    )
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Attend</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    )
    style = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return Page(
        text,
        {
            "content-security-policy": f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'",
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cache-control": "no-store",
        },
    )


def _card(title: str, rows: Iterable[tuple[str, object]], *, empty: str) -> str:
    lines = "".join(
        f"<dt>{html.escape(name.replace('_', ' '))}</dt><dd>{html.escape(str(value))}</dd>"
        for name, value in rows
    )
    inside = f"<dl>{lines}</dl>" if lines else f'<p class="none">{html.escape(empty)}</p>'
    return f"<section><h2>{html.escape(title)}</h2>{inside}</section>"
