"""The console: what a supervisor keeps open all day. Pages of HTML that are kept up to date by server-sent events.

Everything here is made in a process or on a thread of its own; the loop that carries calls only passes the bytes on.
"""
