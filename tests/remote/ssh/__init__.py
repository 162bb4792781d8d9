"""Tests of remote.ssh."""
