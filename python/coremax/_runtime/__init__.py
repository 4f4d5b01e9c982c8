"""What the package does besides its mathematics: settings, files, memory, progress, errors."""
