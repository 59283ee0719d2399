"""The live pages, made in a process of their own: Python lets one thread run at a time, and calls come first."""
