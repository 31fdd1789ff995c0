"""The network: clients come in here, and what they send is read here.

The acceptor's thread is in acceptor.py and admission.py, each reader's in reader.py.  They reach the room
through the inbox, from which the room's thread takes.
"""
