"""Datasets of object parts: preparing, checking, reading them, and turning rows into records."""
