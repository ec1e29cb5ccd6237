"""How a graph leaves the notebook: exported as a project, hosted in processes or containers."""
