"""What callers pass, checked in one place each: flags, texts, and keys such as labels and groups."""
