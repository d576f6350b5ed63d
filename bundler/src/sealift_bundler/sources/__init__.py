"""Where archives come from: catalogues, addresses, the package index, this machine."""
