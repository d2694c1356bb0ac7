"""Language models as minimal editors: prompts, the reading of their answers, and the runs that make edit pairs."""
