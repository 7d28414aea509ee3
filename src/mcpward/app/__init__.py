"""The composition root: settings become objects, each made once, opened and closed in order."""
