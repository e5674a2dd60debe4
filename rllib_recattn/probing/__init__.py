"""What a memory can learn, supervised, in a minute on one core; imports no Ray."""
