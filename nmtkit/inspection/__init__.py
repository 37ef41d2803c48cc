"""What happened inside: traces of the beam, attention maps, a few sentences in full detail."""
