"""Where chat goes (R121): each kind of target one module behind one interface. Plain Python."""
