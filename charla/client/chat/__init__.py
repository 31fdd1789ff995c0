"""A person who talks."""
