"""The contract: what two organisations must agree on, byte for byte."""
