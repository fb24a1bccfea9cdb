"""What goes on by itself over many runs: state machines that can be taken up again at any step."""
