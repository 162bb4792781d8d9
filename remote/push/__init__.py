"""Frames pushed by agents that nobody can reach, and the hub that takes them in."""
