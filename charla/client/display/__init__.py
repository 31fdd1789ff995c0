"""How messages look and sound."""
