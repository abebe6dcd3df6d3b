"""The edge: one agency's node, which links, answers, refuses and asks."""
