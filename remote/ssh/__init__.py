"""Boxes reached by plain ssh, with nothing installed there."""
