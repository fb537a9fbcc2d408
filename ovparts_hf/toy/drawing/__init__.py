"""The toy world: procedurally drawn images of objects made of parts."""
