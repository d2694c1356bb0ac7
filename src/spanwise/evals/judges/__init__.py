"""Judges that say which of two answers is better, behind one interface (`base.Judge`)."""
