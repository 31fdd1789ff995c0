"""The fault test: clients behind a proxy that breaks their links, a server killed with -9, and a checker.

* proxy.py    cuts, resets, blackholes, delays, splits and stalls connections, by a seed
* records.py  what each client notes down, one record per session
* checker.py  holds every record against every other
* run.py      all of it together: `make chaos`, and short in tests/test_chaos.py
"""
