"""What who runs the server does with the whole of an installation: move its files, back it up, restore it."""
