"""The real program, and its parts, against real peers."""
