"""One file per command, and the composition root that ties sources to sinks."""
