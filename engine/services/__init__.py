"""Floor 4: proto to command and back; no rule of its own."""
