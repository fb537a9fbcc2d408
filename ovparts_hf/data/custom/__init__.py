"""From labels of any tool to a dataset repository."""
