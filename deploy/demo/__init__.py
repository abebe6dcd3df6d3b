"""The demonstration: an invented county, its three agencies, and one family's story."""
