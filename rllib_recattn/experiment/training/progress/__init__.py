"""What is printed while training runs."""
