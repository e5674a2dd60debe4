"""Ray, here or on several machines: connecting, looking at nodes, shipping this package, refusing what cannot work."""
