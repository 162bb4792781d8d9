"""Rules, their states, and the notifications they send."""
