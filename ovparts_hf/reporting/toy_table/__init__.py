"""One table of the toy versions of all families, trained at equal compute: what `ovparts demo --table` makes."""
