"""Ways in and out of Attend."""
