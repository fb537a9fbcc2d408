"""The toy world: procedurally drawn pictures of objects made of parts."""
