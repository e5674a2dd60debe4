"""What the models of the catalog share: blocks and their stack, recurrences, memories, attention, counts of steps."""
