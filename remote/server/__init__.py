"""The server of an agent or a hub: who is let in, what it answers, and the stream."""
