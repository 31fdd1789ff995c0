"""What the server and the client have in common, and is not their language."""
