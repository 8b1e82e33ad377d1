"""Floor 3: the supervision record, folded from events alone, sealed and verifiable."""
