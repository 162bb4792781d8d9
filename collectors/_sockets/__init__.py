"""Sockets as the kernel tells of them by netlink, and whose they are."""
