"""Pipes and programs that talk: lines, --send, or JSON.

Threads as in chat: main says what is read, the network thread hands over what arrives.
"""
