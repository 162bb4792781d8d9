"""Tests of what is shipped and how it is installed."""
