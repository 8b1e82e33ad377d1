"""Floor 5: a synthetic network from one seed, its faults and its checkers."""
