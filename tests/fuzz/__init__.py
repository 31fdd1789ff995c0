"""Fuzzing: properties that must hold for any bytes, and what feeds them bytes (`make fuzz`)."""
