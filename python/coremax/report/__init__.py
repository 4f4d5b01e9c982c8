"""Self-contained HTML pages about what the package did. Their libraries come with the extra `coremax[demo]`."""
