"""The engine of Attend: quiet machines, a durable corridor, and thin porches."""
