"""The pictures of the pages, one file for each page."""
