"""Calls without Twilio: from a browser or an eval, through the same law and the same pipeline.

A simulated telephone dials. Nothing here runs in `python server.py`.
"""
