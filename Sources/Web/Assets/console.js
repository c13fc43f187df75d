// Everything here only makes quicker what also works without it.
