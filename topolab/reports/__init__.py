"""Views of results: terminal, picture, page, Markdown. Pure functions of runs; nothing here measures or stores."""
