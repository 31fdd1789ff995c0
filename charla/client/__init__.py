"""The client: a person, or a script, in the room.

    thread     owns                                                     blocks in
    main       the console (terminal/): typing and drawing              reading a line
    network    the connection (network/), and everything about it       its selector

Between them: `Outbox`, what was said and is not confirmed yet (it has a lock), and the console's `show`,
which any thread may call.  Imports point down: network, display <- terminal <- chat <- script <- app.
"""
