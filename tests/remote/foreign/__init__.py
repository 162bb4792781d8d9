"""Tests of remote.foreign."""
