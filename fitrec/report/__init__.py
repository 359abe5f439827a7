"""The report: figures as functions from arrays to SVG, and the page that holds them."""
