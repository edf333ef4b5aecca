"""How the site is made: ``python docs/website``. Its pages in Markdown stand here too."""
