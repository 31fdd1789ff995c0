"""What the server keeps: the log of events in memory and in a file, and the transcript.

The room thread writes the log, and readers read slices of it.  The housekeeper takes out of the file what is
not to stay, and the transcript has a thread that writes it.
"""
