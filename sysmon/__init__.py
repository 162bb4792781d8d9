"""The ground floor: frames, the catalogue, derivation, units, errors and configuration; and the entry point."""
