"""From the room to the sockets, and from the readers to the room."""
