"""Floor 1: reaction charts, protocol packs, severity and exact doses."""
