"""Looking at what a trained agent remembers: one episode, read again with gradients."""
