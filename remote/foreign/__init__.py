"""Other programs' formats: Prometheus's exporters and Netronome's agents, read and answered."""
