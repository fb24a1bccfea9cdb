"""The forms of the pages, by what they are about. They only read and check what was typed: others save it."""
