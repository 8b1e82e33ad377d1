"""Every benchmark, one after another: `python -m benchmarks` (or `make bench`).

Figures are ratios to a peer of the same run; docs/BENCHMARKS.md says how to read them.
"""

import argparse
import subprocess
import sys

PARTS = (
    "benchmarks.over_grpc",
    "benchmarks.store_commit",
    "benchmarks.protocols",
    "benchmarks.emergency",
    "benchmarks.alarm",
    "benchmarks.following",
)


def main() -> int:
    """Run each part in a process of its own; return the first exit code that is not 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", help="also write where the server's time goes to this file (py-spy)")
    chosen = parser.parse_args()
    for part in PARTS:
        more = ["--profile", chosen.profile] if chosen.profile and part == PARTS[0] else []
        sys.stdout.write(f"\n{part}\n")
        sys.stdout.flush()
        code = subprocess.run([sys.executable, "-m", part, *more], check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
