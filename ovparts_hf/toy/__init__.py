"""The toy world: a dataset that is drawn, small weights that know it, and the recipes that train them."""
