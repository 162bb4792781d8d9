"""What a router tells of its LAN: texts in, counters and rows of devices out."""
