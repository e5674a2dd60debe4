"""What runs leave in their directories, finished or not, read: settings, metrics, trials, and how each one ended."""
