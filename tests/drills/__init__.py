"""Drills on a real executor: scripted runs, what they are worth, and what never happens to patients by them."""
