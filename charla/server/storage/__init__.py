"""What the server keeps: the log of events, its file, the transcript."""
