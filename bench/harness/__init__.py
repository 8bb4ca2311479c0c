"""What measures: systems, processes, measures, and the report."""
