"""Floor 2: stores behind one contract; they never know what an event means."""
