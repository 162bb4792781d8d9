"""What this host knows about itself: one file per collector, and the runner."""
