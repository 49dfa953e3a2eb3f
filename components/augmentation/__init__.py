"""Views of a sentence: word repetition, token shuffle, token cutoff, span mask, stored tokenised."""
