"""The demonstration: an invented county, its eight agencies, and one family's story."""
