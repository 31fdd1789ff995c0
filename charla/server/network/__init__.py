"""Sockets: who comes in, and what they send."""
