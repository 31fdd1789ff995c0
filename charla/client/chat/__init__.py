"""A person who talks: taking a seat, what is typed, what arrives.

The main thread joins, and does what is typed; the network thread hands over what arrives (Listener).
"""
