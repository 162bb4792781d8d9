"""The reader of another sysmon: its stream, its history, and how it is known."""
