"""Tests of remote.push."""
