"""The sections of the page, one module for each kind; `contents` has them in their order."""
