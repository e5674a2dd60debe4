"""Clusters of several machines: connecting, looking at every node, shipping this package, refusing what cannot work."""
