"""What the emergency pack takes: bytes, and time from the patient's situation to the sealed document.

Run `python -m benchmarks.emergency`. The aims are under 64 KiB and under 50 ms. The peer of the same run reads the
document back from JSON: what a console does with it at the least. Time is the process's own, so that a busy
neighbour on the machine is not counted.
"""

import datetime as dt
import statistics
import sys
import time
from decimal import Decimal

import msgspec

from engine.bootstrap import load_packs
from engine.reactions.emergency import Patient, Place, emergency_pack
from engine.reactions.pack import Pack
from engine.records.emergency import SealedPack, seal_pack
from engine.records.seal import SealingKey

ROUNDS = 15
LIMIT_BYTES, LIMIT_MS = 64 * 1024, 50
NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
PLACE = Place(ems_phone="911", ems_address="1 Demo Street, entrance B")
PEOPLE = {
    "adult": (40, Decimal(70)),
    "child": (6, Decimal(20)),
    "age unknown": (None, Decimal(70)),
    "weight unknown": (40, None),
}


def made(pack: Pack, key: SealingKey, age_years: int | None, weight_kg: Decimal | None) -> SealedPack:
    """Make and seal one pack for a patient in an MRI room, where there is one step more."""
    who = Patient(
        age_years=age_years,
        weight_kg=weight_kg,
        setting="idtf",
        modality="MR",
        mri_zone="IV",
        agent="gadobutrol",
    )
    content = emergency_pack(pack, who, PLACE, None)
    return seal_pack(content, key, session_version=1, made_at=NOW, expires_at=NOW)


def main() -> int:
    """Print size, middle and best time, and the ratio to the peer, for each pack and patient."""
    key = SealingKey.create()
    for pack in load_packs().values():
        for name, (age_years, weight_kg) in PEOPLE.items():
            times, peers = [], []
            for _ in range(ROUNDS):
                start = time.process_time_ns()
                sealed = made(pack, key, age_years, weight_kg)
                middle = time.process_time_ns()
                msgspec.json.decode(sealed.document)
                times.append((middle - start) / 1e6)
                peers.append((time.process_time_ns() - middle) / 1e6)
            half = statistics.median(times)
            sys.stdout.write(
                f"{pack.pack_id}, {name}: {len(sealed.document)} bytes of {LIMIT_BYTES}; median {half:.1f} ms "
                f"({half / statistics.median(peers):.0f}x reading it), best {min(times):.1f} ms; "
                f"aim: under {LIMIT_MS} ms\n"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
