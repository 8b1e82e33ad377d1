"""What it takes to resolve a protocol in process: every presentation, grade and weight of the review pages.

Run `python -m benchmarks.protocols`. The aim is under a millisecond for any of them. The peer of the same run reads the
same answer back from JSON: what a precomputed table of steps would cost at the least.
"""

import itertools
import statistics
import sys
import time
from decimal import Decimal

import msgspec

from engine.bootstrap import load_packs
from engine.reactions.pack import Pack
from engine.reactions.resolve import Situation, resolve_protocol
from engine.reactions.shown import shown
from engine.reactions.state import Severity

ROUNDS = 15
WEIGHTS = (None, Decimal("7.5"), Decimal(20), Decimal(70))
AGES = (None, 6, 40)
LIMIT_US = 1000
ENCODER = msgspec.json.Encoder(decimal_format="number")


def situations(pack: Pack) -> list[Situation]:
    """Return every situation that is timed."""
    return [
        Situation(presentation=name, severity=grade, age_years=age, weight_kg=weight)
        for name, grade, age, weight in itertools.product(pack.presentations, Severity, AGES, WEIGHTS)
    ]


def timed_us(pack: Pack, situation: Situation) -> tuple[float, float]:
    """Return the best of some rounds in microseconds: resolving, and reading the answer back from JSON."""
    found = resolve_protocol(pack, situation)
    kept = ENCODER.encode(shown(pack, situation, found))
    best, peer = float("inf"), float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter_ns()
        resolve_protocol(pack, situation)
        middle = time.perf_counter_ns()
        msgspec.json.decode(kept)
        best = min(best, (middle - start) / 1000)
        peer = min(peer, (time.perf_counter_ns() - middle) / 1000)
    return best, peer


def main() -> int:
    """Print the middle, the slowest and the ratio to the peer for each pack."""
    for pack in load_packs().values():
        figures = [(*timed_us(pack, situation), situation) for situation in situations(pack)]
        middle = statistics.median(resolving for resolving, _, _ in figures)
        peer = statistics.median(reading for _, reading, _ in figures)
        worst, _, where = max(figures, key=lambda figure: figure[0])
        slowest = f"{worst:.0f} µs ({where.presentation}, {where.severity}, age {where.age_years})"
        sys.stdout.write(
            f"{pack.pack_id}: {len(figures)} protocols, median {middle:.0f} µs ({middle / peer:.1f}x reading it from "
            f"JSON), slowest {slowest}; aim: under {LIMIT_US} µs\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
