"""Names and settings that experiment files of older versions have, read under their present names."""
