"""The console for people with prompt_toolkit."""
