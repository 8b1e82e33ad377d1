"""Floor 2: one file, one sentence, one function: an event here becomes a command there."""
