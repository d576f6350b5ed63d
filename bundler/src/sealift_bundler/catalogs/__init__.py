"""Catalogues of managed Pythons, in the format of uv's download metadata."""
