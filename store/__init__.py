"""History: frames, rollups, usage and events in one SQLite file."""
