"""What turns docs/ into a site: pages written from code, and links that hold on it."""
