"""Attacks on the real server, each with a figure that must be met: `make attacks`.

* stalled.py      people who do not read, in a room that talks as fast as it can
* silent.py       2,000 connections that never say a word, while somebody wants to come in
* churn.py        1,000 joins and leaves a second
* descriptors.py  200 who knock at a server that is out of descriptors
* flood.py        one client at line speed
* random_talk.py  an hour's worth of random text over TLS, both ways at once
* fresh.py        3,000 TLS connections on which both sides talk at once
* key_updates.py  a peer that changes its keys all the time
* company.py      those in the room who are to notice nothing of it, and what they notice
* processes.py    the server under attack, and the attackers: processes of their own
* wire.py         the attackers' connections
* run.py          all of it, and the table; report.py writes docs/ATTACKS.md

Each case's module is the attacker's program, too: `python3 -m attacks.churn '{"port": 9000, ...}'`.
"""
