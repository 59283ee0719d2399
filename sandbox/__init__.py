"""A telephone network, a model and people on loopback.

The sandbox drives the real server over real sockets, for the demo and for the tests, and is as strict as the services
that it stands in for. It imports nothing of the server's, and the server imports nothing of it.
"""
