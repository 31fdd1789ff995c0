"""Pipes and programs that talk."""
