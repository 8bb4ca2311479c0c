"""An app with the commands that the tests enqueue."""
