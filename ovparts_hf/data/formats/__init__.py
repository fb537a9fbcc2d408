"""Readers of label files, one file for each format."""
