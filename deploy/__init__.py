"""How Accord runs: the demonstration, example settings and service units."""
