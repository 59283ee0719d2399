"""Calls on which things break: many at once, each with its own fault, judged by what the caller heard."""
