"""The load: simulated Twilio callers and a simulated Realtime model, in one process and on one clock.

The sandbox is strict and keeps notes of everything; this is lean, so that one core can load a server to its limit.
"""
