"""The centre: carries questions, never learns who they are about."""
